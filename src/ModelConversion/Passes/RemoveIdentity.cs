using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>Takes out operators that change nothing.</summary>
public static class RemoveIdentity
{
    /// <summary>Needs every operator's shapes, so all sides but the batch must be known.</summary>
    public static void Apply(Graph graph)
    {
        var shapes = Shapes.Infer(graph, batch: 2);
        var wiring = new Wiring(graph);
        foreach (var node in graph.Nodes.ToArray())
        {
            if (node.Inputs.Count > 0 && node.Outputs.Count == 1 && IsIdentity(node))
            {
                wiring.Bypass(node, node.Inputs[0]);
            }
        }

        DeadCode.Apply(graph);

        bool IsIdentity(Node node) => node.Op switch
        {
            "Identity" or "Dropout" => true,
            "Reshape" or "Flatten" or "Squeeze" or "Unsqueeze" or "Expand" or "Tile" or "Slice" => SameShape(node),
            "Resize" => SameShape(node) && node.Text("mode", "nearest") is "nearest" or "linear",
            "Pad" => SameShape(node) && wiring.Constant(node, 1)?.ToInts().All(pad => pad == 0) == true,
            "Transpose" => node.Ints("perm")?.SequenceEqual(Enumerable.Range(0, node.Ints("perm")!.Length).Select(axis => (long)axis)) == true,
            "Concat" or "Sum" or "Max" or "Min" or "Mean" => node.Inputs.Count == 1,
            "Cast" => shapes[node.Inputs[0]].Type == shapes[node.Outputs[0]].Type,
            "Mul" or "Div" =>
                SameShape(node) && wiring.Constant(node, 1) is { Type: ElementType.Float32 } factor && factor.As<float>().IndexOfAnyExcept(1f) < 0,
            "Add" or "Sub" =>
                SameShape(node) && wiring.Constant(node, 1) is { Type: ElementType.Float32 } offset && offset.As<float>().IndexOfAnyExcept(0f) < 0,
            _ => false,
        };

        // A Slice that keeps every side may still walk backwards.
        bool SameShape(Node node) => shapes[node.Inputs[0]].Shape.SequenceEqual(shapes[node.Outputs[0]].Shape)
            && (node.Op != "Slice" || (wiring.Constant(node, 4)?.ToInts() ?? []).All(step => step > 0));
    }
}
