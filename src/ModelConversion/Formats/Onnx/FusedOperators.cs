using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>
/// Operators that newer opsets have (Swish, RMSNormalization, GroupNormalization, Attention), or that ONNX Runtime's optimiser leaves in a file
/// (com.microsoft: BiasGelu, SkipLayerNormalization, FusedMatMul, …), as the plain operators that they stand for, which every engine has.
/// https://onnx.ai/onnx/operators/, https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
/// </summary>
internal sealed class FusedOperators
{
    private static readonly Dictionary<string, Action<FusedOperators, Node>> Table = new(StringComparer.Ordinal)
    {
        ["Swish"] = (form, node) => form.Swish(node, node.Float("alpha", 1)),
        ["RMSNormalization"] = (form, node) => form.RootMeanSquare(node),
        ["GroupNormalization"] = (form, node) => form.GroupNormalization(node),
        ["Attention"] = (form, node) => form.Attention(node),
        ["QuickGelu"] = (form, node) => form.Swish(node, node.Float("alpha", 1.702f)),
        ["FastGelu"] = (form, node) => form.Gelu(node, "tanh"),
        ["BiasGelu"] = (form, node) => form.Gelu(node, "none"),
        ["SkipLayerNormalization"] = (form, node) => form.SkipLayerNormalization(node),
        ["FusedMatMul"] = (form, node) => form.FusedMatMul(node),
        ["FusedConv"] = (form, node) => form.Activated(node, "Conv", input: 3),
        ["FusedGemm"] = (form, node) => form.Activated(node, "Gemm", input: -1),
    };

    // Those of the domain com.microsoft; others of the table are ONNX's own.
    private static readonly HashSet<string> Fused = new(StringComparer.Ordinal)
    {
        "Gelu", "QuickGelu", "FastGelu", "BiasGelu", "SkipLayerNormalization", "FusedMatMul", "FusedConv", "FusedGemm",
    };

    private readonly GraphBuilder _builder;
    private readonly long _opset;

    private FusedOperators(Graph graph, long opset) => (_builder, _opset) = (new GraphBuilder(graph), opset);

    /// <summary>Whether an operator of the domain <c>com.microsoft</c> is one of these.</summary>
    public static bool Knows(string op) => Fused.Contains(op);

    /// <summary>Rewrites all of them.</summary>
    public static void Apply(Graph graph, long opset)
    {
        if (!graph.Nodes.Exists(node => Table.ContainsKey(node.Op)))
        {
            return;
        }

        var form = new FusedOperators(graph, opset);
        Node[] nodes = [.. graph.Nodes];
        graph.Nodes.Clear();
        foreach (var node in nodes)
        {
            if (!Table.TryGetValue(node.Op, out var rewrite))
            {
                graph.Nodes.Add(node);
                continue;
            }

            if (node.Inputs.Count == 0 || node.Outputs.Count == 0)
            {
                throw new ModelFormatException($"{node} has {Counted.Of(node.Inputs.Count, "input")} and {Counted.Of(node.Outputs.Count, "output")}.");
            }

            rewrite(form, node);
        }
    }

    private void Swish(Node node, float alpha)
    {
        var x = node.Inputs[0];
        var inner = alpha == 1 ? x : Add(node, "Mul", [x, Number(node, alpha)]);
        Last(node, "Mul", [x, Add(node, "Sigmoid", [inner])]);
    }

    /// <summary>x Φ(x), exactly or by tanh, after a bias where there is one.</summary>
    private void Gelu(Node node, string approximate)
    {
        var x = Optional(node, 1) is { } bias ? Add(node, "Add", [node.Inputs[0], bias]) : node.Inputs[0];
        var inner = approximate == "tanh"
            ? Add(node, "Tanh", [Add(node, "Mul", [Add(node, "Add",
                [x, Add(node, "Mul", [Add(node, "Mul", [Add(node, "Mul", [x, x]), x]), Number(node, 0.044715f)])]), Number(node, MathF.Sqrt(2 / MathF.PI))])])
            : Add(node, "Erf", [Add(node, "Mul", [x, Number(node, MathF.Sqrt(0.5f))])]);
        Last(node, "Mul", [Add(node, "Mul", [x, Number(node, 0.5f)]), Add(node, "Add", [inner, Number(node, 1)])]);
    }

    private void RootMeanSquare(Node node)
    {
        if (node.Int("axis", -1) != -1)
        {
            throw new ModelFormatException($"{node} normalises over more than the last axis, which is not supported.");
        }

        var x = node.Inputs[0];
        var mean = Add(node, "ReduceMean", [Add(node, "Mul", [x, x])], ("axes", new long[] { -1 }), ("keepdims", 1L));
        var root = Add(node, "Sqrt", [Add(node, "Add", [mean, Number(node, node.Float("epsilon", 1e-5f))])]);
        Last(node, "Mul", [Add(node, "Div", [x, root]), Required(node, 1)]);
    }

    /// <summary>Each group of channels as one channel; scale and bias belong to groups before opset 21, to channels from then on.</summary>
    private void GroupNormalization(Node node)
    {
        var groups = node.Int("num_groups", 0);
        if (groups is < 1 or > 1 << 16)
        {
            throw new ModelFormatException($"{node} has {Counted.Of(groups, "group")}.");
        }

        var x = node.Inputs[0];
        var own = _opset < 21;
        var rows = Add(node, "Reshape", [x, Ints(node, 0, groups, -1)]);
        float[] ones = [.. Enumerable.Repeat(1f, (int)groups)];
        var normal = Add(node, "InstanceNormalization", [rows, own ? Required(node, 1) : Floats(node, ones), own ? Required(node, 2)
            : Floats(node, new float[groups])], ("epsilon", node.Float("epsilon", 1e-5f)));
        if (own)
        {
            Last(node, "Reshape", [normal, Add(node, "Shape", [x])]);
            return;
        }

        var picture = Add(node, "Reshape", [normal, Add(node, "Shape", [x])]);
        Last(node, "Add", [Add(node, "Mul", [picture, Channels(1)]), Channels(2)]);

        string Channels(int input) => Add(node, "Reshape", [Required(node, input), Ints(node, -1, 1, 1)]);
    }

    /// <summary>softmax(q kᵀ · scale + mask) v, with the heads as an axis, or within the last one.</summary>
    private void Attention(Node node)
    {
        var heads = node.Int("q_num_heads", 0);
        if (Optional(node, 4) is not null || Optional(node, 5) is not null || Optional(node, 6) is not null || node.Int("is_causal", 0) != 0
            || node.Float("softcap", 0) != 0 || node.Outputs.Skip(1).Any(output => output.Length > 0) || heads != node.Int("kv_num_heads", heads))
        {
            throw new ModelFormatException($"{node} remembers what came before, looks forward only, caps its scores or shares keys among heads, which is " +
                $"not supported.");
        }

        (var q, var k, var v) = (Split(0), Split(1), Split(2));
        var scores = Add(node, "MatMul", [Add(node, "Mul", [q, Scale()]), Add(node, "Transpose", [k], ("perm", new long[] { 0, 1, 3, 2 }))]);
        if (Optional(node, 3) is { } mask)
        {
            scores = IsBool(mask) ? Add(node, "Where", [mask, scores, Number(node, float.NegativeInfinity)]) : Add(node, "Add", [scores, mask]);
        }

        string[] attended = [Add(node, "Softmax", [scores], ("axis", -1L)), v];
        if (heads == 0)
        {
            Last(node, "MatMul", attended);
            return;
        }

        var back = Add(node, "Transpose", [Add(node, "MatMul", attended)], ("perm", new long[] { 0, 2, 1, 3 }));
        Last(node, "Reshape", [back, Ints(node, 0, 0, -1)]);

        string Split(int input) => heads == 0 ? Required(node, input) : Add(node, "Transpose",
            [Add(node, "Reshape", [Required(node, input), Ints(node, 0, 0, heads, -1)])], ("perm", new long[] { 0, 2, 1, 3 }));

        // 1 ÷ √ of a head's width, which the graph knows.
        string Scale() => node.Attributes.ContainsKey("scale") ? Number(node, node.Float("scale", 1)) : Add(node, "Reciprocal", [Add(node, "Sqrt",
            [Add(node, "Cast", [Add(node, "Shape", [q], ("start", 3L))], ("to", (long)ElementType.Float32))])]);

        bool IsBool(string value) => _builder.Graph.Constants.GetValueOrDefault(value)?.Type == ElementType.Bool
            || _builder.Graph.Inputs.Exists(input => input.Name == value && input.Type == ElementType.Bool)
            || _builder.Graph.Nodes.Find(one => one.Outputs.Contains(value)) is { } producer && (Logical.Contains(producer.Op)
                || (producer.Op == "Cast" && producer.Int("to", 0) == (long)ElementType.Bool)
                || (Moves.Contains(producer.Op) && producer.Inputs.Count > 0 && IsBool(producer.Inputs[0])));
    }

    private static readonly HashSet<string> Logical = new(StringComparer.Ordinal)
    {
        "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Xor", "Not", "IsNaN", "IsInf",
    };

    private static readonly HashSet<string> Moves = new(StringComparer.Ordinal)
    {
        "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Transpose", "Slice", "Gather", "Concat", "Tile",
    };

    /// <summary>x + what was left beside (+ bias), normalised; the sum itself may be asked for as well.</summary>
    private void SkipLayerNormalization(Node node)
    {
        var sum = Add(node, "Add", [node.Inputs[0], Required(node, 1)]);
        sum = Optional(node, 4) is { } bias ? Add(node, "Add", [sum, bias]) : sum;
        if (node.Outputs.Count > 3 && node.Outputs[3].Length > 0)
        {
            _builder.Graph.Nodes[^1].Outputs[0] = sum = node.Outputs[3];
        }

        List<string> inputs = [sum, Required(node, 2)];
        inputs.AddRange(Optional(node, 3) is { } beta ? [beta] : []);
        Last(node, "LayerNormalization", inputs, ("axis", -1L), ("epsilon", node.Float("epsilon", 1e-12f)));
    }

    private void FusedMatMul(Node node)
    {
        if (node.Int("transBatchA", 0) != 0 || node.Int("transBatchB", 0) != 0)
        {
            throw new ModelFormatException($"{node} moves the axis of batches, which is not supported.");
        }

        string[] factors = [Turned(0, "transA"), Turned(1, "transB")];
        var alpha = node.Float("alpha", 1);
        if (alpha == 1)
        {
            Last(node, "MatMul", factors);
        }
        else
        {
            Last(node, "Mul", [Add(node, "MatMul", factors), Number(node, alpha)]);
        }

        // The rank is known of constants only; what is computed has four axes in attention, whose heads stand before rows and columns.
        string Turned(int input, string attribute)
        {
            var value = Required(node, input);
            if (node.Int(attribute, 0) == 0)
            {
                return value;
            }

            var rank = _builder.Graph.Constants.GetValueOrDefault(value)?.Shape.Length ?? 4;
            long[] order = [.. Enumerable.Range(0, Math.Max(rank, 2)).Select(axis => (long)axis)];
            (order[^1], order[^2]) = (order[^2], order[^1]);
            return Add(node, "Transpose", [value], ("perm", order));
        }
    }

    /// <summary>An operator with the activation behind it; a convolution may add another value before.</summary>
    private void Activated(Node node, string op, int input)
    {
        var parameters = node.Attributes.TryGetValue("activation_params", out var given) && given is float[] floats ? floats : [];
        var activation = node.Text("activation", "");
        var leak = node.Float("leaky_relu_alpha", 0.01f);
        var addend = input >= 0 ? Optional(node, input) : null;
        var product = _builder.AddNode(op, node.Name, input >= 0 ? node.Inputs.Take(input) : node.Inputs, outputs: 1);
        foreach ((var name, var value) in node.Attributes.Where(attribute => !attribute.Key.StartsWith("activation", StringComparison.Ordinal)
            && attribute.Key != "leaky_relu_alpha"))
        {
            product.Attributes.Add(name, value);
        }

        var x = addend is null ? product.Outputs[0] : Add(node, "Add", [product.Outputs[0], addend]);
        switch (activation)
        {
            case "Relu" or "Sigmoid" or "Tanh": Last(node, activation, [x]); break;
            case "LeakyRelu": Last(node, activation, [x], ("alpha", parameters is [var alpha] ? alpha : leak)); break;
            case "Clip" when parameters is [var least, var most]: Last(node, "Clip", [x, Number(node, least), Number(node, most)]); break;
            case "HardSigmoid" when parameters is [var slope, var offset]: Last(node, activation, [x], ("alpha", slope), ("beta", offset)); break;
            default: throw new ModelFormatException($"{node} with the activation '{activation}' is not supported.");
        }
    }

    private string Add(Node node, string op, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        _builder.AddNode(op, node.Name, inputs, attributes);

    /// <summary>What answers under the operator's own name.</summary>
    private void Last(Node node, string op, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        _builder.AddNode(op, node.Name, inputs, outputs: 1, attributes).Outputs[0] = node.Outputs[0];

    private string Number(Node node, float value) => _builder.AddConstant($"{node.Name}_number", [value]);

    private string Floats(Node node, float[] values) => _builder.AddConstant($"{node.Name}_numbers", values, values.Length);

    private string Ints(Node node, params ReadOnlySpan<long> values) => _builder.AddInt64Constant($"{node.Name}_shape", values);

    private static string? Optional(Node node, int input) => input < node.Inputs.Count && node.Inputs[input].Length > 0 ? node.Inputs[input] : null;

    private static string Required(Node node, int input) => Optional(node, input) ?? throw new ModelFormatException($"{node} has no input {input}.");
}
