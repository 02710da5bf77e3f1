using System.Buffers.Binary;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Protobuf;

/// <summary>How a field's value is written. https://protobuf.dev/programming-guides/encoding/#structure</summary>
public enum WireType
{
    /// <summary>Seven bits per byte, lowest first.</summary>
    Varint = 0,

    /// <summary>Eight bytes.</summary>
    Fixed64 = 1,

    /// <summary>A length and that many bytes: text, bytes, messages, packed lists.</summary>
    LengthDelimited = 2,

    /// <summary>Four bytes.</summary>
    Fixed32 = 5,
}

/// <summary>
/// Walks the fields of one message in memory, without copying. It never reads past the end, whatever a length claims, and it knows no schema:
/// <c>while (reader.Next()) switch (reader.Field) { case 1: name = reader.Text(); break; … }</c>; fields that nobody reads are skipped.
/// </summary>
public struct ProtobufReader(ReadOnlyMemory<byte> message)
{
    private ReadOnlyMemory<byte> _rest = message;
    private ulong _number;
    private ReadOnlyMemory<byte> _bytes;

    /// <summary>The current field's number.</summary>
    public int Field { get; private set; }

    /// <summary>How the current field's value is written.</summary>
    public WireType WireType { get; private set; }

    /// <summary>Moves to the next field; <see langword="false"/> at the end of the message.</summary>
    /// <exception cref="ModelFormatException">The message is malformed.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        var tag = ReadVarint(ref _rest);
        Field = tag >> 3 is > 0 and <= 0x1FFFFFFF ? (int)(tag >> 3) : throw new ModelFormatException($"A protobuf field has the number {tag >> 3}.");
        WireType = (WireType)(tag & 7);
        switch (WireType)
        {
            case WireType.Varint:
                _number = ReadVarint(ref _rest);
                break;
            case WireType.Fixed64:
                _number = BinaryPrimitives.ReadUInt64LittleEndian(Take(ref _rest, 8).Span);
                break;
            case WireType.Fixed32:
                _number = BinaryPrimitives.ReadUInt32LittleEndian(Take(ref _rest, 4).Span);
                break;
            case WireType.LengthDelimited:
                _bytes = Take(ref _rest, ReadVarint(ref _rest));
                break;
            default:
                throw new ModelFormatException($"The protobuf field {Field} has the unknown wire type {(int)WireType}.");
        }

        return true;
    }

    /// <summary>The current field as an integer.</summary>
    public readonly long Int64() => WireType == WireType.LengthDelimited ? throw Mismatch("a number") : unchecked((long)_number);

    /// <summary>The current field as a 32-bit integer.</summary>
    public readonly int Int32() => Int64() is >= int.MinValue and <= int.MaxValue and long number ? (int)number : throw Mismatch("a 32-bit number");

    /// <summary>The current field as a float.</summary>
    public readonly float Float() => WireType == WireType.Fixed32 ? BitConverter.UInt32BitsToSingle((uint)_number) : throw Mismatch("a float");

    /// <summary>The current field's bytes, without a copy.</summary>
    public readonly ReadOnlyMemory<byte> Bytes() => WireType == WireType.LengthDelimited ? _bytes : throw Mismatch("bytes");

    /// <summary>The current field as UTF-8 text.</summary>
    public readonly string Text() => Encoding.UTF8.GetString(Bytes().Span);

    /// <summary>The current field as a message of its own.</summary>
    public readonly ProtobufReader Message() => new(Bytes());

    /// <summary>Adds the current field to a list: one integer, or a packed run of them.</summary>
    public readonly void AddTo(List<long> list)
    {
        if (WireType != WireType.LengthDelimited)
        {
            list.Add(Int64());
            return;
        }

        for (var rest = _bytes; !rest.IsEmpty;)
        {
            list.Add(unchecked((long)ReadVarint(ref rest)));
        }
    }

    /// <summary>Adds the current field to a list: one float, or a packed run of them.</summary>
    public readonly void AddTo(List<float> list)
    {
        if (WireType != WireType.LengthDelimited)
        {
            list.Add(Float());
            return;
        }

        for (var rest = _bytes; !rest.IsEmpty;)
        {
            list.Add(BinaryPrimitives.ReadSingleLittleEndian(Take(ref rest, 4).Span));
        }
    }

    /// <summary>Adds the current field to a list: one double, or a packed run of them.</summary>
    public readonly void AddTo(List<double> list)
    {
        if (WireType != WireType.LengthDelimited)
        {
            list.Add(WireType == WireType.Fixed64 ? BitConverter.UInt64BitsToDouble(_number) : throw Mismatch("a double"));
            return;
        }

        for (var rest = _bytes; !rest.IsEmpty;)
        {
            list.Add(BinaryPrimitives.ReadDoubleLittleEndian(Take(ref rest, 8).Span));
        }
    }

    private readonly ModelFormatException Mismatch(string expected) =>
        new($"The protobuf field {Field} should be {expected}, but has the wire type {WireType}.");

    private static ulong ReadVarint(ref ReadOnlyMemory<byte> rest)
    {
        var bytes = rest.Span;
        ulong value = 0;
        for (var i = 0; i < bytes.Length && i < 10; i++)
        {
            value |= (ulong)(bytes[i] & 0x7F) << (7 * i);
            if (bytes[i] < 0x80)
            {
                rest = rest[(i + 1)..];
                return value;
            }
        }

        throw new ModelFormatException(bytes.Length < 10 ? "The file ends within a protobuf number." : "A protobuf number is longer than 10 bytes.");
    }

    private static ReadOnlyMemory<byte> Take(ref ReadOnlyMemory<byte> rest, ulong count)
    {
        if (count > (ulong)rest.Length)
        {
            throw new ModelFormatException($"A protobuf field claims {Counted.Of(count, "byte")} where {rest.Length:N0} are left.");
        }

        var taken = rest[..(int)count];
        rest = rest[(int)count..];
        return taken;
    }
}
