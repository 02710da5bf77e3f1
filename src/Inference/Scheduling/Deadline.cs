namespace Whatsit.Inference.Scheduling;

/// <summary>The caller's token and the time limit as one token.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly CancellationTokenRegistration _caller;
    private readonly TimeProvider _time;
    private readonly TimeSpan _timeout;
    private readonly long _started;

    public Deadline(TimeProvider time, TimeSpan timeout, CancellationToken cancellationToken)
    {
        (_time, _timeout, _started) = (time, timeout, time.GetTimestamp());
        _source = new CancellationTokenSource(timeout, time);
        _caller = cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
    }

    public CancellationToken Token => _source.Token;

    /// <summary>When it is, on the clock; nothing: never.</summary>
    public long? Timestamp =>
        _timeout == Timeout.InfiniteTimeSpan ? null : _started + (long)(_timeout.TotalSeconds * _time.TimestampFrequency);

    /// <summary>Timers run late on a busy machine. What is late is not started, whether its timer has noticed or not.</summary>
    public void ThrowIfPassed()
    {
        if (_timeout != Timeout.InfiniteTimeSpan && _time.GetElapsedTime(_started) > _timeout)
        {
            _source.Cancel();
        }

        _source.Token.ThrowIfCancellationRequested();
    }

    /// <summary>What is said of it then.</summary>
    public InferenceException Passed() =>
        new(InferenceError.TimedOut, "timed-out", $"The answer took longer than {Counted.Of(_timeout.TotalSeconds, "second")} and was given up.",
            ("seconds", _timeout.TotalSeconds));

    public void Dispose()
    {
        _caller.Dispose();
        _source.Dispose();
    }
}
