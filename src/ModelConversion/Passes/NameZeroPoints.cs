using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Writes down the zero points of quantized weights that leave them out, which means 0. Where ONNX Runtime makes signed weights unsigned
/// (<see cref="Inference.Backends.OnnxRuntimeEnvironment.Load"/>), it gives one zero point to weights that have a scale per channel, and then refuses them.
/// </summary>
public static class NameZeroPoints
{
    /// <summary>Gives each scale its zero point.</summary>
    public static void Apply(Graph graph)
    {
        var builder = new GraphBuilder(graph);
        foreach (var node in graph.Nodes.Where(node => node is { Op: "DequantizeLinear", Inputs.Count: 2 }))
        {
            if (graph.Constants.TryGetValue(node.Inputs[0], out var weights) && graph.Constants.TryGetValue(node.Inputs[1], out var scale)
                && weights.Type is ElementType.Int8)
            {
                var zeroPoint = new Tensor(ElementType.Int8, scale.Shape, new byte[scale.Length]);
                node.Inputs.Add(builder.AddConstant(node.Inputs[1] + "_zero_point", zeroPoint));
            }
        }
    }
}
