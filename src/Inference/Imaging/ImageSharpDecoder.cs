using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Options;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.Metadata;
using SixLabors.ImageSharp.Metadata.Profiles.Exif;
using SixLabors.ImageSharp.PixelFormats;
using Whatsit.Inference.Imaging.Jpeg;

namespace Whatsit.Inference.Imaging;

/// <summary>Decodes with SixLabors.ImageSharp 3.1, in a build against the official packages: managed code only, and slower than libvips.</summary>
/// <remarks>It has no AVIF and no colour engine: embedded profiles are ignored. Everything else is as with <see cref="VipsImageDecoder"/>.</remarks>
public sealed class ImageSharpDecoder(IOptions<DecodingOptions> options) : IImageDecoder
{
    // One thread per decode: the server runs one decode per core already.
    private readonly Configuration _configuration = CreateConfiguration();

    /// <inheritdoc/>
    public RgbImage Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null, CancellationToken cancellationToken = default)
    {
        string format = ImageFormat.Detect(file.Span);
        if (format == "avif")
        {
            throw new InferenceException(InferenceError.UnsupportedImage, "AVIF pictures are not supported by this server: send JPEG, PNG or WebP.");
        }
        var general = new DecoderOptions { Configuration = _configuration, MaxFrames = 1 };
        try
        {
            ImageInfo info = Image.Identify(general, file.Span);
            DecodingLimits.Check(info.Width, info.Height, IsInterlaced(info.Metadata, format), options.Value);
            Orientation orientation = OrientationOf(info.Metadata);
            (int width, int height) = orientation.Apply(info.Width, info.Height);
            if (format == "jpeg" && ReducedJpeg.TryDecode(file, orientation, width, height, shrinkTo, cancellationToken) is { } reduced)
            {
                return reduced;
            }
            if (!FileEnd.IsThere(file.Span, format))
            {
                throw new InvalidImageContentException("The file ends too early.");
            }

            // Only JPEG has pictures without transparency in most files; the four-channel form holds all others.
            if (format != "jpeg")
            {
                using Image<Rgba32> image = Image.Load<Rgba32>(general, file.Span);
                return Read(image, bands: 4, format, info, image.Metadata);
            }
            var jpeg = new JpegDecoderOptions
            {
                ResizeMode = JpegDecoderResizeMode.IdctOnly,
                GeneralOptions = new DecoderOptions { Configuration = _configuration, MaxFrames = 1, TargetSize = AsStored(shrinkTo, info.Metadata) },
            };
            using Stream stream = MemoryMarshal.TryGetArray(file, out ArraySegment<byte> segment)
                ? new MemoryStream(segment.Array!, segment.Offset, segment.Count, writable: false)
                : new MemoryStream(file.ToArray(), writable: false);
            using Image<Rgb24> picture = JpegDecoder.Instance.Decode<Rgb24>(jpeg, stream);
            return Read(picture, bands: 3, format, info, picture.Metadata);
        }
        catch (NotSupportedException e)
        {
            throw new InferenceException(InferenceError.UnsupportedImage, $"The {format.ToUpperInvariant()} picture is of a kind that is not supported.", e);
        }
        // The decoders meet damaged files with exceptions of many kinds.
        catch (Exception e) when (e is not (InferenceException or OutOfMemoryException or OperationCanceledException))
        {
            throw new InferenceException(InferenceError.InvalidImage, $"The {format.ToUpperInvariant()} picture is truncated, damaged or of a kind that cannot be read.", e);
        }
    }

    private static Configuration CreateConfiguration()
    {
        Configuration configuration = Configuration.Default.Clone();
        configuration.MaxDegreeOfParallelism = 1;
        return configuration;
    }

    private static bool IsInterlaced(ImageMetadata metadata, string format) =>
        (format == "jpeg" && metadata.GetJpegMetadata().Progressive == true)
        || (format == "png" && metadata.GetPngMetadata().InterlaceMethod == PngInterlaceMode.Adam7);

    private static Orientation OrientationOf(ImageMetadata metadata) =>
        new(metadata.ExifProfile?.TryGetValue(ExifTag.Orientation, out IExifValue<ushort>? value) == true ? value.Value : 1);

    private static Size? AsStored((int Width, int Height)? upright, ImageMetadata metadata)
    {
        if (upright is not { } size)
        {
            return null;
        }
        (int width, int height) = OrientationOf(metadata).Apply(size.Width, size.Height);
        return new Size(width, height);
    }

    private static RgbImage Read<TPixel>(Image<TPixel> image, int bands, string format, ImageInfo info, ImageMetadata metadata)
        where TPixel : unmanaged, IPixel<TPixel>
    {
        Orientation orientation = OrientationOf(metadata);
        (int originalWidth, int originalHeight) = orientation.Apply(info.Width, info.Height);
        (int width, int height) = orientation.Apply(image.Width, image.Height);
        var picture = new RgbImage(width, height) { OriginalWidth = originalWidth, OriginalHeight = originalHeight, Format = format };
        byte[] rgb = new byte[image.Width * 3];
        image.ProcessPixelRows(rows =>
        {
            for (int y = 0; y < rows.Height; y++)
            {
                RgbRows.ToRgb(MemoryMarshal.AsBytes(rows.GetRowSpan(y)), bands, cmyk: false, rgb);
                orientation.Place(rgb, y, rows.Width, rows.Height, picture.Pixels);
            }
        });
        return picture;
    }

    /// <summary>ImageSharp shows what there is of a truncated JPEG, PNG or GIF; classifying half a picture would be worse than an error.</summary>
    private static class FileEnd
    {
        public static bool IsThere(ReadOnlySpan<byte> file, string format) => format switch
        {
            "jpeg" => JpegEnds(file),
            "png" => PngEnds(file),
            "gif" => GifFrameEnds(file),
            // RIFF: the size counts everything after itself.
            "webp" => file.Length >= 12 && BinaryPrimitives.ReadUInt32LittleEndian(file[4..]) + 8L <= file.Length,
            _ => true,
        };

        // ITU-T T.81, B.1.1: segments with their length, and coded data in which FF is followed by 00 or a restart marker, up to EOI.
        private static bool JpegEnds(ReadOnlySpan<byte> file)
        {
            const byte Eoi = 0xD9;
            for (int at = 2; at + 2 <= file.Length;)
            {
                int next = file[at..].IndexOf((byte)0xFF);
                if (next < 0 || at + next + 2 > file.Length)
                {
                    return false;
                }
                at += next + 1;
                switch (file[at])
                {
                    case Eoi:
                        return true;
                    case 0xFF:
                        break;
                    case 0x00 or 0x01 or (>= 0xD0 and <= 0xD7):
                        at++;
                        break;
                    default:
                        if (at + 3 > file.Length)
                        {
                            return false;
                        }
                        at += 1 + BinaryPrimitives.ReadUInt16BigEndian(file[(at + 1)..]);
                        break;
                }
            }
            return false;
        }

        // ISO/IEC 15948, 5.3: length, type, data, CRC, up to IEND
        private static bool PngEnds(ReadOnlySpan<byte> file)
        {
            for (long at = 8; at + 12 <= file.Length;)
            {
                ReadOnlySpan<byte> chunk = file[(int)at..];
                at += 12L + BinaryPrimitives.ReadUInt32BigEndian(chunk);
                if (chunk[4..].StartsWith("IEND"u8))
                {
                    return at <= file.Length;
                }
            }
            return false;
        }

        // GIF89a, 18 to 23: colour table, extensions and the first image, each ending with an empty block
        private static bool GifFrameEnds(ReadOnlySpan<byte> file)
        {
            if (file.Length < 13)
            {
                return false;
            }
            int at = 13 + ColorTable(file[10]);
            while (at + 10 <= file.Length)
            {
                bool image = file[at] == 0x2C;
                if (!image && file[at] != 0x21)
                {
                    return false;
                }
                at += image ? 10 + ColorTable(file[at + 9]) + 1 : 2;
                while (at < file.Length && file[at] != 0)
                {
                    at += 1 + file[at];
                }
                if (image)
                {
                    return at < file.Length;
                }
                at++;
            }
            return false;

            static int ColorTable(byte flags) => (flags & 0x80) != 0 ? 3 << ((flags & 7) + 1) : 0;
        }
    }
}
