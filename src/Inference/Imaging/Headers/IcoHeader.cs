using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// An icon: a list of pictures of several sizes, each a PNG, or a BMP without its file header and with a mask of one bit per pixel below (winuser.h, ICONDIR).
/// The largest one is read.
/// </summary>
internal static class IcoHeader
{
    private const int Entry = 16, FileHeader = 14;

    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        var picture = Picture(file);
        if (IsPng(picture))
        {
            return PngHeader.Read(picture) with { Format = "ico", Coding = "png" };
        }

        // Icons are the one place where the fourth byte of a pixel is its transparency.
        var alpha = BinaryPrimitives.ReadUInt16LittleEndian(picture[14..]) == 32;
        var header = BmpHeader.Read(ToBmp(picture));
        return header with
        {
            Format = "ico",
            Coding = "bmp",
            Bands = alpha ? 4 : 3,
            HasAlpha = alpha,
            IsComplete = header.IsComplete && (alpha || Mask(picture, header.Width, header.Height).Length >= Stride(header.Width, 1) * header.Height),
        };
    }

    /// <summary>The largest picture as a file of its own, PNG or BMP.</summary>
    public static byte[] Still(ReadOnlySpan<byte> file)
    {
        var picture = Picture(file);
        return IsPng(picture) ? picture.ToArray() : ToBmp(picture);
    }

    /// <summary>Makes white what the mask leaves transparent. Pictures of 32 bits have a transparency of their own, and PNG, too.</summary>
    public static void ApplyMask(ReadOnlySpan<byte> file, RgbImage picture)
    {
        var data = Picture(file);
        var bits = IsPng(data) ? 32 : BinaryPrimitives.ReadUInt16LittleEndian(data[14..]);
        if (bits == 32)
        {
            return;
        }

        // The rows of the mask, as those of the picture, come from the bottom and fill 32 bits.
        var stride = (int)Stride(picture.Width, 1);
        var mask = Mask(data, picture.Width, picture.Height);
        for (var y = 0; y < picture.Height && mask.Length >= stride; y++, mask = mask[stride..])
        {
            var row = picture.Pixels.Slice((picture.Height - 1 - y) * picture.Width * 3, picture.Width * 3);
            for (var x = 0; x < picture.Width; x++)
            {
                if ((mask[x / 8] & (0x80 >> (x % 8))) != 0)
                {
                    row.Slice(x * 3, 3).Fill(255);
                }
            }
        }
    }

    private static long Stride(long width, int bits) => ((width * bits) + 31) / 32 * 4;

    private static ReadOnlySpan<byte> Mask(ReadOnlySpan<byte> picture, long width, long height) =>
        picture[(int)Math.Min(picture.Length, HeaderAndColors(picture) + (Stride(width, BinaryPrimitives.ReadUInt16LittleEndian(picture[14..])) * height))..];

    private static ReadOnlySpan<byte> Picture(ReadOnlySpan<byte> file)
    {
        ReadOnlySpan<byte> largest = [];
        (int Side, int Bits) best = default;
        var count = file.Length < 6 ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(file[4..]);
        for (var i = 0; i < count && 6 + ((i + 1) * Entry) <= file.Length; i++)
        {
            var entry = file.Slice(6 + (i * Entry), Entry);
            long length = BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]), at = BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]);
            // 0 means 256.
            (int Side, int Bits) size = (entry[0] == 0 ? 256 : entry[0], BinaryPrimitives.ReadUInt16LittleEndian(entry[6..]));
            if (size.CompareTo(best) > 0)
            {
                // Of an icon that was cut the largest picture is meant, too, not the largest that is left.
                best = size;
                largest = length >= 40 && at + length <= file.Length ? file.Slice((int)at, (int)length) : [];
            }
        }

        if (largest.IsEmpty)
        {
            throw ImageHeader.Damaged("ico");
        }

        return largest;
    }

    private static bool IsPng(ReadOnlySpan<byte> picture) => picture.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G']);

    private static byte[] ToBmp(ReadOnlySpan<byte> picture)
    {
        var bmp = new byte[FileHeader + picture.Length];
        "BM"u8.CopyTo(bmp);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(2), bmp.Length);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(10), FileHeader + HeaderAndColors(picture));
        picture.CopyTo(bmp.AsSpan(FileHeader));
        // The height counts picture and mask.
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(FileHeader + 8), BinaryPrimitives.ReadInt32LittleEndian(picture[8..]) / 2);
        return bmp;
    }

    private static int HeaderAndColors(ReadOnlySpan<byte> picture)
    {
        var bits = BinaryPrimitives.ReadUInt16LittleEndian(picture[14..]);
        var colors = BinaryPrimitives.ReadUInt32LittleEndian(picture[32..]);
        return 40 + (4 * (int)Math.Min(colors > 0 ? colors : bits <= 8 ? 1u << bits : 0, 256));
    }
}
