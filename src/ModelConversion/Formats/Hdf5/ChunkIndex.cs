using System.Numerics;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>One chunk of a dataset: where it begins in the dataset (in elements), where it lies in the file and which filters it skipped.</summary>
internal readonly record struct Chunk(long[] Origin, long Address, long Size, long FilterMask);

/// <summary>How a chunked dataset is cut, and the ways to find its chunks: a B-tree of version 1, or the five indexes of Appendix C.</summary>
internal sealed class ChunkIndex
{
    private readonly Hdf5Storage _storage;
    private readonly long[] _chunk;
    private readonly long[] _counts;
    private readonly long[] _mostCounts;
    private readonly long _chunkBytes;
    private readonly bool _filtered;

    /// <param name="storage">The file.</param>
    /// <param name="space">The dataset's shape.</param>
    /// <param name="chunk">A chunk's sides.</param>
    /// <param name="chunkBytes">Bytes of a chunk before filters.</param>
    /// <param name="filtered">Whether chunks go through filters, so that their sizes differ.</param>
    public ChunkIndex(Hdf5Storage storage, Dataspace space, long[] chunk, long chunkBytes, bool filtered)
    {
        _storage = storage;
        _chunk = chunk;
        _chunkBytes = chunkBytes;
        _filtered = filtered;
        _counts = [.. space.Sides.Select((side, axis) => Ceiling(side, chunk[axis]))];
        _mostCounts = [.. space.MostSides.Select((side, axis) => side < 0 ? -1 : Ceiling(side, chunk[axis]))];
    }

    /// <summary>III.A.1, node type 1: the key is the size, the filter mask and the origin, with one more side for the element.</summary>
    public IEnumerable<Chunk> BTree1(long root)
    {
        Hdf5Cursor? key = null;
        foreach (var child in BTreeVersion1.Leaves(_storage, root, nodeType: 1, keySize: 8 + (8 * (_chunk.Length + 1)), found => key = found))
        {
            var size = key!.UInt32();
            var mask = key.UInt32();
            long[] origin = [.. _chunk.Select(_ => key.Count(8))];
            yield return new Chunk(origin, child.Offset(), size, mask);
        }
    }

    /// <summary>Appendix C.A: one chunk holds everything.</summary>
    public IEnumerable<Chunk> Single(long address, long size, long mask)
    {
        yield return new Chunk(new long[_chunk.Length], address, _filtered ? size : _chunkBytes, mask);
    }

    /// <summary>Appendix C.B: all chunks lie one after the other.</summary>
    public IEnumerable<Chunk> Implicit(long address) =>
        address < 0 ? [] : Grid().Select(place => new Chunk(Origin(place), checked(address + (Linear(place) * _chunkBytes)), _chunkBytes, 0));

    /// <summary>Appendix C.C: a list of all chunks, in pages where it is long.</summary>
    public IEnumerable<Chunk> FixedArray(long address)
    {
        if (address < 0)
        {
            yield break;
        }

        var header = _storage.At(address).Signature("FAHD"u8);
        header.Version("fixed array", 0, 0);
        var entrySize = Entry(header.Skip(1).Byte());
        int pageBits = header.Byte();
        var entries = header.Length();
        var block = header.Offset();
        if (pageBits > 32)
        {
            throw Hdf5Storage.Malformed($"a fixed array has pages of 2^{pageBits} entries");
        }

        if (block < 0)
        {
            yield break;
        }

        var data = _storage.At(block).Signature("FADB"u8);
        data.Skip(2 + _storage.OffsetSize);
        var page = 1L << pageBits;
        var paged = entries > page;
        var bitmap = data.Position;
        var elements = paged ? bitmap + Ceiling(Ceiling(entries, page), 8) + 4 : bitmap; // the bitmap has a checksum behind it
        foreach (var place in Grid())
        {
            var index = Linear(place);
            var position = elements + (index * entrySize);
            if (paged)
            {
                var number = index / page;
                if (!Bit(bitmap, number))
                {
                    continue; // a page that was never written
                }

                position = elements + (number * ((page * entrySize) + 4)) + (index % page * entrySize);
            }

            yield return Element(place, position, entrySize);
        }
    }

    /// <summary>Appendix C.D: a list that grows along one side, in blocks of doubling size.</summary>
    public IEnumerable<Chunk> ExtensibleArray(long address)
    {
        if (address < 0)
        {
            yield break;
        }

        var header = _storage.At(address).Signature("EAHD"u8);
        header.Version("extensible array", 0, 0);
        var entrySize = Entry(header.Skip(1).Byte());
        int mostBits = header.Byte();
        int inIndexBlock = header.Byte();
        int leastInBlock = header.Byte();
        int leastPointers = header.Byte();
        int pageBits = header.Byte();
        var indexBlock = header.Skip(6 * _storage.LengthSize).Offset();
        if (mostBits is 0 or > 62 || !BitOperations.IsPow2(leastInBlock) || !BitOperations.IsPow2(leastPointers) || pageBits > 32)
        {
            throw Hdf5Storage.Malformed(
                $"an extensible array has blocks of {Counted.Of(leastInBlock, "entry", "entries")} and super blocks of {leastPointers}");
        }

        if (indexBlock < 0)
        {
            yield break;
        }

        var index = _storage.At(indexBlock).Signature("EAIB"u8);
        var direct = index.Skip(2 + _storage.OffsetSize).Position;
        var blocks = direct + (inIndexBlock * (long)entrySize);
        var directSuperBlocks = 2 * BitOperations.Log2((uint)leastPointers);
        var superBlocks = blocks + (2L * (leastPointers - 1) * _storage.OffsetSize);
        var offsetBytes = (mostBits + 7) / 8;
        var page = 1L << pageBits;
        var superBlockAddresses = new Dictionary<int, long>();

        foreach (var place in Grid())
        {
            var number = Linear(place);
            if (number < inIndexBlock)
            {
                yield return Element(place, direct + (number * entrySize), entrySize);
                continue;
            }

            // Super block u points to 2^(u/2) data blocks of 2^((u+1)/2) times the least size; the first ones have no block of their own: their
            // pointers stand in the index block.
            var rest = number - inIndexBlock;
            var super = BitOperations.Log2((ulong)((rest / leastInBlock) + 1));
            var blockEntries = leastInBlock * (1L << ((super + 1) / 2));
            rest -= leastInBlock * ((1L << super) - 1);
            var block = rest / blockEntries;
            var inBlock = rest % blockEntries;
            var paged = blockEntries > page;
            var pages = paged ? blockEntries / page : 0;
            long blockAddress;
            if (super < directSuperBlocks)
            {
                // Blocks in the super blocks before this one: 2^0 + 2^0 + 2^1 + 2^1 …
                var before = super % 2 == 0 ? 2 * ((1L << (super / 2)) - 1) : (3L << (super / 2)) - 2;
                blockAddress = _storage.At(blocks + ((before + block) * _storage.OffsetSize)).Offset();
            }
            else
            {
                if (!superBlockAddresses.TryGetValue(super, out var superBlock))
                {
                    superBlock = _storage.At(superBlocks + ((long)(super - directSuperBlocks) * _storage.OffsetSize)).Offset();
                    if (superBlock >= 0)
                    {
                        _storage.At(superBlock).Signature("EASB"u8);
                    }

                    superBlockAddresses.Add(super, superBlock);
                }

                if (superBlock < 0)
                {
                    continue;
                }

                var bitmaps = superBlock + 6 + _storage.OffsetSize + offsetBytes;
                var bitmapBytes = Ceiling(pages, 8);
                // The library takes a whole number of bytes for each block and then counts bits through all of them without gaps.
                if (paged && !Bit(bitmaps, (block * pages) + (inBlock / page)))
                {
                    continue;
                }

                blockAddress = _storage.At(bitmaps + ((1L << (super / 2)) * bitmapBytes) + (block * _storage.OffsetSize)).Offset();
            }

            if (blockAddress < 0)
            {
                continue;
            }

            var elements = blockAddress + 6 + _storage.OffsetSize + offsetBytes;
            yield return Element(
                place,
                paged ? elements + 4 + (inBlock / page * ((page * entrySize) + 4)) + (inBlock % page * entrySize) : elements + (inBlock * entrySize),
                entrySize);
        }
    }

    /// <summary>Appendix C.E: a B-tree of version 2 (record type 10, or 11 with filters), origins counted in chunks.</summary>
    public IEnumerable<Chunk> BTree2(long address)
    {
        foreach (var record in address < 0 ? [] : BTreeVersion2.Records(_storage, address, _filtered ? 11 : 10))
        {
            var sizeBytes = record.Remaining - _storage.OffsetSize - 4 - (8 * _chunk.Length);
            if (_filtered && sizeBytes is < 1 or > 8)
            {
                throw Hdf5Storage.Malformed($"a chunk's size takes {Counted.Of(sizeBytes, "byte")}");
            }

            var position = record.Offset();
            var size = _filtered ? record.Count((int)sizeBytes) : _chunkBytes;
            var mask = _filtered ? record.UInt32() : 0;
            yield return new Chunk(Origin([.. _chunk.Select(_ => record.Count(8))]), position, size, mask);
        }
    }

    private int Entry(int size) =>
        size >= _storage.OffsetSize + (_filtered ? 5 : 0) && size <= _storage.OffsetSize + 12 ? size
            : throw Hdf5Storage.Malformed($"a chunk index has entries of {Counted.Of(size, "byte")}");

    // An address, and for filtered chunks the size and the mask behind it.
    private Chunk Element(long[] place, long position, int entrySize)
    {
        var element = _storage.At(position, entrySize);
        var address = element.Offset();
        var size = _filtered ? element.Count(entrySize - _storage.OffsetSize - 4) : _chunkBytes;
        return new Chunk(Origin(place), address, size, _filtered ? element.UInt32() : 0);
    }

    private bool Bit(long bitmap, long number) => (_storage.At(checked(bitmap + (number / 8)), 1).Byte() & (0x80 >> (int)(number % 8))) != 0;

    private long[] Origin(long[] place) => [.. place.Select((number, axis) => checked(number * _chunk[axis]))];

    /// <summary>Every place in the grid of chunks, in row-major order.</summary>
    private IEnumerable<long[]> Grid()
    {
        if (_counts.Contains(0))
        {
            yield break;
        }

        var place = new long[_counts.Length];
        int axis;
        do
        {
            yield return place;
            for (axis = place.Length - 1; axis >= 0 && ++place[axis] == _counts[axis]; axis--)
            {
                place[axis] = 0;
            }
        }
        while (axis >= 0);
    }

    // Row-major in the largest shape the dataset may grow to; the one side without a limit varies slowest, wherever it stands.
    private long Linear(long[] place)
    {
        var endless = Array.IndexOf(_mostCounts, -1);
        var index = endless < 0 ? 0 : place[endless];
        for (var axis = 0; axis < place.Length; axis++)
        {
            index = axis == endless ? index : checked((index * _mostCounts[axis]) + place[axis]);
        }

        return index;
    }

    private static long Ceiling(long value, long divisor) => (value / divisor) + (value % divisor == 0 ? 0 : 1);
}
