using System.IO.Compression;
using System.Text;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>Models as they come out of downloads: packed by others, packed twice, or not there at all.</summary>
public sealed class PackedModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("packed").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_zip_that_a_Mac_made_anew_is_read()
    {
        var zip = Zip("mac.zip", ("converted/model.onnx", Network()), ("__MACOSX/converted/._model.onnx", [0, 5, 22, 7]), ("converted/.DS_Store", [0, 0, 0, 1]),
            ("converted/labels.txt", "a\nb\nc\n"u8.ToArray()), ("__MACOSX/._converted", [0, 5, 22, 7]));

        Assert.Equal(["a", "b", "c"], Import(zip).Model.Labels);
    }

    [Fact]
    public void Labels_may_lie_above_the_model()
    {
        var zip = Zip("above.zip", ("export/onnx/model.onnx", Network()), ("export/labels.txt", "a\nb\nc\n"u8.ToArray()));

        Assert.Equal(["a", "b", "c"], Import(zip).Model.Labels);
    }

    [Fact]
    public void A_zip_with_the_dividers_of_Windows_is_read()
    {
        var zip = Zip("windows.zip", ("export\\", []), ("export\\model.onnx", Network()), ("export\\labels.txt", "a\nb\nc\n"u8.ToArray()));

        Assert.Equal(["a", "b", "c"], Import(zip).Model.Labels);
    }

    [Fact]
    public void A_zip_in_a_zip_is_unpacked()
    {
        var inner = File.ReadAllBytes(Zip("inner.zip", ("model.onnx", Network()), ("labels.txt", "a\nb\nc\n"u8.ToArray())));

        Assert.Equal(["a", "b", "c"], Import(Zip("outer.zip", ("readme.txt", [65]), ("download/model.zip", inner))).Model.Labels);
    }

    [Fact]
    public void Zips_deeper_than_three_are_refused()
    {
        var zip = File.ReadAllBytes(Zip("0.zip", ("model.onnx", Network())));
        for (var depth = 1; depth < 4; depth++)
        {
            zip = File.ReadAllBytes(Zip($"{depth}.zip", ("model.zip", zip)));
        }

        File.WriteAllBytes(Path.Combine(_folder, "deep.zip"), zip);
        Assert.Contains("more than 3 deep", Refusal(Path.Combine(_folder, "deep.zip")), StringComparison.Ordinal);
    }

    [Fact]
    public void Of_two_models_one_is_asked_for_by_its_own_name()
    {
        var zip = Zip("two.zip", ("out/float.onnx", Network()), ("out/half.onnx", Network(seed: 9)));

        Assert.Equal($"The zip '{zip}' holds several models: out/float.onnx, out/half.onnx. Say with --file which one is meant.", Refusal(zip));
        Assert.NotEqual(Import(zip, "out/float.onnx").Model.SampleScores, Import(zip, "out/half.onnx").Model.SampleScores);
        Assert.Contains("no file 'third.onnx'", Refusal(zip, "third.onnx"), StringComparison.Ordinal);
        Assert.Contains("no file '../../x'", Refusal(zip, "../../x"), StringComparison.Ordinal);
    }

    [Fact]
    public void Of_two_zips_in_a_zip_one_is_asked_for_however_deep_their_models_lie()
    {
        var flat = File.ReadAllBytes(Zip("flat.zip", ("model.onnx", Network())));
        var wrapped = File.ReadAllBytes(Zip("wrapped.zip", ("my model/model.onnx", Network(seed: 9)), ("__MACOSX/my model/._model.onnx", [0])));
        var zip = Zip("both.zip", ("one.zip", flat), ("other.zip", wrapped));

        Assert.Equal($"The zip '{zip}' holds several models: one/model.onnx, other/model.onnx. Say with --file which one is meant.", Refusal(zip));
        Assert.NotEqual(Import(zip, "one/model.onnx").Model.SampleScores, Import(zip, "other/model.onnx").Model.SampleScores);
    }

    [Theory]
    [InlineData("model.onnx", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13961832\n",
        "'model.onnx' is a Git LFS pointer to a file of 13,961,832 bytes, not the file itself")]
    [InlineData("model.tflite", "<!DOCTYPE html>\n<html lang=\"en\"><head>", "'model.tflite' is a web page, not a model")]
    [InlineData("model.zip", "\n<!-- saved -->\n<html>", "'model.zip' is a web page, not a model")]
    [InlineData("model.pkl", "\u0080\u0004\u0095", "'model.pkl' is a Python pickle")]
    [InlineData("model.onnx.gz", "\u001F\u008B\u0008\0", "'model.onnx.gz' is a gzip archive, which is not opened: unpack it")]
    [InlineData("model.7z", "7z\u00BC\u00AF\u0027\u001C", "'model.7z' is a 7z archive")]
    [InlineData("model.rar", "Rar!\u001A\u0007", "'model.rar' is a RAR archive")]
    public void What_lies_in_a_model_s_place_is_named(string name, string text, string sentence)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(text));

        Assert.Contains(sentence, Refusal(path), StringComparison.Ordinal);
        Assert.Contains(sentence, Refusal(Zip("with.zip", ($"folder/{name}", File.ReadAllBytes(path)))), StringComparison.Ordinal);
    }

    [Fact]
    public void A_shard_that_is_a_pointer_is_named()
    {
        var model = Path.Combine(_folder, "tfjs");
        Directory.CreateDirectory(model);
        File.WriteAllText(Path.Combine(model, "model.json"), """
            {"format":"layers-model","modelTopology":{"class_name":"Sequential","config":[]},"weightsManifest":[{"paths":["w.bin"],"weights":[]}]}
            """);
        File.WriteAllText(Path.Combine(model, "w.bin"), "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n");

        Assert.Contains("'w.bin' is a Git LFS pointer", Refusal(model), StringComparison.Ordinal);
    }

    [Fact]
    public void A_page_or_a_SavedModel_in_a_zip_is_named()
    {
        Assert.Contains("holds a web page ('page.html') and no model", Refusal(Zip("page.zip", ("site/page.html", [65]), ("site/page_files/a.js", [66]))),
            StringComparison.Ordinal);
        var saved = Zip("saved.zip", ("exported/saved_model.pb", [8, 1]), ("exported/variables/variables.index", [0]));
        Assert.Contains("is a TensorFlow SavedModel: save the model as .h5 or .keras", Refusal(saved), StringComparison.Ordinal);
        ZipFile.ExtractToDirectory(saved, Path.Combine(_folder, "unpacked"));
        Assert.Contains("is a TensorFlow SavedModel", Refusal(Path.Combine(_folder, "unpacked")), StringComparison.Ordinal);
        Assert.Contains("is a TensorFlow SavedModel", Refusal(Path.Combine(_folder, "unpacked", "exported")), StringComparison.Ordinal);
    }

    private ImportReport Import(string path, string? file = null) =>
        ModelImporter.Import(new ImportRequest(path, "packed", Path.Combine(_folder, "models")) { File = file }, _ => { });

    private string Refusal(string path, string? file = null) => Assert.Throws<ModelFormatException>(() => Import(path, file)).Message;

    private string Zip(string name, params (string Name, byte[] Content)[] entries)
    {
        var path = Path.Combine(_folder, name);
        File.Delete(path);
        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach ((var entry, var content) in entries)
        {
            using var stream = archive.CreateEntry(entry).Open();
            stream.Write(content);
        }

        return path;
    }

    private byte[] Network(int seed = 1)
    {
        var builder = new GraphBuilder("any");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 16, 16);
        x = builder.AddNode("Relu", "relu", [builder.AddNode("Conv", "conv", [x, builder.AddConstant("w", Numbers.Random(seed, 8, 3, 3, 3))])]);
        x = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [x])]);
        builder.AddOutput(builder.AddNode("Gemm", "dense", [x, builder.AddConstant("dense_w", Numbers.Random(2, -2, 2, [8, 3]))]), ElementType.Float32, -1, 3);
        var path = Path.Combine(_folder, "network.onnx");
        OnnxWriter.Write(builder.Graph, path);
        return File.ReadAllBytes(path);
    }
}
