using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Whatsit.Hostile;

/// <summary>The published server as a process under a memory limit, and what it costs, from <c>/proc</c>.</summary>
internal sealed class Target : IDisposable
{
    private readonly Process _process;
    private readonly MemoryLimit _limit;
    private readonly Queue<string> _words = new();

    private Target(Process process, int port, MemoryLimit limit)
    {
        (_process, Port, _limit) = (process, port, limit);
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Port { get; }

    /// <summary>What bounds it.</summary>
    public string LimitName => _limit.Name;

    /// <summary>Resident memory when it had answered some ordinary photos.</summary>
    public double IdleMb { get; private set; }

    /// <summary>Whether the process has ended, or is about to: one that was killed has no memory left.</summary>
    public bool HasEnded => _process.HasExited || Megabytes("VmRSS:") == 0;

    /// <summary>What it said last, for a report of its end.</summary>
    public string LastWords
    {
        get
        {
            lock (_words)
            {
                return string.Join('\n', _words);
            }
        }
    }

    /// <summary>Processor time so far.</summary>
    public TimeSpan Cpu
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>The most that was resident since <see cref="ForgetPeak"/>.</summary>
    public double PeakMb => Megabytes("VmHWM:");

    /// <summary>Starts it on a free port, and waits until it is ready.</summary>
    public static async Task<Target> StartAsync(string program, IReadOnlyDictionary<string, string> settings, long memory, IReadOnlyList<byte[]> photos)
    {
        var port = FreePort();
        var limit = new MemoryLimit(memory);
        var command = limit.Wrap([program, "--urls", $"http://127.0.0.1:{port}"]);
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Repository.Root,
        };
        foreach (var (name, value) in settings)
        {
            start.Environment[name] = value;
        }

        var target = new Target(Process.Start(start)!, port, limit);
        var clock = Stopwatch.StartNew();
        while (await target.TryAsync("GET /health/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") != 200)
        {
            if (target.HasEnded || clock.Elapsed > TimeSpan.FromSeconds(60))
            {
                target.Dispose();
                throw new InvalidOperationException($"The server did not become ready. Its last words:\n{target.LastWords}");
            }

            await Task.Delay(20);
        }

        foreach (var photo in Enumerable.Repeat(photos, 10).SelectMany(photo => photo))
        {
            await target.PredictAsync("", photo);
        }

        target.IdleMb = target.Megabytes("VmRSS:");
        return target;
    }

    /// <summary>Posts a body to <c>/predict</c>.</summary>
    public Task<int> PredictAsync(string headers, byte[] body) => AskAsync(
        $"POST /predict HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}{(headers.Length > 0 ? "\r\n" : "")}Content-Length: {body.Length}\r\n\r\n", body);

    /// <summary>One request on a connection of its own.</summary>
    public Task<int> AskAsync(string head, params byte[] body) => Wire.AskAsync(Port, [.. Encoding.Latin1.GetBytes(head), .. body]);

    /// <summary>Begins to measure <see cref="PeakMb"/> anew (man 5 proc_pid_clear_refs).</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{_process.Id}/clear_refs", "5");

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();

        _process.Dispose();
        _limit.Dispose();
    }

    private async Task<int> TryAsync(string head)
    {
        try
        {
            return await AskAsync(head);
        }
        catch (SocketException)
        {
            return Wire.Closed;
        }
    }

    private double Megabytes(string entry)
    {
        var file = $"/proc/{_process.Id}/status";
        var line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith(entry, StringComparison.Ordinal)) : null;
        return line is null ? 0 : double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024 / 1e6;
    }

    private void Keep(string? line)
    {
        lock (_words)
        {
            _words.Enqueue(line ?? "");
            if (_words.Count > 30)
            {
                _words.Dequeue();
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
