using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats.Bmp;
using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.Formats.Tiff;
using SixLabors.ImageSharp.Formats.Webp;
using SixLabors.ImageSharp.Memory;
using SixLabors.ImageSharp.Metadata;
using SixLabors.ImageSharp.PixelFormats;
using Whatsit.Inference.Imaging.Headers;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Inference.Memory;

namespace Whatsit.Inference.Imaging;

/// <summary>Decodes with SixLabors.ImageSharp 2.1: managed code only, and slower than libvips.</summary>
/// <remarks>
/// It has no AVIF, and of TIFF neither CMYK nor tiles: they are refused by name. It has no colour engine: every profile is taken for sRGB. Everything else is
/// as with <see cref="VipsImageDecoder"/>.
/// </remarks>
public sealed class ImageSharpDecoder(IOptions<DecodingOptions> options) : ImageDecoder(options.Value)
{
    // One thread per decode: the server runs one decode per core already. Pooled memory is the library's own; a few megabytes serve small pictures.
    private static readonly Configuration Configuration = new()
    {
        MaxDegreeOfParallelism = 1,
        MemoryAllocator = MemoryAllocator.Create(new MemoryAllocatorOptions { MaximumPoolSizeMegabytes = 8 }),
    };

    /// <summary>What <see cref="ReducedJpeg"/> decodes: neither progressive, nor with other colours.</summary>
    internal override bool Reduces(ImageHeader header) => header is { Format: "jpeg", Interlaced: false, IsSrgb: true, Bands: 1 or 3 };

    internal override InferenceException? CannotRead(string format) => format switch
    {
        "heic" => ImageFormat.HeicUnread(),
        "avif" => Refusal(format, "is not read by ImageSharp, this server's decoder"),
        _ => null,
    };

    internal override InferenceException? CannotRead(ImageHeader header) =>
        header.OnlyLibvips is { } what ? Refusal(header.Format, what + ", which ImageSharp, this server's decoder, does not read") : null;

    /// <inheritdoc/>
    public override string Reads => "ImageSharp reads JPEG, PNG, WebP, GIF, TIFF, BMP, ICO, PBM, PGM and PPM";

    internal override (long Bytes, double NanosecondsPerPixel) Estimate(ImageHeader header, int shrink)
    {
        var pixels = header.Width * header.Height;
        return header.Coding switch
        {
            "jpeg" when shrink > 1 => (0, 2.5),
            "jpeg" => ((pixels * 3) + (header.Interlaced ? header.CoefficientBytes : 0), header.Interlaced ? 20 : 7),
            "png" => (pixels * 4, 20),
            "webp" => (pixels * 15, 80),
            "gif" => (pixels * 5, 15),
            "pnm" => (0, 15),
            "tiff" => ((pixels * 4) + header.PieceBytes, 20),
            _ => (pixels * 4, 10),
        };
    }

    internal override RgbImage DecodeStill(ReadOnlyMemory<byte> file, ImageHeader header, (int Width, int Height)? shrinkTo,
        CancellationToken cancellationToken)
    {
        try
        {
            IReadOnlyList<Warning> warnings = [];
            if (header.Format == "jpeg")
            {
                var shrink = LargestShrink(header, shrinkTo);
                if (ReducedJpeg.TryDecode(file, header, shrink, cancellationToken) is { } reduced)
                {
                    return reduced;
                }

                if (shrink > 1 && Reduces(header))
                {
                    // A sampling that few use: now all pixels count.
                    Open(file);
                }

                if (ReducedJpeg.Look(file, header, cancellationToken) is { } seen)
                {
                    warnings = seen;
                    (file, header) = (header.IsComplete ? file : (byte[])[.. file.Span, 0xFF, 0xD9], header with { IsComplete = true });
                }
            }

            if (header.Coding == "pnm")
            {
                return PnmDecoder.Decode(file.Span, header, cancellationToken);
            }

            if (!header.IsComplete || !IsWhole(file, header, cancellationToken))
            {
                throw new InvalidImageContentException("The file ends too early.");
            }

            if (header.Coding == "bmp" && BmpMaskDecoder.TryDecode(file.Span, header, cancellationToken) is { } masked)
            {
                return masked;
            }

            using var stream = new MemoryReader(Simpler(file, header));
            // Pictures without transparency are the rule only in JPEG; the four-channel form holds all others.
            var picture = header.Coding switch
            {
                "jpeg" => Read(new JpegDecoder().Decode<Rgb24>(Configuration, stream, cancellationToken), bands: 3, header, file),
                "png" => Read(new PngDecoder().Decode<Rgba32>(Configuration, stream, cancellationToken), bands: 4, header, file),
                "webp" => ReadWebp(file, header, cancellationToken),
                "gif" => Read(new GifDecoder { IgnoreMetadata = true, DecodingMode = FrameDecodingMode.First }.Decode<Rgba32>(Configuration, stream,
                    cancellationToken), bands: 4, header, file),
                "tiff" => Read(new TiffDecoder { IgnoreMetadata = true, DecodingMode = FrameDecodingMode.First }.Decode<Rgba32>(Configuration, stream,
                    cancellationToken), bands: 4, header, file),
                "bmp" when !header.HasAlpha => Read(new BmpDecoder().Decode<Rgb24>(Configuration, stream, cancellationToken), bands: 3, header, file),
                "bmp" => Read(new BmpDecoder().Decode<Rgba32>(Configuration, stream, cancellationToken), bands: 4, header, file),
                _ => throw Refusal(header.Format, "is not read by ImageSharp, this server's decoder"),
            };
            picture.Warnings = [.. picture.Warnings, .. warnings];
            return picture;
        }
        catch (NotSupportedException e)
        {
            throw Refusal(header.Format, "is of a kind that ImageSharp, this server's decoder, does not read", e);
        }
        // The decoders meet damaged files with exceptions of many kinds.
        catch (Exception e) when (e is not (InferenceException or OperationCanceledException or OutOfMemoryException))
        {
            throw Damaged(header, e);
        }
    }

    /// <summary>The same picture without what its format allows and the library does not read.</summary>
    private static ReadOnlyMemory<byte> Simpler(ReadOnlyMemory<byte> file, ImageHeader header) => header.Coding switch
    {
        "jpeg" => JpegHeader.WithoutFill(file),
        "png" => PngHeader.WithWholePalette(PngHeader.WithoutEmptyData(file)),
        "gif" => GifHeader.WithWholeScreen(GifHeader.WithWholeTable(file), header),
        "bmp" => BmpHeader.WithWholePalette(BmpRuns.Unpack(file, header)),
        _ => file,
    };

    /// <summary>The library fills up what it does not find, and says nothing.</summary>
    private static bool IsWhole(ReadOnlyMemory<byte> file, ImageHeader header, CancellationToken cancellationToken) => header.Coding switch
    {
        "png" => PngHeader.HasAllRows(file.Span),
        "tiff" => new TiffPieces(file.Span).AreWhole(cancellationToken),
        _ => true,
    };

    /// <summary>It also reads on behind the end of a WebP's data. What changes with the bytes that stand there is made up.</summary>
    private static RgbImage ReadWebp(ReadOnlyMemory<byte> file, ImageHeader header, CancellationToken cancellationToken)
    {
        var picture = ReadBefore(0);
        try
        {
            using var other = ReadBefore(255);
            return picture.Pixels.SequenceEqual(other.Pixels) ? picture : throw new InvalidImageContentException("The coded data end too early.");
        }
        catch
        {
            picture.Dispose();
            throw;
        }

        RgbImage ReadBefore(byte value)
        {
            using var stream = new MemoryStream(WebpHeader.WithMore(file.Span, value));
            return Read(new WebpDecoder().Decode<Rgba32>(Configuration, stream, cancellationToken), bands: 4, header, file);
        }
    }

    private static InferenceException Refusal(string format, string what, Exception? cause = null) =>
        cause is null ? new(InferenceError.UnsupportedImage, "unsupported-image", Sentence(format, what), ("format", format))
            : new(InferenceError.UnsupportedImage, "unsupported-image", Sentence(format, what), cause, ("format", format));

    private static string Sentence(string format, string what) => $"The {format.ToUpperInvariant()} picture {what}: send JPEG, PNG or WebP.";

    private static RgbImage Read<TPixel>(Image<TPixel> decoded, int bands, ImageHeader header, ReadOnlyMemory<byte> file)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        using var image = decoded;
        (var width, var height) = header.Orientation.Apply(image.Width, image.Height);
        // Of PNG it reads no profiles at all.
        var profile = header.Coding == "png" ? PngHeader.Profile(file.Span) : image.Metadata.IccProfile?.ToByteArray();
        var picture = new RgbImage(width, height) { OriginalWidth = width, OriginalHeight = height, Format = header.Format };
        if (!profile.IsEmpty && !IccProfile.IsSrgb(profile))
        {
            picture.Warnings =
                [Warning.Of("color-profile-ignored", "The picture has a colour profile that this server does not apply: its colours were taken for sRGB.")];
        }

        var rgb = new byte[image.Width * 3];
        image.ProcessPixelRows(rows =>
        {
            for (var y = 0; y < rows.Height; y++)
            {
                RgbRows.ToRgb(MemoryMarshal.AsBytes(rows.GetRowSpan(y)), bands, cmyk: false, rgb);
                header.Orientation.Place(rgb, y, rows.Width, rows.Height, picture.Pixels);
            }
        });
        return picture;
    }
}
