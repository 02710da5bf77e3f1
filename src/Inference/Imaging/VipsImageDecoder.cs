using System.Buffers;
using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Vips;

namespace Whatsit.Inference.Imaging;

/// <summary>Decodes with libvips' own loaders: header, limits, then the pixels straight into the rented picture.</summary>
/// <remarks>
/// Transparency is laid on white, in every format. CMYK is converted through the embedded profile, without one by the plain formula that Pillow and
/// browsers use. A profile that is sRGB costs nothing; one that does not fit its picture is ignored. Only JPEG can be decoded smaller.
/// </remarks>
public sealed class VipsImageDecoder(IOptions<DecodingOptions> options) : IImageDecoder
{
    /// <inheritdoc/>
    public RgbImage Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null, CancellationToken cancellationToken = default)
    {
        string format = ImageFormat.Detect(file.Span);
        try
        {
            using VipsImage header = Open(file, format, shrink: 1);
            DecodingLimits.Check(header.Width, header.Height, interlaced: header.GetInt("interlaced") is not null, options.Value);

            // libheif has applied the container's own rotation already, and that one counts (ISO/IEC 23008-12, 6.5.10).
            var orientation = new Orientation(format == "avif" ? 1 : header.GetInt("orientation") ?? 1);
            (int width, int height) = orientation.Apply(header.Width, header.Height);
            // Without a profile to convert from, our own decoder does the same at half the cost, where it can.
            if (format == "jpeg" && HasSrgbProfileOrNone(header)
                && ReducedJpeg.TryDecode(file, orientation, width, height, shrinkTo, cancellationToken) is { } reduced)
            {
                return reduced;
            }
            int shrink = format == "jpeg" && shrinkTo is { } atLeast ? ReducedJpeg.LargestShrink(width, height, atLeast) : 1;

            using VipsImage loaded = shrink == 1 ? header : Open(file, format, shrink);
            using VipsImage image = WithSrgbColors(loaded);
            return Read(image, orientation, width, height, format);
        }
        catch (VipsException e)
        {
            throw new InferenceException(InferenceError.InvalidImage, $"The {format.ToUpperInvariant()} picture is truncated, damaged or of a kind that cannot be read.", e);
        }
    }

    private static VipsImage Open(ReadOnlyMemory<byte> file, string format, int shrink)
    {
        const int Sequential = 1;
        using var load = new VipsOperation(format == "avif" ? "heifload_buffer" : format + "load_buffer");
        load.Set("buffer", file).Set("access", Sequential).Set("fail-on", (int)VipsFailOn.Error);
        if (shrink > 1)
        {
            load.Set("shrink", shrink);
        }
        return load.Build();
    }

    private static bool HasSrgbProfileOrNone(VipsImage image) => image.GetBlob("icc-profile-data") is var profile && (profile.IsEmpty || IccProfile.IsSrgb(profile));

    private static VipsImage WithSrgbColors(VipsImage image)
    {
        if (!HasSrgbProfileOrNone(image))
        {
            try
            {
                using var transform = new VipsOperation("icc_transform");
                return transform.Set("in", image).Set("embedded", true).Set("output-profile", "srgb").Build();
            }
            catch (VipsException)
            {
                // A profile for another kind of picture (RGB in a grey one) or a broken one. Viewers ignore it, and so do we.
            }
        }
        if (image.Interpretation is VipsInterpretation.Srgb or VipsInterpretation.Rgb or VipsInterpretation.Rgb16 or VipsInterpretation.Cmyk
            or VipsInterpretation.BlackAndWhite or VipsInterpretation.Grey16 or VipsInterpretation.Multiband)
        {
            return image;
        }
        using var convert = new VipsOperation("colourspace");
        return convert.Set("in", image).Set("space", (int)VipsInterpretation.Srgb).Build();
    }

    private static RgbImage Read(VipsImage image, Orientation orientation, int originalWidth, int originalHeight, string format)
    {
        if (image.Format is not (VipsBandFormat.UChar or VipsBandFormat.UShort))
        {
            throw new InferenceException(
                InferenceError.UnsupportedImage,
                $"The {format.ToUpperInvariant()} picture has samples that are neither 8 nor 16 bits wide; save it with 8 bits per channel.");
        }
        (int width, int height) = orientation.Apply(image.Width, image.Height);
        var picture = new RgbImage(width, height) { OriginalWidth = originalWidth, OriginalHeight = originalHeight, Format = format };
        try
        {
            if (image.Bands == 3 && image.Format == VipsBandFormat.UChar && orientation.IsUpright)
            {
                image.CopyTo(picture.Pixels);
            }
            else
            {
                ReadConverted(image, orientation, picture);
            }
            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
    }

    private static void ReadConverted(VipsImage image, Orientation orientation, RgbImage picture)
    {
        (int width, int height, int bands) = (image.Width, image.Height, image.Bands);
        bool wide = image.Format == VipsBandFormat.UShort;
        bool cmyk = image.Interpretation == VipsInterpretation.Cmyk;
        int pixelsPerStrip = width * Math.Min(VipsImage.RowsPerStrip, height);
        int samplesPerStrip = checked(pixelsPerStrip * bands);
        byte[] strip = ArrayPool<byte>.Shared.Rent(checked(samplesPerStrip * (wide ? 2 : 1)));
        byte[] narrow = ArrayPool<byte>.Shared.Rent(samplesPerStrip);
        byte[] rgb = ArrayPool<byte>.Shared.Rent(pixelsPerStrip * 3);
        try
        {
            image.ReadStrips(strip, (top, rows) =>
            {
                if (wide)
                {
                    RgbRows.To8Bits(rows, narrow);
                    rows = narrow.AsSpan(0, rows.Length / 2);
                }
                Span<byte> converted = rgb.AsSpan(0, rows.Length / bands * 3);
                RgbRows.ToRgb(rows, bands, cmyk, converted);
                orientation.Place(converted, top, width, height, picture.Pixels);
            });
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(strip);
            ArrayPool<byte>.Shared.Return(narrow);
            ArrayPool<byte>.Shared.Return(rgb);
        }
    }
}
