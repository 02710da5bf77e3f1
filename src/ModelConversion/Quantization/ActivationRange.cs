namespace Whatsit.ModelConversion.Quantization;

/// <summary>How the range of an activation is chosen from what was seen of it.</summary>
internal enum RangeMethod
{
    /// <summary>Everything that was seen.</summary>
    MinMax,

    /// <summary>All but the outermost 0.01 % of what was seen: one outlier must not cost all others their resolution.</summary>
    Percentile,

    /// <summary>The range with the least mean squared error between a value and its byte.</summary>
    MeanSquaredError,
}

/// <summary>What was seen of one activation: its extremes first, then how its values are spread between them.</summary>
internal sealed class ActivationRange
{
    private const int Bins = 2048;
    private const double OutermostShare = 1e-4;
    private const int Levels = 255;

    private readonly long[] _counts = new long[Bins];
    private long _total;

    /// <summary>The smallest value seen; 0 is always part of the range, because padding is 0.</summary>
    public float Min { get; private set; }

    /// <summary>The largest value seen.</summary>
    public float Max { get; private set; }

    /// <summary>The first pass: extremes.</summary>
    public void Extend(ReadOnlySpan<float> values)
    {
        foreach (var value in values)
        {
            // Written so that NaN changes nothing.
            Min = value < Min ? value : Min;
            Max = value > Max ? value : Max;
        }
    }

    /// <summary>The second pass: the histogram between them.</summary>
    public void Count(ReadOnlySpan<float> values)
    {
        var binsPerUnit = Bins / Math.Max(Max - Min, float.Epsilon);
        foreach (var value in values)
        {
            _counts[Math.Clamp((int)((value - Min) * binsPerUnit), 0, Bins - 1)]++;
        }

        _total += values.Length;
    }

    /// <summary>The range by a method.</summary>
    public (float Min, float Max) Choose(RangeMethod method) => Max <= Min || _total == 0 ? (Min, Max) : method switch
    {
        RangeMethod.Percentile => (Math.Min(0, Quantile(OutermostShare)), Math.Max(0, Quantile(1 - OutermostShare))),
        RangeMethod.MeanSquaredError => LeastError(),
        _ => (Min, Max),
    };

    private float Quantile(double share)
    {
        long below = 0;
        var bin = 0;
        while (bin < Bins - 1 && below + _counts[bin] < share * _total)
        {
            below += _counts[bin++];
        }

        return Edge(share < 0.5 ? bin : bin + 1);
    }

    /// <summary>Both ends are drawn in alike, in steps of a hundredth.</summary>
    private (float Min, float Max) LeastError()
    {
        var best = (Min, Max);
        var least = double.PositiveInfinity;
        for (var percent = 100; percent >= 30; percent--)
        {
            (float Min, float Max) candidate = (Min * percent / 100, Max * percent / 100);
            var error = Error(candidate.Min, candidate.Max);
            if (error < least)
            {
                (least, best) = (error, candidate);
            }
        }

        return best;
    }

    private double Error(float min, float max)
    {
        // Within the range, rounding is off by up to half a step either way: step² ÷ 12 on average. Beyond it, by the distance to its end.
        double step = (max - min) / Levels;
        var rounding = step * step / 12;
        double sum = 0;
        for (var bin = 0; bin < Bins; bin++)
        {
            (double left, double right) = (Edge(bin), Edge(bin + 1));
            var centre = (left + right) / 2;
            var beyond = centre > max ? centre - max : centre < min ? min - centre : 0;

            // The bin of 0 holds the zeros of ReLU, which have a byte of their own.
            var error = beyond > 0 ? beyond * beyond : left <= 0 && right > 0 ? 0 : rounding;
            sum += _counts[bin] * error;
        }

        return sum;
    }

    private float Edge(int bin) => Min + ((Max - Min) * bin / Bins);
}
