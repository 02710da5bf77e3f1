namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>A group or a dataset: what has a name and attributes.</summary>
public abstract class Hdf5Object
{
    private readonly ObjectHeader _header;
    private Dictionary<string, Hdf5Attribute>? _attributes;

    private protected Hdf5Object(Hdf5Storage storage, ObjectHeader header, string path)
    {
        Storage = storage;
        _header = header;
        Path = path;
    }

    /// <summary>Where it was found, for messages: <c>/model_weights/conv1</c>.</summary>
    public string Path { get; }

    /// <summary>The attributes by name.</summary>
    public IReadOnlyDictionary<string, Hdf5Attribute> Attributes => _attributes ??= ReadAttributes();

    private protected Hdf5Storage Storage { get; }

    /// <summary>Opens the object whose header lies at an address; <see langword="null"/> for a committed type, which holds no data.</summary>
    internal static Hdf5Object? Open(Hdf5Storage storage, long address, string path)
    {
        var header = new ObjectHeader(storage, address);
        return header.Has(MessageType.DataLayout) ? new Hdf5Dataset(storage, header, path)
            : header.Has(MessageType.SymbolTable) || header.Has(MessageType.LinkInfo) || header.Has(MessageType.Link) || header.Has(MessageType.GroupInfo)
                ? new Hdf5Group(storage, header, path)
                : null;
    }

    private Dictionary<string, Hdf5Attribute> ReadAttributes()
    {
        var attributes = new Dictionary<string, Hdf5Attribute>(StringComparer.Ordinal);
        foreach (var message in _header.All(MessageType.Attribute))
        {
            Add(message);
        }

        if (_header.First(MessageType.AttributeInfo) is { } info)
        {
            // IV.A.2.v: many or large attributes lie in a fractal heap, found through a B-tree by name (record type 8: a heap ID first).
            info.Version("attribute info", 0, 0);
            var heap = info.Skip((info.Byte() & 1) != 0 ? 2 : 0).Offset();
            var index = info.Offset();
            if (heap >= 0 && index >= 0)
            {
                var objects = new FractalHeap(Storage, heap);
                foreach (var record in BTreeVersion2.Records(Storage, index, recordType: 8))
                {
                    Add(objects.Find(record.Part(objects.IdLength)));
                }
            }
        }

        return attributes;

        void Add(Hdf5Cursor message)
        {
            var attribute = new Hdf5Attribute(Storage, message, Path);
            attributes[attribute.Name] = attribute;
        }
    }
}
