namespace Whatsit.ModelConversion.Graphs;

/// <summary>
/// Weights and activations are large and short-lived: left to itself, the collector lets hundreds of megabytes of them pile up before it looks.
/// Whoever makes them in a loop asks here after each step.
/// </summary>
internal struct Garbage()
{
    private const long LeastBetween = 4 << 20;

    private long _collectedAt = GC.GetTotalAllocatedBytes();

    /// <summary>Collects where enough was allocated since the last time: an eighth of what lives, for that is what a collection costs.</summary>
    public void CollectIfMuch()
    {
        if (GC.GetTotalAllocatedBytes() - _collectedAt > Math.Max(LeastBetween, GC.GetTotalMemory(forceFullCollection: false) / 8))
        {
            // Aggressive: freed memory goes back to the operating system at once, not over the next dozens of collections.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            _collectedAt = GC.GetTotalAllocatedBytes();
        }
    }
}
