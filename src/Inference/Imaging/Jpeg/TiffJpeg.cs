using System.Buffers;
using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>
/// JPEG inside TIFF (TIFF Technical Note 2): each strip or tile is a file of its own, without the tables that all have in common. Libraries invent what is
/// missing of it, and say nothing.
/// </summary>
internal static class TiffJpeg
{
    /// <summary>Reads all of them at an eighth of their size, those that are ours.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: rows are missing or wrong.</exception>
    public static void Check(ReadOnlySpan<byte> file, ImageHeader header, CancellationToken cancellationToken)
    {
        var pieces = new TiffPieces(file);
        if (!header.IsComplete || pieces.Overlap)
        {
            throw ImageHeader.Damaged(header.Format);
        }

        for (var i = 0L; i < pieces.Count; i++)
        {
            var piece = pieces.Tables.Length > 4 && pieces[i].Length > 2 ? (byte[])[.. pieces.Tables[..^2], .. pieces[i][2..]] : pieces[i].ToArray();
            if (JpegReducedDecoder.TryOpen(piece, shrink: 8) is not { } decoder)
            {
                continue;
            }

            var bytes = decoder.Width * (long)decoder.Height * 3;
            if (bytes * 64 / 3 > header.PieceBytes)
            {
                throw ImageHeader.Damaged(header.Format);
            }

            var pixels = ArrayPool<byte>.Shared.Rent((int)bytes);
            var damage = decoder.Decode(new Orientation(1), pixels, cancellationToken);
            ArrayPool<byte>.Shared.Return(pixels);
            if (damage is { } found && (found.Row < decoder.FullHeight || found.Kind == JpegDamageKind.DataLeft))
            {
                throw ReducedJpeg.TooFew(header, pieces.RowOf(i) + (found.Row < decoder.FullHeight ? found.Row : 0));
            }
        }
    }
}
