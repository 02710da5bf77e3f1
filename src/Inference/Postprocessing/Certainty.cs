using System.Numerics.Tensors;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Postprocessing;

/// <summary>
/// How sure a model is that a picture shows any of its classes: the more, the surer. It is compared with the manifest's threshold, and is another number than
/// the confidence, which says how likely the best label is if it is one of them.
/// </summary>
public sealed class Certainty
{
    private readonly AbstainScore _score;
    private readonly OutputKind _kind;
    private readonly float[] _vectors;

    /// <summary>Takes what the bundle says of the score.</summary>
    /// <param name="score">Which one.</param>
    /// <param name="kind">What the scores hold that it is computed from.</param>
    /// <param name="vectors">
    /// For <see cref="AbstainScore.ClassMean"/> and <see cref="AbstainScore.Nearest"/>: what pictures of the classes look like, [any number, features]
    /// row-major, each row of length 1 (or 0 for a class without a picture).
    /// </param>
    public Certainty(AbstainScore score, OutputKind kind, float[]? vectors = null) => (_score, _kind, _vectors) = (score, kind, vectors ?? []);

    /// <summary>The output that a score is computed from, where that is not the main one.</summary>
    public static string? EvidenceOf(AbstainScore score, OutputSpec output) => score switch
    {
        AbstainScore.ClassMean or AbstainScore.Nearest => output.Embedding,
        AbstainScore.Logit or AbstainScore.Energy when output.Kind != OutputKind.Logits => output.Logits,
        _ => null,
    };

    /// <summary>The same for the score that a manifest abstains by, if it does.</summary>
    public static string? EvidenceOf(ModelManifest manifest) => manifest.Abstain is { } abstain ? EvidenceOf(abstain.Score, manifest.Output) : null;

    /// <summary>Whether a model's outputs are enough for a score.</summary>
    public static bool IsPossible(AbstainScore score, OutputSpec output) =>
        score == AbstainScore.Probability || (output.Kind == OutputKind.Logits && !NeedsVectors(score)) || EvidenceOf(score, output) is not null;

    /// <summary>Whether a score compares with pictures of the classes.</summary>
    public static bool NeedsVectors(AbstainScore score) => score is AbstainScore.ClassMean or AbstainScore.Nearest;

    /// <summary>The score of one picture.</summary>
    /// <param name="scores">The main output as the model gave it, before softmax and temperature.</param>
    /// <param name="evidence">The output that <see cref="EvidenceOf(ModelManifest)"/> names; empty where it names none.</param>
    public float Of(ReadOnlySpan<float> scores, ReadOnlySpan<float> evidence)
    {
        if (NeedsVectors(_score))
        {
            return Similarity(evidence);
        }

        if (_score == AbstainScore.Probability && _kind != OutputKind.Logits)
        {
            return TensorPrimitives.Max(scores);
        }

        var logits = evidence.IsEmpty ? scores : evidence;
        var largest = TensorPrimitives.Max(logits);
        if (_score == AbstainScore.Logit)
        {
            return largest;
        }

        double sum = 0;
        foreach (var logit in logits)
        {
            sum += Math.Exp(logit - largest);
        }

        return (float)(_score == AbstainScore.Energy ? largest + Math.Log(sum) : 1 / sum);
    }

    /// <summary>The cosine to the most similar row; their length is 1 already.</summary>
    private float Similarity(ReadOnlySpan<float> embedding)
    {
        var length = TensorPrimitives.Norm(embedding);
        if (length == 0)
        {
            return 0;
        }

        var most = float.NegativeInfinity;
        for (var row = 0; row < _vectors.Length; row += embedding.Length)
        {
            most = Math.Max(most, TensorPrimitives.Dot(_vectors.AsSpan(row, embedding.Length), embedding));
        }

        return most / length;
    }
}
