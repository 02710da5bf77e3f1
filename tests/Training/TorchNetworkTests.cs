using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Graphs;
using static TorchSharp.torch;
using Tensor = Whatsit.ModelConversion.Graphs.Tensor;

namespace Whatsit.Training.Tests;

/// <summary>A graph as a module answers as the graph does, and what the module learnt the graph answers afterwards.</summary>
public sealed class TorchNetworkTests
{
    private const float Tolerance = 1e-4f;

    private static readonly long[] Two = [2, 2];

    /// <summary>Each adds something to the trunk of a network, on [N, 8, 14, 14].</summary>
    private static readonly Dictionary<string, Func<GraphBuilder, string, string>> Parts = new()
    {
        ["depthwise convolution, padded on one side"] = (builder, x) => builder.AddNode("Conv", "depthwise", [x, Weights(builder, "d", 8, 1, 3, 3),
            Weights(builder, "db", 8)], ("group", 8L), ("strides", Two), ("pads", new long[] { 0, 0, 1, 1 })),
        ["groups and dilations"] = (builder, x) => builder.AddNode("Conv", "grouped", [x, Weights(builder, "g", 12, 4, 3, 3)], ("group", 2L),
            ("dilations", Two)),
        ["padding that follows from the size"] = (builder, x) => builder.AddNode("Conv", "same", [x, Weights(builder, "s", 4, 8, 5, 5)],
            ("auto_pad", "SAME_UPPER"), ("strides", Two)),
        ["batch normalisation and ReLU6"] = (builder, x) => builder.AddNode("Clip", "relu6", [builder.AddNode("BatchNormalization", "bn",
            [x, Weights(builder, "scale", 8), Weights(builder, "shift", 8), Weights(builder, "mean", 8), builder.AddConstant("variance",
                Numbers.Random(5, 0.5f, 2, [8]))]), builder.AddConstant("zero", [0f]), builder.AddConstant("six", [6f])]),
        ["other limits"] = (builder, x) => builder.AddNode("Clip", "lower", [builder.AddNode("Clip", "both", [x, builder.AddConstant("least", [-0.5f]),
            builder.AddConstant("most", [0.75f])]), builder.AddConstant("lowest", [-0.25f])]),
        ["squeeze and excitation"] = (builder, x) => builder.AddNode("Mul", "excite", [x, builder.AddNode("Sigmoid", "gate", [builder.AddNode("Conv", "up",
            [builder.AddNode("HardSwish", "swish", [builder.AddNode("Conv", "down", [builder.AddNode("GlobalAveragePool", "squeeze", [x]),
                Weights(builder, "dw", 2, 8, 1, 1), Weights(builder, "dwb", 2)])]), Weights(builder, "uw", 8, 2, 1, 1)])])]),
        ["a branch that is added"] = (builder, x) => builder.AddNode("Add", "sum", [x, builder.AddNode("Relu", "relu", [builder.AddNode("Conv", "branch",
            [x, Weights(builder, "b", 8, 8, 1, 1)])])]),
        ["pooling with padding on one side"] = (builder, x) => builder.AddNode("AveragePool", "average", [builder.AddNode("MaxPool", "max", [x],
            ("kernel_shape", new long[] { 3, 3 }), ("strides", Two), ("pads", new long[] { 0, 0, 1, 1 }))], ("kernel_shape", new long[] { 3, 3 }),
            ("pads", new long[] { 0, 1, 1, 1 })),
        ["pooling over the last rest"] = (builder, x) => builder.AddNode("AveragePool", "average", [builder.AddNode("MaxPool", "max", [x],
            ("kernel_shape", new long[] { 3, 3 }), ("strides", Two), ("ceil_mode", 1L))], ("kernel_shape", new long[] { 3, 3 }),
            ("pads", new long[] { 1, 1, 1, 1 }), ("count_include_pad", 1L)),
        ["channels that are split, shuffled and joined"] = (builder, x) =>
        {
            var halves = builder.AddNode("Split", "halves", [x, builder.AddInt64Constant("sizes", 3, 5)], 2, ("axis", 1L)).Outputs;
            var joined = builder.AddNode("Concat", "joined", [halves[1], builder.AddNode("Neg", "neg", [halves[0]])], ("axis", 1L));
            var grouped = builder.AddNode("Reshape", "grouped", [joined, builder.AddInt64Constant("groups", 0, 2, 4, 14, 14)]);
            var shuffled = builder.AddNode("Transpose", "shuffled", [grouped], ("perm", new long[] { 0, 2, 1, 3, 4 }));
            return builder.AddNode("Reshape", "ungrouped", [shuffled, builder.AddInt64Constant("sides", 0, 8, 14, 14)]);
        },
        ["a shape that is computed"] = (builder, x) =>
        {
            var shape = builder.AddNode("Shape", "shape", [x]);
            var first = builder.AddNode("Slice", "first", [shape, builder.AddInt64Constant("zero", 0), builder.AddInt64Constant("one", 1)]);
            var sides = builder.AddNode("Concat", "sides", [first, builder.AddInt64Constant("rest", 4, 2, 14, 14)], ("axis", 0L));
            return builder.AddNode("ReduceMean", "mean", [builder.AddNode("Reshape", "pairs", [x, sides])],
                ("axes", new long[] { 2 }), ("keepdims", 0L));
        },
        ["other activations"] = (builder, x) => builder.AddNode("Mul", "product", [
            builder.AddNode("Add", "sum", [builder.AddNode("PRelu", "prelu", [x, builder.AddConstant("slope", Numbers.Random(9, 0, 1, [8, 1, 1]))]),
                builder.AddNode("LeakyRelu", "leaky", [builder.AddNode("Elu", "elu", [x])])]),
            builder.AddNode("HardSigmoid", "hard", [builder.AddNode("Tanh", "tanh", [builder.AddNode("Softplus", "softplus", [x])])])]),
        ["padding and a window of it"] = (builder, x) => builder.AddNode("Slice", "window", [builder.AddNode("Pad", "pad",
            [x, builder.AddInt64Constant("pads", 0, 0, 1, 2, 0, 0, 3, 0), builder.AddConstant("value", [0.5f])]), builder.AddInt64Constant("starts", 1, -9),
            builder.AddInt64Constant("ends", long.MaxValue, -1), builder.AddInt64Constant("axes", 2, 3), builder.AddInt64Constant("steps", 2, 1)]),
    };

    public static TheoryData<string> Names => [.. Parts.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_module_answers_as_its_graph_and_the_graph_as_the_trained_module(string part)
    {
        var graph = Network(Parts[part]);
        using var network = new TorchNetwork(graph, "logits");
        var photos = Pictures();
        Assert.InRange(Numbers.LargestDifference(new Interpreter(graph).Run(photos)["logits"], Answer(network, photos)), 0, Tolerance);

        // Two steps, in which batch normalisations go by the batch and record it.
        network.train();
        var before = network.Learnt.ToDictionary(entry => entry.Key, entry => entry.Value.clone());
        using (var optimizer = optim.SGD(network.parameters(), 0.05))
        {
            for (var step = 0; step < 2; step++)
            {
                optimizer.zero_grad();
                nn.functional.cross_entropy(network.forward(ToTorch(photos)), tensor(new long[] { 0, 1, 2 })).backward();
                optimizer.step();
            }
        }

        // A shift of what is normalised has no effect.
        var moved = network.Learnt.Where(entry => entry.Key != "fb" || !part.StartsWith("batch", StringComparison.Ordinal));
        Assert.All(moved, entry => Assert.False(entry.Value.allclose(before[entry.Key]), entry.Key));
        network.eval();
        var trained = Answer(network, photos);
        var file = Path.GetTempFileName();
        try
        {
            OnnxWriter.Write(network.WriteBack(), file);
            using var runner = new OnnxRunner(file);
            Assert.InRange(Numbers.LargestDifference(runner.Run(new Dictionary<string, Tensor> { ["image"] = photos })["logits"], trained), 0, Tolerance);
            Assert.InRange(Numbers.LargestDifference(new Interpreter(new OnnxReader().Read(file).Graph).Run(photos)["logits"], trained), 0, Tolerance);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void What_cannot_be_trained_is_refused_by_its_name()
    {
        var graph = Network((builder, x) => builder.AddNode("Resize", "larger", [x, "", builder.AddConstant("scales", [1f, 1f, 2f, 2f], 4)]));
        Assert.Equal("The operator 'Resize' (larger) cannot be trained: there is no derivative for it here.",
            Assert.Throws<ModelFormatException>(() => new TorchNetwork(graph, "logits")).Message);
    }

    [Fact]
    public void Weights_that_read_bytes_are_learnt_as_large_as_others()
    {
        var graph = Network((_, x) => x);
        var scaled = graph.Nodes.Find(node => node.Op == "Mul")!;
        graph.Nodes.Remove(scaled);
        var first = graph.Nodes.Find(node => node.Name == "first")!;
        first.Inputs[0] = scaled.Inputs[0];
        graph.Constants["f"] = Tensor.Float32([8, 3, 3, 3], Array.ConvertAll(graph.Constants["f"].ToFloats(), weight => weight / 127.5f));
        var before = graph.Constants["f"].ToFloats();
        using var network = new TorchNetwork(graph, "logits");
        Assert.InRange(network.Learnt["f"].abs().max().item<float>(), 0.4f, 0.5f);
        Assert.InRange(Numbers.LargestDifference(new Interpreter(graph).Run(Pictures())["logits"], Answer(network, Pictures())), 0, Tolerance);
        Assert.All(before.Zip(network.WriteBack().Constants["f"].ToFloats()), pair => Assert.Equal(pair.First, pair.Second, 7));
    }

    [Fact]
    public void The_last_layer_and_all_others_are_told_apart()
    {
        using var network = new TorchNetwork(Network((_, x) => x), "logits");
        Assert.Equal(2, network.ParametersOf(head: true).Count());
        Assert.Equal(2, network.ParametersOf(head: false).Count());
        Assert.Equal("head", network.LastLayer.Name);
    }

    /// <summary>Pixels as bundles take them, a convolution, the part, and a head.</summary>
    private static Graph Network(Func<GraphBuilder, string, string> part)
    {
        var builder = new GraphBuilder("parts");
        var image = builder.AddInput("image", ElementType.UInt8, -1, 28, 28, 3);
        var x = builder.AddNode("Cast", "float", [builder.AddNode("Transpose", "planes", [image], ("perm", new long[] { 0, 3, 1, 2 }))],
            ("to", (long)ElementType.Float32));
        x = builder.AddNode("Mul", "scaled", [x, builder.AddConstant("scale_of_pixels", [1 / 127.5f])]);
        x = builder.AddNode("Conv", "first", [x, Weights(builder, "f", 8, 3, 3, 3), Weights(builder, "fb", 8)], ("strides", Two),
            ("pads", new long[] { 1, 1, 1, 1 }));
        x = part(builder, x);
        var shape = new Interpreter(Ends(builder.Graph, x)).Run(Pictures())[x].Shape;
        builder.Graph.Outputs.Clear();
        x = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [x])]);
        builder.Graph.Nodes.Add(new Node("Gemm", "head", [x, Weights(builder, "h", 3, shape[1]), Weights(builder, "hb", 3)], ["logits"])
        {
            Attributes = { ["transB"] = 1L },
        });
        builder.AddOutput("logits", ElementType.Float32, -1, 3);
        return builder.Graph;
    }

    private static Graph Ends(Graph graph, string value)
    {
        graph.Outputs.Add(new GraphValue(value, ElementType.Float32, [-1]));
        return graph;
    }

    private static string Weights(GraphBuilder builder, string name, params int[] shape) =>
        builder.AddConstant(name, Numbers.Random(name.Length + shape.Length + shape[0], -0.5f, 0.5f, shape));

    private static Tensor Pictures()
    {
        var pixels = new byte[3 * 28 * 28 * 3];
        new Random(1).NextBytes(pixels);
        return new Tensor(ElementType.UInt8, [3, 28, 28, 3], pixels);
    }

    private static TorchSharp.torch.Tensor ToTorch(Tensor photos) => tensor(photos.Data.ToArray(), [3, 28, 28, 3]).to_type(ScalarType.Float32);

    private static Tensor Answer(TorchNetwork network, Tensor photos)
    {
        network.eval();
        using var nothing = no_grad();
        return Tensor.Float32([3, 3], network.forward(ToTorch(photos)).data<float>().ToArray());
    }
}
