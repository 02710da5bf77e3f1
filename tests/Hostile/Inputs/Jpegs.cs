using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Hostile.Inputs;

/// <summary>JPEG: passes without end, segments without end, sizes without data (ITU-T T.81, annex B).</summary>
internal static class Jpegs
{
    private const int Most = 20 << 20;

    public static IEnumerable<Attack> Attacks =>
    [
        Attack.Refused("883 scans", () => Pictures.ProgressiveJpeg(1000, 1000, 883)),
        Attack.Picture("100 scans of 1 megapixel", () => Pictures.ProgressiveJpeg(1000, 1000, 100)),
        Attack.Picture("20 scans of 25 megapixels", () => Pictures.ProgressiveJpeg(5000, 5000, 20)),
        Attack.Refused("100 scans of 25 megapixels", () => Pictures.ProgressiveJpeg(5000, 5000, 100)),
        Attack.Refused("progressive, 65,535 × 65,535", () => Of(0xC2, 65_535, 65_535)),
        Attack.Refused("sequential, 65,535 × 65,535 in 200 bytes", () => Of(0xC0, 65_535, 65_535)),
        Attack.Picture("50 megapixels in 200 bytes", () => Of(0xC0, 7000, 7000)),
        Attack.Picture("50 megapixels of CMYK in 200 bytes", () => Of(0xC0, 7000, 7000, 0x11, 0x11, 0x11, 0x11)),
        Attack.Picture("a component of 4 × 4 samples for each", () => Of(0xC0, 7000, 7000, 0x44, 0x11, 0x11)),
        Attack.Picture("components without samples", () => Of(0xC0, 700, 700, 0x00, 0x00, 0x00)),
        Attack.Picture("progressive, components without samples", () => Of(0xC2, 700, 700, 0x00, 0x11, 0x11)),
        Attack.Refused("255 components", () => Of(0xC0, 700, 700, Enumerable.Repeat((byte)0x11, 255).ToArray())),
        Attack.Refused("arithmetic coding", () => Of(0xC9, 700, 700)),
        Attack.Refused("no height (DNL)", () => Of(0xC0, 700, 0)),
        Attack.Picture("a million segments of a colour profile", () => Filled(Pictures.JpegSegment(0xE2, [.. "ICC_PROFILE\0"u8, 1, 1, 0]))),
        Attack.Picture("320 segments of a colour profile", () => Filled(Pictures.JpegSegment(0xE2, [.. "ICC_PROFILE\0"u8, 1, 1, .. new byte[65_000]]))),
        Attack.Picture("a million Exif segments", () => Filled(Pictures.JpegSegment(0xE1, [.. "Exif\0\0II*\0"u8, 8, 0, 0, 0, 0, 0]))),
        Attack.Picture("five million empty segments", () => Filled(Pictures.JpegSegment(0xE9, []))),
        Attack.Picture("a million Huffman tables", () => Filled(Pictures.JpegSegment(0xC4, [0, 1, .. new byte[16]]))),
        Attack.Picture("a million segments after the picture", () =>
            [.. Of(0xC0, 64, 64)[..^2], .. Repeat(Pictures.JpegSegment(0xE2, [.. "ICC_PROFILE\0"u8, 1, 1, 0])), 0xFF, 0xD9]),
        Attack.Picture("20 MB of fill bytes", () => Filled([0xFF])),
        Attack.Picture("20 MB of restart markers", () => [.. Of(0xC0, 7000, 7000)[..^2], .. Repeat([0xFF, 0xD0]), 0xFF, 0xD9]),
        Attack.Picture("20 MB of zeros after the scan's start", () => [.. Of(0xC0, 7000, 7000)[..^2], .. new byte[Most - 1000], 0xFF, 0xD9]),
        Attack.Refused("two million scans of nothing", () =>
            [.. Of(0xC2, 500, 500)[..^2], .. Repeat(Pictures.JpegSegment(0xDA, [1, 1, 0, 0, 0, 0])), 0xFF, 0xD9]),
        Attack.Picture("100 scans that never end", () => Pictures.ProgressiveJpeg(2000, 2000, 100)[..^2]),
    ];

    /// <summary>A file of one scan with hardly any data.</summary>
    public static byte[] Of(byte frame, int width, int height, params byte[] samplings)
    {
        var components = samplings.Length == 0 ? [0x22, 0x11, 0x11] : samplings;
        byte[] table = [1, .. new byte[15], 0];
        return
        [
            0xFF, 0xD8, .. Pictures.JpegSegment(0xDB, [0, .. Enumerable.Repeat((byte)1, 64)]),
            .. Pictures.JpegSegment(frame, [8, (byte)(height >> 8), (byte)height, (byte)(width >> 8), (byte)width, (byte)components.Length,
                .. components.SelectMany((sampling, i) => (byte[])[(byte)i, sampling, 0])]),
            .. Pictures.JpegSegment(0xC4, [0x00, .. table]), .. Pictures.JpegSegment(0xC4, [0x10, .. table]),
            .. Pictures.JpegSegment(0xDA,
                [(byte)components.Length, .. components.SelectMany((_, i) => (byte[])[(byte)i, 0]), 0, (byte)(frame == 0xC2 ? 0 : 63), 0]),
            .. new byte[64], 0xFF, 0xD9,
        ];
    }

    /// <summary>A small picture behind 20 MB of segments.</summary>
    private static byte[] Filled(byte[] segment)
    {
        var picture = Of(0xC0, 64, 64);
        return [.. picture[..2], .. Repeat(segment), .. picture[2..]];
    }

    private static byte[] Repeat(byte[] bytes)
    {
        var all = new byte[(Most - 4096) / bytes.Length * bytes.Length];
        for (var at = 0; at < all.Length; at += bytes.Length)
        {
            bytes.CopyTo(all, at);
        }

        return all;
    }
}
