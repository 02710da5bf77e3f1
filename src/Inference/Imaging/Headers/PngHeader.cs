using System.Buffers.Binary;
using System.IO.Compression;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>PNG, ISO/IEC 15948, 5.3: chunks of length, type, data and CRC, up to IEND.</summary>
internal static class PngHeader
{
    /// <summary>The chunk that ends a file.</summary>
    public static ReadOnlySpan<byte> End => [0, 0, 0, 0, (byte)'I', (byte)'E', (byte)'N', (byte)'D', 0xAE, 0x42, 0x60, 0x82];

    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        if (file.Length < 33 || !file[12..].StartsWith("IHDR"u8))
        {
            throw ImageHeader.Damaged("png");
        }

        var (type, orientation, transparent, complete, frames, texts) = (file[25], 1, false, false, 1, 0L);
        for (long at = 33; !complete && at + 12 <= file.Length;)
        {
            var chunk = file[(int)at..];
            long length = BinaryPrimitives.ReadUInt32BigEndian(chunk);
            at += 12 + length;
            var name = chunk.Slice(4, 4);
            complete = name.SequenceEqual("IEND"u8) && at <= file.Length;
            transparent |= name.SequenceEqual("tRNS"u8);
            texts += IsText(name) ? length : 0;
            if (name.SequenceEqual("eXIf"u8) && at <= file.Length)
            {
                orientation = Exif.Orientation(chunk.Slice(8, (int)length)) ?? orientation;
            }
            else if (name.SequenceEqual("acTL"u8) && length >= 4 && at <= file.Length)
            {
                // Only the first frame is read, whatever their number.
                frames = (int)Math.Min(BinaryPrimitives.ReadUInt32BigEndian(chunk[8..]), int.MaxValue);
            }
        }

        // Table 11.1: grey 0, colour 2, palette 3, grey with alpha 4, colour with alpha 6; a palette becomes colour.
        var bands = type switch { 0 => 1, 4 => 2, 6 => 4, _ => 3 } + (transparent && type is 0 or 2 or 3 ? 1 : 0);
        return new ImageHeader
        {
            Format = "png",
            Width = BinaryPrimitives.ReadUInt32BigEndian(file[16..]),
            Height = BinaryPrimitives.ReadUInt32BigEndian(file[20..]),
            Bands = bands,
            Bits = file[24] == 16 ? 16 : 8,
            HasAlpha = type is 4 or 6 || transparent,
            Interlaced = file[28] != 0,
            Orientation = new(orientation),
            Frames = frames,
            TextBytes = texts,
            IsComplete = complete,
        };
    }

    /// <summary>The file without its texts, which libraries unpack: a thousand times as many bytes.</summary>
    public static ReadOnlyMemory<byte> WithoutTexts(ReadOnlySpan<byte> file) => Without(file, (name, _) => IsText(name));

    /// <summary>The file without chunks of data that hold none, which the standard allows (11.2.3) and ImageSharp does not.</summary>
    public static ReadOnlyMemory<byte> WithoutEmptyData(ReadOnlyMemory<byte> file) =>
        file.Span.IndexOf("\0\0\0\0IDAT"u8) < 0 ? file : Without(file.Span, (name, length) => length == 0 && name.SequenceEqual("IDAT"u8));

    /// <summary>The file with black for all that its pixels may name beyond a shorter palette (11.2.2), as libpng and browsers have it.</summary>
    public static ReadOnlyMemory<byte> WithWholePalette(ReadOnlyMemory<byte> file)
    {
        const int Paletted = 3, FirstChunk = 33;
        var from = file.Span;
        var at = FirstChunk;
        if (from[25] != Paletted)
        {
            return file;
        }

        while (at + 12 <= from.Length && !from[(at + 4)..].StartsWith("PLTE"u8))
        {
            at = (int)Math.Min(at + 12L + BinaryPrimitives.ReadUInt32BigEndian(from[at..]), from.Length);
        }

        var (length, whole) = (at + 12 <= from.Length ? BinaryPrimitives.ReadUInt32BigEndian(from[at..]) : uint.MaxValue, 3 << Math.Min((int)from[24], 8));
        if (length >= whole || length > from.Length - at - 12)
        {
            return file;
        }

        var palette = new byte[whole + 12];
        BinaryPrimitives.WriteUInt32BigEndian(palette, (uint)whole);
        from.Slice(at + 4, (int)length + 4).CopyTo(palette.AsSpan(4));
        BinaryPrimitives.WriteUInt32BigEndian(palette.AsSpan(whole + 8), Sum(palette.AsSpan(4, whole + 4)));
        return (byte[])[.. from[..at], .. palette, .. from[(at + (int)length + 12)..]];
    }

    // 5.5: the CRC of a chunk's name and data.
    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        var sum = uint.MaxValue;
        foreach (var each in bytes)
        {
            sum ^= each;
            for (var bit = 0; bit < 8; bit++)
            {
                sum = (sum >> 1) ^ (0xEDB88320 * (sum & 1));
            }
        }

        return ~sum;
    }

    private delegate bool IsLeftOut(ReadOnlySpan<byte> name, uint length);

    private static ReadOnlyMemory<byte> Without(ReadOnlySpan<byte> file, IsLeftOut isLeftOut)
    {
        // One copy: what is held is counted as the file's length.
        var still = new byte[file.Length];
        file[..8].CopyTo(still);
        var written = 8;
        for (var rest = file[8..]; rest.Length >= 8;)
        {
            var bytes = BinaryPrimitives.ReadUInt32BigEndian(rest);
            var length = (int)Math.Min(bytes + 12L, rest.Length);
            if (!isLeftOut(rest.Slice(4, 4), bytes))
            {
                rest[..length].CopyTo(still.AsSpan(written));
                written += length;
            }

            rest = rest[length..];
        }

        return still.AsMemory(0, written);
    }

    // 11.3.4: tEXt, zTXt, iTXt
    private static bool IsText(ReadOnlySpan<byte> name) => name.SequenceEqual("tEXt"u8) || name.SequenceEqual("zTXt"u8) || name.SequenceEqual("iTXt"u8);

    /// <summary>Whether the data hold all rows. ISO/IEC 15948, 7.2 and 8.2: a byte for the filter and the samples, in each of Adam7's seven passes.</summary>
    public static bool HasAllRows(ReadOnlySpan<byte> file)
    {
        long width = BinaryPrimitives.ReadUInt32BigEndian(file[16..]), height = BinaryPrimitives.ReadUInt32BigEndian(file[20..]);
        var bits = file[24] * (file[25] switch { 2 => 3, 4 => 2, 6 => 4, _ => 1 });
        ReadOnlySpan<(int Left, int Top, int Across, int Down)> passes = file[28] == 0 ? [(0, 0, 1, 1)]
            : [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];
        var wanted = 0L;
        foreach (var (left, top, across, down) in passes)
        {
            var (columns, rows) = ((width - left + across - 1) / across, (height - top + down - 1) / down);
            wanted += columns < 1 ? 0 : rows * (1 + (((columns * bits) + 7) / 8));
        }

        // The chunks of data follow one another (5.6).
        using var data = new MemoryStream();
        for (var rest = file[8..]; rest.Length >= 12;)
        {
            var length = Math.Min(BinaryPrimitives.ReadUInt32BigEndian(rest), rest.Length - 12);
            if (rest.Slice(4, 4).SequenceEqual("IDAT"u8))
            {
                data.Write(rest.Slice(8, (int)length));
            }
            else if (data.Length > 0)
            {
                break;
            }

            rest = rest[(int)(12 + length)..];
        }

        data.Position = 0;
        return Deflated.Count(data, wanted) >= wanted;
    }

    /// <summary>The embedded colour profile, as far as 64 KB of it; empty where there is none.</summary>
    public static ReadOnlySpan<byte> Profile(ReadOnlySpan<byte> file)
    {
        const int Largest = 64 << 10;
        var chunk = file.IndexOf("iCCP"u8);
        var image = file.IndexOf("IDAT"u8);
        if (chunk < 12 || image < chunk)
        {
            return [];
        }

        // 11.3.3.3: a name, a zero, the method (0 is the only one), and a zlib stream.
        var data = file[(chunk + 4)..image];
        using var compressed = new MemoryStream(data[Math.Min(data.IndexOf((byte)0) + 2, data.Length)..].ToArray());
        using var zlib = new ZLibStream(compressed, CompressionMode.Decompress);
        var profile = new byte[Largest];
        try
        {
            return profile.AsSpan(0, zlib.ReadAtLeast(profile, Largest, throwOnEndOfStream: false));
        }
        catch (InvalidDataException)
        {
            return [];
        }
    }
}
