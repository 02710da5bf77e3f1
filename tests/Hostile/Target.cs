using System.Globalization;
using System.Text;
using Whatsit.Benchmarks.Contestants;

namespace Whatsit.Hostile;

/// <summary>The published server as a process under a memory limit, and what it costs, from <c>/proc</c>.</summary>
internal sealed class Target : IDisposable
{
    private readonly Contestant _server;
    private readonly MemoryLimit _limit;

    private Target(Contestant server, MemoryLimit limit) => (_server, _limit) = (server, limit);

    public int Port => _server.Port;

    /// <summary>What bounds it.</summary>
    public string LimitName => _limit.Name;

    /// <summary>Resident memory when it had answered some ordinary photos.</summary>
    public double IdleMb { get; private set; }

    /// <summary>Whether the process has ended, or is about to: one that was killed has no memory left.</summary>
    public bool HasEnded => _server.HasEnded || Megabytes("VmRSS:") == 0;

    /// <summary>What it said last, for a report of its end.</summary>
    public string LastWords => _server.LastWords;

    /// <summary>Processor time so far.</summary>
    public TimeSpan Cpu
    {
        get
        {
            _server.Process.Refresh();
            return _server.Process.TotalProcessorTime;
        }
    }

    /// <summary>The most that was resident since <see cref="ForgetPeak"/>.</summary>
    public double PeakMb => Megabytes("VmHWM:");

    /// <summary>Starts it, and waits until it is ready.</summary>
    public static async Task<Target> StartAsync(string program, Dictionary<string, string> settings, long memory, IReadOnlyList<byte[]> photos)
    {
        var limit = new MemoryLimit(memory);
        Contestant server;
        try
        {
            server = await Contestant.StartAsync(
                "The server", "auto", limit.Wrap([program, "--urls", "http://127.0.0.1:{port}"]), settings, "/predict", "/health/ready");
        }
        catch
        {
            limit.Dispose();
            throw;
        }

        var target = new Target(server, limit);
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

    /// <summary>Whether a model is still being loaded.</summary>
    public async Task<bool> IsLoadingAsync(string model)
    {
        using var http = new HttpClient();
        return (await http.GetStringAsync($"http://127.0.0.1:{Port}/models/{model}")).Contains("\"state\":\"loading\"", StringComparison.Ordinal);
    }

    /// <summary>Begins to measure <see cref="PeakMb"/> anew (man 5 proc_pid_clear_refs).</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{_server.Process.Id}/clear_refs", "5");

    public void Dispose()
    {
        _server.Dispose();
        _limit.Dispose();
    }

    private double Megabytes(string entry)
    {
        var file = $"/proc/{_server.Process.Id}/status";
        var line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(line => line.StartsWith(entry, StringComparison.Ordinal)) : null;
        return line is null ? 0 : double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024 / 1e6;
    }
}
