using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Makes a quantized model float: weights become numbers, and the rounding between operators goes. What the rounding also did stays where it
/// matters: bytes that cannot be negative were the activation of many a layer.
/// </summary>
public static class Dequantize
{
    /// <summary>Afterwards the graph has no quantized value but, possibly, its inputs.</summary>
    public static void Apply(Graph graph)
    {
        FoldConstants.Apply(graph, keepQuantized: false);
        var builder = new GraphBuilder(graph);
        var wiring = new Wiring(graph);
        foreach (var dequantize in graph.Nodes.Where(node => node.Op == "DequantizeLinear").ToArray())
        {
            if (QuantizerOf(wiring, dequantize.Inputs[0]) is not { } quantize || !SameScale(wiring, quantize, dequantize))
            {
                continue;
            }

            var value = quantize.Inputs[0];
            if (Limits(wiring, quantize) is (float least, float most) && least >= 0
                && wiring.Producer(value)?.Op is not ("Relu" or "Clip" or "Softmax" or "Sigmoid"))
            {
                // In the place of the pair, so that whoever reads it reads the activation.
                dequantize.Op = "Clip";
                dequantize.Attributes.Clear();
                wiring.SetInput(dequantize, 0, value);
                wiring.SetInput(dequantize, 1, builder.AddConstant(dequantize.Name + "_min", [least]));
                wiring.SetInput(dequantize, 2, builder.AddConstant(dequantize.Name + "_max", [most]));
                continue;
            }

            wiring.Bypass(dequantize, value);
        }

        foreach (var output in graph.Outputs.ToArray())
        {
            if (QuantizerOf(wiring, output.Name) is { } last && wiring.Producer(last.Inputs[0]) is not null && !wiring.IsOutput(last.Inputs[0]))
            {
                graph.Outputs[graph.Outputs.IndexOf(output)] = output with { Type = ElementType.Float32 };
                wiring.Bypass(last, last.Inputs[0]);
            }
        }

        DeadCode.Apply(graph);
    }

    /// <summary>The quantizer behind what only moves bytes.</summary>
    private static Node? QuantizerOf(Wiring wiring, string value) => wiring.Producer(value) is { Op: "QuantizeLinear" } quantize ? quantize : null;

    private static bool SameScale(Wiring wiring, Node quantize, Node dequantize) =>
        wiring.Constant(quantize, 1) is { } a && wiring.Constant(dequantize, 1) is { } b && a.Data.Span.SequenceEqual(b.Data.Span)
        && (wiring.Constant(quantize, 2)?.Data ?? default).Span.SequenceEqual((wiring.Constant(dequantize, 2)?.Data ?? default).Span);

    private static (float Least, float Most)? Limits(Wiring wiring, Node quantize)
    {
        if (wiring.Constant(quantize, 1) is not { Length: 1 } scale)
        {
            return null;
        }

        var zeroPoint = wiring.Constant(quantize, 2);
        (var least, var most) = zeroPoint?.Type switch
        {
            ElementType.Int8 => (-128f, 127f),
            null or ElementType.UInt8 => (0f, 255f),
            _ => (float.NegativeInfinity, float.PositiveInfinity),
        };
        var zero = zeroPoint?.ToFloats()[0] ?? 0;
        var step = scale.ToFloats()[0];
        return ((least - zero) * step, (most - zero) * step);
    }
}
