using System.Numerics.Tensors;
using Whatsit.Inference.Postprocessing;

namespace Whatsit.ModelConversion.Training;

/// <summary>How good one strength of regularisation is on photos that it did not see.</summary>
/// <param name="Strength">λ times the number of photos, 1 ÷ C in scikit-learn.</param>
/// <param name="Loss">The mean of −log p(class).</param>
/// <param name="Top1">The share of photos whose class is the most probable one.</param>
public sealed record CrossValidatedStrength(double Strength, double Loss, double Top1);

/// <summary>What cross-validation found.</summary>
/// <param name="Strength">The strength with the least loss.</param>
/// <param name="Trials">All that were tried, the strongest first.</param>
/// <param name="Probabilities">
/// For each photo the probabilities by a head that was trained without it, with the best strength; none for an embedding of a photo that was seen before.
/// </param>
public sealed record CrossValidated(double Strength, IReadOnlyList<CrossValidatedStrength> Trials, IReadOnlyList<float[]?> Probabilities);

/// <summary>
/// Chooses how strongly a head's weights are held small: the photos are divided into five parts, stratified by class, and each part is judged by a head that
/// was trained on the others.
/// </summary>
public static class CrossValidation
{
    private const int Folds = 5;

    // Above this a sample of the photos chooses, and all of them are judged with what it chose.
    private const int Sample = 5000;

    // Strong enough that classes hardly differ, to so weak that every training photo is right.
    private static readonly double[] Strengths = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003];

    /// <summary>Divides, trains and judges.</summary>
    /// <param name="data">The training photos.</param>
    /// <param name="photos">The photo of each embedding, where some are of the same one: these stay together, and only the first is judged.</param>
    /// <param name="seed">Decides who is in which part.</param>
    /// <param name="progress">Told of each head that is trained.</param>
    /// <param name="strengths">The strengths to choose from, the strongest first; the usual ones, where they are not given.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    public static CrossValidated Run(LabelledEmbeddings data, IReadOnlyList<int>? photos = null, int seed = 1, Action<string>? progress = null,
        IReadOnlyList<double>? strengths = null, CancellationToken cancellationToken = default)
    {
        strengths ??= Strengths;
        int[] photoOf = [.. photos ?? [.. Enumerable.Range(0, data.Labels.Count)]];
        var parts = Divide(data.Labels, photoOf, seed);
        var judged = new bool[photoOf.Length];
        var seen = new HashSet<int>();
        for (var row = 0; row < judged.Length; row++)
        {
            judged[row] = seen.Add(photoOf[row]);
        }

        // Parts are shuffled, so that any number of their first photos is a sample.
        int[] sampled = seen.Count <= Sample ? [.. Enumerable.Range(0, photoOf.Length)]
            : [.. Enumerable.Range(0, photoOf.Length).Where(row => parts[row].Place < Sample / Folds)];
        var starts = new DenseHead?[Folds];
        var regressions = new SoftmaxRegression?[Folds];
        var trials = new List<CrossValidatedStrength>();
        var best = (Trial: new CrossValidatedStrength(strengths[0], double.PositiveInfinity, 0), Probabilities: Array.Empty<float[]?>());
        foreach (var strength in strengths)
        {
            progress?.Invoke($"Choosing the regularisation: {strength:0.###}");
            var probabilities = Judge(data, sampled, parts, judged, strength, regressions, starts, cancellationToken);
            var trial = Measure(strength, data.Labels, probabilities);
            trials.Add(trial);
            if (trial.Loss < best.Trial.Loss)
            {
                best = (trial, probabilities);
            }
            else if (trial.Loss > 1.02 * best.Trial.Loss)
            {
                // The loss has one valley: from here it only rises.
                break;
            }
        }

        if (sampled.Length < photoOf.Length)
        {
            progress?.Invoke("Judging every photo by the others");
            best.Probabilities = Judge(data, [.. Enumerable.Range(0, photoOf.Length)], parts, judged, best.Trial.Strength, new SoftmaxRegression?[Folds],
                starts, cancellationToken);
        }

        return new CrossValidated(best.Trial.Strength, trials, best.Probabilities);
    }

    /// <summary>The part of each embedding, and its photo's place in it.</summary>
    private static (int Part, int Place)[] Divide(IReadOnlyList<int> labels, int[] photoOf, int seed)
    {
        var random = new Random(seed);
        var parts = new Dictionary<int, (int Part, int Place)>();
        var places = new int[Folds];
        var classes = photoOf.Select((photo, row) => (Photo: photo, Label: labels[row])).DistinctBy(entry => entry.Photo).GroupBy(entry => entry.Label)
            .OrderBy(group => group.Key).Select(group => group.Select(entry => entry.Photo).ToArray()).ToArray();
        var first = new int[classes.Length];
        for (var index = 0; index < classes.Length; index++)
        {
            random.Shuffle(classes[index]);

            // Where one class ends the next begins, so that the parts are of one size.
            first[index] = index == 0 ? 0 : (first[index - 1] + classes[index - 1].Length) % Folds;
        }

        // One photo of each class after the other, so that a sample has some of each.
        for (var place = 0; place < classes.Max(photos => photos.Length); place++)
        {
            for (var index = 0; index < classes.Length; index++)
            {
                if (place < classes[index].Length)
                {
                    var part = (first[index] + place) % Folds;
                    parts[classes[index][place]] = (part, places[part]++);
                }
            }
        }

        return Array.ConvertAll(photoOf, photo => parts[photo]);
    }

    private static float[]?[] Judge(LabelledEmbeddings data, int[] rows, (int Part, int Place)[] parts, bool[] judged, double strength,
        SoftmaxRegression?[] regressions, DenseHead?[] starts, CancellationToken cancellationToken)
    {
        var probabilities = new float[]?[judged.Length];
        for (var fold = 0; fold < Folds; fold++)
        {
            int[] training = [.. rows.Where(row => parts[row].Part != fold)];
            if (training.Length == 0)
            {
                continue;
            }

            regressions[fold] ??= new SoftmaxRegression(data with
            {
                Embeddings = [.. training.Select(row => data.Embeddings[row])],
                Labels = [.. training.Select(row => data.Labels[row])],
            });
            // What is near enough to choose by; the final head is trained to the end.
            var (head, _, _) = regressions[fold]!.Fit(strength / training.Length, starts[fold], tolerance: 1e-6, maxIterations: 200, cancellationToken);
            starts[fold] = head;
            Parallel.ForEach(rows.Where(row => judged[row] && parts[row].Part == fold), row =>
            {
                var logits = head.LogitsOf(data.Embeddings[row]);
                Softmax.Apply(logits);
                probabilities[row] = logits;
            });
        }

        return probabilities;
    }

    private static CrossValidatedStrength Measure(double strength, IReadOnlyList<int> labels, float[]?[] probabilities)
    {
        var (loss, right, count) = (0d, 0, 0);
        for (var row = 0; row < probabilities.Length; row++)
        {
            if (probabilities[row] is not { } answer)
            {
                continue;
            }

            count++;
            loss -= Math.Log(Math.Max(answer[labels[row]], 1e-30f));
            right += TensorPrimitives.IndexOfMax<float>(answer) == labels[row] ? 1 : 0;
        }

        return new CrossValidatedStrength(strength, loss / Math.Max(1, count), (double)right / Math.Max(1, count));
    }
}
