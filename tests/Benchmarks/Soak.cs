using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;

namespace Whatsit.Benchmarks;

/// <summary>
/// Half an hour of what a server on the internet sees: at 80 % of its capacity good pictures of all sizes, broken ones, what is no picture, malformed forms,
/// and uploads that drip or stop. What is judged are the answers; memory and descriptors are printed as slopes over the time after the first fifth.
/// </summary>
internal static class Soak
{
    private const double Load = 0.8;
    private static readonly TimeSpan MostIdle = TimeSpan.FromSeconds(60);

    // The server must answer each kind so, or say that it is busy.
    private static readonly int[] Busy = [429, 503];

    /// <summary>Runs, prints a line for each minute and the slopes.</summary>
    /// <returns>The exit code: 1 where an answer was wrong, or the server ended.</returns>
    public static async Task<int> RunAsync(string folder, string model, double minutes)
    {
        Console.WriteLine("Drawing the pictures …");
        var small = Photo.Create("348");
        using var server = await Starter.WhatsitAsync(folder, Report.Us, model, "auto");
        var kinds = Kinds(server, small);
        var random = new Random(1);

        // Capacity in requests of this very mix, without those that wait on purpose: closed loop, so that nothing is refused.
        var quick = kinds.Where(kind => kind.Send is null).ToArray();
        await ClosedAsync(server, quick, random, 200);
        var perSecond = Load * await ClosedAsync(server, quick, random, 600);
        Console.WriteLine($"{perSecond / Load:F0} requests per second are its capacity for this mix; {perSecond:F0} come for {minutes:0.##} minutes.");
        Console.WriteLine($"{"minute",7}{"answered",10}{"busy",7}{"wrong",7}{"memory MB",11}{"descriptors",13}");

        var samples = new List<(double Seconds, double Memory, double Descriptors)>();
        var counts = kinds.ToDictionary(kind => kind.Name, _ => new int[3]);
        var wrong = new Dictionary<string, int>();
        var idle = new ConcurrentStack<(HttpConnection Connection, long Since)>();
        var pending = new HashSet<Task>();
        var clock = Stopwatch.StartNew();
        var (due, sampled, printed) = (0.0, 0.0, 0);
        while (due < minutes * 60 && !server.HasEnded)
        {
            if (TimeSpan.FromSeconds(due) - clock.Elapsed is { Ticks: > 0 } early)
            {
                await Task.Delay(early);
            }

            pending.RemoveWhere(task => task.IsCompleted);
            pending.Add(SendAsync(Pick(kinds, random)));
            due -= Math.Log(1 - random.NextDouble()) / perSecond;
            if (clock.Elapsed.TotalSeconds >= sampled)
            {
                samples.Add((clock.Elapsed.TotalSeconds, server.MemoryMb, server.Descriptors));
                sampled += Math.Min(5, minutes);
            }

            if ((int)clock.Elapsed.TotalMinutes > printed)
            {
                printed = (int)clock.Elapsed.TotalMinutes;
                Print($"{printed}");
            }
        }

        await Task.WhenAll(pending);
        Print("end");
        Console.WriteLine();
        Console.WriteLine($"{"kind",-20}{"wanted",8}{"as wanted",11}{"busy",7}{"wrong",7}");
        foreach (var kind in kinds)
        {
            var count = counts[kind.Name];
            Console.WriteLine($"{kind.Name,-20}{(kind.Status == 0 ? "–" : $"{kind.Status}"),8}{count[0],11}{count[1],7}{count[2],7}");
        }

        foreach (var (what, count) in wrong)
        {
            Console.WriteLine($"wrong, {count} times: {what}");
        }

        if (server.HasEnded)
        {
            Console.WriteLine("The server has ended.");
            return 1;
        }

        var late = samples.Where(sample => sample.Seconds > minutes * 60 / 5).ToArray();
        Console.WriteLine($"Memory: {Slope(late, sample => sample.Memory):+0.0;-0.0;0.0} MB per hour, {late[^1].Memory:F0} MB at the end.");
        Console.WriteLine($"Descriptors: {Slope(late, sample => sample.Descriptors):+0.0;-0.0;0.0} per hour, {late[^1].Descriptors:F0} at the end.");
        return wrong.Count > 0 ? 1 : 0;

        async Task SendAsync(Kind kind)
        {
            string? problem = null;
            var index = 0;
            try
            {
                var status = await (kind.Send is null ? AskAsync(kind.Request) : kind.Send(server.Port));
                index = status == kind.Status ? 0 : Busy.Contains(status) ? 1 : 2;
                problem = index == 2 ? $"{kind.Name}: {status} instead of {kind.Status}" : null;
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                (index, problem) = (2, $"{kind.Name}: {exception.Message}");
            }

            lock (counts)
            {
                counts[kind.Name][index]++;
                if (problem is not null)
                {
                    wrong[problem] = wrong.GetValueOrDefault(problem) + 1;
                }
            }
        }

        async Task<int> AskAsync(byte[] request)
        {
            var connection = TakeIdle() ?? new HttpConnection(server.Port);
            try
            {
                var status = await connection.SendAsync(request);
                idle.Push((connection, Stopwatch.GetTimestamp()));
                return status;
            }
            catch
            {
                connection.Dispose();
                throw;
            }
        }

        // Servers close what was idle for minutes (Kestrel: 130 s), perhaps under the next request.
        HttpConnection? TakeIdle()
        {
            while (idle.TryPop(out var free))
            {
                if (Stopwatch.GetElapsedTime(free.Since) < MostIdle)
                {
                    return free.Connection;
                }

                free.Connection.Dispose();
            }

            return null;
        }

        void Print(string minute)
        {
            lock (counts)
            {
                var sums = Enumerable.Range(0, 3).Select(index => counts.Values.Sum(count => count[index])).ToArray();
                Console.WriteLine($"{minute,7}{sums[0],10}{sums[1],7}{sums[2],7}{samples[^1].Memory,11:F0}{samples[^1].Descriptors,13:F0}");
            }
        }
    }

    private static Kind[] Kinds(Contestant server, Photo small)
    {
        byte[] photo = small.Files[0], large = Photo.Create("4000").Files[0];
        return
        [
            new("348 px", 60, 200, HttpConnection.Post(server.Path, photo)),
            new("348 px, other", 15, 200, HttpConnection.Post(server.Path, small.Files[1])),
            new("1024 px", 8, 200, HttpConnection.Post(server.Path, Photo.Create("1024").Files[0])),
            new("4000×3000", 2, 200, HttpConnection.Post(server.Path, large)),
            new("half a picture", 4, 422, HttpConnection.Post(server.Path, photo[..(photo.Length / 2)])),
            new("no picture", 3, 415, HttpConnection.Post(server.Path, [.. Enumerable.Range(0, 5000).Select(number => (byte)(number * 7))])),
            new("nothing", 2, 400, HttpConnection.Post(server.Path, [])),
            new("half a form", 2, 400, Form(server, photo)),
            new("no such model", 1, 404, HttpConnection.Post($"{server.Path}?model=none", photo)),
            new("readiness", 1, 200, HttpConnection.Get("/health/ready")),
            new("dripping upload", 1, 200, []) { Send = port => DripAsync(port, HttpConnection.Post(server.Path, photo)) },
            new("client that leaves", 1, 0, []) { Send = port => LeaveAsync(port, HttpConnection.Post(server.Path, large)) },
        ];
    }

    private static byte[] Form(Contestant server, byte[] photo)
    {
        byte[] body = [.. "--b\r\nContent-Disposition: form-data; name=file; filename=a.jpg\r\n\r\n"u8, .. photo];
        var headers = $"Host: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {body.Length}";
        return [.. Encoding.ASCII.GetBytes($"POST {server.Path} HTTP/1.1\r\n{headers}\r\n\r\n"), .. body];
    }

    /// <summary>Sends a request in twenty pieces over two seconds.</summary>
    private static async Task<int> DripAsync(int port, byte[] request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(System.Net.IPAddress.Loopback, port);
        var stream = client.GetStream();
        foreach (var piece in request.Chunk((request.Length / 20) + 1))
        {
            await stream.WriteAsync(piece);
            await Task.Delay(100);
        }

        var head = new byte[12];
        await stream.ReadExactlyAsync(head);
        return int.Parse(Encoding.ASCII.GetString(head, 9, 3), System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Sends half of a request, and is gone a second later without having read anything.</summary>
    private static async Task<int> LeaveAsync(int port, byte[] request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(System.Net.IPAddress.Loopback, port);
        await client.GetStream().WriteAsync(request.AsMemory(0, request.Length / 2));
        await Task.Delay(1000);
        return 0;
    }

    private static async Task<double> ClosedAsync(Contestant server, Kind[] kinds, Random random, int count)
    {
        var requests = Enumerable.Range(0, count).Select(_ => Pick(kinds, random).Request).ToArray();
        var next = -1;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            using var connection = new HttpConnection(server.Port);
            for (var number = Interlocked.Increment(ref next); number < count; number = Interlocked.Increment(ref next))
            {
                await connection.SendAsync(requests[number]);
            }
        })));
        return count / clock.Elapsed.TotalSeconds;
    }

    private static Kind Pick(Kind[] kinds, Random random)
    {
        var at = random.Next(kinds.Sum(kind => kind.Weight));
        return kinds.First(kind => (at -= kind.Weight) < 0);
    }

    /// <summary>Least squares, per hour.</summary>
    private static double Slope((double Seconds, double Memory, double Descriptors)[] samples, Func<(double, double Memory, double Descriptors), double> value)
    {
        var (time, mean) = (samples.Average(sample => sample.Seconds), samples.Average(value));
        var spread = samples.Sum(sample => Math.Pow(sample.Seconds - time, 2));
        return spread > 0 ? samples.Sum(sample => (sample.Seconds - time) * (value(sample) - mean)) / spread * 3600 : 0;
    }

    /// <summary>Something that clients send.</summary>
    /// <param name="Name">As the table says it.</param>
    /// <param name="Weight">How many of all there are.</param>
    /// <param name="Status">What it must be answered with; 0 where nobody waits for the answer.</param>
    /// <param name="Request">The whole request.</param>
    private sealed record Kind(string Name, int Weight, int Status, byte[] Request)
    {
        /// <summary>Sends it in a way of its own.</summary>
        public Func<int, Task<int>>? Send { get; init; }
    }
}
