using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Whatsit.Tests;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>The pictures that people send, good and bad (tests/data/pictures), over HTTP.</summary>
public sealed class PictureCasesTests(ITestOutputHelper output)
{
    private const long Megabyte = 1_000_000;

    /// <summary>What the process may hold more than before, while they come and after: tests/README.md.</summary>
    private const long MostBetween = 250 * Megabyte, MostAfter = 60 * Megabyte;

    [Theory(Timeout = 600_000)]
    [InlineData("libvips")]
    [InlineData("imagesharp")]
    public async Task Eight_connections_get_what_each_picture_deserves(string library)
    {
        var cases = PictureCases.All().Select(picture => library == "imagesharp" ? picture.UnderImageSharp : picture).ToList();
        // However slow the machine is: what is asked here is what comes, not when.
        await using var server = WhatsitServer.With(new()
        {
            ["Decoding:Library"] = library,
            ["Decoding:MaxMemory"] = (192 * Megabyte).ToString(),
            ["Scheduling:TimeoutSeconds"] = "600",
        });
        await server.InitializeAsync();
        // What it takes to answer at all is there then.
        using (var warm = HttpAssert.Raw(WhatsitServer.Picture))
        {
            await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", warm, TestContext.Current.CancellationToken));
        }

        var before = ResetPeak(server.Process.Id);
        var (problems, worst) = (new ConcurrentQueue<string>(), new ConcurrentDictionary<string, TimeSpan>());
        // The same order each time, and no two of a kind side by side.
        PictureCase[] shuffled = [.. cases];
        new Random(1).Shuffle(shuffled);
        var waiting = new ConcurrentQueue<PictureCase>(shuffled);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (waiting.TryDequeue(out var picture))
            {
                var started = Stopwatch.GetTimestamp();
                var (status, answer) = await PostAsync(server, PictureCases.Read(picture.Name));
                var took = Stopwatch.GetElapsedTime(started);
                worst.AddOrUpdate(picture.Name, took, (_, other) => took > other ? took : other);
                if (await ProblemOf(server, picture, status, answer) is { } problem)
                {
                    problems.Enqueue($"{picture.Name}: {problem}");
                }
            }
        })));

        var slowest = worst.MaxBy(entry => entry.Value);
        output.WriteLine($"{library}: {cases.Count} pictures; the slowest took {slowest.Value.TotalMilliseconds:0} ms ({slowest.Key})");
        Assert.True(problems.IsEmpty, string.Join(Environment.NewLine, problems.Distinct()));
        if (OperatingSystem.IsLinux())
        {
            var peak = Memory(server.Process.Id, "VmHWM") - before;
            output.WriteLine($"{library}: {before / Megabyte} MB before, at most {peak / Megabyte} MB more in between");
            Assert.InRange(peak, 0, MostBetween);
            await WhatsitServer.WaitUntilAsync(() => Task.FromResult(Memory(server.Process.Id, "VmRSS") - before <= MostAfter));
            output.WriteLine($"{library}: {(Memory(server.Process.Id, "VmRSS") - before) / Megabyte} MB more after");
        }
    }

    private static async Task<(int Status, JsonNode Answer)> PostAsync(WhatsitServer server, byte[] file)
    {
        using var content = HttpAssert.Raw(file);
        using var response = await server.Http.PostAsync("/predict?topK=1", content, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!);
    }

    private static async Task<string?> ProblemOf(WhatsitServer server, PictureCase expected, int status, JsonNode answer)
    {
        var warnings = answer["warnings"]?.AsArray().Select(warning => (string)warning!["code"]!).ToArray() ?? [];
        if (status != expected.Status || (string?)answer["code"] != expected.Code
            || ((string?)answer["detail"] ?? "").Contains(expected.Sentence ?? "", StringComparison.Ordinal) is false
            || !warnings.SequenceEqual(expected.Warning is { } warning ? [warning] : []))
        {
            return $"{status} {answer.ToJsonString()}";
        }

        if (status != 200 || expected.Pixels is not { } pixels)
        {
            return null;
        }

        // What the model says of the pixels that another decoder gives.
        var (shown, twin) = await PostAsync(server, PictureCases.Read(pixels));
        if (shown != 200)
        {
            return $"{pixels}: {shown} {twin.ToJsonString()}";
        }

        // Of one colour alone the model is sure of nothing.
        const double Sure = 0.2;
        var (best, other) = (answer["predictions"]![0]!, twin["predictions"]![0]!);
        return ((string)best["label"]! == (string)other["label"]! || (double)other["confidence"]! < Sure)
            && Math.Abs((double)best["confidence"]! - (double)other["confidence"]!) < 0.15
            ? null
            : $"{best.ToJsonString()}, where {other.ToJsonString()} is due";
    }

    /// <summary>Has the kernel count the most memory anew, and tells how much it is now: proc_pid_clear_refs(5).</summary>
    private static long ResetPeak(int process)
    {
        if (!OperatingSystem.IsLinux())
        {
            return 0;
        }

        File.WriteAllText($"/proc/{process}/clear_refs", "5");
        return Memory(process, "VmRSS");
    }

    /// <summary>A line of proc_pid_status(5), which counts in 1024 bytes.</summary>
    private static long Memory(int process, string name) => long.Parse(
        File.ReadLines($"/proc/{process}/status").First(line => line.StartsWith(name + ":", StringComparison.Ordinal)).Split(' ', '\t')
            .First(word => word.Length > 0 && char.IsAsciiDigit(word[0]))) * 1024;
}
