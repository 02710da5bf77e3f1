using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Training;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>What a network made of one photo that was prepared in one way.</summary>
/// <param name="IsRight">Whether the largest probability is the label's; without a label nothing is.</param>
/// <param name="Confidence">The label's probability; without a label the largest one.</param>
/// <param name="Losses">−log of that probability by <see cref="Temperatures"/>.</param>
/// <param name="Probabilities">All of them, where there is no label.</param>
internal sealed record PhotoScore(bool IsRight, float Confidence, float[] Losses, float[]? Probabilities)
{
    /// <summary>Contrast makes a network surer, not better: ways are compared at the temperature that suits each.</summary>
    public static IReadOnlyList<double> Temperatures { get; } = [0.18, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 5.6];

    // A photo with a wrong label shall not decide alone.
    private const double LargestLoss = 6;

    /// <summary>Judges an answer.</summary>
    public static PhotoScore Of(float[] probabilities, int? label)
    {
        var best = Array.IndexOf(probabilities, probabilities.Max());
        if (label is not { } right)
        {
            return new(false, probabilities[Math.Max(0, best)], [], probabilities);
        }

        var logarithms = Array.ConvertAll(probabilities, probability => Math.Log(Math.Max(probability, 1e-12)));
        return new(best == right, probabilities[right], [.. Temperatures.Select(temperature => (float)Math.Min(LargestLoss,
            Math.Log(logarithms.Sum(logarithm => Math.Exp((logarithm - logarithms[right]) / temperature)))))], null);
    }
}

/// <summary>What a network made of all photos that were prepared in one way.</summary>
internal sealed class Tally
{
    private readonly double[] _losses;
    private readonly bool _isLabelled;

    /// <summary>Adds up.</summary>
    public Tally(PicturePreparation way, IReadOnlyList<PhotoScore> photos)
    {
        Way = way;
        Photos = photos.Count;
        Top1 = photos.Average(photo => photo.IsRight ? 1.0 : 0);
        Confidence = photos.Average(photo => (double)photo.Confidence);
        _isLabelled = photos[0].Probabilities is null;
        _losses = _isLabelled ? OfLabels(photos)
            : [.. Divergence.FromMean([.. photos.Select(photo => photo.Probabilities!)], OutputKind.Probabilities).Select(apart => -apart)];
        Loss = _losses.Average();
    }

    /// <summary>The way.</summary>
    public PicturePreparation Way { get; }

    /// <summary>How many photos.</summary>
    public int Photos { get; }

    /// <summary>The share of right answers.</summary>
    public double Top1 { get; }

    /// <summary>The mean probability of the labels; without labels, of the answers.</summary>
    public double Confidence { get; }

    /// <summary>
    /// The mean −log of the labels' probability, at the best temperature. Without labels, by how little the answers differ from photo to photo: less the mean
    /// divergence of an answer from the mean of all. A network that sees nothing is unsure of everything, or sure of the same whatever it sees.
    /// </summary>
    public double Loss { get; }

    /// <summary>By how much another way's loss is larger on average, and the standard error of that.</summary>
    public (double Mean, double Error) Behind(Tally other) => Difference(other, static (own, others) => others - own);

    /// <summary>
    /// The same of the labels' probabilities at the best temperature, which a few photos that were very wrong decide less; nothing without labels.
    /// </summary>
    public (double Mean, double Error) LessSure(Tally other) => _isLabelled ? Difference(other, static (own, others) => Math.Exp(-own) - Math.Exp(-others))
        : (0, 0);

    private (double Mean, double Error) Difference(Tally other, Func<double, double, double> between)
    {
        double[] differences = [.. _losses.Zip(other._losses, between)];
        var mean = differences.Average();
        var variance = differences.Sum(difference => (difference - mean) * (difference - mean)) / Math.Max(1, differences.Length - 1);
        return (mean, Math.Sqrt(variance / differences.Length));
    }

    private static double[] OfLabels(IReadOnlyList<PhotoScore> photos)
    {
        var temperature = Enumerable.Range(0, PhotoScore.Temperatures.Count).MinBy(place => photos.Sum(photo => photo.Losses[place]));
        return [.. photos.Select(photo => (double)photo.Losses[temperature])];
    }
}
