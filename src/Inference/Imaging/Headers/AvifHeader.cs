using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// AVIF (and HEIC): ISO/IEC 23008-12, boxes inside boxes; <c>ispe</c> has a picture's size. Turning is the container's own matter and done by its reader.
/// </summary>
internal static class AvifHeader
{
    public static ImageHeader Read(ReadOnlySpan<byte> file, string format)
    {
        // meta is a full box: four bytes of version and flags come before its children. It has a size for each of its pictures: thumbnails, tiles and the
        // whole.
        var properties = Find(Find(Skip(Find(file, "meta"u8), 4), "iprp"u8), "ipco"u8);
        (long width, long height, var bits, var alpha) = (0, 0, 8, false);
        for (var rest = properties; Next(ref rest, out var type, out var body);)
        {
            if (type.SequenceEqual("ispe"u8) && body.Length >= 12)
            {
                long across = BinaryPrimitives.ReadUInt32BigEndian(body[4..]), down = BinaryPrimitives.ReadUInt32BigEndian(body[8..]);
                if (across * down > width * height)
                {
                    (width, height) = (across, down);
                }
            }
            else if (type.SequenceEqual("av1C"u8) && body.Length >= 3)
            {
                bits = (body[2] & 0x40) != 0 ? 16 : bits;
            }
            else if (type.SequenceEqual("auxC"u8))
            {
                alpha |= body.IndexOf("alpha"u8) >= 0;
            }
        }

        return width > 0 && height > 0
            ? new ImageHeader { Format = format, Width = width, Height = height, Bits = bits, Bands = alpha ? 4 : 3, HasAlpha = alpha }
            : throw ImageHeader.Damaged(format);
    }

    private static ReadOnlySpan<byte> Find(ReadOnlySpan<byte> boxes, ReadOnlySpan<byte> name)
    {
        for (var rest = boxes; Next(ref rest, out var type, out var body);)
        {
            if (type.SequenceEqual(name))
            {
                return body;
            }
        }

        return [];
    }

    // ISO/IEC 14496-12, 4.2: size and type; size 1 means that 64 bits follow, 0 that the box goes on to the end.
    private static bool Next(scoped ref ReadOnlySpan<byte> boxes, out ReadOnlySpan<byte> type, out ReadOnlySpan<byte> body)
    {
        type = body = default;
        if (boxes.Length < 8)
        {
            return false;
        }

        ulong size = BinaryPrimitives.ReadUInt32BigEndian(boxes);
        var head = 8;
        if (size == 1 && boxes.Length >= 16)
        {
            (size, head) = (BinaryPrimitives.ReadUInt64BigEndian(boxes[8..]), 16);
        }

        var length = size == 0 ? boxes.Length : (int)Math.Min(size, (ulong)boxes.Length);
        if (length < head)
        {
            return false;
        }

        type = boxes.Slice(4, 4);
        body = boxes[head..length];
        boxes = boxes[length..];
        return true;
    }

    private static ReadOnlySpan<byte> Skip(ReadOnlySpan<byte> bytes, int count) => bytes.Length < count ? [] : bytes[count..];
}
