using System.Diagnostics;
using Whatsit.Inference;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>A model is data from elsewhere: whatever it says, an import ends soon, in bounds, with a sentence.</summary>
public sealed class BoundedImportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("bounded").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(13_000, 13_000)]
    [InlineData(8, 2_000_000_000)]
    public void A_few_bytes_cannot_ask_for_gigabytes(int height, int width)
    {
        var exception = Assert.Throws<ModelFormatException>(() => Import(Write(height, width)));
        Assert.Equal($"The input 'x' is {width} × {height} pixels; up to 2048 on a side are supported.", exception.Message);
    }

    [Fact]
    public async Task A_pipe_is_not_waited_for()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There is no mkfifo.");
        var pipe = Path.Combine(_folder, "model.onnx");
        using (var made = Process.Start("mkfifo", [pipe, Path.Combine(_folder, "labels.txt")]))
        {
            await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        Assert.StartsWith($"'{pipe}' is empty, or no file", Assert.Throws<ModelFormatException>(() => Import(pipe)).Message, StringComparison.Ordinal);
        Assert.Contains("holds no model that can be read", Assert.Throws<ModelFormatException>(() => Import(_folder)).Message, StringComparison.Ordinal);

        // A link to one is one, and labels beside a model may be one.
        var link = Path.Combine(_folder, "link.onnx");
        File.CreateSymbolicLink(link, pipe);
        Assert.StartsWith($"'{link}' is empty, or no file", Assert.Throws<ModelFormatException>(() => Import(link)).Message, StringComparison.Ordinal);
        Assert.Equal(["class 0", "class 1", "class 2"], Import(Write(16, 16)).Model.Labels);
    }

    [Fact]
    public void Weights_behind_a_link_are_refused()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Links need privileges there.");
        var source = Path.Combine(WhatsitCommand.Root, "tests/data/tfjs/layers");
        foreach (var file in Directory.EnumerateFiles(source))
        {
            var target = Path.Combine(_folder, Path.GetFileName(file));
            if (Path.GetExtension(file) == ".bin")
            {
                File.CreateSymbolicLink(target, file);
            }
            else
            {
                File.Copy(file, target);
            }
        }

        Assert.Contains("is a link, which is not followed", Assert.Throws<ModelFormatException>(() => Import(_folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_damage_ends_in_a_sentence()
    {
        var whole = File.ReadAllBytes(Write(16, 16));
        var random = new Random(11);
        var path = Path.Combine(_folder, "damaged.onnx");
        for (var round = 0; round < 60; round++)
        {
            byte[] damaged = [.. whole];
            for (var flips = 0; flips < 4; flips++)
            {
                // Names and shapes stand in the first part; weights may be anything.
                damaged[random.Next(2, Math.Min(whole.Length, 700))] = (byte)random.Next(256);
            }

            File.WriteAllBytes(path, damaged);
            var exception = Record.Exception(() => Import(path));
            Assert.True(exception is null or ModelFormatException or InferenceException, $"Round {round}: {exception}");
        }
    }

    private ImportReport Import(string path) => ModelImporter.Import(new ImportRequest(path, "bounded", Path.Combine(_folder, "models")), _ => { });

    private string Write(int height, int width)
    {
        var builder = new GraphBuilder("bounded");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, height, width);
        value = builder.AddNode("Conv", "conv", [value, builder.AddConstant("w", Numbers.Random(1, 4, 3, 3, 3))]);
        value = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [value])]);
        value = builder.AddNode("Gemm", "dense", [value, builder.AddConstant("dense_w", Numbers.Random(2, -1, 1, [4, 3]))]);
        builder.AddOutput(builder.AddNode("Softmax", "scores", [value], ("axis", -1L)), ElementType.Float32, -1, 3);
        var path = Path.Combine(_folder, "written.onnx");
        OnnxWriter.Write(builder.Graph, path);
        return path;
    }
}
