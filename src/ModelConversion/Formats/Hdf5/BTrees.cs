using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>Version 1 B-trees (III.A.1): the links of old groups and the chunks of old datasets.</summary>
internal static class BTreeVersion1
{
    /// <summary>Walks to the leaves; each cursor stands at the child's address, behind its key, which <paramref name="onKey"/> sees first.</summary>
    public static IEnumerable<Hdf5Cursor> Leaves(Hdf5Storage storage, long root, int nodeType, int keySize, Action<Hdf5Cursor>? onKey = null) =>
        root < 0 ? [] : Walk(storage, root, nodeType, keySize, onKey, parentLevel: null);

    private static IEnumerable<Hdf5Cursor> Walk(Hdf5Storage storage, long address, int nodeType, int keySize, Action<Hdf5Cursor>? onKey, int? parentLevel)
    {
        var node = storage.At(address).Signature("TREE"u8);
        int type = node.Byte();
        int level = node.Byte();
        // Levels fall towards the leaves, which is what keeps a tree that refers to itself from being walked for ever.
        if (type != nodeType || (parentLevel is { } parent && level != parent - 1))
        {
            throw Hdf5Storage.Malformed($"the B-tree node at address {address} has type {type} and level {level}");
        }

        var entries = node.UInt16();
        node.Skip(2 * storage.OffsetSize); // left and right sibling
        for (var entry = 0; entry < entries; entry++)
        {
            var key = node.Part(keySize);
            var child = node.Part(storage.OffsetSize);
            if (level == 0)
            {
                onKey?.Invoke(key);
                yield return child;
                continue;
            }

            foreach (var leaf in Walk(storage, child.Offset(), nodeType, keySize, onKey, level))
            {
                yield return leaf;
            }
        }
    }
}

/// <summary>Version 2 B-trees (III.A.2): names of links and attributes, huge objects, chunks.</summary>
internal static class BTreeVersion2
{
    // Signature, version, type and checksum of a node.
    private const int NodePrefix = 10;
    private const int DeepestTree = 32;

    /// <summary>All records in order, each as a cursor over its bytes.</summary>
    public static IEnumerable<Hdf5Cursor> Records(Hdf5Storage storage, long address, int recordType)
    {
        var header = storage.At(address).Signature("BTHD"u8);
        header.Version("B-tree", 0, 0);
        int type = header.Byte();
        var nodeSize = header.UInt32();
        var recordSize = header.UInt16();
        var depth = header.UInt16();
        var root = header.Skip(2).Offset(); // split and merge percentages
        var records = header.UInt16();
        if (type != recordType || recordSize == 0 || nodeSize <= NodePrefix + recordSize || depth > DeepestTree)
        {
            throw Hdf5Storage.Malformed(
                $"the B-tree at address {address} has type {type}, depth {depth}, nodes of {nodeSize} and records of {Counted.Of(recordSize, "byte")}");
        }

        return root < 0 ? [] : Walk(storage, root, recordSize, records, depth, PointerSizes(storage, nodeSize, recordSize, depth));
    }

    // A child pointer is an address, the child's number of records, and, above the last inner level, the number of records below it. The last two
    // take as many bytes as their largest possible value, which follows from the node size level by level (III.A.2, "Version 2 B-tree Internal Node").
    private static (int Records, int[] Totals) PointerSizes(Hdf5Storage storage, long nodeSize, int recordSize, int depth)
    {
        var mostBelow = (UInt128)((nodeSize - NodePrefix) / recordSize);
        var records = BytesFor(mostBelow);
        var totals = new int[depth + 1];
        for (var level = 1; level <= depth; level++)
        {
            totals[level] = level == 1 ? 0 : BytesFor(mostBelow);
            var pointer = storage.OffsetSize + records + totals[level];
            var most = Math.Max(0, (nodeSize - NodePrefix - pointer) / (recordSize + pointer));
            mostBelow = UInt128.Min((((UInt128)most + 1) * mostBelow) + (UInt128)most, ulong.MaxValue);
        }

        return (records, totals);
    }

    private static int BytesFor(UInt128 value) => (int)((UInt128.Log2(UInt128.Max(value, 1)) / 8) + 1);

    private static IEnumerable<Hdf5Cursor> Walk(Hdf5Storage storage, long address, int recordSize, int records, int level, (int Records, int[] Totals) sizes)
    {
        var node = level == 0 ? storage.At(address).Signature("BTLF"u8) : storage.At(address).Signature("BTIN"u8);
        node.Version("B-tree node", 0, 0);
        var all = node.Skip(1).Part((long)records * recordSize);
        for (var record = 0; record <= records; record++)
        {
            if (level > 0)
            {
                var child = node.Offset();
                var childRecords = (int)Math.Min(node.Count(sizes.Records), int.MaxValue);
                node.Skip(sizes.Totals[level]);
                foreach (var found in Walk(storage, child, recordSize, childRecords, level - 1, sizes))
                {
                    yield return found;
                }
            }

            if (record < records)
            {
                yield return all.Part(recordSize);
            }
        }
    }
}
