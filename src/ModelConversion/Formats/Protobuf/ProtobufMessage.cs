using System.Buffers.Binary;
using System.Text;

namespace Whatsit.ModelConversion.Formats.Protobuf;

/// <summary>
/// A message to be written. Large byte fields are referred to, not copied: the weights of a model go from where they lie straight to the stream.
/// </summary>
public sealed class ProtobufMessage
{
    private const int CopyUpTo = 256;
    private readonly List<object> _parts = []; // MemoryStream, ReadOnlyMemory<byte> or ProtobufMessage

    /// <summary>How many bytes it takes.</summary>
    public long Length { get; private set; }

    /// <summary>An integer, an enumeration or a truth value.</summary>
    public ProtobufMessage Add(int field, long value)
    {
        Span<byte> buffer = stackalloc byte[20];
        var length = WriteVarint(buffer, ((ulong)field << 3) | (int)WireType.Varint);
        length += WriteVarint(buffer[length..], unchecked((ulong)value));
        return Append(buffer[..length]);
    }

    /// <summary>A float.</summary>
    public ProtobufMessage Add(int field, float value)
    {
        Span<byte> buffer = stackalloc byte[14];
        var length = WriteVarint(buffer, ((ulong)field << 3) | (int)WireType.Fixed32);
        BinaryPrimitives.WriteSingleLittleEndian(buffer[length..], value);
        return Append(buffer[..(length + 4)]);
    }

    /// <summary>UTF-8 text.</summary>
    public ProtobufMessage Add(int field, string text) => Add(field, (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(text));

    /// <summary>Bytes; they must not change before the message is written.</summary>
    public ProtobufMessage Add(int field, ReadOnlyMemory<byte> bytes)
    {
        AppendLength(field, bytes.Length);
        if (bytes.Length <= CopyUpTo)
        {
            return Append(bytes.Span);
        }

        _parts.Add(bytes);
        Length += bytes.Length;
        return this;
    }

    /// <summary>A message of its own, which must be complete.</summary>
    public ProtobufMessage Add(int field, ProtobufMessage message)
    {
        AppendLength(field, message.Length);
        _parts.Add(message);
        Length += message.Length;
        return this;
    }

    /// <summary>Writes all fields in the order in which they were added.</summary>
    public void WriteTo(Stream stream)
    {
        foreach (var part in _parts)
        {
            switch (part)
            {
                case MemoryStream bytes: bytes.WriteTo(stream); break;
                case ReadOnlyMemory<byte> bytes: stream.Write(bytes.Span); break;
                case ProtobufMessage message: message.WriteTo(stream); break;
            }
        }
    }

    private void AppendLength(int field, long length)
    {
        Span<byte> buffer = stackalloc byte[20];
        var written = WriteVarint(buffer, ((ulong)field << 3) | (int)WireType.LengthDelimited);
        written += WriteVarint(buffer[written..], (ulong)length);
        Append(buffer[..written]);
    }

    private ProtobufMessage Append(ReadOnlySpan<byte> bytes)
    {
        if (_parts is not [.., MemoryStream last])
        {
            _parts.Add(last = new MemoryStream());
        }

        last.Write(bytes);
        Length += bytes.Length;
        return this;
    }

    private static int WriteVarint(Span<byte> buffer, ulong value)
    {
        var length = 0;
        for (; value >= 0x80; value >>= 7)
        {
            buffer[length++] = (byte)(value | 0x80);
        }

        buffer[length++] = (byte)value;
        return length;
    }
}
