using System.Numerics;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>
/// A fractal heap (III.G): objects of any size in a space of blocks whose sizes double row by row. An object is found by its ID, which tells
/// where it lies in that space (managed), in the file (huge), or is the object itself (tiny).
/// </summary>
internal sealed class FractalHeap
{
    private readonly Hdf5Storage _storage;
    private readonly long _largestManaged;
    private readonly long _hugeIndex;
    private readonly int _width;
    private readonly long _startingBlock;
    private readonly long _largestDirect;
    private readonly int _spaceBits;
    private readonly long _root;
    private readonly int _rootRows;
    private Dictionary<ulong, (long Address, long Length)>? _huge;

    public FractalHeap(Hdf5Storage storage, long address)
    {
        _storage = storage;
        var header = storage.At(address).Signature("FRHP"u8);
        header.Version("fractal heap", 0, 0);
        IdLength = header.UInt16();
        var filters = header.UInt16();
        _largestManaged = header.Skip(1).UInt32();
        _hugeIndex = header.Skip(storage.LengthSize).Offset();
        header.Skip((2 * storage.LengthSize) + storage.OffsetSize + (7 * storage.LengthSize)); // free space and counts
        _width = header.UInt16();
        _startingBlock = header.Length();
        _largestDirect = header.Length();
        _spaceBits = header.UInt16();
        _root = header.Skip(2).Offset();
        _rootRows = header.UInt16();
        if (filters != 0)
        {
            throw new ModelFormatException("HDF5 groups and attributes that are compressed are not supported.");
        }

        if (_width == 0 || !BitOperations.IsPow2(_width) || !BitOperations.IsPow2(_startingBlock) || !BitOperations.IsPow2(_largestDirect)
            || _largestDirect < _startingBlock || _spaceBits is 0 or > 62 || _startingBlock > 1L << _spaceBits)
        {
            throw Hdf5Storage.Malformed(
                $"the fractal heap at address {address} has {Counted.Of(_width, "block")} of {_startingBlock} to {Counted.Of(_largestDirect, "byte")} in a row");
        }
    }

    /// <summary>Bytes of an ID.</summary>
    public int IdLength { get; }

    private int OffsetBytes => (_spaceBits + 7) / 8;

    /// <summary>The object of an ID.</summary>
    public Hdf5Cursor Find(Hdf5Cursor id)
    {
        int head = id.Byte();
        switch ((head >> 4) & 3)
        {
            case 0:
                // The length takes as many bytes as the largest managed object and the largest direct block need at most.
                var offset = id.Count(OffsetBytes);
                return FindManaged(offset, id.Count(Math.Min(BytesFor(_largestDirect), BytesFor(_largestManaged))));
            case 1:
                return FindHuge(id);
            case 2:
                // IDs of more than 18 bytes have twelve bits of length instead of four.
                var length = IdLength <= 18 ? head & 15 : ((head & 15) << 8) | id.Byte();
                return id.Part(length + 1);
            default:
                throw Hdf5Storage.Malformed($"a fractal heap ID begins with {head}");
        }
    }

    // III.G, "Doubling table": rows 0 and 1 hold blocks of the starting size, each further row blocks twice as large. Up to the largest direct
    // size they hold objects, in the rows below they are tables of the same kind.
    private Hdf5Cursor FindManaged(long offset, long length)
    {
        if (_rootRows == 0)
        {
            return InBlock(_root, offset, length, _startingBlock);
        }

        var table = _root;
        var rows = _rootRows;
        while (true)
        {
            var block = _storage.At(table).Signature("FHIB"u8);
            block.Version("fractal heap block", 0, 0);
            block.Skip(_storage.OffsetSize + OffsetBytes);

            var rowSize = _width * _startingBlock;
            var row = offset < rowSize ? 0 : BitOperations.Log2((ulong)(offset / rowSize)) + 1;
            var blockSize = row == 0 ? _startingBlock : _startingBlock << (row - 1);
            var inRow = row == 0 ? offset : offset - (rowSize << (row - 1));
            if (row >= rows)
            {
                throw Hdf5Storage.Malformed($"a fractal heap of {Counted.Of(rows, "row")} is asked for row {row}");
            }

            var child = block.Skip(((row * (long)_width) + (inRow / blockSize)) * _storage.OffsetSize).Offset();
            offset = inRow % blockSize;
            if (blockSize <= _largestDirect)
            {
                return InBlock(child, offset, length, blockSize);
            }

            // The tables of a row are smaller than this one, so that this ends.
            rows = Math.Min(row, BitOperations.Log2((ulong)blockSize) - BitOperations.Log2((ulong)rowSize) + 1);
            table = child;
        }
    }

    // Offsets count from the block's beginning, its own header included.
    private Hdf5Cursor InBlock(long block, long offset, long length, long blockSize)
    {
        _storage.At(block).Signature("FHDB"u8);
        return offset <= blockSize - length ? _storage.At(block + offset, length)
            : throw Hdf5Storage.Malformed($"{Counted.Of(length, "byte")} at {offset} do not fit in a heap block of {Counted.Of(blockSize, "byte")}");
    }

    private Hdf5Cursor FindHuge(Hdf5Cursor id)
    {
        // IDs with room for it hold the address and length themselves; the others hold the key of a B-tree (record type 1: address, length, key).
        if (IdLength - 1 >= _storage.OffsetSize + _storage.LengthSize)
        {
            var address = id.Offset();
            return _storage.At(address, id.Length());
        }

        if (_huge is null)
        {
            _huge = [];
            foreach (var record in _hugeIndex < 0 ? [] : BTreeVersion2.Records(_storage, _hugeIndex, recordType: 1))
            {
                var place = (record.Offset(), record.Length());
                _huge[record.Unsigned(_storage.LengthSize)] = place;
            }
        }

        var key = id.Unsigned(Math.Min(IdLength - 1, _storage.LengthSize));
        return _huge.TryGetValue(key, out var found) ? _storage.At(found.Address, found.Length)
            : throw Hdf5Storage.Malformed($"the huge object {key} is missing");
    }

    private static int BytesFor(long value) => (BitOperations.Log2((ulong)value) / 8) + 1;
}
