using Whatsit.Inference.Imaging.Headers;
using Whatsit.Inference.Imaging.Jpeg;

namespace Whatsit.Inference.Imaging;

/// <summary>
/// What both decoders do alike: read the header, hold it against the limits, cut an animation down to its first frame, and only then call the library.
/// </summary>
public abstract class ImageDecoder : IImageDecoder
{
    // Of a PNG. What programs write into one has some kilobytes.
    private const int MostText = 64 << 10;

    private readonly DecodingOptions _options;

    private protected ImageDecoder(DecodingOptions options) => _options = options;

    /// <inheritdoc/>
    public abstract string Reads { get; }

    /// <inheritdoc/>
    public EncodedImage Open(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null)
    {
        if (CannotRead(ImageFormat.Detect(file.Span)) is { } refusal)
        {
            throw refusal;
        }

        var header = ImageHeader.Read(file.Span);
        var cost = Check(header, shrinkTo, file.Length);
        if (CannotRead(header) is { } kind)
        {
            throw kind;
        }

        return new EncodedImage(cost, cancellationToken => Decode(file, header, shrinkTo, cancellationToken)) { Header = header };
    }

    /// <summary>Whether a copy is decoded, without what only costs.</summary>
    private static bool IsCutDown(ImageHeader header) => header.Coding == "png" ? header.TextBytes > MostText : header.Frames > 1;

    private static ReadOnlyMemory<byte> CutDown(ReadOnlyMemory<byte> file, ImageHeader header) => header switch
    {
        _ when !IsCutDown(header) => file,
        { Coding: "png" } => PngHeader.WithoutTexts(file.Span),
        { Format: "gif" } => GifHeader.FirstFrame(file),
        { Format: "tiff" } => TiffHeader.FirstPage(file.Span),
        _ => file,
    };

    private RgbImage Decode(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo, CancellationToken cancellationToken)
    {
        switch (header)
        {
            case { Format: "webp", FirstFrame: { } patch }:
                var frame = WebpHeader.FirstFrame(file.Span);
                var still = WebpHeader.Read(frame);
                // The frame has a size of its own, and limits were held against the animation's.
                if ((still.Width, still.Height) != (patch.Width, patch.Height))
                {
                    throw ImageHeader.Damaged(header.Format);
                }

                using (var picture = DecodeStill(frame, still, null, cancellationToken))
                {
                    return OnCanvas(picture, patch, header);
                }

            case { Format: "gif" }:
                var (missing, goesOn) = GifHeader.MissingRows(file.Span);
                if (!ReducedJpeg.IsBearable(missing, header.Height))
                {
                    throw ReducedJpeg.TooFew(header, header.Height - missing);
                }

                var screen = OnScreen(DecodeStill(CutDown(file, header), header, shrinkTo, cancellationToken), header);
                screen.Warnings = missing > 0 ? [ReducedJpeg.Warn(missing, header.Height)] : goesOn ? [ReducedJpeg.DataLeft] : screen.Warnings;
                return screen;

            case { Format: "ico" }:
                var icon = DecodeStill(CutDown(IcoHeader.Still(file.Span), header), header, null, cancellationToken);
                IcoHeader.ApplyMask(file.Span, icon);
                return icon;

            case { Format: "png", IsComplete: false }:
                var ended = Decode((byte[])[.. file.Span, .. PngHeader.End], header with { IsComplete = true }, shrinkTo, cancellationToken);
                ended.Warnings = [.. ended.Warnings, ReducedJpeg.Warn(0, header.Height)];
                return ended;

            case { Format: "jpeg", LacksPasses: true }:
                var coarse = DecodeStill(CutDown(file, header), header, shrinkTo, cancellationToken);
                coarse.Warnings = [.. coarse.Warnings.Where(warning => warning != ReducedJpeg.EndMissing), ReducedJpeg.PassesMissing];
                return coarse;

            case { Format: "tiff", Packing: TiffPieces.Jpeg }:
                TiffJpeg.Check(file.Span, header, cancellationToken);
                return DecodeStill(CutDown(file, header), header, shrinkTo, cancellationToken);

            case { Format: "tiff" or "png", Bits: 16, HasAlpha: false, Colors: not 4 }:
                return UsesAllBits(DecodeStill(CutDown(file, header), header, shrinkTo, cancellationToken));

            default:
                return DecodeStill(CutDown(file, header), header, shrinkTo, cancellationToken);
        }
    }

    /// <summary>Decodes a file of one picture that is within the limits.</summary>
    internal abstract RgbImage DecodeStill(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo,
        CancellationToken cancellationToken);

    /// <summary>Whether a picture is decoded to fewer pixels than it has where that is enough.</summary>
    internal abstract bool Reduces(ImageHeader header);

    /// <summary>Why no picture of this format is read; <see langword="null"/> where they are.</summary>
    internal abstract InferenceException? CannotRead(string format);

    /// <summary>The same of a kind within the format.</summary>
    internal abstract InferenceException? CannotRead(ImageHeader header);

    /// <summary>
    /// What the library will hold besides the picture that it gives, and nanoseconds that it takes for a pixel: both measured, and rounded up.
    /// </summary>
    internal abstract (long Bytes, double NanosecondsPerPixel) Estimate(ImageHeader header, int shrink);

    /// <summary>JPEG can leave out frequencies: the inverse transform then gives 1/2, 1/4 or 1/8 of the size, rounded down. Others get the same margin.</summary>
    internal static int LargestShrink(ImageHeader header, (int Width, int Height)? atLeast)
    {
        if (atLeast is not { } upright)
        {
            return 1;
        }

        var (width, height) = header.Orientation.Apply((int)header.Width, (int)header.Height);
        var shrink = 8;
        while (shrink > 1 && (width / shrink < upright.Width || height / shrink < upright.Height))
        {
            shrink /= 2;
        }

        return shrink;
    }

    private DecodeCost Check(ImageHeader header, (int Width, int Height)? shrinkTo, int fileBytes)
    {
        const double Long = 100e6;
        var shrink = Reduces(header) ? LargestShrink(header, shrinkTo) : 1;
        DecodingLimits.Check(header, header.Format == "jpeg" ? shrink : 1, _options);
        var pixels = header.Width * header.Height;
        var (held, nanoseconds) = Estimate(header, shrink);
        var picture = (double)pixels / (shrink * shrink) * 3;
        // Neither factor exceeds what the limits above leave, but the size of a TIFF's tiles does.
        var bytes = (long)Math.Min(picture + held + (IsCutDown(header) ? fileBytes : 0), long.MaxValue / 2);
        return bytes <= _options.MemoryBudget
            ? new DecodeCost(bytes, pixels * nanoseconds > Long, (long)picture)
            : throw DecodingLimits.TooLarge(header, "memory", bytes, _options.MemoryBudget,
                $"Decoding the {header.Format.ToUpperInvariant()} picture of {header.Width} × {header.Height} pixels would take about {Megabytes(bytes)} MB " +
                $"of memory; the limit is {Megabytes(_options.MemoryBudget)} MB.");

        static string Megabytes(long bytes) => (bytes / 1e6).ToString("N0", System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>
    /// Cameras of laboratories put 10 or 12 bits into 16 without saying so. Such a picture is nearly black, and how bright it is meant to be would be a guess.
    /// </summary>
    private static RgbImage UsesAllBits(RgbImage picture)
    {
        // 4095 of 65,535, as 8 bits
        const byte TwelveBits = 16;
        var brightest = System.Numerics.Tensors.TensorPrimitives.Max<byte>(picture.Pixels);
        if (brightest is 0 or > TwelveBits)
        {
            return picture;
        }

        picture.Dispose();
        throw new InferenceException(
            InferenceError.UnsupportedImage,
            "unsupported-image",
            $"The {picture.Format.ToUpperInvariant()} picture has 16 bits per sample but uses only the lowest 12 of them: scale its values to 0…65535, or " +
            "save it with 8 bits.",
            ("format", picture.Format));
    }

    /// <summary>The sentence for what a library could not read.</summary>
    private protected static InferenceException Damaged(ImageHeader header, Exception cause) => new(
        InferenceError.InvalidImage, "invalid-image",
        $"The {header.Format.ToUpperInvariant()} picture is truncated, damaged or of a kind that cannot be read.", cause, ("format", header.Format));

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

    /// <summary>
    /// The rest of a GIF's screen is transparent, which some decoders show as black; and of a screen that they find too large, or of a size that only broken
    /// files name, they show what the frame covers.
    /// </summary>
    private static RgbImage OnScreen(RgbImage picture, ImageHeader header)
    {
        if (header.FirstFrame is not { } patch)
        {
            return picture;
        }

        var screen = picture;
        if ((picture.Width, picture.Height) != (header.Width, header.Height))
        {
            screen = new RgbImage((int)header.Width, (int)header.Height)
            {
                OriginalWidth = (int)header.Width,
                OriginalHeight = (int)header.Height,
                Format = header.Format,
            };
            var bytes = Math.Min(picture.Width, screen.Width) * 3;
            for (var y = 0; y < Math.Min(picture.Height, screen.Height); y++)
            {
                picture.Pixels.Slice(y * picture.Width * 3, bytes).CopyTo(screen.Pixels[(y * screen.Width * 3)..]);
            }

            picture.Dispose();
        }

        (var left, var right) = ((int)Math.Min(patch.Left, screen.Width), (int)Math.Min(patch.Left + patch.Width, screen.Width));
        for (var y = 0; y < screen.Height; y++)
        {
            var row = screen.Pixels.Slice(y * screen.Width * 3, screen.Width * 3);
            if (y < patch.Top || y >= patch.Top + patch.Height)
            {
                row.Fill(255);
                continue;
            }

            row[..(left * 3)].Fill(255);
            row[(right * 3)..].Fill(255);
        }

        return screen;
    }
}
