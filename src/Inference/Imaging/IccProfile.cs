using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging;

/// <summary>Recognises a profile that says no more than "sRGB": most profiles in photos do, and converting through them costs more than decoding.</summary>
internal static class IccProfile
{
    // IEC 61966-2-1's primaries adapted to D50, as every sRGB profile states them, in X Y Z. ICC.1:2022, rXYZ gXYZ bXYZ.
    private static readonly double[] Red = [0.4361, 0.2225, 0.0139];
    private static readonly double[] Green = [0.3851, 0.7169, 0.0971];
    private static readonly double[] Blue = [0.1431, 0.0606, 0.7141];

    /// <summary>Whether a picture with this profile can be taken as it is: the primaries and the tone curve are those of sRGB.</summary>
    public static bool IsSrgb(ReadOnlySpan<byte> profile) =>
        profile.Length >= 132
        && profile.Slice(16, 4).SequenceEqual("RGB "u8)
        && IsColorant(profile, "rXYZ"u8, Red)
        && IsColorant(profile, "gXYZ"u8, Green)
        && IsColorant(profile, "bXYZ"u8, Blue)
        && IsSrgbCurve(Tag(profile, "rTRC"u8))
        && IsSrgbCurve(Tag(profile, "gTRC"u8))
        && IsSrgbCurve(Tag(profile, "bTRC"u8))
        // A table, where there is one, comes before primaries and curves.
        && Tag(profile, "A2B0"u8).IsEmpty;

    private static bool IsColorant(ReadOnlySpan<byte> profile, ReadOnlySpan<byte> name, double[] expected)
    {
        // XYZType: signature, reserved, three s15Fixed16Numbers
        var tag = Tag(profile, name);
        if (tag.Length < 20 || !tag.StartsWith("XYZ "u8))
        {
            return false;
        }

        for (var i = 0; i < 3; i++)
        {
            if (Math.Abs(Fixed(tag, 8 + (i * 4)) - expected[i]) > 0.002)
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsSrgbCurve(ReadOnlySpan<byte> tag)
    {
        // Compared at a dark, a middle and a bright value: a plain gamma of 2.2 differs in the dark one.
        foreach (var value in (ReadOnlySpan<double>)[0.05, 0.2, 0.5, 0.8])
        {
            var expected = Math.Pow((value + 0.055) / 1.055, 2.4);
            if (!(Math.Abs(Evaluate(tag, value) - expected) < 0.001 + (expected * 0.01)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The curve's value, or NaN for a curve that is not understood.</summary>
    private static double Evaluate(ReadOnlySpan<byte> tag, double value)
    {
        if (tag.Length >= 12 && tag.StartsWith("curv"u8))
        {
            var count = BinaryPrimitives.ReadInt32BigEndian(tag[8..]);
            if (count < 2 || tag.Length < 12 + ((long)count * 2))
            {
                // One entry is a plain gamma, none is linear: neither is sRGB.
                return double.NaN;
            }

            var at = value * (count - 1);
            var below = Math.Min((int)at, count - 2);
            double low = BinaryPrimitives.ReadUInt16BigEndian(tag[(12 + (below * 2))..]);
            double high = BinaryPrimitives.ReadUInt16BigEndian(tag[(14 + (below * 2))..]);
            return (low + ((high - low) * (at - below))) / 65535;
        }
        // parametricCurveType 3 and 4: Y = (aX + b)^g (+ e) from d on, cX (+ f) below
        if (tag.Length >= 32 && tag.StartsWith("para"u8) && BinaryPrimitives.ReadUInt16BigEndian(tag[8..]) is 3 or 4)
        {
            double g = Fixed(tag, 12), a = Fixed(tag, 16), b = Fixed(tag, 20), c = Fixed(tag, 24), d = Fixed(tag, 28);
            return value >= d ? Math.Pow((a * value) + b, g) : c * value;
        }

        return double.NaN;
    }

    private static double Fixed(ReadOnlySpan<byte> tag, int at) => BinaryPrimitives.ReadInt32BigEndian(tag[at..]) / 65536.0;

    /// <summary>A tag's data, empty where the profile has none of that name or is damaged. The table starts after the 128-byte header.</summary>
    private static ReadOnlySpan<byte> Tag(ReadOnlySpan<byte> profile, ReadOnlySpan<byte> name)
    {
        var count = Math.Min(BinaryPrimitives.ReadUInt32BigEndian(profile[128..]), 100);
        for (var at = 132; count > 0 && at + 12 <= profile.Length; at += 12, count--)
        {
            if (profile.Slice(at, 4).SequenceEqual(name))
            {
                var offset = BinaryPrimitives.ReadUInt32BigEndian(profile[(at + 4)..]);
                var length = BinaryPrimitives.ReadUInt32BigEndian(profile[(at + 8)..]);
                return (long)offset + length <= profile.Length ? profile.Slice((int)offset, (int)length) : [];
            }
        }

        return [];
    }
}
