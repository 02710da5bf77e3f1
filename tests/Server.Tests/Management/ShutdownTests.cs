using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Whatsit.Tests;

namespace Whatsit.Server.Tests.Management;

/// <summary>SIGTERM, as containers and service managers send it.</summary>
public sealed partial class ShutdownTests
{
    [Fact(Timeout = 600_000)]
    public async Task Readiness_turns_first_and_the_listener_stays_for_the_delay()
    {
        await using var server = await StartAsync(delay: "4", seconds: "8");
        await TerminateAsync(server);
        using var ready = await server.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Equal("The server is shutting down.",
            (string)JsonNode.Parse(await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["problem"]!);
        using var picture = HttpAssert.Raw(WhatsitServer.Picture);
        using var another = new HttpClient { BaseAddress = server.Http.BaseAddress };
        await HttpAssert.OkAsync(await another.PostAsync("/predict", picture, TestContext.Current.CancellationToken));
        await EndsAsync(server);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("/predict")]
    [InlineData("/api/predict_image")]
    public async Task An_upload_that_had_begun_is_answered(string route)
    {
        await using var server = await StartAsync(delay: "0", seconds: "30");
        using var client = await UploadAsync(server, route, WhatsitServer.Picture.AsMemory(0, 1000));
        await TerminateAsync(server);
        await client.GetStream().WriteAsync(WhatsitServer.Picture.AsMemory(1000), TestContext.Current.CancellationToken);
        var answer = await ReadAsync(client);
        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
        Assert.Contains("Granny Smith apple", answer, StringComparison.Ordinal);
        await EndsAsync(server);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("/predict")]
    [InlineData("/api/predict_image")]
    public async Task An_upload_that_does_not_end_is_given_up_with_a_sentence(string route)
    {
        await using var server = await StartAsync(delay: "0", seconds: "1");
        using var client = await UploadAsync(server, route, WhatsitServer.Picture.AsMemory(0, 1000));
        await TerminateAsync(server);
        var answer = await ReadAsync(client);
        Assert.StartsWith("HTTP/1.1 503 ", answer, StringComparison.Ordinal);
        Assert.Contains("Connection: close", answer, StringComparison.Ordinal);
        Assert.Contains("The server is shutting down", answer, StringComparison.Ordinal);
        await EndsAsync(server);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("curl", "-sv -m 50 -X POST -T - {url}", "< HTTP/1.1 100 Continue")]
    [InlineData("node", "--input-type=module -e {script} {url}", "go on")]
    public async Task A_clients_upload_at_half_is_answered(string client, string arguments, string goOn)
    {
        // Takes what stands on standard input as the body, and says what came.
        const string Script = "import http from 'node:http'; const r = http.request(process.argv[1], { method: 'POST', headers: { Expect: '100-continue' } },"
            + " (a) => { console.error(a.statusCode, a.headers.connection); a.pipe(process.stdout); });"
            + " r.on('continue', () => console.error('go on')); r.flushHeaders(); process.stdin.pipe(r);";
        await using var server = await StartAsync(delay: "0", seconds: "30");
        using var process = Start(client, [.. arguments.Split(' ').Select(word => word switch
        {
            "{url}" => new Uri(server.Http.BaseAddress!, "predict").ToString(),
            "{script}" => Script,
            _ => word,
        })]);
        while (await process.StandardError.ReadLineAsync(TestContext.Current.CancellationToken) is { } line
            && !line.StartsWith(goOn, StringComparison.Ordinal))
        {
        }

        var upload = process.StandardInput.BaseStream;
        await upload.WriteAsync(WhatsitServer.Picture.AsMemory(0, WhatsitServer.Picture.Length / 2), TestContext.Current.CancellationToken);
        await upload.FlushAsync(TestContext.Current.CancellationToken);
        await TerminateAsync(server);
        await upload.WriteAsync(WhatsitServer.Picture.AsMemory(WhatsitServer.Picture.Length / 2), TestContext.Current.CancellationToken);
        process.StandardInput.Close();
        var said = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.Contains("Granny Smith apple", await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains("close", await said, StringComparison.OrdinalIgnoreCase);
        await EndsAsync(server);
    }

    [Fact(Timeout = 600_000)]
    public async Task An_idle_connection_of_http_client_keeps_nothing_up()
    {
        // Asks, waits for a word, and asks again on the same connection.
        const string Script = "import http.client, sys; c = http.client.HTTPConnection(sys.argv[1]); c.request('GET', '/health/live'); c.getresponse().read();"
            + " print('idle', flush=True); sys.stdin.readline();"
            + "\ntry:\n  c.request('GET', '/health/live'); print(c.getresponse().status)\nexcept Exception as e: print(type(e).__name__)";
        await using var server = await StartAsync(delay: "0", seconds: "30");
        using var process = Start("python3", ["-c", Script, server.Http.BaseAddress!.Authority]);
        Assert.Equal("idle", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        await TerminateAsync(server);
        // Long before the thirty seconds.
        await EndsAsync(server);
        await process.StandardInput.WriteLineAsync("go on");
        await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Matches("^(RemoteDisconnected|ConnectionResetError|BrokenPipeError|ConnectionRefusedError)$",
            (await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken)).Trim());
    }

    [Fact(Timeout = 600_000)]
    public async Task Decodes_under_way_and_requests_in_the_queue_are_answered()
    {
        const int Requests = 6;
        await using var server = await StartAsync(delay: "0", seconds: "30");
        var picture = PictureCases.Read(PictureCases.All().First(picture => picture.Name == "104-megapixels.jpg").Name);
        var answers = Enumerable.Range(0, Requests).Select(async _ =>
        {
            using var client = new HttpClient { BaseAddress = server.Http.BaseAddress };
            using var content = HttpAssert.Raw(picture);
            return await HttpAssert.OkAsync(await client.PostAsync("/predict", content, TestContext.Current.CancellationToken));
        }).ToArray();
        // All of them are the server's before it is asked to end: each has a place, or waits for one. The question itself is one more.
        await WhatsitServer.WaitUntilAsync(async () => answers.Any(answer => answer.IsCompleted)
            || ActiveRequests().Matches(await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken))
                .Sum(count => int.Parse(count.Groups["count"].Value)) > Requests);
        await TerminateAsync(server);
        Assert.All(await Task.WhenAll(answers), answer => Assert.Equal(10_240, (int)answer["image"]!["width"]!));
        await EndsAsync(server);
    }

    [GeneratedRegex(@"^http_server_active_requests\{.*\} (?<count>\d+)", RegexOptions.Multiline)]
    private static partial Regex ActiveRequests();

    private static Process Start(string program, string[] arguments)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip($"{program} is not installed.");
            throw;
        }
    }

    private static async Task<WhatsitServer> StartAsync(string delay, string seconds)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGTERM.");
        var server = WhatsitServer.With(new() { ["Shutdown:Delay"] = delay, ["Shutdown:Seconds"] = seconds });
        await server.InitializeAsync();
        return server;
    }

    private static async Task TerminateAsync(WhatsitServer server)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -TERM {server.Process.Id}"]);
        await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        await server.LoggedAsync("Application is shutting down");
    }

    private static async Task EndsAsync(WhatsitServer server)
    {
        await server.Process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(0, server.Process.ExitCode);
    }

    /// <summary>Sends the beginning of a picture, once the server waits for it.</summary>
    private static async Task<TcpClient> UploadAsync(WhatsitServer server, string route, ReadOnlyMemory<byte> beginning)
    {
        var client = new TcpClient();
        await client.ConnectAsync("127.0.0.1", server.Http.BaseAddress!.Port, TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes(
            $"POST {route}?x=1 HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {WhatsitServer.Picture.Length}\r\n\r\n"),
            TestContext.Current.CancellationToken);
        var go = new byte["HTTP/1.1 100 Continue\r\n\r\n".Length];
        await stream.ReadExactlyAsync(go, TestContext.Current.CancellationToken);
        Assert.StartsWith("HTTP/1.1 100", Encoding.ASCII.GetString(go), StringComparison.Ordinal);
        await stream.WriteAsync(beginning, TestContext.Current.CancellationToken);
        return client;
    }

    private static async Task<string> ReadAsync(TcpClient client)
    {
        using var reader = new StreamReader(client.GetStream());
        return await reader.ReadToEndAsync(TestContext.Current.CancellationToken);
    }
}
