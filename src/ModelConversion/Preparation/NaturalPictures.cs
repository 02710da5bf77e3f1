namespace Whatsit.ModelConversion.Preparation;

/// <summary>
/// What photos have in common: their mean and deviation in each colour, how the colours go together, and how neighbouring pixels do. From these follow mean
/// and variance of whatever a convolution makes of them, without a photo.
/// </summary>
internal static class NaturalPictures
{
    /// <summary>Of pixels from 0 to 1, in red, green, blue: ImageNet's, as torchvision/transforms/_presets.py has them.</summary>
    public static readonly double[] Mean = [0.485, 0.456, 0.406];

    /// <summary>The deviations that go with <see cref="Mean"/>.</summary>
    public static readonly double[] Deviation = [0.229, 0.224, 0.225];

    // Estimates: colours of a pixel go closely together, and neighbours do. Scalings differ by factors, so that last digits decide nothing (StemEvidenceTests).
    private static readonly double[,] Colours = { { 1, 0.95, 0.87 }, { 0.95, 1, 0.95 }, { 0.87, 0.95, 1 } };

    // 1 − correlation of two pixels that are this part of the picture's width apart: Roughness · distance ^ Power, an estimate, too.
    private const double Roughness = 1.9;
    private const double Power = 0.7;

    /// <summary>Mean and variance of a convolution's results for photos whose channels were scaled and shifted first.</summary>
    /// <param name="stem">A stem with weights.</param>
    /// <param name="channels">Of each channel of the input: which colour it is (3 for grey), and what it is multiplied with and then added to.</param>
    public static (double[] Mean, double[] Variance) Behind(Stem stem, (int Colour, double Scale, double Shift)[] channels)
    {
        var weights = stem.Weights!;
        var values = weights.ToDoubles();
        (var outputs, var height, var width) = (weights.Shape[0], weights.Shape[2], weights.Shape[3]);
        var taps = channels.Length * height * width;
        var covariance = new double[taps, taps];
        var mean = new double[taps];
        for (var one = 0; one < taps; one++)
        {
            (var channel, var y, var x) = (one / (height * width), one / width % height, one % width);
            mean[one] = (MeanOf(channels[channel].Colour) * channels[channel].Scale) + channels[channel].Shift;
            for (var other = 0; other <= one; other++)
            {
                (var otherChannel, var otherY, var otherX) = (other / (height * width), other / width % height, other % width);
                var distance = Math.Sqrt(Math.Pow((double)(x - otherX) / stem.Sides.Width, 2) + Math.Pow((double)(y - otherY) / stem.Sides.Height, 2));
                covariance[one, other] = covariance[other, one] = channels[channel].Scale * channels[otherChannel].Scale
                    * DeviationOf(channels[channel].Colour) * DeviationOf(channels[otherChannel].Colour)
                    * ColoursOf(channels[channel].Colour, channels[otherChannel].Colour) * Math.Max(0, 1 - (Roughness * Math.Pow(distance, Power)));
            }
        }

        var means = new double[outputs];
        var variances = new double[outputs];
        for (var output = 0; output < outputs; output++)
        {
            var row = values.AsSpan(output * taps, taps);
            means[output] = stem.Bias[output];
            for (var one = 0; one < taps; one++)
            {
                means[output] += row[one] * mean[one];
                double sum = 0;
                for (var other = 0; other < taps; other++)
                {
                    sum += row[other] * covariance[one, other];
                }

                variances[output] += row[one] * sum;
            }
        }

        return (means, variances);
    }

    /// <summary>Mean and variance of the input itself.</summary>
    public static (double[] Mean, double[] Variance) Of((int Colour, double Scale, double Shift)[] channels) => (
        [.. channels.Select(channel => (MeanOf(channel.Colour) * channel.Scale) + channel.Shift)],
        [.. channels.Select(channel => Math.Pow(DeviationOf(channel.Colour) * channel.Scale, 2))]);

    private static double MeanOf(int colour) => colour < 3 ? Mean[colour] : Mean.Average();

    private static double DeviationOf(int colour) => colour < 3 ? Deviation[colour] : Deviation.Average();

    private static double ColoursOf(int one, int other) => one < 3 && other < 3 ? Colours[one, other] : 1;
}
