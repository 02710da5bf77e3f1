using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Quantization;

/// <summary>
/// The arithmetic between the pixels and the first convolution, as factor · (pixel − centre) per channel. Where one zero point can say all centres, the
/// pixels themselves are the quantized tensor and the arithmetic costs nothing:
/// <code>
///   uint8 N H W C ─► Transpose ─► Cast ─► Sub ─► Mul ─► Conv      becomes      uint8 N H W C ─► Transpose ─► DequantizeLinear ─► Conv
/// </code>
/// </summary>
/// <param name="Nodes">From the input on; all but those that move pixels go.</param>
/// <param name="Value">What the convolutions read.</param>
/// <param name="Factor">Per channel.</param>
/// <param name="Centre">The pixel value that means 0, per channel.</param>
/// <param name="ZeroPoint">The nearest byte.</param>
internal sealed record PixelFront(IReadOnlyList<Node> Nodes, string Value, float[] Factor, float[] Centre, byte ZeroPoint)
{
    // x ÷ 127.5 − 1 has its zero between two bytes. The first bias makes up for that exactly, except where a convolution pads: there the picture
    // ends in a grey half a level off, less than the rounding of any layer behind. Centres per colour (ImageNet's) would be up to ten levels off.
    private const float LargestShift = 0.5f + 1e-3f;

    /// <summary>The scale of the quantized pixels; convolutions take what channels differ by into their weights.</summary>
    public float Scale => Factor[0];

    /// <summary>Whether a node only moves pixels.</summary>
    public static bool Moves(Node node) => node.Op is "Transpose" or "Gather";

    /// <summary>Finds it, if the graph begins so.</summary>
    public static PixelFront? Of(Graph graph, Wiring wiring, IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes)
    {
        if (graph.Inputs is not [{ Type: ElementType.UInt8, Shape: [_, _, _, 3] } image])
        {
            return null;
        }

        var chain = new List<Node>();
        var value = image.Name;
        while (wiring.OnlyConsumer(value) is { } node && IsPerChannel(graph, node, value))
        {
            chain.Add(node);
            value = node.Outputs[0];
        }

        if (!chain.Exists(node => node.Op == "Cast") || shapes[value] is not { Type: ElementType.Float32, Shape: [_, 3, _, _] }
            || wiring.IsOutput(value) || !wiring.Consumers(value)
                .All(reader => reader.Op == "Conv" && reader.Int("group", 1) == 1 && reader.Inputs[0] == value && wiring.Constant(reader, 1) is not null))
        {
            return null;
        }

        // What it does to a pixel is asked, not read off: every order and spelling of the arithmetic answers.
        var front = Subgraph.Of(graph, shapes, new HashSet<string> { image.Name }, [value]);
        front.Inputs[0] = image with { Shape = [-1, 1, 1, 3] };
        var black = Ask(0);
        var white = Ask(255);
        float[] factor = [.. black.Zip(white, (from, to) => (to - from) / 255)];
        if (factor.Length != 3 || Array.Exists(factor, number => !(number > 0)))
        {
            return null;
        }

        float[] centre = [.. black.Zip(factor, (offset, scale) => -offset / scale)];
        var zeroPoint = MathF.Round(centre.Average());
        return zeroPoint is >= 0 and <= 255 && Array.TrueForAll(centre, number => Math.Abs(number - zeroPoint) <= LargestShift)
            ? new PixelFront(chain, value, factor, centre, (byte)zeroPoint)
            : null;

        float[] Ask(byte pixel) => new Interpreter(front)
            .Run(new Dictionary<string, Tensor> { [image.Name] = new(ElementType.UInt8, [1, 1, 1, 3], new byte[] { pixel, pixel, pixel }) })[value].ToFloats();
    }

    private static bool IsPerChannel(Graph graph, Node node, string value) => node.Outputs.Count == 1 && node.Op switch
    {
        "Transpose" => true,
        "Cast" => node.Int("to", 0) == (long)ElementType.Float32,
        "Gather" => node.Inputs[0] == value && graph.Constants.TryGetValue(node.Inputs[1], out var order) && order.Length == 3,
        "Add" or "Sub" or "Mul" or "Div" =>
            node.Inputs.Where(input => input != value).All(input => graph.Constants.TryGetValue(input, out var constant) && constant.Length is 1 or 3),
        _ => false,
    };
}
