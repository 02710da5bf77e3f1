using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace Whatsit.Inference.Tests.Imaging;

/// <summary>Writers of a few lines for the files that tests need: what no camera makes, and what strangers send.</summary>
internal static class Pictures
{
    /// <summary>A lossless WebP of 2 × 2 red pixels (RFC 9649, 3: five prefix codes of one symbol each, no bits per pixel).</summary>
    public static byte[] RedWebp { get; } = Webp(WebpChunk("VP8L", [0x2F, 0x01, 0x40, 0x00, 0x00, .. RedCodes()]));

    /// <summary>24 bits, bottom row first, rows padded to four bytes.</summary>
    public static byte[] Bmp(byte[] rgb, int width, int height)
    {
        var stride = ((width * 3) + 3) & ~3;
        var file = new byte[54 + (stride * height)];
        "BM"u8.CopyTo(file);
        int[] header = [file.Length, 0, 54, 40, width, height, 1 | (24 << 16), 0, stride * height, 2835, 2835, 0, 0];
        for (var i = 0; i < header.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(2 + (i * 4)), header[i]);
        }

        for (var i = 0; i < width * height * 3; i++)
        {
            (var y, var x, var channel) = (i / 3 / width, i / 3 % width, i % 3);
            file[54 + ((height - 1 - y) * stride) + (x * 3) + 2 - channel] = rgb[i];
        }

        return file;
    }

    /// <summary>Pictures of one side each.</summary>
    public static byte[] Icon(params (int Side, byte[] Picture)[] pictures)
    {
        var at = 6 + (pictures.Length * 16);
        var entries = new List<byte>();
        foreach (var (side, picture) in pictures)
        {
            entries.AddRange([(byte)side, (byte)side, 0, 0, 1, 0, 24, 0, .. Int32(picture.Length), .. Int32(at)]);
            at += picture.Length;
        }

        return [0, 0, 1, 0, .. UInt16(pictures.Length), .. entries, .. pictures.SelectMany(picture => picture.Picture)];
    }

    /// <summary>24 bits without a file header, and below them a mask, which hides some rows at the top.</summary>
    public static byte[] IconBmp(byte[] rgb, int side, int maskedRows)
    {
        var bmp = Bmp(rgb, side, side)[14..];
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(8), side * 2);
        var stride = (side + 31) / 32 * 4;
        return [.. bmp, .. new byte[(side - maskedRows) * stride], .. Enumerable.Repeat((byte)255, maskedRows * stride)];
    }

    /// <summary>P6: bytes.</summary>
    public static byte[] Netpbm(byte[] rgb, int width, int height) => [.. Encoding.ASCII.GetBytes($"P6\n# a comment\n{width} {height}\n255\n"), .. rgb];

    /// <summary>P3: text.</summary>
    public static byte[] NetpbmText(byte[] rgb, int width, int height) => Encoding.ASCII.GetBytes(
        $"P3\n{width} {height}\n255\n" + string.Join('\n', rgb.Select(value => value.ToString(CultureInfo.InvariantCulture))));

    /// <summary>A GIF with one red picture somewhere on its screen, whose background is black.</summary>
    public static byte[] Gif(int width, int height, (int Left, int Top, int Width, int Height) frame, int frames = 1)
    {
        // Codes of three bits: clear (4), the first colour's index (1) for each of four pixels, end (5); GIF89a, appendix F.
        byte[] picture =
        [
            0x2C, .. UInt16(frame.Left), .. UInt16(frame.Top), .. UInt16(frame.Width), .. UInt16(frame.Height), 0,
            2, .. Lzw(frame.Width * frame.Height), 0,
        ];
        return
        [
            .. "GIF89a"u8, .. UInt16(width), .. UInt16(height), 0x81, 0, 0, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255,
            .. Enumerable.Repeat(picture, frames).SelectMany(bytes => bytes), 0x3B,
        ];

        // A clear code before every pixel keeps all codes at three bits.
        static byte[] Lzw(int pixels)
        {
            var codes = Enumerable.Repeat<int[]>([4, 1], pixels).SelectMany(code => code).Append(5).ToArray();
            var bits = new byte[((codes.Length * 3) + 7) / 8];
            for (var i = 0; i < codes.Length * 3; i++)
            {
                bits[i / 8] |= (byte)(((codes[i / 3] >> (i % 3)) & 1) << (i % 8));
            }

            return [.. bits.Chunk(255).SelectMany(block => (byte[])[(byte)block.Length, .. block])];
        }
    }

    /// <summary>A WebP of these chunks (RFC 9649, 2).</summary>
    public static byte[] Webp(params byte[][] chunks) =>
        [.. "RIFF"u8, .. Int32(chunks.Sum(chunk => chunk.Length) + 4), .. "WEBP"u8, .. chunks.SelectMany(chunk => chunk)];

    /// <summary>A chunk of a WebP, padded to an even length.</summary>
    public static byte[] WebpChunk(string name, byte[] data) =>
        [.. Encoding.ASCII.GetBytes(name), .. Int32(data.Length), .. data, .. new byte[data.Length & 1]];

    /// <summary>An animation of the same picture over and over.</summary>
    public static byte[] AnimatedWebp(int width, int height, (int Left, int Top) at, byte[] still, int frames = 1, int stillWidth = 2, int stillHeight = 2)
    {
        var frame = WebpChunk("ANMF",
            [.. UInt24(at.Left / 2), .. UInt24(at.Top / 2), .. UInt24(stillWidth - 1), .. UInt24(stillHeight - 1), 100, 0, 0, 0, .. still[12..]]);
        return Webp(
        [
            WebpChunk("VP8X", [0x02, 0, 0, 0, .. UInt24(width - 1), .. UInt24(height - 1)]),
            WebpChunk("ANIM", [0, 0, 0, 255, 0, 0]),
            .. Enumerable.Repeat(frame, frames),
        ]);
    }

    /// <summary>
    /// A TIFF of one directory, uncompressed unless the tags say otherwise (TIFF 6.0, section 2). Tags are whole numbers; those that are not given say RGB, 8
    /// bits, one strip with all of the data. Tags without values are left out.
    /// </summary>
    public static byte[] Tiff(int width, int height, byte[] data, params (int Tag, int[] Values)[] tags)
    {
        const int Start = 8;
        var all = new SortedDictionary<int, int[]>
        {
            [256] = [width],
            [257] = [height],
            [258] = [8, 8, 8],
            [259] = [1],
            [262] = [2],
            [273] = [Start],
            [277] = [3],
            [278] = [height],
            [279] = [data.Length],
        };
        foreach (var (tag, values) in tags)
        {
            all[tag] = values;
        }

        var present = all.Where(tag => tag.Value.Length > 0).ToList();
        var directory = Start + data.Length + (data.Length & 1);
        var values0 = directory + 2 + (present.Count * 12) + 4;
        using var file = new MemoryStream();
        using var writer = new BinaryWriter(file);
        writer.Write([.. "II*\0"u8, .. Int32(directory), .. data, .. new byte[data.Length & 1], .. UInt16(present.Count)]);
        var outside = new List<byte>();
        foreach (var (tag, values) in present)
        {
            // SHORT where the book says so and readers insist, else LONG; in the entry itself where there is one.
            var isShort = tag is 258 or 259 or 262 or 277 or 284 or 338 or 339;
            writer.Write([.. UInt16(tag), .. UInt16(isShort ? 3 : 4), .. Int32(values.Length),
                .. Int32(values.Length == 1 ? values[0] : values0 + outside.Count)]);
            outside.AddRange(values.Length == 1 ? [] : values.SelectMany(value => isShort ? UInt16(value) : Int32(value)));
        }

        writer.Write([0, 0, 0, 0, .. outside]);
        return file.ToArray();
    }

    /// <summary>A progressive grey JPEG whose only work is its number of passes: each refines nothing (T.81, annex G).</summary>
    public static byte[] ProgressiveJpeg(int width, int height, int scans)
    {
        // One code of one bit, for "no more in this block" (AC) and for a difference of 0 (DC).
        byte[] table = [1, .. new byte[15], 0];
        var blocks = (width + 7) / 8 * ((height + 7) / 8);
        var zeros = new byte[(blocks + 7) / 8];
        return
        [
            0xFF, 0xD8, .. JpegSegment(0xDB, [0, .. Enumerable.Repeat((byte)1, 64)]),
            .. JpegSegment(0xC2, [8, (byte)(height >> 8), (byte)height, (byte)(width >> 8), (byte)width, 1, 1, 0x11, 0]),
            .. JpegSegment(0xC4, [0x00, .. table]), .. JpegSegment(0xC4, [0x10, .. table]),
            .. JpegSegment(0xDA, [1, 1, 0x00, 0, 0, 0]), .. zeros,
            .. Enumerable.Repeat((byte[])[.. JpegSegment(0xDA, [1, 1, 0x00, 1, 63, 0]), .. zeros], scans - 1).SelectMany(bytes => bytes),
            0xFF, 0xD9,
        ];
    }

    /// <summary>A marker segment of a JPEG.</summary>
    public static byte[] JpegSegment(byte marker, byte[] body) => [0xFF, marker, (byte)((body.Length + 2) >> 8), (byte)(body.Length + 2), .. body];

    /// <summary>A chunk of a PNG, its sum included (ISO/IEC 15948, 5.3 and annex D).</summary>
    public static byte[] PngChunk(string name, byte[] data)
    {
        byte[] chunk = [0, 0, 0, 0, .. Encoding.ASCII.GetBytes(name), .. data, 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32BigEndian(chunk, data.Length);
        var crc = uint.MaxValue;
        foreach (var value in chunk.AsSpan(4..^4))
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
            }
        }

        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(^4..), ~crc);
        return chunk;
    }

    /// <summary>A PNG without its chunks of one name.</summary>
    public static byte[] WithoutChunk(byte[] png, string name)
    {
        using var file = new MemoryStream();
        file.Write(png, 0, 8);
        for (var at = 8; at < png.Length;)
        {
            var length = 12 + BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(at));
            if (Encoding.ASCII.GetString(png, at + 4, 4) != name)
            {
                file.Write(png, at, length);
            }

            at += length;
        }

        return file.ToArray();
    }

    /// <summary>RFC 1950.</summary>
    public static byte[] Deflate(byte[] data)
    {
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            zlib.Write(data);
        }

        return compressed.ToArray();
    }

    // No transform, no colour cache, no meta prefix codes; then green, red, blue, alpha and distance, each a simple code of one symbol:
    // 1 (simple), 0 (one symbol), 1 (of eight bits), the symbol.
    private static byte[] RedCodes()
    {
        var bits = new List<int> { 0, 0, 0 };
        foreach (var symbol in (int[])[0, 255, 0, 255, 0])
        {
            bits.AddRange([1, 0, 1, .. Enumerable.Range(0, 8).Select(bit => (symbol >> bit) & 1)]);
        }

        return [.. bits.Chunk(8).Select(octet => (byte)octet.Select((bit, place) => bit << place).Sum())];
    }

    private static byte[] UInt16(int value) => [(byte)value, (byte)(value >> 8)];

    private static byte[] UInt24(int value) => [(byte)value, (byte)(value >> 8), (byte)(value >> 16)];

    private static byte[] Int32(int value) => BitConverter.GetBytes(value);
}
