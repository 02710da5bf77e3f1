using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>The input of a network that looks at pictures.</summary>
/// <param name="Name">The value's name.</param>
/// <param name="Type">What one element is.</param>
/// <param name="Layout">In which order the elements lie.</param>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
/// <param name="Channels">3, or 1 for greyscale, or 0 for greyscale without an axis for it: [N, H, W].</param>
public sealed record PictureInput(string Name, ElementType Type, TensorLayout Layout, int Width, int Height, int Channels)
{
    /// <summary>Smaller than this, [N, a, b] is a table rather than a picture.</summary>
    public const int SmallestSide = 8;

    /// <summary>The graph's only input, if it is a picture: one or three channels, first or last, or none.</summary>
    public static PictureInput? Of(Graph graph) => graph.Inputs is not [var input] ? null : input.Shape switch
    {
        [_, not (1 or 3) and var height, var width, (1 or 3) and var channels] =>
            new PictureInput(input.Name, input.Type, TensorLayout.Nhwc, width, height, channels),
        [_, (1 or 3) and var channels, var height, var width] => new PictureInput(input.Name, input.Type, TensorLayout.Nchw, width, height, channels),
        [_, >= SmallestSide and var height, >= SmallestSide and var width] => new PictureInput(input.Name, input.Type, TensorLayout.Nhwc, width, height, 0),
        _ => null,
    };
}

/// <summary>
/// Makes a network take the pixels themselves, uint8 [N, H, W, 3] in RGB: the normalisation, the channel order and, for greyscale networks, the luma
/// stand at the front of the graph. <see cref="FoldBatchNorm"/> then moves as much of it into the first convolution as is exact.
/// </summary>
public static class PixelInput
{
    /// <summary>The new input's name.</summary>
    public const string Name = "image";

    // ITU-R BT.601, as Pillow's convert("L") and most greyscale training data:
    // https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.convert
    private static readonly float[] Luma = [0.299f, 0.587f, 0.114f];

    /// <summary>Replaces the input. All operators must keep channels first already (see <see cref="ChannelsFirst"/>).</summary>
    public static void Apply(Graph graph, PictureInput input, PreprocessingSpec preprocessing)
    {
        var position = graph.Inputs.FindIndex(value => value.Name == input.Name);
        ClassifierOutputs.MakeFree(graph, Name);
        input = input with { Name = graph.Inputs[position].Name };
        int[] pixels = [graph.Inputs[position].Shape[0], input.Height, input.Width, 3];
        if (input.Type is ElementType.UInt8 or ElementType.Int8)
        {
            Quantized(graph, input, position, pixels, preprocessing);
            return;
        }

        if (input.Type != ElementType.Float32)
        {
            throw new ModelFormatException($"The input '{input.Name}' is {input.Type}; pictures are supported as bytes or 32-bit floats.");
        }

        // The new nodes go to the front of the graph, so they are built in one of their own.
        var front = new Graph();
        var builder = new GraphBuilder(front);
        foreach (var taken in graph.Nodes.SelectMany(node => node.Outputs).Concat(graph.Constants.Keys).Append(input.Name))
        {
            builder.Unique(taken);
        }

        var image = builder.AddInput(Name, ElementType.UInt8, pixels);
        var planes = builder.AddNode("Transpose", "image_planes", [image], ("perm", new long[] { 0, 3, 1, 2 }));
        var value = Normalise(builder, builder.AddNode("Cast", "image_float", [planes], ("to", (long)ElementType.Float32)), input, preprocessing);
        graph.Inputs[position] = front.Inputs[0];
        foreach ((var name, var constant) in front.Constants)
        {
            graph.Constants.Add(name, constant);
        }

        graph.Nodes.InsertRange(0, front.Nodes);
        if (input is { Layout: TensorLayout.Nhwc, Channels: > 0 })
        {
            // Who transposes the old input to channels first has it already; anyone else gets it transposed back.
            Node back = new("Transpose", "image_back", [value], [input.Name]);
            back.Attributes["perm"] = new long[] { 0, 2, 3, 1 };
            graph.Nodes.Insert(front.Nodes.Count, back);
            var wiring = new Wiring(graph);
            foreach (var node in graph.Nodes.Where(node => node.Op == "Transpose" && node.Inputs[0] == input.Name && node.Ints("perm") is [0, 3, 1, 2])
                .ToArray())
            {
                wiring.Bypass(node, value);
            }

            DeadCode.Apply(graph);
        }
        else
        {
            new Wiring(graph).Redirect(input.Name, value);
        }
    }

    /// <summary>(pixel · rescale − mean) ÷ std as a subtraction and a multiplication: the second folds into a convolution that pads, the first not.</summary>
    private static string Normalise(GraphBuilder builder, string value, PictureInput input, PreprocessingSpec preprocessing)
    {
        if (input.Channels <= 1)
        {
            value = builder.AddNode("Conv", "image_luma", [value, builder.AddConstant("luma", Luma, 1, 3, 1, 1)]);
        }
        else if (preprocessing.ChannelOrder == ChannelOrder.Bgr)
        {
            value = builder.AddNode("Gather", "image_bgr", [value, builder.AddInt64Constant("bgr", 2, 1, 0)], ("axis", 1L));
        }

        var rescale = preprocessing.RescaleFactor;
        var channels = Math.Max(1, input.Channels);
        float[] offset = [.. Enumerable.Range(0, channels).Select(channel => (float)(preprocessing.ImageMean[channel] / rescale))];
        float[] factor = [.. Enumerable.Range(0, channels).Select(channel => (float)(rescale / preprocessing.ImageStd[channel]))];
        if (Array.Exists(offset, number => number != 0))
        {
            value = builder.AddNode("Sub", "image_centred", [value, PerChannel("image_mean", offset)]);
        }

        if (Array.Exists(factor, number => number != 1))
        {
            value = builder.AddNode("Mul", "image_scaled", [value, PerChannel("image_scale", factor)]);
        }

        return input.Channels > 0 ? value
            : builder.AddNode("Reshape", "image_plane", [value, builder.AddInt64Constant("image_sides", -1, input.Height, input.Width)]);

        string PerChannel(string name, float[] numbers) => Array.TrueForAll(numbers, number => number == numbers[0])
            ? builder.AddConstant(name, [numbers[0]])
            : builder.AddConstant(name, numbers, 1, numbers.Length, 1, 1);
    }

    /// <summary>
    /// A quantized network takes bytes already: in its own layout and order; for greyscale networks the luma, rounded. Signed ones are the pixel less 128,
    /// which their zero point can say.
    /// </summary>
    private static void Quantized(Graph graph, PictureInput input, int position, int[] pixels, PreprocessingSpec preprocessing)
    {
        var builder = new GraphBuilder(graph);
        var image = builder.Unique(Name);
        graph.Inputs[position] = new GraphValue(image, ElementType.UInt8, pixels);
        var before = graph.Nodes.Count;
        var value = image;
        if (input.Channels <= 1)
        {
            value = builder.AddNode("Transpose", "image_planes", [value], ("perm", new long[] { 0, 3, 1, 2 }));
            value = builder.AddNode("Cast", "image_float", [value], ("to", (long)ElementType.Float32));
            value = builder.AddNode("Conv", "image_luma", [value, builder.AddConstant("luma", Luma, 1, 3, 1, 1)]);
            var zero = Tensor.FromDoubles(input.Type, [], [input.Type == ElementType.Int8 ? -128 : 0]);
            value = builder.AddNode("QuantizeLinear", "image_bytes", [value, builder.AddConstant("image_step", [1f]), builder.AddConstant("image_zero", zero)]);
            value = input is { Channels: 1, Layout: TensorLayout.Nchw } ? value : builder.AddNode("Reshape", "image_plane",
                [value, builder.AddInt64Constant("image_sides", input.Channels == 1 ? [-1, input.Height, input.Width, 1] : [-1, input.Height, input.Width])]);
        }
        else
        {
            value = preprocessing.ChannelOrder == ChannelOrder.Rgb ? value
                : builder.AddNode("Gather", "image_bgr", [value, builder.AddInt64Constant("bgr", 2, 1, 0)], ("axis", 3L));
            value = input.Layout == TensorLayout.Nhwc ? value : builder.AddNode("Transpose", "image_planes", [value], ("perm", new long[] { 0, 3, 1, 2 }));
        }

        Node[] front = [.. graph.Nodes.Skip(before)];
        graph.Nodes.RemoveRange(before, front.Length);
        graph.Nodes.InsertRange(0, front);
        var wiring = new Wiring(graph);
        wiring.Redirect(input.Name, value);
        if (input is { Type: ElementType.Int8, Channels: 3 })
        {
            MakeUnsigned(graph, wiring, image);
        }
    }

    private static void MakeUnsigned(Graph graph, Wiring wiring, string value)
    {
        foreach (var node in wiring.Consumers(value).ToArray())
        {
            if (node.Op is "Transpose" or "Gather")
            {
                MakeUnsigned(graph, wiring, node.Outputs[0]);
                continue;
            }

            if (node.Op != "DequantizeLinear")
            {
                throw new ModelFormatException($"{node} reads the quantized input; only DequantizeLinear may.");
            }

            var zeroPoint = wiring.Constant(node, 2)?.ToDoubles() is [var zero] ? zero : 0;
            wiring.SetInput(node, 2, new GraphBuilder(graph)
                .AddConstant(node.Name + "_zero_point", Tensor.FromDoubles(ElementType.UInt8, [], [zeroPoint + 128])));
        }
    }
}
