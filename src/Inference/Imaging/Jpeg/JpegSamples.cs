using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

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

    public void Start(int sum) => _block[0] = sum - JpegWeights.Bias;

    public void Add(int value, ReadOnlySpan<int> weights, int coefficient)
    {
        _block[JpegWeights.Places[coefficient]] += value * weights[coefficient];
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

        ReadOnlySpan<int> block = _block;
        var lines = new Lines(block);
        lines.Transform(AfterColumns);
        lines.Transpose();
        lines.Transform(AfterRows);
        lines.Transpose();
        for (var y = 0; y < 8; y += 2)
        {
            var samples = Limit(lines[y], lines[y + 1]).AsUInt64();
            BinaryPrimitives.WriteUInt64LittleEndian(rows[(y * stride)..], samples[0]);
            BinaryPrimitives.WriteUInt64LittleEndian(rows[((y + 1) * stride)..], samples[1]);
        }
    }

    private static Vector128<byte> Limit(Vector256<int> first, Vector256<int> second)
    {
        var shifted = Vector256.Create(128);
        var samples = Vector256.Max(Vector256.NarrowWithSaturation(first + shifted, second + shifted), default);
        return Vector128.NarrowWithSaturation(samples.GetLower().AsUInt16(), samples.GetUpper().AsUInt16());
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
        private int _first;
    }

    /// <summary>Eight rows of eight.</summary>
    private struct Lines
    {
        private Vector256<int> _0, _1, _2, _3, _4, _5, _6, _7;

        public Lines(ReadOnlySpan<int> block)
        {
            var rows = MemoryMarshal.Cast<int, Vector256<int>>(block[..64]);
            (_0, _1, _2, _3) = (rows[0], rows[1], rows[2], rows[3]);
            (_4, _5, _6, _7) = (rows[4], rows[5], rows[6], rows[7]);
        }

        public readonly Vector256<int> this[int row] => row switch { 0 => _0, 1 => _1, 2 => _2, 3 => _3, 4 => _4, 5 => _5, 6 => _6, _ => _7 };

        /// <summary>The transform of all columns at once, rounded to so many bits less.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Transform(int bits)
        {
            // 1. The even half.
            var z = (_2 + _6) * Fixed.C0541;
            Vector256<int> low = z - (_6 * Fixed.C1847), high = z + (_2 * Fixed.C0765), rounding = Vector256.Create(1 << (bits - 1));
            Vector256<int> sum = ((_0 + _4) << Fixed.Bits) + rounding, difference = ((_0 - _4) << Fixed.Bits) + rounding;
            Vector256<int> even0 = sum + high, even3 = sum - high, even1 = difference + low, even2 = difference - low;

            // 2. The odd half.
            Vector256<int> z3 = _7 + _3, z4 = _5 + _1, z5 = (z3 + z4) * Fixed.C1175;
            Vector256<int> z1 = (_7 + _1) * -Fixed.C0899, z2 = (_5 + _3) * -Fixed.C2562;
            z3 = z5 - (z3 * Fixed.C1961);
            z4 = z5 - (z4 * Fixed.C0390);
            Vector256<int> odd0 = (_7 * Fixed.C0298) + z1 + z3, odd1 = (_5 * Fixed.C2053) + z2 + z4;
            Vector256<int> odd2 = (_3 * Fixed.C3072) + z2 + z3, odd3 = (_1 * Fixed.C1501) + z1 + z4;

            // 3. Both.
            (_0, _7) = ((even0 + odd3) >> bits, (even0 - odd3) >> bits);
            (_1, _6) = ((even1 + odd2) >> bits, (even1 - odd2) >> bits);
            (_2, _5) = ((even2 + odd1) >> bits, (even2 - odd1) >> bits);
            (_3, _4) = ((even3 + odd0) >> bits, (even3 - odd0) >> bits);
        }

        /// <summary>Rows become columns.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Transpose()
        {
            if (!Avx2.IsSupported)
            {
                TransposeOneByOne();
                return;
            }

            var (a0, a1, a2, a3) = Pairs(_0, _1, _2, _3);
            var (b0, b1, b2, b3) = Pairs(_4, _5, _6, _7);
            const byte Lower = 0x20, Upper = 0x31;
            (_0, _1) = (Avx2.Permute2x128(a0, b0, Lower), Avx2.Permute2x128(a1, b1, Lower));
            (_2, _3) = (Avx2.Permute2x128(a2, b2, Lower), Avx2.Permute2x128(a3, b3, Lower));
            (_4, _5) = (Avx2.Permute2x128(a0, b0, Upper), Avx2.Permute2x128(a1, b1, Upper));
            (_6, _7) = (Avx2.Permute2x128(a2, b2, Upper), Avx2.Permute2x128(a3, b3, Upper));

            // Four rows of eight as twice four columns of four.
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            static (Vector256<int> First, Vector256<int> Second, Vector256<int> Third, Vector256<int> Fourth) Pairs(
                Vector256<int> row0, Vector256<int> row1, Vector256<int> row2, Vector256<int> row3)
            {
                Vector256<long> low01 = Avx2.UnpackLow(row0, row1).AsInt64(), high01 = Avx2.UnpackHigh(row0, row1).AsInt64();
                Vector256<long> low23 = Avx2.UnpackLow(row2, row3).AsInt64(), high23 = Avx2.UnpackHigh(row2, row3).AsInt64();
                return (Avx2.UnpackLow(low01, low23).AsInt32(), Avx2.UnpackHigh(low01, low23).AsInt32(),
                    Avx2.UnpackLow(high01, high23).AsInt32(), Avx2.UnpackHigh(high01, high23).AsInt32());
            }
        }

        private void TransposeOneByOne()
        {
            Block block = default;
            Span<int> turned = block;
            for (var i = 0; i < 64; i++)
            {
                turned[i] = this[i % 8][i / 8];
            }

            this = new Lines(turned);
        }
    }
}
