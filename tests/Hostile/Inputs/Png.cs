using System.Buffers.Binary;
using System.IO.Compression;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Hostile.Inputs;

/// <summary>PNG as strangers write it: any header, any chunks (ISO/IEC 15948, 5.3).</summary>
internal static class Png
{
    /// <summary>Colour types of table 11.1.</summary>
    public const byte Grey = 0, Rgb = 2, Palette = 3, Rgba = 6;

    /// <summary>A picture of zeros, whole unless fewer rows are wanted; other chunks stand before it.</summary>
    public static byte[] Zeros(long width, long height, byte type = Rgb, byte bits = 8, bool interlaced = false, long? rows = null, params byte[][] chunks)
    {
        var samples = type switch { Rgb => 3, Rgba => 4, _ => 1 };
        // Interlaced rows come in seven passes, which have a few bytes more.
        var bytes = (((width * samples * bits) + 7) / 8 + 1) * (rows ?? height) + (interlaced ? height * 16 : 0);
        return File(Header(width, height, type, bits, interlaced), [.. chunks, Pictures.PngChunk("IDAT", DeflatedZeros(bytes))]);
    }

    public static byte[] File(byte[] header, params byte[][] chunks) =>
        [0x89, .. "PNG\r\n"u8, 0x1A, (byte)'\n', .. header, .. chunks.SelectMany(chunk => chunk), .. Pictures.PngChunk("IEND", [])];

    public static byte[] Header(long width, long height, byte type = Rgb, byte bits = 8, bool interlaced = false) =>
        Pictures.PngChunk("IHDR", [.. UInt32((uint)width), .. UInt32((uint)height), bits, type, 0, 0, (byte)(interlaced ? 1 : 0)]);

    /// <summary>A zlib stream of as many zeros, a thousandth of their size.</summary>
    public static byte[] DeflatedZeros(long bytes)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            var zeros = new byte[1 << 20];
            for (var left = bytes; left > 0; left -= zeros.Length)
            {
                zlib.Write(zeros, 0, (int)Math.Min(left, zeros.Length));
            }
        }

        return packed.ToArray();
    }

    private static byte[] UInt32(uint value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }
}
