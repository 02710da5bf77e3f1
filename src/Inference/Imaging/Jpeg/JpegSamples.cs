using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>
/// The samples that become of one block: a sum of what each coefficient that is not zero adds to them. One of these for each size, chosen when
/// the code is compiled.
/// </summary>
internal interface IJpegSamples
{
    /// <summary>Samples per side: 1, 2, 4 or 8.</summary>
    static abstract int Size { get; }

    /// <summary>Sets all samples.</summary>
    void Start(int sum);

    /// <summary>Adds a coefficient.</summary>
    void Add(int value, ReadOnlySpan<int> weights, int coefficient);

    /// <summary>Writes the samples, limited to 0 … 255.</summary>
    void Store(Span<byte> rows, int stride);
}

/// <summary>What a coefficient of 1 adds to each sample of its block.</summary>
/// <remarks>
/// A sample of a reduced block is the mean of the samples that it stands for, as in libjpeg's jidctred.c: the inverse transform of T.81, A.3.3,
/// averaged. Fixed point with <see cref="Bits"/> bits behind the point; the quantization is in it.
/// </remarks>
internal static class JpegWeights
{
    public const int Bits = 16;

    /// <summary>Half, for rounding, and the 128 that samples are shifted by (T.81, A.3.1).</summary>
    public const int Bias = (1 << (Bits - 1)) + (128 << Bits);

    /// <summary>The coefficients' places in rows of eight, in the order of the file: T.81, figure A.6.</summary>
    private static ReadOnlySpan<byte> Places =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    /// <param name="size">Samples per side of a block.</param>
    /// <param name="quantization">The steps in the order of the file.</param>
    /// <returns>64 × size × size weights.</returns>
    public static int[] Create(int size, ReadOnlySpan<ushort> quantization)
    {
        var means = Means(size);
        var weights = new int[64 * size * size];
        for (var k = 0; k < 64; k++)
        {
            var step = quantization[k] * (double)(1 << Bits);
            for (var y = 0; y < size; y++)
            {
                for (var x = 0; x < size; x++)
                {
                    var weight = step * means[(Places[k] / 8 * size) + y] * means[(Places[k] % 8 * size) + x];
                    weights[(((k * size) + y) * size) + x] = (int)Math.Round(weight);
                }
            }
        }

        return weights;
    }

    /// <summary>Of each frequency in one direction, the mean of its wave over what each sample stands for.</summary>
    private static double[] Means(int size)
    {
        var span = 8 / size;
        var means = new double[8 * size];
        for (var frequency = 0; frequency < 8; frequency++)
        {
            for (var x = 0; x < 8; x++)
            {
                means[(frequency * size) + (x / span)] += Math.Cos(((2 * x) + 1) * frequency * Math.PI / 16) / 2 / span * (frequency == 0 ? Math.Sqrt(0.5) : 1);
            }
        }

        return means;
    }
}

/// <summary>A block as one sample: its mean.</summary>
internal struct JpegSamples1 : IJpegSamples
{
    private int _sum;

    public static int Size => 1;

    public void Start(int sum) => _sum = sum;

    public readonly void Add(int value, ReadOnlySpan<int> weights, int coefficient)
    {
    }

    public readonly void Store(Span<byte> rows, int stride) => rows[0] = (byte)Math.Clamp(_sum >> JpegWeights.Bits, 0, 255);
}

/// <summary>A block as 2 × 2 samples.</summary>
internal struct JpegSamples2 : IJpegSamples
{
    private Vector128<int> _sums;

    public static int Size => 2;

    public void Start(int sum) => _sums = Vector128.Create(sum);

    public void Add(int value, ReadOnlySpan<int> weights, int coefficient) =>
        _sums += Vector128.Create(value) * MemoryMarshal.Cast<int, Vector128<int>>(weights)[coefficient];

    public readonly void Store(Span<byte> rows, int stride)
    {
        var sums = _sums >> JpegWeights.Bits;
        var limited = Vector128.Max(Vector128.NarrowWithSaturation(sums, sums), default).AsUInt16();
        var samples = Vector128.NarrowWithSaturation(limited, limited).AsUInt32().ToScalar();
        BinaryPrimitives.WriteUInt16LittleEndian(rows, (ushort)samples);
        BinaryPrimitives.WriteUInt16LittleEndian(rows[stride..], (ushort)(samples >> 16));
    }
}

/// <summary>A block as 4 × 4 samples.</summary>
internal struct JpegSamples4 : IJpegSamples
{
    private Vector256<int> _upper, _lower;

    public static int Size => 4;

    public void Start(int sum) => _upper = _lower = Vector256.Create(sum);

    public void Add(int value, ReadOnlySpan<int> weights, int coefficient)
    {
        weights = weights.Slice(coefficient * 16, 16);
        _upper += Vector256.Create(value) * Vector256.Create(weights);
        _lower += Vector256.Create(value) * Vector256.Create(weights[8..]);
    }

    public readonly void Store(Span<byte> rows, int stride)
    {
        var samples = JpegRows.Limit(_upper, _lower);
        for (var y = 0; y < 4; y++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(rows[(y * stride)..], samples.AsUInt32()[y]);
        }
    }
}

/// <summary>A block in full size, as colours have it that are stored at half of it.</summary>
internal struct JpegSamples8 : IJpegSamples
{
    private Rows _rows;

    public static int Size => 8;

    public void Start(int sum) => ((Span<Vector256<int>>)_rows).Fill(Vector256.Create(sum));

    public void Add(int value, ReadOnlySpan<int> weights, int coefficient)
    {
        var rows = MemoryMarshal.Cast<int, Vector256<int>>(weights.Slice(coefficient * 64, 64));
        var factor = Vector256.Create(value);
        for (var y = 0; y < 8; y++)
        {
            _rows[y] += factor * rows[y];
        }
    }

    public readonly void Store(Span<byte> rows, int stride)
    {
        for (var y = 0; y < 8; y += 2)
        {
            var samples = JpegRows.Limit(_rows[y], _rows[y + 1]).AsUInt64();
            BinaryPrimitives.WriteUInt64LittleEndian(rows[(y * stride)..], samples[0]);
            BinaryPrimitives.WriteUInt64LittleEndian(rows[((y + 1) * stride)..], samples[1]);
        }
    }

    [InlineArray(8)]
    private struct Rows
    {
        private Vector256<int> _first;
    }
}
