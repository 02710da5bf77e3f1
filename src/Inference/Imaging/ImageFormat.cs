using System.Buffers;
using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging;

/// <summary>Tells from a file's first bytes what it is; names and content types are only claims.</summary>
public static class ImageFormat
{
    private const string Heic = "heic", IsoMedia = "isom";

    private const string CameraRaw = "the raw data of a camera's sensor";

    private static readonly SearchValues<byte> TextBytes = SearchValues.Create(
        [(byte)'\t', (byte)'\n', (byte)'\r', .. Enumerable.Range(' ', '~' - ' ' + 1).Select(code => (byte)code)]);

    private const string SendInstead = "send JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP or ICO";

    /// <summary>The format's name as <see cref="RgbImage.Format"/> gives it.</summary>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.InvalidImage"/> for an empty file, <see cref="InferenceError.UnsupportedImage"/> for anything else that is not one
    /// of the formats that we read, with its name where it is a known one.
    /// </exception>
    public static string Detect(ReadOnlySpan<byte> file)
    {
        if (file.IsEmpty)
        {
            throw new InferenceException(InferenceError.InvalidImage, "The picture is empty: 0 bytes.");
        }

        return Find(file) switch
        {
            null => throw Unsupported(NameOf(file)),
            CameraRaw => throw Unsupported(CameraRaw),
            IsoMedia => throw Unsupported("a video (or another file in the MP4 container)"),
            var format => format,
        };
    }

    /// <summary>The refusal where the library has no decoder for what iPhones write: no package may carry one.</summary>
    public static InferenceException HeicUnread() => new(
        InferenceError.UnsupportedImage,
        "unsupported-image",
        "HEIC pictures are not supported by this server: share the photo as JPEG (on the iPhone: Settings > Camera > Formats > Most Compatible), or let the "
        + "server use a libvips that reads HEIC (setting Decoding:LibvipsPath).",
        ("format", Heic));

    /// <summary>Whether a file begins as a picture does, of those that we read or of those that are refused by their name.</summary>
    public static bool IsKnown(ReadOnlySpan<byte> file) => Find(file) is not null;

    private static string? Find(ReadOnlySpan<byte> file) => file switch
    {
        [0xFF, 0xD8, 0xFF, ..] => "jpeg",
        [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => "png",
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] => "webp",
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', (byte)'7' or (byte)'9', (byte)'a', ..] => "gif",
        // Classic TIFF and BigTIFF, in both byte orders.
        [(byte)'I', (byte)'I', 42 or 43, 0, ..] or [(byte)'M', (byte)'M', 0, 42 or 43, ..] => "tiff",
        [(byte)'B', (byte)'M', ..] when file.Length > 14 && file[14] is 12 or 40 or 52 or 56 or 64 or 108 or 124 => "bmp",
        // A digit and a blank: other files begin with the letter, too.
        [(byte)'P', >= (byte)'1' and <= (byte)'6', (byte)'\n' or (byte)'\r' or (byte)'\t' or (byte)' ' or (byte)'#', ..] => "pnm",
        [0, 0, 1, 0, > 0, 0, ..] => "ico",
        [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', ..] => FindIsoMedia(file),
        _ => null,
    };

    /// <summary>
    /// AVIF and HEIC are the same container (ISO/IEC 14496-12, <c>ftyp</c>); the brands tell the codec. <c>mif1</c> alone says only "a picture",
    /// and stands first in files of either kind.
    /// </summary>
    private static string FindIsoMedia(ReadOnlySpan<byte> file)
    {
        var end = (int)Math.Min(BinaryPrimitives.ReadUInt32BigEndian(file), (uint)file.Length);
        if (file[8..].StartsWith("crx "u8))
        {
            return CameraRaw;
        }

        var heif = false;
        for (var at = 8; at + 4 <= end; at += 4)
        {
            // Between the major brand and the compatible ones stands a version number, which looks like none of these.
            var brand = file.Slice(at, 4);
            if (brand.SequenceEqual("avif"u8) || brand.SequenceEqual("avis"u8))
            {
                return "avif";
            }

            heif |= brand.StartsWith("hei"u8) || brand.StartsWith("hev"u8) || brand.SequenceEqual("mif1"u8) || brand.SequenceEqual("msf1"u8);
        }

        return heif ? Heic : IsoMedia;
    }

    private static InferenceException Unsupported(string? name) => new(
        InferenceError.UnsupportedImage,
        name is null ? $"The file is not a picture of a known format: {SendInstead}." : $"The file is {name}, which is not supported: {SendInstead}.");

    private static string? NameOf(ReadOnlySpan<byte> file)
    {
        (string Name, byte[] Signature)[] known =
        [
            ("a BMP picture", "BM"u8.ToArray()),
            ("a PDF document", "%PDF"u8.ToArray()),
            ("a Photoshop document", "8BPS"u8.ToArray()),
            ("a JPEG XL picture", [0xFF, 0x0A]),
            ("a JPEG XL picture", [0, 0, 0, 12, (byte)'J', (byte)'X', (byte)'L', (byte)' ']),
            ("a JPEG 2000 picture", [0, 0, 0, 12, (byte)'j', (byte)'P', (byte)' ', (byte)' ']),
            ("a JPEG 2000 picture", [0xFF, 0x4F, 0xFF, 0x51]),
            ("an OpenEXR picture", [0x76, 0x2F, 0x31, 0x01]),
            ("a Radiance picture", "#?RADIANCE"u8.ToArray()),
            ("a cursor", [0, 0, 2, 0]),
            ("an ICNS icon", "icns"u8.ToArray()),
            ("a DDS texture", "DDS "u8.ToArray()),
            ("an SGI picture", [0x01, 0xDA]),
            ("a PCX picture", [0x0A, 0x05, 0x01]),
            ("a QOI picture", "qoif"u8.ToArray()),
            ("a GIMP picture", "gimp xcf"u8.ToArray()),
            ("a FITS picture", "SIMPLE  ="u8.ToArray()),
            ("a MNG animation", [0x8A, (byte)'M', (byte)'N', (byte)'G']),
            ("a PostScript document", "%!PS"u8.ToArray()),
            ("a PostScript document", [0xC5, 0xD0, 0xD3, 0xC6]),
            ("an XBM picture", "#define "u8.ToArray()),
            ("an XPM picture", "/* XPM"u8.ToArray()),
            (CameraRaw, "FUJIFILMCCD-RAW"u8.ToArray()),
            (CameraRaw, "IIRO"u8.ToArray()),
            (CameraRaw, "IIU\0"u8.ToArray()),
            ("a ZIP archive", [(byte)'P', (byte)'K', 3, 4]),
            ("a gzip archive", [0x1F, 0x8B]),
            ("a video", [0x1A, 0x45, 0xDF, 0xA3]),
        ];
        foreach ((var name, var signature) in known)
        {
            if (file.StartsWith(signature))
            {
                return name;
            }
        }

        var head = file[..Math.Min(file.Length, 1024)];
        if (head is [(byte)'P', (byte)'7' or (byte)'F' or (byte)'f', (byte)'\n' or (byte)'\r' or (byte)' ', ..])
        {
            return head[1] == (byte)'7' ? "a PAM picture" : "a PFM picture";
        }

        if (head.IndexOf("<svg"u8) >= 0)
        {
            return "an SVG drawing";
        }

        if (head.IndexOf("<html"u8) >= 0 || head.IndexOf("<!doctype html"u8) >= 0 || head.IndexOf("<!DOCTYPE html"u8) >= 0)
        {
            return "a web page";
        }

        if (file.Length > 132 && file[128..].StartsWith("DICM"u8))
        {
            return "a DICOM picture";
        }

        return head.ContainsAnyExcept(TextBytes) ? null : "text";
    }
}
