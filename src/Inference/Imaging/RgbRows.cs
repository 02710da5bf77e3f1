using System.Runtime.InteropServices;

namespace Whatsit.Inference.Imaging;

/// <summary>Turns rows of grey, RGB or CMYK samples, with or without transparency, into 8-bit RGB rows.</summary>
internal static class RgbRows
{
    /// <summary>16 bits to 8: scaled, so that 0xFFFF becomes 0xFF, and rounded; the high byte alone would darken.</summary>
    public static void To8Bits(ReadOnlySpan<byte> rows, Span<byte> samples)
    {
        var wide = MemoryMarshal.Cast<byte, ushort>(rows);
        for (var i = 0; i < wide.Length; i++)
        {
            // round(value ÷ 257) for every 16-bit value
            samples[i] = (byte)((wide[i] * 255 + 32895) >> 16);
        }
    }

    /// <summary>A sample of 0 to any largest one, scaled and rounded.</summary>
    public static byte To8Bits(long sample, long largest) => (byte)(((sample * 255) + (largest / 2)) / largest);

    /// <summary>8-bit samples to RGB. Bands beyond colour and transparency are ignored.</summary>
    public static void ToRgb(ReadOnlySpan<byte> samples, int bands, bool cmyk, Span<byte> rgb)
    {
        switch (bands)
        {
            case >= 4 when cmyk:
                FromCmyk(samples, bands, rgb);
                break;
            case 1:
                FromGrey(samples, rgb);
                break;
            case 2:
                FromGreyWithAlpha(samples, rgb);
                break;
            case 4:
                FromRgbWithAlpha(samples, rgb);
                break;
            default:
                FromRgb(samples, bands, rgb);
                break;
        }
    }

    private static void FromRgb(ReadOnlySpan<byte> samples, int bands, Span<byte> rgb)
    {
        for (int from = 0, to = 0; from + bands <= samples.Length; from += bands, to += 3)
        {
            samples.Slice(from, 3).CopyTo(rgb[to..]);
        }
    }

    private static void FromGrey(ReadOnlySpan<byte> samples, Span<byte> rgb)
    {
        for (var i = 0; i < samples.Length; i++)
        {
            rgb.Slice(i * 3, 3).Fill(samples[i]);
        }
    }

    private static void FromGreyWithAlpha(ReadOnlySpan<byte> samples, Span<byte> rgb)
    {
        for (int from = 0, to = 0; from < samples.Length; from += 2, to += 3)
        {
            rgb.Slice(to, 3).Fill(OnWhite(samples[from], samples[from + 1]));
        }
    }

    private static void FromRgbWithAlpha(ReadOnlySpan<byte> samples, Span<byte> rgb)
    {
        for (int from = 0, to = 0; from < samples.Length; from += 4, to += 3)
        {
            var alpha = samples[from + 3];
            rgb[to] = OnWhite(samples[from], alpha);
            rgb[to + 1] = OnWhite(samples[from + 1], alpha);
            rgb[to + 2] = OnWhite(samples[from + 2], alpha);
        }
    }

    // As Pillow (Convert.c, cmyk2rgb) and browsers do it where no profile says better: each ink takes its share of what black leaves.
    private static void FromCmyk(ReadOnlySpan<byte> samples, int bands, Span<byte> rgb)
    {
        for (int from = 0, to = 0; from < samples.Length; from += bands, to += 3)
        {
            var light = 255 - samples[from + 3];
            rgb[to] = Divide255(light * (255 - samples[from]));
            rgb[to + 1] = Divide255(light * (255 - samples[from + 1]));
            rgb[to + 2] = Divide255(light * (255 - samples[from + 2]));
        }
    }

    private static byte OnWhite(byte value, byte alpha) => Divide255((value * alpha) + (255 * (255 - alpha)));

    // round(value ÷ 255) for 0 … 255 × 255
    private static byte Divide255(int value) => (byte)((value + 128 + ((value + 128) >> 8)) >> 8);
}
