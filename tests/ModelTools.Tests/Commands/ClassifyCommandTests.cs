using System.Text.Json.Nodes;
using Whatsit.Inference.Imaging;

namespace Whatsit.ModelTools.Tests.Commands;

public sealed class ClassifyCommandTests : IDisposable
{
    private static readonly string Sample = Path.Combine(WhatsitCommand.Root, "models/grocery/sample.png");

    private readonly string _folder = Directory.CreateTempSubdirectory("classify").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_photo_gets_a_table_for_people()
    {
        var (code, output, error) = await WhatsitCommand.RunAsync("classify", Sample, "--top-k", "3");
        Assert.Equal("", error);
        Assert.Equal(0, code);
        Assert.Contains("sample.png", output, StringComparison.Ordinal);
        Assert.Contains(RecordedLabel(), output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scripts_get_JSON_with_one_answer_per_photo_and_a_failure_spoils_only_itself()
    {
        var (code, output, _) = await WhatsitCommand.RunAsync("classify", Sample, "no-such-file.jpg", Sample, "--json", "--variant", "fp32");
        var answers = JsonNode.Parse(output)!.AsArray();
        Assert.Equal(1, code);
        Assert.Equal(3, answers.Count);
        Assert.Equal(RecordedLabel(), (string)answers[0]!["predictions"]![0]!["label"]!);
        Assert.Equal("There is no such file.", (string)answers[1]!["error"]!);
        Assert.True(JsonNode.DeepEquals(answers[0]!["predictions"], answers[2]!["predictions"]));
    }

    [Theory]
    [InlineData("--top-k", "82", "from 1 to 81")]
    [InlineData("--model", "nobody", "no model 'nobody'")]
    [InlineData("--variant", "int3", "no variant 'int3'")]
    public async Task A_bad_value_is_named_without_a_stack_trace(string option, string value, string named)
    {
        var (code, _, error) = await WhatsitCommand.RunAsync("classify", Sample, option, value);
        Assert.Equal(1, code);
        Assert.Contains(named, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("classify", "--topk")]
    [InlineData("inspect", "--everything")]
    [InlineData("export", "--fast")]
    public async Task An_unknown_option_is_an_unknown_option_and_no_file(string verb, string option)
    {
        (var code, _, var error) = await WhatsitCommand.RunAsync(verb == "classify" ? [verb, Sample, option] : [verb, option]);
        Assert.Equal(1, code);
        Assert.StartsWith($"There is no option '{option}': whatsit {verb} --help lists them.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Folders_patterns_and_lists_give_one_table()
    {
        foreach (var file in (string[])["b.png", "a.png", "under/c.png"])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, file))!);
            File.Copy(Sample, Path.Combine(_folder, file));
        }

        await File.WriteAllTextAsync(Path.Combine(_folder, "notes.md"), "no picture", TestContext.Current.CancellationToken);
        await File.WriteAllLinesAsync(Path.Combine(_folder, "list.csv"), ["path,label", "b.png,0", "under/c.png,1"], TestContext.Current.CancellationToken);

        Assert.Equal(["a.png", "b.png", "c.png"], await Classified(_folder));
        Assert.Equal(["a.png", "b.png"], await Classified(Path.Combine(_folder, "*.png")));
        Assert.Equal(["a.png", "b.png", "c.png"], await Classified(Path.Combine(_folder, "**", "*.png")));
        Assert.Equal(["b.png", "c.png"], await Classified(Path.Combine(_folder, "list.csv")));

        (var code, var output, _) = await WhatsitCommand.RunAsync("classify", _folder);
        Assert.Equal(0, code);
        Assert.Single(output.Split('\n'), line => line.Contains("Confidence", StringComparison.Ordinal));
        Assert.Contains("3 photos", output, StringComparison.Ordinal);
        Assert.All(output.Split('\n'), line => Assert.InRange(line.Length, 0, 80));

        (code, _, var error) = await WhatsitCommand.RunAsync("classify", Path.Combine(_folder, "*.webp"));
        Assert.Equal(1, code);
        Assert.Contains("has no pictures", error, StringComparison.Ordinal);

        async Task<IEnumerable<string>> Classified(string name)
        {
            (_, var lines, var problem) = await WhatsitCommand.RunAsync("classify", name, "--jsonl", "--top-k", "1");
            Assert.Equal("", problem);
            return lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!).Select(answer =>
            {
                Assert.Equal(RecordedLabel(), (string)answer["predictions"]![0]!["label"]!);
                return Path.GetFileName((string)answer["file"]!);
            });
        }
    }

    [Fact]
    public async Task Standard_input_is_a_picture_or_the_names_of_pictures()
    {
        (var code, var output, var error) = await WhatsitCommand.RunWithInputAsync(await File.ReadAllBytesAsync(Sample, TestContext.Current.CancellationToken),
            "classify", "-", "--csv", "--top-k", "1");
        Assert.True(code == 0, error);
        Assert.Equal(["file,rank,label,index,confidence,abstained,error", $"standard input,1,{RecordedLabel()},"], output.Split('\n')[..2].Select((line, row) =>
            row == 0 ? line : line[..(line.IndexOf(RecordedLabel(), StringComparison.Ordinal) + RecordedLabel().Length + 1)]));

        (code, output, error) = await WhatsitCommand.RunWithInputAsync(System.Text.Encoding.UTF8.GetBytes($"{Sample}\nno-such.jpg\n"),
            "classify", "-", "--csv");
        Assert.Equal(1, code);
        Assert.Equal("", error);
        Assert.Equal(5, output.Split('\n').Count(line => line.StartsWith(Sample, StringComparison.Ordinal)));
        Assert.Contains("no-such.jpg,,,,,,There is no such file.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_picture_explains_the_answer()
    {
        var file = Path.Combine(_folder, "why.png");
        (var code, var output, var error) = await WhatsitCommand.RunAsync("classify", Sample, "--explain", file, "--json");
        Assert.True(code == 0, error);
        Assert.Equal("class-activation", (string)JsonNode.Parse(output)![0]!["explanation"]!["method"]!);
        var decoder = ImageDecoders.Create(new());
        var picture = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
        using (var drawn = decoder.Decode(picture, null, TestContext.Current.CancellationToken))
        {
            Assert.Equal((256, 256, "png"), (drawn.Width, drawn.Height, drawn.Format));
        }

        // A model without a feature map; its input is 8 × 8.
        var models = Path.Combine(_folder, "models");
        (code, _, error) = await WhatsitCommand.RunAsync("import", "tests/data/tfjs/layers", "--name", "fruit", "--models", models);
        Assert.True(code == 0, error);
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(models, "fruit", "model.json"), TestContext.Current.CancellationToken))!;
        manifest["output"]!.AsObject().Remove("features");
        await File.WriteAllTextAsync(Path.Combine(models, "fruit", "model.json"), manifest.ToJsonString(), TestContext.Current.CancellationToken);
        (code, output, error) = await WhatsitCommand.RunAsync("classify", Sample, "--models", models, "--explain", file, "--occlusion-runs", "10");
        Assert.True(code == 0, error);
        Assert.Contains("explained by occlusion, 9 runs", string.Join(' ', output.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries)),
            StringComparison.Ordinal);
        (code, _, error) = await WhatsitCommand.RunAsync("classify", Sample, "--models", models, "--explain", file, "--occlusion-runs", "0");
        Assert.Equal(1, code);
        Assert.Contains("cannot explain its answers", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--explain is 'why.jpg'", "--explain", "why.jpg")]
    [InlineData("--explain explains one picture; here are 2.", "--explain", "why.png", "tests/data/images/orientation-6.jpg")]
    [InlineData("--occlusion-runs is 1025; it must be from 0 to 1024.", "--explain", "why.png", "--occlusion-runs", "1025")]
    public async Task What_cannot_be_explained_is_said_before_anything_is_done(string problem, params string[] arguments)
    {
        (var code, _, var error) = await WhatsitCommand.RunAsync(["classify", Sample, .. arguments]);
        Assert.Equal(1, code);
        Assert.Contains(problem, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_with_three_classes_gives_three_labels_where_nobody_says_how_many()
    {
        var models = Path.Combine(_folder, "models");
        (var code, _, var error) = await WhatsitCommand.RunAsync("import", "tests/data/tfjs/layers", "--name", "fruit", "--models", models);
        Assert.True(code == 0, error);
        (code, var output, error) = await WhatsitCommand.RunAsync("classify", Sample, "--models", models, "--json");
        Assert.True(code == 0, error);
        Assert.Equal(3, JsonNode.Parse(output)![0]!["predictions"]!.AsArray().Count);

        // A folder of the bundle's name does not hide it; a model that there is not is told where it was looked for.
        Directory.CreateDirectory(Path.Combine(_folder, "fruit"));
        (code, _, error) = await WhatsitCommand.RunInAsync(_folder, "inspect", "fruit", "--models", models);
        Assert.True(code == 0, error);
        (code, _, error) = await WhatsitCommand.RunInAsync(_folder, "inspect", "plum", "--models", models);
        Assert.Equal($"There is no file or folder 'plum', and no model of that name in '{models}' (fruit).", error.TrimEnd());
    }

    private static string RecordedLabel() =>
        (string)JsonNode.Parse(File.ReadAllText(Path.Combine(WhatsitCommand.Root, "models/grocery/model.json")))!["sample"]!["predictions"]![0]!["label"]!;
}
