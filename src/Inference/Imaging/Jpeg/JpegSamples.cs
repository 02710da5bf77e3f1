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
    public static ReadOnlySpan<byte> Places =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    /// <param name="size">Samples per side of a block.</param>
    /// <param name="quantization">The steps in the order of the file.</param>
    /// <returns>64 × size × size weights; in full size the 64 steps themselves.</returns>
    public static int[] Create(int size, ReadOnlySpan<ushort> quantization)
    {
        if (size == 8)
        {
            var steps = new int[64];
            for (var k = 0; k < steps.Length; k++)
            {
                steps[k] = quantization[k];
            }

            return steps;
        }

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

/// <summary>
/// A block in full size: its coefficients, and libjpeg's accurate inverse transform of them (jidctint.c, "islow"), to the last bit. Loeffler, Ligtenberg
/// and Moschytz 1989, "Practical Fast 1-D DCT Algorithms with 11 Multiplications": columns first, with two bits more kept between.
/// </summary>
internal struct JpegSamples8 : IJpegSamples
{
    private const int Between = 2, AfterColumns = Fixed.Bits - Between, AfterRows = Fixed.Bits + Between + 3;

    private Block _block;
    private int _last;

    public static int Size => 8;

    public void Start(int sum) => _block[0] = (short)(sum - JpegWeights.Bias);

    public void Add(int value, ReadOnlySpan<int> weights, int coefficient)
    {
        _block[JpegWeights.Places[coefficient]] += (short)(value * weights[coefficient]);
        _last |= value;
    }

    public readonly void Store(Span<byte> rows, int stride)
    {
        if (_last == 0)
        {
            // The mean alone; 3 bits are the transform's own factor of 8.
            var flat = Vector64.Create((byte)Math.Clamp(((_block[0] + 4) >> 3) + 128, 0, 255));
            for (var y = 0; y < 8; y++)
            {
                flat.CopyTo(rows[(y * stride)..]);
            }

            return;
        }

        ReadOnlySpan<short> block = _block;
        Vector256<int> v0 = Row(block, 0), v1 = Row(block, 1), v2 = Row(block, 2), v3 = Row(block, 3);
        Vector256<int> v4 = Row(block, 4), v5 = Row(block, 5), v6 = Row(block, 6), v7 = Row(block, 7);
        Transform(AfterColumns, ref v0, ref v1, ref v2, ref v3, ref v4, ref v5, ref v6, ref v7);
        JpegVectors.Transpose(ref v0, ref v1, ref v2, ref v3, ref v4, ref v5, ref v6, ref v7);
        Transform(AfterRows, ref v0, ref v1, ref v2, ref v3, ref v4, ref v5, ref v6, ref v7);
        JpegVectors.Transpose(ref v0, ref v1, ref v2, ref v3, ref v4, ref v5, ref v6, ref v7);
        Store(v0, v1, rows, stride);
        Store(v2, v3, rows[(2 * stride)..], stride);
        Store(v4, v5, rows[(4 * stride)..], stride);
        Store(v6, v7, rows[(6 * stride)..], stride);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Row(ReadOnlySpan<short> block, int row) =>
        Vector256.WidenLower(Vector128.Create(block.Slice(row * 8, 8)).ToVector256Unsafe());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<int> first, Vector256<int> second, Span<byte> rows, int stride)
    {
        var samples = JpegVectors.Narrow(JpegVectors.Narrow(first, second) + Vector256.Create((short)128)).AsUInt64();
        BinaryPrimitives.WriteUInt64LittleEndian(rows, samples[0]);
        BinaryPrimitives.WriteUInt64LittleEndian(rows[stride..], samples[1]);
    }

    /// <summary>The transform of all columns at once, rounded to so many bits less.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transform(int bits, ref Vector256<int> v0, ref Vector256<int> v1, ref Vector256<int> v2, ref Vector256<int> v3,
        ref Vector256<int> v4, ref Vector256<int> v5, ref Vector256<int> v6, ref Vector256<int> v7)
    {
        // 1. The even half.
        var rounding = Vector256.Create(1 << (bits - 1));
        var outer = JpegVectors.Pair(v2, v6);
        var high = JpegVectors.Products(outer, Fixed.C0541 + Fixed.C0765, Fixed.C0541);
        var low = JpegVectors.Products(outer, Fixed.C0541, Fixed.C0541 - Fixed.C1847);
        Vector256<int> sum = ((v0 + v4) << Fixed.Bits) + rounding, difference = ((v0 - v4) << Fixed.Bits) + rounding;
        Vector256<int> even0 = sum + high, even3 = sum - high, even1 = difference + low, even2 = difference - low;

        // 2. The odd half.
        Vector256<short> sums = JpegVectors.Pair(v7 + v3, v5 + v1), ends = JpegVectors.Pair(v7, v1), middle = JpegVectors.Pair(v5, v3);
        var z3 = JpegVectors.Products(sums, Fixed.C1175 - Fixed.C1961, Fixed.C1175);
        var z4 = JpegVectors.Products(sums, Fixed.C1175, Fixed.C1175 - Fixed.C0390);
        var odd0 = JpegVectors.Products(ends, Fixed.C0298 - Fixed.C0899, -Fixed.C0899) + z3;
        var odd1 = JpegVectors.Products(middle, Fixed.C2053 - Fixed.C2562, -Fixed.C2562) + z4;
        var odd2 = JpegVectors.Products(middle, -Fixed.C2562, Fixed.C3072 - Fixed.C2562) + z3;
        var odd3 = JpegVectors.Products(ends, -Fixed.C0899, Fixed.C1501 - Fixed.C0899) + z4;

        // 3. Both.
        v0 = (even0 + odd3) >> bits;
        v7 = (even0 - odd3) >> bits;
        v1 = (even1 + odd2) >> bits;
        v6 = (even1 - odd2) >> bits;
        v2 = (even2 + odd1) >> bits;
        v5 = (even2 - odd1) >> bits;
        v3 = (even3 + odd0) >> bits;
        v4 = (even3 - odd0) >> bits;
    }

    /// <summary>The multipliers of the paper's figure 1 in thousandths, with 13 bits behind the point: 0.298631336, 0.390180644, …</summary>
    private static class Fixed
    {
        public const int Bits = 13;
        public const int C0298 = 2446, C0390 = 3196, C0541 = 4433, C0765 = 6270, C0899 = 7373, C1175 = 9633,
            C1501 = 12299, C1847 = 15137, C1961 = 16069, C2053 = 16819, C2562 = 20995, C3072 = 25172;
    }

    [InlineArray(64)]
    private struct Block
    {
        private short _first;
    }
}
