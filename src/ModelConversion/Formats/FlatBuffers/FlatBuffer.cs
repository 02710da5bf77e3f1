using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.FlatBuffers;

/// <summary>
/// A FlatBuffers file, read in place: nothing is copied or parsed before it is asked for, and every offset is checked when it is followed.
/// It knows nothing of schemas: the caller gives a field's number, counted in the order in which the schema declares them (a union counts twice:
/// type, value).
/// https://flatbuffers.dev/internals/
/// </summary>
/// <remarks>
/// Offsets to tables, vectors and strings only ever point forward, so nesting cannot be cyclic. It can still be a graph in which a thousand
/// vectors share one long one: what is handed out is counted, and refused when it comes to many times the file.
/// </remarks>
public sealed class FlatBuffer
{
    // An honest file is read about once; reading some tables twice, and strings that writers share, stay far below this.
    private const int MaxReadings = 16;

    private readonly ReadOnlyMemory<byte> _data;
    private long _remaining;

    /// <summary>Wraps the file's bytes.</summary>
    public FlatBuffer(ReadOnlyMemory<byte> data)
    {
        _data = data;
        _remaining = (long)MaxReadings * data.Length;
    }

    /// <summary>The file identifier at offset 4: four characters that name the schema.</summary>
    public ReadOnlySpan<byte> Identifier => Bytes(4, 4);

    /// <summary>The root table.</summary>
    public FlatTable Root => new(this, Follow(0));

    internal ReadOnlySpan<byte> Bytes(long position, long count) => Memory(position, count).Span;

    internal ReadOnlyMemory<byte> Memory(long position, long count) => position >= 0 && count >= 0 && position + count <= _data.Length
        ? _data.Slice((int)position, (int)count)
        : throw new ModelFormatException(
            $"The file is malformed: {Counted.Of(count, "byte")} at offset {position} lie outside its {Counted.Of(_data.Length, "byte")}.");

    internal uint UInt32(long position) => BinaryPrimitives.ReadUInt32LittleEndian(Bytes(position, 4));

    internal long Follow(long position) => UInt32(position) is not 0 and uint offset
        ? position + offset
        : throw new ModelFormatException($"The file is malformed: the offset at {position} points to itself.");

    /// <summary>The elements of the vector at a position: where they start and how many there are.</summary>
    internal (long Start, int Count) Vector(long position, int elementSize)
    {
        var count = UInt32(position);
        var bytes = (long)count * elementSize;
        _ = Bytes(position + 4, bytes);
        return (position + 4, (int)count);
    }

    internal void Spend(long bytes)
    {
        _remaining -= bytes;
        if (_remaining < 0)
        {
            throw new ModelFormatException(
                $"The file is malformed: its parts share so much that they come to more than {MaxReadings} times its {Counted.Of(_data.Length, "byte")}.");
        }
    }
}

/// <summary>One table of a <see cref="FlatBuffer"/>. A field that the writer left out has its default.</summary>
public readonly struct FlatTable
{
    private readonly FlatBuffer _file;
    private readonly long _position;
    private readonly long _vtable;
    private readonly int _vtableSize;

    internal FlatTable(FlatBuffer file, long position)
    {
        _file = file;
        _position = position;
        // A table begins with the signed distance back to its vtable: its size, the table's size, then each field's offset in the table.
        _vtable = position - BinaryPrimitives.ReadInt32LittleEndian(file.Bytes(position, 4));
        _vtableSize = BinaryPrimitives.ReadUInt16LittleEndian(file.Bytes(_vtable, 4));
        _ = file.Bytes(_vtable, _vtableSize);
        file.Spend(_vtableSize);
    }

    /// <summary>Is the field there?</summary>
    public bool Has(int field) => Find(field) != 0;

    /// <summary>A number or an enum.</summary>
    public T Scalar<T>(int field, T otherwise = default) where T : unmanaged =>
        Find(field) is not 0 and long position ? MemoryMarshal.Read<T>(_file.Bytes(position, Unsafe.SizeOf<T>())) : otherwise;

    /// <summary>A flag, which takes one byte.</summary>
    public bool Flag(int field, bool otherwise = false) => Scalar<byte>(field, otherwise ? (byte)1 : (byte)0) != 0;

    /// <summary>Text, or <see langword="null"/>.</summary>
    public string? Text(int field)
    {
        if (Find(field) is not 0 and long position)
        {
            return TextAt(_file.Follow(position));
        }

        return null;
    }

    /// <summary>A table, or <see langword="null"/>; also the value of a union.</summary>
    public FlatTable? Table(int field) => Find(field) is not 0 and long position ? new FlatTable(_file, _file.Follow(position)) : null;

    /// <summary>A vector of tables; an absent one is empty.</summary>
    public FlatTable[] Tables(int field)
    {
        (var start, var count) = Vector(field, elementSize: 4);
        var tables = new FlatTable[count];
        for (var i = 0; i < count; i++)
        {
            tables[i] = new FlatTable(_file, _file.Follow(start + (4L * i)));
        }

        return tables;
    }

    /// <summary>A vector of numbers; an absent one is empty.</summary>
    public T[] Scalars<T>(int field) where T : unmanaged
    {
        (var start, var count) = Vector(field, Unsafe.SizeOf<T>());
        return MemoryMarshal.Cast<byte, T>(_file.Bytes(start, (long)count * Unsafe.SizeOf<T>())).ToArray();
    }

    /// <summary>A vector of bytes, in place; an absent one is empty.</summary>
    public ReadOnlyMemory<byte> Blob(int field)
    {
        if (Find(field) is not 0 and long position)
        {
            (var start, var count) = _file.Vector(_file.Follow(position), elementSize: 1);
            return _file.Memory(start, count);
        }

        return default;
    }

    private (long Start, int Count) Vector(int field, int elementSize)
    {
        if (Find(field) is not 0 and long position)
        {
            (var start, var count) = _file.Vector(_file.Follow(position), elementSize);
            _file.Spend((long)count * elementSize);
            return (start, count);
        }

        return (0, 0);
    }

    private string TextAt(long position)
    {
        (var start, var count) = _file.Vector(position, elementSize: 1);
        _file.Spend(count);
        return Encoding.UTF8.GetString(_file.Bytes(start, count));
    }

    // Where a field lies; 0, where no table can, for one that is absent.
    private long Find(int field)
    {
        var entry = 4 + (2 * field);
        if (entry + 2 > _vtableSize)
        {
            return 0;
        }

        var offset = BinaryPrimitives.ReadUInt16LittleEndian(_file.Bytes(_vtable + entry, 2));
        return offset == 0 ? 0 : _position + offset;
    }
}
