using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Training;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>How one class fares.</summary>
/// <param name="Class">The class.</param>
/// <param name="Photos">How many photos show it.</param>
/// <param name="Right">How many of those were named so.</param>
/// <param name="Named">How many photos were named so, rightly or not.</param>
internal sealed record ClassFigures(ClassLabel Class, int Photos, int Right, int Named)
{
    /// <summary>The share of its photos that were recognised.</summary>
    public double? Recall => Photos > 0 ? (double)Right / Photos : null;

    /// <summary>The share of the answers with its name that were right.</summary>
    public double? Precision => Named > 0 ? (double)Right / Named : null;
}

/// <summary>The answers whose confidence lies between two limits.</summary>
/// <param name="From">The lower limit.</param>
/// <param name="To">The upper limit.</param>
/// <param name="Photos">How many answers there are.</param>
/// <param name="Confidence">Their mean confidence.</param>
/// <param name="Accuracy">The share of them that is right.</param>
internal sealed record ConfidenceBin(double From, double To, int Photos, double Confidence, double Accuracy);

/// <summary>How long answers took, in milliseconds.</summary>
internal sealed record Latency(string Stage, double P50, double P90, double P99, double Mean);

/// <summary>What abstaining under the manifest's threshold does.</summary>
/// <param name="RightKept">The share of the right answers that are given all the same.</param>
/// <param name="WrongCaught">The share of the wrong answers that become "not sure".</param>
internal sealed record Abstention(double RightKept, double WrongCaught);

/// <summary>What another threshold would do.</summary>
/// <param name="Threshold">How sure an answer must be.</param>
/// <param name="Answered">How many labelled photos would still be answered.</param>
/// <param name="Right">How many of those answers are right.</param>
internal sealed record OperatingPoint(float Threshold, int Answered, int Right)
{
    /// <summary>The share of the answers that are right.</summary>
    public double Accuracy => (double)Right / Answered;
}

/// <summary>What a model makes of photos of other things than its classes.</summary>
/// <param name="Photos">How many there were.</param>
/// <param name="Labelled">The share that got a label all the same.</param>
/// <param name="Refused">The share of the photos of its classes that became "not sure".</param>
/// <param name="Auroc">How often it is surer of a photo of its classes than of one of something else; none where it never abstains.</param>
internal sealed record OthersFigures(int Photos, double Labelled, double Refused, double? Auroc)
{
    /// <summary>Counts.</summary>
    public static OthersFigures Of(IReadOnlyList<PhotoAnswer> own, IReadOnlyList<PhotoAnswer> others)
    {
        float[] ofOwn = [.. own.Select(answer => answer.Certainty).OfType<float>()];
        float[] ofOthers = [.. others.Select(answer => answer.Certainty).OfType<float>()];
        return new OthersFigures(others.Count, (double)others.Count(answer => !answer.Abstained) / Math.Max(1, others.Count),
            (double)own.Count(answer => answer.Abstained) / Math.Max(1, own.Count),
            ofOwn.Length > 0 && ofOthers.Length > 0 ? AbstainChoice.Auroc(ofOwn, ofOthers) : null);
    }
}

/// <summary>Everything that can be counted about a set of answers. Accuracies are over the labelled photos.</summary>
internal sealed class Figures
{
    private const int Bins = 10;
    private const int Top = 5;

    /// <summary>Counts.</summary>
    public Figures(ModelManifest manifest, IReadOnlyList<ClassLabel> classes, Answers answers)
    {
        Answers = answers;
        Labelled = [.. answers.Photos.Where(answer => answer.Photo.Label is not null)];
        var count = Math.Max(1, Labelled.Count);
        Right = Labelled.Count(answer => answer.IsRight);
        Top1 = (double)Right / count;
        Top5 = (double)Labelled.Count(answer => answer.Place <= Top) / count;
        var grouped = classes.Any(label => label.Group is not null);
        CoarseTop1 = grouped ? (double)Labelled.Count(answer => GroupOf(answer.Best) == GroupOf(answer.Photo.Label!.Value)) / count : null;

        Classes = [.. classes.Select(label => new ClassFigures(
            label,
            Labelled.Count(answer => answer.Photo.Label == label.Index),
            Labelled.Count(answer => answer.Photo.Label == label.Index && answer.IsRight),
            Labelled.Count(answer => answer.Best == label.Index)))];
        Confusions = [.. Labelled.Where(answer => !answer.IsRight).GroupBy(answer => (Truth: answer.Photo.Label!.Value, Answer: answer.Best))
            .Select(group => (classes[group.Key.Truth], classes[group.Key.Answer], group.Count())).OrderByDescending(confusion => confusion.Item3)
                .ThenBy(confusion => confusion.Item1.Index)];

        Calibration = [.. Enumerable.Range(0, Bins).Select(bin => Bin(bin))];
        // Guo et al., On Calibration of Modern Neural Networks (https://arxiv.org/abs/1706.04599), equation 3.
        CalibrationError = Calibration.Sum(bin => bin.Photos * Math.Abs(bin.Accuracy - bin.Confidence)) / count;
        Latencies =
        [
            Of("decode", timings => timings.Decode), Of("preprocess", timings => timings.Preprocess), Of("queue", timings => timings.Queue),
            Of("compute", timings => timings.Compute), Of("total", timings => timings.Total),
        ];
        Thresholds = [.. Points()];
        if (manifest.Abstain is not null && Right > 0 && Right < Labelled.Count)
        {
            Abstention = new Abstention(
                (double)Labelled.Count(answer => answer.IsRight && !answer.Abstained) / Right,
                (double)Labelled.Count(answer => !answer.IsRight && answer.Abstained) / (Labelled.Count - Right));
        }

        string GroupOf(int index) => classes[index].Group ?? classes[index].Label;

        IEnumerable<OperatingPoint> Points()
        {
            var (answered, right) = (0, 0);
            foreach (var group in Labelled.GroupBy(answer => answer.Certainty ?? answer.Confidence).OrderByDescending(group => group.Key))
            {
                answered += group.Count();
                right += group.Count(answer => answer.IsRight);
                yield return new OperatingPoint(group.Key, answered, right);
            }
        }
    }

    public Answers Answers { get; }

    /// <summary>The answers to photos whose class is known.</summary>
    public IReadOnlyList<PhotoAnswer> Labelled { get; }

    public int Right { get; }

    /// <summary>The share with the right label first.</summary>
    public double Top1 { get; }

    /// <summary>The share with the right label among the first five.</summary>
    public double Top5 { get; }

    /// <summary>The share whose first label is of the right group; none where the labels have no groups.</summary>
    public double? CoarseTop1 { get; }

    public IReadOnlyList<ClassFigures> Classes { get; }

    /// <summary>What was taken for what, the most frequent first.</summary>
    public IReadOnlyList<(ClassLabel Truth, ClassLabel Answer, int Photos)> Confusions { get; }

    public IReadOnlyList<ConfidenceBin> Calibration { get; }

    /// <summary>The expected calibration error: how far confidence and accuracy lie apart on average.</summary>
    public double CalibrationError { get; }

    public IReadOnlyList<Latency> Latencies { get; }

    public Abstention? Abstention { get; }

    /// <summary>What every threshold would do that makes a difference, the strictest first.</summary>
    public IReadOnlyList<OperatingPoint> Thresholds { get; }

    /// <summary>The mistakes that the model was surest of, first.</summary>
    public IEnumerable<PhotoAnswer> WorstMistakes =>
        Labelled.Where(answer => !answer.IsRight).OrderByDescending(answer => answer.Confidence).ThenBy(answer => answer.Photo.Name, StringComparer.Ordinal);

    private ConfidenceBin Bin(int bin)
    {
        (var from, var to) = ((double)bin / Bins, (double)(bin + 1) / Bins);
        PhotoAnswer[] inside = [.. Labelled.Where(answer => Math.Min((int)(answer.Confidence * Bins), Bins - 1) == bin)];
        return inside.Length == 0 ? new ConfidenceBin(from, to, 0, 0, 0)
            : new ConfidenceBin(from, to, inside.Length, inside.Average(answer => answer.Confidence),
                (double)inside.Count(answer => answer.IsRight) / inside.Length);
    }

    private Latency Of(string stage, Func<Timings, TimeSpan> select)
    {
        var sorted = Percentiles.Sort(Answers.Photos.Select(answer => select(answer.Timings).TotalMilliseconds));
        return sorted.Length == 0 ? new Latency(stage, 0, 0, 0, 0)
            : new Latency(stage, Percentiles.Of(sorted, 0.5), Percentiles.Of(sorted, 0.9), Percentiles.Of(sorted, 0.99), sorted.Average());
    }
}

/// <summary>How far a reduced variant's answers are from the full one's, photo by photo.</summary>
/// <param name="Photos">How many photos both answered.</param>
/// <param name="SameTop1">The share with the same best label.</param>
/// <param name="LargestDifference">Of any probability.</param>
/// <param name="MeanDifference">Of the best label's probability.</param>
/// <param name="Loss">
/// The accuracy lost: counted where photos are labelled; else the probability that the full variant gave its own best label less that which it gave to
/// the other's, which estimates the same.
/// </param>
/// <param name="Counted">Whether the loss was counted on labels.</param>
internal sealed record Agreement(int Photos, double SameTop1, double LargestDifference, double MeanDifference, double Loss, bool Counted)
{
    /// <summary>Compares.</summary>
    public static Agreement Of(Answers full, Answers reduced)
    {
        var others = reduced.Photos.DistinctBy(answer => answer.Photo.Path).ToDictionary(answer => answer.Photo.Path, StringComparer.Ordinal);
        (PhotoAnswer Full, PhotoAnswer Reduced)[] pairs = [.. full.Photos.Where(answer => others.ContainsKey(answer.Photo.Path))
            .Select(answer => (answer, others[answer.Photo.Path]))];
        var count = Math.Max(1, pairs.Length);
        (PhotoAnswer Full, PhotoAnswer Reduced)[] labelled = [.. pairs.Where(pair => pair.Full.Photo.Label is not null)];
        return new Agreement(
            pairs.Length,
            (double)pairs.Count(pair => pair.Full.Best == pair.Reduced.Best) / count,
            pairs.Select(pair => pair.Full.Probabilities.Zip(pair.Reduced.Probabilities, (a, b) => (double)Math.Abs(a - b)).Max()).DefaultIfEmpty().Max(),
            pairs.Sum(pair => (double)Math.Abs(pair.Full.Confidence - pair.Reduced.Probabilities[pair.Full.Best])) / count,
            labelled.Length > 0
                ? (double)(labelled.Count(pair => pair.Full.IsRight) - labelled.Count(pair => pair.Reduced.IsRight)) / labelled.Length
                : pairs.Sum(pair => (double)(pair.Full.Confidence - pair.Full.Probabilities[pair.Reduced.Best])) / count,
            labelled.Length > 0);
    }
}
