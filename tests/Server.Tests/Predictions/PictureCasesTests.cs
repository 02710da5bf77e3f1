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

    /// <summary>A container of 512 MB as the runtime sees it, three quarters of which its heap may take, and no folder for temporary files.</summary>
    private const long Container = 512 * Megabyte;
    private const string SmallContainer = "export DOTNET_GCHeapHardLimit=0x16E36000 TMPDIR=/nonexistent";

    [Theory(Timeout = 600_000)]
    [InlineData("libvips")]
    [InlineData("imagesharp")]
    public async Task In_a_container_of_512_MB_each_picture_is_answered_rightly_or_refused_for_its_memory(string library)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The memory is read as Linux tells it.");
        var cases = Cases(library);
        await using var server = WhatsitServer.With(new() { ["Decoding:Library"] = library }, SmallContainer);
        await server.InitializeAsync();
        var problems = await SendAsync(cases, async picture =>
        {
            var (status, answer) = await PostAsync(server, PictureCases.Read(picture.Name));
            return status == 413 && ((string)answer["detail"]!).Contains("would take about", StringComparison.Ordinal) ? null
                : await ProblemOf(server, picture, status, answer);
        });
        Assert.True(problems.Length == 0, string.Join(Environment.NewLine, problems));
        var peak = Memory(server.Process.Id, "VmHWM");
        output.WriteLine($"{library}: at most {peak / Megabyte} MB");
        Assert.InRange(peak, 0, Container);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("libvips")]
    [InlineData("imagesharp")]
    public async Task A_container_of_512_MB_survives_a_crowd_with_pictures_of_12_to_200_megapixels(string library)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The memory is read as Linux tells it.");
        byte[][] large =
        [
            .. Cases(library).Where(picture => picture.Status == 200 && picture.Name.Contains("-megapixels", StringComparison.Ordinal))
                .Select(picture => PictureCases.Read(picture.Name)),
        ];
        Assert.NotEmpty(large);
        await using var server = WhatsitServer.With(new() { ["Decoding:Library"] = library }, SmallContainer);
        await server.InitializeAsync();

        // Ten seconds' worth at twenty each second, all at once.
        var statuses = await Task.WhenAll(Enumerable.Range(0, 200).Select(async request => (await PostAsync(server, large[request % large.Length])).Status));

        output.WriteLine($"{library}: {string.Join(", ", statuses.CountBy(status => status))}; at most {Memory(server.Process.Id, "VmHWM") / Megabyte} MB");
        Assert.All(statuses, status => Assert.True(status is 200 or 413 or 429 or 503, $"{status}"));
        Assert.InRange(Memory(server.Process.Id, "VmHWM"), 0, Container);
        Assert.Equal(200, (await PostAsync(server, WhatsitServer.Picture)).Status);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("libvips", "none")]
    [InlineData("imagesharp", "none")]
    [InlineData("libvips", "process")]
    public async Task Eight_connections_get_what_each_picture_deserves(string library, string isolation)
    {
        var cases = Cases(library);
        await using var server = WhatsitServer.With(new()
        {
            ["Decoding:Library"] = library,
            ["Decoding:Isolation"] = isolation,
            ["Decoding:MaxMemory"] = (192 * Megabyte).ToString(),
        });
        await server.InitializeAsync();
        // What it takes to answer at all is there then.
        using (var warm = HttpAssert.Raw(WhatsitServer.Picture))
        {
            await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", warm, TestContext.Current.CancellationToken));
        }

        var before = ResetPeak(server.Process.Id);
        var worst = new ConcurrentDictionary<string, TimeSpan>();
        var problems = await SendAsync(cases, async picture =>
        {
            var started = Stopwatch.GetTimestamp();
            var (status, answer) = await PostAsync(server, PictureCases.Read(picture.Name));
            worst[picture.Name] = Stopwatch.GetElapsedTime(started);
            return await ProblemOf(server, picture, status, answer);
        });
        var slowest = worst.MaxBy(entry => entry.Value);
        output.WriteLine($"{library}: {cases.Count} pictures; the slowest took {slowest.Value.TotalMilliseconds:0} ms ({slowest.Key})");
        Assert.True(problems.Length == 0, string.Join(Environment.NewLine, problems));
        if (OperatingSystem.IsLinux())
        {
            var peak = Memory(server.Process.Id, "VmHWM") - before;
            output.WriteLine($"{library}: {before / Megabyte} MB before, at most {peak / Megabyte} MB more in between");
            Assert.InRange(peak, 0, MostBetween);
            await WhatsitServer.WaitUntilAsync(() => Task.FromResult(Memory(server.Process.Id, "VmRSS") - before <= MostAfter));
            output.WriteLine($"{library}: {(Memory(server.Process.Id, "VmRSS") - before) / Megabyte} MB more after");
        }
    }

    private static List<PictureCase> Cases(string library) =>
        [.. PictureCases.All().Select(picture => library == "imagesharp" ? picture.UnderImageSharp : picture)];

    /// <summary>Sends them at eight connections, in the same order each time and no two of a kind side by side; what was wrong with any.</summary>
    private static async Task<string[]> SendAsync(List<PictureCase> cases, Func<PictureCase, Task<string?>> send)
    {
        var problems = new ConcurrentQueue<string>();
        PictureCase[] shuffled = [.. cases];
        new Random(1).Shuffle(shuffled);
        var waiting = new ConcurrentQueue<PictureCase>(shuffled);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (waiting.TryDequeue(out var picture))
            {
                if (await send(picture) is { } problem)
                {
                    problems.Enqueue($"{picture.Name}: {problem}");
                }
            }
        })));
        return [.. problems];
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

        // What the sentence says a program can say in its own words, as far as the file is a picture at all.
        string[] named = status switch
        {
            413 => ["format", "width", "height", "what", "value", "limit"],
            422 => ["format"],
            415 when answer["detail"]!.ToString().StartsWith("The file is", StringComparison.Ordinal) => [],
            415 => ["format"],
            _ => [],
        };
        if (named.FirstOrDefault(name => answer["parameters"]?[name] is null) is { } missing)
        {
            return $"no parameter '{missing}': {answer.ToJsonString()}";
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
