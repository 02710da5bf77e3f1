using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Lets a model take any number of pictures at once, also where its file says one (TensorFlow Lite always does), and turns shapes that are computed
/// at run time into constants where they depend on nothing but the batch.
/// </summary>
public static class FreeBatch
{
    /// <summary>All other sides must be known. Where the network does not allow another batch than its own, it keeps it.</summary>
    public static void Apply(Graph graph)
    {
        GraphValue[] inputs = [.. graph.Inputs];
        GraphValue[] outputs = [.. graph.Outputs];
        List<(Node Node, string Shape)> reshapes = [.. graph.Nodes.Where(node => node.Op == "Reshape").Select(node => (node, node.Inputs[1]))];
        var builder = new GraphBuilder(graph);
        for (var input = 0; input < inputs.Length; input++)
        {
            if (inputs[input].Shape is [1, _, ..])
            {
                graph.Inputs[input] = inputs[input] with { Shape = [-1, .. inputs[input].Shape[1..]] };
            }
        }

        foreach ((var node, var shape) in reshapes)
        {
            if (graph.Constants.GetValueOrDefault(shape)?.ToInts() is [1, .. var rest])
            {
                node.Inputs[1] = builder.AddInt64Constant(node.Name + "_shape", [rest.Contains(-1) ? 0 : -1, .. rest]);
            }
        }

        try
        {
            var two = Trace(graph, 2);
            var three = Trace(graph, 3);
            if (graph.Inputs.Any(input => input.Shape is [-1, ..])
                && graph.Outputs.All(output => two[output.Name].Shape is [2, ..] && three[output.Name].Shape is [3, ..]))
            {
                for (var output = 0; output < outputs.Length; output++)
                {
                    graph.Outputs[output] = outputs[output] with { Shape = [-1, .. two[outputs[output].Name].Shape[1..]] };
                }

                FixShapes(graph, builder, two, three);
                return;
            }
        }
        catch (ModelFormatException)
        {
            // The network fits one batch only.
        }

        for (var input = 0; input < inputs.Length; input++)
        {
            graph.Inputs[input] = inputs[input].Shape is [-1, ..] ? inputs[input] with { Shape = [1, .. inputs[input].Shape[1..]] } : inputs[input];
        }

        foreach ((var node, var shape) in reshapes)
        {
            node.Inputs[1] = shape;
        }

        var one = Trace(graph, 1);
        for (var output = 0; output < outputs.Length; output++)
        {
            graph.Outputs[output] = outputs[output] with { Shape = one[outputs[output].Name].Shape };
        }

        FixShapes(graph, builder, one, one);
    }

    private static void FixShapes(Graph graph, GraphBuilder builder, Dictionary<string, Tensor> two, Dictionary<string, Tensor> three)
    {
        var outputs = graph.Outputs.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        var known = graph.Constants.Keys.ToHashSet(StringComparer.Ordinal); // depends on shapes and constants alone
        foreach (var node in graph.Nodes)
        {
            if (node.Op is "Shape" or "Size" || node.Inputs.All(input => input.Length == 0 || known.Contains(input)))
            {
                known.UnionWith(node.Outputs);
            }

            // Sides that are the same for every batch are constants.
            foreach (var output in node.Outputs.Where(output => known.Contains(output) && !outputs.Contains(output)))
            {
                if (two[output] is { Type: ElementType.Int64 or ElementType.Int32, Data.Length: > 0 } value && three[output].Shape.SequenceEqual(value.Shape)
                    && three[output].Data.Span.SequenceEqual(value.Data.Span))
                {
                    graph.Constants[output] = value;
                }
            }

            if (node.Op == "Reshape" && known.Contains(node.Inputs[1]) && !graph.Constants.ContainsKey(node.Inputs[1])
                && two[node.Inputs[1]].ToInts() is [2, .. var rest] && three[node.Inputs[1]].ToInts() is [3, .. var others]
                && rest.SequenceEqual(others) && (!rest.Contains(-1) || two[node.Inputs[0]].Shape is [2, ..]))
            {
                node.Inputs[1] = builder.AddInt64Constant(node.Name + "_shape", [rest.Contains(-1) ? 0 : -1, .. rest]);
            }
        }

        graph.Nodes.RemoveAll(node => node.Outputs.All(graph.Constants.ContainsKey));
        DeadCode.Apply(graph);
    }

    /// <summary>Every value's shape, and the whole numbers themselves where they are few enough to be a shape.</summary>
    private static Dictionary<string, Tensor> Trace(Graph graph, int batch)
    {
        const int LongestShape = 32;
        var values = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach ((var name, (var type, var shape)) in Shapes.Infer(graph, batch, (name, tensor) => values[name] = tensor.Length <= LongestShape ? tensor
            : tensor with { Data = default }))
        {
            values.TryAdd(name, new Tensor(type, shape, default));
        }

        return values;
    }
}
