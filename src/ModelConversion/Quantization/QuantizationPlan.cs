using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Quantization;

/// <summary>
/// Which values of a float network become bytes. A value does where an operator that ONNX Runtime has in int8 writes or reads it; what stands between
/// (HardSwish, Sigmoid, a softmax) computes in float from bytes to bytes. An activation directly behind a layer becomes the range of its bytes:
/// <code>
///   Conv ─► Clip(0, 6) ─► Conv      becomes      Conv ─► Quantize(0 … 6) ─► Dequantize ─► Conv
/// </code>
/// The classifier at the end stays float: it is a small part of the work, and its scores are what is asked for.
/// </summary>
internal sealed class QuantizationPlan
{
    private readonly Graph _graph;
    private readonly Wiring _wiring;
    private readonly Dictionary<string, float> _limits = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _moved = new(StringComparer.Ordinal);
    private readonly List<string> _values = [];
    private readonly HashSet<Node> _absorbed = [];
    private readonly List<Node> _convolutions = [];
    private readonly List<Node> _classifiers = [];

    /// <summary>Plans for a float network with channels first.</summary>
    public QuantizationPlan(Graph graph)
    {
        _graph = graph;
        _wiring = new Wiring(graph);
        Shapes = Graphs.Shapes.Infer(graph);
        Front = PixelFront.Of(graph, _wiring, Shapes);
        FindLayers();
        foreach (var node in graph.Nodes.Where(node => !(Front?.Nodes.Contains(node) ?? false)))
        {
            Consider(node);
        }
    }

    /// <summary>Types and shapes of all values of the float network.</summary>
    public IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> Shapes { get; }

    /// <summary>The arithmetic on pixels that disappears into the first layer.</summary>
    public PixelFront? Front { get; }

    /// <summary>The values that become bytes, in the order in which they are computed.</summary>
    public IReadOnlyList<string> Values => _values;

    /// <summary>The convolutions that compute with bytes, in order.</summary>
    public IReadOnlyList<Node> Convolutions => _convolutions;

    /// <summary>Dense layers (and a last convolution), whose arithmetic stays float.</summary>
    public IReadOnlyList<Node> Classifiers => _classifiers;

    /// <summary>Whether an activation is said by the range of the bytes before it.</summary>
    public bool IsAbsorbed(Node node) => _absorbed.Contains(node);

    /// <summary>The value whose bytes a value shares: pooling and reshaping choose among bytes and make none.</summary>
    public string Origin(string value)
    {
        while (_moved.TryGetValue(value, out var from))
        {
            value = from;
        }

        return value;
    }

    /// <summary>The range that an absorbed activation cuts off.</summary>
    public (float Min, float Max) Limit(string value, (float Min, float Max) range) =>
        _limits.TryGetValue(value, out var limit) ? (0, Math.Min(limit, range.Max)) : range;

    private void FindLayers()
    {
        // Backwards: the last layer before the scores is a classifier, whatever its kind; other dense layers stay float with it.
        var behindLayer = new HashSet<string>(StringComparer.Ordinal);
        foreach (var node in Enumerable.Reverse(_graph.Nodes))
        {
            var isLayer = node.Op is "Conv" or "Gemm" && _wiring.Constant(node, 1) is { Type: ElementType.Float32 }
                && (node.Inputs.Count < 3 || node.Inputs[2].Length == 0 || _wiring.Constant(node, 2) is not null);
            var hasLayerBehind = node.Outputs.Exists(behindLayer.Contains);
            if (isLayer)
            {
                (node.Op == "Conv" && hasLayerBehind ? _convolutions : _classifiers).Insert(0, node);
            }

            if (isLayer || hasLayerBehind)
            {
                behindLayer.UnionWith(node.Inputs);
            }
        }

        if (_convolutions.Count == 0)
        {
            throw new ModelFormatException("The model has no convolution that could compute with bytes.");
        }
    }

    private void Consider(Node node)
    {
        if (Moves(node) && _values.Contains(node.Inputs[0]) && node.Outputs.Exists(IsRead))
        {
            foreach (var output in node.Outputs)
            {
                _moved[output] = node.Inputs[0];
                _values.Add(output);
            }

            return;
        }

        if (!ComputesWithBytes(node))
        {
            // Float arithmetic; what it hands to bytes is quantized.
            _values.AddRange(node.Outputs.Where(IsRead));
            return;
        }

        foreach (var input in node.Inputs.Where(IsData).Where(input => _graph.Inputs.Exists(value => value.Name == input) && !_values.Contains(input)))
        {
            _values.Add(input);
        }

        var result = node.Outputs[0];
        if (_wiring.OnlyConsumer(result) is { } next && CutsBelowZero(next) is { } limit)
        {
            result = next.Outputs[0];
            _absorbed.Add(next);
            _limits[result] = limit;
        }

        _values.Add(result);
    }

    /// <summary>Whether an operator that computes with bytes wants this value as bytes.</summary>
    private bool IsRead(string value) => IsData(value) && !_values.Contains(value) && _wiring.Consumers(value)
        .Any(reader => ComputesWithBytes(reader) || (Moves(reader) && reader.Outputs.Exists(IsRead)));

    private bool IsData(string value) =>
        value.Length > 0 && !_graph.Constants.ContainsKey(value) && Shapes[value] is { Type: ElementType.Float32, Shape.Length: 4 } && value != Front?.Value;

    /// <summary>onnxruntime/core/optimizer/qdq_transformer/selectors_actions: what becomes QLinearConv, QLinearAdd and so on.</summary>
    private bool ComputesWithBytes(Node node) => node.Op switch
    {
        "Conv" => _convolutions.Contains(node),
        "Add" or "Mul" => node.Inputs.TrueForAll(IsData),
        "Concat" => node.Inputs.TrueForAll(IsData),
        "AveragePool" => IsData(node.Inputs[0]),
        // squeeze and excitation
        "GlobalAveragePool" => IsData(node.Inputs[0]) && _wiring.Consumers(node.Outputs[0]).Any(reader => _convolutions.Contains(reader)),
        _ => false,
    };

    private bool Moves(Node node) => node.Op is "MaxPool" or "Transpose" or "Slice" or "Split" or "DepthToSpace" or "SpaceToDepth" && IsData(node.Inputs[0]);

    /// <summary>The upper limit of a ReLU or a Clip from 0.</summary>
    private float? CutsBelowZero(Node node) => node.Op switch
    {
        "Relu" => float.PositiveInfinity,
        "Clip" when _wiring.Constant(node, 1) is { Length: 1 } least && least.ToFloats()[0] == 0 =>
            node.Inputs.Count < 3 || node.Inputs[2].Length == 0 ? float.PositiveInfinity : _wiring.Constant(node, 2) is { Length: 1 } most
                ? most.ToFloats()[0] : null,
        _ => null,
    };
}
