using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>What processors have an instruction for and <see cref="Vector256"/> has not; without that instruction, the same numbers.</summary>
internal static class JpegVectors
{
    /// <summary>Of both numbers the lower half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Pair(Vector256<int> first, Vector256<int> second) => ((first & Vector256.Create(0xFFFF)) | (second << 16)).AsInt16();

    /// <summary>Of each pair, both times a factor of 16 bits, and added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Products(Vector256<short> pairs, int first, int second)
    {
        if (Avx2.IsSupported)
        {
            return Avx2.MultiplyAddAdjacent(pairs, Vector256.Create((first & 0xFFFF) | (second << 16)).AsInt16());
        }

        var both = pairs.AsInt32();
        return (((both << 16) >> 16) * first) + ((both >> 16) * second);
    }

    /// <summary>Limited to 16 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<short> Narrow(Vector256<int> first, Vector256<int> second)
    {
        // The instruction takes turns: four of the one, four of the other.
        const byte InOrder = 0b11_01_10_00;
        return Avx2.IsSupported
            ? Avx2.Permute4x64(Avx2.PackSignedSaturate(first, second).AsInt64(), InOrder).AsInt16()
            : Vector256.NarrowWithSaturation(first, second);
    }

    /// <summary>Limited to 0 … 255.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<byte> Narrow(Vector256<short> samples)
    {
        if (Sse2.IsSupported)
        {
            return Sse2.PackUnsignedSaturate(samples.GetLower(), samples.GetUpper());
        }

        var limited = Vector256.Max(samples, default).AsUInt16();
        return Vector128.NarrowWithSaturation(limited.GetLower(), limited.GetUpper());
    }

    /// <summary>Rows become columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(ref Vector256<int> v0, ref Vector256<int> v1, ref Vector256<int> v2, ref Vector256<int> v3,
        ref Vector256<int> v4, ref Vector256<int> v5, ref Vector256<int> v6, ref Vector256<int> v7)
    {
        if (!Avx2.IsSupported)
        {
            Span<int> rows = stackalloc int[64];
            v0.CopyTo(rows);
            v1.CopyTo(rows[8..]);
            v2.CopyTo(rows[16..]);
            v3.CopyTo(rows[24..]);
            v4.CopyTo(rows[32..]);
            v5.CopyTo(rows[40..]);
            v6.CopyTo(rows[48..]);
            v7.CopyTo(rows[56..]);
            (v0, v1, v2, v3) = (Column(rows), Column(rows[1..]), Column(rows[2..]), Column(rows[3..]));
            (v4, v5, v6, v7) = (Column(rows[4..]), Column(rows[5..]), Column(rows[6..]), Column(rows[7..]));
            return;
        }

        Vector256<long> low01 = Avx2.UnpackLow(v0, v1).AsInt64(), high01 = Avx2.UnpackHigh(v0, v1).AsInt64();
        Vector256<long> low23 = Avx2.UnpackLow(v2, v3).AsInt64(), high23 = Avx2.UnpackHigh(v2, v3).AsInt64();
        Vector256<long> low45 = Avx2.UnpackLow(v4, v5).AsInt64(), high45 = Avx2.UnpackHigh(v4, v5).AsInt64();
        Vector256<long> low67 = Avx2.UnpackLow(v6, v7).AsInt64(), high67 = Avx2.UnpackHigh(v6, v7).AsInt64();
        Vector256<int> a0 = Avx2.UnpackLow(low01, low23).AsInt32(), a1 = Avx2.UnpackHigh(low01, low23).AsInt32();
        Vector256<int> a2 = Avx2.UnpackLow(high01, high23).AsInt32(), a3 = Avx2.UnpackHigh(high01, high23).AsInt32();
        Vector256<int> b0 = Avx2.UnpackLow(low45, low67).AsInt32(), b1 = Avx2.UnpackHigh(low45, low67).AsInt32();
        Vector256<int> b2 = Avx2.UnpackLow(high45, high67).AsInt32(), b3 = Avx2.UnpackHigh(high45, high67).AsInt32();
        const byte Lower = 0x20, Upper = 0x31;
        v0 = Avx2.Permute2x128(a0, b0, Lower);
        v1 = Avx2.Permute2x128(a1, b1, Lower);
        v2 = Avx2.Permute2x128(a2, b2, Lower);
        v3 = Avx2.Permute2x128(a3, b3, Lower);
        v4 = Avx2.Permute2x128(a0, b0, Upper);
        v5 = Avx2.Permute2x128(a1, b1, Upper);
        v6 = Avx2.Permute2x128(a2, b2, Upper);
        v7 = Avx2.Permute2x128(a3, b3, Upper);

        static Vector256<int> Column(ReadOnlySpan<int> rows) =>
            Vector256.Create(rows[0], rows[8], rows[16], rows[24], rows[32], rows[40], rows[48], rows[56]);
    }
}
