using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Scheduling;

/// <summary>
/// One permit per processor to decode: otherwise decoded pictures, a hundred times larger than their files, would pile up in front of the bounded queue.
/// </summary>
public sealed class DecodePermits : IDisposable
{
    private readonly SemaphoreSlim _permits;
    private readonly int _maxWaiting;
    private int _waiting;

    /// <summary>Takes the limits from the options of decoding and of the queue behind it.</summary>
    public DecodePermits(DecodingOptions decoding, SchedulingOptions scheduling)
    {
        var concurrency = decoding.MaxConcurrency > 0 ? decoding.MaxConcurrency : Environment.ProcessorCount;
        _permits = new SemaphoreSlim(concurrency, concurrency);
        _maxWaiting = scheduling.MaxQueueLength;
    }

    /// <summary>Waits for a permit; give it back with <see cref="Release"/>.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>: too many wait already.</exception>
    public async ValueTask AcquireAsync(CancellationToken cancellationToken)
    {
        if (_permits.Wait(0, CancellationToken.None))
        {
            return;
        }

        try
        {
            if (Interlocked.Increment(ref _waiting) > _maxWaiting)
            {
                throw new InferenceException(InferenceError.QueueFull, $"As many pictures wait as may ({_maxWaiting}). Try again in a moment.");
            }

            await _permits.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>Gives a permit back.</summary>
    public void Release() => _permits.Release();

    /// <inheritdoc/>
    public void Dispose() => _permits.Dispose();
}
