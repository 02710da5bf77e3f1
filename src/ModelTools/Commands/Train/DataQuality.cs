using System.Numerics.Tensors;
using Whatsit.Inference.Catalog;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>A photo to judge by that looks like one that was learnt from.</summary>
internal sealed record NearDuplicate(LabelledPhoto Judged, LabelledPhoto Learnt, double Cosine);

/// <summary>A photo whose label the other photos contradict.</summary>
/// <param name="Photo">The photo.</param>
/// <param name="Answer">The class that they say it shows.</param>
/// <param name="Confidence">How probable they find that.</param>
/// <param name="OfLabel">How probable they find its label.</param>
internal sealed record Suspect(LabelledPhoto Photo, int Answer, float Confidence, float OfLabel);

/// <summary>What is wrong with the photos themselves.</summary>
/// <param name="Few">Classes with too few photos to learn from, and how many these are.</param>
/// <param name="Duplicates">Near-duplicates across the split, the nearest first: they flatter the figures.</param>
/// <param name="Suspects">Probably mislabelled photos, the surest first.</param>
internal sealed record DataQuality(IReadOnlyList<(ClassLabel Class, int Photos)> Few, IReadOnlyList<NearDuplicate> Duplicates,
    IReadOnlyList<Suspect> Suspects)
{
    /// <summary>Fewer photos of a class are too few: cross-validation then trains with seven or so.</summary>
    public const int FewestPhotos = 10;

    // Two frames of a burst lie above this in the networks that were tried, two photos of one thing from two sides below.
    private const double NearlySame = 0.98;

    // Of each side at most so many are compared: 200 million cosines take seconds.
    private const int MostJudged = 2000;
    private const int MostLearnt = 100_000;

    /// <summary>Looks for all of it.</summary>
    /// <param name="classes">The classes.</param>
    /// <param name="learnt">The photos that were learnt from.</param>
    /// <param name="judged">The photos to judge by.</param>
    /// <param name="outOfFold">For each photo that was learnt from the probabilities by a head that was trained without it.</param>
    public static DataQuality Of(IReadOnlyList<ClassLabel> classes, IReadOnlyList<Seen> learnt, IReadOnlyList<Seen> judged,
        IReadOnlyList<float[]?> outOfFold)
    {
        var counts = new int[classes.Count];
        foreach (var photo in learnt.Where(photo => photo.Copy == 0))
        {
            counts[photo.Photo.Label!.Value]++;
        }

        return new DataQuality([.. classes.Where(label => counts[label.Index] < FewestPhotos).Select(label => (label, counts[label.Index]))],
            FindDuplicates(learnt, judged), FindSuspects(classes.Count, learnt, outOfFold));
    }

    /// <summary>The photos that were learnt from and look most like one, with their cosines.</summary>
    public static IReadOnlyList<(LabelledPhoto Photo, double Cosine)> Nearest(Seen photo, IReadOnlyList<Seen> learnt, int count) =>
        [.. learnt.Where(other => other.Copy == 0).Select(other => (other.Photo, Cosine: Cosine(photo, other))).OrderByDescending(other => other.Cosine)
            .Take(count)];

    private static List<NearDuplicate> FindDuplicates(IReadOnlyList<Seen> learnt, IReadOnlyList<Seen> judged)
    {
        Seen[] originals = [.. learnt.Where(photo => photo.Copy == 0).Take(MostLearnt)];
        var found = new NearDuplicate?[Math.Min(judged.Count, MostJudged)];
        Parallel.For(0, found.Length, photo =>
        {
            var (nearest, cosine) = originals.Select(other => (other.Photo, Cosine(judged[photo], other))).MaxBy(pair => pair.Item2);
            if (cosine >= NearlySame)
            {
                found[photo] = new NearDuplicate(judged[photo].Photo, nearest, cosine);
            }
        });
        return [.. found.OfType<NearDuplicate>().OrderByDescending(pair => pair.Cosine)];
    }

    /// <summary>
    /// Confident learning: a photo is suspect where another class is at least as probable as that class is on average for its own photos, and the most
    /// probable one. Northcutt, Jiang and Chuang 2021 (https://arxiv.org/abs/1911.00068), equation 1.
    /// </summary>
    private static List<Suspect> FindSuspects(int classes, IReadOnlyList<Seen> learnt, IReadOnlyList<float[]?> outOfFold)
    {
        var (sums, counts) = (new double[classes], new int[classes]);
        for (var row = 0; row < learnt.Count; row++)
        {
            if (outOfFold[row] is { } probabilities)
            {
                sums[learnt[row].Photo.Label!.Value] += probabilities[learnt[row].Photo.Label!.Value];
                counts[learnt[row].Photo.Label!.Value]++;
            }
        }

        var suspects = new List<Suspect>();
        for (var row = 0; row < learnt.Count; row++)
        {
            if (outOfFold[row] is not { } probabilities)
            {
                continue;
            }

            var (label, answer) = (learnt[row].Photo.Label!.Value, TensorPrimitives.IndexOfMax<float>(probabilities));
            if (answer != label && counts[answer] > 0 && probabilities[answer] >= sums[answer] / counts[answer])
            {
                suspects.Add(new Suspect(learnt[row].Photo, answer, probabilities[answer], probabilities[label]));
            }
        }

        return [.. suspects.OrderByDescending(suspect => suspect.Confidence - suspect.OfLabel)];
    }

    private static double Cosine(Seen one, Seen other) => TensorPrimitives.CosineSimilarity(one.Outputs[0], other.Outputs[0]);
}
