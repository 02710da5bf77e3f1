using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Makes a half-precision network one of 32-bit floats: half precision saves download, not time, since on a processor ONNX Runtime computes in
/// 32 bits and rounds after every step.
/// </summary>
public static class WidenHalf
{
    /// <summary>Widens constants, casts, inputs and outputs; answers whether there was anything to widen.</summary>
    public static bool Apply(Graph graph)
    {
        var any = false;
        foreach ((var name, var constant) in graph.Constants.Where(constant => constant.Value.Type == ElementType.Float16).ToArray())
        {
            graph.Constants[name] = Wide(constant);
            any = true;
        }

        foreach (var node in graph.Nodes)
        {
            if (node.Op == "Cast" && node.Int("to", 0) == (long)ElementType.Float16)
            {
                node.Attributes["to"] = (long)ElementType.Float32;
                any = true;
            }

            foreach ((var name, var value) in node.Attributes.Where(attribute => attribute.Value is Tensor { Type: ElementType.Float16 }).ToArray())
            {
                node.Attributes[name] = Wide((Tensor)value);
                any = true;
            }
        }

        foreach (var values in new[] { graph.Inputs, graph.Outputs })
        {
            for (var index = 0; index < values.Count; index++)
            {
                values[index] = values[index].Type == ElementType.Float16 ? values[index] with { Type = ElementType.Float32 } : values[index];
            }
        }

        return any;
    }

    private static Tensor Wide(Tensor half) => Tensor.Float32(half.Shape, half.ToFloats());
}
