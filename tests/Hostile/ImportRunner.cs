using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;

namespace Whatsit.Hostile;

/// <summary>
/// Imports damaged model files with <c>whatsit import</c>, each as a process under the memory limit. Work and memory are what a file takes beyond a good one of
/// its kind: most of either is the start of a process.
/// </summary>
internal sealed class ImportRunner(string whatsit, bool isLong, TextWriter log) : IDisposable
{
    /// <summary>As the table says it.</summary>
    public const string Family = "Imports";

    private const long Memory = 1_000_000_000;

    // 0: it is a model all the same. 1: a sentence.
    private static readonly int[] Allowed = [0, 1];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90), Look = TimeSpan.FromMilliseconds(5);

    private static readonly string Data = Repository.PathOf("tests", "data");

    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-hostile-").FullName;

    public List<Outcome> Outcomes { get; } = [];

    public async Task RunAsync()
    {
        var plain = await ImportAsync(Path.Combine(Data, "tfjs", "layers"));
        if (plain.Code != 0)
        {
            throw new InvalidOperationException($"A good model was not imported: {plain.Error}");
        }

        foreach (var (name, path) in Inputs().Where((_, at) => isLong || at % 3 == 0))
        {
            var (code, error, cpu, ms, peak) = await ImportAsync(path);
            // A trace, or more than a sentence, is none of ours.
            var isSentence = code == 0 || (error.Trim().Length > 0 && !error.Trim().Contains('\n') && !error.Contains("   at ", StringComparison.Ordinal));
            var outcome = new Outcome(Family, name, code, !Allowed.Contains(code) || !isSentence, code is < 0 or >= 128, Math.Max(0, cpu - plain.CpuMs), ms,
                Math.Max(0, peak - plain.PeakMb), 0);
            Outcomes.Add(outcome);
            if (isLong || outcome.IsWrong || outcome.HasCrashed || outcome.OverIdleMb > Report.MostMb)
            {
                await log.WriteLineAsync($"{Report.Line(outcome)}  {error.Trim()}");
            }
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private IEnumerable<(string Name, string Path)> Inputs()
    {
        yield return ("an empty file", Write("empty.onnx", []));
        yield return ("a pipe", Pipe("pipe.onnx"));
        yield return ("a link to /dev/zero", Link("zero.onnx", "/dev/zero"));
        yield return ("3 GB that take no room", Sparse("sparse.onnx", 3_000_000_000));
        yield return ("1 GB of zeros in a zip", Zip("zeros.zip", archive =>
        {
            using var entry = archive.CreateEntry("model.onnx", CompressionLevel.Fastest).Open();
            var block = new byte[1 << 20];
            for (var written = 0; written < 1024; written++)
            {
                entry.Write(block);
            }
        }));
        yield return ("60,000 files in a zip", Zip("many.zip", archive =>
        {
            for (var entry = 0; entry < 60_000; entry++)
            {
                archive.CreateEntry($"{entry}");
            }
        }));
        yield return ("a zip whose file lies outside of it", Zip("outside.zip", archive =>
        {
            using var entry = archive.CreateEntry("../../model.onnx").Open();
            entry.Write("evil"u8);
        }));
        yield return ("JSON, 20 MB of brackets", Write(Path.Combine("brackets", "model.json"), Enumerable.Repeat((byte)'[', 20_000_000).ToArray()));
        yield return ("a network in a folder that leads to itself", Loop("loop"));
        yield return ("protobuf, a million lengths of 2³¹", Write("lengths.onnx", Repeat([0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], 1_000_000)));
        var random = new Random(1);
        string[] files =
        [
            .. ((string[])["keras", "tflite", "onnx"]).SelectMany(format => Directory.EnumerateFiles(Path.Combine(Data, format)))
                .Where(file => Path.GetExtension(file) is ".h5" or ".keras" or ".tflite" or ".onnx").Order(StringComparer.Ordinal),
        ];
        for (var round = 0; round < (isLong ? 3 * files.Length : 6); round++)
        {
            // Of every format some, also in the short form.
            var file = files[(round * 7) % files.Length];
            var whole = File.ReadAllBytes(file);
            var damaged = round % 4 == 3 ? whole[..random.Next(whole.Length)] : whole.ToArray();
            for (var change = random.Next(1, 9); round % 4 != 3 && change > 0; change--)
            {
                damaged[random.Next(Math.Min(damaged.Length, 2000))] = (byte)random.Next(256);
            }

            yield return ($"{Path.GetFileName(file)}, damage {round}", Write($"{round}{Path.GetExtension(file)}", damaged));
        }
    }

    private async Task<(int Code, string Error, double CpuMs, double Ms, double PeakMb)> ImportAsync(string path)
    {
        using var limit = new MemoryLimit(Memory);
        var command = limit.Wrap([whatsit, "import", path, "--name", "evil", "--models", Path.Combine(_folder, "models")]);
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        var (cpu, peak) = (0d, 0d);
        while (!process.HasExited)
        {
            try
            {
                process.Refresh();
                (cpu, peak) = (process.TotalProcessorTime.TotalMilliseconds, Math.Max(peak, PeakOf(process.Id)));
            }
            catch (Exception exception) when (exception is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                // It has just ended.
            }

            if (clock.Elapsed > Patience)
            {
                process.Kill();
                await process.WaitForExitAsync();
                return (Wire.Silent, "It did not end.", cpu, clock.Elapsed.TotalMilliseconds, peak);
            }

            await Task.Delay(Look);
        }

        await output;
        return (process.ExitCode, await error, cpu, clock.Elapsed.TotalMilliseconds, peak);
    }

    private static double PeakOf(int process)
    {
        var file = $"/proc/{process}/status";
        try
        {
            return File.ReadLines(file).FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)) is { } line
                ? double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024 / 1e6 : 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private string Write(string name, byte[] content)
    {
        var path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, content);
        return path.EndsWith("model.json", StringComparison.Ordinal) ? Path.GetDirectoryName(path)! : path;
    }

    private string Pipe(string name)
    {
        var path = Path.Combine(_folder, name);
        using var made = Process.Start("mkfifo", [path]);
        made.WaitForExit();
        return path;
    }

    private string Link(string name, string target)
    {
        var path = Path.Combine(_folder, name);
        File.CreateSymbolicLink(path, target);
        return path;
    }

    private string Loop(string name)
    {
        var path = Path.Combine(_folder, name);
        Directory.CreateDirectory(path);
        Directory.CreateSymbolicLink(Path.Combine(path, "again"), path);
        return path;
    }

    private string Sparse(string name, long length)
    {
        var path = Path.Combine(_folder, name);
        using var file = File.Create(path);
        file.SetLength(length);
        return path;
    }

    private string Zip(string name, Action<ZipArchive> fill)
    {
        var path = Path.Combine(_folder, name);
        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        fill(archive);
        return path;
    }

    private static byte[] Repeat(byte[] unit, int times)
    {
        var all = new byte[unit.Length * times];
        for (var at = 0; at < all.Length; at += unit.Length)
        {
            unit.CopyTo(all, at);
        }

        return all;
    }
}
