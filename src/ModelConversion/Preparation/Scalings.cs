using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>How pixels become numbers: what is usual, without the part of the picture and the resizer.</summary>
/// <param name="Rescale">Multiplied with each 0–255 pixel value.</param>
/// <param name="Mean">Subtracted per channel, in the model's order.</param>
/// <param name="Deviation">Divided by per channel.</param>
/// <param name="Order">The order of the colours.</param>
internal sealed record Scaling(double Rescale, double[] Mean, double[] Deviation, ChannelOrder Order = ChannelOrder.Rgb)
{
    /// <summary>By how much the numbers of two pixels differ that differ by one.</summary>
    public double Contrast => Deviation.Average(deviation => Math.Abs(Rescale / deviation));

    /// <summary>Grey networks have one mean, and no order.</summary>
    public bool Fits(int channels) => channels == 3 || (Order == ChannelOrder.Rgb && Mean.Distinct().Count() == 1 && Deviation.Distinct().Count() == 1);

    /// <summary>Of each channel of the input: which colour it is (3 for grey), and what pixels from 0 to 1 are multiplied with and then added to.</summary>
    public (int Colour, double Scale, double Shift)[] Channels(int channels) => [.. Enumerable.Range(0, channels).Select(channel => (
        channels == 1 ? 3 : Order == ChannelOrder.Bgr ? 2 - channel : channel, 255 * Rescale / Deviation[channel], -Mean[channel] / Deviation[channel]))];

    /// <summary>A specification's.</summary>
    public static Scaling Of(PreprocessingSpec spec) => new(spec.RescaleFactor, [.. spec.ImageMean], [.. spec.ImageStd], spec.ChannelOrder);

    /// <summary>
    /// What makes of pixels the numbers from which another scaling, which is part of a network, makes this one's: for each colour of the network's input the
    /// colour to take, what to multiply it with and then to add.
    /// </summary>
    public (int From, double Scale, double Shift)[] Instead(Scaling own)
    {
        var change = new (int From, double Scale, double Shift)[3];
        for (var channel = 0; channel < 3; channel++)
        {
            change[Place(own, channel)] = (Place(this, channel), Rescale / Deviation[channel] * own.Deviation[channel] / own.Rescale,
                (own.Mean[channel] - (Mean[channel] / Deviation[channel] * own.Deviation[channel])) / own.Rescale);
        }

        return change;

        static int Place(Scaling scaling, int channel) => scaling.Order == ChannelOrder.Bgr ? 2 - channel : channel;
    }

    /// <summary>The same with the colours the other way round.</summary>
    public Scaling Turned() => this with
    {
        Mean = [.. Mean.Reverse()],
        Deviation = [.. Deviation.Reverse()],
        Order = Order == ChannelOrder.Rgb ? ChannelOrder.Bgr : ChannelOrder.Rgb,
    };

    /// <summary>The same in another specification's words for the rest.</summary>
    public PreprocessingSpec With(PreprocessingSpec rest) =>
        rest with { RescaleFactor = Rescale, ImageMean = Mean, ImageStd = Deviation, ChannelOrder = Order };

    /// <summary>Whether a specification computes the same numbers, in its own words.</summary>
    public bool IsOf(PreprocessingSpec spec) => Order == spec.ChannelOrder && Enumerable.Range(0, 3).All(channel =>
    {
        (var mean, var deviation) = (spec.ImageMean[spec.ImageMean.Count == 1 ? 0 : channel], spec.ImageStd[spec.ImageStd.Count == 1 ? 0 : channel]);
        (var factor, var other) = (Rescale / Deviation[channel], spec.RescaleFactor / deviation);
        // A byte more or less in 255, and a twentieth of a deviation.
        return Math.Abs((other / factor) - 1) < 0.02 && Math.Abs((mean / deviation) - (Mean[channel] / Deviation[channel])) < 3 * Math.Abs(factor);
    });
}

/// <summary>The scalings that networks are trained with.</summary>
internal static class Scalings
{
    private static readonly double[] Zero = [0, 0, 0];
    private static readonly double[] One = [1, 1, 1];

    // What is tried on photos, by the name without the order of the colours.
    private static readonly string[] Bases = ["zero-to-one", "minus-one-to-one", "none", "imagenet", "caffe", "inverted"];

    /// <summary>What is tried on photos, the usual ones first: each scaling in each order of the colours.</summary>
    public static IEnumerable<(string Name, Scaling Scaling)> Tried(int channels) => Bases.Select(name => (name, ByName[name]))
        .Concat(channels == 1 ? [] : Bases.Where(name => name != "inverted").Select(name => (name, ByName[name].Turned())))
        .Where(scaling => scaling.Item2.Fits(channels));

    /// <summary>By name, which is a preset's where there is one that does no more; the usual ones first.</summary>
    public static IReadOnlyDictionary<string, Scaling> ByName { get; } = new Dictionary<string, Scaling>(StringComparer.Ordinal)
    {
        ["zero-to-one"] = new(1 / 255d, Zero, One),
        ["minus-one-to-one"] = new(1 / 127.5, One, One),
        ["none"] = new(1, Zero, One),
        ["imagenet"] = new(1 / 255d, NaturalPictures.Mean, NaturalPictures.Deviation),
        ["caffe"] = new(1, [103.939, 116.779, 123.68], One, ChannelOrder.Bgr),
        ["zero-to-one-bgr"] = new(1 / 255d, Zero, One, ChannelOrder.Bgr),
        ["minus-one-to-one-bgr"] = new(1 / 127.5, One, One, ChannelOrder.Bgr),
        ["none-bgr"] = new(1, Zero, One, ChannelOrder.Bgr),
        ["inverted"] = new(-1 / 255d, [-1, -1, -1], One),
    };
}
