using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>Pictures that are decoded in processes of their own: whatever happens to those, the server goes on.</summary>
public sealed class IsolationTests
{
    [Fact(Timeout = 600_000)]
    public async Task No_library_that_reads_pictures_is_loaded_by_the_server_and_no_secret_reaches_the_decoder()
    {
        await using var server = await StartAsync("export AWS_SECRET_ACCESS_KEY=secret");
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(server)).Status);
        var child = Assert.Single(ChildrenOf(server.Process.Id));
        Assert.DoesNotContain("libvips", await ReadAsync(server.Process.Id, "maps"), StringComparison.Ordinal);
        Assert.Contains("libvips", await ReadAsync(child, "maps"), StringComparison.Ordinal);
        Assert.DoesNotContain("onnxruntime", await ReadAsync(child, "maps"), StringComparison.Ordinal);
        Assert.DoesNotContain("SECRET", await ReadAsync(child, "environ"), StringComparison.Ordinal);
        await server.LoggedAsync("Pictures: .*; in processes of their own");
    }

    [Fact(Timeout = 600_000)]
    public async Task A_decoder_that_is_gone_is_replaced_before_the_next_picture()
    {
        await using var server = await StartAsync();
        Signal("KILL", Assert.Single(ChildrenOf(server.Process.Id)));
        await WhatsitServer.WaitUntilAsync(() => Task.FromResult(ChildrenOf(server.Process.Id).Count == 0));
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(server)).Status);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_picture_that_ends_its_decoder_is_refused_and_the_next_one_answered()
    {
        await using var server = await StartAsync();
        var child = Assert.Single(ChildrenOf(server.Process.Id));
        Signal("STOP", child);
        // Larger than what came before: it is under way when there is room for it.
        byte[] large = [.. WhatsitServer.Picture, .. new byte[3 << 20]];
        var answer = PostAsync(server, large);
        await WhatsitServer.WaitUntilAsync(() => Task.FromResult(SharedBytes(server.Process.Id) > large.Length));
        Signal("KILL", child);
        var (status, body) = await answer;
        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Equal("decoder-ended", (string)body["code"]!);
        Assert.Equal("png", (string)body["parameters"]!["format"]!);
        await server.LoggedAsync("A png picture ended its decoder process");
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(server)).Status);
        Assert.DoesNotContain(child, ChildrenOf(server.Process.Id));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_decoder_that_does_not_end_in_time_is_ended()
    {
        await using var server = await StartAsync("export Scheduling__TimeoutSeconds=1");
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(server)).Status);
        var child = Assert.Single(ChildrenOf(server.Process.Id));
        Signal("STOP", child);
        var (status, body) = await PostAsync(server);
        Assert.Equal(HttpStatusCode.GatewayTimeout, status);
        Assert.Equal("timed-out", (string)body["code"]!);
        await WhatsitServer.WaitUntilAsync(() => Task.FromResult(!ChildrenOf(server.Process.Id).Contains(child)));
    }

    [Fact(Timeout = 600_000)]
    public async Task Decoders_end_with_the_server_however_it_ends()
    {
        await using var server = await StartAsync();
        var child = Assert.Single(ChildrenOf(server.Process.Id));
        Signal("KILL", server.Process.Id);
        await WhatsitServer.WaitUntilAsync(() => Task.FromResult(!File.Exists($"/proc/{child}/exe")));
    }

    [Fact(Timeout = 600_000)]
    public async Task Where_a_picture_takes_more_than_its_header_lets_expect_the_decoder_is_held_to_that()
    {
        await using var server = await StartAsync();
        Assert.Equal(HttpStatusCode.OK, (await PostAsync(server)).Status);
        // man 5 proc_pid_limits: a name of several words, what holds now, and how far it may be raised.
        var limits = (await ReadAsync(Assert.Single(ChildrenOf(server.Process.Id)), "limits")).Split('\n');
        foreach (var name in (string[])["Max data size ", "Max cpu time "])
        {
            var limit = Assert.Single(limits, line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].TrimStart().Split(' ')[0];
            Assert.True(long.TryParse(limit, out _), $"{name} is {limit}");
        }
    }

    private static async Task<WhatsitServer> StartAsync(string? shell = null)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Decoder processes need Linux.");
        var server = WhatsitServer.With(new() { ["Decoding:Isolation"] = "process" }, shell);
        await server.InitializeAsync();
        return server;
    }

    private static async Task<(HttpStatusCode Status, JsonNode Answer)> PostAsync(WhatsitServer server, byte[]? picture = null)
    {
        using var content = HttpAssert.Raw(picture ?? WhatsitServer.Picture);
        using var response = await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken);
        return (response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!);
    }

    private static List<int> ChildrenOf(int process) =>
    [
        .. Directory.EnumerateDirectories("/proc").Select(folder => int.TryParse(Path.GetFileName(folder), out var id) ? id : 0)
            .Where(id => id > 0 && ParentOf(id) == process),
    ];

    // man 5 proc_pid_stat; ended processes that nobody has asked after are Z.
    private static int ParentOf(int process)
    {
        try
        {
            var fields = File.ReadAllText($"/proc/{process}/stat").Split(") ")[^1].Split(' ');
            return fields[0] == "Z" ? 0 : int.Parse(fields[1]);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static long SharedBytes(int process) => Directory.EnumerateFiles($"/proc/{process}/fd")
        .Where(file => new FileInfo(file).LinkTarget?.Contains("memfd:whatsit-decoder", StringComparison.Ordinal) == true)
        .Sum(LengthOf);

    private static long LengthOf(string file)
    {
        using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        return RandomAccess.GetLength(handle);
    }

    private static Task<string> ReadAsync(int process, string file) =>
        File.ReadAllTextAsync($"/proc/{process}/{file}", TestContext.Current.CancellationToken);

    private static void Signal(string name, int process)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -{name} {process}"]);
        kill.WaitForExit();
    }
}
