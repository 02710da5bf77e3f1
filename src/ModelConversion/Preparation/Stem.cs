using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>
/// The beginning of a network, as far as it tells how pictures were prepared:
/// <code>
///   input ─► what only moves pixels (padding, resizing, reshaping) and scales channels ─► first layer ─► its batch normalisation
///            Scale, Shift                                                                  Weights       Mean, Variance
/// </code>
/// </summary>
internal sealed class Stem
{
    // Longer chains than these are no preparation.
    private const int MostSteps = 24;

    // Networks of patches have 16 × 16. What is asked of a filter grows with the square of its pixels: one over a whole picture would take hours.
    private const int MostPixels = 256;

    private readonly Graph _graph;
    private readonly Wiring _wiring;

    private Stem(Graph graph, PictureInput input)
    {
        (_graph, _wiring) = (graph, new Wiring(graph));
        Channels = Math.Max(1, input.Channels);
        Sides = (input.Width, input.Height);
        Scale = [.. Enumerable.Repeat(1d, Channels)];
        Shift = new double[Channels];
    }

    /// <summary>How many channels the input has.</summary>
    public int Channels { get; }

    /// <summary>Width and height of the input.</summary>
    public (int Width, int Height) Sides { get; }

    /// <summary>What the network itself multiplies each channel of its input with, before its first layer.</summary>
    public double[] Scale { get; private set; }

    /// <summary>What it then adds.</summary>
    public double[] Shift { get; private set; }

    /// <summary>Whether it changes the order of the channels first.</summary>
    public bool Reverses { get; private set; }

    /// <summary>The node that scales.</summary>
    public string? ScaledBy { get; private set; }

    /// <summary>The first layer's weights, [outputs, channels, height, width], where it is a convolution with constant weights, and not too many.</summary>
    public Tensor? Weights { get; private set; }

    /// <summary>The first layer's bias.</summary>
    public double[] Bias { get; private set; } = [];

    /// <summary>Whether the statistics are of what a ReLU left over.</summary>
    public bool Rectified { get; private set; }

    /// <summary>What training recorded of the first layer's result, or, without <see cref="Weights"/>, of the input itself.</summary>
    public (double[] Mean, double[] Variance)? Recorded { get; private set; }

    /// <summary>The first layer.</summary>
    public Node? First { get; private set; }

    /// <summary>Whether the network scales its input itself.</summary>
    public bool Scales => Scale.Any(scale => scale != 1) || Shift.Any(shift => shift != 0);

    /// <summary>Follows the input to the first layer.</summary>
    public static Stem Of(Graph graph, PictureInput input)
    {
        var stem = new Stem(graph, input);
        stem.Walk(input.Name);
        return stem;
    }

    private void Walk(string value)
    {
        for (var step = 0; step < MostSteps; step++)
        {
            if (!Scales && _graph.Statistics.TryGetValue(value, out var recorded) && recorded.Mean.Length == Channels)
            {
                Recorded = recorded;
                return;
            }

            if (_wiring.Consumers(value) is not [var node] || !Pass(node, value))
            {
                return;
            }

            value = node.Outputs[0];
        }
    }

    /// <summary>Whether the chain goes on behind a node.</summary>
    private bool Pass(Node node, string value)
    {
        switch (node.Op)
        {
            case "Cast" or "Identity" or "Dropout" or "Transpose" or "Reshape" or "Pad" or "Resize" or "Clip" or "Squeeze" or "Unsqueeze" or "Flatten"
                or "QuantizeLinear" or "DequantizeLinear":
                return node.Inputs[0] == value;
            case "Slice":
                Reverses ^= _wiring.Constant(node, 4)?.ToInts() is [-1];
                return node.Inputs[0] == value;
            case "Gather":
                var crossed = _wiring.Constant(node, 1)?.ToInts() is [2, 1, 0];
                Reverses ^= crossed;
                return node.Inputs[0] == value && crossed;
            case "Mul" or "Div" or "Add" or "Sub" when node.Inputs.Count == 2:
                return Apply(node, value);
            case "BatchNormalization" when Parameters(node) is { } parameters && parameters.Mean.Length == Channels:
                Recorded = Scales ? null : (parameters.Mean, parameters.Variance);
                return false;
            case "Conv" when node.Inputs[0] == value && _wiring.Constant(node, 1) is { Type: ElementType.Float32, Shape.Length: 4 } weights:
                return Convolve(node, weights);
            default:
                return false;
        }
    }

    private bool Apply(Node node, string value)
    {
        var first = node.Inputs[1] == value;
        if (_wiring.Constant(node, first ? 0 : 1)?.ToDoubles() is not { } numbers || (numbers.Length != 1 && numbers.Length != Channels)
            || (first && node.Op == "Div") || (node.Op == "Div" && numbers.Contains(0)))
        {
            return false;
        }

        for (var channel = 0; channel < Channels; channel++)
        {
            var number = numbers[numbers.Length == 1 ? 0 : channel];
            var at = Reverses ? Channels - 1 - channel : channel;
            (Scale[at], Shift[at]) = node.Op switch
            {
                "Mul" => (Scale[at] * number, Shift[at] * number),
                "Div" => (Scale[at] / number, Shift[at] / number),
                "Add" => (Scale[at], Shift[at] + number),
                _ when first => (-Scale[at], number - Shift[at]),
                _ => (Scale[at], Shift[at] - number),
            };
        }

        ScaledBy = node.Name;
        return true;
    }

    /// <summary>A 1×1 convolution of each channel by itself scales, as the others do; any other one is the first layer.</summary>
    private bool Convolve(Node node, Tensor weights)
    {
        var values = weights.ToDoubles();
        var bias = _wiring.Constant(node, 2)?.ToDoubles() ?? new double[weights.Shape[0]];
        var grouped = node.Int("group", 1) == Channels && weights.Shape[1] == 1;
        if (weights.Shape[0] == Channels && weights.Shape[2] == 1 && weights.Shape[3] == 1 && (grouped || weights.Shape[1] == Channels))
        {
            double At(int output, int input) => grouped ? (output == input ? values[output] : 0) : values[(output * Channels) + input];
            var straight = Enumerable.Range(0, Channels * Channels).All(at => at / Channels == at % Channels || At(at / Channels, at % Channels) == 0);
            var crossed = Enumerable.Range(0, Channels * Channels).All(at => at / Channels == Channels - 1 - (at % Channels)
                || At(at / Channels, at % Channels) == 0);
            if (straight || crossed)
            {
                Reverses ^= !straight;
                for (var output = 0; output < Channels; output++)
                {
                    var at = Reverses ? Channels - 1 - output : output;
                    var factor = At(output, straight ? output : Channels - 1 - output);
                    (Scale[at], Shift[at]) = (Scale[at] * factor, (Shift[at] * factor) + bias[output]);
                }

                ScaledBy = node.Name;
                return true;
            }
        }

        if (node.Int("group", 1) == 1 && weights.Shape[1] == Channels && (long)weights.Shape[2] * weights.Shape[3] <= MostPixels)
        {
            First = node;
            Weights = weights;
            Bias = bias;
            Recorded = Behind(node.Outputs[0]);
        }

        return false;
    }

    /// <summary>What the batch normalisation behind the first layer recorded, with nothing but a bias and a ReLU between.</summary>
    private (double[] Mean, double[] Variance)? Behind(string value)
    {
        for (var step = 0; step < 4; step++)
        {
            if (_graph.Statistics.TryGetValue(value, out var recorded) && recorded.Mean.Length == Bias.Length)
            {
                return recorded;
            }

            if (_wiring.Consumers(value) is not [var node])
            {
                return null;
            }

            if (node.Op == "BatchNormalization")
            {
                return Parameters(node) is { } parameters && parameters.Mean.Length == Bias.Length ? parameters : null;
            }

            if (node.Op == "Add" && !Rectified && (_wiring.Constant(node, 0) ?? _wiring.Constant(node, 1))?.ToDoubles() is { } added
                && (added.Length == 1 || added.Length == Bias.Length))
            {
                Bias = [.. Bias.Select((bias, channel) => bias + added[added.Length == 1 ? 0 : channel])];
            }
            else if (node.Op == "Relu")
            {
                Rectified = true;
            }
            else if (node.Op is not ("Identity" or "Transpose"))
            {
                return null;
            }

            value = node.Outputs[0];
        }

        return null;
    }

    private (double[] Mean, double[] Variance)? Parameters(Node node) =>
        _wiring.Constant(node, 3) is { } mean && _wiring.Constant(node, 4) is { } variance ? (mean.ToDoubles(), variance.ToDoubles()) : null;
}
