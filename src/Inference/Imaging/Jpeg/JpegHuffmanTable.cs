using System.Runtime.CompilerServices;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>One Huffman table, ready to be looked up with the bits that come next.</summary>
/// <remarks>
/// An entry tells in its lowest byte how many bits to move on and in the next byte how many coefficients. <see cref="EndOfBlock"/> is added to
/// the coefficients where the block ends. What lies above is the value of the one coefficient that was read.
/// </remarks>
internal sealed class JpegHuffmanTable
{
    /// <summary>The bits that index <see cref="Values"/>.</summary>
    public const int ValueBits = 11;

    /// <summary>The bits that index <see cref="Skips"/>; 10, 14 and 16 were no better.</summary>
    public const int SkipBits = 12;

    /// <summary>Added to an entry's coefficients where the block ends; larger than any step within a block.</summary>
    public const int EndOfBlock = 128;

    /// <summary>What an entry of <see cref="Skips"/> takes at most: three of them fit into the 56 bits that a filled window has at least.</summary>
    private const int MaxSkippedBits = 18;

    /// <summary>An entry of <see cref="Skips"/> that cannot be used: further than any block reaches, so that no check of its own is needed.</summary>
    private const int Unusable = 255 << 8;

    private readonly bool _dc;
    private readonly byte[] _symbols;
    private ushort[]? _skips;

    // Of each length: the first code that is too large for it, moved to the left of 16 bits, and the number of its first symbol less its first code.
    private readonly int[] _limits = new int[17];
    private readonly int[] _offsets = new int[17];

    private JpegHuffmanTable(bool dc, byte[] symbols)
    {
        _dc = dc;
        _symbols = symbols;
    }

    /// <summary>
    /// One symbol with its value, by the next <see cref="ValueBits"/> bits. Where these are not enough the lowest byte is 0, and above it are the
    /// length of the code and the symbol, if at least the code is whole.
    /// </summary>
    public int[] Values { get; } = new int[1 << ValueBits];

    /// <summary>As many whole symbols as fit, by the next <see cref="SkipBits"/> bits. Made when it is asked for: not every picture skips.</summary>
    public ushort[] Skips => _skips ??= FillSkips();

    /// <summary>Builds the table of ITU-T T.81, annex C, or <see langword="null"/> where the lengths make no code.</summary>
    /// <param name="dc">Whether the symbols are sizes of differences, not runs and sizes.</param>
    /// <param name="counts">Codes of 1 … 16 bits.</param>
    /// <param name="symbols">The symbols, shortest code first.</param>
    public static JpegHuffmanTable? Create(bool dc, ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols)
    {
        var table = new JpegHuffmanTable(dc, symbols.ToArray());
        int code = 0, first = 0;
        for (var length = 1; length <= 16; length++)
        {
            table._offsets[length] = first - code;
            code += counts[length - 1];
            first += counts[length - 1];
            // The code of ones alone is reserved (C.2).
            if (code > (1 << length) - 1 && counts[length - 1] > 0)
            {
                return null;
            }

            table._limits[length] = code << (16 - length);
            code <<= 1;
        }
        // A difference of two samples of 8 bits has at most 11 bits; libjpeg takes up to 15.
        if (dc && symbols.ContainsAnyExceptInRange((byte)0, (byte)15))
        {
            return null;
        }

        table.Fill();
        return table;
    }

    /// <summary>The entry of one symbol of any length, or 0 where the bits are no code.</summary>
    /// <param name="window">The next bits, the first one highest.</param>
    /// <param name="known">What <see cref="Values"/> has.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Decode(ulong window, int known) => known != 0 ? Entry(known >> 16, (byte)(known >> 8), window) : Entry(window, LengthOf(window, 1));

    /// <summary>The length of the code that comes next, which is known to have at least some bits; 17 where it is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int LengthOf(ulong window, int length)
    {
        var bits = (int)(window >> 48);
        while (length <= 16 && bits >= _limits[length])
        {
            length++;
        }

        return length;
    }

    private int SymbolAt(ulong window, int length) => _symbols[(int)(window >> (64 - length)) + _offsets[length]];

    private int Entry(ulong window, int length) => length > 16 ? 0 : Entry(SymbolAt(window, length), length, window);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int Entry(int symbol, int length, ulong window)
    {
        int size = symbol & 15, value = 0;
        if (size > 0)
        {
            // T.81, F.12: the lower half of the values of a size are negative.
            value = (int)((window << length) >> (64 - size));
            if (value < 1 << (size - 1))
            {
                value -= (1 << size) - 1;
            }
        }
        // Without a value: 15 is a run of 16 zeros, everything else ends the block (F.2.2.2).
        var step = _dc ? 0 : size > 0 || symbol == 0xF0 ? (symbol >> 4) + 1 : EndOfBlock;
        return (value << 16) | (step << 8) | (length + size);
    }

    private void Fill()
    {
        var length = 1;
        for (var i = 0; i < Values.Length; i++)
        {
            // Codes that come later are not shorter.
            var window = (ulong)i << (64 - ValueBits);
            length = LengthOf(window, length);
            var entry = Entry(window, length);
            Values[i] = (byte)entry <= ValueBits ? entry : length <= ValueBits ? (SymbolAt(window, length) << 16) | (length << 8) : 0;
        }
    }

    /// <summary>What n bits hold is their first symbol and what the bits after that hold, so the short ones come first.</summary>
    private ushort[] FillSkips()
    {
        var heads = new (ushort Entry, byte Length)[1 << SkipBits];
        for (int i = 0, length = 1; i < heads.Length; i++)
        {
            var window = (ulong)i << (64 - SkipBits);
            length = LengthOf(window, length);
            heads[i] = ((ushort)Entry(window, length), (byte)length);
        }
        // Of n bits, behind a leading one.
        var skips = new ushort[2 << SkipBits];
        for (var n = 1; n <= SkipBits; n++)
        {
            for (var bits = 0; bits < 1 << n; bits++)
            {
                (int skip, int codeLength) = heads[bits << (SkipBits - n)];
                int taken = (byte)skip, left = n - taken;
                if (codeLength > n || taken > MaxSkippedBits)
                {
                    continue;
                }

                if (left > 0 && skip >> 8 < EndOfBlock)
                {
                    int rest = skips[(1 << left) | (bits & ((1 << left) - 1))];
                    if (taken + (byte)rest <= MaxSkippedBits && (skip >> 8) + ((rest >> 8) & (EndOfBlock - 1)) < 64)
                    {
                        skip += rest;
                    }
                }

                skips[(1 << n) | bits] = (ushort)skip;
            }
        }

        skips = skips[(1 << SkipBits)..];
        skips.AsSpan().Replace((ushort)0, (ushort)Unusable);
        return skips;
    }
}
