using System.Buffers.Binary;
using System.Text;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Hostile.Inputs;

/// <summary>PNG, WebP, GIF, AVIF, BMP, ICO and Netpbm.</summary>
internal static class OtherPictures
{
    private const int Most = 20 << 20;

    public static IEnumerable<Attack> Pngs =>
    [
        Attack.Refused("65,535 × 65,535 in 100 bytes", () => Png.Zeros(65_535, 65_535, rows: 1)),
        Attack.Refused("sides of 2³¹ − 1", () => Png.Zeros(int.MaxValue, int.MaxValue, rows: 0)),
        Attack.Picture("50 megapixels of zeros", () => Png.Zeros(7000, 7000)),
        Attack.Picture("50 megapixels of zeros, 16-bit RGBA", () => Png.Zeros(7000, 7000, Png.Rgba, bits: 16)),
        Attack.Picture("50 megapixels, one bit each", () => Png.Zeros(7000, 7000, Png.Grey, bits: 1)),
        Attack.Picture("25 megapixels, interlaced", () => Png.Zeros(5000, 5000, interlaced: true)),
        Attack.Refused("25 megapixels, interlaced, 16-bit RGBA", () => Png.Zeros(5000, 5000, Png.Rgba, bits: 16, interlaced: true)),
        Attack.Picture("65,535 × 700", () => Png.Zeros(65_535, 700)),
        Attack.Picture("700 × 65,535", () => Png.Zeros(700, 65_535)),
        Attack.Picture("a palette without colours", () => Png.Zeros(700, 700, Png.Palette)),
        Attack.Picture("more data than rows, by 2 GB", () => Png.Zeros(64, 64, rows: 10_000_000)),
        Attack.Picture("a text of 500 MB when unpacked", () => Png.Zeros(64, 64, chunks:
            Pictures.PngChunk("zTXt", [.. "a\0\0"u8, .. Png.DeflatedZeros(500 << 20)]))),
        Attack.Picture("100 texts of 50 MB when unpacked", () => Png.Zeros(64, 64, chunks:
            Enumerable.Repeat(Pictures.PngChunk("zTXt", [.. "a\0\0"u8, .. Png.DeflatedZeros(50 << 20)]), 100).ToArray())),
        Attack.Picture("interlaced, with 300 texts of 7 MB when unpacked", () => Png.Zeros(3000, 3000, interlaced: true, chunks:
            Enumerable.Repeat(Pictures.PngChunk("iTXt", [.. "a\0\u0001\0\0\0"u8, .. Png.DeflatedZeros(7 << 20)]), 300).ToArray())),
        Attack.Picture("a text of 19 MB", () => Png.Zeros(64, 64, chunks: Pictures.PngChunk("tEXt", [.. "a\0"u8, .. Text(19 << 20)]))),
        Attack.Picture("200,000 texts", () => Png.Zeros(64, 64, chunks:
            Enumerable.Repeat(Pictures.PngChunk("tEXt", [.. "a\0"u8, .. Text(60)]), 200_000).ToArray())),
        Attack.Picture("a colour profile of 500 MB when unpacked", () => Png.Zeros(64, 64, chunks:
            Pictures.PngChunk("iCCP", [.. "a\0\0"u8, .. Png.DeflatedZeros(500 << 20)]))),
        Attack.Picture("a million empty chunks", () => Png.Zeros(64, 64, chunks: Enumerable.Repeat(Pictures.PngChunk("aaAa", []), 1_000_000).ToArray())),
        Attack.Picture("a million pieces of nothing", () => Png.Zeros(64, 64, chunks: Enumerable.Repeat(Pictures.PngChunk("IDAT", []), 1_000_000).ToArray())),
        Attack.Refused("an animation of 2³¹ frames", () => Png.Zeros(64, 64, chunks: Pictures.PngChunk("acTL", [0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]))),
    ];

    public static IEnumerable<Attack> Animations =>
    [
        Attack.Refused("WebP of 80,000 frames", () => Pictures.AnimatedWebp(64, 64, (0, 0), Pictures.RedWebp, 80_000)),
        Attack.Picture("WebP of 10,000 frames", () => Pictures.AnimatedWebp(640, 640, (0, 0), Pictures.RedWebp, 10_000)),
        Attack.Picture("WebP of 10,000 frames on a canvas of 50 megapixels", () => Pictures.AnimatedWebp(7000, 7000, (0, 0), Pictures.RedWebp, 10_000)),
        Attack.Refused("WebP whose canvas is 2²⁴ pixels wide", () => Pictures.AnimatedWebp(1 << 24, 1 << 24, (0, 0), Pictures.RedWebp)),
        Attack.Refused("GIF of 100,000 frames", () => Pictures.Gif(64, 64, (0, 0, 1, 1), 100_000)),
        Attack.Picture("GIF of 10,000 frames on a screen of 50 megapixels", () => Pictures.Gif(7000, 7000, (0, 0, 1, 1), 10_000)),
        Attack.Refused("GIF of 65,535 × 65,535", () => Pictures.Gif(65_535, 65_535, (0, 0, 1, 1))),
        Attack.Refused("GIF whose frame leaves its screen", () => Pictures.Gif(1, 1, (65_535, 65_535, 1, 1))),
        Attack.Picture("GIF with 6 million empty extensions", () => WithExtensions(6_000_000)),
    ];

    /// <summary>What the library finds is not what the header said.</summary>
    public static IEnumerable<Attack> Lies =>
    [
        Attack.Picture("WebP lossless, 16,383 × 3,000 of one colour", () => Lossless(16_383, 3000)),
        Attack.Refused("WebP lossless, 16,383 × 16,383 of one colour", () => Lossless(16_383, 16_383)),
        Attack.Refused("WebP whose canvas is small and whose picture is 16,383²", () => Pictures.Webp(Extended(16, 16, 0), LosslessChunk(16_383, 16_383))),
        Attack.Refused("animated WebP, one frame of 2 × 2 that is 16,383²", () => Pictures.AnimatedWebp(16, 16, (0, 0), Lossless(16_383, 16_383))),
        Attack.Refused("the same with a transparency of its own", () => Pictures.AnimatedWebp(16, 16, (0, 0),
            [.. "RIFF\0\0\0\0WEBP"u8, .. Pictures.WebpChunk("ALPH", new byte[8]), .. LosslessChunk(16_383, 16_383)])),
        Attack.Refused("WebP with frames but not animated", () =>
            Pictures.Webp(Extended(16, 16, 0), Pictures.WebpChunk("ANMF", [.. new byte[16], .. LosslessChunk(16_383, 16_383)]))),
        Attack.Refused("icon of 16 pixels that is a PNG of 65,535²", () => Pictures.Icon((16, Png.Zeros(65_535, 65_535, rows: 1)))),
        Attack.Picture("icon of 16 pixels that is a PNG of 50 megapixels", () => Pictures.Icon((16, Png.Zeros(7000, 7000)))),
        Attack.Refused("icon that is a BMP of 2³¹ rows", () => Pictures.Icon((16,
            [40, 0, 0, 0, 16, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x7F, 1, 0, 32, 0, .. new byte[24]]))),
        Attack.Picture("icon with 65,535 entries", () => [0, 0, 1, 0, 0xFF, 0xFF, .. Enumerable.Repeat((byte)16, 65_535 * 16)]),
        Attack.Picture("two headers in one JPEG, the second of 65,535²", () =>
            [.. Jpegs.Of(0xC0, 64, 64)[..^2], .. Jpegs.Of(0xC0, 65_535, 65_535)[2..]]),
        Attack.Picture("two headers in one PNG, the second of 65,535²", () => Png.File(Png.Header(64, 64), Png.Header(65_535, 65_535),
            Pictures.PngChunk("IDAT", Png.DeflatedZeros(65 * 64 * 3)))),
        Attack.Refused("AVIF that says 2³² − 1", () => Avif(uint.MaxValue, uint.MaxValue)),
        Attack.Refused("AVIF that says 65,535 × 65,535", () => Avif(65_535, 65_535)),
        Attack.Picture("AVIF that says 7,000 × 7,000", () => Avif(7000, 7000)),
        Attack.Picture("AVIF that says 1 × 1", () => Avif(1, 1)),
        Attack.Picture("AVIF of 2.5 million empty boxes", () => Boxes(2_500_000)),
    ];

    public static IEnumerable<Attack> Plain =>
    [
        Attack.Refused("BMP of 2³¹ − 1", () => Bmp(int.MaxValue, int.MaxValue, 24, 0)),
        Attack.Refused("BMP of −2³¹ rows", () => Bmp(64, int.MinValue, 24, 0)),
        Attack.Picture("BMP of 50 megapixels, run lengths of nothing", () => Bmp(7000, 7000, 8, 1)),
        Attack.Picture("BMP of 50 megapixels, run lengths that go to the end", () => Bmp(7000, 7000, 4, 2, [0, 1])),
        Attack.Picture("BMP of 50 megapixels, jumps of 255 rows", () => Bmp(7000, 7000, 8, 1, [.. Enumerable.Repeat<byte[]>([0, 2, 0, 255], 100_000)
            .SelectMany(jump => jump)])),
        Attack.Picture("BMP of no bits", () => Bmp(7000, 7000, 0, 0)),
        Attack.Refused("Netpbm of 2³¹ × 2³¹", () => Encoding.ASCII.GetBytes("P6\n2147483648 2147483648\n255\n")),
        Attack.Picture("Netpbm whose comment is 20 MB", () => [.. "P6\n#"u8, .. Text(Most - 100), .. "\n1 1\n255\n"u8, 0, 0, 0]),
        Attack.Picture("Netpbm, 10 million numbers as text", () => [.. "P2\n3200 3000\n255\n"u8, .. Enumerable.Repeat<byte[]>([(byte)'1', (byte)' '], 9_600_000)
            .SelectMany(number => number)]),
        Attack.Picture("Netpbm, one bit for each of 20 megapixels as text without blanks", () => [.. "P1\n5000 4000\n"u8, .. Enumerable.Repeat((byte)'1',
            20_000_000)]),
        Attack.Picture("Netpbm, one bit for each of 50 megapixels", () => [.. "P4\n7000 7000\n"u8, .. new byte[875 * 7000]]),
        Attack.Picture("nothing but zeros", () => new byte[Most - 100]),
        Attack.Picture("nothing but text", () => Text(Most - 100)),
        Attack.Picture("20 MB of noise", () =>
        {
            var noise = new byte[Most - 100];
            new Random(1).NextBytes(noise);
            return noise;
        }),
    ];

    private static byte[] Text(int length) => Enumerable.Repeat((byte)'a', length).ToArray();

    private static byte[] Lossless(int width, int height) => Pictures.Webp(LosslessChunk(width, height));

    /// <summary>As many pixels as one likes from codes of no bits (RFC 9649, 3.4: two numbers of 14 bits less one).</summary>
    private static byte[] LosslessChunk(int width, int height)
    {
        var red = Pictures.RedWebp.AsSpan(20).ToArray();
        BinaryPrimitives.WriteUInt32LittleEndian(red.AsSpan(1), (uint)((width - 1) | ((height - 1) << 14)));
        return Pictures.WebpChunk("VP8L", red);
    }

    private static byte[] Extended(int width, int height, byte flags) =>
        Pictures.WebpChunk("VP8X", [flags, 0, 0, 0, .. BitConverter.GetBytes(width - 1)[..3], .. BitConverter.GetBytes(height - 1)[..3]]);

    private static byte[] WithExtensions(int count)
    {
        var gif = Pictures.Gif(64, 64, (0, 0, 1, 1));
        return [.. gif[..25], .. Enumerable.Repeat<byte[]>([0x21, 0xFE, 0], count).SelectMany(extension => extension), .. gif[25..]];
    }

    /// <summary>The picture of the tests, and another size in its header.</summary>
    private static byte[] Avif(uint width, uint height)
    {
        var file = Corpus.File("picture.avif");
        var at = file.AsSpan().IndexOf("ispe"u8);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(at + 8), width);
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(at + 12), height);
        return file;
    }

    private static byte[] Boxes(int count)
    {
        var file = Corpus.File("picture.avif");
        var end = BinaryPrimitives.ReadInt32BigEndian(file);
        return [.. file[..end], .. Enumerable.Repeat<byte[]>([0, 0, 0, 8, (byte)'f', (byte)'r', (byte)'e', (byte)'e'], count).SelectMany(box => box),
            .. file[end..]];
    }

    private static byte[] Bmp(int width, int height, short bits, int compression, byte[]? data = null)
    {
        data ??= new byte[64];
        var file = new byte[54 + 1024 + data.Length];
        "BM"u8.CopyTo(file);
        int[] header = [file.Length, 0, 54 + 1024, 40, width, height, 1 | (bits << 16), compression, data.Length, 0, 0, 0, 0];
        for (var i = 0; i < header.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(2 + (i * 4)), header[i]);
        }

        data.CopyTo(file, 54 + 1024);
        return file;
    }
}
