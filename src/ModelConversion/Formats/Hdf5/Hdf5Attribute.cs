using System.Buffers.Binary;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>A named value of a group or a dataset (IV.A.2.m).</summary>
public sealed class Hdf5Attribute
{
    private readonly Hdf5Storage _storage;
    private readonly Hdf5Type _type;
    private readonly Dataspace _space;
    private readonly long _data;
    private readonly string _owner;

    internal Hdf5Attribute(Hdf5Storage storage, Hdf5Cursor message, string owner)
    {
        _storage = storage;
        _owner = owner;
        var version = message.Version("attribute", 1, 3);
        int flags = message.Byte(); // reserved, and 0, in version 1
        var nameSize = message.UInt16();
        var typeSize = message.UInt16();
        var spaceSize = message.UInt16();
        message.Skip(version == 3 ? 1 : 0); // character set of the name

        // Version 1 pads each part to a multiple of eight.
        int Padded(int size) => version == 1 ? (size + 7) & ~7 : size;
        Name = message.Text(Padded(nameSize));
        var type = message.Part(Padded(typeSize));
        var space = message.Part(Padded(spaceSize));
        _type = Hdf5Type.Read((flags & 1) != 0 ? ObjectHeader.Shared(storage, type, MessageType.Datatype) : type);
        _space = Dataspace.Read(storage, (flags & 2) != 0 ? ObjectHeader.Shared(storage, space, MessageType.Dataspace) : space);
        _data = message.Position;
    }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>How many values it holds.</summary>
    public long Count => _space.Count;

    /// <summary>Text, one or several, of a fixed or a variable length.</summary>
    /// <exception cref="ModelFormatException">It holds something else.</exception>
    public string[] ReadStrings()
    {
        var data = Data();
        if (_type.Class == Hdf5Class.String)
        {
            return [.. Enumerable.Range(0, (int)_space.Count).Select(_ => _type.Text(data.Bytes(_type.Size)))];
        }

        if (!_type.VariableText)
        {
            throw new ModelFormatException($"The attribute '{Name}' of '{_owner}' holds {_type} where text is expected.");
        }

        // IV.A.2.d, class 9: a length, then where the text lies in a global heap: the collection's address and a number in it.
        var heap = new GlobalHeap(_storage);
        return
        [
            .. Enumerable.Range(0, (int)_space.Count).Select(_ =>
            {
                var length = data.UInt32();
                var collection = data.Offset();
                var index = data.UInt32();
                return length == 0 || collection < 0 ? "" : Encoding.UTF8.GetString(heap.Read(collection, index, length)).TrimEnd('\0');
            }),
        ];
    }

    /// <summary>One text.</summary>
    /// <exception cref="ModelFormatException">It holds something else.</exception>
    public string ReadString() =>
        _space.Count == 1 ? ReadStrings()[0]
            : throw new ModelFormatException($"The attribute '{Name}' of '{_owner}' holds {Counted.Of(_space.Count, "value")} where one is expected.");

    /// <summary>Integers.</summary>
    /// <exception cref="ModelFormatException">It holds something else.</exception>
    public long[] ReadIntegers()
    {
        if (_type is not { Class: Hdf5Class.Integer, Size: <= 8 })
        {
            throw new ModelFormatException($"The attribute '{Name}' of '{_owner}' holds {_type} where integers are expected.");
        }

        var data = Data();
        return [.. Enumerable.Range(0, (int)_space.Count).Select(_ => Integer(data.Bytes(_type.Size)))];
    }

    private long Integer(byte[] bytes)
    {
        if (_type.BigEndian)
        {
            Array.Reverse(bytes);
        }

        Span<byte> wide = stackalloc byte[8];
        wide.Fill(_type.Signed && (bytes[^1] & 0x80) != 0 ? (byte)0xFF : (byte)0);
        bytes.CopyTo(wide);
        return BinaryPrimitives.ReadInt64LittleEndian(wide);
    }

    private Hdf5Cursor Data() =>
        _space.Count <= _storage.Length / _type.Size ? _storage.At(_data, _space.Count * _type.Size)
            : throw Hdf5Storage.Malformed($"the attribute '{Name}' of '{_owner}' claims {Counted.Of(_space.Count, "value")}");

    /// <summary>Global heap collections (III.E), each listed once.</summary>
    private sealed class GlobalHeap(Hdf5Storage storage)
    {
        private readonly Dictionary<long, Dictionary<long, (long Address, long Size)>> _collections = [];

        public byte[] Read(long collection, long index, long length)
        {
            if (!_collections.TryGetValue(collection, out var objects))
            {
                _collections[collection] = objects = List(collection);
            }

            return objects.TryGetValue(index, out var found) && length <= found.Size
                ? storage.At(found.Address, length).Bytes(length)
                : throw Hdf5Storage.Malformed($"the global heap at address {collection} has no object {index} of {Counted.Of(length, "byte")}");
        }

        private Dictionary<long, (long Address, long Size)> List(long address)
        {
            var header = storage.At(address).Signature("GCOL"u8);
            header.Version("global heap", 1, 1);
            var size = header.Skip(3).Length();
            var collection = storage.At(address, size).Skip(header.Position - address);
            var objects = new Dictionary<long, (long Address, long Size)>();
            while (collection.Remaining >= 8 + storage.LengthSize)
            {
                var index = collection.UInt16();
                var length = collection.Skip(6).Length(); // reference count, reserved
                if (index == 0)
                {
                    break; // what is left is free
                }

                objects[index] = (collection.Position, length);
                collection.Skip(Math.Min(collection.Remaining, length > long.MaxValue - 7 ? length : (length + 7) & ~7L));
            }

            return objects;
        }
    }
}
