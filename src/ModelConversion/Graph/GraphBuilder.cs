namespace Whatsit.ModelConversion.Graphs;

/// <summary>
/// Appends to a <see cref="Graphs.Graph"/> and keeps value and node names unique. Readers start an empty one; passes wrap the graph they change.
/// </summary>
public sealed class GraphBuilder
{
    // Name to the number that its next namesake gets: a file with a hundred thousand equal names must not cost their square.
    private readonly Dictionary<string, int> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _nodes = new(StringComparer.Ordinal);

    /// <summary>Starts an empty graph.</summary>
    public GraphBuilder(string name) : this(new Graph { Name = name })
    {
    }

    /// <summary>Continues a graph; its names stay taken.</summary>
    public GraphBuilder(Graph graph)
    {
        Graph = graph;
        foreach (var value in graph.Inputs.Select(input => input.Name).Concat(graph.Constants.Keys).Concat(graph.Nodes.SelectMany(node => node.Outputs)))
        {
            _values.TryAdd(value, 1);
        }

        foreach (var node in graph.Nodes)
        {
            _nodes.TryAdd(node.Name, 1);
        }
    }

    /// <summary>What was built so far.</summary>
    public Graph Graph { get; }

    /// <summary>Declares a graph input; answers the value's name (made unique).</summary>
    public string AddInput(string name, ElementType type, params int[] shape)
    {
        var value = Unique(name);
        Graph.Inputs.Add(new GraphValue(value, type, shape));
        return value;
    }

    /// <summary>Declares a value that exists as a graph output.</summary>
    public void AddOutput(string value, ElementType type, params int[] shape) => Graph.Outputs.Add(new GraphValue(value, type, shape));

    /// <summary>Adds a constant; answers the value's name (<paramref name="name"/>, made unique).</summary>
    public string AddConstant(string name, Tensor tensor)
    {
        var value = Unique(name);
        Graph.Constants.Add(value, tensor);
        return value;
    }

    /// <summary>Adds a constant of floats; without a shape it is a scalar.</summary>
    public string AddConstant(string name, ReadOnlySpan<float> values, params int[] shape) => AddConstant(name, Tensor.Float32(shape, values));

    /// <summary>Adds a one-dimensional constant of 64-bit integers: a shape, axes, pads.</summary>
    public string AddInt64Constant(string name, params ReadOnlySpan<long> values) => AddConstant(name, Tensor.Int64([values.Length], values));

    /// <summary>
    /// Adds an operator with one output and answers that value's name, which is the node's name made unique:
    /// <c>x = builder.AddNode("Conv", "conv1", [x, weights, bias], ("strides", new long[] { 2, 2 }))</c>. An empty input name leaves an optional input out.
    /// </summary>
    public string AddNode(string op, string name, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        AddNode(op, name, inputs, outputs: 1, attributes).Outputs[0];

    /// <summary>The same for a spatial operator whose data is N H W C (<see cref="Node.ChannelsLast"/>).</summary>
    public string AddChannelsLastNode(string op, string name, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, object Value)> attributes)
    {
        var node = AddNode(op, name, inputs, outputs: 1, attributes);
        node.ChannelsLast = true;
        return node.Outputs[0];
    }

    /// <summary>Adds an operator with several outputs (Split) and answers the node.</summary>
    public Node AddNode(string op, string name, IEnumerable<string> inputs, int outputs, params ReadOnlySpan<(string Name, object Value)> attributes)
    {
        var node = new Node(op, Unique(_nodes, name), inputs, Enumerable.Range(0, outputs).Select(_ => Unique(name)).ToArray());
        foreach ((var attribute, var value) in attributes)
        {
            node.Attributes.Add(attribute, value);
        }

        Graph.Nodes.Add(node);
        return node;
    }

    /// <summary>A value name that nothing has yet: <paramref name="name"/>, or with a number behind it.</summary>
    public string Unique(string name) => Unique(_values, name);

    private static string Unique(Dictionary<string, int> taken, string name)
    {
        var unique = name;
        while (unique.Length == 0 || !taken.TryAdd(unique, 1))
        {
            var number = taken.GetValueOrDefault(name, 1);
            taken[name] = number + 1;
            unique = $"{name}_{number}";
        }

        return unique;
    }
}
