using System.IO.Compression;
using System.Text.Json.Nodes;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>What is a bundle already is installed as it is, once it has proved itself.</summary>
public sealed class CompleteBundleTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("complete-bundle").FullName;

    private string Models => Path.Combine(_folder, "models");

    private string Zip => Path.Combine(_folder, "three-things.zip");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_page_s_zip_and_a_bundle_s_folder_become_a_model_under_another_name(bool isZip)
    {
        await MakeAsync();
        var output = await Run("import", isZip ? Zip : Path.Combine(_folder, "made", "fruit"), "--name", "taught", "--title", "Obst");
        Assert.Contains("A complete bundle: Obst, version 1, fp32", output, StringComparison.Ordinal);

        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Models, "taught", "model.json"), TestContext.Current.CancellationToken))!;
        Assert.Equal(("taught", "Obst"), ((string)manifest["name"]!, (string)manifest["title"]!));
        Assert.Equal(Weights("made/fruit"), Weights("models/taught"));
        Assert.Contains("apple", await Run("classify", Path.Combine(Models, "taught", "sample.png"), "--model", "taught"), StringComparison.Ordinal);
        Assert.Equal(["taught"], Directory.EnumerateFileSystemEntries(Models).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_dry_run_installs_nothing()
    {
        await MakeAsync();
        Assert.Contains("Nothing was installed", await Run("import", Zip, "--name", "taught", "--dry-run"), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Models));
    }

    [Theory]
    [InlineData("answer", "The model 'taught' (fp32) does not give its recorded answer")]
    [InlineData("weights", "The file 'model.onnx' of the model 'taught' is not the one in its manifest (size or SHA-256 differs).")]
    [InlineData("labels", "The model 'taught' is not what its manifest says: labels.txt has 1 label, but the model answers 3 classes.")]
    [InlineData("preset", "is a complete bundle, which is installed as it is; --preset is for networks that are converted.")]
    public async Task One_that_is_not_right_is_refused_and_nothing_is_left(string what, string sentence)
    {
        await MakeAsync(folder =>
        {
            var path = Path.Combine(folder, "model.json");
            var manifest = JsonNode.Parse(File.ReadAllText(path))!;
            switch (what)
            {
                case "answer":
                    manifest["sample"]!["predictions"]![0]!["confidence"] = 0.1;
                    File.WriteAllText(path, manifest.ToJsonString());
                    break;
                case "weights":
                    File.AppendAllText(Path.Combine(folder, "model.onnx"), "more");
                    break;
                case "labels":
                    File.WriteAllText(Path.Combine(folder, "labels.txt"), "apple\n");
                    break;
            }
        });
        (var code, _, var error) = await WhatsitCommand.RunAsync(["import", Zip, "--name", "taught", "--models", Models,
            .. what == "preset" ? (string[])["--preset", "torchvision"] : []]);
        Assert.Equal(1, code);
        Assert.Contains(sentence, error, StringComparison.Ordinal);
        Assert.Empty(Directory.Exists(Models) ? Directory.EnumerateFileSystemEntries(Models) : []);
    }

    private byte[] Weights(string bundle) => File.ReadAllBytes(Path.Combine(_folder, bundle, "model.onnx"));

    private async Task MakeAsync(Action<string>? change = null)
    {
        var made = Path.Combine(_folder, "made");
        (var code, _, var error) = await WhatsitCommand.RunAsync("import", "tests/data/tfjs/layers", "--name", "fruit", "--models", made);
        Assert.True(code == 0, error);
        change?.Invoke(Path.Combine(made, "fruit"));
        ZipFile.CreateFromDirectory(Path.Combine(made, "fruit"), Zip, CompressionLevel.Fastest, includeBaseDirectory: true);
    }

    private async Task<string> Run(params string[] arguments)
    {
        (var code, var output, var error) = await WhatsitCommand.RunAsync([.. arguments, "--models", Models]);
        Assert.True(code == 0, error);
        return output;
    }
}
