using Google.Protobuf;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>Messages by field number (https://protobuf.dev/programming-guides/encoding/), where there are no generated classes.</summary>
internal sealed class Protobuf
{
    private readonly List<(int Field, object Value)> _fields = [];

    private Protobuf()
    {
    }

    /// <summary>A message with fields that are integers, texts or messages.</summary>
    public static byte[] Write(params (int Field, object Value)[] fields)
    {
        using var bytes = new MemoryStream();
        using var output = new CodedOutputStream(bytes, leaveOpen: true);
        foreach (var (field, value) in fields)
        {
            output.WriteTag(field, value is int ? WireFormat.WireType.Varint : WireFormat.WireType.LengthDelimited);
            switch (value)
            {
                case int number: output.WriteInt64(number); break;
                case string text: output.WriteString(text); break;
                default: output.WriteBytes(ByteString.CopyFrom((byte[])value)); break;
            }
        }

        output.Flush();
        return bytes.ToArray();
    }

    public static Protobuf Read(ByteString bytes)
    {
        var message = new Protobuf();
        var input = bytes.CreateCodedInput();
        while (input.ReadTag() is not 0 and var tag)
        {
            message._fields.Add((WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag) switch
            {
                WireFormat.WireType.Varint => input.ReadUInt64(),
                WireFormat.WireType.Fixed64 => input.ReadFixed64(),
                WireFormat.WireType.Fixed32 => (ulong)input.ReadFixed32(),
                _ => input.ReadBytes(),
            }));
        }

        return message;
    }

    public IEnumerable<Protobuf> Messages(int field) => All<ByteString>(field).Select(Read);

    public string Text(int field) => All<ByteString>(field).FirstOrDefault()?.ToStringUtf8() ?? "";

    public string Hex(int field) => Convert.ToHexStringLower((All<ByteString>(field).FirstOrDefault() ?? ByteString.Empty).Span);

    public ulong Number(int field) => All<ulong>(field).FirstOrDefault();

    private IEnumerable<T> All<T>(int field) => _fields.Where(each => each.Field == field).Select(each => (T)each.Value);
}
