namespace Whatsit.Inference;

/// <summary>
/// Where one request's time went. The same four stages, and the load of a model that was not loaded, appear under the same names in the
/// answer, in <c>Server-Timing</c>, in the metrics, in the page's chart and in the benchmarks.
/// </summary>
public readonly record struct Timings
{
    /// <summary>File to pixels, without the wait for a free processor (that is part of <see cref="Queue"/>).</summary>
    public TimeSpan Decode { get; init; }

    /// <summary>Pixels to input tensor: crop, resize, normalise.</summary>
    public TimeSpan Preprocess { get; init; }

    /// <summary>Waiting: for a free processor to decode on, then for the turn to run.</summary>
    public TimeSpan Queue { get; init; }

    /// <summary>The backend's run.</summary>
    public TimeSpan Compute { get; init; }

    /// <summary>Waiting until the model was loaded, where it was not (<c>Catalog:Load</c>); of several pictures of a request, the first one's.</summary>
    public TimeSpan Load { get; init; }

    /// <summary>From the whole file in memory to the predictions, and the load; the stages and what lies between them.</summary>
    public TimeSpan Total { get; init; }
}
