
namespace Whatsit.ModelConversion.Graphs;

/// <summary>The element type and shape of every value of a graph, learnt by running the interpreter without its expensive operators.</summary>
public static class Shapes
{
    /// <summary>Infers all shapes. A free first side becomes <paramref name="batch"/>; other free sides of the inputs must have been fixed before.</summary>
    public static IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> Infer(Graph graph, int batch = 1) => Infer(graph, batch, observe: null);

    /// <summary>The same, and shows every computed value; only what depends on shapes alone is right in them.</summary>
    internal static IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> Infer(Graph graph, int batch, Action<string, Tensor>? observe)
    {
        var shapes = graph.Constants.ToDictionary(constant => constant.Key, constant => (constant.Value.Type, constant.Value.Shape), StringComparer.Ordinal);
        var inputs = new Dictionary<string, Tensor>();
        foreach (var input in graph.Inputs)
        {
            int[] shape = [.. input.Shape.Select((side, axis) => side >= 0 ? side : axis == 0 ? batch
                : throw new ModelFormatException($"Side {axis} of the input '{input.Name}' is free: [{string.Join(", ", input.Shape)}]."))];
            inputs[input.Name] = Tensor.Allocate(input.Type, shape, out Span<byte> _);
            shapes[input.Name] = (input.Type, shape);
        }

        new Interpreter(graph)
        {
            ShapesOnly = true,
            Observer = (node, _, results) =>
            {
                for (var output = 0; output < node.Outputs.Count && output < results.Length; output++)
                {
                    shapes[node.Outputs[output]] = (results[output].Type, results[output].Shape);
                    observe?.Invoke(node.Outputs[output], results[output]);
                }
            },
        }.Run(inputs);
        return shapes;
    }
}
