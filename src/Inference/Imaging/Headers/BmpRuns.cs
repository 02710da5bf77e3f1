using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// BMP in runs (wingdi.h, BI_RLE8 and BI_RLE4), unpacked. ImageSharp goes on in the next row where a run is longer than its own, as ImageMagick's are, and
/// makes up what no run covers.
/// </summary>
internal static class BmpRuns
{
    // Rows that are coded as they would lie in a file that is not: in words of 32 bits.
    private const int MostBeyondRow = 3;

    /// <summary>The same picture with eight bits for each pixel, not coded. What is not in runs is given as it is.</summary>
    /// <exception cref="InvalidDataException">There are too few pixels, or too many.</exception>
    public static ReadOnlyMemory<byte> Unpack(ReadOnlyMemory<byte> file, ImageHeader header)
    {
        const int PlaceOfData = 10, Bits = 28, Compression = 30, Bytes = 34, Colors = 46, Headers = 54;
        var packed = file.Span;
        // Headers older than this one know no runs.
        var kind = packed.Length < Headers || BinaryPrimitives.ReadUInt32LittleEndian(packed[14..]) < 40
            ? 0
            : BinaryPrimitives.ReadUInt32LittleEndian(packed[Compression..]);
        if (kind is not (1 or 2))
        {
            return file;
        }

        var place = BinaryPrimitives.ReadUInt32LittleEndian(packed[PlaceOfData..]);
        if (place < Headers || place > packed.Length)
        {
            throw new InvalidDataException("The pixels lie outside of the file.");
        }

        var stride = (int)((header.Width + 3) / 4 * 4);
        var plain = new byte[place + (stride * header.Height)];
        packed[..(int)place].CopyTo(plain);
        BinaryPrimitives.WriteUInt16LittleEndian(plain.AsSpan(Bits), 8);
        BinaryPrimitives.WriteUInt32LittleEndian(plain.AsSpan(Compression), 0);
        BinaryPrimitives.WriteUInt32LittleEndian(plain.AsSpan(Bytes), (uint)(plain.Length - place));
        if (kind == 2 && BinaryPrimitives.ReadUInt32LittleEndian(packed[Colors..]) == 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(plain.AsSpan(Colors), 16);
        }

        Unpack(packed[(int)place..], kind == 2, header, plain.AsSpan((int)place), stride);
        return plain;
    }

    private static void Unpack(ReadOnlySpan<byte> data, bool halves, ImageHeader header, Span<byte> rows, int stride)
    {
        var (x, y, covered) = (0, 0, 0L);
        while (data.Length > 1 && y < header.Height)
        {
            var (count, value) = (data[0], data[1]);
            data = data[2..];
            if (count == 0 && value < 3)
            {
                // The end of a row, the end of all, and a jump.
                (x, y) = value switch { 0 => (0, y + 1), 2 when data.Length > 1 => (x + data[0], y + data[1]), _ => (x, (int)header.Height) };
                data = value == 2 ? data[Math.Min(2, data.Length)..] : data;
                continue;
            }

            // A run repeats one byte; else there are as many pixels as the second says, in words of 16 bits.
            var pixels = count > 0 ? count : value;
            var bytes = halves ? (pixels + 1) / 2 : pixels;
            if (x + pixels > header.Width + MostBeyondRow || (count == 0 && data.Length < bytes))
            {
                break;
            }

            for (var i = 0; i < pixels && x + i < header.Width; i++, covered++)
            {
                var coded = count > 0 ? value : data[halves ? i / 2 : i];
                rows[(y * stride) + x + i] = !halves ? coded : i % 2 == 0 ? (byte)(coded >> 4) : (byte)(coded & 15);
            }

            x += pixels;
            data = count > 0 ? data : data[Math.Min(bytes + (bytes & 1), data.Length)..];
        }

        if (covered != header.Width * header.Height)
        {
            throw new InvalidDataException("The runs cover more or fewer pixels than there are.");
        }
    }
}
