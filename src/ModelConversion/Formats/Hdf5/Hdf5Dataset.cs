using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>An array: its type, its shape and its elements.</summary>
public sealed class Hdf5Dataset : Hdf5Object
{
    private readonly ObjectHeader _header;
    private readonly Dataspace _space;

    internal Hdf5Dataset(Hdf5Storage storage, ObjectHeader header, string path) : base(storage, header, path)
    {
        _header = header;
        Type = Hdf5Type.Read(header.First(MessageType.Datatype) ?? throw Hdf5Storage.Malformed($"the dataset '{path}' has no type"));
        _space = Dataspace.Read(storage, header.First(MessageType.Dataspace) ?? throw Hdf5Storage.Malformed($"the dataset '{path}' has no shape"));
    }

    /// <summary>What the elements are.</summary>
    public Hdf5Type Type { get; }

    /// <summary>The sides; none for a scalar.</summary>
    public IReadOnlyList<long> Shape => _space.Sides;

    /// <summary>How many elements it holds.</summary>
    public long Count => _space.Count;

    /// <summary>The elements, row-major; numbers little-endian whatever the file's order.</summary>
    /// <exception cref="ModelFormatException">The elements do not lie where, or as, the file says.</exception>
    public byte[] Read()
    {
        if (_header.Has(MessageType.ExternalFiles))
        {
            throw new ModelFormatException($"The dataset '{Path}' lies in another file, which is not supported.");
        }

        if (Type.Class == Hdf5Class.VariableLength)
        {
            throw new ModelFormatException($"The dataset '{Path}' holds elements of variable length, which are not supported.");
        }

        var bytes = _space.Count <= Array.MaxLength / Type.Size ? _space.Count * Type.Size
            : throw Hdf5Storage.Malformed($"the dataset '{Path}' claims {Counted.Of(_space.Count, "element")}");
        var data = ReadLayout(_header.First(MessageType.DataLayout)!, bytes);
        if (Type.BigEndian)
        {
            for (var element = 0; element < data.Length; element += Type.Size)
            {
                data.AsSpan(element, Type.Size).Reverse();
            }
        }

        return data;
    }

    // IV.A.2.i
    private byte[] ReadLayout(Hdf5Cursor layout, long bytes)
    {
        var version = layout.Version("data layout", 1, 4);
        if (version < 3)
        {
            return ReadOldLayout(layout, bytes);
        }

        switch (layout.Byte())
        {
            case 0:
                return ReadCompact(layout, layout.UInt16(), bytes);
            case 1:
                return ReadContiguous(layout.Offset(), bytes);
            case 2 when version == 3:
                int rank = layout.Byte();
                var tree = layout.Offset();
                return ReadChunked([.. Enumerable.Range(0, rank).Select(_ => layout.UInt32())], bytes, filtered => filtered.BTree1(tree));
            case 2:
                return ReadIndexed(layout, bytes);
            default:
                throw new ModelFormatException($"The dataset '{Path}' is a view of other datasets, which is not supported.");
        }
    }

    private byte[] ReadOldLayout(Hdf5Cursor layout, long bytes)
    {
        int rank = layout.Byte();
        int kind = layout.Byte();
        layout.Skip(5);
        var address = kind == 0 ? -1 : layout.Offset();
        long[] sides = [.. Enumerable.Range(0, rank).Select(_ => layout.UInt32())];
        return kind switch
        {
            0 => ReadCompact(layout, layout.UInt32(), bytes),
            1 => ReadContiguous(address, bytes),
            2 => ReadChunked(sides, bytes, index => index.BTree1(address)),
            _ => throw Hdf5Storage.Malformed($"the dataset '{Path}' has layout {kind}"),
        };
    }

    private byte[] ReadCompact(Hdf5Cursor layout, long size, long bytes) =>
        size >= bytes ? layout.Bytes(bytes) : throw Hdf5Storage.Malformed($"the dataset '{Path}' has {size:N0} of its {Counted.Of(bytes, "byte")}");

    private byte[] ReadContiguous(long address, long bytes)
    {
        if (address < 0)
        {
            return Filled(bytes); // never written
        }

        if (address > Storage.Length - bytes)
        {
            throw Hdf5Storage.Malformed($"the {Counted.Of(bytes, "byte")} of the dataset '{Path}' lie outside of the file");
        }

        Storage.CountData(bytes, $"The dataset '{Path}'");
        var data = GC.AllocateUninitializedArray<byte>((int)bytes);
        Storage.Read(address, data);
        return data;
    }

    // Version 4: flags, the sides with as many bytes as the largest needs (the element's size last), the kind of index and what it needs.
    private byte[] ReadIndexed(Hdf5Cursor layout, long bytes)
    {
        int flags = layout.Byte();
        int rank = layout.Byte();
        int sideBytes = layout.Byte();
        if (sideBytes is 0 or > 8)
        {
            throw Hdf5Storage.Malformed($"the chunks of '{Path}' have sides of {Counted.Of(sideBytes, "byte")}");
        }

        long[] sides = [.. Enumerable.Range(0, rank).Select(_ => layout.Count(sideBytes))];
        int kind = layout.Byte();
        var singleFiltered = kind == 1 && (flags & 2) != 0;
        var size = singleFiltered ? layout.Length() : 0;
        var mask = singleFiltered ? layout.UInt32() : 0;
        var address = layout.Skip(kind switch { 3 => 1, 4 => 5, 5 => 6, _ => 0 }).Offset();
        return ReadChunked(sides, bytes, index => kind switch
        {
            1 => index.Single(address, size, mask),
            2 => index.Implicit(address),
            3 => index.FixedArray(address),
            4 => index.ExtensibleArray(address),
            5 => index.BTree2(address),
            _ => throw Hdf5Storage.Malformed($"the dataset '{Path}' has chunk index {kind}"),
        }, keepPartialUnfiltered: (flags & 1) != 0);
    }

    private byte[] ReadChunked(long[] sides, long bytes, Func<ChunkIndex, IEnumerable<Chunk>> find, bool keepPartialUnfiltered = false)
    {
        // The last side is the element's size.
        var rank = _space.Sides.Length;
        if (sides.Length != rank + 1 || sides[^1] != Type.Size || sides.Contains(0))
        {
            throw Hdf5Storage.Malformed($"the dataset '{Path}' of [{string.Join(", ", _space.Sides)}] has chunks of [{string.Join(", ", sides)}]");
        }

        var filters = new Filters(_header.First(MessageType.FilterPipeline), Path);
        var chunkBytes = sides.Aggregate(1L, (product, side) => product > Array.MaxLength / side
            ? throw Hdf5Storage.Malformed($"the chunks of '{Path}' are too large") : product * side);
        var data = Filled(bytes);
        foreach (var chunk in bytes == 0 ? [] : find(new ChunkIndex(Storage, _space, sides[..rank], chunkBytes, filters.Any)))
        {
            if (chunk.Address < 0)
            {
                continue; // never written: the fill value stands
            }

            for (var axis = 0; axis < rank; axis++)
            {
                if (chunk.Origin[axis] >= _space.Sides[axis] || chunk.Origin[axis] % sides[axis] != 0)
                {
                    throw Hdf5Storage.Malformed($"a chunk of '{Path}' begins at [{string.Join(", ", chunk.Origin)}]");
                }
            }

            if (chunk.Size > Storage.Length || chunk.Address > Storage.Length - chunk.Size || (!filters.Any && chunk.Size < chunkBytes))
            {
                throw Hdf5Storage.Malformed($"a chunk of '{Path}' of {Counted.Of(chunk.Size, "byte")} lies at address {chunk.Address}");
            }

            Storage.CountData(Math.Max(chunkBytes, chunk.Size), $"The dataset '{Path}'");
            var stored = new byte[filters.Any ? chunk.Size : chunkBytes];
            Storage.Read(chunk.Address, stored);
            var partial = chunk.Origin.Where((origin, axis) => origin + sides[axis] > _space.Sides[axis]).Any();
            var plain = !filters.Any || (keepPartialUnfiltered && partial);
            Place(plain ? stored : filters.Undo(stored, chunk.FilterMask, (int)chunkBytes, Type.Size), chunk.Origin, sides, data);
        }

        return data;
    }

    // Copies a chunk's rows; at the edges a chunk reaches beyond the dataset.
    private void Place(byte[] chunk, long[] origin, long[] sides, byte[] data)
    {
        var rank = origin.Length;
        if (rank == 0)
        {
            chunk.AsSpan(0, data.Length).CopyTo(data);
            return;
        }

        var row = new long[rank];
        var rowBytes = (int)(Math.Min(sides[rank - 1], _space.Sides[rank - 1] - origin[rank - 1]) * Type.Size);
        int axis;
        do
        {
            long from = 0;
            long to = 0;
            for (var side = 0; side < rank; side++)
            {
                from = (from * sides[side]) + row[side];
                to = (to * _space.Sides[side]) + origin[side] + row[side];
            }

            chunk.AsSpan((int)(from * Type.Size), rowBytes).CopyTo(data.AsSpan((int)(to * Type.Size)));
            for (axis = rank - 2; axis >= 0 && ++row[axis] == Math.Min(sides[axis], _space.Sides[axis] - origin[axis]); axis--)
            {
                row[axis] = 0;
            }
        }
        while (axis >= 0);
    }

    // IV.A.2.e and f: what stands where nothing was written; zeros where the file names nothing.
    private byte[] Filled(long bytes)
    {
        Storage.CountData(bytes, $"The dataset '{Path}'");
        var data = new byte[bytes];
        var value = FillValue();
        if (value.Length == Type.Size && Array.Exists(value, part => part != 0))
        {
            for (var element = 0; element < data.Length; element += Type.Size)
            {
                value.CopyTo(data, element);
            }
        }

        return data;
    }

    private byte[] FillValue()
    {
        if (_header.First(MessageType.FillValue) is not { } message)
        {
            return _header.First(MessageType.OldFillValue) is { } old ? old.Bytes(old.UInt32()) : [];
        }

        // Versions 1 and 2: when space is taken, when the value is written, whether one is defined; version 3: the same as flags.
        var version = message.Version("fill value", 1, 3);
        var defined = version == 3 ? (message.Byte() & 0x20) != 0 : message.Skip(2).Byte() != 0 || version == 1;
        return defined && message.Remaining >= 4 ? message.Bytes(message.UInt32()) : [];
    }
}
