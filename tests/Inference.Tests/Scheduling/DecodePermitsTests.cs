using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Tests.Scheduling;

public sealed class DecodePermitsTests
{
    private static readonly DecodeCost Quick = new(10, IsLong: false), Long = new(60, IsLong: true);

    [Fact]
    public async Task Decodes_are_admitted_by_their_memory()
    {
        using var permits = Permits(concurrency: 8, memory: 100);
        var first = await AcquireAsync(permits, new(60, IsLong: false));
        var second = AcquireAsync(permits, new(60, IsLong: false));
        var third = AcquireAsync(permits, Quick);

        // In the order in which they came: the third would fit, but shall not keep the second waiting for ever.
        Assert.Equal((false, false), (second.IsCompleted, third.IsCompleted));
        first.Dispose();
        (await second).Dispose();
        (await third).Dispose();
    }

    [Fact]
    public async Task A_quick_picture_goes_before_long_ones_that_came_earlier()
    {
        using var permits = Permits(concurrency: 1, memory: 1000);
        var running = await AcquireAsync(permits, Long);
        Task<DecodePermits.Permit>[] longs = [AcquireAsync(permits, Long), AcquireAsync(permits, Long)];
        var quick = AcquireAsync(permits, Quick);

        running.Dispose();
        var next = await quick;
        Assert.DoesNotContain(longs, task => task.IsCompleted);
        next.Dispose();
        (await longs[0]).Dispose();
        (await longs[1]).Dispose();
    }

    [Fact]
    public async Task Long_pictures_leave_a_processor_to_quick_ones()
    {
        using var permits = Permits(concurrency: 2, memory: 1000);
        using var first = await AcquireAsync(permits, Long);
        var second = AcquireAsync(permits, Long);

        using var quick = await AcquireAsync(permits, Quick);
        Assert.False(second.IsCompleted);
    }

    [Fact]
    public async Task Quick_pictures_keep_a_long_one_waiting_for_four_of_them_only()
    {
        using var permits = Permits(concurrency: 1, memory: 1000);
        var running = await AcquireAsync(permits, Long);
        var late = AcquireAsync(permits, Long);
        var quicks = Enumerable.Range(0, 6).Select(_ => AcquireAsync(permits, Quick)).ToList();

        for (var i = 0; i < 4; i++)
        {
            running.Dispose();
            running = await quicks[i];
        }

        running.Dispose();
        running = await late;
        Assert.False(quicks[4].IsCompleted);
        running.Dispose();
        (await quicks[4]).Dispose();
        (await quicks[5]).Dispose();
    }

    [Fact]
    public async Task Who_leaves_makes_room_in_the_line()
    {
        using var permits = Permits(concurrency: 1, memory: 100, queue: 1);
        var running = await AcquireAsync(permits, Quick);
        using var leaving = new CancellationTokenSource();
        var gone = permits.AcquireAsync(Quick, leaving.Token).AsTask();
        Assert.Equal(InferenceError.QueueFull, (await Assert.ThrowsAsync<InferenceException>(() => AcquireAsync(permits, Quick))).Error);

        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        var stays = AcquireAsync(permits, Quick);
        running.Dispose();
        (await stays).Dispose();
    }

    [Fact]
    public async Task Long_pictures_take_half_of_the_places_to_wait_and_no_more()
    {
        using var permits = Permits(concurrency: 1, memory: 100, queue: 4);
        var running = await AcquireAsync(permits, Long);
        using var leaving = new CancellationTokenSource();
        var stays = AcquireAsync(permits, Long);
        var gone = permits.AcquireAsync(Long, leaving.Token).AsTask();
        Assert.Equal(InferenceError.QueueFull, (await Assert.ThrowsAsync<InferenceException>(() => AcquireAsync(permits, Long))).Error);
        Task<DecodePermits.Permit>[] quicks = [AcquireAsync(permits, Quick), AcquireAsync(permits, Quick)];
        Assert.Equal(InferenceError.QueueFull, (await Assert.ThrowsAsync<InferenceException>(() => AcquireAsync(permits, Quick))).Error);

        // Who has left takes no place.
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        var another = AcquireAsync(permits, Long);
        running.Dispose();
        foreach (var waiting in (Task<DecodePermits.Permit>[])[.. quicks, stays, another])
        {
            (await waiting).Dispose();
        }
    }

    [Fact]
    public async Task A_thousand_at_once_never_hold_more_than_they_may()
    {
        using var permits = Permits(concurrency: 4, memory: 100, queue: 10_000);
        var (held, most, running, longs) = (0L, 0L, 0, 0);
        await Parallel.ForAsync(0, 1000, new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (i, cancellationToken) =>
        {
            var cost = new DecodeCost((i * 37 % 50) + 1, i % 3 == 0);
            using (await permits.AcquireAsync(cost, cancellationToken))
            {
                most = Math.Max(most, Interlocked.Add(ref held, cost.Bytes));
                Assert.InRange(Interlocked.Increment(ref running), 1, 4);
                Assert.InRange(Interlocked.Add(ref longs, cost.IsLong ? 1 : 0), 0, 3);
                await Task.Yield();
                Interlocked.Add(ref longs, cost.IsLong ? -1 : 0);
                Interlocked.Decrement(ref running);
                Interlocked.Add(ref held, -cost.Bytes);
            }
        });

        Assert.InRange(most, 1, 100);
        Assert.Equal((0L, 0, 0), (held, running, longs));
    }

    private static DecodePermits Permits(int concurrency, long memory, int queue = 64) =>
        new(new DecodingOptions { MaxConcurrency = concurrency, MaxMemory = memory }, new SchedulingOptions { MaxQueueLength = queue });

    private static Task<DecodePermits.Permit> AcquireAsync(DecodePermits permits, DecodeCost cost) =>
        permits.AcquireAsync(cost, TestContext.Current.CancellationToken).AsTask();
}
