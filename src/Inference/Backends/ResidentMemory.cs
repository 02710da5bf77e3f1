using System.Globalization;
using System.Runtime.InteropServices;

namespace Whatsit.Inference.Backends;

/// <summary>
/// Keeps small what the process holds in memory on Linux with glibc, which is where small containers run; elsewhere nothing is done.
/// </summary>
public static class ResidentMemory
{
    // malloc.h (https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html) and sys/mman.h (man 2 madvise)
    private const int ArenaMax = -8, MapThreshold = -3, DontNeed = 4, Megabyte = 1 << 20;

    /// <summary>
    /// Lets all threads share two heaps. The default, eight per processor, keeps what was freed in each of them apart: a few dozen megabytes under load.
    /// </summary>
    /// <remarks>
    /// Blocks from a megabyte on, which are pictures, are mapped by themselves and go back when they are freed. Left alone, the C library learns from the first
    /// such block to keep all up to 32 MB.
    /// </remarks>
    public static void ShareHeaps() => OnGlibc(() =>
    {
        _ = SetOption(ArenaMax, 2);
        _ = SetOption(MapThreshold, Megabyte);
    });

    /// <summary>
    /// Gives back what only loading needed: freed heap, and program code that was read once. Code comes back from the page cache when it is
    /// called again. Both together are some 60 MB for the bundled model.
    /// </summary>
    public static void Trim() => OnGlibc(() =>
    {
        _ = TrimHeap(0);
        foreach (var (start, length) in UnchangedFiles(File.ReadLines("/proc/self/maps")))
        {
            _ = Advise(start, length, DontNeed);
        }
    });

    /// <summary>
    /// Mappings of files that nothing can have written to: code, and what is shared read-only. (man 5 proc_pid_maps) A device's memory, such as a GPU driver's,
    /// is no file that could be read again.
    /// </summary>
    internal static IEnumerable<(nint Start, nuint Length)> UnchangedFiles(IEnumerable<string> maps)
    {
        foreach (var line in maps)
        {
            // 7f1c2e000000-7f1c30000000 r-xp 00012000 08:01 1234 /usr/lib/libc.so.6
            var fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
            if (fields is [var range, "r-xp" or "r--s", _, _, not "0", var path] && path.StartsWith('/') && !path.StartsWith("/dev/", StringComparison.Ordinal)
                && !path.EndsWith("(deleted)", StringComparison.Ordinal))
            {
                var dash = range.IndexOf('-', StringComparison.Ordinal);
                var start = nint.Parse(range.AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
                yield return (start, (nuint)(nint.Parse(range.AsSpan(dash + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture) - start));
            }
        }
    }

    private static void OnGlibc(Action action)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            action();
        }
        catch (Exception exception) when (exception is EntryPointNotFoundException or DllNotFoundException or IOException)
        {
            // Another C library (musl), or no /proc: the process is only larger.
        }
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc.so.6", EntryPoint = "mallopt")]
    private static extern int SetOption(int option, int value);

    [DllImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static extern int TrimHeap(nuint kept);

    [DllImport("libc.so.6", EntryPoint = "madvise")]
    private static extern int Advise(nint start, nuint length, int advice);
}
