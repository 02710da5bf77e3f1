using System.Buffers.Binary;
using System.IO.Compression;

namespace Whatsit.Server.Tests;

/// <summary>Pictures whose size is what a test is about.</summary>
internal static class Pictures
{
    /// <summary>A black PNG: small as a file, whatever its sides.</summary>
    public static byte[] Png(int width, int height) => Png(width, height, static _ => { });

    /// <summary>A PNG (https://www.w3.org/TR/png-3/) of these pixels, three bytes each.</summary>
    public static byte[] Png(int width, int height, byte[] pixels)
    {
        var row = 0;
        return Png(width, height, target => pixels.AsSpan(3 * width * row++, 3 * width).CopyTo(target));
    }

    private static byte[] Png(int width, int height, FillRow fill)
    {
        using var pixels = new MemoryStream();
        using (var deflating = new ZLibStream(pixels, CompressionLevel.Fastest, leaveOpen: true))
        {
            // Each row begins with its filter: none.
            var row = new byte[1 + (3 * width)];
            for (var y = 0; y < height; y++)
            {
                fill(row.AsSpan(1));
                deflating.Write(row);
            }
        }

        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (8, 2);
        return [0x89, .. "PNG\r\n\u001a\n"u8, .. Chunk("IHDR"u8, header), .. Chunk("IDAT"u8, pixels.ToArray()), .. Chunk("IEND"u8, [])];
    }

    private delegate void FillRow(Span<byte> row);

    private static byte[] Chunk(ReadOnlySpan<byte> type, byte[] data)
    {
        byte[] chunk = [0, 0, 0, 0, .. type, .. data, 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        var crc = uint.MaxValue;
        foreach (var value in chunk.AsSpan(4..^4))
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }
        }

        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(^4..), ~crc);
        return chunk;
    }
}
