using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// A directory of tags: TIFF 6.0, section 2, and BigTIFF. Exif is written in the same form. Values are read where they are asked for; what lies outside the
/// file reads as nothing.
/// </summary>
internal readonly ref struct TiffDirectory
{
    // As libtiff: what has more is refused. Each tag that is asked for is looked for among them.
    private const int MostEntries = 4096;

    private readonly ReadOnlySpan<byte> _file;
    private readonly bool _little, _big;
    private readonly long _entries, _count;

    private TiffDirectory(ReadOnlySpan<byte> file, bool little, bool big, long at)
    {
        _file = file;
        (_little, _big) = (little, big);
        _count = big ? Number(at, 8) : Number(at, 2);
        _entries = at + (big ? 8 : 2);
        if (_count is < 0 or > MostEntries || _count > (file.Length - _entries) / EntrySize)
        {
            (_count, IsWhole) = (0, false);
            return;
        }

        IsWhole = true;
        Next = Number(_entries + (_count * EntrySize), LinkSize);
    }

    /// <summary>Whether all entries lie inside the file.</summary>
    public bool IsWhole { get; }

    /// <summary>Where the next directory starts; 0 or less after the last.</summary>
    public long Next { get; }

    /// <summary>The bytes that say so, where there are any.</summary>
    public Range Link => (int)(_entries + (_count * EntrySize))..(int)(_entries + (_count * EntrySize) + LinkSize);

    private int EntrySize => _big ? 20 : 12;

    private int LinkSize => _big ? 8 : 4;

    /// <summary>The first directory of a file, or one that lies elsewhere in it.</summary>
    public static TiffDirectory Open(ReadOnlySpan<byte> file, long? at = null)
    {
        if (file.Length < 8)
        {
            return default;
        }

        var little = file[0] == (byte)'I';
        var big = (little ? file[2] : file[3]) == 43;
        var reader = new TiffDirectory(file, little, big, long.MaxValue);
        return new TiffDirectory(file, little, big, at ?? (big ? reader.Number(8, 8) : reader.Number(4, 4)));
    }

    /// <summary>How many values a tag has; 0 where there is no such tag.</summary>
    public long Count(ushort tag) => ValuesOf(tag).Count;

    /// <summary>One of a tag's whole numbers, or <see langword="null"/>.</summary>
    public long? Value(ushort tag, long index = 0) => ValuesOf(tag)[index];

    /// <summary>All of a tag's values: it is looked for once, however many of them are asked for.</summary>
    public Values ValuesOf(ushort tag)
    {
        var entry = Find(tag);
        if (entry < 0)
        {
            return default;
        }

        // BYTE, SHORT, LONG, LONG8, IFD8
        var size = Number(entry + 2, 2) switch { 1 => 1, 3 => 2, 4 or 13 => 4, 16 or 18 => 8, _ => 0 };
        var count = Number(entry + 4, _big ? 8 : 4);
        // Values that fit stand in the entry itself.
        var (value, room) = _big ? (entry + 12, 8) : (entry + 8, 4);
        return new(this, size, count, size == 0 || count <= room / size ? value : Number(value, room));
    }

    /// <summary>All of a tag's bytes; empty where there are none, or it has other values.</summary>
    public ReadOnlySpan<byte> BytesOf(ushort tag)
    {
        var entry = Find(tag);
        // BYTE, UNDEFINED
        if (entry < 0 || Number(entry + 2, 2) is not (1 or 7))
        {
            return [];
        }

        var (value, room) = _big ? (entry + 12, 8) : (entry + 8, 4);
        var count = Number(entry + 4, room);
        var at = count <= room ? value : Number(value, room);
        return count > 0 && at >= 0 && at <= _file.Length - count ? _file.Slice((int)at, (int)count) : [];
    }

    private long Find(ushort tag)
    {
        for (long i = 0; i < _count; i++)
        {
            var entry = _entries + (i * EntrySize);
            if (Number(entry, 2) == tag)
            {
                return entry;
            }
        }

        return -1;
    }

    // A number beyond 63 bits is no place and no size; it reads as -1, as does what lies outside.
    private long Number(long at, int size)
    {
        if (at < 0 || at > _file.Length - size)
        {
            return -1;
        }

        var bytes = _file.Slice((int)at, size);
        return size switch
        {
            1 => bytes[0],
            2 => _little ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt16BigEndian(bytes),
            4 => _little ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : BinaryPrimitives.ReadUInt32BigEndian(bytes),
            _ => Math.Max(_little ? BinaryPrimitives.ReadInt64LittleEndian(bytes) : BinaryPrimitives.ReadInt64BigEndian(bytes), -1),
        };
    }

    /// <summary>The values of one tag.</summary>
    public readonly ref struct Values
    {
        private readonly TiffDirectory _directory;
        private readonly int _size;
        private readonly long _at;

        internal Values(TiffDirectory directory, int size, long count, long at)
        {
            _directory = directory;
            _size = size;
            Count = count;
            _at = at;
        }

        /// <summary>How many there are, by the tag's word.</summary>
        public long Count { get; }

        /// <summary>One of them, or <see langword="null"/> where there is none, or no whole number.</summary>
        public long? this[long index] => _size == 0 || index < 0 || index >= Count || _at < 0 || index > (_directory._file.Length - _at - _size) / _size
            ? null
            : _directory.Number(_at + (index * _size), _size);
    }
}

/// <summary>Exif 2.32: a TIFF directory inside another format.</summary>
internal static class Exif
{
    private const ushort OrientationTag = 0x0112;

    /// <summary>The orientation that the data names, if any.</summary>
    public static int? Orientation(ReadOnlySpan<byte> data) => (int?)TiffDirectory.Open(data).Value(OrientationTag);
}
