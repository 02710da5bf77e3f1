using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>
/// Functions that a file defines for itself (FunctionProto): each call is replaced by the function's nodes, with its attributes in their places.
/// https://github.com/onnx/onnx/blob/main/docs/IR.md#functions
/// </summary>
internal sealed class OnnxFunctions
{
    // A function may call others, never itself; and a file that calls each twice must not grow without end.
    private const int DeepestCall = 16;
    private const int MostNodes = 200_000;

    private readonly Dictionary<(string Domain, string Name), Function> _functions = [];
    private int _nodes;

    public void Add(ProtobufReader message)
    {
        (var name, var domain) = ("", "");
        var function = new Function([], [], [], []);
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: name = message.Text(); break;
                case 4: function.Inputs.Add(message.Text()); break;
                case 5: function.Outputs.Add(message.Text()); break;
                case 7: function.Nodes.Add(message.Bytes()); break;
                case 10: domain = message.Text(); break;
                case 11: function.Defaults.Add(message.Bytes()); break;
            }
        }

        _functions[(domain, name)] = function;
    }

    public bool Knows(string domain, string op) => _functions.ContainsKey((domain, op));

    /// <summary>The nodes that a call stands for.</summary>
    /// <param name="call">The call; its attributes are the function's.</param>
    /// <param name="domain">Its domain.</param>
    /// <param name="readNode">Reads a node with the given attributes for those that it refers to.</param>
    /// <param name="readAttribute">Reads an attribute.</param>
    /// <param name="depth">How many calls it is within.</param>
    public IEnumerable<Node> Expand(Node call, string domain, Func<ProtobufReader, IReadOnlyDictionary<string, object>, (Node Node, string Domain)> readNode,
        Func<ProtobufReader, (string Name, object? Value)> readAttribute, int depth = 0)
    {
        if (depth > DeepestCall)
        {
            throw new ModelFormatException($"{call} is a function that calls itself, or others too deep.");
        }

        var function = _functions[(domain, call.Op)];
        var attributes = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var standard in function.Defaults)
        {
            (var name, var value) = readAttribute(new ProtobufReader(standard));
            if (value is not null)
            {
                attributes[name] = value;
            }
        }

        foreach ((var name, var value) in call.Attributes)
        {
            attributes[name] = value;
        }

        var names = new Dictionary<string, string>(StringComparer.Ordinal) { [""] = "" };
        foreach ((var formal, var place) in function.Inputs.Select((formal, place) => (formal, place)))
        {
            names[formal] = place < call.Inputs.Count ? call.Inputs[place] : "";
        }

        foreach ((var formal, var actual) in function.Outputs.Zip(call.Outputs))
        {
            if (actual.Length > 0)
            {
                names[formal] = actual;
            }
        }

        foreach (var bytes in function.Nodes)
        {
            if (++_nodes > MostNodes)
            {
                throw new ModelFormatException($"The file's functions come to more than {MostNodes} operators.");
            }

            (var inner, var innerDomain) = readNode(new ProtobufReader(bytes), attributes);
            var node = new Node(inner.Op, $"{call.Name}/{inner.Name}", inner.Inputs.Select(Own), inner.Outputs.Select(Own));
            foreach ((var name, var value) in inner.Attributes)
            {
                node.Attributes.Add(name, value);
            }

            foreach (var expanded in Knows(innerDomain, inner.Op) ? Expand(node, innerDomain, readNode, readAttribute, depth + 1) : [node])
            {
                yield return expanded;
            }
        }

        // What a function computes for itself gets a name that no other call has.
        string Own(string value) => names.TryGetValue(value, out var known) ? known : names[value] = $"{call.Outputs[0]}/{value}";
    }

    private sealed record Function(List<string> Inputs, List<string> Outputs, List<ReadOnlyMemory<byte>> Nodes, List<ReadOnlyMemory<byte>> Defaults);
}
