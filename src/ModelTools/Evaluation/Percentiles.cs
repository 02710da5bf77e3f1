namespace Whatsit.ModelTools.Evaluation;

/// <summary>Percentiles and medians of what was measured.</summary>
internal static class Percentiles
{
    /// <summary>In ascending order.</summary>
    public static double[] Sort(IEnumerable<double> values)
    {
        var sorted = values.ToArray();
        Array.Sort(sorted);
        return sorted;
    }

    /// <summary>
    /// By nearest rank, so that it did occur: the smallest value that at least this share of the values does not exceed; not a number where there are none.
    /// </summary>
    public static double Of(double[] sorted, double share) => sorted.Length == 0 ? double.NaN
        : sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)];

    /// <summary>The middle one, or the mean of the middle two.</summary>
    public static double Median(IEnumerable<double> values)
    {
        var sorted = Sort(values);
        return sorted.Length == 0 ? double.NaN : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
