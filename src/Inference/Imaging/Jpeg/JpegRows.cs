using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Rows of samples: enlarged as libjpeg does it, and as RGB.</summary>
internal static class JpegRows
{
    /// <summary>Sums of weights as samples.</summary>
    public static Vector128<byte> Limit(Vector256<int> first, Vector256<int> second) =>
        JpegVectors.Narrow(JpegVectors.Narrow(first >> JpegWeights.Bits, second >> JpegWeights.Bits));

    /// <summary>Every sample <paramref name="times"/> times.</summary>
    public static void Repeat(ReadOnlySpan<byte> samples, int times, Span<byte> row)
    {
        for (var x = 0; x < row.Length; x++)
        {
            row[x] = samples[x / times];
        }
    }

    /// <summary>Twice as many samples: three quarters of the nearer, one quarter of the farther; halves are rounded down and up in turn (jdsample.c).</summary>
    public static void Widen(ReadOnlySpan<byte> samples, Span<byte> row)
    {
        var last = samples.Length - 1;
        row[0] = samples[0];
        row[(2 * last) + 1] = samples[last];
        var x = 1;
        for (; x + 16 <= last; x += 16)
        {
            var three = Wide(samples[x..]) * 3;
            Zip((three + Wide(samples[(x - 1)..]) + Vector256.Create((ushort)1)) >> 2, (three + Wide(samples[(x + 1)..]) + Vector256.Create((ushort)2)) >> 2,
                row[(2 * x)..]);
        }

        // What lies between two samples, from the one before on.
        row[1] = last > 0 ? (byte)(((3 * samples[0]) + samples[1] + 2) >> 2) : row[1];
        for (; x <= last; x++)
        {
            row[2 * x] = (byte)(((3 * samples[x]) + samples[x - 1] + 1) >> 2);
            if (x < last)
            {
                row[(2 * x) + 1] = (byte)(((3 * samples[x]) + samples[x + 1] + 2) >> 2);
            }
        }
    }

    /// <summary>
    /// A row between two: three quarters of the nearer, one quarter of the farther, and <paramref name="bias"/> of 1 or 2 to round a half down or up.
    /// </summary>
    public static void Blend(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far, int bias, Span<byte> row)
    {
        var x = 0;
        for (; x + 16 <= row.Length; x += 16)
        {
            var blended = ((Wide(near[x..]) * 3) + Wide(far[x..]) + Vector256.Create((ushort)bias)) >> 2;
            Vector128.Narrow(blended.GetLower(), blended.GetUpper()).CopyTo(row[x..]);
        }

        for (; x < row.Length; x++)
        {
            row[x] = (byte)(((3 * near[x]) + far[x] + bias) >> 2);
        }
    }

    /// <summary>A row between two with twice as many samples, rounded once.</summary>
    public static void BlendAndWiden(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far, Span<byte> row)
    {
        var last = near.Length - 1;
        row[0] = (byte)(((4 * Sum(near, far, 0)) + 8) >> 4);
        row[(2 * last) + 1] = (byte)(((4 * Sum(near, far, last)) + 7) >> 4);
        var x = 1;
        for (; x + 16 <= last; x += 16)
        {
            var three = Sums(near, far, x) * 3;
            Zip((three + Sums(near, far, x - 1) + Vector256.Create((ushort)8)) >> 4, (three + Sums(near, far, x + 1) + Vector256.Create((ushort)7)) >> 4,
                row[(2 * x)..]);
        }

        row[1] = last > 0 ? (byte)(((3 * Sum(near, far, 0)) + Sum(near, far, 1) + 7) >> 4) : row[1];
        for (; x <= last; x++)
        {
            row[2 * x] = (byte)(((3 * Sum(near, far, x)) + Sum(near, far, x - 1) + 8) >> 4);
            if (x < last)
            {
                row[(2 * x) + 1] = (byte)(((3 * Sum(near, far, x)) + Sum(near, far, x + 1) + 7) >> 4);
            }
        }

        static int Sum(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far, int x) => (3 * near[x]) + far[x];

        static Vector256<ushort> Sums(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far, int x) => (Wide(near[x..]) * 3) + Wide(far[x..]);
    }

    /// <summary>16 samples with room for sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ushort> Wide(ReadOnlySpan<byte> samples) => Vector256.WidenLower(Vector128.Create(samples).ToVector256Unsafe());

    /// <summary>Two rows of 16 samples in turn.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Zip(Vector256<ushort> even, Vector256<ushort> odd, Span<byte> row) => (even | (odd << 8)).AsByte().CopyTo(row);

    /// <summary>Three rows as one.</summary>
    public static void FromRgb(ReadOnlySpan<byte> red, ReadOnlySpan<byte> green, ReadOnlySpan<byte> blue, Span<byte> rgb)
    {
        var x = 0;
        for (; x + 16 <= red.Length; x += 16)
        {
            Interleave(Vector128.Create(red[x..]), Vector128.Create(green[x..]), Vector128.Create(blue[x..]), rgb[(x * 3)..]);
        }

        for (; x < red.Length; x++)
        {
            (rgb[x * 3], rgb[(x * 3) + 1], rgb[(x * 3) + 2]) = (red[x], green[x], blue[x]);
        }
    }

    /// <summary>ITU-T T.871, 7, with libjpeg's 16 bits behind the point and its rounding (jdcolor.c).</summary>
    public static void FromYCbCr(ReadOnlySpan<byte> luma, ReadOnlySpan<byte> cb, ReadOnlySpan<byte> cr, Span<byte> rgb)
    {
        const int Half = 1 << 15, One = 1 << 16, RedOfCr = 91881, GreenOfCb = -22554, GreenOfCr = -46802, BlueOfCb = 116130;
        if (luma.Length < 16)
        {
            for (var x = 0; x < luma.Length; x++)
            {
                int blueness = cb[x] - 128, redness = cr[x] - 128;
                rgb[x * 3] = Limit(luma[x] + (((RedOfCr * redness) + Half) >> 16));
                rgb[(x * 3) + 1] = Limit(luma[x] + (((GreenOfCb * blueness) + (GreenOfCr * redness) + Half) >> 16));
                rgb[(x * 3) + 2] = Limit(luma[x] + (((BlueOfCb * blueness) + Half) >> 16));
            }

            return;
        }

        for (var at = 0; at < luma.Length; at += 16)
        {
            // The last vector is moved back to end with the row. Factors have to be within ±32767: whole ones are added.
            var x = Math.Min(at, luma.Length - 16);
            Vector256<short> y = Signed(luma, x, 0), blueness = Signed(cb, x, 128), redness = Signed(cr, x, 128);
            Vector256<int> blue = blueness.AsInt32(), red = redness.AsInt32();
            Vector256<short> even = JpegVectors.Pair(blue, red), odd = JpegVectors.Pair(blue >>> 16, red >>> 16);
            var r = y + redness + Rounded(even, odd, 0, RedOfCr - One);
            var g = y - redness + Rounded(even, odd, GreenOfCb, GreenOfCr + One);
            var b = y + blueness + blueness + Rounded(even, odd, BlueOfCb - (2 * One), 0);
            Interleave(JpegVectors.Narrow(r), JpegVectors.Narrow(g), JpegVectors.Narrow(b), rgb[(x * 3)..]);
        }

        static Vector256<short> Signed(ReadOnlySpan<byte> samples, int x, short zero) => Wide(samples[x..]).AsInt16() - Vector256.Create(zero);

        static Vector256<short> Rounded(Vector256<short> even, Vector256<short> odd, int ofCb, int ofCr)
        {
            var half = Vector256.Create(Half);
            Vector256<int> first = JpegVectors.Products(even, ofCb, ofCr) + half, second = JpegVectors.Products(odd, ofCb, ofCr) + half;
            return ((first >>> 16) | (second & Vector256.Create(~0xFFFF))).AsInt16();
        }

        static byte Limit(int value) => (byte)Math.Clamp(value, 0, 255);
    }

    /// <summary>16 pixels as 48 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Interleave(Vector128<byte> red, Vector128<byte> green, Vector128<byte> blue, Span<byte> rgb)
    {
        rgb = rgb[..48];
        // An index of 16 or more gives zero.
        const byte None = 255;
        (Vector128.Shuffle(red, Vector128.Create(0, None, None, 1, None, None, 2, None, None, 3, None, None, 4, None, None, 5))
            | Vector128.Shuffle(green, Vector128.Create(None, 0, None, None, 1, None, None, 2, None, None, 3, None, None, 4, None, None))
            | Vector128.Shuffle(blue, Vector128.Create(None, None, 0, None, None, 1, None, None, 2, None, None, 3, None, None, 4, None))).CopyTo(rgb);
        (Vector128.Shuffle(red, Vector128.Create(None, None, 6, None, None, 7, None, None, 8, None, None, 9, None, None, 10, None))
            | Vector128.Shuffle(green, Vector128.Create(5, None, None, 6, None, None, 7, None, None, 8, None, None, 9, None, None, 10))
            | Vector128.Shuffle(blue, Vector128.Create(None, 5, None, None, 6, None, None, 7, None, None, 8, None, None, 9, None, None))).CopyTo(rgb[16..]);
        (Vector128.Shuffle(red, Vector128.Create(None, 11, None, None, 12, None, None, 13, None, None, 14, None, None, 15, None, None))
            | Vector128.Shuffle(green, Vector128.Create(None, None, 11, None, None, 12, None, None, 13, None, None, 14, None, None, 15, None))
            | Vector128.Shuffle(blue, Vector128.Create(10, None, None, 11, None, None, 12, None, None, 13, None, None, 14, None, None, 15))).CopyTo(rgb[32..]);
    }
}
