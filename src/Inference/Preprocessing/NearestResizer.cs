using System.Buffers;

namespace Whatsit.Inference.Preprocessing;

/// <summary>Pillow's NEAREST.</summary>
internal sealed class NearestResizer : Resizer
{
    private readonly TableCache<int[]> _tables = new(Positions);

    /// <inheritdoc/>
    public override bool Antialiases => false;

    public override void Resize(ReadOnlySpan<byte> pixels, int width, Geometry geometry, TensorWriter writer, Span<byte> tensor)
    {
        int[] columns = _tables.Get(geometry.X), lines = _tables.Get(geometry.Y);
        var scratch = ArrayPool<byte>.Shared.Rent(columns.Length * 3);
        for (var y = 0; y < lines.Length; y++)
        {
            var source = pixels[((((geometry.Y.SourceStart + lines[y]) * width) + geometry.X.SourceStart) * 3)..];
            var row = writer.RowFor(y, tensor, scratch);
            for (var x = 0; x < columns.Length; x++)
            {
                source.Slice(columns[x] * 3, 3).CopyTo(row[(x * 3)..]);
            }

            writer.Write(row, y, tensor);
        }

        ArrayPool<byte>.Shared.Return(scratch);
    }

    // Pillow, src/libImaging/Geometry.c, ImagingScaleAffine: the position is summed up, not multiplied, and rounding errors are part of the answer.
    private static int[] Positions(AxisGeometry axis)
    {
        var step = (double)axis.SourceLength / axis.ResizedLength;
        var at = step * 0.5;
        var positions = new int[axis.Length];
        for (var i = 0; i < axis.Start + axis.Length; i++, at += step)
        {
            if (i >= axis.Start)
            {
                positions[i - axis.Start] = Math.Min((int)at, axis.SourceLength - 1);
            }
        }

        return positions;
    }
}
