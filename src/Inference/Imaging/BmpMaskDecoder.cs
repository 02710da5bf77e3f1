using System.Buffers.Binary;
using System.Numerics;
using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging;

/// <summary>
/// BMP whose colours lie under masks of their own (wingdi.h, BI_BITFIELDS and BI_ALPHABITFIELDS): 4, 4 and 4 bits of a pixel's 16, say, or 10, 10 and 10 of 32.
/// ImageSharp knows the widths that are usual, and takes the numbers under others for what they are.
/// </summary>
internal static class BmpMaskDecoder
{
    private const int PlaceOfData = 10, HeaderSize = 14, Height = 22, Bits = 28, Compression = 30, Masks = 54;
    private const int InfoHeader = 40, HeaderWithAlpha = 56;

    /// <summary>Decodes it; <see langword="null"/> where the colours lie as in other files, which are the library's.</summary>
    public static RgbImage? TryDecode(ReadOnlySpan<byte> file, ImageHeader header, CancellationToken cancellationToken)
    {
        const int byMasks = 3, byMasksWithAlpha = 6;
        if (file.Length < Masks + 16 || Number(file, HeaderSize) < InfoHeader || Number(file, Compression) is not (byMasks or byMasksWithAlpha))
        {
            return null;
        }

        var alpha = Number(file, HeaderSize) >= HeaderWithAlpha || Number(file, Compression) == byMasksWithAlpha;
        Span<Sample> samples =
            [new(Number(file, Masks)), new(Number(file, Masks + 4)), new(Number(file, Masks + 8)), new(alpha ? Number(file, Masks + 12) : 0)];
        var bits = BinaryPrimitives.ReadUInt16LittleEndian(file[Bits..]);
        var usual = bits == 16 ? samples[0].Width == 5 && samples[1].Width is 5 or 6 && samples[2].Width == 5
            : samples[0].Width == 8 && samples[1].Width == 8 && samples[2].Width == 8 && samples[3].Width is 0 or 8;
        if (bits is not (16 or 32) || usual)
        {
            return null;
        }

        if ((samples[0].Mask | samples[1].Mask | samples[2].Mask) == 0)
        {
            throw ImageHeader.Damaged("bmp");
        }

        var all = 0u;
        foreach (var sample in samples)
        {
            if (!sample.IsSound || (all & sample.Mask) != 0 || (bits == 16 && sample.Mask > ushort.MaxValue))
            {
                throw ImageHeader.Unsupported("bmp", "has colours whose bits lie apart or are shared", "save it with 24 bits, or as PNG");
            }

            all |= sample.Mask;
        }

        var (width, height, place) = ((int)header.Width, (int)header.Height, (int)Number(file, PlaceOfData));
        var stride = (int)(((header.Width * bits) + 31) / 32 * 4);
        var downwards = BinaryPrimitives.ReadInt32LittleEndian(file[Height..]) < 0;
        var picture = new RgbImage(width, height) { OriginalWidth = width, OriginalHeight = height, Format = header.Format };
        try
        {
            var row = new byte[width * 4];
            for (var y = 0; y < height; y++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var coded = file.Slice(place + ((downwards ? y : height - 1 - y) * stride), stride);
                for (var x = 0; x < width; x++)
                {
                    var pixel = bits == 16 ? BinaryPrimitives.ReadUInt16LittleEndian(coded[(x * 2)..]) : Number(coded, x * 4);
                    for (var sample = 0; sample < samples.Length; sample++)
                    {
                        row[(x * 4) + sample] = samples[sample].Of(pixel, none: sample == 3 ? (byte)255 : (byte)0);
                    }
                }

                RgbRows.ToRgb(row, 4, cmyk: false, picture.Pixels.Slice(y * width * 3, width * 3));
            }

            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
    }

    private static uint Number(ReadOnlySpan<byte> file, int at) => BinaryPrimitives.ReadUInt32LittleEndian(file[at..]);

    /// <summary>One colour, or the opacity, of a pixel.</summary>
    private readonly record struct Sample(uint Mask)
    {
        private readonly int _shift = BitOperations.TrailingZeroCount(Mask);

        public int Width => BitOperations.PopCount(Mask);

        /// <summary>That its bits lie together.</summary>
        public bool IsSound => (Largest & (Largest + 1)) == 0;

        private uint Largest => Mask >> _shift;

        /// <summary>As 8 bits.</summary>
        public byte Of(uint pixel, byte none) => Mask == 0 ? none : RgbRows.To8Bits((pixel & Mask) >> _shift, Largest);
    }
}
