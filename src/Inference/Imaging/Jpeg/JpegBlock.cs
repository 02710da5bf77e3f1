using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>Decodes one block: ITU-T T.81, F.2.2.</summary>
internal static class JpegBlock
{
    private const int Last = 63;

    // From here on, several symbols at once would mostly be too many.
    private const int NearLast = 48;

    private const int ValueShift = 64 - JpegHuffmanTable.ValueBits, SkipShift = 64 - JpegHuffmanTable.SkipBits;

    // What a filled window has at least.
    private const int FilledBits = 56;

    /// <summary>From bits to samples.</summary>
    /// <param name="reader">The bits; <see cref="JpegBitReader.Prepare"/> has seen to it that there are enough.</param>
    /// <param name="component">Its tables, its weights, and the block before.</param>
    /// <param name="rows">Where the block's samples go.</param>
    /// <param name="stride">From one row to the next.</param>
    public static JpegDamageKind Decode<TSamples>(JpegBitReader reader, JpegComponent component, Span<byte> rows, int stride)
        where TSamples : struct, IJpegSamples
    {
        var data = reader.Buffer;
        var window = reader.Window;
        int count = reader.Count, at = reader.At;

        // 1. The mean, as the difference to the block before.
        Fill(data, ref window, ref count, ref at);
        var entry = Symbol(component.Dc, window);
        if (entry == 0)
        {
            return JpegDamageKind.BadCode;
        }

        window <<= entry;
        count -= (byte)entry;
        component.Prediction += entry >> 16;
        if ((uint)(component.Prediction + component.LargestMean) > (uint)component.LargestMean * 2)
        {
            return JpegDamageKind.MeanOutOfRange;
        }

        ReadOnlySpan<int> weights = component.Weights;
        TSamples samples = default;
        // libjpeg, too, keeps 16 bits of a coefficient.
        samples.Start(((short)component.Prediction * weights[0]) + JpegWeights.Bias);

        // 2. All others, unless only the mean counts. Bits and coefficients are in one sum, as entries have them. Filling the window is slower
        // than looking up, so up to four symbols share it; a long one has to be the first. A loop here took a tenth more.
        var ac = component.Ac;
        var values = ac.Values;
        int k = 0, next;
        while (TSamples.Size > 1 && k < Last)
        {
            Fill(data, ref window, ref count, ref at);
            var sum = k << 8;
            entry = values[(int)(window >> ValueShift)];
            if ((byte)entry == 0 && (entry = ac.Decode(window, entry)) == 0)
            {
                return JpegDamageKind.BadCode;
            }

            window <<= entry;
            sum += (ushort)entry;
            // The end of the block adds a 0, so it may be to any coefficient.
            samples.Add(entry >> 16, weights, (sum >> 8) & 63);
            if (sum < Last << 8 && (byte)(next = values[(int)(window >> ValueShift)]) != 0)
            {
                entry = next;
                window <<= entry;
                sum += (ushort)entry;
                samples.Add(entry >> 16, weights, (sum >> 8) & 63);
                if (sum < Last << 8 && (byte)(next = values[(int)(window >> ValueShift)]) != 0)
                {
                    entry = next;
                    window <<= entry;
                    sum += (ushort)entry;
                    samples.Add(entry >> 16, weights, (sum >> 8) & 63);
                    if (sum < Last << 8 && (byte)sum <= FilledBits - JpegHuffmanTable.ValueBits && (byte)(next = values[(int)(window >> ValueShift)]) != 0)
                    {
                        entry = next;
                        window <<= entry;
                        sum += (ushort)entry;
                        samples.Add(entry >> 16, weights, (sum >> 8) & 63);
                    }
                }
            }

            count -= (byte)sum;
            k = sum >> 8;
        }

        // 3. Or passes them, many at once.
        var skips = TSamples.Size == 1 ? ac.Skips : [];
        while (TSamples.Size == 1 && k < Last)
        {
            Fill(data, ref window, ref count, ref at);
            int sum = k << 8, skip = skips[(int)(window >> SkipShift)];
            window <<= skip;
            sum += skip;
            if (sum < Last << 8)
            {
                skip = skips[(int)(window >> SkipShift)];
                window <<= skip;
                sum += skip;
                if (sum < Last << 8)
                {
                    skip = skips[(int)(window >> SkipShift)];
                    window <<= skip;
                    sum += skip;
                }
            }

            count -= (byte)sum;
            k = sum >> 8;
            if (k is <= Last or (>= JpegHuffmanTable.EndOfBlock and < JpegHuffmanTable.EndOfBlock + Last))
            {
                continue;
            }

            // Too far: the last of several symbols belong to the next block, or the code is too long for the table. Back, and one by one.
            k -= skip >> 8;
            var position = (at * 8) - count - (byte)skip;
            at = (position >> 3) + 7;
            count = 56 - (position & 7);
            window = BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(at - 7)) << (position & 7);
            do
            {
                Fill(data, ref window, ref count, ref at);
                entry = Symbol(ac, window);
                if (entry == 0)
                {
                    return JpegDamageKind.BadCode;
                }

                window <<= entry;
                count -= (byte)entry;
                k += (byte)(entry >> 8);
            }
            while (k is >= NearLast and < Last);
        }

        (reader.Window, reader.Count, reader.At) = (window, count, at);
        samples.Store(rows, stride);
        // Zeros that reach too far are harmless; some encoders write them.
        return k > Last && k < JpegHuffmanTable.EndOfBlock && entry >> 16 != 0 ? JpegDamageKind.CoefficientOutOfRange : JpegDamageKind.None;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Symbol(JpegHuffmanTable table, ulong window)
    {
        var entry = table.Values[(int)(window >> ValueShift)];
        return (byte)entry != 0 ? entry : table.Decode(window, entry);
    }

    /// <summary>Counts 56 … 63 bits in the window. What is read beyond the counted ones is the same when it is read again.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fill(byte[] data, ref ulong window, ref int count, ref int at)
    {
        window |= BinaryPrimitives.ReadUInt64BigEndian(data.AsSpan(at)) >> count;
        at += (63 - count) >> 3;
        count |= FilledBits;
    }
}
