using System.Buffers;

namespace Whatsit.Inference.Preprocessing;

/// <summary>
/// Pillow's antialiased resampling, bit for bit (src/libImaging/Resample.c): each output pixel is the weighted sum of the pixels that a filter,
/// widened by the scale, covers; across first, rounded to 8 bits, then down; weights are fixed-point numbers.
/// </summary>
/// <param name="support">Half of the filter's width, in pixels, where nothing is scaled down.</param>
/// <param name="filter">The weight by distance.</param>
internal sealed class ConvolutionResizer(double support, Func<double, double> filter) : Resizer
{
    // 8 bits of the result and 2 for what negative weights overshoot are left.
    private const int PrecisionBits = 32 - 8 - 2;

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
                Across(pixels.Slice(start, geometry.X.SourceLength * 3), across, ring.Slice(next % ringRows * rowBytes, rowBytes));
            }
            Span<byte> row = writer.RowFor(y, tensor, scratch.AsSpan(0, rowBytes));
            Down(ring, ringRows, down, y, row);
            writer.Write(row, y, tensor);
        }
        ArrayPool<byte>.Shared.Return(scratch);
    }

    private static void Across(ReadOnlySpan<byte> source, Weights weights, Span<byte> row)
    {
        for (int x = 0; x < weights.First.Length; x++)
        {
            ReadOnlySpan<int> taps = weights.Of(x);
            ReadOnlySpan<byte> from = source[(weights.First[x] * 3)..];
            int r = 1 << (PrecisionBits - 1), g = r, b = r;
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

    private static void Down(ReadOnlySpan<byte> ring, int ringRows, Weights weights, int y, Span<byte> row)
    {
        ReadOnlySpan<int> taps = weights.Of(y);
        for (int x = 0; x < row.Length; x++)
        {
            int sum = 1 << (PrecisionBits - 1);
            for (int i = 0; i < taps.Length; i++)
            {
                sum += ring[((weights.First[y] + i) % ringRows * row.Length) + x] * taps[i];
            }
            row[x] = Clip(sum);
        }
    }

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
