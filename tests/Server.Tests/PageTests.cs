using System.IO.Compression;
using System.Net;
using System.Text;

namespace Whatsit.Server.Tests;

/// <summary>The page's files, which lie packed and in no other form where that makes them smaller. What is in them is tried in client/e2e.</summary>
public sealed class PageTests : IAsyncLifetime
{
    private static readonly byte[] Script = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 40_000).Select(line => $"console.log({line});\n")));

    private readonly DirectoryInfo _page = Directory.CreateTempSubdirectory("page");
    private readonly WhatsitServer _server;

    public PageTests() => _server = WhatsitServer.With(new() { ["webroot"] = _page.FullName });

    public async ValueTask InitializeAsync()
    {
        _page.CreateSubdirectory("assets");
        Pack("index.html", "<!doctype html><title>Whatsit</title>"u8.ToArray());
        Pack("assets/page-1.js", Script);
        await File.WriteAllTextAsync(Path.Combine(_page.FullName, "icon.svg"), "<svg/>");
        await _server.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _page.Delete(recursive: true);
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("identity", null)]
    [InlineData("gzip;q=0, br;q=0", null)]
    [InlineData("gzip, deflate", "gzip")]
    [InlineData("gzip, deflate, br, zstd", "br")]
    [InlineData("br;q=0, gzip;q=0.5", "gzip")]
    public async Task A_packed_file_comes_as_its_client_takes_it(string? accepted, string? encoding)
    {
        var got = await SendAsync(HttpMethod.Get, "/assets/page-1.js", accepted);
        var body = await got.Content.ReadAsByteArrayAsync();
        Assert.Equal(encoding is null ? [] : [encoding], got.Content.Headers.ContentEncoding);
        Assert.Equal(body.Length, got.Content.Headers.ContentLength);
        Assert.Equal("text/javascript", got.Content.Headers.ContentType?.MediaType);
        Assert.Equal("Accept-Encoding", Assert.Single(got.Headers.Vary));
        Assert.Equal(Script, Unpack(body, encoding));

        var head = await SendAsync(HttpMethod.Head, "/assets/page-1.js", accepted);
        Assert.Equal(body.Length, head.Content.Headers.ContentLength);
        Assert.Equal(got.Headers.ETag, head.Headers.ETag);
        Assert.Equal(HttpStatusCode.NotModified, (await SendAsync(HttpMethod.Get, "/assets/page-1.js", accepted, got.Headers.ETag!.Tag)).StatusCode);
    }

    [Fact]
    public async Task The_page_is_there_without_a_plain_file_and_plain_files_are_there_too()
    {
        Assert.StartsWith("<!doctype html>", await _server.Http.GetStringAsync("/"), StringComparison.Ordinal);
        Assert.Equal("<svg/>", await _server.Http.GetStringAsync("/icon.svg"));
        Assert.Equal(HttpStatusCode.NotFound, (await _server.Http.GetAsync("/assets/page-2.js")).StatusCode);
    }

    private Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? accepted, string? known = null)
    {
        var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation("Accept-Encoding", accepted);
        request.Headers.TryAddWithoutValidation("If-None-Match", known);
        return _server.Http.SendAsync(request);
    }

    private void Pack(string name, byte[] content)
    {
        using var gzip = new GZipStream(File.Create(Path.Combine(_page.FullName, $"{name}.gz")), CompressionLevel.Fastest);
        gzip.Write(content);
        using var brotli = new BrotliStream(File.Create(Path.Combine(_page.FullName, $"{name}.br")), CompressionLevel.Fastest);
        brotli.Write(content);
    }

    private static byte[] Unpack(byte[] body, string? encoding)
    {
        using var packed = new MemoryStream(body);
        using Stream stream = encoding switch
        {
            "gzip" => new GZipStream(packed, CompressionMode.Decompress),
            "br" => new BrotliStream(packed, CompressionMode.Decompress),
            _ => packed,
        };
        using var unpacked = new MemoryStream();
        stream.CopyTo(unpacked);
        return unpacked.ToArray();
    }
}
