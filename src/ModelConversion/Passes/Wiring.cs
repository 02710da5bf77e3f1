using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>Who writes and who reads each value of a graph, kept current while a pass changes it through the methods here.</summary>
internal sealed class Wiring
{
    private readonly Graph _graph;
    private readonly Dictionary<string, Node> _producers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<Node>> _consumers = new(StringComparer.Ordinal);
    private readonly HashSet<string> _outputs;

    public Wiring(Graph graph)
    {
        _graph = graph;
        _outputs = [.. graph.Outputs.Select(output => output.Name)];
        foreach (var node in graph.Nodes)
        {
            foreach (var output in node.Outputs)
            {
                _producers[output] = node;
            }

            foreach (var input in node.Inputs.Where(input => input.Length > 0).Distinct())
            {
                ConsumersOf(input).Add(node);
            }
        }
    }

    /// <summary>The node that writes a value; none for inputs and constants.</summary>
    public Node? Producer(string value) => _producers.GetValueOrDefault(value);

    /// <summary>The nodes that read a value.</summary>
    public IReadOnlyList<Node> Consumers(string value) => _consumers.GetValueOrDefault(value) ?? [];

    /// <summary>Whether the graph answers with this value.</summary>
    public bool IsOutput(string value) => _outputs.Contains(value);

    /// <summary>The only node that needs a value, or none where several do or the graph answers with it.</summary>
    public Node? OnlyConsumer(string value) =>
        !IsOutput(value) && Consumers(value) is [Node only] && only.Inputs.Count(input => input == value) == 1 ? only : null;

    /// <summary>The constant that a node reads at a place, if it is one.</summary>
    public Tensor? Constant(Node node, int input) => input < node.Inputs.Count ? _graph.Constants.GetValueOrDefault(node.Inputs[input]) : null;

    /// <summary>Makes a node read another value.</summary>
    public void SetInput(Node node, int input, string value)
    {
        while (node.Inputs.Count <= input)
        {
            node.Inputs.Add("");
        }

        var old = node.Inputs[input];
        node.Inputs[input] = value;
        if (!node.Inputs.Contains(old))
        {
            _consumers.GetValueOrDefault(old)?.Remove(node);
        }

        if (value.Length > 0 && !ConsumersOf(value).Contains(node))
        {
            ConsumersOf(value).Add(node);
        }
    }

    /// <summary>
    /// Takes out a node whose first output may as well be <paramref name="replacement"/>. <see langword="false"/>, and nothing changes, where the
    /// graph answers with that output under a name that the replacement cannot take.
    /// </summary>
    public bool Bypass(Node node, string replacement)
    {
        var value = node.Outputs[0];
        if (IsOutput(value))
        {
            // The answer keeps its name: who writes the replacement writes it from now on.
            if (IsOutput(replacement) || Producer(replacement) is not { } producer)
            {
                return false;
            }

            producer.Outputs[producer.Outputs.IndexOf(replacement)] = value;
            Detach(node);
            _producers.Remove(replacement);
            _producers[value] = producer;
            Redirect(replacement, value);
            return true;
        }

        Detach(node);
        Redirect(value, replacement);
        return true;
    }

    /// <summary>Takes a node out whose outputs nobody needs.</summary>
    public void Remove(Node node) => Detach(node);

    /// <summary>Makes everyone who reads one value read another.</summary>
    public void Redirect(string value, string replacement)
    {
        foreach (var consumer in Consumers(value).ToArray())
        {
            for (var input = 0; input < consumer.Inputs.Count; input++)
            {
                if (consumer.Inputs[input] == value)
                {
                    SetInput(consumer, input, replacement);
                }
            }
        }
    }

    private void Detach(Node node)
    {
        _graph.Nodes.Remove(node);
        foreach (var input in node.Inputs)
        {
            _consumers.GetValueOrDefault(input)?.Remove(node);
        }

        foreach (var output in node.Outputs)
        {
            if (_producers.GetValueOrDefault(output) == node)
            {
                _producers.Remove(output);
            }
        }
    }

    private List<Node> ConsumersOf(string value)
    {
        if (!_consumers.TryGetValue(value, out var consumers))
        {
            _consumers[value] = consumers = [];
        }

        return consumers;
    }
}
