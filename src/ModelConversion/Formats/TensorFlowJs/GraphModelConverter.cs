using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.TensorFlow;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>From the nodes and weights of a graph model to the common graph. The operators themselves are in <see cref="GraphModelOperators"/>.</summary>
internal sealed class GraphModelConverter
{
    private readonly GraphModel _model;
    private readonly Dictionary<string, Tensor> _weights;
    private readonly Dictionary<string, Tensor> _constants = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Node, int Output), string> _values = [];
    private readonly Dictionary<(string Node, string Axes), string> _transposed = [];
    private IReadOnlyDictionary<string, (ElementType Type, int[] Shape)>? _shapes;
    private int _shapesOf = -1;

    public GraphModelConverter(GraphModel model, Dictionary<string, Tensor> weights, string name)
    {
        _model = model;
        _weights = weights;
        Builder = new GraphBuilder(name);
        TensorFlow = new TensorFlowOperators(Builder);
    }

    public GraphBuilder Builder { get; }

    public TensorFlowOperators TensorFlow { get; }

    public Graph Convert()
    {
        foreach (var node in _model.Nodes)
        {
            switch (node.Op)
            {
                case "Const":
                    _constants[node.Name] = _weights.TryGetValue(node.Name, out var weight) ? weight : Inline(node);
                    break;
                case "Placeholder":
                    AddInput(node);
                    break;
                default:
                    GraphModelOperators.Convert(new GraphModelOperation(this, node));
                    break;
            }
        }

        foreach ((var name, var source) in _model.Outputs)
        {
            // A name and a producer of its own for each output, whatever else reads the value.
            var value = Builder.AddNode("Identity", name, [Value(source)]);
            (var type, var shape) = ShapeOf(value);
            var freeBatch = Builder.Graph.Inputs.Any(input => input.Shape is [< 0, ..]);
            Builder.AddOutput(value, type, [.. shape.Select((side, axis) => axis == 0 && freeBatch ? -1 : side)]);
        }

        return Builder.Graph;
    }

    /// <summary>The value of a node's output; a constant joins the graph when it is first read.</summary>
    public string Value((string Node, int Output) source)
    {
        if (_values.TryGetValue(source, out var value))
        {
            return value;
        }

        return source.Output == 0 && _constants.TryGetValue(source.Node, out var constant)
            ? _values[source] = Builder.AddConstant(source.Node, constant)
            : throw new ModelFormatException($"The output {source.Output} of '{source.Node}' is read, which it does not have.");
    }

    public void SetValue(string node, int output, string value) => _values[(node, output)] = value;

    /// <summary>What a node's output always is, or <see langword="null"/>.</summary>
    public Tensor? Constant((string Node, int Output) source) => source.Output == 0 ? _constants.GetValueOrDefault(source.Node) : null;

    /// <summary>A node that answers a constant as it is (Identity) is that constant.</summary>
    public void SetConstant(string node, Tensor constant) => _constants[node] = constant;

    /// <summary>A constant in ONNX's layout; weights that two nodes share are there once.</summary>
    public string Weights((string Node, int Output) source, Tensor constant, Func<Tensor, Tensor> layout, string axes)
    {
        if (!_transposed.TryGetValue((source.Node, axes), out var value))
        {
            _transposed[(source.Node, axes)] = value = Builder.AddConstant(source.Node, layout(constant));
        }

        return value;
    }

    /// <summary>The shape that a value has with one picture as input. Few operators ask, so it is computed when one does.</summary>
    public (ElementType Type, int[] Shape) ShapeOf(string value)
    {
        if (_shapes is null || _shapesOf != Builder.Graph.Nodes.Count)
        {
            _shapes = Shapes.Infer(Builder.Graph);
            _shapesOf = Builder.Graph.Nodes.Count;
        }

        return _shapes[value];
    }

    private void AddInput(GraphNode node)
    {
        var shape = _model.InputShapes.GetValueOrDefault(node.Name) ?? node.Shape("shape")
            ?? throw new ModelFormatException($"The input '{node.Name}' has no shape.");
        var type = node.Type("dtype") ?? "DT_FLOAT";
        var value = Builder.AddInput(node.Name, type == "DT_UINT8" ? ElementType.UInt8
            : GraphModelOperators.ElementTypeOf(type) ?? throw new ModelFormatException($"{node} is of the type {type}, which is not supported."), shape);
        _values[(node.Name, 0)] = type == "DT_UINT8" ? Builder.AddNode("Cast", $"{node.Name}/int32", [value], ("to", (long)ElementType.Int32)) : value;
    }

    /// <summary>A constant in the graph itself (tensorflow/core/framework/tensor.proto): raw bytes, or values of which the last repeats.</summary>
    private static Tensor Inline(GraphNode node)
    {
        const int MaxBytes = 1 << 20;
        var tensor = node.Tensor("value");
        var type = node.Type("dtype") ?? "DT_FLOAT";
        var shape = GraphModel.ShapeOf(tensor.Member("tensorShape")) ?? [];
        (var element, var list) = type switch
        {
            "DT_FLOAT" => (ElementType.Float32, "floatVal"),
            "DT_INT32" => (ElementType.Int32, "intVal"),
            "DT_INT64" => (ElementType.Int64, "int64Val"),
            "DT_BOOL" => (ElementType.Bool, "boolVal"),
            _ => throw new ModelFormatException($"The constant '{node.Name}' is of the type {type}, which is not supported."),
        };
        var length = Graphs.Tensor.ElementsOf(shape);
        var content = tensor.Member("tensorContent").Bytes();
        double[] given = [.. tensor.Member(list).Items().Select(value => value.ValueKind is JsonValueKind.True ? 1 : Json.Number(value) ?? 0.0)];
        if (content is { Length: > 0 } ? content.Length != length * (long)Graphs.Tensor.SizeOf(element)
            : given.Length is 0 || given.Length > length || length * 8L > MaxBytes)
        {
            throw new ModelFormatException(
                $"The constant '{node.Name}' of shape [{string.Join(", ", shape)}] has no weights in the shards, and not in the graph either.");
        }

        var value = content is { Length: > 0 }
            ? new Tensor(element, shape, content)
            : Graphs.Tensor.FromDoubles(element, shape, [.. Enumerable.Range(0, length).Select(i => given[Math.Min(i, given.Length - 1)])]);

        // One integer type, as in the shards.
        return element == ElementType.Int64 ? Graphs.Tensor.FromDoubles(ElementType.Int32, shape, value.ToDoubles()) : value;
    }
}

/// <summary>One node at work: what it reads and where its results go.</summary>
internal sealed class GraphModelOperation(GraphModelConverter converter, GraphNode node)
{
    public GraphNode Node { get; } = node;

    public string Name => Node.Name;

    public int InputCount => Node.Inputs.Count;

    public GraphBuilder Builder => converter.Builder;

    public TensorFlowOperators TensorFlow => converter.TensorFlow;

    /// <summary>An input's value.</summary>
    public string this[int input] => converter.Value(Source(input));

    public Tensor? Constant(int input) => converter.Constant(Source(input));

    public Tensor RequiredConstant(int input, string what) => Constant(input) ?? throw Refuse($"computes its {what}, which is not supported");

    public long[] Ints(int input, string what) => RequiredConstant(input, what) is { Type: ElementType.Int32 } constant ? constant.ToInts()
        : throw Refuse($"has a {what} that is not of integers");

    public long Int(int input, string what) => Ints(input, what) is [long value] ? value : throw Refuse($"has more than one {what}");

    public float[] Floats(int input, string what) => RequiredConstant(input, what) is { Type: ElementType.Float32 } constant ? constant.ToFloats()
        : throw Refuse($"has a {what} that is not of floats");

    /// <summary>Constant weights of some rank, in another order of axes.</summary>
    public string Weights(int input, int[] axes, Func<Tensor, Tensor>? reshape = null)
    {
        var constant = RequiredConstant(input, "weights");
        return constant.Shape.Length == axes.Length && constant.Type == ElementType.Float32
            ? converter.Weights(Source(input), constant, weights => TensorFlowOperators.Transpose(weights, axes) is var moved && reshape is null ? moved
                : reshape!(moved), string.Join(' ', axes))
            : throw Refuse($"has weights of {constant.Type} [{string.Join(", ", constant.Shape)}]; {Counted.Of(axes.Length, "side")} of Float32 are expected");
    }

    /// <summary>The shape with one picture as input.</summary>
    public int[] ShapeOf(int input) => converter.ShapeOf(this[input]).Shape;

    public void Result(string value, int output = 0) => converter.SetValue(Name, output, value);

    public void Constant(Tensor constant) => converter.SetConstant(Name, constant);

    public ModelFormatException Refuse(string reason) => new($"{Node} {reason}.");

    private (string Node, int Output) Source(int input) => input < InputCount ? Node.Inputs[input] : throw Refuse($"has no input {input}");
}
