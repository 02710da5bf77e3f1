using Whatsit.Inference;
using Whatsit.Server.Limits;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Tests.Predictions;

public sealed class ReceivedFileTests
{
    private const int Megabyte = 1024 * 1024;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64 * 1024)]
    [InlineData((64 * 1024) + 1)]
    [InlineData(256 * 1024)]
    [InlineData(3 * Megabyte)]
    public async Task What_came_is_what_was_sent_whether_its_length_was_announced_or_not(int length)
    {
        var bytes = new byte[length];
        new Random(1).NextBytes(bytes);
        using var upload = new Upload(new(new LimitsOptions()));
        foreach (var announced in (long?[])[length, null])
        {
            using var stream = new MemoryStream(bytes);
            using var file = await ReceivedFile.ReadAsync(stream, announced, 4 * Megabyte, upload, TestContext.Current.CancellationToken);
            Assert.True(file.Memory.Span.SequenceEqual(bytes));
            file.Narrow((length / 2, length / 4));
            Assert.True(file.Memory.Span.SequenceEqual(bytes.AsSpan(length / 2, length / 4)));
        }
    }

    [Fact]
    public async Task One_byte_over_the_limit_is_one_too_many()
    {
        using var upload = new Upload(new(new LimitsOptions()));
        using var stream = new MemoryStream(new byte[(4 * Megabyte) + 1]);
        var failure = await Assert.ThrowsAsync<InferenceException>(() => ReceivedFile.ReadAsync(stream, null, 4 * Megabyte, upload,
            TestContext.Current.CancellationToken));
        Assert.Equal(InferenceError.ImageTooLarge, failure.Error);
        Assert.Contains("4,194,304", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_longer_than_announced_is_not_cut()
    {
        using var upload = new Upload(new(new LimitsOptions()));
        using var stream = new MemoryStream(new byte[6]);
        var failure = await Assert.ThrowsAsync<InferenceException>(() => ReceivedFile.ReadAsync(stream, 5, Megabyte, upload,
            TestContext.Current.CancellationToken));
        Assert.Equal("The file is longer than the 5 bytes that were announced.", failure.Message);
    }

    [Fact]
    public async Task What_a_file_holds_counts_and_it_stops_counting_when_the_file_is_done_with()
    {
        using var upload = new Upload(new(new LimitsOptions { MaxUploadBytesInMemory = 2 * Megabyte }));
        for (var turn = 0; turn < 3; turn++)
        {
            using var first = await ReadAsync(Megabyte);
            using var second = await ReadAsync(Megabyte);
            var refusal = await Assert.ThrowsAsync<InferenceException>(() => ReadAsync(1));
            Assert.Equal(InferenceError.QueueFull, refusal.Error);
            first.Dispose();
        }

        async Task<ReceivedFile> ReadAsync(int length)
        {
            using var stream = new MemoryStream(new byte[length]);
            return await ReceivedFile.ReadAsync(stream, length, 4 * Megabyte, upload, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Who_announces_much_and_sends_little_takes_little()
    {
        var budget = new UploadBudget(new LimitsOptions { MaxUploadBytesInMemory = 2 * Megabyte });
        List<ReceivedFile> files = [];
        for (var sender = 0; sender < 16; sender++)
        {
            using var upload = new Upload(budget);
            using var stream = new MemoryStream(new byte[1000]);
            files.Add(await ReceivedFile.ReadAsync(stream, 20 * Megabyte, 20 * Megabyte, upload, TestContext.Current.CancellationToken));
        }

        files.ForEach(file => file.Dispose());
    }

    [Fact]
    public async Task A_file_that_is_done_with_is_empty()
    {
        using var upload = new Upload(new(new LimitsOptions()));
        using var stream = new MemoryStream(new byte[Megabyte]);
        var file = await ReceivedFile.ReadAsync(stream, stream.Length, 64 * Megabyte, upload, TestContext.Current.CancellationToken);
        Assert.Equal(Megabyte, file.Memory.Length);
        file.Dispose();
        Assert.True(file.Memory.IsEmpty);
        file.Dispose();
        Assert.Equal(0, upload.Bytes);
    }
}
