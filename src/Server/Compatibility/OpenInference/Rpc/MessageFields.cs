namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>The fields of a message, without anything being made of them (https://protobuf.dev/programming-guides/encoding/).</summary>
/// <param name="message">The message.</param>
internal ref struct MessageFields(ReadOnlyMemory<byte> message)
{
    private int _at;
    private int _start;

    /// <summary>The field's number.</summary>
    public int Number { get; private set; }

    /// <summary>It has a length, and so much content; otherwise it is a number.</summary>
    public bool HasLength { get; private set; }

    /// <summary>Where its content begins and ends.</summary>
    public Range Content { get; private set; }

    /// <summary>Where it begins and ends, with its number.</summary>
    public readonly Range Whole => _start.._at;

    /// <summary>Goes to the next field; false at the end.</summary>
    /// <exception cref="InvalidDataException">This is no message.</exception>
    public bool Next()
    {
        _start = _at;
        if (_at == message.Length)
        {
            return false;
        }

        var tag = Varint();
        Number = (int)(tag >> 3);
        HasLength = (tag & 7) == 2;
        switch (tag & 7)
        {
            case 0:
                var from = _at;
                Varint();
                Content = from.._at;
                break;
            case 1:
                Pass(8);
                break;
            case 2:
                Pass(Varint());
                break;
            case 5:
                Pass(4);
                break;
            default:
                throw Malformed();
        }

        return Number > 0 ? true : throw Malformed();
    }

    private void Pass(ulong length)
    {
        if (length > (ulong)(message.Length - _at))
        {
            throw Malformed();
        }

        Content = _at..(_at + (int)length);
        _at += (int)length;
    }

    private ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64 && _at < message.Length; shift += 7)
        {
            var part = message.Span[_at++];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }

        throw Malformed();
    }

    private static InvalidDataException Malformed() => new("This is no message.");
}
