using System.Text.Json.Nodes;
using Whatsit.ModelTools.Commands;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>What becomes of a bundle after its import: <c>list</c>, <c>labels</c>, <c>set</c>, <c>rename</c>, <c>diff</c>, <c>remove</c>.</summary>
public sealed class CatalogCommandsTests : IDisposable
{
    private static readonly string Sample = Path.Combine(WhatsitCommand.Root, "models/grocery/sample.png");

    private readonly string _folder = Directory.CreateTempSubdirectory("catalog-commands").FullName;

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_dry_run_proves_and_leaves_nothing_behind()
    {
        var output = await Run("import", "tests/data/tfjs/layers", "--name", "fruit", "--dry-run");
        Assert.Contains("Nothing was installed", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Models));
    }

    [Fact]
    public async Task A_bundle_is_listed_labelled_set_renamed_compared_and_removed()
    {
        await Run("import", "tests/data/tfjs/layers", "--name", "fruit");
        Assert.Contains("fruit", await Run("list"), StringComparison.Ordinal);
        Assert.Equal(3, (int)JsonNode.Parse(await Run("list", "--json"))![0]!["classes"]!);
        Assert.Equal("apple\npear\nplum\n", await Run("labels", "fruit"));

        // Other labels: another version, which still gives its recorded answer.
        var labels = Path.Combine(_folder, "labels.txt");
        await File.WriteAllLinesAsync(labels, ["Apfel", "Birne"], TestContext.Current.CancellationToken);
        await Refused($"'{labels}' has 2 labels; the model has 3 classes.", "labels", "fruit", labels);
        await File.AppendAllTextAsync(labels, "Pflaume\n", TestContext.Current.CancellationToken);
        await Run("labels", "fruit", labels);
        Assert.Equal(("2", "Apfel"), ((string)Manifest("fruit")["version"]!, (string)Manifest("fruit")["sample"]!["predictions"]![0]!["label"]!));

        await Run("set", "fruit", "title=Obst", "abstain.threshold=0.4");
        Assert.Equal(("3", "Obst", 0.4),
            ((string)Manifest("fruit")["version"]!, (string)Manifest("fruit")["title"]!, (double)Manifest("fruit")["abstain"]!["threshold"]!));
        await Refused("abstain.threshold is '2'; it must be from 0 to 1.", "set", "fruit", "abstain.threshold=2");
        await Refused("'files' cannot be set.", "set", "fruit", "files=none");
        await Refused("'title' has no value", "set", "fruit", "title");
        await Run("set", "fruit", "license=MIT");
        Assert.Equal("3", (string)Manifest("fruit")["version"]!);

        await Run("import", "tests/data/tfjs/layers", "--name", "twin");
        var difference = JsonNode.Parse(await Run("diff", "fruit", "twin", "--images", Sample, "--json"))!;
        Assert.Equal(("Apfel", "apple"), ((string)difference["different"]![0]!["a"]!["label"]!, (string)difference["different"]![0]!["b"]!["label"]!));
        Assert.Contains("0 of 1 photo answered differently.", await Run("diff", "twin", "twin:fp32", "--images", Sample), StringComparison.Ordinal);

        await Refused("There is a model 'twin' already", "rename", "fruit", "twin");
        await Refused("'a/b' cannot be a model's name", "rename", "fruit", "a/b");
        await Run("rename", "fruit", "obst");
        Assert.Contains("Apfel", await Run("classify", Sample, "--model", "obst"), StringComparison.Ordinal);

        await Refused("There is no model 'fruit' in the folder", "remove", "fruit", "--yes");
        await Run("remove", "obst", "--yes");
        Assert.Equal(["twin"], Directory.EnumerateDirectories(Models).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("1", "2")]
    [InlineData("99999999999999999999", "100000000000000000000")]
    [InlineData("1.9", "1.10")]
    [InlineData("2026-09", "2026-10")]
    [InlineData("v3-beta", "v3-beta.2")]
    [InlineData("", "1")]
    public void Another_version_has_another_name(string version, string next) => Assert.Equal(next, ManifestEdit.Next(version));

    [Theory]
    [InlineData("{", "is no manifest:")]
    [InlineData("[1, 2]", "is no manifest: It is no JSON object.")]
    public async Task A_bundle_whose_manifest_is_broken_is_listed_with_what_is_wrong_and_stays_where_it_is(string manifest, string sentence)
    {
        await Run("import", "tests/data/tfjs/layers", "--name", "fruit");
        await File.WriteAllTextAsync(Path.Combine(Models, "fruit", "model.json"), manifest, TestContext.Current.CancellationToken);

        Assert.Contains("is no manifest", (string)JsonNode.Parse(await Run("list", "--json"))![0]!["problem"]!, StringComparison.Ordinal);
        foreach (var verb in (string[][])[["rename", "fruit", "obst"], ["set", "fruit", "title=Obst"], ["labels", "fruit", Sample]])
        {
            (var code, _, var error) = await WhatsitCommand.RunAsync([.. verb, "--models", Models]);
            Assert.Equal(1, code);
            Assert.Contains(verb[0] == "rename" ? sentence : "is no manifest", error, StringComparison.Ordinal);
            Assert.Single(error.Trim().Split('\n'));
        }

        Assert.Equal(["fruit"], Directory.EnumerateFileSystemEntries(Models).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_bundle_that_was_copied_by_hand_is_renamed_to_what_its_folder_says()
    {
        await Run("import", "tests/data/tfjs/layers", "--name", "fruit");
        Directory.Move(Path.Combine(Models, "fruit"), Path.Combine(Models, "copied"));
        Assert.Contains("calls the model 'fruit'", (string)JsonNode.Parse(await Run("list", "--json"))![0]!["problem"]!, StringComparison.Ordinal);
        await Run("rename", "copied", "obst");
        Assert.Null(JsonNode.Parse(await Run("list", "--json"))![0]!["problem"]);
    }

    [Theory]
    [InlineData("energy", "12.5", "NaN", "a number")]
    [InlineData("virtual-logit", "-1.75", "NaN", "a number")]
    [InlineData("class-mean", "-0.25", "1.5", "from -1 to 1")]
    public async Task A_threshold_may_be_what_the_score_can_be(string score, string possible, string impossible, string range)
    {
        await Run("import", "tests/data/tfjs/layers", "--name", "fruit");
        var manifest = Manifest("fruit");
        manifest["abstain"] = new JsonObject { ["threshold"] = 0.5, ["score"] = score };
        await File.WriteAllTextAsync(Path.Combine(Models, "fruit", "model.json"), manifest.ToJsonString(), TestContext.Current.CancellationToken);

        await Run("set", "fruit", $"abstain.threshold={possible}");

        Assert.Equal(possible, Manifest("fruit")["abstain"]!["threshold"]!.ToJsonString());
        await Refused($"abstain.threshold is '{impossible}'; it must be {range}.", "set", "fruit", $"abstain.threshold={impossible}");
    }

    [Fact]
    public async Task Crop_and_resizer_are_set_with_the_answer_that_they_make()
    {
        await Run("import", "tests/data/tfjs/layers", "--name", "fruit");
        await Refused("preprocessing.crop is 'middle'; it must be none, center-square or resize-then-center.", "set", "fruit", "preprocessing.crop=middle");
        await Refused("preprocessing.resample is 'cubic'; it must be pil-nearest,", "set", "fruit", "preprocessing.resample=cubic");
        await Refused("preprocessing.resize_shortest is 'half'; it must be a number of pixels.", "set", "fruit", "preprocessing.resize_shortest=half");
        await Refused("preprocessing.resize_shortest belongs to the crop resize-then-center; the crop is center-square.", "set", "fruit",
            "preprocessing.resize_shortest=9");
        await Refused("resize_shortest is missing; the crop 'resize-then-center' needs at least the input's 8.", "set", "fruit",
            "preprocessing.crop=resize-then-center");
        await Refused("resize_shortest is 7; the crop 'resize-then-center' needs at least the input's 8.", "set", "fruit",
            "preprocessing.crop=resize-then-center", "preprocessing.resize_shortest=7");
        var before = Manifest("fruit");
        Assert.Equal("1", (string)before["version"]!);

        var output = await Run("set", "fruit", "title=Obst", "preprocessing.crop=resize-then-center", "preprocessing.resize_shortest=64",
            "preprocessing.resample=pil-nearest");

        Assert.Contains("It was −1…1, the centre square, tfjs-bilinear.", output, StringComparison.Ordinal);
        var after = Manifest("fruit");
        Assert.Equal(("2", "Obst", "resize-then-center", 64, "pil-nearest"), ((string)after["version"]!, (string)after["title"]!,
            (string)after["preprocessing"]!["crop"]!, (int)after["preprocessing"]!["resize_shortest"]!, (string)after["preprocessing"]!["resample"]!));
        Assert.EndsWith("Crop and resizer were set by hand.", (string)after["preprocessing"]!["evidence"]!["reason"]!, StringComparison.Ordinal);
        Assert.NotEqual(before["sample"]!["predictions"]!.ToJsonString(), after["sample"]!["predictions"]!.ToJsonString());
        var card = await File.ReadAllTextAsync(Path.Combine(Models, "fruit", "README.md"), TestContext.Current.CancellationToken);
        Assert.Contains("shorter side to 64, then the centre (pil-nearest)", card, StringComparison.Ordinal);
        Assert.DoesNotContain("tfjs-bilinear", card, StringComparison.Ordinal);
        Assert.Contains((string)after["sample"]!["predictions"]![0]!["label"]!, await Run("classify", Sample, "--model", "fruit"), StringComparison.Ordinal);

        await Run("set", "fruit", "preprocessing.crop=none");
        Assert.Null(Manifest("fruit")["preprocessing"]!["resize_shortest"]);
    }

    [Fact]
    public async Task An_export_is_cut_as_asked()
    {
        var output = Path.Combine(_folder, "tfjs");
        foreach ((var size, var shards) in (ValueTuple<string, int>[])[("0", 1), ("5000000", 2)])
        {
            (var code, _, var error) = await WhatsitCommand.RunAsync("export", "grocery", "--output", output, "--shard-size", size);
            Assert.True(code == 0, error);
            Assert.Equal(Enumerable.Range(1, shards).Select(shard => $"group1-shard{shard}of{shards}.bin"), Directory.EnumerateFiles(output, "*.bin")
                .Select(Path.GetFileName).Order());
        }

        (_, _, var refused) = await WhatsitCommand.RunAsync("export", "grocery", "--output", output, "--shard-size", "12");
        Assert.StartsWith("--shard-size must be 0, for one file, or 65536 bytes and more.", refused, StringComparison.Ordinal);
    }

    private JsonNode Manifest(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(Models, name, "model.json")))!;

    private async Task<string> Run(params string[] arguments)
    {
        (var code, var output, var error) = await WhatsitCommand.RunAsync([.. arguments, "--models", Models]);
        Assert.True(code == 0, error);
        return output;
    }

    private async Task Refused(string sentence, params string[] arguments)
    {
        (var code, _, var error) = await WhatsitCommand.RunAsync([.. arguments, "--models", Models]);
        Assert.Equal(1, code);
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
    }
}
