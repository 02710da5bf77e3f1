using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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

    private readonly TableCache<Weights> _tables = new(axis => Weights.Create(axis, support, filter));

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
        int rowBytes = geometry.X.Length * 3;
        int ringRows = down.Taps;
        byte[] scratch = ArrayPool<byte>.Shared.Rent((ringRows + 1) * rowBytes);
        Span<byte> ring = scratch.AsSpan(rowBytes, ringRows * rowBytes);
        int next = down.First[0];
        for (int y = 0; y < down.First.Length; y++)
        {
            for (int end = down.First[y] + down.Count[y]; next < end; next++)
            {
                int start = (((geometry.Y.SourceStart + next) * width) + geometry.X.SourceStart) * 3;
                Across(pixels[start..], across, ring.Slice(next % ringRows * rowBytes, rowBytes));
            }
            Span<byte> row = writer.RowFor(y, tensor, scratch.AsSpan(0, rowBytes));
            Down(ring, down.First[y] % ringRows * rowBytes, down.Of(y), row);
            writer.Write(row, y, tensor);
        }
        ArrayPool<byte>.Shared.Return(scratch);
    }

    /// <param name="source">The source row and, for vectors that read past its end, what follows it.</param>
    /// <param name="weights">Per output pixel.</param>
    /// <param name="row">The row resized across.</param>
    private void Across(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        // A vector of four samples holds a pixel and the next one's red, which must still be memory of the picture, and of the row.
        int x = vectorBits >= 128 ? AcrossVector128(source, weights, row) : 0;
        for (; x < weights.First.Length; x++)
        {
            ReadOnlySpan<int> taps = weights.Of(x);
            ReadOnlySpan<byte> from = source.Slice(weights.First[x] * 3, taps.Length * 3);
            int r = Half, g = Half, b = Half;
            for (int i = 0; i < taps.Length; i++)
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

    private static int AcrossVector128(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        int safe = weights.First.Length - 1;
        while (safe > 0 && ((weights.First[safe - 1] + weights.Count[safe - 1]) * 3) + 1 > source.Length)
        {
            safe--;
        }
        for (int x = 0; x < safe; x++)
        {
            ReadOnlySpan<int> taps = weights.Of(x);
            ref byte from = ref Unsafe.Add(ref MemoryMarshal.GetReference(source), weights.First[x] * 3);
            Vector128<int> sum = Vector128.Create(Half);
            foreach (int tap in taps)
            {
                Vector128<byte> pixel = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(ref from)).AsByte();
                sum += Vector128.WidenLower(Vector128.WidenLower(pixel)).AsInt32() * tap;
                from = ref Unsafe.Add(ref from, 3);
            }
            Vector128<uint> values = Vector128.Max(sum >> PrecisionBits, Vector128<int>.Zero).AsUInt32();
            Vector128<ushort> narrow = Vector128.NarrowWithSaturation(values, values);
            Unsafe.WriteUnaligned(
                ref Unsafe.Add(ref MemoryMarshal.GetReference(row), x * 3), Vector128.NarrowWithSaturation(narrow, narrow).AsUInt32().ToScalar());
        }
        return Math.Max(safe, 0);
    }

    /// <param name="ring">Rows resized across.</param>
    /// <param name="start">Where in the ring the first row of this output row begins.</param>
    /// <param name="taps">One weight for each row.</param>
    /// <param name="row">The output row.</param>
    private void Down(ReadOnlySpan<byte> ring, int start, ReadOnlySpan<int> taps, Span<byte> row)
    {
        if (vectorBits >= 512 && row.Length >= 32)
        {
            DownVector512(ring, start, taps, row);
        }
        else if (vectorBits >= 256 && row.Length >= 16)
        {
            DownVector256(ring, start, taps, row);
        }
        else if (vectorBits >= 128 && row.Length >= 16)
        {
            DownVector128(ring, start, taps, row);
        }
        else
        {
            for (int x = 0; x < row.Length; x++)
            {
                int sum = Half;
                int from = start;
                foreach (int tap in taps)
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
        ref byte rows = ref MemoryMarshal.GetReference(ring);
        for (int at = 0; at < row.Length; at += 16)
        {
            int x = Math.Min(at, row.Length - 16);
            Vector128<int> a = Vector128.Create(Half), b = a, c = a, d = a;
            int from = start;
            foreach (int tap in taps)
            {
                (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(Vector128.LoadUnsafe(ref rows, (nuint)(from + x)));
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

    private static void DownVector256(ReadOnlySpan<byte> ring, int start, ReadOnlySpan<int> taps, Span<byte> row)
    {
        ref byte rows = ref MemoryMarshal.GetReference(ring);
        for (int at = 0; at < row.Length; at += 16)
        {
            int x = Math.Min(at, row.Length - 16);
            Vector256<int> a = Vector256.Create(Half), b = a;
            int from = start;
            foreach (int tap in taps)
            {
                Vector256<ushort> wide = Vector256.WidenLower(Vector128.LoadUnsafe(ref rows, (nuint)(from + x)).ToVector256Unsafe());
                a += Vector256.WidenLower(wide).AsInt32() * tap;
                b += Vector256.WidenUpper(wide).AsInt32() * tap;
                from = Next(from, row.Length, ring.Length);
            }
            Vector256<ushort> narrow = Vector256.NarrowWithSaturation(
                Vector256.Max(a >> PrecisionBits, Vector256<int>.Zero).AsUInt32(), Vector256.Max(b >> PrecisionBits, Vector256<int>.Zero).AsUInt32());
            Vector128.NarrowWithSaturation(narrow.GetLower(), narrow.GetUpper()).StoreUnsafe(ref MemoryMarshal.GetReference(row), (nuint)x);
        }
    }

    private static void DownVector512(ReadOnlySpan<byte> ring, int start, ReadOnlySpan<int> taps, Span<byte> row)
    {
        ref byte rows = ref MemoryMarshal.GetReference(ring);
        for (int at = 0; at < row.Length; at += 32)
        {
            int x = Math.Min(at, row.Length - 32);
            Vector512<int> a = Vector512.Create(Half), b = a;
            int from = start;
            foreach (int tap in taps)
            {
                Vector512<ushort> wide = Vector512.WidenLower(Vector256.LoadUnsafe(ref rows, (nuint)(from + x)).ToVector512Unsafe());
                a += Vector512.WidenLower(wide).AsInt32() * tap;
                b += Vector512.WidenUpper(wide).AsInt32() * tap;
                from = Next(from, row.Length, ring.Length);
            }
            Vector512<ushort> narrow = Vector512.NarrowWithSaturation(
                Vector512.Max(a >> PrecisionBits, Vector512<int>.Zero).AsUInt32(), Vector512.Max(b >> PrecisionBits, Vector512<int>.Zero).AsUInt32());
            Vector256.NarrowWithSaturation(narrow.GetLower(), narrow.GetUpper()).StoreUnsafe(ref MemoryMarshal.GetReference(row), (nuint)x);
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
        public ReadOnlySpan<int> Of(int position) => Values.AsSpan(position * Taps, Count[position]);

        // Resample.c: precompute_coeffs, then normalize_coeffs_8bpc; in the same order, as doubles do not forgive another one.
        public static Weights Create(AxisGeometry axis, double support, Func<double, double> filter)
        {
            double scale = (double)axis.SourceLength / axis.ResizedLength;
            double filterScale = Math.Max(scale, 1);
            support *= filterScale;
            int taps = ((int)Math.Ceiling(support) * 2) + 1;
            int[] first = new int[axis.Length], count = new int[axis.Length], values = new int[axis.Length * taps];
            double[] weights = new double[taps];
            for (int i = 0; i < axis.Length; i++)
            {
                double center = (axis.Start + i + 0.5) * scale;
                int min = Math.Max((int)(center - support + 0.5), 0);
                int max = Math.Min((int)(center + support + 0.5), axis.SourceLength) - min;
                double sum = 0;
                for (int k = 0; k < max; k++)
                {
                    weights[k] = filter((k + min - center + 0.5) * (1.0 / filterScale));
                    sum += weights[k];
                }
                for (int k = 0; k < max; k++)
                {
                    double weight = (sum != 0 ? weights[k] / sum : weights[k]) * (1 << PrecisionBits);
                    values[(i * taps) + k] = (int)(weight < 0 ? weight - 0.5 : weight + 0.5);
                }
                first[i] = min;
                count[i] = max;
            }
            return new Weights(first, count, taps, values);
        }
    }
}
