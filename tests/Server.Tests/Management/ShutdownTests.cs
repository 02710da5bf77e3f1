using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Management;

/// <summary>SIGTERM, as containers and service managers send it.</summary>
public sealed class ShutdownTests
{
    [Fact(Timeout = 60_000)]
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

    [Theory(Timeout = 60_000)]
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

    [Theory(Timeout = 60_000)]
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
