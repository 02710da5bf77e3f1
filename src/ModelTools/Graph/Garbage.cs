namespace Whatsit.ModelTools.Graphs;

/// <summary>
/// Weights and activations are large and short-lived: left to itself, the collector lets hundreds of megabytes of them pile up before it looks.
/// Whoever makes them in a loop asks here after each step.
/// </summary>
internal struct Garbage()
{
    // A full collection of a heap of few large arrays takes about a millisecond.
    private const long CollectEvery = 12 << 20;

    private long _collectedAt = GC.GetTotalAllocatedBytes();

    /// <summary>Collects where enough was allocated since the last time.</summary>
    public void CollectIfMuch()
    {
        if (GC.GetTotalAllocatedBytes() - _collectedAt > CollectEvery)
        {
            GC.Collect();
            _collectedAt = GC.GetTotalAllocatedBytes();
        }
    }
}
