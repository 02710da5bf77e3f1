using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Onnx;

/// <summary>Operators that stand for several: ONNX Runtime runs the file as it is, we what we read, and it what we write of it.</summary>
public sealed class FusedOperatorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("fused").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static readonly Dictionary<string, (long Opset, int[] Input, Func<GraphBuilder, string, string> Build)> Cases = new()
    {
        ["Gelu"] = (17, [2, 3, 4], (builder, x) => builder.AddNode("Gelu", "it", [x])),
        ["QuickGelu"] = (17, [2, 3, 4], (builder, x) => builder.AddNode("QuickGelu", "it", [x])),
        ["QuickGelu of another slope"] = (17, [2, 3, 4], (builder, x) => builder.AddNode("QuickGelu", "it", [x], ("alpha", 1f))),
        ["FastGelu"] = (17, [2, 3, 4], (builder, x) => builder.AddNode("FastGelu", "it", [x, Weight(builder, 4)])),
        ["BiasGelu"] = (17, [2, 3, 4], (builder, x) => builder.AddNode("BiasGelu", "it", [x, Weight(builder, 4)])),
        ["SkipLayerNormalization"] = (17, [2, 3, 4], (builder, x) => builder.AddNode("SkipLayerNormalization", "it",
            [x, Weight(builder, 2, 3, 4), Weight(builder, 4), Weight(builder, 4), Weight(builder, 4)], ("epsilon", 1e-3f))),
        ["SkipLayerNormalization and its sum"] = (17, [2, 3, 4], BothSums),
        ["FusedMatMul"] = (17, [2, 2, 3, 4], (builder, x) => builder.AddNode("FusedMatMul", "it", [x, Weight(builder, 5, 4)], ("transB", 1L), ("alpha", 0.3f))),
        ["FusedMatMul of heads"] = (17, [2, 2, 3, 4], (builder, x) => builder.AddNode("FusedMatMul", "it", [x, x], ("transA", 1L))),
        ["FusedConv"] = (17, [1, 3, 6, 6], (builder, x) => builder.AddNode("FusedConv", "it", [x, Weight(builder, 4, 3, 3, 3), Weight(builder, 4)],
            ("activation", "Clip"), ("activation_params", new[] { 0f, 0.5f }), ("pads", new long[] { 1, 1, 1, 1 }))),
        ["FusedConv with an addend"] = (17, [1, 3, 6, 6], (builder, x) => builder.AddNode("FusedConv", "it",
            [x, Weight(builder, 3, 3, 3, 3), Weight(builder, 3), x], ("activation", "Relu"), ("pads", new long[] { 1, 1, 1, 1 }))),
        ["FusedGemm"] = (17, [3, 4], (builder, x) => builder.AddNode("FusedGemm", "it", [x, Weight(builder, 5, 4), Weight(builder, 5)],
            ("activation", "LeakyRelu"), ("activation_alpha", 0.01f), ("transB", 1L))),
        ["GroupNormalization"] = (21, [2, 6, 3, 4], (builder, x) => builder.AddNode("GroupNormalization", "it", [x, Weight(builder, 6), Weight(builder, 6)],
            ("num_groups", 3L), ("epsilon", 1e-3f))),
        ["GroupNormalization by groups"] = (18, [2, 6, 3, 4], (builder, x) => builder.AddNode("GroupNormalization", "it",
            [x, Weight(builder, 3), Weight(builder, 3)], ("num_groups", 3L))),
        ["RMSNormalization"] = (23, [2, 3, 4], (builder, x) => builder.AddNode("RMSNormalization", "it", [x, Weight(builder, 4)], ("epsilon", 1e-3f))),
        ["Attention"] = (23, [2, 3, 5, 4], (builder, x) => builder.AddNode("Attention", "it", [x, Weight(builder, 2, 3, 7, 4), Weight(builder, 2, 3, 7, 6)])),
        ["Attention with heads within"] = (23, [2, 5, 12], (builder, x) => builder.AddNode("Attention", "it", [x, x, Weight(builder, 2, 5, 12)],
            ("q_num_heads", 3L), ("kv_num_heads", 3L), ("scale", 0.7f))),
        ["Attention with a mask of numbers"] = (23, [2, 3, 5, 4], (builder, x) => builder.AddNode("Attention", "it", [x, x, x, Weight(builder, 5, 5)])),
        ["Attention with a mask of truths"] = (23, [2, 3, 5, 4], (builder, x) => builder.AddNode("Attention", "it", [x, x, x, builder.AddNode("Greater", "mask",
            [Weight(builder, 5, 5), builder.AddConstant("zero", [-0.6f])])])),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void An_operator_that_stands_for_several_answers_what_ONNX_Runtime_answers(string name)
    {
        (var opset, var shape, var build) = Cases[name];
        var builder = new GraphBuilder(name);
        var y = build(builder, builder.AddInput("x", ElementType.Float32, shape));
        builder.AddOutput(y, ElementType.Float32, [.. shape.Select(_ => -1)]);
        var path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, OnnxFiles.ToBytes(builder.Graph, opset, op => opset == 17 && op == name.Split(' ')[0]));
        var input = Numbers.Random(7, -3, 3, shape);
        using var original = new OnnxRunner(path);
        var expected = original.Run(new Dictionary<string, Tensor> { ["x"] = input })[y];

        var read = new OnnxReader().Read(path).Graph;
        using var rewritten = new OnnxRunner(read);

        Assert.InRange(expected.ToFloats().Distinct().Count(), 4, int.MaxValue);
        Assert.InRange(Numbers.LargestDifference(expected, new Interpreter(read).Run(input)[y]), 0, 1e-5f);
        Assert.InRange(Numbers.LargestDifference(expected, rewritten.Run(new Dictionary<string, Tensor> { ["x"] = input })[y]), 0, 1e-5f);
    }

    [Fact]
    public void Swish_is_a_product_with_a_sigmoid()
    {
        var builder = new GraphBuilder("swish");
        var y = builder.AddNode("Swish", "it", [builder.AddInput("x", ElementType.Float32, 3)], ("alpha", 2f));
        builder.AddOutput(y, ElementType.Float32, 3);

        var read = OnnxReader.Read(OnnxFiles.ToBytes(builder.Graph, 24), _folder).Graph;

        Assert.Equal(["Mul", "Sigmoid", "Mul"], read.Nodes.Select(node => node.Op));
        var answer = new Interpreter(read).Run(Tensor.Float32([3], [-1, 0, 2]))[y];
        Assert.InRange(Numbers.LargestDifference(Tensor.Float32([3], [-0.11920292f, 0, 1.9640276f]), answer), 0, 1e-6f);
    }

    [Theory]
    [InlineData("is_causal", 1L)]
    [InlineData("softcap", 2f)]
    [InlineData("kv_num_heads", 1L)]
    public void Attention_of_another_kind_is_refused(string attribute, object value)
    {
        var builder = new GraphBuilder("attention");
        var x = builder.AddInput("x", ElementType.Float32, 1, 5, 12);
        var node = builder.AddNode("Attention", "it", [x, x, x], outputs: 1, ("q_num_heads", 3L), ("kv_num_heads", 3L));
        node.Attributes[attribute] = value;
        builder.AddOutput(node.Outputs[0], ElementType.Float32, 1, 5, 12);

        Assert.Contains("The operator 'Attention' (it) remembers what came before",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(OnnxFiles.ToBytes(builder.Graph, 23), _folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Functions_are_replaced_by_their_nodes()
    {
        // outer(x, y) = inner(x; slope = by) + inner(y; slope = 2), inner(x; slope) = leaky(x; slope) · its own sum
        var inner = new GraphBuilder("inner");
        var leaky = inner.AddNode("LeakyRelu", "leaky", [inner.AddInput("x", ElementType.Float32, 4)], ("alpha", "@slope:1"));
        inner.AddOutput(inner.AddNode("Mul", "product", [leaky, inner.AddNode("Add", "sum", [leaky, leaky])]), ElementType.Float32, 4);
        var outer = new GraphBuilder("outer");
        (var first, var second) = (outer.AddInput("x", ElementType.Float32, 4), outer.AddInput("y", ElementType.Float32, 4));
        var one = outer.AddNode("inner", "one", [first], ("slope", "@by:1"));
        outer.AddOutput(outer.AddNode("Add", "sum", [one, outer.AddNode("inner", "two", [second], ("slope", 2f))]), ElementType.Float32, 4);
        var graph = new GraphBuilder("model");
        var x = graph.AddInput("x", ElementType.Float32, 4);
        var a = graph.AddNode("outer", "a", [x, graph.AddConstant("c", [1, -1, 2, -2], 4)], ("by", 0.5f));
        var y = graph.AddNode("outer", "b", [a, x], ("by", 0.25f));
        graph.AddOutput(y, ElementType.Float32, 4);
        var path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, OnnxFiles.ToBytes(graph.Graph, 17, null, ("inner", inner.Graph, ["slope"]), ("outer", outer.Graph, ["by"])));
        var input = Tensor.Float32([4], [-2, -0.5f, 0.5f, 3]);
        using var original = new OnnxRunner(path);
        var expected = original.Run(new Dictionary<string, Tensor> { ["x"] = input })[y];

        var read = new OnnxReader().Read(path).Graph;

        Assert.Equal(14, read.Nodes.Count);
        Assert.Equal(0, Numbers.LargestDifference(expected, new Interpreter(read).Run(input)[y]));
    }

    [Fact]
    public void A_function_that_calls_itself_is_refused()
    {
        var again = new GraphBuilder("again");
        again.AddOutput(again.AddNode("again", "call", [again.AddInput("x", ElementType.Float32, 4)]), ElementType.Float32, 4);
        var graph = new GraphBuilder("model");
        graph.AddOutput(graph.AddNode("again", "a", [graph.AddInput("x", ElementType.Float32, 4)]), ElementType.Float32, 4);

        Assert.Contains("is a function that calls itself", Assert.Throws<ModelFormatException>(() =>
            OnnxReader.Read(OnnxFiles.ToBytes(graph.Graph, 17, null, ("again", again.Graph, [])), _folder)).Message, StringComparison.Ordinal);
    }

    private static string BothSums(GraphBuilder builder, string x)
    {
        var node = builder.AddNode("SkipLayerNormalization", "it", [x, Weight(builder, 2, 3, 4), Weight(builder, 4)], outputs: 4);
        (node.Outputs[1], node.Outputs[2]) = ("", "");
        return builder.AddNode("Mul", "both", [node.Outputs[0], node.Outputs[3]]);
    }

    private static string Weight(GraphBuilder builder, params int[] shape) =>
        builder.AddConstant("weight", Numbers.Random(builder.Graph.Constants.Count + 10, shape));
}
