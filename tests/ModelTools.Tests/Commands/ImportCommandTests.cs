using System.Runtime.InteropServices;
using System.Text.Json;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary><c>import</c>, <c>inspect</c> and <c>infer</c> as people run them.</summary>
public sealed class ImportCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("import-command").FullName;

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_disk_that_cannot_be_written_is_said_in_a_sentence()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/proc is where not even root can write.");
        var (code, _, error) = await WhatsitCommand.RunAsync("import", WriteModel(), "--name", "colours", "--models", "/proc", "--preset", "zero-to-one");
        Assert.Equal(1, code);
        Assert.Contains("/proc", Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_is_imported_inspected_and_run()
    {
        var model = WriteModel();
        var pixels = new byte[16 * 24 * 3];
        new Random(5).NextBytes(pixels);
        var input = Path.Combine(_folder, "pixels.u8");
        await File.WriteAllBytesAsync(input, pixels, TestContext.Current.CancellationToken);

        (var code, var output, var error) = await WhatsitCommand.RunAsync("import", model, "--name", "colours", "--models", Models, "--preset", "zero-to-one",
            "--license", "MIT", "--json");
        Assert.True(code == 0, error);
        using var report = JsonDocument.Parse(output);
        Assert.Equal("ONNX", report.RootElement.GetProperty("format").GetString());
        Assert.InRange(report.RootElement.GetProperty("proof").GetProperty("largest_difference").GetDouble(), 0, 1e-5);
        Assert.Equal("MIT", report.RootElement.GetProperty("manifest").GetProperty("license").GetString());

        (code, output, error) = await WhatsitCommand.RunAsync("infer", "colours", "--models", Models, "--input", input, "--json");
        Assert.True(code == 0, error);
        var fromBundle = Outputs(output, "probabilities");

        // The file itself takes floats, channels first.
        float[] planes = [.. Enumerable.Range(0, pixels.Length).Select(index => pixels[(index % (16 * 24) * 3) + (index / (16 * 24))] / 255f)];
        var floats = Path.Combine(_folder, "planes.f32");
        await File.WriteAllBytesAsync(floats, MemoryMarshal.AsBytes(planes.AsSpan()).ToArray(), TestContext.Current.CancellationToken);
        (code, output, error) = await WhatsitCommand.RunAsync("infer", model, "--input", floats, "--shape", "1,3,16,24", "--type", "float32", "--json");
        Assert.True(code == 0, error);
        Assert.InRange(Numbers.LargestDifference(Tensor.Float32([3], Outputs(output, "scores")), Tensor.Float32([3], fromBundle)), 0, 1e-5f);

        // The same floats through the bundle, which takes pixels.
        (code, output, error) = await WhatsitCommand.RunAsync("infer", "colours", "--models", Models, "--input", floats, "--shape", "1,3,16,24", "--json");
        Assert.True(code == 0, error);
        Assert.Equal(fromBundle, Outputs(output, "probabilities"));

        (code, output, error) = await WhatsitCommand.RunAsync("inspect", "colours", "--models", Models, "--json");
        Assert.True(code == 0, error);
        using var description = JsonDocument.Parse(output);
        Assert.Equal(1, description.RootElement.GetProperty("operators").GetProperty("Conv").GetInt32());
        Assert.Equal((8 * 27) + 8 + (8 * 3), description.RootElement.GetProperty("layers").EnumerateArray()
            .Where(layer => layer.GetProperty("op").GetString() is "Conv" or "Gemm").Sum(layer => layer.GetProperty("parameters").GetInt32()));
        Assert.Equal(1 / 255d, description.RootElement.GetProperty("preprocessing").GetProperty("rescale_factor").GetDouble(), 9);
    }

    [Fact]
    public async Task People_get_a_summary_of_what_was_assumed()
    {
        (var code, var output, var error) = await WhatsitCommand.RunAsync("import", WriteModel(), "--name", "colours", "--models", Models);

        Assert.True(code == 0, error);
        Assert.Contains("assumed: the preset zero-to-one", output, StringComparison.Ordinal);
        Assert.Contains("colours is in", output, StringComparison.Ordinal);

        (_, output, _) = await WhatsitCommand.RunAsync("inspect", Path.Combine(Models, "colours"));
        Assert.Contains("Parameters", output, StringComparison.Ordinal);
        Assert.Contains("Conv", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("There is no file or folder 'nowhere.h5'.", "import", "nowhere.h5", "--name", "x")]
    [InlineData("There is no preset 'keras-lenet'.", "import", "{model}", "--name", "x", "--preset", "keras-lenet")]
    [InlineData("There is no resizer 'cv2'.", "import", "{model}", "--name", "x", "--resample", "cv2")]
    [InlineData("'a/b' cannot be a model's name", "import", "{model}", "--name", "a/b")]
    [InlineData("There is no label file 'nowhere.txt'.", "import", "{model}", "--name", "x", "--labels", "nowhere.txt")]
    [InlineData("A picture cannot be 0 pixels wide", "import", "{model}", "--name", "x", "--size", "0")]
    [InlineData("There is no file or folder 'nowhere', and no model of that name in", "inspect", "nowhere")]
    [InlineData("There is no input file 'nowhere.f32'.", "infer", "{model}", "--input", "nowhere.f32")]
    [InlineData("The shape '1,x' is not a list of positive numbers", "infer", "{model}", "--input", "{model}", "--shape", "1,x")]
    [InlineData("The type 'int4' is not supported", "infer", "{model}", "--input", "{model}", "--type", "int4")]
    [InlineData("The shape [1, 3, 9, 9] does not fit the input 'x'", "infer", "{model}", "--input", "{nine}", "--shape", "1,3,9,9", "--type", "float32")]
    public async Task A_mistake_is_answered_with_one_sentence(string sentence, params string[] arguments)
    {
        var model = WriteModel();
        var nine = Path.Combine(_folder, "nine.f32");
        await File.WriteAllBytesAsync(nine, new byte[3 * 9 * 9 * 4], TestContext.Current.CancellationToken);
        string[] given =
            [.. arguments.Select(argument => argument.Replace("{model}", model, StringComparison.Ordinal).Replace("{nine}", nine, StringComparison.Ordinal))];

        (var code, _, var error) = await WhatsitCommand.RunAsync(arguments[0] == "import" ? [.. given, "--models", Models] : given);

        Assert.Equal(1, code);
        Assert.StartsWith(sentence, error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
    }

    private static float[] Outputs(string json, string name)
    {
        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.GetProperty("outputs").GetProperty(name).EnumerateArray().Select(value => value.GetSingle())];
    }

    private string WriteModel()
    {
        var builder = new GraphBuilder("colours");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, 16, 24);
        value = builder.AddNode("Conv", "conv",
            [value, builder.AddConstant("w", Numbers.Random(1, 8, 3, 3, 3)), builder.AddConstant("b", Numbers.Random(2, 8))]);
        value = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [builder.AddNode("Relu", "relu", [value])])]);
        value = builder.AddNode("Gemm", "dense", [value, builder.AddConstant("dense_w", Numbers.Random(3, -3, 3, [8, 3]))]);
        builder.AddOutput(builder.AddNode("Softmax", "scores", [value], ("axis", -1L)), ElementType.Float32, -1, 3);
        var path = Path.Combine(_folder, "model.onnx");
        OnnxWriter.Write(builder.Graph, path);
        return path;
    }
}
