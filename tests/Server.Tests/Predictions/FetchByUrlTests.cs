using System.Net;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Whatsit.Inference;
using Whatsit.Server.Limits;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>Pictures by URL, from a small web server of the test's own.</summary>
public sealed class FetchByUrlTests : IAsyncLifetime
{
    private readonly WebApplication _site = CreateSite();
    private string _address = "";

    public async ValueTask InitializeAsync()
    {
        await _site.StartAsync();
        _address = _site.Urls.Single();
    }

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    [Fact]
    public async Task A_picture_behind_a_redirect_is_classified()
    {
        await using var server = await StartAsync(allowPrivate: true);
        var answer = await HttpAssert.OkAsync(await GetAsync(server, "/moved"));
        Assert.Equal(WhatsitServer.Picture.Length, (int)answer["file_size"]!);
        Assert.NotEmpty(answer["predictions"]!.AsArray());
    }

    [Theory]
    [InlineData("/missing", "404")]
    [InlineData("/loop", "redirects more than 3 times")]
    [InlineData("/large", "limit")]
    [InlineData("/text", "JPEG")]
    public async Task What_the_other_side_does_wrong_is_said_in_a_sentence(string path, string contains)
    {
        await using var server = await StartAsync(allowPrivate: true);
        var answer = JsonNode.Parse(await (await GetAsync(server, path)).Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Contains(contains, (string)answer["error"]!, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task An_address_that_is_not_public_is_refused_before_anything_is_sent()
    {
        await using var server = await StartAsync(allowPrivate: false);
        using var response = await GetAsync(server, "/picture");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Contains("not on the public internet", (string)answer["error"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_that_nobody_has_gets_the_answer_of_one_that_is_private()
    {
        await using var server = await StartAsync(allowPrivate: false);
        var sentences = new List<string>();
        foreach (var host in (string[])["localhost", "nobody.invalid"])
        {
            using var response = await server.Http.GetAsync($"/api/predict_url?url=http://{host}/a.jpg", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            sentences.Add(((string)JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["error"]!)
                .Replace(host, "X", StringComparison.Ordinal));
        }

        Assert.Equal("The host 'X' is unknown or not on the public internet.", Assert.Single(sentences.Distinct()));
    }

    [Theory]
    [InlineData("http://example.com:22/a.jpg")]
    [InlineData("https://example.com:8443/a.jpg")]
    public async Task Other_ports_are_refused(string url)
    {
        await using var server = await StartAsync(allowPrivate: true);
        using var response = await server.Http.GetAsync($"/api/predict_url?url={Uri.EscapeDataString(url)}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("port", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_that_are_looked_up_slowly_take_no_more_than_their_threads()
    {
        using var gate = new ManualResetEventSlim();
        var (now, most) = (0, 0);
        using var fetcher = new ImageFetcher(new() { Enabled = true, TimeoutSeconds = 0.5, MaxConcurrent = 200 }, new(), host =>
        {
            lock (gate)
            {
                most = Math.Max(most, ++now);
            }

            gate.Wait();
            lock (gate)
            {
                now--;
            }

            return [];
        });
        using var upload = new Upload(new(new()));
        var fetches = Enumerable.Range(0, 200).Select(name => fetcher.FetchAsync($"http://{name}.example/", upload, TestContext.Current.CancellationToken))
            .ToArray();
        try
        {
            // All are answered while every lookup still hangs.
            foreach (var fetch in fetches)
            {
                Assert.Equal(InferenceError.UpstreamFailed, (await Assert.ThrowsAsync<InferenceException>(() => fetch)).Error);
            }

            Assert.InRange(most, 1, HostResolver.Most);
            var again = Enumerable.Range(0, 201).Select(name => fetcher.FetchAsync($"http://{name}.example/", upload, TestContext.Current.CancellationToken))
                .ToArray();
            Assert.Contains("200 pictures", (await Assert.ThrowsAsync<InferenceException>(() => again[200])).Message, StringComparison.Ordinal);
            await Task.WhenAll(again[..200]).ContinueWith(_ => { }, TaskScheduler.Default);
        }
        finally
        {
            gate.Set();
        }
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.1.2.3")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("100.64.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("198.18.0.1")]
    [InlineData("::1")]
    [InlineData("::")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("fe80::1")]
    [InlineData("fd00::1")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("2001:db8::1")]
    [InlineData("ff02::1")]
    public void Special_addresses_are_not_public(string address) => Assert.False(ImageFetcher.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("8.8.8.8")]
    [InlineData("172.32.0.1")]
    [InlineData("100.128.0.1")]
    [InlineData("2606:4700:4700::1111")]
    public void Ordinary_addresses_are_public(string address) => Assert.True(ImageFetcher.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("file:///etc/hostname")]
    [InlineData("ftp://example.com/a.jpg")]
    [InlineData("http://user@example.com/a.jpg")]
    [InlineData("not a url")]
    public async Task Only_plain_http_urls_are_accepted(string url)
    {
        await using var server = await StartAsync(allowPrivate: true);
        using var response = await server.Http.GetAsync($"/api/predict_url?url={Uri.EscapeDataString(url)}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("http or https", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private async Task<WhatsitServer> StartAsync(bool allowPrivate)
    {
        var server = WhatsitServer.With(new()
        {
            ["FetchByUrl:Enabled"] = "true",
            ["FetchByUrl:AllowPrivateAddresses"] = allowPrivate.ToString(),
            ["FetchByUrl:Ports"] = $"80 {new Uri(_address).Port}",
            ["Limits:MaxImageBytes"] = "1000000",
        });
        await server.InitializeAsync();
        return server;
    }

    private Task<HttpResponseMessage> GetAsync(WhatsitServer server, string path) =>
        server.Http.GetAsync($"/api/predict_url?url={Uri.EscapeDataString(_address + path)}", TestContext.Current.CancellationToken);

    private static WebApplication CreateSite()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var site = builder.Build();
        site.Run(context => context.Request.Path.Value switch
        {
            "/picture" => context.Response.Body.WriteAsync(WhatsitServer.Picture).AsTask(),
            "/moved" => Redirect(context, "/picture"),
            "/loop" => Redirect(context, "/loop"),
            "/large" => context.Response.Body.WriteAsync(new byte[1_000_001]).AsTask(),
            "/text" => context.Response.WriteAsync("hello"),
            _ => Task.FromResult(context.Response.StatusCode = 404),
        });
        return site;

        static Task Redirect(HttpContext context, string target)
        {
            context.Response.Redirect(target);
            return Task.CompletedTask;
        }
    }
}
