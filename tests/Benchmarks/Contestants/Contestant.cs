using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Whatsit.Benchmarks.Load;

namespace Whatsit.Benchmarks.Contestants;

/// <summary>A server in processes of its own, on a free port of 127.0.0.1; what it costs is read from <c>/proc</c>.</summary>
internal sealed class Contestant : IDisposable
{
    // USER_HZ, the unit of times in /proc/<pid>/stat: 100 on every Linux that .NET runs on (man 5 proc_pid_stat).
    private const double TicksPerMs = 0.1;

    private readonly Queue<string> _words = new();

    private Contestant(string name, string variant, string path, int port, Process process)
    {
        Name = name;
        Variant = variant;
        Path = path;
        Port = port;
        Process = process;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>As the tables say it.</summary>
    public string Name { get; }

    /// <summary>The variant of the weights that it runs.</summary>
    public string Variant { get; }

    /// <summary>Where it takes pictures.</summary>
    public string Path { get; }

    /// <summary>Where it listens.</summary>
    public int Port { get; }

    /// <summary>From the start of the process to its first "ready".</summary>
    public TimeSpan StartTime { get; private set; }

    /// <summary>Servers that it asks in turn; what they cost, it costs.</summary>
    public IReadOnlyList<Contestant> Behind { get; init; } = [];

    /// <summary>The CPU time of all its processes so far, in milliseconds.</summary>
    public double CpuMs => Tree().Select(StatOf).Sum(fields => (fields[11] + fields[12]) / TicksPerMs) + Behind.Sum(server => server.CpuMs);

    /// <summary>
    /// Pages that its processes have touched for the first time, without the disk: each costs the kernel a fault and, where it is new memory, 4 KB of zeros.
    /// </summary>
    public double PageFaults => Tree().Select(StatOf).Sum(fields => fields[7]);

    /// <summary>Resident memory of its one process, or of several the sum of their proportional shares (shared pages counted once), in MB.</summary>
    public double MemoryMb => Tree() switch
    {
        [var only] => Kilobytes($"/proc/{only}/status", "VmRSS:") / 1024,
        var several => several.Sum(process => Kilobytes($"/proc/{process}/smaps_rollup", "Pss:")) / 1024,
    };

    /// <summary>Files, sockets and the like that its processes hold open.</summary>
    public int Descriptors => Tree().Sum(process => Directory.EnumerateFileSystemEntries($"/proc/{process}/fd").Count());

    /// <summary>Its process is no more.</summary>
    public bool HasEnded => Process.HasExited;

    /// <summary>The process that was started; others may be its children.</summary>
    public Process Process { get; }

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

    /// <summary>Starts a command and waits until <paramref name="readyPath"/> answers 200.</summary>
    /// <param name="name">As the tables say it.</param>
    /// <param name="variant">The variant of the weights that it runs.</param>
    /// <param name="command">The program and its arguments; <c>{port}</c> stands for the port.</param>
    /// <param name="environment">Settings.</param>
    /// <param name="path">Where it takes pictures.</param>
    /// <param name="readyPath">Where it says that it is ready.</param>
    /// <param name="behind">Servers that it asks in turn.</param>
    public static async Task<Contestant> StartAsync(string name, string variant, string[] command, Dictionary<string, string> environment,
        string path, string readyPath, IReadOnlyList<Contestant>? behind = null)
    {
        var port = FreePort();
        var start = new ProcessStartInfo(command[0]) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Repository.Root };
        foreach (var argument in command.Skip(1))
        {
            start.ArgumentList.Add(argument.Replace("{port}", $"{port}", StringComparison.Ordinal));
        }

        foreach (var (variable, value) in environment)
        {
            start.Environment[variable] = value.Replace("{port}", $"{port}", StringComparison.Ordinal);
        }

        var clock = Stopwatch.StartNew();
        var contestant = new Contestant(name, variant, path, port, Process.Start(start)!) { Behind = behind ?? [] };
        var request = HttpConnection.Get(readyPath);
        using var connection = new HttpConnection(port);
        while (true)
        {
            if (contestant.HasEnded || clock.Elapsed > TimeSpan.FromSeconds(60))
            {
                contestant.Dispose();
                throw new InvalidOperationException($"{name} did not become ready within 60 seconds. Its last words:\n{contestant.LastWords}");
            }

            try
            {
                if (await connection.SendAsync(request) == 200)
                {
                    contestant.StartTime = clock.Elapsed;
                    return contestant;
                }
            }
            catch (Exception exception) when (exception is SocketException or IOException)
            {
                // It does not listen yet.
                connection.Dispose();
            }

            await Task.Delay(2);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            Process.Kill(entireProcessTree: true);
            Process.WaitForExit();
        }
        catch (InvalidOperationException)
        {
            // It has ended by itself.
        }

        Process.Dispose();
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

    /// <summary>A port that is free now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    // man 5 proc_pid_stat: what comes after the name in parentheses; the line's fields 10, 14 and 15 are minflt, utime and stime. The first is a letter.
    private static double[] StatOf(int process)
    {
        var stat = File.ReadAllText($"/proc/{process}/stat");
        return [0, .. stat[(stat.LastIndexOf(')') + 4)..].Split(' ').Select(field => double.Parse(field, CultureInfo.InvariantCulture))];
    }

    private static double Kilobytes(string file, string entry) =>
        double.Parse(File.ReadLines(file).First(line => line.StartsWith(entry, StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    private List<int> Tree()
    {
        List<int> all = [Process.Id];
        for (var next = 0; next < all.Count; next++)
        {
            foreach (var thread in Directory.EnumerateDirectories($"/proc/{all[next]}/task"))
            {
                try
                {
                    all.AddRange(File.ReadAllText($"{thread}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
                        .Select(child => int.Parse(child, CultureInfo.InvariantCulture)));
                }
                catch (IOException)
                {
                    // The thread has ended in between, and with it its folder.
                }
            }
        }

        return all;
    }
}
