using System.Text.Json;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>One node of a TensorFlow graph in JSON (tensorflow/core/framework/node_def.proto and attr_value.proto).</summary>
internal sealed class GraphNode
{
    private readonly JsonElement? _attributes;

    public GraphNode(JsonElement json)
    {
        Name = json.Member("name").Text() ?? throw new ModelFormatException("A node of the graph has no name.");
        Op = json.Member("op").Text() ?? throw new ModelFormatException($"The node '{Name}' has no operator.");

        // "node", "node:1" (its second output), "^node" (a control dependency: an order, not a value).
        Inputs = [.. json.Member("input").Items().Select(input => input.Text() ?? "").Where(input => !input.StartsWith('^')).Select(Source)];
        _attributes = json.Member("attr");
    }

    public string Name { get; }

    public string Op { get; }

    public IReadOnlyList<(string Node, int Output)> Inputs { get; }

    public long Int(string attribute, long otherwise) => Attribute(attribute, "i").Integer() ?? otherwise;

    public float Float(string attribute, float otherwise) => Attribute(attribute, "f").Number() ?? otherwise;

    public bool Flag(string attribute) => Attribute(attribute, "b").Flag() ?? false;

    public string? Text(string attribute) => Attribute(attribute, "s").EncodedText();

    public long[] Ints(string attribute) => [.. Attribute(attribute, "list").Member("i").Items()
        .Select(item => item.Integer() ?? throw new ModelFormatException($"{this} has a number in '{attribute}' that is none."))];

    public string[] Texts(string attribute) => [.. Attribute(attribute, "list").Member("s").Items().Select(item => Json.EncodedText(item) ?? "")];

    /// <summary>A type by name; old converters wrote its number (tensorflow/core/framework/types.proto).</summary>
    public string? Type(string attribute) => Attribute(attribute, "type") switch
    {
        { ValueKind: JsonValueKind.String } name => name.Text(),
        { } number => number.Integer() switch { 1 => "DT_FLOAT", 3 => "DT_INT32", 4 => "DT_UINT8", 9 => "DT_INT64", 10 => "DT_BOOL", _ => null },
        _ => null,
    };

    /// <summary>A shape; unknown sides are negative. <see langword="null"/> if even the rank is unknown.</summary>
    public int[]? Shape(string attribute) => GraphModel.ShapeOf(Attribute(attribute, "shape"));

    /// <summary>A constant that stands in the graph instead of the shards.</summary>
    public JsonElement? Tensor(string attribute) => Attribute(attribute, "tensor");

    public override string ToString() => $"The operator '{Op}' ({Name})";

    public static (string Node, int Output) Source(string input) =>
        input.LastIndexOf(':') is > 0 and int colon && int.TryParse(input.AsSpan(colon + 1), out var output) ? (input[..colon], output) : (input, 0);

    private JsonElement? Attribute(string attribute, string kind) => _attributes.Member(attribute).Member(kind);
}

/// <summary>A graph model: its nodes in an order in which they can run, and what it is fed with and answers.</summary>
internal sealed class GraphModel
{
    private GraphModel(IReadOnlyList<GraphNode> nodes, IReadOnlyDictionary<string, int[]> inputShapes,
        IReadOnlyList<(string Name, (string Node, int Output) Source)> outputs)
    {
        Nodes = nodes;
        InputShapes = inputShapes;
        Outputs = outputs;
    }

    /// <summary>What the outputs need, producers first.</summary>
    public IReadOnlyList<GraphNode> Nodes { get; }

    /// <summary>The shapes of placeholders, where the signature has them.</summary>
    public IReadOnlyDictionary<string, int[]> InputShapes { get; }

    public IReadOnlyList<(string Name, (string Node, int Output) Source)> Outputs { get; }

    public static GraphModel Parse(JsonElement topology, JsonElement? signature)
    {
        var nodes = new Dictionary<string, GraphNode>(StringComparer.Ordinal);
        foreach (var json in topology.Member("node").Items())
        {
            var node = new GraphNode(json);
            if (!nodes.TryAdd(node.Name, node))
            {
                throw new ModelFormatException($"The node '{node.Name}' appears twice in the graph.");
            }
        }

        var outputs = new List<(string Name, (string Node, int Output) Source)>();
        foreach ((var key, var output) in signature.Member("outputs").Members())
        {
            outputs.Add((GraphNode.Source(key).Node, GraphNode.Source(output.Member("name").Text() ?? key)));
        }

        if (outputs.Count == 0)
        {
            // Without a signature: what nothing reads.
            var read = nodes.Values.SelectMany(node => node.Inputs).Select(input => input.Node).ToHashSet(StringComparer.Ordinal);
            outputs.AddRange(nodes.Values.Where(node => !read.Contains(node.Name) && node.Op is not ("Const" or "NoOp" or "Placeholder"))
                .Select(node => (node.Name, (node.Name, 0))));
        }

        var inputShapes = new Dictionary<string, int[]>(StringComparer.Ordinal);
        foreach ((var key, var input) in signature.Member("inputs").Members())
        {
            if (ShapeOf(input.Member("tensorShape")) is { } shape)
            {
                inputShapes[GraphNode.Source(input.Member("name").Text() ?? key).Node] = shape;
            }
        }

        return outputs.Count > 0
            ? new GraphModel(Sort(nodes, outputs.Select(output => output.Source.Node)), inputShapes, outputs)
            : throw new ModelFormatException("The graph has no output.");
    }

    /// <summary>TensorShapeProto: sides of −1 are unknown.</summary>
    public static int[]? ShapeOf(JsonElement? shape) => shape is null || shape.Member("unknownRank").Flag() == true
        ? null
        : [.. shape.Member("dim").Items().Select(side => side.Member("size").Integer() is >= 0 and <= int.MaxValue and long size ? (int)size : -1)];

    /// <summary>Depth first with a stack of our own: a chain of a hundred thousand nodes must not end the process.</summary>
    private static List<GraphNode> Sort(Dictionary<string, GraphNode> nodes, IEnumerable<string> outputs)
    {
        var sorted = new List<GraphNode>();
        var state = new Dictionary<string, bool>(StringComparer.Ordinal); // false: its inputs are being visited; true: done
        var stack = new Stack<(GraphNode Node, int Input)>();
        foreach (var output in outputs)
        {
            Visit(output, "The signature");
            while (stack.TryPop(out var top))
            {
                if (top.Input < top.Node.Inputs.Count)
                {
                    stack.Push((top.Node, top.Input + 1));
                    Visit(top.Node.Inputs[top.Input].Node, top.Node.ToString());
                }
                else
                {
                    state[top.Node.Name] = true;
                    sorted.Add(top.Node);
                }
            }
        }

        return sorted;

        void Visit(string name, string reader)
        {
            if (!nodes.TryGetValue(name, out var node))
            {
                throw new ModelFormatException($"{reader} reads '{name}', which is not in the graph.");
            }

            if (state.TryAdd(name, false))
            {
                stack.Push((node, 0));
            }
            else if (!state[name])
            {
                throw new ModelFormatException($"The graph is cyclic at {node.Op} '{name}'.");
            }
        }
    }
}
