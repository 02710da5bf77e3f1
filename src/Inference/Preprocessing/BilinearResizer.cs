using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Whatsit.Inference.Preprocessing;

/// <summary>
/// Bilinear interpolation between the four nearest pixels, without antialiasing, in floating point: <c>tf.image.resize</c> (and OpenCV's
/// <c>INTER_LINEAR</c>) with half-pixel centres, TensorFlow.js' <c>resizeBilinear</c> without.
/// </summary>
/// <remarks>No product is fused with a sum, so that every width of vector gives the same bits as none.</remarks>
/// <param name="halfPixelCenters">Whether a pixel's value belongs to its centre, or to its upper left corner.</param>
/// <param name="vectorBits">The widest vectors to use: 512, 256, 128, or 0 for none.</param>
internal sealed class BilinearResizer(bool halfPixelCenters, int vectorBits) : Resizer
{
    private readonly TableCache<Positions> _tables = new(axis => Positions.Create(axis, halfPixelCenters));

    /// <inheritdoc/>
    public override bool Antialiases => false;

    public override void Resize(ReadOnlySpan<byte> pixels, int width, Geometry geometry, TensorWriter writer, Span<byte> tensor)
    {
        Positions columns = _tables.Get(geometry.X), lines = _tables.Get(geometry.Y);
        var samples = geometry.X.Length * 3;
        var scratch = ArrayPool<float>.Shared.Rent(samples * 3);
        Span<float> top = scratch.AsSpan(0, samples), bottom = scratch.AsSpan(samples, samples), row = scratch.AsSpan(samples * 2, samples);
        int topLine = -1, bottomLine = -1;
        for (var y = 0; y < geometry.Y.Length; y++)
        {
            // Neighbouring output rows often lie between the same two source rows.
            if (lines.Lower[y] == bottomLine)
            {
                var swap = top;
                top = bottom;
                bottom = swap;
                (topLine, bottomLine) = (bottomLine, topLine);
            }

            if (lines.Lower[y] != topLine)
            {
                topLine = lines.Lower[y];
                Across(SourceRow(pixels, topLine), columns, top);
            }

            if (lines.Upper[y] != bottomLine)
            {
                bottomLine = lines.Upper[y];
                Across(SourceRow(pixels, bottomLine), columns, bottom);
            }

            Down(top, bottom, lines.Fraction[y], row);
            writer.Write(row, y, tensor);
        }

        ArrayPool<float>.Shared.Return(scratch);

        ReadOnlySpan<byte> SourceRow(ReadOnlySpan<byte> all, int line) =>
            all.Slice((((geometry.Y.SourceStart + line) * width) + geometry.X.SourceStart) * 3, geometry.X.SourceLength * 3);
    }

    // tensorflow/core/kernels/image/resize_bilinear_op.cc, compute_lerp: across first, then down, a + (b - a) * fraction.
    private void Across(ReadOnlySpan<byte> source, Positions columns, Span<float> row)
    {
        var x = vectorBits >= 128 ? AcrossVector128(source, columns, row) : 0;
        for (; x < columns.Lower.Length; x++)
        {
            int lower = columns.Lower[x] * 3, upper = columns.Upper[x] * 3;
            var fraction = columns.Fraction[x];
            for (var c = 0; c < 3; c++)
            {
                row[(x * 3) + c] = source[lower + c] + ((source[upper + c] - source[lower + c]) * fraction);
            }
        }
    }

    // A vector of four samples holds a pixel and the next one's red, which must still be memory of the picture, and of the row.
    private static int AcrossVector128(ReadOnlySpan<byte> source, Positions columns, Span<float> row)
    {
        var safe = columns.Lower.Length - 1;
        while (safe > 0 && (columns.Upper[safe - 1] * 3) + 4 > source.Length)
        {
            safe--;
        }

        ref var from = ref MemoryMarshal.GetReference(source);
        for (var x = 0; x < safe; x++)
        {
            Vector128<float> lower = Pixel(ref from, columns.Lower[x]), upper = Pixel(ref from, columns.Upper[x]);
            var value = lower + ((upper - lower) * columns.Fraction[x]);
            value.StoreUnsafe(ref MemoryMarshal.GetReference(row), (nuint)(x * 3));
        }

        return safe;

        static Vector128<float> Pixel(ref byte from, int x)
        {
            var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref from, x * 3))).AsByte();
            return Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(bytes)).AsInt32());
        }
    }

    private void Down(ReadOnlySpan<float> top, ReadOnlySpan<float> bottom, float fraction, Span<float> row)
    {
        ref float a = ref MemoryMarshal.GetReference(top), b = ref MemoryMarshal.GetReference(bottom), to = ref MemoryMarshal.GetReference(row);
        var x = 0;
        if (vectorBits >= 512)
        {
            for (; x + 16 <= row.Length; x += 16)
            {
                var first = Vector512.LoadUnsafe(ref a, (nuint)x);
                (first + ((Vector512.LoadUnsafe(ref b, (nuint)x) - first) * fraction)).StoreUnsafe(ref to, (nuint)x);
            }
        }

        if (vectorBits >= 256)
        {
            for (; x + 8 <= row.Length; x += 8)
            {
                var first = Vector256.LoadUnsafe(ref a, (nuint)x);
                (first + ((Vector256.LoadUnsafe(ref b, (nuint)x) - first) * fraction)).StoreUnsafe(ref to, (nuint)x);
            }
        }

        if (vectorBits >= 128)
        {
            for (; x + 4 <= row.Length; x += 4)
            {
                var first = Vector128.LoadUnsafe(ref a, (nuint)x);
                (first + ((Vector128.LoadUnsafe(ref b, (nuint)x) - first) * fraction)).StoreUnsafe(ref to, (nuint)x);
            }
        }

        for (; x < row.Length; x++)
        {
            row[x] = top[x] + ((bottom[x] - top[x]) * fraction);
        }
    }

    /// <summary>For each output position of one side: the two source positions around it, and how far it lies towards the second.</summary>
    private sealed record Positions(int[] Lower, int[] Upper, float[] Fraction)
    {
        public static Positions Create(AxisGeometry axis, bool halfPixelCenters)
        {
            int[] lower = new int[axis.Length], upper = new int[axis.Length];
            var fraction = new float[axis.Length];
            for (var i = 0; i < axis.Length; i++)
            {
                var at = Position(axis.Start + i, axis, halfPixelCenters);
                var floor = Math.Floor(at);
                lower[i] = (int)Math.Max(floor, 0);
                upper[i] = (int)Math.Min(Math.Ceiling(at), axis.SourceLength - 1);
                fraction[i] = (float)(at - floor);
            }

            return new Positions(lower, upper, fraction);
        }

        // TensorFlow computes positions in single precision (image_resizer_state.h, HalfPixelScaler), and at a large scale its rounding shows in the
        // result; TensorFlow.js computes them in double precision (ResizeBilinear.ts of the CPU backend).
        private static double Position(int i, AxisGeometry axis, bool halfPixelCenters) => halfPixelCenters
            ? ((i + 0.5f) * ((float)axis.SourceLength / axis.ResizedLength)) - 0.5f
            : i * ((double)axis.SourceLength / axis.ResizedLength);
    }
}
