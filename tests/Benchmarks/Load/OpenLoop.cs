using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Photos;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.Benchmarks.Load;

/// <summary>What a server did when requests came on a schedule.</summary>
/// <param name="Offered">Requests per second that came.</param>
/// <param name="Served">Answers per second with labels.</param>
/// <param name="Refused">Share of the requests that were refused with 429 or 503.</param>
/// <param name="Failed">Requests that got any other answer, or none.</param>
/// <param name="P50">Half of the labels came within so many milliseconds after the scheduled time.</param>
/// <param name="P99">99 of 100 did.</param>
internal sealed record OpenLoopResult(double Offered, double Served, double Refused, int Failed, double P50, double P99);

/// <summary>
/// Requests come when they are due, whether or not earlier ones have been answered, as users do. Latency counts from the scheduled time: a server that makes
/// the client late must not look fast for it.
/// </summary>
internal static class OpenLoop
{
    /// <summary>Sends <paramref name="count"/> requests, on average <paramref name="perSecond"/>, at random times.</summary>
    public static async Task<OpenLoopResult> RunAsync(Contestant server, Photo photo, double perSecond, int count)
    {
        var requests = photo.Files.Select(file => HttpConnection.Post(server.Path, file)).ToArray();
        // Independent users: the gaps between them are exponentially distributed. The seed makes every run the same.
        var random = new Random(1);
        var due = new double[count];
        for (var number = 1; number < count; number++)
        {
            due[number] = due[number - 1] - (Math.Log(1 - random.NextDouble()) / perSecond);
        }

        var idle = new ConcurrentStack<HttpConnection>();
        var latencies = new ConcurrentBag<double>();
        int refused = 0, failed = 0;
        var pending = new List<Task>(count);
        var clock = Stopwatch.StartNew();
        for (var number = 0; number < count; number++)
        {
            // The delay may be a millisecond late, and what is due by then goes out at once.
            if (TimeSpan.FromSeconds(due[number]) - clock.Elapsed is { Ticks: > 0 } early)
            {
                await Task.Delay(early);
            }

            pending.Add(SendAsync(requests[number % requests.Length], due[number]));
        }

        await Task.WhenAll(pending);
        var seconds = clock.Elapsed.TotalSeconds;
        foreach (var connection in idle)
        {
            connection.Dispose();
        }

        var sorted = Percentiles.Sort(latencies);
        return new(count / due[^1], sorted.Length / seconds, (double)refused / count, failed, Percentiles.Of(sorted, 0.5), Percentiles.Of(sorted, 0.99));

        async Task SendAsync(byte[] request, double scheduled)
        {
            var connection = idle.TryPop(out var free) ? free : new HttpConnection(server.Port);
            try
            {
                switch (await connection.SendAsync(request))
                {
                    case 200:
                        latencies.Add(clock.Elapsed.TotalMilliseconds - (scheduled * 1000));
                        break;
                    case 429 or 503:
                        Interlocked.Increment(ref refused);
                        break;
                    default:
                        Interlocked.Increment(ref failed);
                        break;
                }

                idle.Push(connection);
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                Interlocked.Increment(ref failed);
                connection.Dispose();
            }
        }
    }
}
