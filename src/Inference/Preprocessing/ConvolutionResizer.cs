using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Whatsit.Inference.Preprocessing;

/// <summary>
/// Pillow's antialiased resampling, bit for bit (src/libImaging/Resample.c): each output pixel is the weighted sum of the pixels that a filter,
/// widened by the scale, covers; across first, rounded to 8 bits, then down; weights are fixed-point numbers.
/// </summary>
/// <remarks>All arithmetic is on 32-bit integers, so that every width of vector gives the same bytes as none.</remarks>
/// <param name="support">Half of the filter's width, in pixels, where nothing is scaled down.</param>
/// <param name="filter">The weight by distance.</param>
/// <param name="vectorBits">The widest vectors to use: 512, 256, 128, or 0 for none.</param>
internal sealed class ConvolutionResizer(double support, Func<double, double> filter, int vectorBits) : Resizer
{
    // 8 bits of the result and 2 for what negative weights overshoot are left.
    private const int PrecisionBits = 32 - 8 - 2;
    private const int Half = 1 << (PrecisionBits - 1);

    // An index that makes a shuffle give 0.
    private const byte No = 255;

    private readonly TableCache<Weights> _tables = new(axis => Weights.Create(axis, support, filter, parts: vectorBits >= 256 && Avx2.IsSupported));

    /// <inheritdoc/>
    public override bool Antialiases => true;

    /// <summary>
    /// <code>
    ///   source rows          ring of rows, resized across        output row
    ///   ───────────  across   ──────────────────────────   down   ─────────
    ///   each once   ───────►  as many as one output row  ──────►  8 bits RGB
    ///                         takes: they stay in the cache
    /// </code>
    /// </summary>
    public override void Resize(ReadOnlySpan<byte> pixels, int width, Geometry geometry, TensorWriter writer, Span<byte> tensor)
    {
        Weights across = _tables.Get(geometry.X), down = _tables.Get(geometry.Y);
        var rowBytes = geometry.X.Length * 3;
        var ringRows = down.Taps;
        var scratch = ArrayPool<byte>.Shared.Rent((ringRows + 1) * rowBytes);
        var ring = scratch.AsSpan(rowBytes, ringRows * rowBytes);
        var next = down.First[0];
        for (var y = 0; y < down.First.Length; y++)
        {
            for (var end = down.First[y] + down.Count[y]; next < end; next++)
            {
                var start = (((geometry.Y.SourceStart + next) * width) + geometry.X.SourceStart) * 3;
                Across(pixels[start..], across, ring.Slice(next % ringRows * rowBytes, rowBytes));
            }

            var row = writer.RowFor(y, tensor, scratch.AsSpan(0, rowBytes));
            Down(ring, down.First[y] % ringRows * rowBytes, down, y, row);
            writer.Write(row, y, tensor);
        }

        ArrayPool<byte>.Shared.Return(scratch);
    }

    /// <param name="source">The source row and, for vectors that read past its end, what follows it in the picture.</param>
    /// <param name="weights">Per output pixel.</param>
    /// <param name="row">The row resized across.</param>
    private void Across(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        var x = weights.HasParts ? AcrossAvx2(source, weights, row) : vectorBits >= 128 ? AcrossVector128(source, weights, row) : 0;
        for (; x < weights.First.Length; x++)
        {
            var taps = weights.Of(x);
            var from = source.Slice(weights.First[x] * 3, taps.Length * 3);
            int r = Half, g = Half, b = Half;
            for (var i = 0; i < taps.Length; i++)
            {
                r += from[i * 3] * taps[i];
                g += from[(i * 3) + 1] * taps[i];
                b += from[(i * 3) + 2] * taps[i];
            }

            row[x * 3] = Clip(r);
            row[(x * 3) + 1] = Clip(g);
            row[(x * 3) + 2] = Clip(b);
        }
    }

    // A vector of four samples holds a pixel and the next one's red, which must still be memory of the picture, and of the row.
    private static int AcrossVector128(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        var safe = weights.First.Length - 1;
        while (safe > 0 && ((weights.First[safe - 1] + weights.Count[safe - 1]) * 3) + 1 > source.Length)
        {
            safe--;
        }

        for (var x = 0; x < safe; x++)
        {
            var taps = weights.Of(x);
            ref var from = ref Unsafe.Add(ref MemoryMarshal.GetReference(source), weights.First[x] * 3);
            var sum = Vector128.Create(Half);
            foreach (var tap in taps)
            {
                var pixel = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(ref from)).AsByte();
                sum += Vector128.WidenLower(Vector128.WidenLower(pixel)).AsInt32() * tap;
                from = ref Unsafe.Add(ref from, 3);
            }

            var values = Vector128.Max(sum >> PrecisionBits, Vector128<int>.Zero).AsUInt32();
            var narrow = Vector128.NarrowWithSaturation(values, values);
            Unsafe.WriteUnaligned(
                ref Unsafe.Add(ref MemoryMarshal.GetReference(row), x * 3), Vector128.NarrowWithSaturation(narrow, narrow).AsUInt32().ToScalar());
        }

        return safe;
    }

    // x86 multiplies 16-bit numbers and adds neighbours in one step (pmaddwd), at four times the pace of 32-bit products. The 23-bit weights are
    // therefore kept in two parts, and the sums of both put together at the end: the same integers, so the same result.
    private static int AcrossAvx2(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        var groups = weights.Groups;
        var safe = weights.First.Length;
        while (safe > 0 && ((weights.First[safe - 1] + (groups * 4)) * 3) + 4 > source.Length)
        {
            safe--;
        }

        ref byte from = ref MemoryMarshal.GetReference(source), to = ref MemoryMarshal.GetReference(row);
        ref var first = ref MemoryMarshal.GetArrayDataReference(weights.First);
        ref var pairs = ref MemoryMarshal.GetArrayDataReference(weights.Fours);
        var x = 0;
        for (; x + 4 <= safe; x += 4)
        {
            var left = Avx2.HorizontalAdd(
                Sum(ref Unsafe.Add(ref from, first * 3), ref pairs, groups),
                Sum(ref Unsafe.Add(ref from, Unsafe.Add(ref first, 1) * 3), ref Unsafe.Add(ref pairs, groups * 2), groups));
            var right = Avx2.HorizontalAdd(
                Sum(ref Unsafe.Add(ref from, Unsafe.Add(ref first, 2) * 3), ref Unsafe.Add(ref pairs, groups * 4), groups),
                Sum(ref Unsafe.Add(ref from, Unsafe.Add(ref first, 3) * 3), ref Unsafe.Add(ref pairs, groups * 6), groups));
            // Lower half: R G R G R G R G, upper half: B 0 B 0 B 0 B 0; put together as R G B R G B R G B R G B.
            var words = Avx2.PackSignedSaturate(left >> PrecisionBits, right >> PrecisionBits);
            var bytes = Avx2.Shuffle(Avx2.PackUnsignedSaturate(words, words), Vector256.Create(
                0, 1, No, 2, 3, No, 4, 5, No, 6, 7, No, No, No, No, No,
                No, No, 0, No, No, 2, No, No, 4, No, No, 6, No, No, No, No));
            var pixels = bytes.GetLower() | bytes.GetUpper();
            Unsafe.WriteUnaligned(ref to, pixels.AsUInt64().ToScalar());
            Unsafe.WriteUnaligned(ref Unsafe.Add(ref to, 8), pixels.AsUInt32().GetElement(2));
            to = ref Unsafe.Add(ref to, 12);
            first = ref Unsafe.Add(ref first, 4);
            pairs = ref Unsafe.Add(ref pairs, groups * 8);
        }

        return x;

        // R R G G in the lower half and B B 0 0 in the upper one, each still two parts of a sum.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<int> Sum(ref byte from, ref long pairs, int groups)
        {
            Vector256<int> low = Vector256.Create(Half, 0, Half, 0, Half, 0, 0, 0), high = Vector256<int>.Zero;
            do
            {
                // Four pixels: R0 R1 R2 R3 G0 G1 G2 G3 and B0 B1 B2 B3 as 16-bit numbers
                var samples = Avx2.Shuffle(Vector256.Create(Vector128.LoadUnsafe(ref from)), Vector256.Create(
                    0, No, 3, No, 6, No, 9, No, 1, No, 4, No, 7, No, 10, No,
                    2, No, 5, No, 8, No, 11, No, No, No, No, No, No, No, No, No)).AsInt16();
                low += Avx2.MultiplyAddAdjacent(samples, Vector256.Create(pairs).AsInt16());
                high += Avx2.MultiplyAddAdjacent(samples, Vector256.Create(Unsafe.Add(ref pairs, 1)).AsInt16());
                from = ref Unsafe.Add(ref from, 12);
                pairs = ref Unsafe.Add(ref pairs, 2);
            }
            while (--groups > 0);
            return (high << Weights.LowBits) + low;
        }
    }

    /// <param name="ring">Rows resized across.</param>
    /// <param name="start">Where in the ring the first row of this output row begins.</param>
    /// <param name="weights">Per output row.</param>
    /// <param name="y">The output row.</param>
    /// <param name="row">Its samples.</param>
    private void Down(ReadOnlySpan<byte> ring, int start, Weights weights, int y, Span<byte> row)
    {
        if (weights.HasParts && row.Length >= 16)
        {
            DownAvx2(ring, start, weights, y, row);
        }
        else if (vectorBits >= 128 && row.Length >= 16)
        {
            DownVector128(ring, start, weights.Of(y), row);
        }
        else
        {
            for (var x = 0; x < row.Length; x++)
            {
                var sum = Half;
                var from = start;
                foreach (var tap in weights.Of(y))
                {
                    sum += ring[from + x] * tap;
                    from = Next(from, row.Length, ring.Length);
                }

                row[x] = Clip(sum);
            }
        }
    }

    // The last vector of a row is moved back to end with the row: a few samples are computed twice, and no row needs a remainder loop.
    private static void DownVector128(ReadOnlySpan<byte> ring, int start, ReadOnlySpan<int> taps, Span<byte> row)
    {
        ref var rows = ref MemoryMarshal.GetReference(ring);
        for (var at = 0; at < row.Length; at += 16)
        {
            var x = Math.Min(at, row.Length - 16);
            Vector128<int> a = Vector128.Create(Half), b = a, c = a, d = a;
            var from = start;
            foreach (var tap in taps)
            {
                (var low, var high) = Vector128.Widen(Vector128.LoadUnsafe(ref rows, (nuint)(from + x)));
                a += Vector128.WidenLower(low).AsInt32() * tap;
                b += Vector128.WidenUpper(low).AsInt32() * tap;
                c += Vector128.WidenLower(high).AsInt32() * tap;
                d += Vector128.WidenUpper(high).AsInt32() * tap;
                from = Next(from, row.Length, ring.Length);
            }

            Vector128.NarrowWithSaturation(Narrow(a, b), Narrow(c, d)).StoreUnsafe(ref MemoryMarshal.GetReference(row), (nuint)x);
        }

        static Vector128<ushort> Narrow(Vector128<int> low, Vector128<int> high) => Vector128.NarrowWithSaturation(
            Vector128.Max(low >> PrecisionBits, Vector128<int>.Zero).AsUInt32(), Vector128.Max(high >> PrecisionBits, Vector128<int>.Zero).AsUInt32());
    }

    // Two rows at a time, their samples side by side.
    private static void DownAvx2(ReadOnlySpan<byte> ring, int start, Weights weights, int y, Span<byte> row)
    {
        ref byte rows = ref MemoryMarshal.GetReference(ring), to = ref MemoryMarshal.GetReference(row);
        for (var at = 0; at < row.Length; at += 16)
        {
            var x = Math.Min(at, row.Length - 16);
            ref var pairs = ref weights.Twos[y * weights.Groups * 4];
            Vector256<int> leftLow = Vector256.Create(Half), rightLow = leftLow, leftHigh = Vector256<int>.Zero, rightHigh = leftHigh;
            var from = start;
            for (var pair = (weights.Count[y] + 1) / 2; pair > 0; pair--)
            {
                var upper = Vector128.LoadUnsafe(ref rows, (nuint)(from + x));
                from = Next(from, row.Length, ring.Length);
                // After an odd number of rows this is any row, with the weight 0.
                var lower = Vector128.LoadUnsafe(ref rows, (nuint)(from + x));
                from = Next(from, row.Length, ring.Length);
                var left = Avx2.ConvertToVector256Int16(Sse2.UnpackLow(upper, lower));
                var right = Avx2.ConvertToVector256Int16(Sse2.UnpackHigh(upper, lower));
                Vector256<short> low = Vector256.Create(pairs).AsInt16(), high = Vector256.Create(Unsafe.Add(ref pairs, 1)).AsInt16();
                leftLow += Avx2.MultiplyAddAdjacent(left, low);
                leftHigh += Avx2.MultiplyAddAdjacent(left, high);
                rightLow += Avx2.MultiplyAddAdjacent(right, low);
                rightHigh += Avx2.MultiplyAddAdjacent(right, high);
                pairs = ref Unsafe.Add(ref pairs, 2);
            }
            // 0–3 and 8–11 in the lower half, 4–7 and 12–15 in the upper one
            var words = Avx2.PackSignedSaturate(
                ((leftHigh << Weights.LowBits) + leftLow) >> PrecisionBits, ((rightHigh << Weights.LowBits) + rightLow) >> PrecisionBits);
            var bytes = Sse2.PackUnsignedSaturate(words.GetLower(), words.GetUpper());
            Vector128.Shuffle(bytes.AsInt32(), Vector128.Create(0, 2, 1, 3)).AsByte().StoreUnsafe(ref to, (nuint)x);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Next(int from, int rowBytes, int ringBytes) => from + rowBytes == ringBytes ? 0 : from + rowBytes;

    private static byte Clip(int sum) => (byte)Math.Clamp(sum >> PrecisionBits, 0, 255);

    /// <summary>For each output position of one side: the first source position, how many there are, and their weights.</summary>
    /// <param name="First">The first source position.</param>
    /// <param name="Count">How many weights.</param>
    /// <param name="Taps">The largest number of weights that a position may have, and the distance between two positions' weights.</param>
    /// <param name="Values">All weights.</param>
    private sealed record Weights(int[] First, int[] Count, int Taps, int[] Values)
    {
        /// <summary>How many bits the lower part of a weight has.</summary>
        public const int LowBits = 11;

        /// <summary>
        /// How many groups of four weights each position has in <see cref="Fours"/> and <see cref="Twos"/>; the rest is filled up with zeros.
        /// </summary>
        public int Groups { get; } = (Taps + 3) / 4;

        /// <summary>The weights as 16-bit numbers, by fours: the lower parts of four weights, then their upper parts. Empty where nothing uses them.</summary>
        public long[] Fours { get; private init; } = [];

        /// <summary>The same by twos.</summary>
        public int[] Twos { get; private init; } = [];

        public bool HasParts => Fours.Length > 0;

        public ReadOnlySpan<int> Of(int position) => Values.AsSpan(position * Taps, Count[position]);

        // Resample.c: precompute_coeffs, then normalize_coeffs_8bpc; in the same order, as doubles do not forgive another one.
        public static Weights Create(AxisGeometry axis, double support, Func<double, double> filter, bool parts)
        {
            var scale = (double)axis.SourceLength / axis.ResizedLength;
            var filterScale = Math.Max(scale, 1);
            support *= filterScale;
            int[] first = new int[axis.Length], count = new int[axis.Length];
            for (var i = 0; i < axis.Length; i++)
            {
                var center = Center(i);
                first[i] = Math.Max((int)(center - support + 0.5), 0);
                count[i] = Math.Min((int)(center + support + 0.5), axis.SourceLength) - first[i];
            }
            // Pillow makes room for ⌈support⌉ · 2 + 1; a filter reaches that many pixels only where its support is whole.
            var taps = count.Max();
            var values = new int[axis.Length * taps];
            var weights = new double[taps];
            for (var i = 0; i < axis.Length; i++)
            {
                double sum = 0;
                for (var k = 0; k < count[i]; k++)
                {
                    weights[k] = filter((k + first[i] - Center(i) + 0.5) * (1.0 / filterScale));
                    sum += weights[k];
                }

                for (var k = 0; k < count[i]; k++)
                {
                    var weight = (sum != 0 ? weights[k] / sum : weights[k]) * (1 << PrecisionBits);
                    values[(i * taps) + k] = (int)(weight < 0 ? weight - 0.5 : weight + 0.5);
                }
            }

            var table = new Weights(first, count, taps, values);
            return parts ? table.WithParts() : table;

            double Center(int position) => (axis.Start + position + 0.5) * scale;
        }

        private Weights WithParts()
        {
            short[] fours = new short[First.Length * Groups * 8], twos = new short[fours.Length];
            for (var i = 0; i < Values.Length; i++)
            {
                (var position, var k) = Math.DivRem(i, Taps);
                (var low, var high) = ((short)(Values[i] & ((1 << LowBits) - 1)), (short)(Values[i] >> LowBits));
                int four = (position * Groups * 8) + (k / 4 * 8) + (k % 4), two = (position * Groups * 8) + (k / 2 * 4) + (k % 2);
                (fours[four], fours[four + 4]) = (low, high);
                (twos[two], twos[two + 2]) = (low, high);
            }

            return this with { Fours = MemoryMarshal.Cast<short, long>(fours).ToArray(), Twos = MemoryMarshal.Cast<short, int>(twos).ToArray() };
        }
    }
}
