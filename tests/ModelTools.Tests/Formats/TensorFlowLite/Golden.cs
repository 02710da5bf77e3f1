using System.Text.Json;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

/// <summary>Models and what their own runtimes answer, in <c>shared/models</c> beside the repository; and the small ones in <c>tests/data</c>.</summary>
internal static class Golden
{
    public static string Repository { get; } = Up(AppContext.BaseDirectory, "Server.sln");

    public static string Data(string path) => Path.Combine(Repository, "tests", "data", path);

    /// <summary>A file of <c>shared/models</c>; the test is skipped where there is none.</summary>
    public static string Shared(string path)
    {
        var full = Path.Combine(Repository, "..", "shared", "models", path);
        Assert.SkipUnless(Path.Exists(full), $"shared/models/{path} is not beside the repository.");
        return full;
    }

    public static IEnumerable<(string Input, string Encoding, float[] Output)> Cases(string model)
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Shared("golden/golden.json")));
        foreach (var sample in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            if (sample.GetProperty("model").GetString() == model)
            {
                yield return (sample.GetProperty("input").GetString()!, sample.GetProperty("inputEncoding").GetString()!,
                    [.. sample.GetProperty("output").EnumerateArray().Select(value => value.GetSingle())]);
            }
        }
    }

    /// <summary>
    /// The raw input as the model's input tensor, in the model's own element type. Bytes "as is" are pixels: a model that takes floats gets them as its own
    /// preprocessing says.
    /// </summary>
    public static Tensor Input(string file, string encoding, ImportedModel model)
    {
        var bytes = File.ReadAllBytes(Shared(Path.Combine("golden", file)));
        var input = model.Graph.Inputs[0];
        int[] shape = [.. input.Shape.Select(side => Math.Max(side, 1))];
        return encoding switch
        {
            "raw float32" => new Tensor(ElementType.Float32, shape, bytes),
            "uint8 / 127.5 - 1 as float32" => Tensor.Float32(shape, Array.ConvertAll(bytes, pixel => (pixel / 127.5f) - 1)),
            "uint8 fed as is" when input.Type == ElementType.UInt8 => new Tensor(ElementType.UInt8, shape, bytes),
            "uint8 fed as is" when model.Preprocessing is { } preprocessing => Tensor.Float32(shape,
                [.. bytes.Select((pixel, i) =>
                    (float)(((pixel * preprocessing.RescaleFactor) - preprocessing.ImageMean[i % shape[^1]]) / preprocessing.ImageStd[i % shape[^1]]))]),
            _ => throw new InvalidOperationException(encoding),
        };
    }

    /// <summary>What ONNX Runtime answers for the graph, with nothing but layout and padding rewritten.</summary>
    public static IReadOnlyDictionary<string, Tensor> OnnxRuntime(Graph graph, Tensor input)
    {
        var copy = new Graph { Name = graph.Name };
        copy.Inputs.AddRange(graph.Inputs);
        copy.Outputs.AddRange(graph.Outputs);
        foreach ((var name, var constant) in graph.Constants)
        {
            copy.Constants.Add(name, constant);
        }

        foreach (var node in graph.Nodes)
        {
            var twin = new Node(node.Op, node.Name, node.Inputs, node.Outputs) { ChannelsLast = node.ChannelsLast };
            foreach ((var name, var value) in node.Attributes)
            {
                twin.Attributes.Add(name, value);
            }

            copy.Nodes.Add(twin);
        }

        ChannelsFirst.Apply(copy);
        ExplicitPadding.Apply(copy);
        using var runner = new OnnxRunner(copy);
        return runner.Run(new Dictionary<string, Tensor> { [graph.Inputs[0].Name] = input });
    }

    /// <summary>Agreement of float models: 1e-4 on every output.</summary>
    public static void Agrees(float[] expected, ReadOnlySpan<float> actual, float tolerance = 1e-4f)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance, $"Output {i} is {actual[i]}, expected {expected[i]} ± {tolerance}.");
        }
    }

    /// <summary>
    /// Agreement of quantized models whose outputs are in 1/256: the same top-1 unless the two best lie within 8, at most 8 on any output, 1 on average.
    /// </summary>
    public static void AgreesQuantized(float[] expected, ReadOnlySpan<float> actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        float worst = 0, sum = 0;
        for (var i = 0; i < expected.Length; i++)
        {
            var difference = Math.Abs(expected[i] - actual[i]);
            worst = Math.Max(worst, difference);
            sum += difference;
        }

        Assert.True(worst <= 8, $"The largest difference is {worst}/256.");
        Assert.True(sum / expected.Length <= 1, $"The average difference is {sum / expected.Length}/256.");
        float[] best = [.. expected.OrderDescending().Take(2)];
        if (best[0] - best[1] > 8)
        {
            Assert.Equal(Array.IndexOf(expected, best[0]), Array.IndexOf(actual.ToArray(), actual.ToArray().Max()));
        }
    }

    private static string Up(string folder, string file) =>
        File.Exists(Path.Combine(folder, file)) ? folder
            : Up(Path.GetDirectoryName(folder) ?? throw new InvalidOperationException($"No {file} above the tests."), file);
}
