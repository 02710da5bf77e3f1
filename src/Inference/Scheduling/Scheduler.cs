using System.Diagnostics;
using System.Threading.Channels;
using Whatsit.Inference.Backends;

namespace Whatsit.Inference.Scheduling;

/// <summary>
/// Lets the requests of one model wait, and runs them:
/// <code>
///   Enter ──► [ a place in the queue: at most MaxQueueLength ] ──► RunAsync ──► instance loop 1 ──► backend
///     │ full: QueueFull, now              │ gone while waiting: dropped     ├──► instance loop 2 ──► backend
///                                                                           └──► …
/// </code>
/// A request takes its place before anything is spent on it, so that a picture that was decoded is never refused. An instance takes one request plus whatever
/// else already waits, up to the batch limit. There is no timer: a request never waits for company.
/// </summary>
public sealed class Scheduler : IAsyncDisposable
{
    private readonly Channel<Request> _waiting = Channel.CreateUnbounded<Request>();
    private readonly IBackend _backend;
    private readonly int _maxQueueLength;
    private readonly int _maxBatchSize;
    private readonly Task[] _loops;
    private int _length;

    /// <summary>Starts the instance loops.</summary>
    public Scheduler(IBackend backend, SchedulingOptions options)
    {
        _backend = backend;
        _maxQueueLength = options.MaxQueueLength;
        _maxBatchSize = options.MaxBatchSize;
        var instances = options.Instances > 0 ? options.Instances : Environment.ProcessorCount;
        _loops = [.. Enumerable.Range(0, instances).Select(_ => Task.Run(RunInstanceAsync))];
    }

    /// <summary>How many requests wait now, or are being prepared.</summary>
    public int QueueLength => Volatile.Read(ref _length);

    /// <summary>What <see cref="Enter"/> would throw now, or <see langword="null"/>.</summary>
    public InferenceException? Refusal => QueueLength >= _maxQueueLength ? Full() : null;

    /// <summary>Takes a place in the queue. It is given up when the request starts to run, or when the place is disposed.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>, at once.</exception>
    public Place Enter()
    {
        if (Interlocked.Increment(ref _length) > _maxQueueLength)
        {
            Interlocked.Decrement(ref _length);
            throw Full();
        }

        return new(this);
    }

    /// <summary>Takes a place, waits for an instance and runs there. The instance's outputs are filled when this returns.</summary>
    /// <inheritdoc cref="RunAsync(Place, Instance, CancellationToken)"/>
    public async ValueTask<(TimeSpan Queue, TimeSpan Compute)> RunAsync(Instance instance, CancellationToken cancellationToken)
    {
        using var place = Enter();
        return await RunAsync(place, instance, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits for an instance and runs there. The instance's outputs are filled when this returns.</summary>
    /// <returns>How long the request waited, and how long its batch ran.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>, at once; or the backend's.</exception>
    /// <exception cref="OperationCanceledException">The caller left while the request waited; it was not started.</exception>
    public async ValueTask<(TimeSpan Queue, TimeSpan Compute)> RunAsync(Place place, Instance instance, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var request = new Request(place, instance);
        if (!_waiting.Writer.TryWrite(request))
        {
            throw new InferenceException(InferenceError.ModelNotReady, "The model is being unloaded. Try again in a moment.");
        }

        using (cancellationToken.UnsafeRegister(static (state, token) => ((Request)state!).Abandon(token), request))
        {
            return await request.Completion.Task.ConfigureAwait(false);
        }
    }

    /// <summary>Finishes what waits, then ends the loops.</summary>
    public async ValueTask DisposeAsync()
    {
        _waiting.Writer.TryComplete();
        await Task.WhenAll(_loops).ConfigureAwait(false);
    }

    private async Task RunInstanceAsync()
    {
        var batch = new List<Request>(_maxBatchSize);
        var instances = new List<Instance>(_maxBatchSize);
        while (await _waiting.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (batch.Count < _maxBatchSize && _waiting.Reader.TryRead(out var request))
            {
                request.Place.Dispose();
                // The client may have left while it waited; do not spend the backend on it.
                if (request.TryStart())
                {
                    batch.Add(request);
                    instances.Add(request.Instance);
                }
            }

            if (batch.Count > 0)
            {
                await RunBatchAsync(batch, instances).ConfigureAwait(false);
                batch.Clear();
                instances.Clear();
            }
        }
    }

    private async ValueTask RunBatchAsync(List<Request> batch, List<Instance> instances)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            await _backend.RunAsync(instances, CancellationToken.None).ConfigureAwait(false);
            var compute = Stopwatch.GetElapsedTime(started);
            foreach (var request in batch)
            {
                request.Trace(Stopwatch.GetElapsedTime(request.Enqueued, started), compute, failed: false);
                request.Completion.TrySetResult((Stopwatch.GetElapsedTime(request.Enqueued, started), compute));
            }
        }
        catch (Exception exception)
        {
            // Whatever went wrong belongs to the requests of this batch; the loop goes on for the others.
            foreach (var request in batch)
            {
                request.Trace(Stopwatch.GetElapsedTime(request.Enqueued, started), Stopwatch.GetElapsedTime(started), failed: true);
                request.Completion.TrySetException(exception);
            }
        }
    }

    private InferenceException Full() => new(InferenceError.QueueFull, $"As many requests wait as may ({_maxQueueLength}). Try again in a moment.");

    /// <summary>A place in the queue, until the request runs or this is disposed.</summary>
    public sealed class Place : IDisposable
    {
        private Scheduler? _scheduler;

        internal Place(Scheduler scheduler) => _scheduler = scheduler;

        /// <inheritdoc/>
        public void Dispose()
        {
            if (Interlocked.Exchange(ref _scheduler, null) is { } scheduler)
            {
                Interlocked.Decrement(ref scheduler._length);
            }
        }
    }

    private sealed class Request(Place place, Instance instance)
    {
        private const int Waiting = 0, Started = 1, Abandoned = 2;
        // The loop that runs the request is not of its trace.
        private readonly ActivityContext? _parent = InferenceTracing.Parent;
        private int _state;

        public Place Place { get; } = place;

        public Instance Instance { get; } = instance;

        public long Enqueued { get; } = Stopwatch.GetTimestamp();

        // Continuations must not run on the instance loop: they belong to the request that is waiting.
        public TaskCompletionSource<(TimeSpan Queue, TimeSpan Compute)> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool TryStart() => Interlocked.CompareExchange(ref _state, Started, Waiting) == Waiting;

        /// <summary>Tells those who listen how long the request waited and ran, up to now.</summary>
        public void Trace(TimeSpan queue, TimeSpan? compute, bool failed)
        {
            if (_parent is not { } parent)
            {
                return;
            }

            var now = DateTime.UtcNow;
            InferenceTracing.Record("queue", parent, now - (compute ?? TimeSpan.Zero), queue, failed && compute is null);
            if (compute is { } ran)
            {
                InferenceTracing.Record("compute", parent, now, ran, failed);
            }
        }

        /// <summary>Only a waiting request can leave: once the backend works on its tensors they must stay leased until it is done.</summary>
        public void Abandon(CancellationToken cancellationToken)
        {
            if (Interlocked.CompareExchange(ref _state, Abandoned, Waiting) == Waiting)
            {
                Trace(Stopwatch.GetElapsedTime(Enqueued), compute: null, failed: true);
                Completion.TrySetCanceled(cancellationToken);
            }
        }
    }
}
