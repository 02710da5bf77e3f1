namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// How many pixels the coded data of a GIF's image hold (GIF89a, appendix F). Decoders fill up what is missing, and go on after a code that there is none of;
/// they say so seldom.
/// </summary>
internal static class GifData
{
    private const int MaxCodes = 4096, MaxCodeBits = 12, MostBytesLeft = 4;

    /// <summary>Follows the codes without making pixels of them.</summary>
    /// <param name="data">From the byte that says how many bits a pixel takes, up to the empty block or the end of the file.</param>
    /// <param name="wanted">Pixels of the image: what comes behind them does not matter.</param>
    /// <returns>Pixels up to the end, or to the first code that cannot be; and whether the data go on behind the wanted ones.</returns>
    public static (long Pixels, bool GoesOn) CountPixels(ReadOnlySpan<byte> data, long wanted)
    {
        if (data.Length < 2 || data[0] is < 1 or > 11)
        {
            return (0, false);
        }

        // How many pixels each code stands for; those of the table's start stand for one, or clear it, or end it.
        Span<ushort> lengths = stackalloc ushort[MaxCodes];
        var (clear, end) = (1 << data[0], (1 << data[0]) + 1);
        lengths[..clear].Fill(1);
        var (bits, next, before, pixels) = (data[0] + 1, end + 1, -1, 0L);
        var (window, held) = (0u, 0);
        var blocks = new Blocks(data[1..]);
        while (pixels < wanted)
        {
            for (; held < bits; held += 8)
            {
                if (!blocks.TryRead(out var value))
                {
                    return (pixels, false);
                }

                window |= (uint)value << held;
            }

            var code = (int)(window & ((1u << bits) - 1));
            (window, held) = (window >> bits, held - bits);
            if (code == clear)
            {
                (bits, next, before) = (data[0] + 1, end + 1, -1);
                continue;
            }

            // The first code after a clearing one is in the table; a later one may be that which it makes.
            if (code == end || code > next || (code == next && (before < 0 || next == MaxCodes)) || (code > end && before < 0))
            {
                return (pixels, false);
            }

            if (before >= 0 && next < MaxCodes)
            {
                lengths[next++] = (ushort)(lengths[before] + 1);
                bits += next == 1 << bits && bits < MaxCodeBits ? 1 : 0;
            }

            pixels += lengths[code];
            before = code;
        }

        // Behind the last pixel comes the code that ends them, and no encoder writes past it.
        var left = 0;
        while (left <= MostBytesLeft && blocks.TryRead(out _))
        {
            left++;
        }

        return (pixels, pixels > wanted || left > MostBytesLeft);
    }

    /// <summary>The bytes of blocks, each of which begins with its length.</summary>
    private ref struct Blocks(ReadOnlySpan<byte> rest)
    {
        private ReadOnlySpan<byte> _rest = rest;
        private ReadOnlySpan<byte> _block;

        public bool TryRead(out byte value)
        {
            if (_block.IsEmpty)
            {
                if (_rest.Length < 2 || _rest[0] == 0)
                {
                    value = 0;
                    return false;
                }

                var length = Math.Min(_rest[0], _rest.Length - 1);
                _block = _rest.Slice(1, length);
                _rest = _rest[(1 + length)..];
            }

            value = _block[0];
            _block = _block[1..];
            return true;
        }
    }
}
