namespace Whatsit.ModelConversion.Formats.Hdf5;

/// <summary>The messages of a data object header (IV.A.2) that are read; the others are stepped over.</summary>
internal enum MessageType
{
    Dataspace = 0x01,
    LinkInfo = 0x02,
    Datatype = 0x03,
    OldFillValue = 0x04,
    FillValue = 0x05,
    Link = 0x06,
    ExternalFiles = 0x07,
    DataLayout = 0x08,
    GroupInfo = 0x0A,
    FilterPipeline = 0x0B,
    Attribute = 0x0C,
    Continuation = 0x10,
    SymbolTable = 0x11,
    AttributeInfo = 0x15,
}

/// <summary>One message: where its data lies.</summary>
internal readonly record struct HeaderMessage(MessageType Type, bool Shared, long Address, long Size);

/// <summary>A data object header (IV.A.1): what a group, a dataset or a committed type says about itself.</summary>
internal sealed class ObjectHeader
{
    private readonly Hdf5Storage _storage;
    private readonly List<HeaderMessage> _messages = [];

    // Header chunks already read: a continuation that leads back would otherwise never end.
    private readonly HashSet<long> _chunks = [];
    private readonly Queue<(long Address, long Length)> _continuations = [];

    public ObjectHeader(Hdf5Storage storage, long address)
    {
        _storage = storage;
        var cursor = storage.At(address);
        if (cursor.Byte() == 1)
        {
            ReadVersion1(cursor);
        }
        else
        {
            ReadVersion2(storage.At(address));
        }
    }

    /// <summary>The messages of one type, in order.</summary>
    public IEnumerable<Hdf5Cursor> All(MessageType type) => _messages.Where(message => message.Type == type).Select(Open);

    /// <summary>The first message of a type.</summary>
    public Hdf5Cursor? First(MessageType type)
    {
        foreach (var message in _messages)
        {
            if (message.Type == type)
            {
                return Open(message);
            }
        }

        return null;
    }

    public bool Has(MessageType type) => _messages.Exists(message => message.Type == type);

    /// <summary>A message that lies elsewhere (IV.A.2, "Shared Message"): the type of a dataset that is committed under a name of its own.</summary>
    public static Hdf5Cursor Shared(Hdf5Storage storage, Hdf5Cursor reference, MessageType type)
    {
        var version = reference.Version("shared messages", 1, 3);
        int place = reference.Byte();
        if (version == 3 && place == 1)
        {
            throw new ModelFormatException("HDF5's table of shared messages is not supported.");
        }

        var address = version == 1 ? reference.Skip(6 + storage.LengthSize).Offset() : reference.Offset();
        foreach (var message in new ObjectHeader(storage, address)._messages)
        {
            // A committed message that is itself shared could lead in circles; the specification has no use for it.
            if (message.Type == type && !message.Shared)
            {
                return storage.At(message.Address, message.Size);
            }
        }

        throw Hdf5Storage.Malformed($"the object at address {address} does not hold the shared message");
    }

    private Hdf5Cursor Open(HeaderMessage message)
    {
        var cursor = _storage.At(message.Address, message.Size);
        return message.Shared ? Shared(_storage, cursor, message.Type) : cursor;
    }

    // IV.A.1.a
    private void ReadVersion1(Hdf5Cursor prefix)
    {
        var left = prefix.Skip(1).UInt16();
        var size = prefix.Skip(4).UInt32();
        _continuations.Enqueue((prefix.Skip(4).Position, size)); // padded: messages begin on a multiple of eight
        while (_continuations.TryDequeue(out var chunk) && Enter(chunk.Address))
        {
            var cursor = _storage.At(chunk.Address, chunk.Length);
            while (cursor.Remaining >= 8 && left-- > 0)
            {
                var type = cursor.UInt16();
                var length = cursor.UInt16();
                int flags = cursor.Byte();
                Keep(type, flags, cursor.Skip(3), length);
            }
        }
    }

    // IV.A.1.b
    private void ReadVersion2(Hdf5Cursor prefix)
    {
        prefix.Signature("OHDR"u8).Version("object header", 2, 2);
        int flags = prefix.Byte();
        prefix.Skip(((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0)); // four times; the two thresholds for dense attributes
        var size = prefix.Count(1 << (flags & 3));
        var perMessage = (flags & 4) != 0 ? 6 : 4;
        Enter(prefix.Position);
        ReadMessages(prefix.Part(size), perMessage);
        while (_continuations.TryDequeue(out var chunk) && Enter(chunk.Address))
        {
            ReadMessages(_storage.At(chunk.Address, chunk.Length - 4).Signature("OCHK"u8), perMessage); // the last four bytes are a checksum
        }
    }

    private void ReadMessages(Hdf5Cursor cursor, int perMessage)
    {
        while (cursor.Remaining >= perMessage) // fewer bytes are a gap
        {
            int type = cursor.Byte();
            var length = cursor.UInt16();
            int flags = cursor.Byte();
            Keep(type, flags, cursor.Skip(perMessage - 4), length);
        }
    }

    private void Keep(int type, int flags, Hdf5Cursor cursor, int length)
    {
        if (type == (int)MessageType.Continuation)
        {
            var continuation = cursor.Part(length);
            _continuations.Enqueue((continuation.Offset(), continuation.Length()));
        }
        else
        {
            _messages.Add(new HeaderMessage((MessageType)type, (flags & 2) != 0, cursor.Position, length));
            cursor.Skip(length);
        }
    }

    private bool Enter(long address) => _chunks.Add(address) ? true
        : throw Hdf5Storage.Malformed($"an object header continues in circles at address {address}");
}
