using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
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
    private readonly float _residualWeight;

    /// <summary>Takes what the bundle says of the score.</summary>
    /// <param name="score">Which one.</param>
    /// <param name="kind">What the scores hold that it is computed from.</param>
    /// <param name="vectors">
    /// For <see cref="AbstainScore.ClassMean"/> and <see cref="AbstainScore.Nearest"/>: what pictures of the classes look like, [any number, features]
    /// row-major, each row of length 1 (or 0 for a class without a picture). For <see cref="AbstainScore.VirtualLogit"/> one for each class, and then a basis.
    /// </param>
    /// <param name="residualWeight">See <see cref="AbstainSpec.ResidualWeight"/>.</param>
    public Certainty(AbstainScore score, OutputKind kind, float[]? vectors = null, float residualWeight = 0) =>
        (_score, _kind, _vectors, _residualWeight) = (score, kind, vectors ?? [], residualWeight);

    /// <summary>The output that a score is computed from, where that is not the main one.</summary>
    public static string? EvidenceOf(AbstainScore score, OutputSpec output) => score switch
    {
        AbstainScore.ClassMean or AbstainScore.Nearest or AbstainScore.VirtualLogit => output.Embedding,
        AbstainScore.Logit or AbstainScore.Energy when output.Kind != OutputKind.Logits => output.Logits,
        _ => null,
    };

    /// <summary>The same for the score that a manifest abstains by, if it does.</summary>
    public static string? EvidenceOf(ModelManifest manifest) => manifest.Abstain is { } abstain ? EvidenceOf(abstain.Score, manifest.Output) : null;

    /// <summary>Whether a model's outputs are enough for a score.</summary>
    public static bool IsPossible(AbstainScore score, OutputSpec output) =>
        score == AbstainScore.Probability || (output.Kind == OutputKind.Logits && !NeedsVectors(score)) || EvidenceOf(score, output) is not null;

    /// <summary>Whether a score compares with pictures of the classes.</summary>
    public static bool NeedsVectors(AbstainScore score) =>
        score is AbstainScore.ClassMean or AbstainScore.Nearest or AbstainScore.VirtualLogit;

    /// <summary>The score of one picture.</summary>
    /// <param name="scores">The main output as the model gave it, before softmax and temperature.</param>
    /// <param name="evidence">The output that <see cref="EvidenceOf(ModelManifest)"/> names; empty where it names none.</param>
    public float Of(ReadOnlySpan<float> scores, ReadOnlySpan<float> evidence)
    {
        if (_score == AbstainScore.VirtualLogit)
        {
            var means = scores.Length * evidence.Length;
            return Similarity(evidence, _vectors.AsSpan(0, means)) - (_residualWeight * Residual(evidence, _vectors.AsSpan(means)));
        }

        if (NeedsVectors(_score))
        {
            return Similarity(evidence, _vectors);
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
    private static float Similarity(ReadOnlySpan<float> embedding, ReadOnlySpan<float> rows)
    {
        var length = TensorPrimitives.Norm(embedding);
        if (length == 0)
        {
            return 0;
        }

        return Products(rows, embedding, products => TensorPrimitives.Max<float>(products)) / length;
    }

    /// <summary>How long the part of the embedding's direction is that the basis does not span.</summary>
    public static float Residual(ReadOnlySpan<float> embedding, ReadOnlySpan<float> basis)
    {
        var square = TensorPrimitives.SumOfSquares(embedding);
        if (square == 0)
        {
            return 0;
        }

        return MathF.Sqrt(Math.Max(0, 1 - (Products(basis, embedding, products => TensorPrimitives.SumOfSquares<float>(products)) / square)));
    }

    /// <summary>What is made of an embedding's products with all rows.</summary>
    private static float Products(ReadOnlySpan<float> rows, ReadOnlySpan<float> embedding, Func<ReadOnlySpan<float>, float> make)
    {
        var count = rows.Length / embedding.Length;
        var products = ArrayPool<float>.Shared.Rent(count);
        var row = 0;
        for (; row + 4 <= count; row += 4)
        {
            FourProducts(rows[(row * embedding.Length)..], embedding).CopyTo(products.AsSpan(row));
        }

        for (; row < count; row++)
        {
            products[row] = TensorPrimitives.Dot(rows.Slice(row * embedding.Length, embedding.Length), embedding);
        }

        var made = make(products.AsSpan(0, count));
        ArrayPool<float>.Shared.Return(products);
        return made;
    }

    /// <summary>The products with four rows at once: it is memory that takes the time, and from four places it comes sooner.</summary>
    private static Vector128<float> FourProducts(ReadOnlySpan<float> rows, ReadOnlySpan<float> embedding)
    {
        var length = embedding.Length;
        Vector256<float> sum0 = default, sum1 = default, sum2 = default, sum3 = default;
        var vectors = MemoryMarshal.Cast<float, Vector256<float>>(embedding);
        ReadOnlySpan<Vector256<float>> vectors0 = Row(rows, 0), vectors1 = Row(rows, 1), vectors2 = Row(rows, 2), vectors3 = Row(rows, 3);
        for (var i = 0; i < vectors.Length; i++)
        {
            sum0 = Vector256.FusedMultiplyAdd(vectors0[i], vectors[i], sum0);
            sum1 = Vector256.FusedMultiplyAdd(vectors1[i], vectors[i], sum1);
            sum2 = Vector256.FusedMultiplyAdd(vectors2[i], vectors[i], sum2);
            sum3 = Vector256.FusedMultiplyAdd(vectors3[i], vectors[i], sum3);
        }

        var products = Vector128.Create(Vector256.Sum(sum0), Vector256.Sum(sum1), Vector256.Sum(sum2), Vector256.Sum(sum3));
        for (var i = vectors.Length * Vector256<float>.Count; i < length; i++)
        {
            products += Vector128.Create(rows[i], rows[length + i], rows[(2 * length) + i], rows[(3 * length) + i]) * embedding[i];
        }

        return products;

        ReadOnlySpan<Vector256<float>> Row(ReadOnlySpan<float> rows, int row) => MemoryMarshal.Cast<float, Vector256<float>>(rows.Slice(row * length, length));
    }
}
