using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Quantization;

/// <summary>The part of a graph that computes some of its values from others, to look inside or to run a network piece by piece.</summary>
internal static class Subgraph
{
    /// <summary>Cuts it out; nodes and constants are shared with the whole.</summary>
    /// <param name="graph">The whole.</param>
    /// <param name="shapes">Of all its values.</param>
    /// <param name="given">Values that are known; those that are needed become inputs.</param>
    /// <param name="outputs">What to compute.</param>
    public static Graph Of(Graph graph, IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes, IReadOnlySet<string> given,
        IEnumerable<string> outputs)
    {
        var part = new Graph { Name = graph.Name };
        part.Outputs.AddRange(outputs.Distinct().Select(Describe));
        var needed = part.Outputs.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var node in Enumerable.Reverse(graph.Nodes))
        {
            if (node.Outputs.Any(output => needed.Contains(output) && !given.Contains(output)))
            {
                part.Nodes.Add(node);
                needed.UnionWith(node.Inputs);
            }
        }

        part.Nodes.Reverse();
        part.Inputs.AddRange(needed.Where(given.Contains).Select(Describe));
        foreach (var name in needed.Where(graph.Constants.ContainsKey))
        {
            part.Constants.Add(name, graph.Constants[name]);
        }

        return part;

        GraphValue Describe(string value) => new(value, shapes[value].Type, shapes[value].Shape is [_, .. var sides] ? [-1, .. sides] : []);
    }
}
