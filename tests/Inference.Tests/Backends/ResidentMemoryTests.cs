using Whatsit.Inference.Backends;

namespace Whatsit.Inference.Tests.Backends;

public sealed class ResidentMemoryTests
{
    [Fact]
    public void Only_what_nothing_can_have_written_to_is_given_back()
    {
        string[] maps =
        [
            "7f0000000000-7f0000002000 r-xp 00012000 08:01 1234                       /usr/lib/x86 64/libcode.so",
            "7f0000002000-7f0000003000 r--s 00000000 08:01 1235                       /app/Library.dll",
            "7f0000003000-7f0000004000 r--p 00000000 08:01 1234                       /usr/lib/relocated.so",
            "7f0000004000-7f0000005000 rw-p 00000000 08:01 1234                       /usr/lib/data.so",
            "7f0000005000-7f0000006000 r-xp 00000000 00:01 1236                       /memfd:doublemapper (deleted)",
            "7f0000006000-7f0000007000 r-xp 00000000 00:00 0",
            "7f0000007000-7f0000008000 r--s 00000000 00:05 442                        /dev/nvidiactl",
            "7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]",
        ];

        Assert.Equal([(unchecked((nint)0x7f0000000000), 0x2000u), (unchecked((nint)0x7f0000002000), 0x1000u)], ResidentMemory.UnchangedFiles(maps));
    }

    [Fact]
    public void The_process_goes_on_in_less_memory()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The files in memory are listed in /proc.");
        Assert.NotEmpty(ResidentMemory.UnchangedFiles(File.ReadLines("/proc/self/maps")));
        var before = FileBackedKilobytes();

        ResidentMemory.Trim();

        Assert.True(FileBackedKilobytes() < before, $"{FileBackedKilobytes()} kB of files are in memory, before {before} kB.");
    }

    // man 5 proc_pid_status
    private static long FileBackedKilobytes() => long.Parse(
        File.ReadLines("/proc/self/status").Single(line => line.StartsWith("RssFile:", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        System.Globalization.CultureInfo.InvariantCulture);
}
