using System.Globalization;
using Whatsit.Inference;

namespace Whatsit.Server.Limits;

/// <summary>Files, sockets and the like, of which a process may open so many.</summary>
internal static class Descriptors
{
    // Idle, the server has some 270 open, most of them its own assemblies; beside them come 48 connections, and as many that are refused.
    private const int Least = 384;

    /// <summary>How many the process may open, where the system says so; the runtime has raised its soft limit to the hard one by now.</summary>
    public static long? Limit
    {
        get
        {
            // man 5 proc_pid_limits
            var line = OperatingSystem.IsLinux()
                ? File.ReadLines("/proc/self/limits").First(line => line.StartsWith("Max open files", StringComparison.Ordinal))
                : "";
            return long.TryParse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(3), CultureInfo.InvariantCulture, out var limit)
                ? limit
                : null;
        }
    }

    /// <summary>How many it has open.</summary>
    public static int Open => Directory.EnumerateFiles("/proc/self/fd").Count();

    /// <summary>
    /// What is wrong where there are too few: the server would start and then fail at whatever file or connection comes next. To be asked first of all, while
    /// there are enough to say it.
    /// </summary>
    public static string? Problem => Limit is { } limit and < Least
        ? string.Create(CultureInfo.InvariantCulture,
            $"The process may open {Counted.Of(limit, "file")} and connections (ulimit -n); the server needs {Least} at least.")
        : null;
}
