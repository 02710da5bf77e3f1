using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>
/// The front of a bundle's network, where the pixels' bytes become numbers:
/// <code>
///   image ─► Transpose ─► Cast ─► (luma) ─► …
/// </code>
/// </summary>
/// <param name="Cast">The node that makes numbers of the bytes; <see langword="null"/> where the network computes with the bytes, or takes numbers.</param>
/// <param name="ChannelAxis">Which axis the colours are, behind it.</param>
/// <param name="IsGrey">Whether the network makes grey of the colours.</param>
internal sealed record BytesFront(Node? Cast, int ChannelAxis, bool IsGrey)
{
    /// <summary>Looks for it.</summary>
    public static BytesFront Of(Graph graph, InputSpec input)
    {
        var wiring = new Wiring(graph);
        var value = input.Name;
        var axis = input.Layout == TensorLayout.Nhwc ? 3 : 1;
        while (wiring.Consumers(value) is [var node] && node.Inputs[0] == value)
        {
            switch (node.Op)
            {
                case "Identity":
                    break;
                case "Transpose" when node.Ints("perm") is { Length: 4 } order:
                    axis = Array.IndexOf(order, axis);
                    break;
                case "Cast" when input.ElementType == InputElementType.UInt8 && node.Int("to", 0) == (long)ElementType.Float32:
                    var behind = wiring.Consumers(node.Outputs[0]);
                    var isGrey = behind is [{ Op: "Conv" } luma] && wiring.Constant(luma, 1) is { Shape: [1, 3, 1, 1] };

                    // Grey that becomes bytes again has a scale of its own.
                    var isBytes = isGrey && wiring.Consumers(behind[0].Outputs[0]) is [{ Op: "QuantizeLinear" }];
                    return new BytesFront(isBytes ? null : node, axis, isGrey);
                default:
                    return new BytesFront(null, axis, false);
            }

            value = node.Outputs[0];
        }

        return new BytesFront(null, axis, false);
    }

    /// <summary>Makes the network see other numbers than before for the same pixels.</summary>
    /// <param name="graph">The network.</param>
    /// <param name="input">Its input.</param>
    /// <param name="change">For each colour of the input the one to take, what to multiply it with, and then to add.</param>
    public static void Rescale(Graph graph, InputSpec input, (int From, double Scale, double Shift)[] change)
    {
        var front = Of(graph, input);
        var wiring = new Wiring(graph);
        var isTurned = change[0].From == 2;
        if (front.Cast is not { } cast)
        {
            if (Array.Exists(change, channel => channel.Scale != 1 || channel.Shift != 0))
            {
                throw new ModelFormatException("The network computes with the bytes of the pixels; it cannot be given others.");
            }

            Insert(graph, wiring, input.Name, 0, input.Layout == TensorLayout.Nhwc ? 3 : 1, isTurned, null, null);
            return;
        }

        // x · scale + shift as (x − centre) · scale: behind a subtraction, a multiplication folds into a convolution that pads.
        var value = cast.Outputs[0];
        double[] scale = [.. change.Select(channel => channel.Scale)];
        double[] centre = [.. change.Select(channel => -channel.Shift / channel.Scale)];
        if (wiring.OnlyConsumer(value) is { Op: "Gather" } gather && wiring.Constant(gather, 1)?.ToInts() is [2, 1, 0]
            && gather.Int("axis", 0) == front.ChannelAxis)
        {
            (isTurned, scale, centre) = (!isTurned, [.. scale.Reverse()], [.. centre.Reverse()]);
            wiring.Bypass(gather, value);
        }

        if (wiring.OnlyConsumer(value) is { Op: "Sub" } minus && minus.Inputs[0] == value
            && wiring.Constant(minus, 1)?.ToDoubles() is { Length: 1 or 3 } mean)
        {
            centre = [.. centre.Select((number, channel) => number + (mean[mean.Length == 1 ? 0 : channel] / scale[channel]))];
            wiring.Bypass(minus, value);
        }

        Insert(graph, wiring, value, graph.Nodes.IndexOf(cast) + 1, front.ChannelAxis, isTurned, centre, scale);
        FoldConstants.Apply(graph);
        FoldBatchNorm.Apply(graph);
        FoldConstants.Apply(graph);
    }

    private static void Insert(Graph graph, Wiring wiring, string value, int at, int axis, bool isTurned, double[]? centre, double[]? scale)
    {
        Node[] readers = [.. wiring.Consumers(value)];
        var builder = new GraphBuilder(graph);
        var before = graph.Nodes.Count;
        var changed = isTurned
            ? builder.AddNode("Gather", "image_turned", [value, builder.AddInt64Constant("turned", 2, 1, 0)], ("axis", (long)axis)) : value;
        changed = centre?.Any(number => number != 0) != true ? changed : builder.AddNode("Sub", "image_centre", [changed, PerChannel("centre", centre)]);
        changed = scale?.Any(number => number != 1) != true ? changed : builder.AddNode("Mul", "image_scale", [changed, PerChannel("scale", scale)]);
        Node[] added = [.. graph.Nodes.Skip(before)];
        graph.Nodes.RemoveRange(before, added.Length);
        graph.Nodes.InsertRange(at, added);
        foreach (var reader in readers)
        {
            for (var input = 0; input < reader.Inputs.Count; input++)
            {
                if (reader.Inputs[input] == value)
                {
                    reader.Inputs[input] = changed;
                }
            }
        }

        string PerChannel(string name, double[] numbers)
        {
            int[] shape = [1, 1, 1, 1];
            shape[axis] = 3;
            return numbers.Distinct().Count() == 1 ? builder.AddConstant(name, [(float)numbers[0]])
                : builder.AddConstant(name, Array.ConvertAll(numbers, number => (float)number), shape);
        }
    }
}
