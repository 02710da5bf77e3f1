using System.Globalization;

namespace Whatsit.Hostile;

/// <summary>
/// A bound that the operating system keeps: a group below this process' own (cgroups of either version) where one can be made, else the process' data segment,
/// which counts all that it may write to whether it did or not (man 2 setrlimit).
/// </summary>
internal sealed class MemoryLimit : IDisposable
{
    // What threads' stacks and heaps reserve beyond what they use.
    private const long Reserved = 1_500_000_000;

    // A group for each: that of the server outlives those of imports.
    private static int _groups;

    private readonly string? _group;
    private readonly long _bytes;

    public MemoryLimit(long bytes)
    {
        _bytes = bytes;
        _group = MakeGroup(bytes);
    }

    /// <summary>As the report says it.</summary>
    public string Name => _group is null ? "RLIMIT_DATA" : "cgroup";

    /// <summary>The command that starts another under the limit.</summary>
    public string[] Wrap(string[] command) =>
    [
        "sh", "-c",
        _group is null
            ? FormattableString.Invariant($"ulimit -d {(_bytes + Reserved) / 1024} && exec \"$@\"")
            : $"echo $$ > {_group}/cgroup.procs && exec \"$@\"",
        "sh", .. command,
    ];

    /// <summary>Removes the group; everything in it has ended by then.</summary>
    public void Dispose()
    {
        if (_group is not null)
        {
            Directory.Delete(_group);
        }
    }

    private static string? MakeGroup(long bytes)
    {
        // man 7 cgroups: "hierarchy:controllers:path", of which version 2 has number 0 and no controllers.
        var lines = File.ReadLines("/proc/self/cgroup").Select(line => line.Split(':', 3)).ToList();
        var memory = lines.FirstOrDefault(line => line[1].Split(',').Contains("memory"));
        var (root, file) = memory is null ? ("/sys/fs/cgroup", "memory.max") : ("/sys/fs/cgroup/memory", "memory.limit_in_bytes");
        var path = (memory ?? lines.FirstOrDefault(line => line[0] == "0"))?[2];
        // In a container, the path is the host's, and the root is its own.
        foreach (var parent in (string[])[root + path, root])
        {
            var group = Path.Combine(parent, $"whatsit-hostile-{Environment.ProcessId}-{Interlocked.Increment(ref _groups)}");
            try
            {
                if (path is not null && Directory.Exists(parent))
                {
                    Directory.CreateDirectory(group);
                    File.WriteAllText(Path.Combine(group, file), bytes.ToString(CultureInfo.InvariantCulture));
                    return group;
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Not ours to make, or without this controller.
                if (Directory.Exists(group))
                {
                    Directory.Delete(group);
                }
            }
        }

        return null;
    }
}
