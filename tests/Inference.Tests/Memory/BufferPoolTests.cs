using Microsoft.Extensions.Time.Testing;
using Whatsit.Inference.Memory;

namespace Whatsit.Inference.Tests.Memory;

public sealed class BufferPoolTests
{
    private const int Megabyte = 1024 * 1024;

    private readonly FakeTimeProvider _time = new();
    private readonly BufferPool _pool;

    public BufferPoolTests() => _pool = new(_time);

    [Fact]
    public void A_size_is_at_least_what_was_asked_for_and_at_most_an_eighth_more()
    {
        var last = -1;
        for (var length = 1L; length <= Array.MaxLength; length += 1 + (length / 97))
        {
            var (size, index) = BufferPool.Fit((int)length);
            Assert.InRange(size, length, Math.Max(BufferPool.Smallest, length + (length / 8) + 1));
            Assert.InRange(index, last, last + 1);
            Assert.Equal((size, index), BufferPool.Fit(size));
            last = index;
        }
    }

    [Fact]
    public void What_was_given_back_is_used_again()
    {
        var first = _pool.Rent(3 * Megabyte);
        first.Span.Fill(7);
        _pool.Return(first);

        var second = _pool.Rent((3 * Megabyte) - 1000);

        Assert.Same(first, second);
        Assert.Equal(7, second.Span[^1]);
        Assert.Equal((second.Length, 0), _pool.Bytes);
        _pool.Return(second);
    }

    [Fact]
    public void What_is_small_does_not_sit_in_what_is_large()
    {
        _pool.Return(_pool.Rent(10 * Megabyte));

        var small = _pool.Rent(Megabyte);

        Assert.InRange(small.Length, Megabyte, 2 * Megabyte);
        _pool.Return(small);
    }

    [Fact]
    public void What_is_kept_goes_at_once_where_others_need_it()
    {
        var inUse = _pool.Rent(5 * Megabyte);
        NativeBuffer[] kept = [_pool.Rent(3 * Megabyte), _pool.Rent(2 * Megabyte), _pool.Rent(Megabyte)];
        Array.ForEach(kept, _pool.Return);

        _pool.KeepAtMost(6 * Megabyte);
        Assert.Equal((5 * Megabyte, 6 * Megabyte), _pool.Bytes);

        _pool.KeepAtMost((3 * Megabyte) + 1);
        Assert.Equal((5 * Megabyte, 3 * Megabyte), _pool.Bytes);
        Assert.True(kept[0].IsClosed);

        _pool.KeepAtMost(0);
        Assert.Equal((5 * Megabyte, 0), _pool.Bytes);
        Assert.Equal(5 * Megabyte, inUse.Span.Length);
        _pool.Return(inUse);
    }

    [Fact]
    public void What_is_kept_never_adds_to_the_peak()
    {
        var peak = 0L;
        List<NativeBuffer> held = [];
        var random = new Random(1);
        for (var turn = 0; turn < 2000; turn++)
        {
            if (held.Count == 0 || (held.Count < 8 && random.Next(2) == 0))
            {
                held.Add(_pool.Rent(random.Next(1, 4 * Megabyte)));
            }
            else
            {
                _pool.Return(held[^1]);
                held.RemoveAt(held.Count - 1);
            }

            var (used, kept) = _pool.Bytes;
            Assert.Equal(held.Sum(buffer => (long)buffer.Length), used);
            peak = Math.Max(peak, used);
            Assert.InRange(used + kept, used, peak);
        }
    }

    [Fact]
    public void What_nobody_needed_for_some_seconds_goes_back_to_the_system()
    {
        List<long> gaveBack = [];
        _pool.GaveBack += gaveBack.Add;
        NativeBuffer[] burst = [.. Enumerable.Range(0, 10).Select(_ => _pool.Rent(Megabyte))];
        var steady = burst[0];
        Array.ForEach(burst, _pool.Return);
        Assert.Equal((0, 10L * Megabyte), _pool.Bytes);

        // One goes on being needed.
        for (var second = 0; second < 10; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            steady = _pool.Rent(Megabyte);
            _pool.Return(steady);
        }

        Assert.Equal((0, (long)Megabyte), _pool.Bytes);
        Assert.False(steady.IsClosed);
        Assert.Equal(9, burst.Count(buffer => buffer.IsClosed));
        Assert.Equal([9L * Megabyte], gaveBack);

        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal((0, 0L), _pool.Bytes);
        Assert.True(steady.IsClosed);
    }
}
