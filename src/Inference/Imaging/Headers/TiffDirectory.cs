using System.Buffers.Binary;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>
/// A directory of tags: TIFF 6.0, section 2, and BigTIFF. Exif is written in the same form. Values are read where they are asked for; what lies outside the
/// file reads as nothing.
/// </summary>
internal readonly ref struct TiffDirectory
{
    // As libtiff: what has more is refused. Each value that is asked for is looked for among them.
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
    public long Count(ushort tag) => Find(tag) is >= 0 and var entry ? _big ? Number(entry + 4, 8) : Number(entry + 4, 4) : 0;

    /// <summary>One of a tag's whole numbers, or <see langword="null"/>.</summary>
    public long? Value(ushort tag, long index = 0)
    {
        var entry = Find(tag);
        if (entry < 0 || index < 0 || index >= Count(tag))
        {
            return null;
        }

        // BYTE, SHORT, LONG, LONG8, IFD8
        var size = Number(entry + 2, 2) switch { 1 => 1, 3 => 2, 4 or 13 => 4, 16 or 18 => 8, _ => 0 };
        if (size == 0)
        {
            return null;
        }

        // Values that fit stand in the entry itself.
        var (value, room) = _big ? (entry + 12, 8) : (entry + 8, 4);
        var at = Count(tag) <= room / size ? value : Number(value, room);
        return at < 0 || index > (_file.Length - at - size) / size ? null : Number(at + (index * size), size);
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
}

/// <summary>Exif 2.32: a TIFF directory inside another format.</summary>
internal static class Exif
{
    private const ushort OrientationTag = 0x0112;

    /// <summary>The orientation that the data names, if any.</summary>
    public static int? Orientation(ReadOnlySpan<byte> data) => (int?)TiffDirectory.Open(data).Value(OrientationTag);
}
