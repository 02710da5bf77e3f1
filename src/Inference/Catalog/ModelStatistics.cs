namespace Whatsit.Inference.Catalog;

/// <summary>What a model has done, added up.</summary>
public sealed class ModelStatistics
{
    private readonly Lock _lock = new();
    private ModelTotals _totals;

    /// <summary>All of it, at one moment.</summary>
    public ModelTotals Totals
    {
        get
        {
            lock (_lock)
            {
                return _totals;
            }
        }
    }

    internal void Succeeded(in Timings timings)
    {
        lock (_lock)
        {
            _totals = _totals with
            {
                Answered = _totals.Answered + 1,
                Last = DateTimeOffset.UtcNow,
                Time = new()
                {
                    Decode = _totals.Time.Decode + timings.Decode,
                    Preprocess = _totals.Time.Preprocess + timings.Preprocess,
                    Queue = _totals.Time.Queue + timings.Queue,
                    Compute = _totals.Time.Compute + timings.Compute,
                    Total = _totals.Time.Total + timings.Total,
                },
            };
        }
    }

    internal void Failed(TimeSpan after)
    {
        lock (_lock)
        {
            _totals = _totals with { Failed = _totals.Failed + 1, FailedTime = _totals.FailedTime + after };
        }
    }
}

/// <summary>What a model has done, added up.</summary>
public readonly record struct ModelTotals
{
    /// <summary>Pictures and tensors that it answered.</summary>
    public long Answered { get; init; }

    /// <summary>Those that failed, for whatever reason.</summary>
    public long Failed { get; init; }

    /// <summary>When the last answer was given; the default where there was none.</summary>
    public DateTimeOffset Last { get; init; }

    /// <summary>Where the time of the answers went.</summary>
    public Timings Time { get; init; }

    /// <summary>How long those took that failed.</summary>
    public TimeSpan FailedTime { get; init; }
}
