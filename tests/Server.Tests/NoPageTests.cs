using System.Net;

namespace Whatsit.Server.Tests;

/// <summary>What was built without Node.js has no page, and everything else.</summary>
public sealed class NoPageTests : IDisposable
{
    private readonly string _empty = Directory.CreateTempSubdirectory("no-page").FullName;

    public void Dispose() => Directory.Delete(_empty, recursive: true);

    [Fact]
    public async Task A_server_without_a_page_says_so_and_answers()
    {
        await using var server = WhatsitServer.With(new() { ["webroot"] = _empty });
        await server.InitializeAsync();

        var page = await server.Http.GetAsync("/");
        Assert.Equal("text/plain", page.Content.Headers.ContentType?.MediaType);
        Assert.Contains("built without its page", await page.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.PostAsync("/predict", new ByteArrayContent(WhatsitServer.Picture))).StatusCode);
    }
}
