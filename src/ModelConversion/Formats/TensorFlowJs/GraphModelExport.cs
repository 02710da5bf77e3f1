using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.TensorFlow;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>value × scale + shift, per channel: what stands between the numbers that the exported model is fed with and those that its network takes.</summary>
internal sealed record ChannelAffine(double[] Scale, double[] Shift);

/// <summary>
/// From the common graph, channels first or last, to TensorFlow's operators, which keep channels last. Every picture-like value is <em>held</em> as
/// N H W C from the input to the pooling; a Transpose is written only where an operator needs ONNX's own order:
/// <code>
///   image ─► _FusedConv2D ─► FusedDepthwiseConv2dNative ─► … ─► AddV2 ─► Mean ─► _FusedMatMul ─► Softmax
/// </code>
/// Bias and activation are fused into the convolution or product before them, as TensorFlow's own converter does.
/// </summary>
internal sealed class GraphModelExport
{
    private static readonly long[] ToFirst = [0, 3, 1, 2];
    private static readonly long[] ToLast = [0, 2, 3, 1];

    private static readonly Dictionary<string, Action<GraphModelExport, Node>> Table = new(StringComparer.Ordinal)
    {
        ["Conv"] = (export, node) => export.Conv(node),
        ["Gemm"] = (export, node) => export.Gemm(node),
        ["MatMul"] = (export, node) => export.MatMul(node),
        ["BatchNormalization"] = (export, node) => export.BatchNorm(node),
        ["MaxPool"] = (export, node) => export.Pool(node),
        ["AveragePool"] = (export, node) => export.Pool(node),
        ["GlobalMaxPool"] = (export, node) => export.GlobalPool(node, "Max"),
        ["GlobalAveragePool"] = (export, node) => export.GlobalPool(node, "Mean"),
        ["LRN"] = (export, node) => export.LocalResponseNormalization(node),
        ["Softmax"] = (export, node) => export.Softmax(node),
        ["LogSoftmax"] = (export, node) => export.Softmax(node),
        ["Add"] = (export, node) => export.Binary(node, "AddV2"),
        ["Sub"] = (export, node) => export.Binary(node, "Sub"),
        ["Mul"] = (export, node) => export.Binary(node, "Mul"),
        ["Div"] = (export, node) => export.Binary(node, "RealDiv"),
        ["Pow"] = (export, node) => export.Binary(node, "Pow"),
        ["Max"] = (export, node) => export.Binary(node, "Maximum"),
        ["Min"] = (export, node) => export.Binary(node, "Minimum"),
        ["Sum"] = (export, node) => export.Binary(node, "AddV2"),
        ["PRelu"] = (export, node) => export.Binary(node, "Prelu"),
        ["Clip"] = (export, node) => export.Clip(node),
        ["LeakyRelu"] = (export, node) =>
            export.Unary(node, (graph, name, x) => graph.Add("LeakyRelu", name, [x], ("alpha", TensorFlowGraph.Float(node.Float("alpha", 0.01f))))),
        ["HardSwish"] = (export, node) => export.Unary(node, HardSwish),
        ["HardSigmoid"] = (export, node) =>
            export.Unary(node, (graph, name, x) => HardSigmoid(graph, name, x, node.Float("alpha", 0.2f), node.Float("beta", 0.5f))),
        ["Gelu"] = (export, node) => export.Unary(node, Gelu),
        ["Mish"] = (export, node) => export.Unary(node,
            (graph, name, x) => graph.Add("Mul", name, [x, graph.Add("Tanh", $"{name}/tanh", [graph.Add("Softplus", $"{name}/softplus", [x])])])),
        ["Softsign"] = (export, node) => export.Unary(node, (graph, name, x) =>
            graph.Add("RealDiv", name, [x, graph.Add("AddV2", $"{name}/sum", [graph.Add("Abs", $"{name}/abs", [x]), graph.Constant($"{name}/one", [1f])])])),
        ["Identity"] = (export, node) => export.Alias(node),
        ["Dropout"] = (export, node) => export.Alias(node),
        ["Cast"] = (export, node) => export.Cast(node),
        ["DequantizeLinear"] = (export, node) => export.DequantizePixels(node),
        ["Transpose"] = (export, node) => export.Transpose(node),
        ["Reshape"] = (export, node) => export.Reshape(node),
        ["Flatten"] = (export, node) => export.Reshape(node),
        ["Squeeze"] = (export, node) => export.Reshape(node),
        ["Unsqueeze"] = (export, node) => export.Reshape(node),
        ["Concat"] = (export, node) => export.Concat(node),
        ["Split"] = (export, node) => export.Split(node),
        ["Slice"] = (export, node) => export.Slice(node),
        ["Gather"] = (export, node) => export.Gather(node),
        ["Pad"] = (export, node) => export.Pad(node),
        ["Resize"] = (export, node) => export.Resize(node),
        ["DepthToSpace"] = (export, node) => export.DepthToSpace(node),
        ["SpaceToDepth"] = (export, node) => export.SpaceToDepth(node),
        ["ReduceMean"] = (export, node) => export.Reduce(node, "Mean"),
        ["ReduceSum"] = (export, node) => export.Reduce(node, "Sum"),
        ["ReduceMax"] = (export, node) => export.Reduce(node, "Max"),
        ["ReduceMin"] = (export, node) => export.Reduce(node, "Min"),
        ["ReduceProd"] = (export, node) => export.Reduce(node, "Prod"),
    };

    private readonly Graph _graph;
    private readonly Wiring _wiring;
    private readonly IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> _shapes;
    private readonly IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> _twoPictures;
    private readonly Dictionary<string, Held> _held = new(StringComparer.Ordinal);
    private readonly HashSet<Node> _fused = [];

    private GraphModelExport(Graph graph)
    {
        _graph = graph;
        _wiring = new Wiring(graph);
        _shapes = Shapes.Infer(graph);
        _twoPictures = graph.Inputs.All(input => input.Shape is [< 0, ..]) ? Shapes.Infer(graph, batch: 2) : _shapes;
    }

    private TensorFlowGraph Result { get; } = new();

    /// <summary>
    /// Converts a graph with one input, N H W C or N C H W. What the exported model is fed with is always N H W C of floats;
    /// <paramref name="input"/> tells what the network's own input is in terms of that.
    /// </summary>
    /// <returns>The TensorFlow graph, and the node for each graph output.</returns>
    public static (TensorFlowGraph Result, IReadOnlyList<string> Outputs) Convert(Graph graph, string inputName, bool channelsFirst, ChannelAffine input)
    {
        var export = new GraphModelExport(graph);
        var value = graph.Inputs[0].Name;
        var sides = export.Sides(value);
        var shape = channelsFirst ? [.. ToLast.Select(axis => sides[axis])] : sides;
        var node = export.Result.Add("Placeholder", inputName, [], ("dtype", TensorFlowGraph.Type(ElementType.Float32)),
            ("shape", new JsonObject { ["shape"] = TensorFlowGraph.Dimensions(shape) }));
        export._held[value] = new Held(channelsFirst ? null : node, channelsFirst ? node : null, input);
        foreach (var operation in graph.Nodes)
        {
            if (!export._fused.Contains(operation))
            {
                (Table.GetValueOrDefault(operation.Op) ?? UnaryOf(operation))(export, operation);
            }
        }

        return (export.Result, [.. graph.Outputs.Select(output => export.Same(output.Name))]);
    }

    private static Action<GraphModelExport, Node> UnaryOf(Node node) => TensorFlowOperators.Unary.Contains(node.Op)
        ? (export, operation) => export.Unary(operation, (graph, name, x) => graph.Add(operation.Op, name, [x]))
        : throw Refuse(node, "cannot be exported to TensorFlow.js");

    // ---- Values: which node holds them, in which order of axes -----------------------------------------------------------------------------------

    /// <summary>A node in the value's own order of axes, one with channels moved last, or both; with what is still to be done to its channels.</summary>
    private sealed record Held(string? Same, string? Last, ChannelAffine? Affine = null);

    private int[] ShapeOf(string value) => _shapes[value].Shape;

    /// <summary>The shape with −1 for the side that is the batch.</summary>
    private long[] Sides(string value)
    {
        int[] one = _shapes[value].Shape, two = _twoPictures[value].Shape;
        return [.. one.Select((side, axis) => side == two[axis] ? side : -1L)];
    }

    /// <summary>The value in its own order of axes.</summary>
    private string Same(string value)
    {
        var held = Settle(value);
        if (held.Same is null)
        {
            _held[value] = held = held with { Same = Result.Add("Transpose", $"{value}/nchw", [held.Last!, Result.Integers($"{value}/to_nchw", ToFirst)]) };
        }

        return held.Same!;
    }

    /// <summary>A value of ONNX's N C H W with its channels last.</summary>
    private string Last(string value)
    {
        if (_graph.Constants.TryGetValue(value, out var constant) && !_held.ContainsKey(value))
        {
            _held[value] = new Held(null, Result.Constant(value, TensorFlowOperators.Transpose(AsFloats(constant), 0, 2, 3, 1)));
        }

        var held = Settle(value);
        if (held.Last is null)
        {
            _held[value] = held = held with { Last = Result.Add("Transpose", $"{value}/nhwc", [held.Same!, Result.Integers($"{value}/to_nhwc", ToLast)]) };
        }

        return held.Last!;
    }

    private Held Of(string value)
    {
        if (!_held.TryGetValue(value, out var held))
        {
            _held[value] = held = _graph.Constants.TryGetValue(value, out var constant)
                ? new Held(Result.Constant(value, constant.Type is ElementType.Int64
                    ? Tensor.FromDoubles(ElementType.Int32, constant.Shape, constant.ToDoubles()) : AsFloats(constant)), null)
                : throw new ModelFormatException($"The value '{value}' is read before anything writes it.");
        }

        return held;
    }

    /// <summary>The value with nothing left to be done to its channels.</summary>
    private Held Settle(string value)
    {
        var held = Of(value);
        if (held.Affine is not { } affine)
        {
            return held;
        }

        // While something is left, exactly one node holds the value, and its last axis is the channels'.
        var node = held.Last ?? held.Same!;
        if (Array.Exists(affine.Scale, scale => Math.Abs(scale - 1) > 1e-6))
        {
            node = Result.Add("Mul", $"{value}/scaled", [node, PerChannel($"{value}/scale", affine.Scale)]);
        }

        if (Array.Exists(affine.Shift.Zip(affine.Scale).ToArray(), pair => Math.Abs(pair.First) > 1e-6 * Math.Abs(pair.Second)))
        {
            node = Result.Add("AddV2", $"{value}/shifted", [node, PerChannel($"{value}/shift", affine.Shift)]);
        }

        return _held[value] = held.Last is null ? new Held(node, null) : new Held(null, node);
    }

    private string PerChannel(string name, double[] values) => Array.TrueForAll(values, value => value == values[0])
        ? Result.Constant(name, [(float)values[0]])
        : Result.Constant(name, Array.ConvertAll(values, value => (float)value), values.Length);

    private static Tensor AsFloats(Tensor constant) => constant.Type == ElementType.Float16 ? Tensor.Float32(constant.Shape, constant.ToFloats()) : constant;

    /// <summary>Spatial data: N H W C, whichever way the graph has it.</summary>
    private string Pixels(Node node, int input = 0) => node.ChannelsLast ? Same(node.Inputs[input]) : Last(node.Inputs[input]);

    private void SetPixels(Node node, string output, string value) => _held[output] = node.ChannelsLast ? new Held(value, null) : new Held(null, value);

    private (int Height, int Width, int Channels) SizeOf(Node node, string value)
    {
        var shape = ShapeOf(value);
        return shape.Length != 4 ? throw Refuse(node, $"works on [{string.Join(", ", shape)}]; only pictures can be exported")
            : node.ChannelsLast ? (shape[1], shape[2], shape[3])
            : (shape[2], shape[3], shape[1]);
    }

    /// <summary>Whether one of the values is held with channels last only, so that the operator had better run on that order.</summary>
    private bool PreferLast(IEnumerable<string> values) => values.Any(value => _held.GetValueOrDefault(value) is { Last: not null, Same: null });

    /// <summary>An axis of N C H W where the data is held as N H W C.</summary>
    private static int AxisInLast(int axis) => Array.IndexOf(ToLast, (long)axis);

    private int Axis(Node node, long axis, string value)
    {
        var rank = ShapeOf(value).Length;
        return axis >= -rank && axis < rank ? (int)(axis < 0 ? axis + rank : axis) : throw Refuse(node, $"names axis {axis} of a value of rank {rank}");
    }

    private Tensor Constant(Node node, int input, string what) =>
        _wiring.Constant(node, input) ?? throw Refuse(node, $"computes its {what}, which cannot be exported");

    private static ModelFormatException Refuse(Node node, string reason) => new($"{node} {reason}.");

    // ---- Convolutions and products, with what is fused into them ----------------------------------------------------------------------------------

    private void Conv(Node node)
    {
        var weights = AsFloats(Constant(node, 1, "weights"));
        if (weights.Shape.Length != 4)
        {
            throw Refuse(node, $"has weights of rank {weights.Shape.Length}; only 4 can be exported");
        }

        var input = node.Inputs[0];
        var group = (int)node.Int("group", 1);
        (var height, var width, var channels) = SizeOf(node, input);

        // A scale before the convolution goes into its weights; a shift would miss the padding, so it is added before.
        if (Of(input) is { Affine: { } affine } held && affine.Scale.Length == channels && group == 1 && _wiring.OnlyConsumer(input) == node
            && Array.TrueForAll(affine.Scale, scale => scale != 0))
        {
            weights = Scaled(weights, affine.Scale);
            _held[input] = held with
            {
                Affine =
                new ChannelAffine([.. affine.Scale.Select(_ => 1d)], [.. affine.Shift.Zip(affine.Scale, (shift, scale) => shift / scale)])
            };
        }

        var bias = node.Inputs.Count > 2 && node.Inputs[2].Length > 0 ? Same(node.Inputs[2]) : null;
        var x = Pixels(node);
        (var output, var activation, var more) = FusedActivation(node);
        (var padding, var explicitPaddings) = Padding(node, height, width, weights.Shape[2], weights.Shape[3]);
        long[] strides = node.Ints("strides") ?? [1, 1], dilations = node.Ints("dilations") ?? [1, 1];
        (string, JsonNode)[] Attributes() =>
        [
            ("T", TensorFlowGraph.Type(ElementType.Float32)),
            ("strides", TensorFlowGraph.Ints(1, strides[0], strides[1], 1)),
            ("dilations", TensorFlowGraph.Ints(1, dilations[0], dilations[1], 1)),
            ("padding", padding.DeepClone()),
            ("explicit_paddings", explicitPaddings.DeepClone()),
            ("data_format", TensorFlowGraph.Text("NHWC")),
        ];

        string value;
        if (group == 1)
        {
            var kernel = Result.Constant($"{output}/weights", TensorFlowOperators.Transpose(weights, 2, 3, 1, 0));
            value = Fused("Conv2D", "_FusedConv2D", output, [x, kernel], weights.Shape[0], bias, activation, [.. Attributes(), .. more]);
        }
        else if (group == channels && weights.Shape[1] == 1)
        {
            // O 1 H W, where O is C × multiplier, to H W C multiplier.
            var split = weights with { Shape = [channels, weights.Shape[0] / channels, weights.Shape[2], weights.Shape[3]] };
            var kernel = Result.Constant($"{output}/weights", TensorFlowOperators.Transpose(split, 2, 3, 0, 1));
            value = Fused("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative", output, [x, kernel], weights.Shape[0], bias, activation,
                [.. Attributes(), .. more]);
        }
        else
        {
            // TensorFlow.js has no groups: one convolution for each, side by side.
            var parts = Result.Add("Split", $"{output}/groups", [Result.Integer($"{output}/axis", 3), x], ("num_split", TensorFlowGraph.Int(group)));
            var rows = weights.Shape[0] / group;
            var bytes = weights.Data.Length / group;
            string[] results = [.. Enumerable.Range(0, group).Select(part => Result.Add("Conv2D", $"{output}/group{part}",
            [
                part == 0 ? parts : $"{parts}:{part}",
                Result.Constant($"{output}/weights{part}", TensorFlowOperators.Transpose(new Tensor(ElementType.Float32, [rows, .. weights.Shape[1..]],
                    weights.Data.Slice(part * bytes, bytes)), 2, 3, 1, 0)),
            ], Attributes()))];
            value = Result.Add("ConcatV2", $"{output}/joined", [.. results, Result.Integer($"{output}/channels", 3)], ("N", TensorFlowGraph.Int(group)));
            value = bias is null ? value : Result.Add("AddV2", $"{output}/biased", [value, bias]);
            value = activation is null ? value : Result.Add(activation, output, [value],
                [.. more.Select(attribute => (attribute.Item1 == "leakyrelu_alpha" ? "alpha" : attribute.Item1, attribute.Item2))]);
        }

        SetPixels(node, output, value);
    }

    private static Tensor Scaled(Tensor weights, double[] scale)
    {
        var values = weights.ToFloats();
        var area = weights.Shape[2] * weights.Shape[3];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)(values[i] * scale[i / area % scale.Length]);
        }

        return Tensor.Float32(weights.Shape, values);
    }

    private void Gemm(Node node)
    {
        var weights = AsFloats(Constant(node, 1, "weights"));
        float alpha = node.Float("alpha", 1), beta = node.Float("beta", 1);
        if (ShapeOf(node.Inputs[0]).Length != 2 || weights.Shape.Length != 2 || (beta != 1 && node.Inputs.Count > 2))
        {
            throw Refuse(node, "is not a plain dense layer, and cannot be exported");
        }

        if (alpha != 1)
        {
            weights = Tensor.Float32(weights.Shape, Array.ConvertAll(weights.ToFloats(), weight => weight * alpha));
        }

        var x = Same(node.Inputs[0]);
        (var output, var activation, var more) = FusedActivation(node);
        var kernel = Result.Constant($"{output}/weights", node.Int("transB", 0) == 1 ? TensorFlowOperators.Transpose(weights, 1, 0) : weights);
        string? bias = null;
        if (node.Inputs.Count > 2 && node.Inputs[2].Length > 0)
        {
            var given = AsFloats(Constant(node, 2, "bias"));
            bias = Result.Constant($"{output}/bias", given.Length == ShapeOf(node.Outputs[0])[1] ? given with { Shape = [given.Length] }
                : throw Refuse(node, $"has a bias of shape [{string.Join(", ", given.Shape)}], which cannot be exported"));
        }

        var value = Fused("MatMul", "_FusedMatMul", output, [x, kernel], ShapeOf(node.Outputs[0])[1], bias, activation,
            [("T", TensorFlowGraph.Type(ElementType.Float32)), ("transpose_a", TensorFlowGraph.Flag(node.Int("transA", 0) == 1)),
                ("transpose_b", TensorFlowGraph.Flag(false)), .. more]);
        _held[output] = new Held(value, null);
    }

    private void MatMul(Node node)
    {
        var flat = ShapeOf(node.Inputs[0]).Length == 2 && ShapeOf(node.Inputs[1]).Length == 2;
        string[] inputs = [Same(node.Inputs[0]), Same(node.Inputs[1])];
        _held[node.Outputs[0]] = new Held(flat
            ? Result.Add("MatMul", node.Outputs[0], inputs, ("T", TensorFlowGraph.Type(ElementType.Float32)), ("transpose_a", TensorFlowGraph.Flag(false)),
                ("transpose_b", TensorFlowGraph.Flag(false)))
            : Result.Add("BatchMatMulV2", node.Outputs[0], inputs, ("T", TensorFlowGraph.Type(ElementType.Float32)), ("adj_x", TensorFlowGraph.Flag(false)),
                ("adj_y", TensorFlowGraph.Flag(false))), null);
    }

    private string Fused(string plain, string fused, string name, string[] inputs, int channels, string? bias, string? activation,
        (string, JsonNode)[] attributes)
    {
        if (bias is null && activation is null)
        {
            return Result.Add(plain, name, inputs, attributes);
        }

        // The fused operators of TensorFlow.js begin with the bias.
        bias ??= Result.Constant($"{name}/bias", new float[channels], channels);
        string[] operations = activation is null ? ["BiasAdd"] : ["BiasAdd", activation];
        return Result.Add(fused, name, [.. inputs, bias],
            [.. attributes, ("fused_ops", TensorFlowGraph.Texts(operations)), ("num_args", TensorFlowGraph.Int(1)), ("epsilon", TensorFlowGraph.Float(0))]);
    }

    /// <summary>The activation that alone reads a node's result; it is done with, and its value is the fused operator's.</summary>
    private (string Output, string? Activation, (string, JsonNode)[] Attributes) FusedActivation(Node node)
    {
        if (_wiring.OnlyConsumer(node.Outputs[0]) is not { } next || next.Inputs[0] != node.Outputs[0])
        {
            return (node.Outputs[0], null, []);
        }

        var activation = next.Op switch
        {
            "Relu" or "Elu" or "LeakyRelu" when next.Op != "Elu" || next.Float("alpha", 1) == 1 => next.Op,
            "Clip" when Limits(next) is (0, 6) => "Relu6",
            "Clip" when Limits(next) is (0, float.PositiveInfinity) => "Relu",
            _ => null,
        };
        if (activation is null)
        {
            return (node.Outputs[0], null, []);
        }

        _fused.Add(next);
        return (next.Outputs[0], activation, activation == "LeakyRelu" ? [("leakyrelu_alpha", TensorFlowGraph.Float(next.Float("alpha", 0.01f)))] : []);
    }

    private (float Min, float Max) Limits(Node clip) => (
        clip.Inputs.Count > 1 && clip.Inputs[1].Length > 0 ? Constant(clip, 1, "limits").ToFloats()[0] : float.NegativeInfinity,
        clip.Inputs.Count > 2 && clip.Inputs[2].Length > 0 ? Constant(clip, 2, "limits").ToFloats()[0] : float.PositiveInfinity);

    /// <summary>ONNX's padding in TensorFlow's words: SAME where it is the same, otherwise in numbers.</summary>
    private static (JsonNode Padding, JsonNode Explicit) Padding(Node node, int height, int width, int kernelHeight, int kernelWidth)
    {
        var pads = Pads(node, height, width, kernelHeight, kernelWidth);
        return pads.All(pad => pad == 0) ? (TensorFlowGraph.Text("VALID"), TensorFlowGraph.Ints())
            : pads.SequenceEqual(SamePads(node, height, width, kernelHeight, kernelWidth)) ? (TensorFlowGraph.Text("SAME"), TensorFlowGraph.Ints())
            : (TensorFlowGraph.Text("EXPLICIT"), TensorFlowGraph.Ints(0, 0, pads[0], pads[2], pads[1], pads[3], 0, 0));
    }

    /// <summary>Top, left, bottom, right; written out whichever way the node has it.</summary>
    private static long[] Pads(Node node, int height, int width, int kernelHeight, int kernelWidth) => node.Text("auto_pad", "NOTSET") switch
    {
        "NOTSET" => node.Ints("pads") ?? [0, 0, 0, 0],
        "VALID" => [0, 0, 0, 0],
        "SAME_UPPER" => SamePads(node, height, width, kernelHeight, kernelWidth),
        "SAME_LOWER" => SamePads(node, height, width, kernelHeight, kernelWidth) is var pads ? [pads[2], pads[3], pads[0], pads[1]] : [],
        var other => throw Refuse(node, $"has the auto_pad '{other}'"),
    };

    private static long[] SamePads(Node node, int height, int width, int kernelHeight, int kernelWidth)
    {
        long[] strides = node.Ints("strides") ?? [1, 1], dilations = node.Ints("dilations") ?? [1, 1];
        long Total(int side, int kernel, int axis)
        {
            var results = (side + strides[axis] - 1) / strides[axis];
            return Math.Max(((results - 1) * strides[axis]) + ((kernel - 1) * dilations[axis]) + 1 - side, 0);
        }

        (var vertical, var horizontal) = (Total(height, kernelHeight, 0), Total(width, kernelWidth, 1));
        return [vertical / 2, horizontal / 2, vertical - (vertical / 2), horizontal - (horizontal / 2)];
    }

    private void BatchNorm(Node node)
    {
        double[][] parameters = [.. Enumerable.Range(1, 4).Select(input => Constant(node, input, "statistics").ToDoubles())];
        var epsilon = node.Float("epsilon", 1e-5f);
        double[] scale = [.. parameters[0].Zip(parameters[3], (gamma, variance) => gamma / Math.Sqrt(variance + epsilon))];
        double[] shift = [.. Enumerable.Range(0, scale.Length).Select(i => parameters[1][i] - (parameters[2][i] * scale[i]))];
        var picture = ShapeOf(node.Inputs[0]).Length == 4;
        var x = picture ? Pixels(node) : Same(node.Inputs[0]);
        var output = node.Outputs[0];
        var scaled = Result.Add("Mul", $"{output}/scaled", [x, PerChannel($"{output}/scale", scale)]);
        var value = Result.Add("AddV2", output, [scaled, PerChannel($"{output}/shift", shift)]);
        _held[output] = picture && !node.ChannelsLast ? new Held(null, value) : new Held(value, null);
    }

    private void Pool(Node node)
    {
        var window = node.Ints("kernel_shape") ?? throw Refuse(node, "has no kernel_shape");
        var strides = node.Ints("strides") ?? [1, 1];
        (var height, var width, _) = SizeOf(node, node.Inputs[0]);
        (var results, var resultWidth, _) = SizeOf(node, node.Outputs[0]);
        if (window.Length != 2 || (node.Ints("dilations") ?? []).Any(dilation => dilation != 1) || node.Outputs.Count > 1)
        {
            throw Refuse(node, "cannot be exported");
        }

        // With ceil_mode the last window hangs over the padding's end.
        var given = Pads(node, height, width, (int)window[0], (int)window[1]);
        long[] pads = [given[0], given[1], Math.Max(0, ((results - 1) * strides[0]) + window[0] - height - given[0]),
            Math.Max(0, ((resultWidth - 1) * strides[1]) + window[1] - width - given[1])];
        var isMax = node.Op == "MaxPool";
        var countsPadding = !isMax && node.Int("count_include_pad", 0) == 1;
        var same = results == (height + strides[0] - 1) / strides[0] && resultWidth == (width + strides[1] - 1) / strides[1]
            && pads.SequenceEqual(SamePads(node, height, width, (int)window[0], (int)window[1])) && !countsPadding;
        var output = node.Outputs[0];
        var x = Pixels(node);
        var pad = !same && pads.Any(side => side > 0);
        if (pad)
        {
            // The pooling of TensorFlow.js pads by itself only in its own two ways.
            x = Result.Add("PadV2", $"{output}/padded",
                [x, Result.Pairs($"{output}/pads", [0, 0, pads[0], pads[2], pads[1], pads[3], 0, 0]),
                    Result.Constant($"{output}/padding", [isMax ? float.MinValue : 0])]);
        }

        var value = Result.Add(isMax ? "MaxPool" : "AvgPool", pad && !isMax ? $"{output}/pooled" : output, [x],
            ("T", TensorFlowGraph.Type(ElementType.Float32)), ("ksize", TensorFlowGraph.Ints(1, window[0], window[1], 1)),
                ("strides", TensorFlowGraph.Ints(1, strides[0], strides[1], 1)),
            ("padding", TensorFlowGraph.Text(same && !pad && pads.Any(side => side > 0) ? "SAME" : "VALID")), ("data_format", TensorFlowGraph.Text("NHWC")));
        if (pad && !isMax)
        {
            value = Result.Add("Mul", output, [value, Result.Constant($"{output}/share",
                Shares(window, strides, pads, given, countsPadding, height, width, results, resultWidth), 1, results, resultWidth, 1)]);
        }

        SetPixels(node, output, value);
    }

    /// <summary>By how much each average over a padded window must grow, since zeros from outside the picture do not count.</summary>
    private static float[] Shares(long[] window, long[] strides, long[] pads, long[] given, bool countsPadding, int height, int width,
        int results, int resultWidth)
    {
        var shares = new float[results * resultWidth];
        for (var y = 0; y < results; y++)
        {
            for (var x = 0; x < resultWidth; x++)
            {
                long Inside(long start, long length, long side, long before, long after) =>
                    Math.Min(start + length, side + (countsPadding ? after : 0)) - Math.Max(start, countsPadding ? -before : 0);
                var rows = Inside((y * strides[0]) - pads[0], window[0], height, given[0], given[2]);
                var columns = Inside((x * strides[1]) - pads[1], window[1], width, given[1], given[3]);
                shares[(y * resultWidth) + x] = window[0] * window[1] / (float)(rows * columns);
            }
        }

        return shares;
    }

    private void GlobalPool(Node node, string op) =>
        SetPixels(node, node.Outputs[0],
            Result.Add(op, node.Outputs[0], [Pixels(node), Result.Integers($"{node.Outputs[0]}/axes", 1, 2)], ("keep_dims", TensorFlowGraph.Flag(true))));

    // ONNX counts the whole window and divides alpha by it.
    private void LocalResponseNormalization(Node node)
    {
        var size = node.Int("size", 1);
        if (size % 2 == 0)
        {
            throw Refuse(node, $"has a window of {Counted.Of(size, "channel")}; only odd ones can be exported");
        }

        SetPixels(node, node.Outputs[0], Result.Add("LRN", node.Outputs[0], [Pixels(node)], ("depth_radius", TensorFlowGraph.Int((size - 1) / 2)),
            ("bias", TensorFlowGraph.Float(node.Float("bias", 1))),
            ("alpha", TensorFlowGraph.Float(node.Float("alpha", 1e-4f) / size)), ("beta", TensorFlowGraph.Float(node.Float("beta", 0.75f)))));
    }

    private void Softmax(Node node)
    {
        var axis = Axis(node, node.Int("axis", -1), node.Inputs[0]);
        var last = PreferLast(node.Inputs);
        if ((last ? AxisInLast(axis) : axis) != ShapeOf(node.Inputs[0]).Length - 1)
        {
            throw Refuse(node, "along an axis that is not the last cannot be exported");
        }

        var value = Result.Add(node.Op, node.Outputs[0], [last ? Last(node.Inputs[0]) : Same(node.Inputs[0])],
            ("T", TensorFlowGraph.Type(ElementType.Float32)));
        _held[node.Outputs[0]] = last ? new Held(null, value) : new Held(value, null);
    }

    // ---- Element by element -----------------------------------------------------------------------------------------------------------------------

    private void Unary(Node node, Func<TensorFlowGraph, string, string, string> add)
    {
        var last = PreferLast(node.Inputs.Take(1));
        var value = add(Result, node.Outputs[0], last ? Last(node.Inputs[0]) : Same(node.Inputs[0]));
        _held[node.Outputs[0]] = last ? new Held(null, value) : new Held(value, null);
    }

    private static string HardSwish(TensorFlowGraph graph, string name, string x)
    {
        var gate = graph.Add("Relu6", $"{name}/gate", [graph.Add("AddV2", $"{name}/shifted", [x, graph.Constant($"{name}/three", [3f])])]);
        return graph.Add("Mul", name, [graph.Add("Mul", $"{name}/product", [x, gate]), graph.Constant($"{name}/sixth", [1 / 6f])]);
    }

    private static string HardSigmoid(TensorFlowGraph graph, string name, string x, float alpha, float beta)
    {
        var line = graph.Add("AddV2", $"{name}/line",
            [graph.Add("Mul", $"{name}/scaled", [x, graph.Constant($"{name}/alpha", [alpha])]), graph.Constant($"{name}/beta", [beta])]);
        return graph.Add("ClipByValue", name, [line, graph.Constant($"{name}/zero", [0f]), graph.Constant($"{name}/one", [1f])]);
    }

    private static string Gelu(TensorFlowGraph graph, string name, string x)
    {
        var erf = graph.Add("Erf", $"{name}/erf", [graph.Add("Mul", $"{name}/scaled", [x, graph.Constant($"{name}/sqrt_half", [float.Sqrt(0.5f)])])]);
        var gate = graph.Add("Mul", $"{name}/gate",
            [graph.Add("AddV2", $"{name}/sum", [erf, graph.Constant($"{name}/one", [1f])]), graph.Constant($"{name}/half", [0.5f])]);
        return graph.Add("Mul", name, [x, gate]);
    }

    private void Clip(Node node)
    {
        (var min, var max) = Limits(node);
        Unary(node, (graph, name, x) => (min, max) switch
        {
            (0, 6) => graph.Add("Relu6", name, [x]),
            (0, float.PositiveInfinity) => graph.Add("Relu", name, [x]),
            _ => graph.Add("ClipByValue", name,
                [x, graph.Constant($"{name}/min", [Math.Max(min, float.MinValue)]), graph.Constant($"{name}/max", [Math.Min(max, float.MaxValue)])]),
        });
    }

    private void Binary(Node node, string op)
    {
        if (TryAffine(node))
        {
            return;
        }

        var output = node.Outputs[0];
        var last = PreferLast(node.Inputs) && ShapeOf(output).Length == 4
            && node.Inputs.All(input => _graph.Constants.ContainsKey(input) || ShapeOf(input).Length is 0 or 4);
        string[] operands = [.. node.Inputs.Select(input => last ? LastOperand(input) : Same(input))];
        var value = operands[0];
        for (var operand = 1; operand < operands.Length; operand++)
        {
            value = Result.Add(op, operand == operands.Length - 1 ? output
                : $"{output}/part", [value, operands[operand]], ("T", TensorFlowGraph.Type(ElementType.Float32)));
        }

        _held[output] = last ? new Held(null, value) : new Held(value, null);
    }

    /// <summary>An operand that broadcasts against N H W C as it did against N C H W: [C, 1, 1] becomes [C].</summary>
    private string LastOperand(string value)
    {
        if (!_graph.Constants.TryGetValue(value, out var constant))
        {
            return ShapeOf(value).Length == 0 ? Same(value) : Last(value);
        }

        var floats = AsFloats(constant);
        if (floats.Length == 1)
        {
            return Result.Constant(value, floats with { Shape = [] });
        }

        int[] shape = [.. Enumerable.Repeat(1, 4 - floats.Shape.Length), .. floats.Shape];
        var moved = TensorFlowOperators.Transpose(floats with { Shape = shape }, 0, 2, 3, 1);
        return Result.Constant(value, moved.Shape is [1, 1, 1, var channels] ? moved with { Shape = [channels] } : moved);
    }

    /// <summary>Arithmetic with constants on the input's channels is put off, since most of it cancels out.</summary>
    private bool TryAffine(Node node)
    {
        if (node.Op is not ("Mul" or "Div" or "Add" or "Sub") || node.Inputs.Count != 2)
        {
            return false;
        }

        var data = _graph.Constants.ContainsKey(node.Inputs[0]) ? 1 : 0;
        if (_held.GetValueOrDefault(node.Inputs[data]) is not { Affine: { } affine } held || _wiring.Constant(node, 1 - data) is not { } constant
            || (data == 1 && node.Op == "Div"))
        {
            return false;
        }

        // One number, or one for each channel, which are last in the node but stand where the value has them in the constant.
        var channels = affine.Scale.Length;
        int[] shape = [.. Enumerable.Repeat(1, 4 - Math.Min(4, constant.Shape.Length)), .. constant.Shape];
        if (constant.Length != 1 && (constant.Length != channels || shape.Length != 4 || shape[held.Last is null ? 3 : 1] != channels))
        {
            return false;
        }

        var values = constant.ToDoubles();
        double At(int channel) => values[values.Length == 1 ? 0 : channel];
        ChannelAffine Map(Func<double, int, double> scale, Func<double, int, double> shift) =>
            new([.. affine.Scale.Select(scale)], [.. affine.Shift.Select(shift)]);
        _held[node.Outputs[0]] = held with
        {
            Affine = node.Op switch
            {
                "Mul" => Map((scale, c) => scale * At(c), (shift, c) => shift * At(c)),
                "Div" => Map((scale, c) => scale / At(c), (shift, c) => shift / At(c)),
                "Add" => Map((scale, _) => scale, (shift, c) => shift + At(c)),
                _ when data == 0 => Map((scale, _) => scale, (shift, c) => shift - At(c)),
                _ => Map((scale, _) => -scale, (shift, c) => At(c) - shift),
            },
        };
        return true;
    }

    // (byte - zero) * scale, put off like the rest. Whatever else is quantized was made float before.
    private void DequantizePixels(Node node)
    {
        if (_held.GetValueOrDefault(node.Inputs[0]) is not { Affine: { } affine } held || _wiring.Constant(node, 1) is not { Length: 1 } scale)
        {
            throw Refuse(node, "stands within the network, which cannot be exported");
        }

        double step = scale.ToDoubles()[0], zero = _wiring.Constant(node, 2)?.ToDoubles()[0] ?? 0;
        _held[node.Outputs[0]] =
            held with { Affine = new ChannelAffine([.. affine.Scale.Select(value => value * step)], [.. affine.Shift.Select(value => (value - zero) * step)]) };
    }

    // ---- Shapes and places ------------------------------------------------------------------------------------------------------------------------

    private void Alias(Node node) => _held[node.Outputs[0]] = Of(node.Inputs[0]);

    // The pixels arrive as floats; whole numbers elsewhere become TensorFlow.js' own.
    private void Cast(Node node)
    {
        var type = (ElementType)node.Int("to", 0);
        if (type is ElementType.Float32 or ElementType.Float16
            && _shapes[node.Inputs[0]].Type is ElementType.UInt8 or ElementType.Float32 or ElementType.Float16)
        {
            Alias(node);
            return;
        }

        var from = _shapes[node.Inputs[0]].Type;
        Unary(node, (graph, name, x) => graph.Add("Cast", name, [x], ("SrcT", TensorFlowGraph.Type(from)), ("DstT", TensorFlowGraph.Type(type))));
    }

    private void Transpose(Node node)
    {
        var perm = node.Ints("perm") ?? [.. Enumerable.Range(0, ShapeOf(node.Inputs[0]).Length).Select(axis => (long)axis).Reverse()];
        var held = Of(node.Inputs[0]);
        if (perm.SequenceEqual(ToFirst) && held.Same is not null)
        {
            _held[node.Outputs[0]] = new Held(null, held.Same, held.Affine);
        }
        else if (perm.SequenceEqual(ToLast) && held.Last is not null)
        {
            _held[node.Outputs[0]] = new Held(held.Last, null, held.Affine);
        }
        else
        {
            _held[node.Outputs[0]] =
                new Held(Result.Add("Transpose", node.Outputs[0], [Same(node.Inputs[0]), Result.Integers($"{node.Outputs[0]}/perm", perm)]), null);
        }
    }

    private void Reshape(Node node)
    {
        string input = node.Inputs[0], output = node.Outputs[0];
        var to = Sides(output);
        if (to.Count(side => side < 0) > 1)
        {
            throw Refuse(node, "spreads the batch over several axes, which cannot be exported");
        }

        // One pixel, or one channel: both orders are the same bytes.
        var anyOrder = ShapeOf(input) is [_, var channels, var height, var width] && (height * width == 1 || channels == 1);
        var x = anyOrder && PreferLast([input]) ? Last(input) : Same(input);
        _held[output] = new Held(Result.Add("Reshape", output, [x, Result.Integers($"{output}/shape", to)]), null);
    }

    private void Concat(Node node)
    {
        var last = PreferLast(node.Inputs) && ShapeOf(node.Outputs[0]).Length == 4;
        var axis = Axis(node, node.Int("axis", 0), node.Outputs[0]);
        string[] parts = [.. node.Inputs.Select(input => last ? Last(input) : Same(input))];
        var value = Result.Add("ConcatV2", node.Outputs[0], [.. parts, Result.Integer($"{node.Outputs[0]}/axis", last ? AxisInLast(axis) : axis)],
            ("N", TensorFlowGraph.Int(parts.Length)));
        _held[node.Outputs[0]] = last ? new Held(null, value) : new Held(value, null);
    }

    private void Split(Node node)
    {
        var last = PreferLast(node.Inputs.Take(1));
        var axis = Axis(node, node.Int("axis", 0), node.Inputs[0]);
        var name = node.Outputs[0];
        var sizes = Result.Integers($"{name}/sizes", [.. node.Outputs.Select(output => (long)ShapeOf(output)[axis])]);
        var parts = Result.Add("SplitV", $"{name}/split",
            [last ? Last(node.Inputs[0]) : Same(node.Inputs[0]), sizes, Result.Integer($"{name}/axis", last ? AxisInLast(axis) : axis)],
            ("num_split", TensorFlowGraph.Int(node.Outputs.Count)));
        for (var output = 0; output < node.Outputs.Count; output++)
        {
            var part = output == 0 ? parts : $"{parts}:{output}";
            _held[node.Outputs[output]] = last ? new Held(null, part) : new Held(part, null);
        }
    }

    private void Slice(Node node)
    {
        var shape = ShapeOf(node.Inputs[0]);
        long[] starts = Constant(node, 1, "starts").ToInts(), ends = Constant(node, 2, "ends").ToInts();
        var axes = _wiring.Constant(node, 3)?.ToInts() ?? [.. Enumerable.Range(0, starts.Length).Select(axis => (long)axis)];
        var steps = _wiring.Constant(node, 4)?.ToInts() ?? [.. starts.Select(_ => 1L)];
        var last = PreferLast(node.Inputs.Take(1));
        long[] begin = new long[shape.Length], end = new long[shape.Length], stride = [.. shape.Select(_ => 1L)];
        int whole = (1 << shape.Length) - 1, beginMask = whole, endMask = whole;
        for (var i = 0; i < axes.Length; i++)
        {
            var axis = Axis(node, axes[i], node.Inputs[0]);
            long side = shape[axis];
            var at = last ? AxisInLast(axis) : axis;
            stride[at] = steps[i];

            // ONNX cuts positions off at the ends; TensorFlow takes an end before the first element to be said by the mask.
            begin[at] = Math.Clamp(starts[i] < 0 ? starts[i] + side : starts[i], 0, steps[i] < 0 ? side - 1 : side);
            end[at] = Math.Clamp(ends[i] < 0 ? ends[i] + side : ends[i], steps[i] < 0 ? -1 : 0, side);
            beginMask &= ~(1 << at);
            endMask &= end[at] < 0 ? whole : ~(1 << at);
        }

        var name = node.Outputs[0];
        var value = Result.Add("StridedSlice", name,
            [last ? Last(node.Inputs[0]) : Same(node.Inputs[0]), Result.Integers($"{name}/begin", begin), Result.Integers($"{name}/end", end),
                Result.Integers($"{name}/strides", stride)],
            ("begin_mask", TensorFlowGraph.Int(beginMask)), ("end_mask", TensorFlowGraph.Int(endMask)), ("ellipsis_mask", TensorFlowGraph.Int(0)),
                ("new_axis_mask", TensorFlowGraph.Int(0)),
            ("shrink_axis_mask", TensorFlowGraph.Int(0)));
        _held[name] = last ? new Held(null, value) : new Held(value, null);
    }

    private void Gather(Node node)
    {
        var last = PreferLast(node.Inputs.Take(1)) && Constant(node, 1, "indices").Shape.Length == 1;
        var axis = Axis(node, node.Int("axis", 0), node.Inputs[0]);
        var indices = Array.ConvertAll(Constant(node, 1, "indices").ToInts(), index => index < 0 ? index + ShapeOf(node.Inputs[0])[axis] : index);
        var name = node.Outputs[0];
        var chosen = Constant(node, 1, "indices").Shape.Length == 0 ? Result.Integer($"{name}/indices", indices[0])
            : Result.Integers($"{name}/indices", indices);
        var value = Result.Add("GatherV2", name, [last ? Last(node.Inputs[0])
            : Same(node.Inputs[0]), chosen, Result.Integer($"{name}/axis", last ? AxisInLast(axis) : axis)], ("batch_dims", TensorFlowGraph.Int(0)));
        _held[name] = last ? new Held(null, value) : new Held(value, null);
    }

    private void Pad(Node node)
    {
        var rank = ShapeOf(node.Inputs[0]).Length;
        var pads = Constant(node, 1, "padding").ToInts();
        var mode = node.Text("mode", "constant");
        var last = PreferLast(node.Inputs.Take(1));
        if (pads.Length != 2 * rank || pads.Any(pad => pad < 0) || (mode == "edge" && pads.Any(pad => pad > 1))
            || mode is not ("constant" or "reflect" or "edge"))
        {
            throw Refuse(node, $"with the mode '{mode}' and the padding [{string.Join(", ", pads)}] cannot be exported");
        }

        long[] pairs = [.. Enumerable.Range(0, rank).Select(position => last ? (int)ToLast[position] : position)
            .SelectMany(axis => new[] { pads[axis], pads[axis + rank] })];
        var name = node.Outputs[0];
        var x = last ? Last(node.Inputs[0]) : Same(node.Inputs[0]);
        var value = mode == "constant"
            ? Result.Add("PadV2", name, [x, Result.Pairs($"{name}/pads", pairs),
                Result.Constant($"{name}/value", [node.Inputs.Count > 2 && node.Inputs[2].Length > 0 ? Constant(node, 2, "value").ToFloats()[0] : 0])])
            : Result.Add("MirrorPad", name, [x, Result.Pairs($"{name}/pads", pairs)],
                ("mode", TensorFlowGraph.Text(mode == "reflect" ? "REFLECT" : "SYMMETRIC")));
        _held[name] = last ? new Held(null, value) : new Held(value, null);
    }

    private void Resize(Node node)
    {
        (var height, var width, _) = SizeOf(node, node.Outputs[0]);
        string mode = node.Text("mode", "nearest"), coordinates = node.Text("coordinate_transformation_mode", "half_pixel"),
            nearest = node.Text("nearest_mode", "round_prefer_floor");
        bool corners = coordinates == "align_corners", half = coordinates == "half_pixel";
        var known = mode == "linear" ? corners || half || coordinates == "asymmetric"
            : mode == "nearest" && (coordinates == "asymmetric" ? nearest == "floor" : (corners || half) && nearest == "round_prefer_ceil");
        if (!known)
        {
            throw Refuse(node, $"of the kind {mode}, {coordinates}, {nearest} cannot be exported");
        }

        SetPixels(node, node.Outputs[0], Result.Add(mode == "linear" ? "ResizeBilinear" : "ResizeNearestNeighbor", node.Outputs[0],
            [Pixels(node), Result.Integers($"{node.Outputs[0]}/size", height, width)], ("align_corners", TensorFlowGraph.Flag(corners)),
                ("half_pixel_centers", TensorFlowGraph.Flag(half))));
    }

    private void DepthToSpace(Node node)
    {
        if (node.Text("mode", "DCR") != "DCR")
        {
            throw Refuse(node, "with the mode 'CRD' cannot be exported");
        }

        SetPixels(node, node.Outputs[0], Result.Add("DepthToSpace", node.Outputs[0], [Pixels(node)],
            ("block_size", TensorFlowGraph.Int(node.Int("blocksize", 1))), ("data_format", TensorFlowGraph.Text("NHWC"))));
    }

    // TensorFlow.js knows only the way back; N H W C cut into blocks, and each block's pixels moved beside the channels.
    private void SpaceToDepth(Node node)
    {
        var block = node.Int("blocksize", 1);
        var name = node.Outputs[0];
        (var height, var width, var channels) = SizeOf(node, name);
        var blocks = Result.Add("Reshape", $"{name}/blocks",
            [Pixels(node), Result.Integers($"{name}/cut", -1, height, block, width, block, channels / (block * block))]);
        var moved = Result.Add("Transpose", $"{name}/moved", [blocks, Result.Integers($"{name}/order", 0, 1, 3, 2, 4, 5)]);
        SetPixels(node, name, Result.Add("Reshape", name, [moved, Result.Integers($"{name}/shape", -1, height, width, channels)]));
    }

    private void Reduce(Node node, string op)
    {
        string input = node.Inputs[0], output = node.Outputs[0];
        var rank = ShapeOf(input).Length;
        var given = (node.Inputs.Count > 1 && node.Inputs[1].Length > 0 ? Constant(node, 1, "axes").ToInts() : node.Ints("axes"))
            ?? [.. Enumerable.Range(0, rank).Select(axis => (long)axis)];
        int[] axes = [.. given.Select(axis => Axis(node, axis, input))];
        var keep = node.Int("keepdims", 1) == 1;

        // Without the reduced axes, those that are left must stand in their own order.
        long[] left = [.. ToLast.Where(axis => !axes.Contains((int)axis))];
        var last = PreferLast([input]) && (keep || left.SequenceEqual(left.Order()));
        long[] reduced = [.. axes.Select(axis => (long)(last ? AxisInLast(axis) : axis)).Order()];
        var value = Result.Add(op, output, [last ? Last(input) : Same(input), Result.Integers($"{output}/axes", reduced)],
            ("keep_dims", TensorFlowGraph.Flag(keep)));
        _held[output] = last && keep ? new Held(null, value) : new Held(value, null);
    }
}
