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
        var shorter = names.Where(name => !taken.Contains(name)).ToDictionary(name => name, Free, StringComparer.Ordinal);
        if (shorter.Count == 0)
        {
            return;
        }

        foreach (var node in graph.Nodes)
        {
            node.Name = First(node.Name);
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

        string Free(string name)
        {
            var first = First(name);
            var free = first;
            for (var number = 2; !taken.Add(free); number++)
            {
                free = $"{first}_{number}";
            }

            return free;
        }

        void Replace(List<string> values)
        {
            for (var place = 0; place < values.Count; place++)
            {
                values[place] = shorter.GetValueOrDefault(values[place], values[place]);
            }
        }

        static string First(string name) => name.IndexOf(Next, StringComparison.Ordinal) is > 0 and var end ? name[..end] : name;
    }
}
