using System.Buffers;
using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging.Headers;
using Whatsit.Vips;

namespace Whatsit.Inference.Imaging;

/// <summary>Decodes with libvips' own loaders: header, limits, then the pixels straight into the rented picture.</summary>
/// <remarks>
/// Transparency is laid on white, in every format. CMYK is converted through the embedded profile, without one by the plain formula that Pillow and
/// browsers use. A profile that is sRGB costs nothing; one that does not fit its picture is ignored. Only JPEG can be decoded smaller.
/// </remarks>
public sealed class VipsImageDecoder(IOptions<DecodingOptions> options) : ImageDecoder(options.Value)
{
    // libvips has loaders for neither, and common they are not.
    private readonly ImageSharpDecoder _others = new(options);

    internal override RgbImage DecodeStill(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo)
    {
        if (header.Format is "bmp" or "pnm")
        {
            return _others.DecodeStill(file, header, shrinkTo);
        }

        try
        {
            (var width, var height) = header.Orientation.Apply((int)header.Width, (int)header.Height);
            var shrink = header.Format == "jpeg" && shrinkTo is { } atLeast ? LargestShrink(width, height, atLeast) : 1;
            using var loaded = Open(file, header.Format, shrink);
            using var image = WithSrgbColors(loaded);
            return Read(image, header.Orientation, width, height, header.Format);
        }
        catch (VipsException e)
        {
            throw Damaged(header, e);
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

    /// <summary>libjpeg can leave out frequencies: the inverse transform then gives 1/2, 1/4 or 1/8 of the size, rounded down.</summary>
    private static int LargestShrink(int width, int height, (int Width, int Height) atLeast)
    {
        var shrink = 8;
        while (shrink > 1 && (width / shrink < atLeast.Width || height / shrink < atLeast.Height))
        {
            shrink /= 2;
        }

        return shrink;
    }

    private static VipsImage WithSrgbColors(VipsImage image)
    {
        var profile = image.GetBlob("icc-profile-data");
        if (!profile.IsEmpty && !IccProfile.IsSrgb(profile))
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

        (var width, var height) = orientation.Apply(image.Width, image.Height);
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
        (var width, var height, var bands) = (image.Width, image.Height, image.Bands);
        var wide = image.Format == VipsBandFormat.UShort;
        var cmyk = image.Interpretation == VipsInterpretation.Cmyk;
        var pixelsPerStrip = width * Math.Min(VipsImage.RowsPerStrip, height);
        var samplesPerStrip = checked(pixelsPerStrip * bands);
        var strip = ArrayPool<byte>.Shared.Rent(checked(samplesPerStrip * (wide ? 2 : 1)));
        var narrow = ArrayPool<byte>.Shared.Rent(samplesPerStrip);
        var rgb = ArrayPool<byte>.Shared.Rent(pixelsPerStrip * 3);
        try
        {
            image.ReadStrips(strip, (top, rows) =>
            {
                if (wide)
                {
                    RgbRows.To8Bits(rows, narrow);
                    rows = narrow.AsSpan(0, rows.Length / 2);
                }

                var converted = rgb.AsSpan(0, rows.Length / bands * 3);
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
