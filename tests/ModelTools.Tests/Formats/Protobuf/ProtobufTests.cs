using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Protobuf;

namespace Whatsit.ModelTools.Tests.Formats.Protobuf;

public class ProtobufTests
{
    [Fact]
    public void What_is_written_is_read()
    {
        var large = new byte[1000];
        new Random(1).NextBytes(large);
        var inner = new ProtobufMessage().Add(1, "naïve").Add(2, -1L);
        var message = new ProtobufMessage().Add(1, 300L).Add(2, 1.5f).Add(3, inner).Add(4, (ReadOnlyMemory<byte>)large).Add(1000, long.MinValue);
        using var stream = new MemoryStream();
        message.WriteTo(stream);

        Assert.Equal(message.Length, stream.Length);
        var reader = new ProtobufReader(stream.ToArray());
        Assert.True(reader.Next());
        Assert.Equal((1, 300L), (reader.Field, reader.Int64()));
        Assert.True(reader.Next());
        Assert.Equal((2, 1.5f), (reader.Field, reader.Float()));
        Assert.True(reader.Next());
        var nested = reader.Message();
        Assert.True(nested.Next());
        Assert.Equal("naïve", nested.Text());
        Assert.True(nested.Next());
        Assert.Equal(-1, nested.Int32());
        Assert.False(nested.Next());
        Assert.True(reader.Next());
        Assert.Equal(large, reader.Bytes().ToArray());
        Assert.True(reader.Next());
        Assert.Equal((1000, long.MinValue), (reader.Field, reader.Int64()));
        Assert.False(reader.Next());
    }

    // The example of https://protobuf.dev/programming-guides/encoding/: field 1 is 150, field 2 is "testing", field 6 a packed list of 3, 270 and 86942.
    [Fact]
    public void The_documentations_examples_are_read()
    {
        var reader = new ProtobufReader(Convert.FromHexString("089601" + "120774657374696e67" + "3206038e029ea705"));
        reader.Next();
        Assert.Equal(150, reader.Int64());
        reader.Next();
        Assert.Equal("testing", reader.Text());
        reader.Next();
        var list = new List<long>();
        reader.AddTo(list);
        Assert.Equal([3, 270, 86942], list);
    }

    [Theory]
    [InlineData("08", "The file ends within a protobuf number.")]
    [InlineData("08ffffffffffffffffffffff", "A protobuf number is longer than 10 bytes.")]
    [InlineData("12ff01", "A protobuf field claims 255 bytes where 0 are left.")]
    [InlineData("12ffffffffffffffffff01", "A protobuf field claims 18,446,744,073,709,551,615 bytes where 0 are left.")]
    [InlineData("0d0000", "A protobuf field claims 4 bytes where 2 are left.")]
    [InlineData("0b", "The protobuf field 1 has the unknown wire type 3.")]
    [InlineData("00", "A protobuf field has the number 0.")]
    public void A_malformed_message_is_refused(string hex, string sentence)
    {
        var exception = Assert.Throws<ModelFormatException>(() => new ProtobufReader(Convert.FromHexString(hex)).Next());
        Assert.Equal(sentence, exception.Message);
    }

    [Fact]
    public void A_field_of_another_kind_than_expected_is_refused()
    {
        var reader = new ProtobufReader(Convert.FromHexString("089601"));
        reader.Next();
        Assert.Equal("The protobuf field 1 should be bytes, but has the wire type Varint.", Assert.Throws<ModelFormatException>(() => reader.Text()).Message);
    }
}
