using System.Numerics.Tensors;

namespace Whatsit.ModelConversion.Training;

/// <summary>
/// The space of a few dimensions in which vectors mostly lie: it is spanned by the eigenvectors of the mean of their outer products with the largest
/// eigenvalues. Found by multiplying any basis by that matrix and making it orthonormal again, some times. Halko et al. 2011, algorithm 4.4
/// (https://arxiv.org/abs/0909.4061).
/// </summary>
public static class PrincipalSpace
{
    private const int Rounds = 10;

    /// <summary>An orthonormal basis, [at most so many, length of a vector] row-major; empty where the vectors span nothing.</summary>
    /// <param name="vectors">At least one, all of the same length.</param>
    /// <param name="most">The largest number of dimensions.</param>
    public static float[] Of(IReadOnlyList<float[]> vectors, int most)
    {
        var length = vectors[0].Length;
        var matrix = new float[length * length];
        Parallel.For(0, length, row =>
        {
            var sums = matrix.AsSpan(row * length, length);
            foreach (var vector in vectors)
            {
                // An embedding is mostly zeros.
                if (vector[row] != 0)
                {
                    TensorPrimitives.MultiplyAdd<float>(vector, vector[row], sums, sums);
                }
            }
        });
        var random = new Random(1);
        float[] basis = [.. Enumerable.Range(0, most * length).Select(_ => random.NextSingle() - 0.5f)];
        for (var round = 0; round < Rounds && basis.Length > 0; round++)
        {
            var next = new float[basis.Length];
            Parallel.For(0, basis.Length / length, row =>
            {
                for (var column = 0; column < length; column++)
                {
                    next[(row * length) + column] = TensorPrimitives.Dot<float>(matrix.AsSpan(column * length, length), basis.AsSpan(row * length, length));
                }
            });
            basis = Orthonormal(next, length);
        }

        // Packed files are half as large where the lower half of each number is zeros; nothing else notices.
        return Array.ConvertAll(basis, value => (float)(Half)value);
    }

    /// <summary>By Gram and Schmidt, twice, since once is not exact; what the rows before it span is left out.</summary>
    private static float[] Orthonormal(float[] rows, int length)
    {
        var kept = 0;
        for (var row = 0; row < rows.Length; row += length)
        {
            var vector = rows.AsSpan(row, length);
            var before = TensorPrimitives.Norm<float>(vector);
            for (var pass = 0; pass < 2; pass++)
            {
                for (var other = 0; other < kept; other += length)
                {
                    var basis = rows.AsSpan(other, length);
                    TensorPrimitives.MultiplyAdd<float>(basis, -TensorPrimitives.Dot<float>(basis, vector), vector, vector);
                }
            }

            var left = TensorPrimitives.Norm<float>(vector);
            if (left > 1e-5f * before && left > 0)
            {
                TensorPrimitives.Divide(vector, left, rows.AsSpan(kept, length));
                kept += length;
            }
        }

        return rows[..kept];
    }
}
