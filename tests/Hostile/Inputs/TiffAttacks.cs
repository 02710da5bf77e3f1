using System.Buffers.Binary;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Hostile.Inputs;

/// <summary>TIFF may ask for anything: samples, tiles and strips of any number and size, a chain of directories, codings that swell.</summary>
internal static class TiffAttacks
{
    private const int Deflate = 8, Lzw = 5, PackBits = 32773, Fax4 = 4, Jpeg = 7;

    private static readonly (int, int[]) Rgba16Samples = (277, [4]), Rgba16Bits = (258, [16, 16, 16, 16]), Alpha = (338, [2]);

    public static IEnumerable<Attack> Sizes =>
    [
        Attack.Refused("10,000 samples per pixel", () => Tiff(6500, 16, (277, [10_000]))),
        Attack.Refused("65,535 samples per pixel, wider", () => Tiff(65_535, 16, (277, [65_535]))),
        Attack.Refused("tiles of 65,535 × 762, 16-bit RGBA", () => Tiff(65_535, 762, [Rgba16Samples, Rgba16Bits, Alpha, .. Tiles(65_535, 762)])),
        Attack.Refused("one tile of 65,536 × 65,536", () => Tiff(64, 64, Tiles(65_536, 65_536))),
        Attack.Refused("tiles of 2³¹ × 2³¹", () => Tiff(64, 64, Tiles(int.MaxValue, int.MaxValue))),
        Attack.Refused("a tile of 6,000 × 6,000 over a small picture", () => Tiff(64, 64, Tiles(6000, 6000))),
        Attack.Picture("a strip of 2³¹ rows", () => Tiff(64, 64, (278, [int.MaxValue]))),
        Attack.Refused("one strip of 50 megapixels, 16-bit RGBA", () => Tiff(7000, 7000, Rgba16Samples, Rgba16Bits, Alpha)),
        Attack.Refused("sides of 2³¹", () => Tiff(int.MaxValue, int.MaxValue)),
        Attack.Refused("sides of 2⁶² (BigTIFF)", () => BigTiff(1L << 62, 1L << 62)),
        Attack.Picture("no rows", () => Tiff(64, 0)),
        Attack.Picture("planes of 65,535 strips each", () => Tiff(64, 65_535, (284, [2]), (278, [1]), (273, Offsets(3 * 65_535)), (279, Offsets(3 * 65_535)))),
        Attack.Picture("a strip for each of 65,535 rows", () => Tiff(700, 65_535, (278, [1]), (273, Offsets(65_535)), (279, Offsets(65_535)))),
        Attack.Picture("195,000 tiles of 16 × 16", () => Tiff(7000, 7000, [.. Tiles(16, 16), (324, Offsets(438 * 438)), (325, Offsets(438 * 438))])),
    ];

    public static IEnumerable<Attack> Codings =>
    [
        Attack.Picture("50 megapixels of zeros, Deflate", () => Packed(7000, 7000, Deflate, Png.DeflatedZeros(7000L * 7000 * 3))),
        Attack.Picture("50 megapixels of zeros, Deflate in strips of 16 rows", () => Repeated(7000, 7000, 16, Deflate, Png.DeflatedZeros(7000L * 16 * 3))),
        Attack.Picture("50 megapixels, each row a strip, Deflate", () => Repeated(800, 62_500, 1, Deflate, Png.DeflatedZeros(800 * 3))),
        Attack.Picture("50 megapixels, PackBits", () => Repeated(7000, 7000, 1, PackBits, RunsOfZeros(7000 * 3))),
        Attack.Picture("50 megapixels, LZW of nothing", () => Repeated(7000, 7000, 1, Lzw, [0x80, 0x40, 0x00])),
        Attack.Picture("50 megapixels of fax, coded 1s", () => Repeated(7000, 7000, 7000, Fax4, Enumerable.Repeat((byte)0xFF, 7000).ToArray(), OneBit)),
        Attack.Picture("50 megapixels of fax, noise", () => Repeated(7000, 7000, 7000, Fax4, Noise(2_000_000), OneBit)),
        Attack.Picture("65,535 × 762 of fax in tiles", () => Tiff(65_535, 762, [.. Tiles(65_536, 768), (259, [Fax4]), .. OneBit])),
        Attack.Picture("strips of JPEG whose own size is 65,535²", () => Repeated(64, 64, 64, Jpeg, Jpegs.Of(0xC0, 65_535, 65_535))),
        Attack.Picture("strips of progressive JPEG with 500 scans", () => Repeated(2000, 2000, 2000, Jpeg, Pictures.ProgressiveJpeg(2000, 2000, 500), Grey)),
    ];

    public static IEnumerable<Attack> Directories =>
    [
        Attack.Picture("a circle of directories", () => Chain(1, circle: true)),
        Attack.Picture("9,999 pages", () => Chain(9999)),
        Attack.Picture("9,999 pages of 65,535 strips, all in one place", () => Chain(9999, strips: 65_535)),
        Attack.Refused("100,000 pages", () => Chain(100_000)),
        Attack.Refused("3 million empty directories", () => EmptyDirectories(20 << 20)),
        Attack.Picture("a directory of 65,535 entries", () => Entries(65_535)),
        Attack.Picture("a million entries (BigTIFF)", () => BigEntries(1_000_000)),
        Attack.Picture("300 pages of 4,000 entries that overlap", () => Overlapping(300, 4000)),
    ];

    private static (int, int[])[] OneBit => [(258, [1]), (262, [0]), (277, [1])];

    private static (int, int[])[] Grey => [(258, [8]), (262, [1]), (277, [1])];

    private static byte[] Tiff(int width, int height, params (int, int[])[] tags) => Pictures.Tiff(width, height, new byte[64], tags);

    private static byte[] Packed(int width, int height, int coding, byte[] data) => Pictures.Tiff(width, height, data, (259, [coding]));

    /// <summary>The same bytes stand for every strip.</summary>
    private static byte[] Repeated(int width, int height, int rows, int coding, byte[] strip, params (int, int[])[] tags)
    {
        var count = (height + rows - 1) / rows;
        return Pictures.Tiff(width, height, strip,
            [(259, [coding]), (278, [rows]), (273, Offsets(count)), (279, Enumerable.Repeat(strip.Length, count).ToArray()), .. tags]);
    }

    private static int[] Offsets(int count) => Enumerable.Repeat(8, count).ToArray();

    private static (int, int[])[] Tiles(int width, int height) => [(322, [width]), (323, [height]), (324, [8]), (325, [64]), (273, []), (278, []), (279, [])];

    // Two bytes for 128 zeros.
    private static byte[] RunsOfZeros(int bytes) => [.. Enumerable.Repeat<byte[]>([0x81, 0], (bytes + 127) / 128).SelectMany(run => run)];

    private static byte[] Noise(int bytes)
    {
        var noise = new byte[bytes];
        new Random(1).NextBytes(noise);
        return noise;
    }

    private static byte[] BigTiff(long width, long height)
    {
        var file = new byte[16 + 8 + (2 * 20) + 8];
        ((byte[])[.. "II"u8, 43, 0, 8, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]).CopyTo(file, 0);
        foreach (var (i, tag, value) in (ReadOnlySpan<(int, int, long)>)[(0, 256, width), (1, 257, height)])
        {
            var entry = file.AsSpan(24 + (i * 20));
            BinaryPrimitives.WriteUInt16LittleEndian(entry, (ushort)tag);
            entry[2] = 16;
            entry[4] = 1;
            BinaryPrimitives.WriteInt64LittleEndian(entry[12..], value);
        }

        return file;
    }

    /// <summary>Pages that differ in nothing but their place; their strips' places and lengths stand in the file once.</summary>
    private static byte[] Chain(int pages, bool circle = false, int strips = 1)
    {
        var page = Pictures.Tiff(16, strips == 1 ? 16 : strips, new byte[768], (278, [strips == 1 ? 16 : 1]), (273, Offsets(strips)), (279, Offsets(strips)));
        var directory = BinaryPrimitives.ReadInt32LittleEndian(page.AsSpan(4));
        var length = 2 + (BinaryPrimitives.ReadUInt16LittleEndian(page.AsSpan(directory)) * 12) + 4;
        var file = new byte[page.Length + (pages * length)];
        page.CopyTo(file, 0);
        var last = directory;
        for (var i = 0; i < pages - 1; i++)
        {
            var at = page.Length + (i * length);
            page.AsSpan(directory, length).CopyTo(file.AsSpan(at));
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(last + length - 4), at);
            last = at;
        }

        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(last + length - 4), circle ? directory : 0);
        return file;
    }

    private static byte[] EmptyDirectories(int bytes)
    {
        var file = Tiff(16, 16);
        var directory = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4));
        var next = directory + 2 + (BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(directory)) * 12);
        var all = new byte[bytes - 4096];
        file.CopyTo(all, 0);
        for (var at = file.Length; at + 12 < all.Length; at += 6)
        {
            BinaryPrimitives.WriteInt32LittleEndian(all.AsSpan(next), at);
            next = at + 2;
        }

        return all;
    }

    private static byte[] Entries(int count)
    {
        var file = new byte[8 + 2 + (count * 12) + 4];
        ((byte[])[.. "II*\0"u8, 8, 0, 0, 0, (byte)count, (byte)(count >> 8)]).CopyTo(file, 0);
        for (var i = 0; i < count; i++)
        {
            // Width, then height, over and over.
            var entry = file.AsSpan(10 + (i * 12));
            ((byte[])[(byte)(i & 1), 1, 4, 0, 1, 0, 0, 0, 64]).CopyTo(entry);
        }

        return file;
    }

    private static byte[] BigEntries(int count)
    {
        var small = BigTiff(64, 64);
        var file = new byte[24 + (count * 20) + 8];
        small.AsSpan(0, 64).CopyTo(file);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(16), count);
        for (var i = 2; i < count; i++)
        {
            ((byte[])[0, 0xFF, 4, 0, 1]).CopyTo(file.AsSpan(24 + (i * 20)));
        }

        return file;
    }

    private static byte[] Overlapping(int pages, int entries)
    {
        var first = Tiff(16, 16);
        var directory = BinaryPrimitives.ReadInt32LittleEndian(first.AsSpan(4));
        var next = directory + 2 + (BinaryPrimitives.ReadUInt16LittleEndian(first.AsSpan(directory)) * 12);
        var start = (first.Length + 1) & ~1;
        var file = new byte[start + (pages * 64) + (entries * 12) + 16];
        first.CopyTo(file, 0);
        for (var page = 0; page < pages; page++)
        {
            var at = start + (page * 64);
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(next), at);
            BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), (ushort)entries);
            next = at + 2 + (entries * 12);
        }

        return file;
    }
}
