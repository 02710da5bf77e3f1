using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// AVIF (and HEIC): ISO/IEC 23008-12, boxes inside boxes; <c>ispe</c> has a picture's size. Turning is the container's own matter and done by its reader.
/// </summary>
internal static class AvifHeader
{
    public static ImageHeader Read(ReadOnlySpan<byte> file, string format)
    {
        // It has a size for each of its pictures: thumbnails, tiles and the whole.
        var properties = IsoBoxes.Find(IsoBoxes.Find(IsoBoxes.FindMeta(file), "iprp"u8), "ipco"u8);
        (long width, long height, var bits, var alpha) = (0, 0, 8, false);
        foreach (var box in new IsoBoxes(properties))
        {
            var body = box.Body;
            if (box.Is("ispe"u8) && body.Length >= 12)
            {
                long across = BinaryPrimitives.ReadUInt32BigEndian(body[4..]), down = BinaryPrimitives.ReadUInt32BigEndian(body[8..]);
                if (across * down > width * height)
                {
                    (width, height) = (across, down);
                }
            }
            else if (box.Is("av1C"u8) && body.Length >= 3)
            {
                bits = (body[2] & 0x40) != 0 ? 16 : bits;
            }
            else if (box.Is("auxC"u8))
            {
                alpha |= body.IndexOf("alpha"u8) >= 0;
            }
        }

        return width > 0 && height > 0
            ? new ImageHeader { Format = format, Width = width, Height = height, Bits = bits, Bands = alpha ? 4 : 3, HasAlpha = alpha }
            : throw ImageHeader.Damaged(format);
    }
}
