using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Writes <c>auto_pad</c> out as numbers, and folds a Pad into the convolution or pooling behind it: one operator less, and no copy of the feature
/// map at run time.
/// </summary>
public static class ExplicitPadding
{
    /// <summary>All sides but the batch must be known.</summary>
    public static void Apply(Graph graph)
    {
        var shapes = Shapes.Infer(graph);
        var wiring = new Wiring(graph);
        foreach (var node in graph.Nodes.Where(node => node.Op is "Conv" or "ConvTranspose" or "MaxPool" or "AveragePool").ToArray())
        {
            WriteOut(node, shapes);
            while (node.Op != "ConvTranspose" && wiring.Producer(node.Inputs[0]) is { Op: "Pad" } pad && wiring.OnlyConsumer(pad.Outputs[0]) == node
                && Fold(wiring, pad, node))
            {
                wiring.Bypass(pad, pad.Inputs[0]);
            }
        }

        DeadCode.Apply(graph);
    }

    private static void WriteOut(Node node, IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes)
    {
        var autoPad = node.Text("auto_pad", "NOTSET");
        node.Attributes.Remove("auto_pad");
        if (autoPad is "NOTSET" or "VALID")
        {
            return;
        }

        var spatial = node.ChannelsLast ? 1 : 2;
        var input = shapes[node.Inputs[0]].Shape;
        var output = shapes[node.Outputs[0]].Shape;
        var kernel = node.Ints("kernel_shape") ?? [.. shapes[node.Inputs[1]].Shape[2..].Select(side => (long)side)];
        var strides = node.Ints("strides") ?? [1, 1];
        var dilations = node.Ints("dilations") ?? [1, 1];
        long[] extra = [.. node.Ints("output_padding") ?? [0, 0]];
        var pads = new long[4];
        for (var axis = 0; axis < 2; axis++)
        {
            var reach = ((kernel[axis] - 1) * dilations[axis]) + 1;
            var total = node.Op == "ConvTranspose"
                ? (strides[axis] * (input[spatial + axis] - 1)) + extra[axis] + reach - output[spatial + axis]
                : ((output[spatial + axis] - 1) * strides[axis]) + reach - input[spatial + axis];
            var smaller = Math.Max(total, 0) / 2;
            pads[axis] = autoPad == "SAME_UPPER" ? smaller : Math.Max(total, 0) - smaller;
            pads[axis + 2] = Math.Max(total, 0) - pads[axis];
            if (total < 0 && node.Op == "ConvTranspose")
            {
                extra[axis] -= total; // a stride wider than the kernel leaves the end unpainted
                node.Attributes["output_padding"] = extra;
            }
        }

        node.Attributes["pads"] = pads;
    }

    private static bool Fold(Wiring wiring, Node pad, Node node)
    {
        if (pad.Text("mode", "constant") != "constant" || wiring.Constant(pad, 1)?.ToInts() is not { Length: 8 } added || pad.Inputs.Count > 3
            || (pad.Inputs.Count > 2 && pad.Inputs[2].Length > 0 && wiring.Constant(pad, 2)?.ToDoubles() is not [0]))
        {
            return false;
        }

        var spatial = node.ChannelsLast ? 1 : 2;
        long[] other = node.ChannelsLast ? [added[0], added[3], added[4], added[7]] : [added[0], added[1], added[4], added[5]];
        var own = node.Ints("pads") ?? [0, 0, 0, 0];
        long[] both = [own[0] + added[spatial], own[1] + added[spatial + 1], own[2] + added[spatial + 4], own[3] + added[spatial + 5]];
        var kernel = node.Ints("kernel_shape") ?? [.. wiring.Constant(node, 1)?.Shape[2..].Select(side => (long)side) ?? []];
        var exact = node.Op switch
        {
            "Conv" => true,

            // Padding is minus infinity for MaxPool; where nothing is negative, zeros change nothing. A window of padding alone would.
            "MaxPool" => wiring.Producer(pad.Inputs[0]) is { } producer && NeverNegative(wiring, producer) && own.All(side => side == 0),
            "AveragePool" => own.All(side => side == 0) || node.Int("count_include_pad", 0) == 1,
            _ => false,
        };

        // ONNX Runtime refuses padding as wide as the kernel of a pooling.
        if (!exact || other.Any(side => side != 0) || added.Any(side => side < 0) || node.Int("ceil_mode", 0) == 1
            || (node.Op != "Conv" && (kernel.Length != 2 || both.Where((side, i) => side >= kernel[i % 2]).Any())))
        {
            return false;
        }

        node.Attributes["pads"] = both;
        if (node.Op == "AveragePool")
        {
            node.Attributes["count_include_pad"] = 1L;
        }

        return true;
    }

    private static bool NeverNegative(Wiring wiring, Node node) => node.Op is "Relu" or "Sigmoid" or "Softmax" or "HardSigmoid"
        || (node.Op == "Clip" && wiring.Constant(node, 1)?.ToDoubles() is [>= 0]);
}
