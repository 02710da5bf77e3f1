using System.Buffers.Binary;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>
/// The bytes of an HDF5 file by address. Small reads go through pages, large ones straight to the caller's memory. What may be read in all is
/// bounded by the file's length: in an honest file each structure is visited once or twice, and only a file that refers to itself needs more.
/// </summary>
internal sealed class Hdf5Storage(Stream stream)
{
    private const int PageSize = 1 << 14;
    private const int MostPages = 256;

    private readonly Dictionary<long, byte[]> _pages = [];
    private long _structureLeft = (16L << 20) + (8 * stream.Length);
    private long _dataLeft = (128L << 20) + (64 * stream.Length);

    /// <summary>Where addresses count from: the superblock, behind a user block if there is one (II.A).</summary>
    public long BaseAddress { get; set; }

    /// <summary>Bytes of an address (II.A, "Size of Offsets").</summary>
    public int OffsetSize { get; set; } = 8;

    /// <summary>Bytes of a length (II.A, "Size of Lengths").</summary>
    public int LengthSize { get; set; } = 8;

    /// <summary>Where absolute soft links begin.</summary>
    public Hdf5Group? Root { get; set; }

    /// <summary>Bytes from the base address to the end.</summary>
    public long Length => stream.Length - BaseAddress;

    /// <summary>A cursor over <paramref name="length"/> bytes from an address; reading past them, or past the file, is refused.</summary>
    public Hdf5Cursor At(long address, long length) =>
        address >= 0 && length >= 0 && address <= Length - length
            ? new Hdf5Cursor(this, address, address + length)
            : throw Malformed($"{Counted.Of(length, "byte")} at address {address} lie outside of its {Counted.Of(Length, "byte")}");

    /// <summary>A cursor from an address to the end of the file, for structures that tell their own length.</summary>
    public Hdf5Cursor At(long address) => At(address, Math.Max(0, Length - address));

    /// <summary>Reads structure, and counts it.</summary>
    public void ReadStructure(long address, Span<byte> destination)
    {
        _structureLeft -= destination.Length;
        if (_structureLeft < 0)
        {
            throw Malformed("its structures refer to each other without end");
        }

        Read(address, destination);
    }

    /// <summary>Reads raw data.</summary>
    public void Read(long address, Span<byte> destination)
    {
        if (address < 0 || address > Length - destination.Length)
        {
            throw Malformed($"{Counted.Of(destination.Length, "byte")} at address {address} lie outside of its {Counted.Of(Length, "byte")}");
        }

        var position = BaseAddress + address;
        while (destination.Length > 0)
        {
            if (destination.Length >= PageSize)
            {
                ReadExactly(position, destination);
                return;
            }

            var page = Page(position / PageSize)[(int)(position % PageSize)..];
            var count = Math.Min(page.Length, destination.Length);
            if (count == 0)
            {
                throw Malformed("it became shorter while it was read");
            }

            page[..count].CopyTo(destination);
            destination = destination[count..];
            position += count;
        }
    }

    /// <summary>Counts data that is about to be decoded, before memory is taken for it.</summary>
    public void CountData(long bytes, string what)
    {
        _dataLeft -= bytes;
        if (bytes > Array.MaxLength || _dataLeft < 0)
        {
            throw new ModelFormatException(
                $"{what} would take {Counted.Of(bytes, "byte")}, more than a file of {Counted.Of(stream.Length, "byte")} can honestly hold.");
        }
    }

    /// <summary>The one sentence for a file that breaks the specification.</summary>
    public static ModelFormatException Malformed(string what, Exception? cause = null) => new($"The HDF5 file is malformed: {what}.", cause);

    private ReadOnlySpan<byte> Page(long number)
    {
        if (_pages.TryGetValue(number, out var page))
        {
            return page;
        }

        if (_pages.Count == MostPages)
        {
            _pages.Clear();
        }

        var start = number * PageSize;
        page = new byte[Math.Min(PageSize, stream.Length - start)];
        ReadExactly(start, page);
        _pages.Add(number, page);
        return page;
    }

    private void ReadExactly(long position, Span<byte> destination)
    {
        try
        {
            stream.Position = position;
            stream.ReadExactly(destination);
        }
        catch (EndOfStreamException exception)
        {
            throw Malformed("it became shorter while it was read", exception);
        }
    }
}

/// <summary>Reads one structure front to back; everything in HDF5's structures is little-endian.</summary>
internal sealed class Hdf5Cursor(Hdf5Storage storage, long position, long end)
{
    /// <summary>The address of the next byte.</summary>
    public long Position { get; private set; } = position;

    /// <summary>Bytes until the end.</summary>
    public long Remaining => end - Position;

    public byte Byte() => (byte)Unsigned(1);

    public int UInt16() => (int)Unsigned(2);

    public long UInt32() => (long)Unsigned(4);

    /// <summary>An address; -1 for the undefined one (all bits set).</summary>
    public long Offset()
    {
        var value = Unsigned(storage.OffsetSize);
        return value == ulong.MaxValue >> (64 - (8 * storage.OffsetSize)) ? -1 : NotNegative(value);
    }

    /// <summary>A length.</summary>
    public long Length() => NotNegative(Unsigned(storage.LengthSize));

    /// <summary>An unsigned number of 1 to 8 bytes.</summary>
    public ulong Unsigned(int bytes)
    {
        Span<byte> buffer = stackalloc byte[8];
        buffer.Clear();
        Fill(buffer[..bytes]);
        return BinaryPrimitives.ReadUInt64LittleEndian(buffer);
    }

    /// <summary>A number of 1 to 8 bytes that counts or measures.</summary>
    public long Count(int bytes) => NotNegative(Unsigned(bytes));

    public byte[] Bytes(long count)
    {
        Require(count);
        var bytes = new byte[checked((int)count)];
        Fill(bytes);
        return bytes;
    }

    /// <summary>Text of a known length, up to its first NUL.</summary>
    public string Text(long count) =>
        Encoding.UTF8.GetString(Bytes(count).AsSpan() is var bytes && bytes.IndexOf((byte)0) is >= 0 and int nul ? bytes[..nul] : bytes);

    /// <summary>Text up to a NUL, which must come.</summary>
    public string NullTerminated()
    {
        var bytes = new List<byte>();
        for (var next = Byte(); next != 0; next = Byte())
        {
            bytes.Add(next);
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    public Hdf5Cursor Skip(long count)
    {
        Require(count);
        Position += count;
        return this;
    }

    /// <summary>Checks the four letters that most structures begin with.</summary>
    public Hdf5Cursor Signature(ReadOnlySpan<byte> signature)
    {
        Span<byte> found = stackalloc byte[4];
        var address = Position;
        Fill(found);
        return found.SequenceEqual(signature) ? this : throw Hdf5Storage.Malformed($"'{Encoding.ASCII.GetString(signature)}' is missing at address {address}");
    }

    /// <summary>Checks a version byte.</summary>
    public int Version(string structure, int least, int most)
    {
        int version = Byte();
        return version >= least && version <= most ? version : throw new ModelFormatException($"Version {version} of HDF5's {structure} is not supported.");
    }

    /// <summary>The next bytes as a structure of their own.</summary>
    public Hdf5Cursor Part(long length)
    {
        Require(length);
        var part = storage.At(Position, length);
        Position += length;
        return part;
    }

    private void Fill(Span<byte> destination)
    {
        Require(destination.Length);
        storage.ReadStructure(Position, destination);
        Position += destination.Length;
    }

    private void Require(long count)
    {
        if (count < 0 || count > Remaining)
        {
            throw Hdf5Storage.Malformed($"a structure that ends at address {end} would need {Counted.Of(count, "byte")} at {Position}");
        }
    }

    private static long NotNegative(ulong value) => value <= long.MaxValue ? (long)value : throw Hdf5Storage.Malformed($"the number {value} is too large");
}
