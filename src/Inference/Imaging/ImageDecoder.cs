using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging;

/// <summary>What both decoders do alike: read the header, hold it against the limits, cut an animation down to its first frame, and only then call the library.</summary>
public abstract class ImageDecoder : IImageDecoder
{
    private readonly DecodingOptions _options;

    private protected ImageDecoder(DecodingOptions options) => _options = options;

    /// <inheritdoc/>
    public RgbImage Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null)
    {
        var header = ImageHeader.Read(file.Span);
        DecodingLimits.Check(header, _options);
        switch (header)
        {
            case { Format: "webp", FirstFrame: { } patch }:
                using (var frame = DecodeStill(WebpHeader.FirstFrame(file.Span), header with { Width = patch.Width, Height = patch.Height, Orientation = new(1) }, null))
                {
                    return OnCanvas(frame, patch, header);
                }

            case { Format: "gif" }:
                var picture = DecodeStill(header.Frames > 1 ? GifHeader.FirstFrame(file) : file, header, shrinkTo);
                WhitenAround(picture, header.FirstFrame);
                return picture;

            default:
                return DecodeStill(file, header, shrinkTo);
        }
    }

    /// <summary>Decodes a file of one picture that is within the limits.</summary>
    internal abstract RgbImage DecodeStill(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo);

    /// <summary>The sentence for what a library could not read.</summary>
    private protected static InferenceException Damaged(ImageHeader header, Exception cause) => new(
        InferenceError.InvalidImage, $"The {header.Format.ToUpperInvariant()} picture is truncated, damaged or of a kind that cannot be read.", cause);

    /// <summary>A frame that covers only a part of the animation's canvas lies on white, as transparency does.</summary>
    private static RgbImage OnCanvas(RgbImage frame, Patch patch, ImageHeader header)
    {
        (var width, var height) = header.Orientation.Apply((int)header.Width, (int)header.Height);
        var canvas = new RgbImage(width, height) { OriginalWidth = width, OriginalHeight = height, Format = header.Format };
        var row = new byte[header.Width * 3];
        for (var y = 0; y < header.Height; y++)
        {
            row.AsSpan().Fill(255);
            if (y >= patch.Top && y < patch.Top + frame.Height)
            {
                var left = (int)Math.Min(patch.Left, header.Width);
                var pixels = frame.Pixels.Slice((y - (int)patch.Top) * frame.Width * 3, (int)Math.Min(frame.Width, header.Width - left) * 3);
                pixels.CopyTo(row.AsSpan(left * 3));
            }

            header.Orientation.Place(row, y, (int)header.Width, (int)header.Height, canvas.Pixels);
        }

        return canvas;
    }

    /// <summary>The rest of a GIF's screen is transparent, which some decoders show as black.</summary>
    private static void WhitenAround(RgbImage picture, Patch? first)
    {
        if (first is not { } patch)
        {
            return;
        }

        (var left, var right) = ((int)Math.Min(patch.Left, picture.Width), (int)Math.Min(patch.Left + patch.Width, picture.Width));
        for (var y = 0; y < picture.Height; y++)
        {
            var row = picture.Pixels.Slice(y * picture.Width * 3, picture.Width * 3);
            if (y < patch.Top || y >= patch.Top + patch.Height)
            {
                row.Fill(255);
                continue;
            }

            row[..(left * 3)].Fill(255);
            row[(right * 3)..].Fill(255);
        }
    }
}
