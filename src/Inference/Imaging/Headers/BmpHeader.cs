using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>BMP: a file header of 14 bytes, then one of several headers that start with their own size (wingdi.h, BITMAPINFOHEADER).</summary>
internal static class BmpHeader
{
    private const int FileHeader = 14, CoreHeader = 12, PlaceOfData = 10;

    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        if (file.Length < FileHeader + CoreHeader)
        {
            throw ImageHeader.Damaged("bmp");
        }

        var header = file[FileHeader..];
        var size = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (size < CoreHeader || size > header.Length || (size != CoreHeader && size < 16))
        {
            throw ImageHeader.Damaged("bmp");
        }

        // A negative height says that the first row comes first.
        var core = size == CoreHeader;
        long width = core ? BinaryPrimitives.ReadUInt16LittleEndian(header[4..]) : BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        var height = core ? BinaryPrimitives.ReadUInt16LittleEndian(header[6..]) : Math.Abs((long)BinaryPrimitives.ReadInt32LittleEndian(header[8..]));
        var bits = BinaryPrimitives.ReadUInt16LittleEndian(header[(core ? 10 : 14)..]);
        if (width < 1 || height < 1)
        {
            throw ImageHeader.Damaged("bmp");
        }

        if (bits is not (1 or 2 or 4 or 8 or 16 or 24 or 32))
        {
            throw ImageHeader.Unsupported("bmp", $"has {Counted.Of(bits, "bit")} per pixel", "save it with 24 bits, or as PNG");
        }

        // Rows fill whole words of 32 bits. Run-length coded pictures (1 and 2) say how long they are instead.
        var compression = core || size < 24 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(header[16..]);
        var data = compression is 1 or 2 ? BinaryPrimitives.ReadUInt32LittleEndian(header[20..]) : ((width * bits) + 31) / 32 * 4 * height;
        // Where nothing says what the fourth byte of a pixel is, it is nothing (BITMAPINFOHEADER: "the high byte in each DWORD is not used").
        var alpha = bits == 32 && compression != 0;
        return new ImageHeader
        {
            Format = "bmp",
            Width = width,
            Height = height,
            Bands = alpha ? 4 : 3,
            HasAlpha = alpha,
            IsComplete = BinaryPrimitives.ReadUInt32LittleEndian(file[PlaceOfData..]) + data <= file.Length,
        };
    }

    /// <summary>
    /// The file with as many colours as its pixels can name, black for those that it lacks, as browsers have it. ImageSharp takes a shorter palette's colours
    /// for ones of three bytes, and refuses pixels beyond it.
    /// </summary>
    public static ReadOnlyMemory<byte> WithWholePalette(ReadOnlyMemory<byte> file)
    {
        const int Colors = 46;
        var from = file.Span;
        var size = (int)BinaryPrimitives.ReadUInt32LittleEndian(from[FileHeader..]);
        var core = size == CoreHeader;
        var bits = BinaryPrimitives.ReadUInt16LittleEndian(from[(FileHeader + (core ? 10 : 14))..]);
        var (palette, each, whole) = (FileHeader + size, core ? 3 : 4, 1 << bits);
        var data = BinaryPrimitives.ReadUInt32LittleEndian(from[PlaceOfData..]);
        if (bits > 8 || data < palette || data > from.Length)
        {
            return file;
        }

        var named = core || palette < Colors + 4 ? 0 : BinaryPrimitives.ReadUInt32LittleEndian(from[Colors..]);
        // The oldest header leaves their number to the place of the pixels; others name it, and where it is not there the file is damaged.
        var (room, colors) = ((data - palette) / each, named == 0 ? whole : (int)Math.Min(named, whole));
        colors = core ? (int)Math.Min(room, colors) : colors;
        if (colors >= whole || colors > room)
        {
            return file;
        }

        var place = palette + (whole * each);
        var longer = new byte[place + (from.Length - (int)data)];
        from[..(palette + (colors * each))].CopyTo(longer);
        from[(int)data..].CopyTo(longer.AsSpan(place));
        BinaryPrimitives.WriteUInt32LittleEndian(longer.AsSpan(PlaceOfData), (uint)place);
        if (!core)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(longer.AsSpan(Colors), 0);
        }

        return longer;
    }
}
