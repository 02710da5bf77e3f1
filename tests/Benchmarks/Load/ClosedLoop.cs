using System.Diagnostics;
using System.Text;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Photos;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.Benchmarks.Load;

/// <summary>What a server did under load.</summary>
/// <param name="CpuMs">CPU milliseconds of its processes per request.</param>
/// <param name="PageFaults">Pages per request that its processes touched for the first time.</param>
/// <param name="PerSecond">Requests answered per second.</param>
/// <param name="P50">Half of the answers took at most so many milliseconds.</param>
/// <param name="P99">99 of 100 answers took at most so many milliseconds.</param>
/// <param name="MemoryMb">Resident memory at the end.</param>
internal sealed record LoadResult(double CpuMs, double PageFaults, double PerSecond, double P50, double P99, double MemoryMb);

/// <summary>Each connection sends its next request when it has the answer to the last one.</summary>
internal static class ClosedLoop
{
    /// <summary>Whether a server answers the picture with labels.</summary>
    public static async Task<bool> CanReadAsync(Contestant server, Photo photo)
    {
        using var connection = new HttpConnection(server.Port);
        return await connection.SendAsync(HttpConnection.Post(server.Path, photo.Files[0])) == 200;
    }

    /// <summary>Drives a server until it has answered so many requests. A number, not a time: on a busy machine a second may hold only a few.</summary>
    public static async Task<LoadResult> RunAsync(Contestant server, Photo photo, int connections, int count)
    {
        var requests = photo.Files.Select(file => HttpConnection.Post(server.Path, file)).ToArray();
        var latencies = new double[count];
        var sent = 0;
        var open = Enumerable.Range(0, connections).Select(_ => new HttpConnection(server.Port)).ToArray();
        try
        {
            // Connections are opened, and every one answered, before the clock starts.
            await Task.WhenAll(open.Select(connection => PostAsync(connection, 0)));
            var (cpu, faults, started) = (server.CpuMs, server.PageFaults, Stopwatch.GetTimestamp());
            await Task.WhenAll(open.Select(connection => Task.Run(() => LoopAsync(connection))));
            var (cpuMs, touched, seconds) = (server.CpuMs - cpu, server.PageFaults - faults, Stopwatch.GetElapsedTime(started).TotalSeconds);
            Array.Sort(latencies);
            return new(
                cpuMs / count,
                touched / count,
                count / seconds,
                Percentiles.Of(latencies, 0.5),
                Percentiles.Of(latencies, 0.99),
                server.MemoryMb);
        }
        finally
        {
            Array.ForEach(open, connection => connection.Dispose());
        }

        async Task LoopAsync(HttpConnection connection)
        {
            for (var number = Interlocked.Increment(ref sent) - 1; number < count; number = Interlocked.Increment(ref sent) - 1)
            {
                latencies[number] = await PostAsync(connection, number);
            }
        }

        async Task<double> PostAsync(HttpConnection connection, int number)
        {
            var started = Stopwatch.GetTimestamp();
            var status = await connection.SendAsync(requests[number % requests.Length]);
            return status == 200
                ? Stopwatch.GetElapsedTime(started).TotalMilliseconds
                : throw new InvalidOperationException($"{server.Name} answered {status}: {Encoding.UTF8.GetString(connection.Body.Span)}");
        }
    }
}
