using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.Benchmarks;

/// <summary>How fast a server of ours is ready, and what it holds after many requests.</summary>
/// <param name="StartMs">From the start of the process to the first 200 of <c>/health/ready</c>: the median of five.</param>
/// <param name="StartCpuMs">The processor time of that start, which a busy machine stretches less.</param>
/// <param name="Requests">How many requests then came.</param>
/// <param name="ReadyMb">Resident memory when it was ready.</param>
/// <param name="MemoryMb">Resident memory after them.</param>
/// <param name="AllocatedBytes">Managed bytes that each of them allocated.</param>
/// <param name="Collections">Garbage collections meanwhile, by generation.</param>
internal sealed record Endurance(double StartMs, double StartCpuMs, int Requests, double ReadyMb, double MemoryMb, double AllocatedBytes, double[] Collections)
{
    private const int Starts = 5, WarmUp = 1000;

    /// <summary>Starts the server several times, the last time to stay.</summary>
    public static async Task<Endurance> MeasureAsync(string folder, string model, string variant, Photo photo, int requests)
    {
        var (starts, cpu) = (new List<double>(), new List<double>());
        for (var start = 1; start < Starts; start++)
        {
            using var started = await Starter.WhatsitAsync(folder, "Whatsit", model, variant);
            Add(started);
        }

        using var server = await Starter.WhatsitAsync(folder, "Whatsit", model, variant);
        Add(server);
        var ready = server.MemoryMb;
        await ClosedLoop.RunAsync(server, photo, connections: 8, WarmUp);
        var before = await RuntimeCounters.ReadAsync(server);
        await ClosedLoop.RunAsync(server, photo, connections: 8, requests - WarmUp);
        var memory = server.MemoryMb;
        var after = await RuntimeCounters.ReadAsync(server);
        return new(
            Percentiles.Median(starts),
            Percentiles.Median(cpu),
            requests,
            ready,
            memory,
            (after.AllocatedBytes - before.AllocatedBytes) / (requests - WarmUp),
            [.. after.Collections.Zip(before.Collections, (now, then) => now - then)]);

        void Add(Contestant started)
        {
            starts.Add(started.StartTime.TotalMilliseconds);
            cpu.Add(started.CpuMs);
        }
    }
}
