using System.Buffers.Binary;
using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging;

/// <summary>
/// Netpbm, https://netpbm.sourceforge.net/doc/pnm.html: after the header rows of samples, each from 0 to the largest value that the header names, as numbers or
/// as one or two bytes; or bits, of which 1 is black.
/// </summary>
internal static class PnmDecoder
{
    /// <summary>Decodes a picture whose size is within the limits.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidImage"/>: samples are missing, or larger than the header says.</exception>
    public static RgbImage Decode(ReadOnlySpan<byte> file, ImageHeader header, CancellationToken cancellationToken)
    {
        if (!header.IsComplete)
        {
            throw ImageHeader.Damaged(header.Format);
        }

        var (kind, largest, at) = PnmHeader.ReadStart(file);
        var (width, height) = ((int)header.Width, (int)header.Height);
        var picture = new RgbImage(width, height) { OriginalWidth = width, OriginalHeight = height, Format = header.Format };
        try
        {
            var samples = new byte[width * header.Bands];
            for (var y = 0; y < height; y++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ReadRow(file, ref at, kind, largest, samples);
                RgbRows.ToRgb(samples, header.Bands, cmyk: false, picture.Pixels.Slice(y * width * 3, width * 3));
            }

            return picture;
        }
        catch
        {
            picture.Dispose();
            throw;
        }
    }

    private static void ReadRow(ReadOnlySpan<byte> file, ref int at, int kind, int largest, Span<byte> samples)
    {
        switch (kind)
        {
            case 4:
                for (var x = 0; x < samples.Length; x++)
                {
                    samples[x] = (file[at + (x / 8)] & (0x80 >> (x % 8))) != 0 ? (byte)0 : (byte)255;
                }

                at += (samples.Length + 7) / 8;
                break;
            case 5 or 6 when largest == 255:
                file.Slice(at, samples.Length).CopyTo(samples);
                at += samples.Length;
                break;
            default:
                for (var x = 0; x < samples.Length; x++)
                {
                    samples[x] = kind == 1 ? Bit(file, ref at) : Scale(ReadSample(file, ref at, kind, largest), largest);
                }

                break;
        }
    }

    private static long ReadSample(ReadOnlySpan<byte> file, ref int at, int kind, int largest)
    {
        if (kind is 2 or 3)
        {
            return PnmHeader.Number(file, ref at);
        }

        var wide = largest > 255;
        var sample = wide ? BinaryPrimitives.ReadUInt16BigEndian(file[at..]) : file[at];
        at += wide ? 2 : 1;
        return sample;
    }

    /// <summary>One digit, which need not stand apart from the next.</summary>
    private static byte Bit(ReadOnlySpan<byte> file, ref int at)
    {
        PnmHeader.SkipBlanks(file, ref at);
        return at < file.Length && file[at] is (byte)'0' or (byte)'1' ? file[at++] == '0' ? (byte)255 : (byte)0 : throw ImageHeader.Damaged("pnm");
    }

    private static byte Scale(long sample, int largest) => sample >= 0 && sample <= largest
        ? RgbRows.To8Bits(sample, largest)
        : throw ImageHeader.Damaged("pnm");
}
