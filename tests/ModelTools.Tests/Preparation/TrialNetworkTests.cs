using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Preprocessing;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Preparation;

/// <summary>A network with one scaling in it, and what it answers under another.</summary>
public sealed class TrialNetworkTests : IDisposable
{
    private const int Side = 16;

    private readonly string _folder = Directory.CreateTempSubdirectory("trial-").FullName;

    public static TheoryData<int, string, string> Pairs
    {
        get
        {
            string[] grey = ["zero-to-one", "minus-one-to-one", "none", "inverted"];
            string[] colours = [.. grey, "keras-vgg16", "keras-densenet", "zero-to-one-bgr"];
            return new([
                .. grey.SelectMany(own => grey.Select(other => (1, own, other))),
                .. colours.SelectMany(own => colours.Select(other => (3, own, other))),
            ]);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Pairs))]
    public void It_answers_as_the_network_with_the_other_one_in_it(int channels, string own, string other)
    {
        var (manifest, path) = Import(channels, own, "one");
        var (wanted, wantedPath) = Import(channels, other, "two");
        var pixels = new byte[Side * Side * 3];
        new Random(3).NextBytes(pixels);
        var expected = Answer(wanted, wantedPath, pixels);
        var scaling = Scaling.Of(wanted.Preprocessing);

        using var network = new TrialNetwork(manifest, path);
        Assert.Equal((channels, true), (network.Channels, network.Scales));
        Close(expected, network.Run(pixels, scaling));

        var graph = new OnnxReader().Read(path).Graph;
        BytesFront.Rescale(graph, manifest.Input, scaling.Instead(Scaling.Of(manifest.Preprocessing)));
        var rescaled = Path.Combine(_folder, "rescaled.onnx");
        OnnxWriter.Write(graph, rescaled);
        Close(expected, Answer(manifest, rescaled, pixels));
    }

    [Fact]
    public void A_network_that_does_not_run_says_so_in_its_own_words()
    {
        var (manifest, path) = Import(3, "none", "one");
        using var network = new TrialNetwork(manifest with { Input = manifest.Input with { Width = 2 * Side } }, path);
        LabelledPhoto photo = new(Path.Combine(Path.GetDirectoryName(path)!, manifest.Sample!.File), "sample", 0);

        var exception = Assert.Throws<ModelFormatException>(() => new PhotoTrials(network, null).Run([photo],
            [PicturePreparation.Of(manifest.Preprocessing)], "Trying", _ => { }, TestContext.Current.CancellationToken));

        Assert.Contains("could not run the model", exception.Message, StringComparison.Ordinal);
    }

    private static void Close(float[] expected, float[] actual) => Assert.InRange(expected.Zip(actual, (one, other) => Math.Abs(one - other)).Max(), 0, 1e-4);

    private static float[] Answer(ModelManifest manifest, string path, byte[] pixels)
    {
        using var runner = new OnnxRunner(path);
        return runner.Run(new Dictionary<string, Tensor> { [manifest.Input.Name] = new(ElementType.UInt8, [1, Side, Side, 3], pixels) },
            manifest.Output.Name)[manifest.Output.Name].ToFloats();
    }

    /// <summary>A network whose answers are far from 0 and 1 whatever it is fed with.</summary>
    private (ModelManifest Manifest, string Path) Import(int channels, string preset, string name)
    {
        var builder = new GraphBuilder("trial");
        var x = builder.AddInput("x", ElementType.Float32, -1, channels, Side, Side);
        x = builder.AddNode("Conv", "conv",
            [x, builder.AddConstant("w", Numbers.Random(1, -0.05f, 0.05f, [8, channels, 3, 3])), builder.AddConstant("b", Numbers.Random(2, 8))],
            ("pads", new long[] { 1, 1, 1, 1 }));
        x = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [builder.AddNode("Relu", "relu", [x])])]);
        x = builder.AddNode("Gemm", "dense", [x, builder.AddConstant("v", Numbers.Random(3, -0.2f, 0.2f, [8, 3]))]);
        builder.AddOutput(builder.AddNode("Softmax", "scores", [x], ("axis", -1L)), ElementType.Float32, -1, 3);
        var path = Path.Combine(_folder, $"{name}.onnx");
        OnnxWriter.Write(builder.Graph, path);
        var report = ModelImporter.Import(new ImportRequest(path, name, Path.Combine(_folder, "models")) { Preset = preset }, _ => { });
        return (report.Manifest, Path.Combine(report.Folder, report.Manifest.Files["fp32"].File));
    }
}
