using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Scheduling;

/// <summary>How requests wait and how many run. Configuration section <c>Scheduling</c>.</summary>
public sealed class SchedulingOptions
{
    /// <summary>
    /// How many requests may wait for one model, those whose picture is just being decoded included. A short queue refuses clients early
    /// instead of making them wait for an answer they have given up on. The default is 64.
    /// </summary>
    [Range(1, 10_000)]
    public int MaxQueueLength { get; set; } = 64;

    /// <summary>How many requests one model runs at once; 0 means one per processor that the process may use. The default is 0.</summary>
    [Range(0, 1024)]
    public int Concurrency { get; set; }

    /// <summary>
    /// How many waiting requests one run takes at most. On a CPU a batch rarely pays: measure before raising it. The default is 1.
    /// </summary>
    [Range(1, 256)]
    public int MaxBatchSize { get; set; } = 1;

    /// <summary>
    /// Seconds after which an unfinished request is given up. Heroku's router gives up after 30, and so do many clients. The default is 25.
    /// </summary>
    [Range(0.001, 3600)]
    public double TimeoutSeconds { get; set; } = 25;
}
