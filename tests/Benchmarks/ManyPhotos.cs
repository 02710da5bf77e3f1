using System.Diagnostics;
using System.Globalization;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Imaging;

namespace Whatsit.Benchmarks;

/// <summary>
/// <c>whatsit classify</c> over a folder of small JPEGs, each with content of its own, and a network that takes next to no time: how many it answers
/// in a second, and whether it needs more memory for many than for few.
/// </summary>
internal static class ManyPhotos
{
    private const int Side = 96, Canvas = 1024, InOneFolder = 1000, Quality = 80;
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);

    /// <summary>Draws, classifies and prints.</summary>
    /// <param name="count">How many photos.</param>
    /// <returns>The exit code: 1 where not every photo was answered.</returns>
    public static async Task<int> RunAsync(int count)
    {
        var folder = Directory.CreateTempSubdirectory("whatsit-many-").FullName;
        try
        {
            Console.WriteLine($"Drawing {count:N0} photos …");
            var (photos, models, output) = (Path.Combine(folder, "photos"), Path.Combine(folder, "models"), Path.Combine(folder, "answers.jsonl"));
            var bytes = Draw(photos, count);
            Console.WriteLine($"{Side} × {Side} pixels, {bytes / count / 1000.0:0.0} kB each");
            await Starter.CheckAsync(Repository.Root, "dotnet", "build", "src/ModelTools", "-c", "Release", "--nologo", "-v", "quiet", "-clp:ErrorsOnly");
            var program = Repository.PathOf("artifacts", "bin", "ModelTools", "release", "whatsit");
            await Starter.CheckAsync(Repository.Root, program, "import", "tests/data/tfjs/layers", "--name", "fruit", "--models", models);
            var looks = await WatchAsync(program, ["classify", photos, "--models", models, "--output", output], output, count);
            var answered = File.ReadLines(output).Count(line => line.Contains("\"predictions\"", StringComparison.Ordinal));
            Print(looks, count, answered);
            return answered == count ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Pieces of one large drawing.</summary>
    private static long Draw(string folder, int count)
    {
        var encoder = ImageDecoders.CreateEncoder(new DecodingOptions());
        var drawing = Photo.Draw(Canvas, Canvas, 4, seed: 1);
        var (random, piece, bytes) = (new Random(2), new byte[Side * Side * 3], 0L);
        for (var photo = 0; photo < count; photo++)
        {
            var (left, top) = (random.Next(Canvas - Side), random.Next(Canvas - Side));
            for (var row = 0; row < Side; row++)
            {
                drawing.AsSpan((((top + row) * Canvas) + left) * 3, Side * 3).CopyTo(piece.AsSpan(row * Side * 3));
            }

            var file = Path.Combine(folder, $"{photo / InOneFolder:000}", $"{photo:000000}.jpg");
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            var jpeg = encoder.ToJpeg(piece, Side, Side, Quality);
            File.WriteAllBytes(file, jpeg);
            bytes += jpeg.Length;
        }

        return bytes;
    }

    private static async Task<List<Look>> WatchAsync(string program, string[] arguments, string output, int count)
    {
        var looks = new List<Look> { new(TimeSpan.Zero, 0, 0) };
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var said = process.StandardError.ReadToEndAsync();
        try
        {
            var (answered, position) = (0, 0L);
            while (!process.HasExited)
            {
                await Task.Delay(BetweenLooks);
                (answered, position) = await LinesAsync(output, answered, position);
                if (PeakMb(process.Id) is { } peak)
                {
                    looks.Add(new(clock.Elapsed, answered, peak));
                }
            }

            (answered, _) = await LinesAsync(output, answered, position);
            looks.Add(new(clock.Elapsed, answered, looks[^1].PeakMb));
            return answered == count ? looks : throw new InvalidOperationException($"{answered:N0} of {count:N0} were answered. It said:\n{await said}");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }

    /// <summary>Lines that have come since the last look.</summary>
    private static async Task<(int Lines, long Position)> LinesAsync(string file, int lines, long position)
    {
        if (!File.Exists(file))
        {
            return (lines, position);
        }

        await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        stream.Position = position;
        var buffer = new byte[1 << 16];
        for (int read; (read = await stream.ReadAsync(buffer)) > 0; position += read)
        {
            lines += buffer.AsSpan(0, read).Count((byte)'\n');
        }

        return (lines, position);
    }

    /// <summary>VmHWM, in MB; nothing where the process has ended.</summary>
    private static double? PeakMb(int process)
    {
        try
        {
            var line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? null : double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static void Print(List<Look> looks, int count, int answered)
    {
        var step = Math.Min(10_000, count);
        Console.WriteLine($"{answered:N0} of {count:N0} photos in {looks[^1].At.TotalSeconds:0} s, {count / looks[^1].At.TotalSeconds:0}/s");
        Console.WriteLine($"{"photos",9}{"photos/s",10}{"peak MB",9}");
        var before = looks[0];
        foreach (var number in Enumerable.Range(1, count / step).Select(index => index * step))
        {
            var look = looks.First(look => look.Answered >= number);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{number,9:N0}{(look.Answered - before.Answered) / (look.At - before.At).TotalSeconds,10:0}{look.PeakMb,9:0}"));
            before = look;
        }
    }

    /// <summary>How far it was.</summary>
    private sealed record Look(TimeSpan At, int Answered, double PeakMb);
}
