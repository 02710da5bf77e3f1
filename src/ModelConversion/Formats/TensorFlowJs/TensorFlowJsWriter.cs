using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>What is written, and what the network's input means.</summary>
/// <param name="Preprocessing">How a pixel becomes the network's input.</param>
/// <param name="TakesPixels">The network takes 0–255 itself and does that arithmetic inside.</param>
/// <param name="ChannelsFirst">The network's input is N C H W.</param>
/// <param name="Labels">In index order.</param>
/// <param name="Half">Weights of half precision: half the bytes to load.</param>
public sealed record TensorFlowJsOptions(PreprocessingSpec Preprocessing, bool TakesPixels, bool ChannelsFirst, IReadOnlyList<string> Labels, bool Half)
{
    /// <summary>
    /// Bytes of each file of weights; 0 for one file, whatever its size. The default, 4 MB (4,194,304), is what browsers keep in their caches.
    /// </summary>
    public int ShardBytes { get; init; } = 4 << 20;
}

/// <summary>
/// Writes a graph model for TensorFlow.js: <c>model.json</c>, weight shards, and beside them <c>classes.json</c>, the labels, and <c>metadata.json</c>.
/// Whatever the network was trained on, the exported model takes what TensorFlow's own examples and the tutorial's front end feed: 32-bit floats, N H W C,
/// RGB, <c>pixel / 127.5 - 1</c>. The rest of the network's own normalisation is in the graph.
/// </summary>
public static class TensorFlowJsWriter
{
    /// <summary>The input's name.</summary>
    public const string Input = "image";

    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the model into a folder, which is made if need be.</summary>
    /// <returns>The files with their sizes, <c>model.json</c> first.</returns>
    /// <exception cref="ModelFormatException">An operator has no counterpart in TensorFlow.js.</exception>
    public static IReadOnlyList<(string File, long Bytes)> Write(Graph graph, string folder, TensorFlowJsOptions options)
    {
        if (graph.Inputs is not [{ Shape.Length: 4 } input] || graph.Outputs.Count == 0)
        {
            throw new ModelFormatException(
                $"A model with one picture as input can be exported; this one has {Counted.Of(graph.Inputs.Count, "input")} " +
                $"({string.Join(", ", graph.Inputs.Select(value => value.Name))}).");
        }

        var channels = input.Shape[options.ChannelsFirst ? 1 : 3];
        (var result, var outputs) = GraphModelExport.Convert(graph, Input, options.ChannelsFirst, FromUnitRange(options, channels));
        Directory.CreateDirectory(folder);
        var weights = Serialize(result, options.Half, out var specs);
        var shards = new List<(string File, long Bytes)>();
        var size = options.ShardBytes == 0 ? Math.Max(1, weights.Length) : options.ShardBytes;
        var count = Math.Max(1, (int)(((long)weights.Length + size - 1) / size));
        for (var shard = 0; shard < count; shard++)
        {
            ReadOnlySpan<byte> part = weights.AsSpan(shard * size, Math.Min(size, weights.Length - (shard * size)));
            var name = $"group1-shard{shard + 1}of{count}.bin";
            File.WriteAllBytes(Path.Combine(folder, name), part);
            shards.Add((name, part.Length));
        }

        var version = typeof(TensorFlowJsWriter).Assembly.GetName().Version?.ToString(3) ?? "";
        var model = new JsonObject
        {
            ["format"] = "graph-model",
            ["generatedBy"] = $"whatsit {version}",
            ["convertedBy"] = $"whatsit {version}",
            ["signature"] = new JsonObject
            {
                ["inputs"] = new JsonObject { [Input] = Describe(Input, result.Nodes[0]["attr"]!["shape"]!["shape"]!) },
                ["outputs"] = new JsonObject(graph.Outputs.Zip(outputs, (output, node) => KeyValuePair.Create<string, JsonNode?>(
                    output.Name, Describe(node, TensorFlowGraph.Dimensions(Array.ConvertAll(output.Shape, side => (long)side)))))),
            },
            ["modelTopology"] = new JsonObject
            {
                ["node"] = new JsonArray([.. result.Nodes]),
                ["library"] = new JsonObject(),
                ["versions"] = new JsonObject { ["producer"] = 1482 }
            },
            ["weightsManifest"] =
                new JsonArray(new JsonObject { ["paths"] = new JsonArray([.. shards.Select(shard => JsonValue.Create(shard.File))]), ["weights"] = specs }),
        };
        return
        [
            Save(folder, "model.json", model.ToJsonString(Json)),
            .. shards,
            Save(folder, "classes.json", Names(options).ToJsonString(Json) + "\n"),
            Save(folder, "metadata.json", Metadata(options, input.Shape[options.ChannelsFirst ? 2 : 1], input.Shape[options.ChannelsFirst ? 3 : 2])
                .ToJsonString(Json) + "\n"),
        ];
    }

    /// <summary>The network's input in terms of −1…1, per channel.</summary>
    private static ChannelAffine FromUnitRange(TensorFlowJsOptions options, int channels)
    {
        var spec = options.Preprocessing;
        if (!options.TakesPixels && spec.ChannelOrder == ChannelOrder.Bgr)
        {
            throw new ModelFormatException("A network that takes BGR floats cannot be exported as it is; import it, and the bundle takes RGB pixels.");
        }

        // pixel = 127.5 · x + 127.5, then as the specification says: (pixel · rescale − mean) ÷ std.
        double Scale(int c) => options.TakesPixels ? 127.5 : 127.5 * spec.RescaleFactor / spec.ImageStd[c];
        double Shift(int c) => options.TakesPixels ? 127.5 : ((127.5 * spec.RescaleFactor) - spec.ImageMean[c]) / spec.ImageStd[c];
        return new ChannelAffine([.. Enumerable.Range(0, channels).Select(Scale)], [.. Enumerable.Range(0, channels).Select(Shift)]);
    }

    private static byte[] Serialize(TensorFlowGraph graph, bool half, out JsonArray specs)
    {
        specs = [];

        // An output of a depthwise convolution is a sum of nine products, too few for their rounding errors to cancel out: for MobileNetV2 these kernels, 3 %
        // of the weights, would be three quarters of the difference. Biases and scales are as few.
        HashSet<string> single = [.. graph.Nodes.Where(node => ((string)node["op"]!).Contains("Depthwise", StringComparison.Ordinal))
            .Select(node => (string)node["input"]![1]!)];
        using var bytes = new MemoryStream();
        foreach ((var name, var value) in graph.Weights)
        {
            var spec = new JsonObject
            {
                ["name"] = name,
                ["shape"] = new JsonArray([.. value.Shape.Select(side => JsonValue.Create(side))]),
                ["dtype"] = value.Type switch
                {
                    ElementType.Float32 => "float32",
                    ElementType.Int32 => "int32",
                    ElementType.Bool => "bool",
                    _ => throw new ModelFormatException($"The constant '{name}' is of the type {value.Type}, which TensorFlow.js does not have."),
                },
            };
            specs.Add(spec);

            // What half precision cannot hold stays as it is.
            if (half && value.Type == ElementType.Float32 && value.Shape.Length >= 2 && !single.Contains(name)
                && Array.TrueForAll(value.ToFloats(), number => float.Abs(number) <= (float)System.Half.MaxValue))
            {
                spec["quantization"] = new JsonObject { ["dtype"] = "float16", ["original_dtype"] = "float32" };
                bytes.Write(Tensor.FromDoubles(ElementType.Float16, value.Shape, value.ToDoubles()).Data.Span);
            }
            else
            {
                bytes.Write(value.Data.Span);
            }
        }

        return bytes.ToArray();
    }

    /// <summary>Labels and size in Teachable Machine's words, and the preparation in the manifest's (<c>models/README.md</c>); our reader takes both.</summary>
    private static JsonObject Metadata(TensorFlowJsOptions options, int height, int width) => new()
    {
        ["labels"] = Names(options),
        ["imageSize"] = width,
        ["input"] = new JsonObject { ["name"] = Input, ["type"] = "float32", ["layout"] = "nhwc", ["width"] = width, ["height"] = height },
        ["preprocessing"] = JsonSerializer.SerializeToNode(
            options.Preprocessing with
            {
                RescaleFactor = 1 / 127.5,
                ImageMean = [1, 1, 1],
                ImageStd = [1, 1, 1],
                ChannelOrder = ChannelOrder.Rgb,
                Evidence = null,
            },
                ManifestJson.Default.PreprocessingSpec),
    };

    private static JsonArray Names(TensorFlowJsOptions options) => [.. options.Labels.Select(label => JsonValue.Create(label.Split('\t')[0]))];

    private static JsonObject Describe(string node, JsonNode shape) => new()
    {
        ["name"] = node.Contains(':', StringComparison.Ordinal) ? node : $"{node}:0",
        ["dtype"] = "DT_FLOAT",
        ["tensorShape"] = shape.DeepClone(),
    };

    private static (string, long) Save(string folder, string name, string text)
    {
        var path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        return (name, new FileInfo(path).Length);
    }
}
