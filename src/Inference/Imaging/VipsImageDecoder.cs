using System.Buffers;
using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging.Headers;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Vips;

namespace Whatsit.Inference.Imaging;

/// <summary>Decodes with libvips' own loaders: header, limits, then the pixels straight into the rented picture.</summary>
/// <remarks>
/// Transparency is laid on white, in every format. CMYK is converted through the embedded profile, without one by the plain formula that Pillow and
/// browsers use. A profile that is sRGB costs nothing; one that does not fit its picture is ignored. JPEG and WebP can be decoded smaller.
/// </remarks>
public sealed class VipsImageDecoder(IOptions<DecodingOptions> options) : ImageDecoder(options.Value)
{
    private const string Profile = "icc-profile-data";

    // libvips has loaders for neither, and common they are not: the library is loaded with the first of them.
    private readonly Lazy<ImageSharpDecoder> _others = new(() => new ImageSharpDecoder(options));

    /// <summary>
    /// A picture of 16 × 16 pixels as HEIC, made by heif-enc 1.15.1: whether the library's libheif has a decoder for it, only decoding tells.
    /// </summary>
    private static readonly Lazy<bool> ReadsHeic = new(() =>
    {
        const string Picture =
        "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAa1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAACAAAAEGlkYXQAAAAAABAA" +
        "EAAAADhpbG9jAQAAAERAAAIAAQAAAAAAAAHRAAEAAAAAAAAAJgACAAEAAAAAAAAAAQAAAAAAAAAIAAAAOGlpbmYAAAAAAAIAAAAVaW5mZQIAAAEAAQAAaHZjMQAAAAAVaW5mZQIA" +
        "AAAAAgAAZ3JpZAAAAADYaXBycAAAALZpcGNvAAAAdmh2Y0MBA3AAAAAAAAAAAAAe8AD8/fj4AAAPAyAAAQAYQAEMAf//A3AAAAMAkAAAAwAAAwAeugJAIQABACpCAQEDcAAAAwCQ" +
        "AAADAAADAB6gIIEFluqumubgQEDAgAAAAwCAAAADAIQiAAEABkQBwXPBiQAAABRpc3BlAAAAAAAAAEAAAABAAAAAFGlzcGUAAAAAAAAAEAAAABAAAAAQcGl4aQAAAAADCAgIAAAA" +
        "GmlwbWEAAAAAAAAAAgABAoECAAICA4QAAAAaaXJlZgAAAAAAAAAOZGltZwACAAEAAQAAAC5tZGF0AAAAIigBrwQSE0zg+OnCaD+6L+zZVu48n7SrK+NJn3exGJKp/6A=";
        try
        {
            using var image = Open(Convert.FromBase64String(Picture), "heic", shrink: 1, VipsFailOn.Error);
            image.CopyTo(new byte[image.Width * image.Height * image.Bands]);
            return true;
        }
        catch (VipsException)
        {
            return false;
        }
    });

    // An animation's first frame is decoded as it is, and laid on its canvas.
    internal override bool Reduces(ImageHeader header) => header is { Format: "jpeg" } or { Format: "webp", FirstFrame: null };

    internal override InferenceException? CannotRead(string format) => format == "heic" && !ReadsHeic.Value ? ImageFormat.HeicUnread() : null;

    internal override InferenceException? CannotRead(ImageHeader header) => null;

    /// <inheritdoc/>
    public override string Reads =>
        $"libvips {VipsLibrary.Version} reads JPEG, PNG, WebP, GIF, TIFF, AVIF{(ReadsHeic.Value ? " and HEIC" : ", no HEIC")}; " +
        "BMP, ICO, PBM, PGM and PPM are read without it";

    internal override (long Bytes, double NanosecondsPerPixel) Estimate(ImageHeader header, int shrink)
    {
        var pixels = header.Width * header.Height;
        var samples = pixels * header.Bands * (header.Bits / 8);
        return header.Coding switch
        {
            "jpeg" when header.Interlaced => (header.CoefficientBytes, shrink > 1 ? 7.5 : 12),
            // Of another profile than sRGB the pixels are there twice.
            "jpeg" when shrink > 1 => (header.IsSrgb ? 0 : pixels * 3 / (shrink * shrink), 2.5),
            "jpeg" => (0, 4),
            "png" => (header.Interlaced ? samples : 0, 10),
            // Reduced as its rows come, but what is lossless or transparent is first there as a whole.
            "webp" when shrink > 1 => (header.PieceBytes + (pixels / 2), 20),
            "webp" => (pixels * (header.HasAlpha ? 10 : 8), 20),
            "gif" => (pixels * 8, 10),
            // Frame threads of dav1d hold several frames, and libheif a copy in RGB.
            "avif" or "heic" => (pixels * 14 * (header.Bits / 8), 30),
            // Rows of tiles are kept while the next are read.
            "tiff" => (header.PieceBytes * (header.Tiled ? 3 : 2), 10),
            _ => _others.Value.Estimate(header, shrink),
        };
    }

    internal override RgbImage DecodeStill(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo,
        CancellationToken cancellationToken)
    {
        if (header.Coding is "bmp" or "pnm")
        {
            return _others.Value.DecodeStill(file, header, shrinkTo, cancellationToken);
        }

        try
        {
            if (header.Format == "avif")
            {
                CheckTiles(file, cancellationToken);
            }

            // Of strips libtiff compares no sums.
            if (header is { Format: "tiff", Packing: not TiffPieces.Plain } && !new TiffPieces(file.Span).AreWhole(cancellationToken))
            {
                throw Damaged(header, new InvalidDataException("A strip unpacks to less than its rows, or to others."));
            }

            var shrink = Reduces(header) ? LargestShrink(header, shrinkTo) : 1;
            return header.Format == "jpeg"
                ? DecodeJpeg(file, header, shrink, cancellationToken)
                : Decode(file, header, shrink, Saying(header) ? VipsFailOn.Warning : VipsFailOn.Error, cancellationToken);
        }
        catch (VipsException e)
        {
            throw Damaged(header, e);
        }
    }

    private static RgbImage Decode(ReadOnlyMemory<byte> file, ImageHeader header, int shrink, VipsFailOn failOn, CancellationToken cancellationToken)
    {
        using var loaded = Open(file, header.Coding, shrink, failOn);
        using var known = header.HasUnknown ? FirstBands(loaded, header.Colors) : loaded;
        using var image = WithSrgbColors(known);
        return Read(image, header, cancellationToken);
    }

    // Of tiles, of fax and of JPEG libtiff gives no more than a warning. It also warns of sound JPEG, of how its colours are sampled; that was looked at before.
    private static bool Saying(ImageHeader header) => header switch
    {
        { Packing: TiffPieces.Jpeg } => header.Colors == 4,
        { Packing: TiffPieces.Fax or TiffPieces.Fax3 or TiffPieces.Fax4 } => true,
        _ => header.Tiled,
    };

    // HEIC is read by a distribution's libheif alone: those of today refuse a grid of which they cannot decode a tile.
    private static void CheckTiles(ReadOnlyMemory<byte> file, CancellationToken cancellationToken)
    {
        var tiles = new AvifTiles(file.Span);
        foreach (var tile in tiles.Items)
        {
            using var image = Open(tiles.AsFile(tile), "avif", shrink: 1, VipsFailOn.Error);
            image.Check(cancellationToken: cancellationToken);
        }
    }

    /// <summary>
    /// A file that lacks its end, or its last few rows, is answered with a warning. Of kinds that are not ours libjpeg says so, which invents what it does not
    /// find.
    /// </summary>
    private static RgbImage DecodeJpeg(ReadOnlyMemory<byte> file, ImageHeader header, int shrink, CancellationToken cancellationToken)
    {
        if (ReducedJpeg.TryDecode(file, header, shrink, cancellationToken) is { } reduced)
        {
            return reduced;
        }

        // With another profile than sRGB, as phones write it today: the pixels are ours all the same. In full size they would be there twice.
        if (shrink > 1 && header is { IsSrgb: false, Bands: 3 }
            && ReducedJpeg.TryDecode(file, header with { IsSrgb = true }, shrink, cancellationToken) is { } profiled)
        {
            return ToSrgb(profiled, file, cancellationToken);
        }

        if (ReducedJpeg.Look(file, header, cancellationToken) is { } warnings)
        {
            var seen = Decode(header.IsComplete ? file : Ended(file), header, shrink, VipsFailOn.Error, cancellationToken);
            seen.Warnings = warnings;
            return seen;
        }

        try
        {
            return Decode(file, header, shrink, VipsFailOn.Warning, cancellationToken);
        }
        catch (VipsException e) when (e.RowsRead is null)
        {
            // A complaint about the header, where files of all ages differ from the book: what it means for pixels is nothing.
            return Decode(file, header, shrink, VipsFailOn.Error, cancellationToken);
        }
        catch (VipsException)
        {
            var whole = header.IsComplete ? file : Ended(file);
            if (header is { IsComplete: false, Interlaced: true })
            {
                // Where each scan has all of its data, only the end marker was missing.
                var progressive = Decode(whole, header, shrink, VipsFailOn.Warning, cancellationToken);
                progressive.Warnings = [ReducedJpeg.Warn(0, header.Height)];
                return progressive;
            }

            var missing = header.Height - IntactRows(whole, header, cancellationToken);
            if (!ReducedJpeg.IsBearable(missing, header.Height))
            {
                throw;
            }

            var picture = Decode(whole, header, shrink, VipsFailOn.None, cancellationToken);
            picture.Warnings = [ReducedJpeg.Warn(missing, header.Height)];
            return picture;
        }
    }

    private static RgbImage ToSrgb(RgbImage picture, ReadOnlyMemory<byte> file, CancellationToken cancellationToken)
    {
        var (rgb, bytes) = (ArrayPool<byte>.Shared.Rent(picture.Pixels.Length), picture.Pixels.Length);
        try
        {
            picture.Pixels.CopyTo(rgb);
            using var image = VipsImage.FromRgb(rgb.AsMemory(0, bytes), picture.Width, picture.Height);
            using (var loaded = Open(file, "jpeg", shrink: 1, VipsFailOn.Error))
            {
                image.SetBlob(Profile, loaded.GetBlob(Profile));
            }

            using var converted = WithSrgbColors(image);
            converted.CopyTo(picture.Pixels, cancellationToken);
            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rgb);
        }
    }

    private static ReadOnlyMemory<byte> Ended(ReadOnlyMemory<byte> file) => (byte[])[.. file.Span, 0xFF, 0xD9];

    /// <summary>How many rows there are before the first that libjpeg invents.</summary>
    private static long IntactRows(ReadOnlyMemory<byte> file, ImageHeader header, CancellationToken cancellationToken)
    {
        // libvips says of eight rows that something was wrong when it is asked for the next eight; so there must be more of them.
        const int Step = 8;
        using var image = Open(JpegHeader.WithMoreRows(file.Span, header), header.Format, shrink: 1, VipsFailOn.Warning);
        var complaint = image.FirstComplaint(Step, cancellationToken);
        // With colours at half the height, the last rows before a unit wait for the next one to be interpolated: it was read for them.
        return Math.Min(header.Height, header.UnitRows == Step ? complaint - Step : complaint / header.UnitRows * header.UnitRows);
    }

    private static VipsImage Open(ReadOnlyMemory<byte> file, string format, int shrink, VipsFailOn failOn)
    {
        const int Sequential = 1;
        using var load = new VipsOperation(format is "avif" or "heic" ? "heifload_buffer" : format + "load_buffer");
        load.Set("buffer", file).Set("access", Sequential).Set("fail-on", (int)failOn);
        if (shrink > 1)
        {
            // The one leaves out frequencies, the other averages.
            _ = format == "webp" ? load.Set("scale", 1.0 / shrink) : load.Set("shrink", shrink);
        }

        return load.Build();
    }

    private static VipsImage FirstBands(VipsImage image, int count)
    {
        using var extract = new VipsOperation("extract_band");
        return extract.Set("in", image).Set("band", 0).Set("n", count).Build();
    }

    private static VipsImage WithSrgbColors(VipsImage image)
    {
        var profile = image.GetBlob(Profile);
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

    private static RgbImage Read(VipsImage image, ImageHeader header, CancellationToken cancellationToken)
    {
        if (image.Format is not (VipsBandFormat.UChar or VipsBandFormat.UShort))
        {
            throw new InferenceException(
                InferenceError.UnsupportedImage,
                "unsupported-image",
                $"The {header.Format.ToUpperInvariant()} picture has samples that are neither 8 nor 16 bits wide; save it with 8 bits per channel.",
                ("format", header.Format));
        }

        // Limits and memory were held against the header that we read; the library has read another one.
        if ((long)image.Width * image.Height > header.Width * header.Height)
        {
            throw ImageHeader.Damaged(header.Format);
        }

        var orientation = header.Orientation;
        (var width, var height) = orientation.Apply(image.Width, image.Height);
        // The container of AVIF and HEIC turns and crops by itself.
        (var originalWidth, var originalHeight) = header.Format is "avif" or "heic"
            ? (width, height)
            : orientation.Apply((int)header.Width, (int)header.Height);
        var picture = new RgbImage(width, height) { OriginalWidth = originalWidth, OriginalHeight = originalHeight, Format = header.Format };
        try
        {
            if (image.Bands == 3 && image.Format == VipsBandFormat.UChar && orientation.IsUpright)
            {
                image.CopyTo(picture.Pixels, cancellationToken);
            }
            else
            {
                ReadConverted(image, orientation, picture, cancellationToken);
            }

            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
    }

    private static void ReadConverted(VipsImage image, Orientation orientation, RgbImage picture, CancellationToken cancellationToken)
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
            },
            cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(strip);
            ArrayPool<byte>.Shared.Return(narrow);
            ArrayPool<byte>.Shared.Return(rgb);
        }
    }
}
