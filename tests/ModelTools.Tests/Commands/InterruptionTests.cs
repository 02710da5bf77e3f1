using System.Diagnostics;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>Commands that are ended while they work. The first of their photos is a pipe: who reads it waits for the test.</summary>
public sealed class InterruptionTests : IDisposable
{
    private const string Label = "Granny Smith apple";

    private readonly string _root = Directory.CreateTempSubdirectory("interruption-").FullName;

    /// <summary>proc_pid_status(5): a mask of signals, from 1, that are ignored.</summary>
    private static bool IgnoresInterrupts => OperatingSystem.IsLinux()
        && File.ReadLines("/proc/self/status").First(line => line.StartsWith("SigIgn:", StringComparison.Ordinal)) is var line
        && (Convert.ToUInt64(line.Split('\t')[1], 16) & 2) != 0;

    private string Models => Path.Combine(_root, "models");

    private string Pipe => Path.Combine(_root, "held.png");

    private string List => Path.Combine(_root, "photos.csv");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [InlineData("evaluate", "INT")]
    [InlineData("evaluate", "TERM")]
    [InlineData("quantize to fp16", "INT")]
    [InlineData("quantize to fp16", "TERM")]
    [InlineData("quantize to int8", "INT")]
    [InlineData("quantize to int8", "TERM")]
    [InlineData("import", "INT")]
    [InlineData("import", "TERM")]
    public async Task Whoever_ends_it_gets_one_sentence_and_nothing_half_written(string verb, string signal)
    {
        Assert.SkipWhen(signal == "INT" && IgnoresInterrupts,
            "SIGINT is ignored here, as shells have it for what they start in the background.");
        await ArrangeAsync(photos: 200);
        var before = Entries();

        var (code, error) = await EndAsync(verb, signal);

        Assert.Equal((130, "Ended before it was done."), (code, error.Trim()));
        Assert.Equal(before, Entries());
    }

    [Theory]
    [InlineData("import")]
    public async Task What_was_killed_leaves_what_the_next_one_removes(string verb)
    {
        await ArrangeAsync(photos: 3);
        var before = Entries();

        await EndAsync(verb, "KILL");
        Assert.Single(Entries().Except(before).Select(entry => entry.Split('/').First(name => name[0] == '.')).Distinct());

        File.Delete(Pipe);
        File.Copy(Path.Combine(Models, "grocery/sample.png"), Pipe);
        var withPhotos = verb != "import";
        var (code, _, error) = await WhatsitCommand.RunAsync(
            [.. Arguments(verb).Where(argument => withPhotos || (argument != "--images" && argument != List))]);
        Assert.True(code == 0, error);
        Assert.DoesNotContain(Entries(), entry => entry.StartsWith('.') || entry.Contains("/.", StringComparison.Ordinal));
    }

    /// <summary>The bundled model, and a list of copies of its sample behind the pipe.</summary>
    private async Task ArrangeAsync(int photos)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There are no pipes among files.");
        Directory.CreateDirectory(Models);
        await RunAsync("cp", "-r", Path.Combine(WhatsitCommand.Root, "models/grocery"), Models);
        await RunAsync("mkfifo", Pipe);
        var sample = Path.Combine(Models, "grocery/sample.png");
        await File.WriteAllLinesAsync(List, [$"{Pipe},{Label}", .. Enumerable.Repeat($"{sample},{Label}", photos)], TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(_root, "labels.txt"), $"{Label}\npear\nplum\n", TestContext.Current.CancellationToken);
    }

    private string[] Arguments(string verb) =>
    [
        .. verb switch
        {
            "evaluate" => new[] { "evaluate", "grocery", "--images", List, "--report", Path.Combine(_root, "page.html") },
            "quantize to fp16" => ["quantize", "grocery", "--to", "fp16", "--images", List],
            "quantize to int8" => ["quantize", "grocery", "--to", "int8", "--calibrate", List],
            _ => ["import", "tests/data/tfjs/layers", "--name", "fruit", "--labels", Path.Combine(_root, "labels.txt"), "--images", List],
        },
        "--models", Models,
    ];

    /// <summary>Ends it when it has opened the pipe, and then lets it go.</summary>
    private async Task<(int Code, string Error)> EndAsync(string verb, string signal)
    {
        using var process = WhatsitCommand.Begin(Arguments(verb));
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var opened = Task.Run(() => new FileStream(Pipe, FileMode.Open, FileAccess.Write, FileShare.ReadWrite), TestContext.Current.CancellationToken);
        if (await Task.WhenAny(opened, process.WaitForExitAsync(TestContext.Current.CancellationToken)) != opened)
        {
            Assert.Fail($"It ended by itself: {await error}");
        }

        await using (var pipe = await opened)
        {
            await RunAsync("kill", $"-{signal}", $"{process.Id}");
            if (signal != "KILL")
            {
                await pipe.WriteAsync(await File.ReadAllBytesAsync(Path.Combine(Models, "grocery/sample.png"), TestContext.Current.CancellationToken));
            }
        }

        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await output;
        return (process.ExitCode, await error);
    }

    private List<string> Entries() =>
    [
        .. Directory.EnumerateFileSystemEntries(_root, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(_root, path))
            .Order(StringComparer.Ordinal),
    ];

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
    }
}
