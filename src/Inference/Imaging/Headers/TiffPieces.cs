using static Whatsit.Inference.Imaging.Headers.TiffHeader;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>The strips or tiles of a TIFF's first page, as many as its pixels need: where each lies, and how much of it there is.</summary>
internal readonly ref struct TiffPieces
{
    public const int Plain = 1, Fax = 2, Fax3 = 3, Fax4 = 4, Lzw = 5, Jpeg = 7, Deflate = 8, PackBits = 32773, OldDeflate = 32946;

    private const int MaxCodes = 4096, MaxCodeBits = 12;

    private readonly ReadOnlySpan<byte> _file;
    private readonly TiffDirectory.Values _offsets, _counts;
    private readonly bool _reversed;
    private readonly long _packing, _height, _rowsPerPiece, _rowBytes, _across, _perPlane;

    /// <summary>A file whose header is sound.</summary>
    public TiffPieces(ReadOnlySpan<byte> file)
    {
        var directory = TiffDirectory.Open(file);
        var tiled = directory.Value((ushort)Tag.TileWidth) is not null;
        _file = file;
        _offsets = directory.ValuesOf((ushort)(tiled ? Tag.TileOffsets : Tag.StripOffsets));
        _counts = directory.ValuesOf((ushort)(tiled ? Tag.TileByteCounts : Tag.StripByteCounts));
        _packing = directory.Value((ushort)Tag.Compression) ?? Plain;
        _height = directory.Value((ushort)Tag.Height) ?? 0;
        var width = directory.Value((ushort)Tag.Width) ?? 0;
        var (bands, bits) = (directory.Value((ushort)Tag.SamplesPerPixel) ?? 1, directory.Value((ushort)Tag.BitsPerSample) ?? 1);
        var planes = directory.Value((ushort)Tag.PlanarConfiguration) == 2 ? bands : 1;
        _rowsPerPiece = tiled ? directory.Value((ushort)Tag.TileHeight) ?? 1 : Math.Min(directory.Value((ushort)Tag.RowsPerStrip) ?? _height, _height);
        // Colours of fewer samples, and bits in another order, are left to the library.
        _reversed = directory.Value((ushort)Tag.FillOrder) == 2;
        var odd = tiled || directory.Value((ushort)Tag.Photometric) == 6 || _reversed;
        _rowBytes = odd ? 0 : (long)Math.Min(((((double)width * bands) / planes * bits) + 7) / 8, long.MaxValue / 2);
        _across = tiled ? DivideUp(width, directory.Value((ushort)Tag.TileWidth) ?? 1) : 1;
        _perPlane = DivideUp(_height, _rowsPerPiece) * _across;
        Count = Math.Min(_perPlane * planes, int.MaxValue);
        Tables = directory.BytesOf((ushort)Tag.JpegTables);
    }

    /// <summary>How many the picture needs.</summary>
    public long Count { get; }

    /// <summary>What JPEG pieces have in common; empty where each has its own.</summary>
    public ReadOnlySpan<byte> Tables { get; }

    /// <summary>Whether each lies within the file, and holds all of its rows where they are not packed. Of old files only the offsets are known.</summary>
    public bool AreThere
    {
        get
        {
            if (_counts.Count > 0 && Math.Min(_offsets.Count, _counts.Count) < Count)
            {
                return false;
            }

            // A file may say that it has millions of them.
            for (var piece = 0L; piece < Math.Min(Count, _counts.Count); piece++)
            {
                if (_offsets[piece] is not { } at || _counts[piece] is not { } bytes || at < 0 || bytes < 1 || bytes > _file.Length - at
                    || (_packing == Plain && (double)bytes < (double)_rowBytes * RowsOf(piece)))
                {
                    return false;
                }
            }

            return true;
        }
    }

    /// <summary>Whether some of them are the same bytes, by their sizes: reading each would cost what no file of its length may.</summary>
    public bool Overlap
    {
        get
        {
            var bytes = 0L;
            for (var piece = 0L; piece < Math.Min(Count, _counts.Count) && bytes <= _file.Length; piece++)
            {
                bytes += this[piece].Length;
            }

            return bytes > _file.Length;
        }
    }

    /// <summary>One of them; all of them must be there.</summary>
    public ReadOnlySpan<byte> this[long piece] =>
        _offsets[piece] is >= 0 and var at && _counts[piece] is >= 0 and var bytes && at <= _file.Length - bytes ? _file.Slice((int)at, (int)bytes) : [];

    /// <summary>Its first row.</summary>
    public long RowOf(long piece) => piece % _perPlane / _across * _rowsPerPiece;

    /// <summary>Whether each unpacks to all of its rows, where that can be told without its pixels.</summary>
    public bool AreWhole(CancellationToken cancellationToken)
    {
        if (Overlap)
        {
            return false;
        }

        for (var piece = 0L; piece < Math.Min(Count, _counts.Count); piece++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var wanted = _rowBytes * RowsOf(piece);
            var unpacked = _reversed ? wanted : _packing switch
            {
                Deflate or OldDeflate => Deflated.Count(new MemoryStream(this[piece].ToArray()), wanted),
                PackBits => CountPackBits(this[piece]),
                Lzw => CountLzw(this[piece], wanted),
                _ => wanted,
            };
            if (unpacked < wanted)
            {
                return false;
            }
        }

        return true;
    }

    private static long DivideUp(long count, long by) => (count / by) + (count % by > 0 ? 1 : 0);

    private long RowsOf(long piece) => Math.Min(_rowsPerPiece, _height - RowOf(piece));

    // TIFF 6.0, section 9: n + 1 bytes as they are, or one of them 1 - n times; -128 is nothing.
    private static long CountPackBits(ReadOnlySpan<byte> data)
    {
        var count = 0L;
        while (data.Length > 1)
        {
            var head = (sbyte)data[0];
            var taken = head >= 0 ? Math.Min(head + 1, data.Length - 1) : head == -128 ? 0 : 1;
            count += head >= 0 ? taken : head == -128 ? 0 : 1 - head;
            data = data[(1 + taken)..];
        }

        return count;
    }

    // Section 13: codes of 9 to 12 bits, the first bit highest, one wider before the table is full. As GIF's, without making pixels of them.
    private static long CountLzw(ReadOnlySpan<byte> data, long wanted)
    {
        const int Clear = 256, End = 257;
        // Before TIFF 5 bits came the other way round.
        if (data is [0, var second, ..] && (second & 1) != 0)
        {
            return wanted;
        }

        Span<ushort> lengths = stackalloc ushort[MaxCodes];
        lengths[..Clear].Fill(1);
        var (bits, next, before, count) = (9, End + 1, -1, 0L);
        var (window, held) = (0u, 0);
        while (count < wanted)
        {
            for (; held < bits; held += 8, data = data[1..])
            {
                if (data.IsEmpty)
                {
                    return count;
                }

                window = (window << 8) | data[0];
            }

            held -= bits;
            var code = (int)(window >> held) & ((1 << bits) - 1);
            if (code == Clear)
            {
                (bits, next, before) = (9, End + 1, -1);
                continue;
            }

            if (code == End || code > next || (code > End && before < 0))
            {
                return count;
            }

            if (before >= 0 && next < MaxCodes)
            {
                lengths[next++] = (ushort)(lengths[before] + 1);
                bits += next == (1 << bits) - 1 && bits < MaxCodeBits ? 1 : 0;
            }

            count += lengths[code];
            before = code;
        }

        return count;
    }
}
