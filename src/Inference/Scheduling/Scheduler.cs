using System.Diagnostics;
using System.Threading.Channels;
using Whatsit.Inference.Backends;

namespace Whatsit.Inference.Scheduling;

/// <summary>
/// Lets the requests of one model wait, and runs them:
/// <code>
///   Enter ──► [ a place in the queue: at most MaxQueueLength ] ──► RunAsync ──► loop 1 ──► backend
///     │ full: QueueFull, now              │ gone while waiting: dropped     ├──► loop 2 ──► backend
///                                                                           └──► …
/// </code>
/// A request takes its place before anything is spent on it, so that a picture that was decoded is never refused. There are as many loops as may run at once;
/// each takes one request plus whatever else already waits, up to the batch limit. There is no timer: a request never waits for company.
/// </summary>
public sealed class Scheduler : IAsyncDisposable
{
    private readonly Channel<Request> _waiting = Channel.CreateUnbounded<Request>();
    private readonly IBackend _backend;
    private readonly TimeProvider _time;
    private readonly int _maxQueueLength;
    private readonly int _maxBatchSize;
    private readonly Task[] _loops;
    private int _length;

    /// <summary>Starts the loops.</summary>
    public Scheduler(IBackend backend, SchedulingOptions options, TimeProvider? time = null)
    {
        _backend = backend;
        _time = time ?? TimeProvider.System;
        _maxQueueLength = options.MaxQueueLength;
        _maxBatchSize = backend.MaxBatchSize ?? options.MaxBatchSize;
        var concurrency = backend.Concurrency ?? (options.Concurrency > 0 ? options.Concurrency : Environment.ProcessorCount);
        _loops = [.. Enumerable.Range(0, concurrency).Select(_ => Task.Run(RunLoopAsync))];
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

    /// <summary>Takes a place, waits for its turn and runs. The outputs are filled when this returns.</summary>
    /// <inheritdoc cref="RunAsync(Place, Tensors, CancellationToken)"/>
    public async ValueTask<(TimeSpan Queue, TimeSpan Compute)> RunAsync(Tensors tensors, CancellationToken cancellationToken)
    {
        using var place = Enter();
        return await RunAsync(place, tensors, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Waits for its turn and runs. The outputs are filled when this returns.</summary>
    /// <param name="place">It is given up when the run starts; without one the caller holds a place for all its runs.</param>
    /// <param name="tensors">What is run.</param>
    /// <param name="cancellationToken">The caller left.</param>
    /// <returns>How long the request waited, and how long its batch ran.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>, at once; or the backend's.</exception>
    /// <exception cref="OperationCanceledException">The caller left while the request waited; it was not started.</exception>
    public async ValueTask<(TimeSpan Queue, TimeSpan Compute)> RunAsync(Place? place, Tensors tensors, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var request = new Request(place, tensors, _time, cancellationToken);
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

    private async Task RunLoopAsync()
    {
        var batch = new List<Request>(_maxBatchSize);
        var tensors = new List<Tensors>(_maxBatchSize);
        while (await _waiting.Reader.WaitToReadAsync().ConfigureAwait(false))
        {
            while (batch.Count < _maxBatchSize && _waiting.Reader.TryRead(out var request))
            {
                request.Place?.Dispose();
                // The client may have left while it waited; do not spend the backend on it.
                if (request.TryStart())
                {
                    batch.Add(request);
                    tensors.Add(request.Tensors);
                }
            }

            if (batch.Count > 0)
            {
                await RunBatchAsync(batch, tensors).ConfigureAwait(false);
                batch.Clear();
                tensors.Clear();
            }
        }
    }

    private async ValueTask RunBatchAsync(List<Request> batch, List<Tensors> tensors)
    {
        var started = _time.GetTimestamp();
        try
        {
            var run = _backend.RunAsync(tensors, CancellationToken.None);
            if (_backend.KeepsTensors)
            {
                batch.ForEach(request => request.MayLeave());
            }

            await run.ConfigureAwait(false);
            var compute = _time.GetElapsedTime(started);
            foreach (var request in batch)
            {
                request.Trace(_time.GetElapsedTime(request.Enqueued, started), compute, failed: false);
                request.Completion.TrySetResult((_time.GetElapsedTime(request.Enqueued, started), compute));
            }
        }
        catch (Exception exception)
        {
            // Whatever went wrong belongs to the requests of this batch; the loop goes on for the others.
            foreach (var request in batch)
            {
                request.Trace(_time.GetElapsedTime(request.Enqueued, started), _time.GetElapsedTime(started), failed: true);
                request.Completion.TrySetException(exception);
            }
        }
    }

    private InferenceException Full() => new(
        InferenceError.QueueFull, "queue-full", $"As many requests wait as may ({_maxQueueLength}). Try again in a moment.", ("limit", _maxQueueLength));

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

    private sealed class Request(Place? place, Tensors tensors, TimeProvider time, CancellationToken caller)
    {
        private const int Waiting = 0, Started = 1, Abandoned = 2, Held = 3;
        // The loop that runs the request is not of its trace.
        private readonly ActivityContext? _parent = InferenceTracing.Parent;
        private int _state;

        public Place? Place { get; } = place;

        public Tensors Tensors { get; } = tensors;

        public long Enqueued { get; } = time.GetTimestamp();

        // Continuations must not run on the loop: they belong to the request that is waiting.
        public TaskCompletionSource<(TimeSpan Queue, TimeSpan Compute)> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool TryStart() => Interlocked.CompareExchange(ref _state, Started, Waiting) == Waiting;

        /// <summary>Tells those who listen how long the request waited and ran, up to now.</summary>
        public void Trace(TimeSpan queue, TimeSpan? compute, bool failed)
        {
            if (_parent is not { } parent)
            {
                return;
            }

            var now = time.GetUtcNow().UtcDateTime;
            InferenceTracing.Record("queue", parent, now - (compute ?? TimeSpan.Zero), queue, failed && compute is null);
            if (compute is { } ran)
            {
                InferenceTracing.Record("compute", parent, now, ran, failed);
            }
        }

        /// <summary>The backend has taken hold of the tensors: from now on the caller may leave again.</summary>
        public void MayLeave()
        {
            if (Interlocked.CompareExchange(ref _state, Held, Started) == Started && caller.IsCancellationRequested)
            {
                Abandon(caller);
            }
        }

        /// <summary>
        /// A request that is waiting can leave; one that is computed only where the backend keeps its tensors, which otherwise must stay leased until it is done.
        /// </summary>
        public void Abandon(CancellationToken cancellationToken)
        {
            if (Interlocked.CompareExchange(ref _state, Abandoned, Held) == Held)
            {
                Completion.TrySetCanceled(cancellationToken);
                return;
            }

            if (Interlocked.CompareExchange(ref _state, Abandoned, Waiting) == Waiting)
            {
                Trace(time.GetElapsedTime(Enqueued), compute: null, failed: true);
                Completion.TrySetCanceled(cancellationToken);
            }
        }
    }
}
