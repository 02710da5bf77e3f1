using Whatsit.Inference.Memory;

namespace Whatsit.Inference.Tests.Memory;

public sealed class MemoryReaderTests
{
    [Fact]
    public void It_reads_as_a_MemoryStream_does()
    {
        var bytes = new byte[1000];
        new Random(1).NextBytes(bytes);
        using var expected = new MemoryStream(bytes, 100, 800, writable: false);
        using var actual = new MemoryReader(bytes.AsMemory(100, 800));
        Assert.Equal(expected.Length, actual.Length);
        var random = new Random(2);
        for (var turn = 0; turn < 2000; turn++)
        {
            var (one, other) = (new byte[random.Next(200)], new byte[200]);
            var origin = (SeekOrigin)random.Next(3);
            // Now and then behind the end, where nothing is.
            var offset = origin switch { SeekOrigin.Begin => random.Next(900), SeekOrigin.End => random.Next(-800, 100), _ => random.Next(100) };
            Assert.Equal(expected.Seek(offset, origin), actual.Seek(offset, origin));
            var read = expected.Read(one);
            Assert.Equal(read, actual.Read(other, 0, one.Length));
            Assert.Equal(one.AsSpan(0, read), other.AsSpan(0, read));
            Assert.Equal(expected.Position, actual.Position);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => actual.Position = -1);
    }
}
