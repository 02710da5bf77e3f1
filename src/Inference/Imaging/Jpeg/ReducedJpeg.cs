namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Where both decoders hand a JPEG over that may be decoded smaller.</summary>
internal static class ReducedJpeg
{
    /// <summary>The largest of the scales 1/2, 1/4 and 1/8, rounded down, at which the picture is not smaller than asked; 1 where there is none.</summary>
    /// <param name="width">The upright picture's width.</param>
    /// <param name="height">The upright picture's height.</param>
    /// <param name="atLeast">The upright size that is asked for.</param>
    public static int LargestShrink(int width, int height, (int Width, int Height) atLeast)
    {
        int shrink = 8;
        while (shrink > 1 && (width / shrink < atLeast.Width || height / shrink < atLeast.Height))
        {
            shrink /= 2;
        }
        return shrink;
    }

    /// <summary>Decodes the picture, or gives <see langword="null"/> where that is the library's to do: full size, or a kind of JPEG that is not ours.</summary>
    /// <param name="file">The whole file, its header read and its size within the limits.</param>
    /// <param name="orientation">As the header has it.</param>
    /// <param name="width">The upright picture's width.</param>
    /// <param name="height">The upright picture's height.</param>
    /// <param name="atLeast">The upright size that is asked for.</param>
    /// <param name="cancellationToken">Nobody waits any more.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: rows are missing or wrong.</exception>
    public static RgbImage? TryDecode(
        ReadOnlyMemory<byte> file, Orientation orientation, int width, int height, (int Width, int Height)? atLeast, CancellationToken cancellationToken)
    {
        int shrink = atLeast is { } size ? LargestShrink(width, height, size) : 1;
        if (shrink == 1 || JpegReducedDecoder.TryOpen(file, shrink) is not { } decoder)
        {
            return null;
        }
        (int reducedWidth, int reducedHeight) = orientation.Apply(decoder.Width, decoder.Height);
        var picture = new RgbImage(reducedWidth, reducedHeight) { OriginalWidth = width, OriginalHeight = height, Format = "jpeg" };
        try
        {
            if (decoder.Decode(orientation, picture.Pixels, cancellationToken) is { } damage && Refuses(damage, decoder))
            {
                throw new InferenceException(
                    InferenceError.InvalidImage,
                    damage.Row < decoder.FullHeight
                        ? $"The JPEG picture is truncated or damaged from row {damage.Row} of {decoder.FullHeight} on."
                        : "The JPEG picture is truncated: its end marker is missing.");
            }
            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
    }

    // What is odd but leaves all rows right is what every viewer shows, and libjpeg too.
    private static bool Refuses(JpegDamage damage, JpegReducedDecoder decoder) =>
        damage.Row < decoder.FullHeight || damage.Kind == JpegDamageKind.MissingEnd;
}
