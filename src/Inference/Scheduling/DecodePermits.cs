using Whatsit.Inference.Backends;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Memory;

namespace Whatsit.Inference.Scheduling;

/// <summary>
/// Who may decode: one picture per processor, and no more at once than their estimated memory allows; decoded pictures, a hundred times larger than their
/// files, would otherwise pile up in front of the bounded queue. Pictures that take long wait in a line of their own:
/// <code>
///   quick ──────────────►┐
///                        ├──► at most MaxConcurrency, together at most MaxMemory
///   long ──(one in five)─►┘    (long ones never on the last processor, and in half of the places)
/// </code>
/// </summary>
public sealed class DecodePermits : IDisposable
{
    // While both lines wait, so many quick ones go before the next long one: nobody waits for ever.
    private const int QuickBeforeLong = 4;

    private readonly Lock _lock = new();
    private readonly Queue<Waiter> _quick = new(), _long = new();
    private readonly int _maxConcurrency, _maxLong, _maxWaiting;
    private readonly long _maxMemory;
    private int _running, _runningLong, _waiting, _quickInARow;
    private long _memory;

    /// <summary>Takes the limits from the options of decoding and of the queue behind it.</summary>
    public DecodePermits(DecodingOptions decoding, SchedulingOptions scheduling)
    {
        _maxConcurrency = decoding.MaxConcurrency > 0 ? decoding.MaxConcurrency : Environment.ProcessorCount;
        _maxLong = Math.Max(1, _maxConcurrency - 1);
        _maxMemory = decoding.MemoryBudget;
        _maxWaiting = scheduling.MaxQueueLength;
    }

    /// <summary>Waits for a permit; disposing gives it back.</summary>
    /// <param name="cost">As <see cref="EncodedImage.Cost"/> estimates it.</param>
    /// <param name="cancellationToken">Who waits has left.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>: too many wait already.</exception>
    public async ValueTask<Permit> AcquireAsync(DecodeCost cost, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Waiter waiter;
        lock (_lock)
        {
            if (_waiting == 0 && Fits(cost))
            {
                Take(cost);
                return Admit(cost);
            }

            if (_waiting >= _maxWaiting)
            {
                throw Full("pictures", _maxWaiting);
            }

            // Each also holds a place in its model's queue: however many long ones come, quick ones find room.
            var mostLong = (_maxWaiting + 1) / 2;
            if (cost.IsLong && _long.Count(waiting => !waiting.Task.IsCompleted) >= mostLong)
            {
                throw Full("large pictures", mostLong);
            }

            _waiting++;
            waiter = new Waiter(cost);
            (cost.IsLong ? _long : _quick).Enqueue(waiter);
            AdmitNext();
        }

        await using (cancellationToken.UnsafeRegister((left, token) => Leave((Waiter)left!, token), waiter).ConfigureAwait(false))
        {
            await waiter.Task.ConfigureAwait(false);
        }

        return Admit(cost);
    }

    /// <summary>Sends away who still waits.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var waiter in _quick.Concat(_long))
            {
                waiter.TrySetCanceled();
            }

            _quick.Clear();
            _long.Clear();
            _waiting = 0;
        }
    }

    private static InferenceException Full(string what, int most) =>
        new(InferenceError.QueueFull, "queue-full", $"As many {what} wait as may ({most}). Try again in a moment.", ("limit", most));

    /// <summary>What is kept for the next picture must not stand beside what this one needs.</summary>
    private Permit Admit(DecodeCost cost)
    {
        BufferPool.Shared.KeepAtMost(Math.Max(0, _maxMemory - Interlocked.Read(ref _memory)));
        if (cost.IsLong)
        {
            // Nor what others have freed; beside such a decode that costs nothing.
            ResidentMemory.Trim();
        }

        return new Permit(this, cost);
    }

    private bool Fits(DecodeCost cost) =>
        _running < _maxConcurrency && (!cost.IsLong || _runningLong < _maxLong) && (_running == 0 || _memory + cost.Bytes <= _maxMemory);

    private void Take(DecodeCost cost)
    {
        _running++;
        _runningLong += cost.IsLong ? 1 : 0;
        _memory += cost.Bytes;
        _quickInARow = cost.IsLong ? 0 : _quickInARow + 1;
    }

    private void Release(DecodeCost cost)
    {
        lock (_lock)
        {
            _running--;
            _runningLong -= cost.IsLong ? 1 : 0;
            _memory -= cost.Bytes;
            AdmitNext();
        }
    }

    private void Leave(Waiter waiter, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (waiter.TrySetCanceled(cancellationToken))
            {
                _waiting--;
                AdmitNext();
            }
        }
    }

    private void AdmitNext()
    {
        while (true)
        {
            DropWhoLeft(_quick);
            DropWhoLeft(_long);
            // A long one whose turn it is and that lacks memory keeps what comes back free for itself; one that only lacks its processor does not.
            var longsTurn = _long.Count > 0 && _runningLong < _maxLong && (_quick.Count == 0 || _quickInARow >= QuickBeforeLong);
            var line = longsTurn ? _long : _quick;
            if (line.Count == 0 || !Fits(line.Peek().Cost))
            {
                return;
            }

            var next = line.Dequeue();
            Take(next.Cost);
            _waiting--;
            next.SetResult();
        }
    }

    private static void DropWhoLeft(Queue<Waiter> line)
    {
        while (line.Count > 0 && line.Peek().Task.IsCompleted)
        {
            line.Dequeue();
        }
    }

    /// <summary>The right to decode one picture.</summary>
    public readonly struct Permit : IDisposable
    {
        private readonly DecodePermits _permits;
        private readonly DecodeCost _cost;

        internal Permit(DecodePermits permits, DecodeCost cost) => (_permits, _cost) = (permits, cost);

        /// <summary>Gives it back.</summary>
        public void Dispose() => _permits.Release(_cost);
    }

    // Continuations must not run under the lock: they decode.
    private sealed class Waiter(DecodeCost cost) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public DecodeCost Cost { get; } = cost;
    }
}
