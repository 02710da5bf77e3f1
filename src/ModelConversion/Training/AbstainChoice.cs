using System.Numerics.Tensors;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;

namespace Whatsit.ModelConversion.Training;

/// <summary>What a model answered to a photo.</summary>
/// <param name="Scores">Its main output.</param>
/// <param name="Logits">Its logits, where it offers them beside that.</param>
/// <param name="Embedding">Its embedding, where it offers one.</param>
/// <param name="Label">The photo's class, where it has one.</param>
public sealed record Evidence(float[] Scores, float[]? Logits, float[]? Embedding, int? Label);

/// <summary>How good a score is at telling photos of the classes from photos of other things.</summary>
/// <param name="Score">The score.</param>
/// <param name="Auroc">
/// How often a photo of a class has more of it than a photo of something else: 1 is perfect, 0.5 is chance; none without such photos.
/// </param>
/// <param name="Threshold">Under it the wanted share of the classes' photos lies.</param>
/// <param name="OthersLabelled">The share of the photos of other things that are above it all the same, and get a label.</param>
public sealed record AbstainCandidate(AbstainScore Score, double? Auroc, float Threshold, double? OthersLabelled);

/// <summary>When a model shall abstain, and what else was tried.</summary>
/// <param name="Chosen">The score.</param>
/// <param name="Candidates">Every score that the model's outputs allow.</param>
/// <param name="Vectors">What the score compares with, [any number, features]; none where it does not.</param>
/// <param name="ResidualWeight">See <see cref="AbstainSpec.ResidualWeight"/>.</param>
/// <param name="Percentiles">See <see cref="AbstainSpec.Percentiles"/>.</param>
/// <param name="Refused">The share of the classes' photos that are under the threshold.</param>
public sealed record AbstainChoice(AbstainCandidate Chosen, IReadOnlyList<AbstainCandidate> Candidates, float[]? Vectors, float? ResidualWeight,
    IReadOnlyList<float> Percentiles, double Refused)
{
    // Each vector is loaded with the model, and fetched by browsers: 1,000 of 1,280 numbers are 5 MB.
    private const int MostVectors = 1000;

    // Nearest neighbours and the virtual logit need several times the vectors of class means; they must be worth it.
    private const double WorthMore = 0.005;

    // Of MobileNetV2's 1,280 numbers the first 384 directions hold 96 % of what photos of groceries have; from 128 to 512 it made little difference.
    private const double ShareOfFeatures = 0.3;

    // Fewer photos would lie within the space by themselves.
    private const int PhotosForDirection = 5;

    // Under it the basis' rounding counts as much.
    private const float LeastResidual = 0.02f;

    /// <summary>Tries every score that is possible and takes the best.</summary>
    /// <param name="output">The model's outputs.</param>
    /// <param name="classes">How many classes it knows.</param>
    /// <param name="own">Photos of the classes that the model was not trained on; at least one.</param>
    /// <param name="known">
    /// Photos of the classes to compare with, with labels, none of them in <paramref name="own"/>; without them each of these is compared with the others.
    /// </param>
    /// <param name="others">Photos of other things; without them the choice is what is known to be best (class means, energy, probability).</param>
    /// <param name="refuse">The share of the classes' photos that may be refused.</param>
    public static AbstainChoice Choose(OutputSpec output, int classes, IReadOnlyList<Evidence> own, IReadOnlyList<Evidence>? known,
        IReadOnlyList<Evidence> others, double refuse)
    {
        var candidates = new List<(AbstainCandidate Candidate, Compared? Compared, float[] Own)>();
        foreach (var score in Enum.GetValues<AbstainScore>().Where(score => Certainty.IsPossible(score, output)))
        {
            var compared = score switch
            {
                AbstainScore.ClassMean => ClassMeans(known ?? own, classes),
                AbstainScore.Nearest => Spread(known ?? own, classes),
                AbstainScore.VirtualLogit => known is null ? new Compared([], [], []) : WithResidual(ClassMeans(known, classes), known),
                _ => null,
            };
            if (compared is { Vectors.Length: 0 })
            {
                continue;
            }

            var certainty = new Certainty(score, output.Kind, compared?.Vectors, compared?.ResidualWeight ?? 0);
            var ofOwn = known is null && compared is not null ? WithoutThemselves(score, own, compared, output.Kind) : Of(certainty, score, own);
            var ofOthers = Of(certainty, score, others);
            Array.Sort(ofOwn);
            var threshold = ThresholdOf(ofOwn, refuse);
            candidates.Add((
                new AbstainCandidate(score, others.Count > 0 ? Auroc(ofOwn, ofOthers) : null, threshold,
                    others.Count > 0 ? (double)ofOthers.Count(value => value >= threshold) / others.Count : null),
                compared, ofOwn));
        }

        var best = Best([.. candidates.Select(entry => entry.Candidate)]);
        var chosen = candidates.Find(entry => entry.Candidate == best);
        return new AbstainChoice(best, [.. candidates.Select(entry => entry.Candidate)], chosen.Compared?.Vectors, chosen.Compared?.ResidualWeight,
            [.. Enumerable.Range(0, 101).Select(percent => ThresholdOf(chosen.Own, percent / 100d))],
            (double)chosen.Own.Count(value => value < best.Threshold) / own.Count);
    }

    /// <summary>
    /// How often a value of the first is larger than one of the second; equal ones count half. The area under the receiver operating characteristic.
    /// </summary>
    public static double Auroc(IReadOnlyList<float> positives, IReadOnlyList<float> negatives)
    {
        float[] sorted = [.. negatives.Order()];
        double sum = 0;
        foreach (var value in positives)
        {
            var (below, upTo) = (Count(candidate => candidate < value), Count(candidate => candidate <= value));
            sum += (below + upTo) / 2d;

            // How many at the front of the sorted values fulfil it.
            int Count(Func<float, bool> isBelow)
            {
                var (low, high) = (0, sorted.Length);
                while (low < high)
                {
                    var middle = (low + high) / 2;
                    (low, high) = isBelow(sorted[middle]) ? (middle + 1, high) : (low, middle);
                }

                return low;
            }
        }

        return sum / ((double)positives.Count * negatives.Count);
    }

    /// <summary>Between the last of the sorted values that lie under the threshold and the first above: at most this share lies under it.</summary>
    public static float ThresholdOf(IReadOnlyList<float> sorted, double share)
    {
        var under = (int)Math.Floor((share * sorted.Count) + 1e-9);
        return under == 0 ? sorted[0] - (1e-3f * Math.Max(1e-3f, Math.Abs(sorted[0])))
            : under >= sorted.Count ? sorted[^1] + (1e-3f * Math.Max(1e-3f, Math.Abs(sorted[^1])))
            : (sorted[under - 1] + sorted[under]) / 2;
    }

    private static AbstainCandidate Best(IReadOnlyList<AbstainCandidate> candidates)
    {
        AbstainScore[] usual = [AbstainScore.ClassMean, AbstainScore.Energy, AbstainScore.Probability];
        return candidates[0].Auroc is null ? candidates.Where(candidate => usual.Contains(candidate.Score))
                .MinBy(candidate => Array.IndexOf(usual, candidate.Score))!
            : candidates.MaxBy(candidate => candidate.Auroc - (candidate.Score is AbstainScore.Nearest or AbstainScore.VirtualLogit ? WorthMore : 0))!;
    }

    private static float[] Of(Certainty certainty, AbstainScore score, IReadOnlyList<Evidence> photos)
    {
        var scores = new float[photos.Count];
        Parallel.For(0, scores.Length, photo => scores[photo] = Of(certainty, score, photos[photo]));
        return scores;
    }

    private static float Of(Certainty certainty, AbstainScore score, Evidence photo) => certainty.Of(
        photo.Scores, (Certainty.NeedsVectors(score) ? photo.Embedding : score == AbstainScore.Probability ? null : photo.Logits) ?? []);

    /// <summary>The mean direction of each class's photos; zeros for a class without any.</summary>
    private static Compared ClassMeans(IReadOnlyList<Evidence> photos, int classes)
    {
        var features = photos[0].Embedding!.Length;
        var sums = new float[classes * features];
        foreach (var photo in photos.Where(photo => photo.Label is not null))
        {
            var sum = sums.AsSpan(photo.Label!.Value * features, features);
            TensorPrimitives.Add<float>(sum, Direction(photo), sum);
        }

        float[] means = [.. sums];
        for (var index = 0; index < classes; index++)
        {
            ToLengthOne(means.AsSpan(index * features, features));
        }

        return new Compared(means, [.. photos.Select(photo => photo.Label ?? -1)], sums);
    }

    /// <summary>Behind the classes' means a basis of the space in which known photos mostly lie, and how much counts what is outside it.</summary>
    private static Compared WithResidual(Compared means, IReadOnlyList<Evidence> photos)
    {
        float[][] directions = [.. photos.Select(Direction)];
        var basis = PrincipalSpace.Of(directions, Math.Min((int)(ShareOfFeatures * directions[0].Length), photos.Count / PhotosForDirection));
        if (basis.Length == 0)
        {
            return new Compared([], [], []);
        }

        // So that the virtual logit is on average as large as the largest logit; Wang et al., equation 5.
        var similar = new Certainty(AbstainScore.ClassMean, default, means.Vectors);
        var residual = directions.Average(direction => Certainty.Residual(direction, basis));
        return residual < LeastResidual ? new Compared([], [], []) : new Compared([.. means.Vectors, .. basis], means.RowOf, means.Sums)
        {
            ResidualWeight = directions.Average(direction => similar.Of([], direction)) / residual,
        };
    }

    /// <summary>Some photos of each class, evenly spread, as directions.</summary>
    private static Compared Spread(IReadOnlyList<Evidence> photos, int classes)
    {
        var most = Math.Max(1, MostVectors / classes);
        int[] sources = [.. Enumerable.Range(0, photos.Count).Where(photo => photos[photo].Label is not null).GroupBy(photo => photos[photo].Label!.Value)
            .OrderBy(group => group.Key)
            .SelectMany(group => group.ToArray() is var all && all.Length <= most ? all
                : Enumerable.Range(0, most).Select(place => all[(int)((long)place * all.Length / most)]))];
        var vectors = sources.SelectMany(photo => Direction(photos[photo])).ToArray();
        return new Compared(vectors, [.. Enumerable.Range(0, photos.Count).Select(photo => Array.IndexOf(sources, photo))], vectors);
    }

    /// <summary>The scores of photos that are among those that they are compared with: of each as if it were not.</summary>
    private static float[] WithoutThemselves(AbstainScore score, IReadOnlyList<Evidence> photos, Compared compared, OutputKind kind)
    {
        var features = photos[0].Embedding!.Length;
        var scores = new float[photos.Count];
        // Each thread changes one row of its own copy, and changes it back.
        Parallel.For(0, scores.Length, () => compared.Vectors.ToArray(), (photo, _, vectors) =>
        {
            var at = compared.RowOf[photo] * features;
            if (at >= 0)
            {
                var row = vectors.AsSpan(at, features);
                TensorPrimitives.Subtract<float>(compared.Sums.AsSpan(at, features), Direction(photos[photo]), row);
                ToLengthOne(row);
            }

            scores[photo] = Of(new Certainty(score, kind, vectors), score, photos[photo]);
            if (at >= 0)
            {
                compared.Vectors.AsSpan(at, features).CopyTo(vectors.AsSpan(at));
            }

            return vectors;
        }, _ => { });
        return scores;
    }

    private static float[] Direction(Evidence photo)
    {
        float[] direction = [.. photo.Embedding!];
        ToLengthOne(direction);
        return direction;
    }

    private static void ToLengthOne(Span<float> vector)
    {
        var length = TensorPrimitives.Norm<float>(vector);
        if (length > 0)
        {
            TensorPrimitives.Divide(vector, length, vector);
        }
    }

    /// <summary>What photos are compared with.</summary>
    /// <param name="Vectors">Directions, [rows, features].</param>
    /// <param name="RowOf">For each photo the row that it has a part in; −1 where it has none.</param>
    /// <param name="Sums">The photos' directions in each row, added.</param>
    private sealed record Compared(float[] Vectors, int[] RowOf, float[] Sums)
    {
        /// <summary>See <see cref="AbstainSpec.ResidualWeight"/>.</summary>
        public float? ResidualWeight { get; init; }
    }
}
