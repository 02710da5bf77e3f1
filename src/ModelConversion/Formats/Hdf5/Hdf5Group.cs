namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>A group: links by name to groups and datasets.</summary>
public sealed class Hdf5Group : Hdf5Object
{
    private const int MostSoftLinks = 16;

    private readonly ObjectHeader _header;
    private readonly Dictionary<string, Hdf5Object?> _opened = new(StringComparer.Ordinal);
    private Dictionary<string, Link>? _links;

    internal Hdf5Group(Hdf5Storage storage, ObjectHeader header, string path) : base(storage, header, path) => _header = header;

    /// <summary>The names in it.</summary>
    public IReadOnlyCollection<string> Names => Links.Keys;

    private Dictionary<string, Link> Links => _links ??= ReadLinks();

    /// <summary>The group at a path from here, parts divided by slashes; <see langword="null"/> where there is none.</summary>
    public Hdf5Group? Group(string path) => Find(path) as Hdf5Group;

    /// <summary>The dataset at a path from here; <see langword="null"/> where there is none.</summary>
    public Hdf5Dataset? Dataset(string path) => Find(path) as Hdf5Dataset;

    /// <summary>The object at a path from here; <see langword="null"/> where there is none.</summary>
    /// <exception cref="ModelFormatException">The path leads to another file.</exception>
    public Hdf5Object? Find(string path) => Find(path, softLinksLeft: MostSoftLinks);

    private Hdf5Object? Find(string path, int softLinksLeft)
    {
        Hdf5Object? found = this;
        foreach (var name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (name != ".")
            {
                found = (found as Hdf5Group)?.Child(name, softLinksLeft);
            }
        }

        return found;
    }

    private Hdf5Object? Child(string name, int softLinksLeft)
    {
        if (_opened.TryGetValue(name, out var known))
        {
            return known;
        }

        Hdf5Object? child = null;
        if (Links.TryGetValue(name, out var link))
        {
            var path = $"{(Path == "/" ? "" : Path)}/{name}";
            child = link.Target switch
            {
                null => Open(Storage, link.Address, path),
                _ when link.External => throw new ModelFormatException($"'{path}' lies in another file ('{link.Target}'), which is not supported."),
                _ when softLinksLeft == 0 => throw Hdf5Storage.Malformed($"'{path}' leads from soft link to soft link"),
                _ => (link.Target.StartsWith('/') ? Storage.Root ?? this : this).Find(link.Target, softLinksLeft - 1),
            };
        }

        _opened.Add(name, child);
        return child;
    }

    private Dictionary<string, Link> ReadLinks()
    {
        var links = new Dictionary<string, Link>(StringComparer.Ordinal);
        if (_header.First(MessageType.SymbolTable) is { } table)
        {
            ReadSymbolTable(table, links);
        }

        foreach (var message in _header.All(MessageType.Link))
        {
            ReadLinkMessage(message, links);
        }

        if (_header.First(MessageType.LinkInfo) is { } info)
        {
            // IV.A.2.c: many links lie in a fractal heap, found through a B-tree by name (record type 5: a hash, then a heap ID).
            info.Version("link info", 0, 0);
            var heap = info.Skip((info.Byte() & 1) != 0 ? 8 : 0).Offset();
            var index = info.Offset();
            if (heap >= 0 && index >= 0)
            {
                var objects = new FractalHeap(Storage, heap);
                foreach (var record in BTreeVersion2.Records(Storage, index, recordType: 5))
                {
                    ReadLinkMessage(objects.Find(record.Skip(4).Part(objects.IdLength)), links);
                }
            }
        }

        return links;
    }

    // The old form: IV.A.2.r, a B-tree (III.A.1) of symbol table nodes (III.B) with names in a local heap (III.D).
    private void ReadSymbolTable(Hdf5Cursor message, Dictionary<string, Link> links)
    {
        var tree = message.Offset();
        var heap = message.Offset();
        var local = Storage.At(heap).Signature("HEAP"u8);
        local.Version("local heap", 0, 0);
        var heapSize = local.Skip(3).Length();
        var names = local.Skip(Storage.LengthSize).Offset();
        foreach (var leaf in BTreeVersion1.Leaves(Storage, tree, nodeType: 0, keySize: Storage.LengthSize))
        {
            var node = Storage.At(leaf.Offset()).Signature("SNOD"u8);
            node.Version("symbol table node", 1, 1);
            var count = node.Skip(1).UInt16();
            for (var index = 0; index < count; index++)
            {
                // III.C: name, object header, what is cached in the scratch space (2: a soft link's target), reserved, 16 bytes of scratch.
                var name = Name(node.Offset());
                var header = node.Offset();
                var soft = node.UInt32() == 2;
                var scratch = node.Skip(4).Part(16);
                links[name] = soft ? new Link(-1, Name(scratch.UInt32()), External: false) : new Link(header, null, External: false);
            }
        }

        string Name(long offset) => offset < heapSize ? Storage.At(names, heapSize).Skip(offset).NullTerminated()
            : throw Hdf5Storage.Malformed($"a name in '{Path}' lies outside of its heap");
    }

    // IV.A.2.g
    private static void ReadLinkMessage(Hdf5Cursor message, Dictionary<string, Link> links)
    {
        message.Version("link", 1, 1);
        int flags = message.Byte();
        var type = (flags & 8) != 0 ? message.Byte() : 0;
        message.Skip(((flags & 4) != 0 ? 8 : 0) + ((flags & 16) != 0 ? 1 : 0)); // creation order, character set
        var name = message.Text(message.Count(1 << (flags & 3)));
        links[name] = type switch
        {
            0 => new Link(message.Offset(), null, External: false),
            1 => new Link(-1, message.Text(message.UInt16()), External: false),
            // External: a version byte, the file's name, the object's name; the file's name is enough for the refusal.
            64 => new Link(-1, message.Skip(2 + 1).NullTerminated(), External: true),
            _ => new Link(-1, $"user-defined link {type}", External: true),
        };
    }

    private readonly record struct Link(long Address, string? Target, bool External);
}
