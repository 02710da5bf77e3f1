using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Whatsit.ModelTools.Tests.Commands.Classify;

public sealed partial class ManyPhotosTests(ThousandPhotos photos) : IClassFixture<ThousandPhotos>
{
    [Fact]
    public async Task Several_shares_together_give_exactly_what_one_run_gives()
    {
        var all = await File.ReadAllLinesAsync(await AnsweredAsync("all.csv", photos.Photos), TestContext.Current.CancellationToken);
        Assert.Equal((ThousandPhotos.Count - 2) * 3, all.Skip(1).Count(line => line.EndsWith(",false,", StringComparison.Ordinal)));
        Assert.Equal(2, all.Count(line => line.Contains(",,,,,,", StringComparison.Ordinal)));
        var names = all.Skip(1).Select(NameOf).Distinct().ToArray();
        Assert.Equal(names.Order(StringComparer.Ordinal), names);

        var shares = new List<string[]>();
        for (var share = 0; share < 3; share++)
        {
            shares.Add(await File.ReadAllLinesAsync(await AnsweredAsync($"share-{share}.csv", photos.Photos, "--shard", $"{share}/3"),
                TestContext.Current.CancellationToken));
        }

        Assert.All(shares, share => Assert.InRange(share.Length, all.Length / 4, all.Length / 2));
        Assert.Equal(all.Skip(1).Order(StringComparer.Ordinal), shares.SelectMany(share => share.Skip(1)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("csv", 0.5)]
    [InlineData("csv", 0.999)]
    [InlineData("jsonl", 0.25)]
    public async Task A_run_that_was_ended_goes_on_where_it_was(string format, double share)
    {
        var whole = await AnsweredAsync($"whole-{share}.{format}", photos.Photos);
        var cut = photos.PathOf($"cut-{share}.{format}");
        var bytes = await File.ReadAllBytesAsync(whole, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(cut, bytes[..(int)(bytes.Length * share)], TestContext.Current.CancellationToken);

        var error = await RunAsync(photos.Photos, "--output", cut);

        Assert.Equal(Lines(whole), Lines(cut));
        var (asked, before) = (int.Parse(Regex.Match(error, @"([\d,]+) photos? in").Groups[1].Value.Replace(",", "")),
            int.Parse(Regex.Match(error, @"([\d,]+) were answered before").Groups[1].Value.Replace(",", "")));
        Assert.Equal(ThousandPhotos.Count, asked + before);
        Assert.InRange(before, (ThousandPhotos.Count * share) - 20, (ThousandPhotos.Count * share) + 20);

        // All is answered: nothing is asked.
        error = await RunAsync(photos.Photos, "--output", cut);
        Assert.Contains("0 photos in", error, StringComparison.Ordinal);
        Assert.Equal(Lines(whole), Lines(cut));

        static IEnumerable<string> Lines(string file) => File.ReadLines(file).Select(line => TimingOf().Replace(line, ""));
    }

    [Theory]
    [InlineData("fruit", "2")]
    [InlineData("trees", "1")]
    public async Task Answers_of_another_model_are_not_gone_on_with(string model, string version)
    {
        var file = photos.PathOf($"{model}-{version}.jsonl");
        var before = $"{{\"file\":\"elsewhere.png\",\"model\":\"{model}\",\"version\":\"{version}\"}}\n";
        await File.WriteAllTextAsync(file, before, TestContext.Current.CancellationToken);

        var (code, _, error) = await WhatsitCommand.RunAsync("classify", photos.Photos, "--models", photos.Models, "-o", file);

        Assert.Equal(1, code);
        Assert.Contains($"'{file}' has answers of the model {model} (version {version}), and fruit (version 1) answers now: ", error, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Archives_lists_and_standard_input_give_what_the_folder_gives()
    {
        var folder = await File.ReadAllTextAsync(await AnsweredAsync("folder.csv", photos.Photos), TestContext.Current.CancellationToken);
        var plain = photos.PathOf("some.tar");
        await TarFile.CreateFromDirectoryAsync(photos.Photos, plain, includeBaseDirectory: false, TestContext.Current.CancellationToken);
        var packed = photos.PathOf("some.tgz");
        await using (var gzip = new GZipStream(File.Create(packed), CompressionLevel.Fastest))
        {
            await gzip.WriteAsync(await File.ReadAllBytesAsync(plain, TestContext.Current.CancellationToken), TestContext.Current.CancellationToken);
        }

        var expected = Sorted(folder, photos.Photos + "/");
        Assert.Equal(expected, Sorted(await OutputAsync(null, plain), plain + "/"));
        Assert.Equal(expected, Sorted(await OutputAsync(null, packed), packed + "/"));
        Assert.Equal(expected, Sorted(await OutputAsync(await File.ReadAllBytesAsync(plain, TestContext.Current.CancellationToken), "-"), ""));
        Assert.Equal(expected, Sorted(await OutputAsync(await File.ReadAllBytesAsync(packed, TestContext.Current.CancellationToken), "-"), ""));
        var names = Directory.GetFiles(photos.Photos, "*", SearchOption.AllDirectories);
        Assert.Equal(expected, Sorted(await OutputAsync(Encoding.UTF8.GetBytes(string.Join('\n', names)), "-"), photos.Photos + "/"));

        // An archive that ends too soon: what was whole is answered, and the damage is said.
        var half = photos.PathOf("half.tar");
        await File.WriteAllBytesAsync(half, (await File.ReadAllBytesAsync(plain, TestContext.Current.CancellationToken))[..200_100],
            TestContext.Current.CancellationToken);
        var answered = await OutputAsync(null, half);
        Assert.InRange(answered.Split('\n').Length, 100, 1000);
        Assert.Contains($"{half},,,,,,The archive is damaged; what lies behind the damage is not read.", answered, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_read_is_reported_and_passed_over()
    {
        var file = photos.PathOf("reported.jsonl");
        var (code, _, error) = await WhatsitCommand.RunAsync("classify", photos.Photos, photos.PathOf("nowhere.png"), "--models", photos.Models, "-o", file);
        Assert.Equal(1, code);
        Assert.Contains("0123.png: The file is text, which is not supported", error, StringComparison.Ordinal);
        Assert.Contains("nowhere.png: There is no such file.", error, StringComparison.Ordinal);
        Assert.Matches(@"1,001 photos in .* s, .*/s, 3 failed", error);
        Assert.Matches(@"of 1,00\d, .*/s, \d+ s left", error);
        var answers = File.ReadLines(file).Select(line => JsonNode.Parse(line)!).ToArray();
        Assert.Equal((1001, 3), (answers.Length, answers.Count(answer => answer["error"] is not null)));
    }

    [Fact]
    public async Task Servers_give_what_the_model_here_gives()
    {
        using var one = await ServingAsync();
        using var other = await ServingAsync();
        try
        {
            var here = await AnsweredAsync("here.csv", photos.Photos, "--top-k", "2");
            var file = photos.PathOf("there.csv");
            string[] servers = ["--server", one.Url, "--server", other.Url];
            var (code, _, error) = await WhatsitCommand.RunAsync(["classify", photos.Photos, .. servers, "--top-k", "2", "-o", file]);
            Assert.True(code == 1, error);
            var (ours, theirs) = (await File.ReadAllLinesAsync(here, TestContext.Current.CancellationToken),
                await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken));
            Assert.Equal(ours, theirs);
            var counts = Regex.Matches(error, @"^  http://.*: ([\d,]+)\s*$", RegexOptions.Multiline)
                .Select(match => int.Parse(match.Groups[1].Value.Replace(",", ""))).ToArray();
            Assert.Equal(ThousandPhotos.Count - 2, counts.Sum());
            Assert.All(counts, count => Assert.InRange(count, 50, 950));

            (code, _, error) = await WhatsitCommand.RunAsync("classify", photos.Photos, "--server", one.Url, "--model", "nobody", "--csv");
            Assert.Equal(1, code);
            Assert.Contains("answered 404", error, StringComparison.Ordinal);
        }
        finally
        {
            one.Process.Kill();
            other.Process.Kill();
        }
    }

    [Fact]
    public async Task The_jobs_command_has_as_many_shares_as_it_has_pods()
    {
        var job = await File.ReadAllTextAsync(Path.Combine(WhatsitCommand.Root, "deploy/kubernetes/batch/job.yaml"), TestContext.Current.CancellationToken);
        var command = Regex.Match(job, @"command: \[whatsit, ([^\]]*)\]").Groups[1].Value.Replace("$(JOB_COMPLETION_INDEX)", "7", StringComparison.Ordinal)
            .Split(',', StringSplitOptions.TrimEntries).Select(word => word.Trim('"')).ToArray();
        Assert.Empty(Whatsit.ModelTools.Commands.Verbs.All().Parse(command).Errors);
        Assert.Contains($"7/{Regex.Match(job, @"completions: (\d+)").Groups[1].Value}", command);
    }

    [Theory]
    [InlineData("--shard is '4/4'", "--shard", "4/4")]
    [InlineData("--shard is '-1/4'", "--shard", "-1/4")]
    [InlineData("--shard is 'half'", "--shard", "half")]
    [InlineData("--server is 'localhost:8080'", "--server", "localhost:8080")]
    [InlineData("--output is 'a.txt'", "--output", "a.txt")]
    [InlineData("--json writes one array", "--output", "a.jsonl", "--json")]
    [InlineData("leave out one of --variant and --server", "--server", "http://localhost:1", "--variant", "int8")]
    [InlineData("leave out one of --explain and --server", "--server", "http://localhost:1", "--explain", "a.png")]
    public async Task A_bad_value_is_named(string problem, params string[] arguments)
    {
        var (code, _, error) = await WhatsitCommand.RunAsync(["classify", photos.Photos, .. arguments]);
        Assert.Equal(1, code);
        Assert.Contains(problem, error, StringComparison.Ordinal);
    }

    private async Task<string> AnsweredAsync(string name, params string[] arguments)
    {
        var file = photos.PathOf(name);
        await RunAsync([.. arguments, "--output", file]);
        return file;
    }

    private async Task<string> RunAsync(params string[] arguments)
    {
        var (code, output, error) = await WhatsitCommand.RunAsync(["classify", "--models", photos.Models, .. arguments]);
        Assert.True(code is 0 or 1 && output.Length == 0 && error.Contains(" in ", StringComparison.Ordinal), error);
        return error;
    }

    private async Task<string> OutputAsync(byte[]? input, string name)
    {
        string[] arguments = ["classify", "--models", photos.Models, name, "--csv"];
        var (_, output, error) = await (input is null ? WhatsitCommand.RunAsync(arguments) : WhatsitCommand.RunWithInputAsync(input, arguments));
        Assert.Equal("", error);
        return output;
    }

    private static IEnumerable<string> Sorted(string csv, string prefix) => csv.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1)
        .Select(line => prefix.Length == 0 ? line : line.Replace(prefix, "", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private static string NameOf(string line) => line[0] == '"'
        ? line[1..line.IndexOf(".png\"", StringComparison.Ordinal)].Replace("\"\"", "\"", StringComparison.Ordinal)
        : line[..line.IndexOf(".png", StringComparison.Ordinal)];

    private async Task<Served> ServingAsync()
    {
        var program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "whatsit.exe" : "whatsit");
        var process = Process.Start(new ProcessStartInfo(program, ["serve", "--models", photos.Models, "--port", "0"]) { RedirectStandardOutput = true })!;
        var (url, serves) = ("", false);
        while ((url.Length == 0 || !serves) && await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            url = Regex.Match(line, @"Now listening on: (\S+)") is { Success: true } match ? match.Groups[1].Value.Replace("[::]", "localhost") : url;
            serves |= line.Contains("models serve", StringComparison.Ordinal);
        }

        _ = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        return new(process, url);
    }

    [GeneratedRegex("\"timing\":\\{[^}]*\\}")]
    private static partial Regex TimingOf();

    private sealed record Served(Process Process, string Url) : IDisposable
    {
        public void Dispose() => Process.Dispose();
    }
}
