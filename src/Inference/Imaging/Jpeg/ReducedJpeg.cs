using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Where both decoders hand a JPEG over that may be decoded smaller.</summary>
internal static class ReducedJpeg
{
    // And a fiftieth of the height: what may be missing at the bottom, for it changes no answer.
    private const int MaxMissingRows = 16;

    /// <summary>
    /// Decodes the picture, or gives <see langword="null"/> where that is the library's to do: other colours than sRGB, or a kind of JPEG that is not ours.
    /// </summary>
    /// <param name="file">The whole file, its size within the limits.</param>
    /// <param name="header">Its header.</param>
    /// <param name="shrink">1, 2, 4 or 8: by how much it may be decoded smaller.</param>
    /// <param name="cancellationToken">Nobody waits any more.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: rows are missing or wrong.</exception>
    public static RgbImage? TryDecode(ReadOnlyMemory<byte> file, ImageHeader header, int shrink, CancellationToken cancellationToken) =>
        !header.IsSrgb || JpegReducedDecoder.TryOpen(file, shrink) is not { } decoder ? null : Decode(decoder, header, cancellationToken);

    /// <summary>Looks at a file that the library decodes, which invents what it does not find: damage that leaves valid codes it passes over in silence.</summary>
    /// <returns>What the answer says of it; <see langword="null"/> where the file is of a kind that is not ours.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: rows are missing or wrong.</exception>
    public static IReadOnlyList<Warning>? Look(ReadOnlyMemory<byte> file, ImageHeader header, CancellationToken cancellationToken)
    {
        if (JpegReducedDecoder.TryOpen(file, shrink: 8, toLook: true) is not { } decoder)
        {
            return null;
        }

        using var picture = Decode(decoder, header, cancellationToken);
        return picture.Warnings;
    }

    private static RgbImage Decode(JpegReducedDecoder decoder, ImageHeader header, CancellationToken cancellationToken)
    {
        (var width, var height) = header.Orientation.Apply((int)header.Width, (int)header.Height);
        (var reducedWidth, var reducedHeight) = header.Orientation.Apply(decoder.Width, decoder.Height);
        var picture = new RgbImage(reducedWidth, reducedHeight) { OriginalWidth = width, OriginalHeight = height, Format = "jpeg" };
        try
        {
            if (decoder.Decode(header.Orientation, picture.Pixels, cancellationToken) is { } damage)
            {
                var missing = decoder.FullHeight - damage.Row;
                if (!IsBearable(missing, decoder.FullHeight))
                {
                    throw TooFew(header, damage.Row);
                }

                // What is odd but leaves all rows right is what every viewer shows, and libjpeg too.
                picture.Warnings = damage.Kind == JpegDamageKind.DataLeft ? [DataLeft]
                    : missing > 0 || damage.Kind == JpegDamageKind.MissingEnd || !header.IsComplete ? [Warn(missing, decoder.FullHeight)] : [];
            }

            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
    }

    /// <summary>Whether so few rows are missing at the bottom that the picture is answered all the same.</summary>
    public static bool IsBearable(long missing, long height) => missing <= MaxMissingRows && missing * 50 <= height;

    /// <summary>The refusal of a picture of which too many rows are missing.</summary>
    public static InferenceException TooFew(ImageHeader header, long row) => new(
        InferenceError.InvalidImage, "invalid-image",
        $"The {header.Format.ToUpperInvariant()} picture is truncated or damaged from row {row} of {header.Height} on.",
        ("format", header.Format), ("row", row), ("height", header.Height));

    /// <summary>What the answer says of a picture whose coded data do not end with its pixels.</summary>
    public static Warning DataLeft { get; } = Warning.Of(
        "image-data-left", "The file holds more coded data than its pixels need: parts of the picture may be damaged, or not where they belong.");

    /// <summary>What the answer says of a picture that was answered all the same.</summary>
    public static Warning Warn(long missing, long height) => missing > 0
        ? Warning.Of("image-truncated", $"The last {missing} of the picture's {Counted.Of(height, "row")} are missing or damaged.",
                ("missing", missing), ("height", height))
        : EndMissing;

    /// <summary>What the answer says of a picture that lacks nothing but its end marker.</summary>
    public static Warning EndMissing { get; } =
        Warning.Of("image-end-missing", "The file lacks its end marker, as after an interrupted transfer; all of its pixels are there.");

    /// <summary>What the answer says of a progressive JPEG that ends before its last passes.</summary>
    public static Warning PassesMissing { get; } = Warning.Of(
        "image-passes-missing",
        "The progressive JPEG ends before its last passes, as after an interrupted transfer: all of its pixels are there, without fine detail.");
}
