using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// TensorFlow Lite calls what it fused by all of its parts, "Conv2d_0/Relu6;…;Conv2d_0/Conv2D", and what is made of it has that in its name again: kilobytes
/// for each layer. The first part says which layer it was.
/// </summary>
internal static class ShortNames
{
    private const char Next = ';';

    /// <summary>Cuts the names of values and operators; inputs and outputs keep theirs.</summary>
    public static void Apply(Graph graph)
    {
        var names = graph.Nodes.SelectMany(node => node.Inputs.Concat(node.Outputs)).Concat(graph.Constants.Keys).Distinct(StringComparer.Ordinal).ToArray();
        var taken = names.Where(name => !name.Contains(Next, StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
        taken.UnionWith(graph.Inputs.Concat(graph.Outputs).Select(value => value.Name));
        var shorter = names.Where(name => !taken.Contains(name)).ToDictionary(name => name, name => Free(name, taken), StringComparer.Ordinal);
        if (shorter.Count == 0)
        {
            return;
        }

        // Operators have names of their own, and no two may have one.
        var operators = graph.Nodes.Select(node => node.Name).Where(name => !name.Contains(Next, StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
        foreach (var node in graph.Nodes)
        {
            node.Name = node.Name.Contains(Next, StringComparison.Ordinal) ? Free(node.Name, operators) : node.Name;
            Replace(node.Inputs);
            Replace(node.Outputs);
        }

        foreach (var (name, own) in shorter)
        {
            if (graph.Constants.Remove(name, out var constant))
            {
                graph.Constants.Add(own, constant);
            }

            if (graph.Statistics.Remove(name, out var statistics))
            {
                graph.Statistics.Add(own, statistics);
            }
        }

        void Replace(List<string> values)
        {
            for (var place = 0; place < values.Count; place++)
            {
                values[place] = shorter.GetValueOrDefault(values[place], values[place]);
            }
        }

        static string Free(string name, HashSet<string> taken)
        {
            var first = name.IndexOf(Next, StringComparison.Ordinal) is > 0 and var end ? name[..end] : name;
            var free = first;
            for (var number = 2; !taken.Add(free); number++)
            {
                free = $"{first}_{number}";
            }

            return free;
        }
    }
}
