
namespace Whatsit.ModelConversion.Graphs;

/// <summary>
/// The one common form of a model, between every reader and every writer. Its operators are those of ONNX (opset 17 and later: names,
/// inputs, attributes, defaults), with one addition for the formats that keep channels last: <see cref="Node.ChannelsLast"/>.
/// Each value has a name and exactly one producer: a graph input, a constant or a node. Nodes stand in an order in which they can run.
/// </summary>
public sealed class Graph
{
    /// <summary>The model's own name, from the file.</summary>
    public string Name { get; set; } = "model";

    /// <summary>What the model is fed with.</summary>
    public List<GraphValue> Inputs { get; } = [];

    /// <summary>What the model answers.</summary>
    public List<GraphValue> Outputs { get; } = [];

    /// <summary>The operators, producers before consumers.</summary>
    public List<Node> Nodes { get; } = [];

    /// <summary>Weights and other constants by value name.</summary>
    public Dictionary<string, Tensor> Constants { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Mean and variance that training recorded of a value, by channel, where a batch normalisation was read as what it computes; a node BatchNormalization
    /// has its own.
    /// </summary>
    internal Dictionary<string, (double[] Mean, double[] Variance)> Statistics { get; } = new(StringComparer.Ordinal);
}

/// <summary>A named input or output. A negative side is free (the batch).</summary>
public sealed record GraphValue(string Name, ElementType Type, int[] Shape);

/// <summary>One operator.</summary>
public sealed class Node(string op, string name, IEnumerable<string> inputs, IEnumerable<string> outputs)
{
    /// <summary>The ONNX operator, for example <c>Conv</c>.</summary>
    public string Op { get; set; } = op;

    /// <summary>The layer's or operation's name in the original file; shown in errors.</summary>
    public string Name { get; set; } = name;

    /// <summary>Value names; an empty one is an optional input left out.</summary>
    public List<string> Inputs { get; } = [.. inputs];

    /// <summary>Value names.</summary>
    public List<string> Outputs { get; } = [.. outputs];

    /// <summary>
    /// Attributes by ONNX name: <see cref="long"/>, <see cref="float"/>, <see cref="string"/>, <c>long[]</c>, <c>float[]</c> or <see cref="Tensor"/>.
    /// </summary>
    public Dictionary<string, object> Attributes { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// The spatial operators only (Conv, ConvTranspose, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool, Resize with scales or sizes of rank 4,
    /// DepthToSpace, SpaceToDepth, BatchNormalization): data is N H W C instead of ONNX's N C H W. Weights keep ONNX's layout (Conv: O, I/group, H, W) either
    /// way;
    /// Resize's scales and sizes follow the data (1, h, w, 1). The pass <c>ChannelsFirst</c> rewrites such nodes before ONNX is written.
    /// </summary>
    public bool ChannelsLast { get; set; }

    /// <summary>An integer attribute, or its default.</summary>
    public long Int(string attribute, long otherwise) => Attribute(attribute, otherwise);

    /// <summary>A float attribute, or its default.</summary>
    public float Float(string attribute, float otherwise) => Attribute(attribute, otherwise);

    /// <summary>A text attribute, or its default.</summary>
    public string Text(string attribute, string otherwise) => Attribute(attribute, otherwise);

    /// <summary>A list of integers, or <see langword="null"/> where the attribute is absent.</summary>
    public long[]? Ints(string attribute) => Attribute<long[]?>(attribute, null);

    /// <summary>The node in an error message: <c>The operator 'Conv' (conv1)</c>.</summary>
    public override string ToString() => $"The operator '{Op}' ({Name})";

    private T Attribute<T>(string attribute, T otherwise) => !Attributes.TryGetValue(attribute, out var value) ? otherwise
        : value is T typed ? typed
        : throw new ModelFormatException($"{this} has an attribute '{attribute}' of the wrong type ({value.GetType().Name}).");
}
