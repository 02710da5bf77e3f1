using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>Drops the nodes and constants that no output needs.</summary>
public static class DeadCode
{
    /// <summary>Keeps what the outputs are computed from; inputs stay, needed or not.</summary>
    public static void Apply(Graph graph)
    {
        var needed = graph.Outputs.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        for (var index = graph.Nodes.Count - 1; index >= 0; index--)
        {
            var node = graph.Nodes[index];
            if (node.Outputs.Any(needed.Contains))
            {
                needed.UnionWith(node.Inputs);
            }
        }

        graph.Nodes.RemoveAll(node => !node.Outputs.Any(needed.Contains));
        foreach (var name in graph.Constants.Keys.Where(name => !needed.Contains(name)).ToArray())
        {
            graph.Constants.Remove(name);
        }
    }
}
