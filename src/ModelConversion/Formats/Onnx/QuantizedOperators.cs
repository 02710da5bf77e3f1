using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>
/// Quantized models in operator form, where <c>QLinearConv</c> and its kin take bytes, scales and zero points, become models in the form that the
/// <see cref="Graph"/> keeps, which says the same and which ONNX Runtime fuses back:
/// <code>
///   bytes ─ DequantizeLinear ─ Conv ─ QuantizeLinear ─ bytes
/// </code>
/// Inputs stand in the order of https://onnx.ai/onnx/operators/ (QLinearConv, QLinearMatMul) and of
/// https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md (the others).
/// </summary>
internal sealed class QuantizedOperators
{
    private static readonly Dictionary<string, Action<QuantizedOperators, Node>> Table = new(StringComparer.Ordinal)
    {
        ["QLinearConv"] = (form, node) => form.Product(node, "Conv", bias: 8, scale: 6, channelAxis: 0),
        ["QLinearMatMul"] = (form, node) => form.Product(node, "MatMul", bias: -1, scale: 6, channelAxis: -1),
        ["QGemm"] = (form, node) => form.Product(node, "Gemm", bias: 6, scale: 7, channelAxis: node.Int("transB", 0) == 0 ? 1 : 0),
        ["QLinearAdd"] = (form, node) => form.Between(node, "Add", inputs: 2),
        ["QLinearMul"] = (form, node) => form.Between(node, "Mul", inputs: 2),
        ["QLinearLeakyRelu"] = (form, node) => form.Between(node, "LeakyRelu", inputs: 1),
        ["QLinearSigmoid"] = (form, node) => form.Between(node, "Sigmoid", inputs: 1),
        ["QLinearAveragePool"] = (form, node) => form.Between(node, "AveragePool", inputs: 1),
        ["QLinearGlobalAveragePool"] = (form, node) => form.Between(node, "GlobalAveragePool", inputs: 1),
        ["QLinearConcat"] = (form, node) => form.Concat(node),
        ["MaxPool"] = (form, node) => form.MaxPool(node),
    };

    // What leaves bytes as they are: the scale of the input is that of the output.
    private static readonly HashSet<string> Moves = new(StringComparer.Ordinal) { "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
        "Transpose", "Slice", "Split" };

    private readonly Graph _graph;
    private readonly GraphBuilder _builder;
    private readonly Dictionary<string, (string Scale, string ZeroPoint)> _quantization = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _scalars = new(StringComparer.Ordinal);

    private QuantizedOperators(Graph graph) => (_graph, _builder) = (graph, new GraphBuilder(graph));

    /// <summary>Whether an operator of the domain <c>com.microsoft</c> is one of these.</summary>
    public static bool Knows(string op) => op.StartsWith('Q') && Table.ContainsKey(op);

    /// <summary>Rewrites all of them.</summary>
    public static void Apply(Graph graph)
    {
        if (!graph.Nodes.Exists(node => Knows(node.Op)))
        {
            return;
        }

        var form = new QuantizedOperators(graph);
        Node[] nodes = [.. graph.Nodes];
        graph.Nodes.Clear();
        foreach (var node in nodes)
        {
            if (Table.TryGetValue(node.Op, out var rewrite))
            {
                rewrite(form, node);
                continue;
            }

            graph.Nodes.Add(node);
            if (node is { Op: "QuantizeLinear", Inputs: [_, var scale, { Length: > 0 } zeroPoint], Outputs: [var bytes] })
            {
                form._quantization[bytes] = (scale, zeroPoint);
            }
            else if (Moves.Contains(node.Op) && node.Inputs.Count > 0 && form._quantization.TryGetValue(node.Inputs[0], out (string, string) same))
            {
                node.Outputs.ForEach(output => form._quantization[output] = same);
            }
        }
    }

    /// <summary>
    /// x, scale, zero point, weights, scale, zero point; then the result's scale and zero point, and a bias of 32-bit integers whose scale is the product of
    /// the two.
    /// </summary>
    private void Product(Node node, string op, int bias, int scale, int channelAxis)
    {
        if (node.Int("channels_last", 0) != 0)
        {
            throw new ModelFormatException($"{node} with channels_last = 1 is not supported.");
        }

        var x = Dequantize(node, 0, 1, 2);
        var inputScale = Constant(node, 1).ToFloats();
        var weightScale = Constant(node, 4);
        if (inputScale.Length != 1)
        {
            throw new ModelFormatException($"{node} has {Counted.Of(inputScale.Length, "scale")} for its input; one is supported.");
        }

        var inputs = new List<string> { x, Dequantize(node, 3, 4, 5, channelAxis) };
        if (Input(node, bias) is { Length: > 0 } integers)
        {
            var alpha = node.Float("alpha", 1);
            var scales = Array.ConvertAll(weightScale.ToFloats(), weight => alpha * inputScale[0] * weight);
            var biasScale = _builder.AddConstant($"{integers}_scale", Tensor.Float32(scales.Length == 1 ? [] : [scales.Length], scales));
            inputs.Add(_builder.AddNode("DequantizeLinear", $"{integers}_real", [integers, biasScale], ("axis", -1L)));
        }

        Write(node, op, inputs, scale, scale + 1);
    }

    /// <summary>For each input x, scale, zero point; then the result's scale and zero point.</summary>
    private void Between(Node node, string op, int inputs) =>
        Write(node, op, [.. Enumerable.Range(0, inputs).Select(input => Dequantize(node, input * 3, (input * 3) + 1, (input * 3) + 2))],
            inputs * 3, (inputs * 3) + 1);

    /// <summary>The result's scale and zero point first, then x, scale, zero point of each part.</summary>
    private void Concat(Node node)
    {
        if (node.Inputs.Count < 5 || node.Inputs.Count % 3 != 2)
        {
            throw new ModelFormatException($"{node} has {Counted.Of(node.Inputs.Count, "input")}.");
        }

        Write(node, "Concat",
            [.. Enumerable.Range(0, (node.Inputs.Count - 2) / 3).Select(part => Dequantize(node, (part * 3) + 2, (part * 3) + 3, (part * 3) + 4))], 0, 1);
    }

    /// <summary>The largest of bytes is the byte of the largest: MaxPool may stand between as well.</summary>
    private void MaxPool(Node node)
    {
        if (!_quantization.TryGetValue(Input(node, 0), out var same) || node.Outputs.Count > 1)
        {
            _graph.Nodes.Add(node);
            return;
        }

        Node quantized = new(node.Op, node.Name, [node.Inputs[0], same.Scale, same.ZeroPoint, same.Scale, same.ZeroPoint], node.Outputs);
        foreach ((var name, var value) in node.Attributes)
        {
            quantized.Attributes.Add(name, value);
        }

        Between(quantized, "MaxPool", inputs: 1);
    }

    private string Dequantize(Node node, int value, int scale, int zeroPoint, int channelAxis = 0)
    {
        var scales = Constant(node, scale);
        List<string> inputs = [Input(node, value) is { Length: > 0 } given ? given
            : throw new ModelFormatException($"{node} has no input {value}."), Scalar(node, scale)];
        if (Input(node, zeroPoint).Length > 0)
        {
            inputs.Add(Scalar(node, zeroPoint));
        }

        var real = _builder.AddNode("DequantizeLinear", $"{inputs[0]}_real", inputs);
        if (scales.Length > 1)
        {
            // Columns, for a product of more than two dimensions too, are the last axis.
            _graph.Nodes[^1].Attributes["axis"] = (long)channelAxis;
        }

        return real;
    }

    private void Write(Node node, string op, IEnumerable<string> inputs, int scale, int zeroPoint)
    {
        var real = _builder.AddNode(op, node.Name, inputs);
        var written = _graph.Nodes[^1];
        written.Name = node.Name;
        written.ChannelsLast = node.Int("channels_last", 0) != 0;
        foreach ((var name, var value) in node.Attributes.Where(attribute => attribute.Key != "channels_last"))
        {
            written.Attributes.Add(name, value);
        }

        if (node.Outputs is not [var output])
        {
            throw new ModelFormatException($"{node} has {Counted.Of(node.Outputs.Count, "output")}.");
        }

        if (Input(node, scale).Length == 0 && node.Op == "QGemm")
        {
            written.Outputs[0] = output; // without a scale it answers in floats
            return;
        }

        (string Scale, string ZeroPoint) quantization = (Scalar(node, scale), ZeroPoint(node, zeroPoint));
        _builder.AddNode("QuantizeLinear", $"{node.Name}_quantized", [real, quantization.Scale, quantization.ZeroPoint]);
        _graph.Nodes[^1].Outputs[0] = output;
        _quantization[output] = quantization;
    }

    /// <summary>Left out, it is zero, of the type that the input has.</summary>
    private string ZeroPoint(Node node, int input)
    {
        if (Input(node, input).Length > 0)
        {
            return Scalar(node, input);
        }

        var type = TypeOf(Input(node, 2)) ?? TypeOf(_quantization.GetValueOrDefault(node.Inputs[0], ("", "")).Item2)
            ?? _graph.Inputs.Find(value => value.Name == node.Inputs[0])?.Type
            ?? throw new ModelFormatException($"{node} leaves its zero point out, and nothing else says whether its bytes are signed.");
        return _builder.AddConstant($"{node.Name}_zero_point", new Tensor(type, [], new byte[Tensor.SizeOf(type)]));
    }

    private ElementType? TypeOf(string constant) => _graph.Constants.GetValueOrDefault(constant)?.Type;

    /// <summary>A constant; a single number as a scalar of rank 0, for only such scales are fused by ONNX Runtime everywhere.</summary>
    private string Scalar(Node node, int input)
    {
        var constant = Constant(node, input);
        var name = node.Inputs[input];
        if (constant.Length != 1 || constant.Shape.Length == 0)
        {
            return name;
        }

        if (!_scalars.TryGetValue(name, out var scalar))
        {
            _scalars[name] = scalar = _builder.AddConstant($"{name}_scalar", constant with { Shape = [] });
        }

        return scalar;
    }

    private Tensor Constant(Node node, int input) => _graph.Constants.GetValueOrDefault(Input(node, input))
        ?? throw new ModelFormatException($"{node} computes its scale or zero point (input {input}) while it runs, which is not supported.");

    private static string Input(Node node, int index) => index >= 0 && index < node.Inputs.Count ? node.Inputs[index] : "";
}
