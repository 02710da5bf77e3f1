using Whatsit.Inference.Backends;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Tests.Scheduling;

public sealed class SchedulerTests
{
    [Fact]
    public async Task Requests_that_arrive_while_the_backend_is_busy_share_a_batch()
    {
        var backend = new GatedBackend();
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 1, MaxBatchSize = 4 });
        var first = scheduler.RunAsync(backend.Lease([]), default).AsTask();
        await backend.Started.WaitAsync(TestContext.Current.CancellationToken);

        var later = Enumerable.Range(0, 6).Select(_ => scheduler.RunAsync(backend.Lease([]), default).AsTask()).ToArray();
        Assert.Equal(6, scheduler.QueueLength);
        backend.Gate.Release(3);
        await Task.WhenAll([first, .. later]);

        Assert.Equal([1, 4, 2], backend.Batches);
        Assert.Equal(0, scheduler.QueueLength);
    }

    [Fact]
    public async Task A_full_queue_refuses_at_once_and_takes_requests_again_later()
    {
        var backend = new GatedBackend();
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 1, MaxQueueLength = 2 });
        var running = scheduler.RunAsync(backend.Lease([]), default).AsTask();
        await backend.Started.WaitAsync(TestContext.Current.CancellationToken);
        var waiting = new[] { scheduler.RunAsync(backend.Lease([]), default).AsTask(), scheduler.RunAsync(backend.Lease([]), default).AsTask() };

        var refused = await Assert.ThrowsAsync<InferenceException>(async () => await scheduler.RunAsync(backend.Lease([]), default));
        Assert.Equal(InferenceError.QueueFull, refused.Error);
        Assert.Contains("(2)", refused.Message, StringComparison.Ordinal);

        backend.Gate.Release(4);
        await Task.WhenAll([running, .. waiting]);
        await scheduler.RunAsync(backend.Lease([]), default);
    }

    [Fact]
    public async Task A_place_counts_until_its_request_runs_or_is_given_up()
    {
        var backend = new GatedBackend();
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 1, MaxQueueLength = 2 });
        var preparing = scheduler.Enter();
        using (scheduler.Enter())
        {
            Assert.Equal(InferenceError.QueueFull, Assert.Throws<InferenceException>(scheduler.Enter).Error);
            Assert.Equal(InferenceError.QueueFull, scheduler.Refusal!.Error);
        }

        Assert.Null(scheduler.Refusal);
        var running = scheduler.RunAsync(preparing, backend.Lease([]), default).AsTask();
        await backend.Started.WaitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, scheduler.QueueLength);

        backend.Gate.Release();
        await running;
        preparing.Dispose();
        Assert.Equal(0, scheduler.QueueLength);
    }

    [Fact]
    public async Task Whoever_leaves_while_waiting_gets_out_at_once_and_costs_no_run()
    {
        var backend = new GatedBackend();
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 1 });
        var running = scheduler.RunAsync(backend.Lease([]), default).AsTask();
        await backend.Started.WaitAsync(TestContext.Current.CancellationToken);
        using var leaving = new CancellationTokenSource();
        var waiting = scheduler.RunAsync(backend.Lease([]), leaving.Token).AsTask();
        var staying = scheduler.RunAsync(backend.Lease([]), default).AsTask();

        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        backend.Gate.Release(2);
        await Task.WhenAll(running, staying);
        Assert.Equal([1, 1], backend.Batches);
    }

    [Fact]
    public async Task Whoever_leaves_during_the_run_waits_for_its_end_because_the_tensors_are_in_use()
    {
        var backend = new GatedBackend();
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 1 });
        using var leaving = new CancellationTokenSource();
        var running = scheduler.RunAsync(backend.Lease([]), leaving.Token).AsTask();
        await backend.Started.WaitAsync(TestContext.Current.CancellationToken);

        await leaving.CancelAsync();
        Assert.False(running.IsCompleted);
        backend.Gate.Release();
        await running;
    }

    [Fact]
    public async Task A_failed_run_fails_its_own_requests_and_the_next_ones_succeed()
    {
        var backend = new GatedBackend { Failure = new InferenceException(InferenceError.BackendFailed, "broken") };
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 1 });
        backend.Gate.Release(2);
        Assert.Equal("broken", (await Assert.ThrowsAsync<InferenceException>(async () => await scheduler.RunAsync(backend.Lease([]), default))).Message);

        backend.Failure = null;
        await scheduler.RunAsync(backend.Lease([]), default);
    }

    [Fact]
    public async Task As_many_run_at_once_as_may()
    {
        var backend = new GatedBackend();
        await using var scheduler = new Scheduler(backend, new() { Concurrency = 3 });
        var requests = Enumerable.Range(0, 5).Select(_ => scheduler.RunAsync(backend.Lease([]), default).AsTask()).ToArray();
        for (var started = 0; started < 3; started++)
        {
            await backend.Started.WaitAsync(TestContext.Current.CancellationToken);
        }

        Assert.Equal(2, scheduler.QueueLength);
        Assert.False(await backend.Started.WaitAsync(0, TestContext.Current.CancellationToken));
        backend.Gate.Release(5);
        await Task.WhenAll(requests);
    }

    [Fact]
    public async Task A_disposed_scheduler_finishes_what_waits_and_refuses_the_rest()
    {
        var backend = new GatedBackend();
        var scheduler = new Scheduler(backend, new() { Concurrency = 1 });
        var requests = Enumerable.Range(0, 3).Select(_ => scheduler.RunAsync(backend.Lease([]), default).AsTask()).ToArray();
        var disposing = scheduler.DisposeAsync().AsTask();

        var refused = await Assert.ThrowsAsync<InferenceException>(async () => await scheduler.RunAsync(backend.Lease([]), default));
        Assert.Equal(InferenceError.ModelNotReady, refused.Error);
        backend.Gate.Release(3);
        await Task.WhenAll([disposing, .. requests]);
    }

    /// <summary>Says when a run has started, and ends it when the gate lets it.</summary>
    private sealed class GatedBackend : IBackend
    {
        private readonly List<int> _batches = [];

        public SemaphoreSlim Started { get; } = new(0);

        public SemaphoreSlim Gate { get; } = new(0);

        public Exception? Failure { get; set; }

        public int[] Batches
        {
            get
            {
                lock (_batches)
                {
                    return [.. _batches];
                }
            }
        }

        public IReadOnlyList<TensorSpec> Outputs => [];

        public Tensors Lease(IReadOnlyList<string> others) => new NoTensors();

        public async ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken)
        {
            lock (_batches)
            {
                _batches.Add(batch.Count);
            }

            Started.Release();
            await Gate.WaitAsync(cancellationToken);
            if (Failure is { } failure)
            {
                throw failure;
            }
        }

        public void Dispose()
        {
        }

        private sealed class NoTensors : Tensors
        {
            public override Span<byte> Input => [];

            public override Span<float> Scores => [];

            public override OutputView Output(string name) => default;

            public override void Dispose()
            {
            }
        }
    }
}
