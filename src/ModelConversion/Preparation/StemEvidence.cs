namespace Whatsit.ModelConversion.Preparation;

/// <summary>
/// Which scaling a network was trained with, by its own records: the batch normalisation behind the first layer holds mean and variance of that layer's
/// results in training, and under the right scaling photos have just these.
/// </summary>
internal static class StemEvidence
{
    // In mean absolute difference of the means, in deviations, and of the logarithms of the deviations. Right scalings come to 0.2 to 0.6, the next ones to
    // more than half as much again.
    public const double GoodEnough = 1.0;
    public const double ClearlyBetter = 0.75;

    private const string Bgr = "-bgr";

    /// <summary>The scaling that fits, by the name of a preset; <see langword="null"/> where there are no records or none fits clearly.</summary>
    public static (string Scaling, double Distance, double Next)? Best(Stem stem)
    {
        if (stem.Recorded is not { } recorded || stem.Scales)
        {
            return null;
        }

        (string Scaling, double Distance)[] all = [.. Scalings.ByName.Where(scaling => scaling.Key != "inverted" && scaling.Value.Fits(stem.Channels))
            .Select(scaling => (scaling.Key, Distance(stem, recorded, scaling.Value.Channels(stem.Channels))))
            .OrderBy(scaling => scaling.Item2)];
        // Red and blue are much alike in photos: the other order of the same scaling is no rival, and is believed where it fits clearly better.
        (var best, var distance) = all[0];
        if (best.EndsWith(Bgr, StringComparison.Ordinal) && all.First(other => other.Scaling == best[..^Bgr.Length]) is var straight
            && distance > ClearlyBetter * straight.Distance)
        {
            (best, distance) = straight;
        }

        var next = all.First(other => other.Scaling.Replace(Bgr, "", StringComparison.Ordinal) != best.Replace(Bgr, "", StringComparison.Ordinal)).Distance;
        return distance < GoodEnough && distance < ClearlyBetter * next ? (best, distance, next) : null;
    }

    internal static double Distance(Stem stem, (double[] Mean, double[] Variance) recorded, (int Colour, double Scale, double Shift)[] channels)
    {
        (var means, var variances) = stem.Weights is null ? NaturalPictures.Of(channels) : NaturalPictures.Behind(stem, channels);
        return Distance(recorded, means, variances, stem.Rectified);
    }

    /// <summary>How far means and variances of the first layer's results are from those that training recorded, on average over its channels.</summary>
    /// <param name="recorded">In training.</param>
    /// <param name="means">Now.</param>
    /// <param name="variances">Now.</param>
    /// <param name="isNormal">What is recorded is what a ReLU leaves of these results, which are taken for normally distributed.</param>
    public static double Distance((double[] Mean, double[] Variance) recorded, double[] means, double[] variances, bool isNormal)
    {
        double sum = 0;
        var counted = 0;
        for (var output = 0; output < means.Length; output++)
        {
            // A channel that died in training says nothing.
            if (!(recorded.Variance[output] > 1e-12) || !(variances[output] > 0))
            {
                continue;
            }

            (var mean, var deviation) = isNormal ? Rectify(means[output], Math.Sqrt(variances[output])) : (means[output], Math.Sqrt(variances[output]));
            var own = Math.Sqrt(recorded.Variance[output]);
            sum += Math.Min(4, Math.Abs(mean - recorded.Mean[output]) / Math.Max(own, deviation))
                + Math.Min(4, Math.Abs(Math.Log(Math.Max(deviation, 1e-9) / own)));
            counted++;
        }

        return counted == 0 ? double.PositiveInfinity : sum / counted;
    }

    /// <summary>Mean and deviation of max(0, x) for a normal x.</summary>
    private static (double Mean, double Deviation) Rectify(double mean, double deviation)
    {
        var z = mean / deviation;
        var density = Math.Exp(-z * z / 2) / Math.Sqrt(2 * Math.PI);
        var above = 0.5 * (1 + Math.Tanh(0.7978845608 * (z + (0.044715 * z * z * z)))); // Φ(z), to 3e-4
        var first = (mean * above) + (deviation * density);
        var second = (((mean * mean) + (deviation * deviation)) * above) + (mean * deviation * density);
        return (first, Math.Sqrt(Math.Max(1e-18, second - (first * first))));
    }
}
