using System.Net;
using System.Net.Sockets;

namespace Whatsit.Server.Tests.Management;

/// <summary>What strangers may ask and what they may not, on different ports.</summary>
public sealed class ManagementPortTests : IAsyncLifetime
{
    private readonly int _port = FreePort();
    private WhatsitServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = WhatsitServer.With(new() { ["Management:Port"] = $"{_port}" });
        await _server.InitializeAsync();
    }

    [Theory]
    [InlineData("/metrics", 404, 200)]
    [InlineData("/Metrics", 404, 200)]
    [InlineData("/swagger/v1/swagger.json", 404, 200)]
    [InlineData("/swagger/index.html", 404, 200)]
    [InlineData("/health/live", 200, 200)]
    [InlineData("/health/ready", 200, 200)]
    // Two lists: ours, and TorchServe's, whose management has a port of its own, too.
    [InlineData("/models", 200, 200)]
    [InlineData("/models/grocery", 200, 404)]
    [InlineData("/api/classes", 200, 404)]
    [InlineData("/config.json", 200, 404)]
    public async Task Each_port_answers_its_own(string path, int everybody, int management)
    {
        Assert.Equal((HttpStatusCode)everybody, (await _server.Http.GetAsync(path, TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal((HttpStatusCode)management,
            (await _server.Http.GetAsync($"http://127.0.0.1:{_port}{path}", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task A_host_header_opens_nothing()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics") { Headers = { Host = $"127.0.0.1:{_port}" } };
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.SendAsync(request, TestContext.Current.CancellationToken)).StatusCode);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
