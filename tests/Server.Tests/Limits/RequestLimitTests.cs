using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Whatsit.Server.Tests.Limits;

/// <summary>What one request, one upload and one connection may cost, seen from the connection.</summary>
public sealed class RequestLimitTests(WhatsitServer server)
{
    private const string Multipart = "Content-Type: multipart/form-data; boundary=x";

    public static TheoryData<string, string, string, string, int> ClientMistakes => new()
    {
        { "half a surrogate in a URL", "Content-Type: application/json", """{"url":"\ud800"}""", "invalid-request", 400 },
        { "half a surrogate in a name", "Content-Type: application/json", """{"\udc00":1,"image":"AAAA"}""", "invalid-request", 400 },
        { "half a surrogate in a picture", "Content-Type: application/json", """{"image":"\ud800"}""", "invalid-request", 400 },
        { "half a surrogate in a field", "Content-Type: application/json", """{"topK":"\ud800","image":"AAAA"}""", "invalid-request", 400 },
        { "two documents", "Content-Type: application/json", """{"image":"AAAA"}{""", "invalid-request", 400 },
        { "too deep", "Content-Type: application/json", "{\"a\":" + new string('[', 100), "invalid-request", 400 },
        { "a file name in an encoding that is none", Multipart, "--x\r\nContent-Disposition: form-data; name=f; filename*=utf-7''x\r\n\r\nhello\r\n--x--\r\n",
            "unsupported-image", 415 },
        { "a file name in no encoding", Multipart, "--x\r\nContent-Disposition: form-data; name=f; filename*=''%ff%\r\n\r\nhello\r\n--x--\r\n",
            "unsupported-image", 415 },
        { "a header without a name", Multipart, "--x\r\n: form-data\r\n\r\nhello\r\n--x--\r\n", "no-picture", 400 },
        { "a part that breaks off in its headers", Multipart, "--x\r\nContent-Disposition: form-data", "multipart-malformed", 400 },
        { "a part that breaks off", Multipart, "--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nhello\r\n--", "multipart-malformed", 400 },
        { "only the end", Multipart, "--x--", "no-picture", 400 },
        { "a type that is none", "Content-Type: ;;;,", "hello", "unsupported-content-type", 415 },
        { "a field that is no text", Multipart, "--x\r\nContent-Disposition: form-data; name=topK\r\n\r\n\u00ff\u00fe\r\n--x--\r\n", "no-picture", 400 },
    };

    [Theory]
    [MemberData(nameof(ClientMistakes))]
    public async Task A_clients_mistake_is_the_clients(string what, string headers, string body, string code, int status)
    {
        var (actual, problem) = await Wire.PredictAsync(server, headers, Encoding.Latin1.GetBytes(body));
        Assert.True(status == actual, $"{what}: {actual} {problem}");
        Assert.Equal(code, (string)problem["code"]!);
    }

    [Theory]
    [InlineData("FFFFFFFFFFFFFFFF")]
    [InlineData("7FFFFFFFF")]
    [InlineData("-1")]
    [InlineData("x")]
    [InlineData("")]
    public async Task A_chunk_of_an_impossible_size_is_a_bad_request(string size)
    {
        foreach (var path in (string[])["/predict", "/api/predict_image", "/models", "/nowhere"])
        {
            var (status, _) = await Wire.AskAsync(server, $"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked",
                Encoding.ASCII.GetBytes($"{size}\r\nhello\r\n"));
            Assert.InRange(status, 400, 499);
        }
    }

    public static TheoryData<string, string> EndlessForms => new()
    {
        { "a header without an end", "--x\r\nContent-Disposition: " },
        { "nothing but what stands before the first part", "hello " },
        { "a boundary without an end", "--x" },
        { "a header after a header", "--x\r\n" },
    };

    [Theory]
    [MemberData(nameof(EndlessForms))]
    public async Task A_form_without_an_end_is_refused_after_some_kilobytes(string what, string start)
    {
        using var wire = await Wire.ConnectAsync(server);
        await wire.SendAsync($"POST /predict HTTP/1.1\r\nHost: localhost\r\n{Multipart}\r\nContent-Length: 200000000\r\n\r\n{start}");
        // More than any limit, far less than was announced.
        await wire.SendAsync(string.Concat(Enumerable.Repeat(what.StartsWith("a header after", StringComparison.Ordinal) ? "A: b\r\n" : "aaaaaaaa", 20_000)));
        var (status, problem) = await wire.ReadAsync();
        Assert.True(status == 400, $"{what}: {status} {problem}");
        Assert.Contains((string)problem["code"]!, (string[])["part-header-too-long", "too-many-part-headers", "multipart-boundary-missing"]);
    }

    [Theory]
    [InlineData("comment", 33, "too-many-fields")]
    [InlineData("f\"; filename=\"", 40, "too-many-fields")]
    public async Task Fields_without_a_file_are_counted(string name, int count, string code)
    {
        var form = string.Concat(Enumerable.Range(0, count).Select(_ => $"--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n\r\n")) + "--x--\r\n";
        var (status, problem) = await Wire.PredictAsync(server, Multipart, Encoding.ASCII.GetBytes(form));
        Assert.Equal((400, code), (status, (string)problem["code"]!));
    }

    [Theory]
    [InlineData("POST", "/predict")]
    [InlineData("PUT", "/predict")]
    [InlineData("POST", "/models")]
    [InlineData("GET", "/health/live")]
    [InlineData("DELETE", "/nowhere")]
    public async Task A_request_over_the_limit_is_refused_on_every_route_before_it_is_read(string method, string path)
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxRequestBytes"] = "20000" });
        await small.InitializeAsync();
        using var wire = await Wire.ConnectAsync(small);
        // Nothing follows: the answer must not wait for it.
        await wire.SendAsync($"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20001\r\nExpect: 100-continue\r\n\r\n");
        var (status, problem) = await wire.ReadAsync();
        Assert.Equal((413, "request-too-large"), (status, (string)problem["code"]!));
        Assert.Equal(20000, (int)problem["parameters"]!["limit"]!);
        Assert.Equal(20001, (int)problem["parameters"]!["bytes"]!);
    }

    [Theory]
    [InlineData("/api/predict_image", 400)]
    [InlineData("/v2/models/grocery/infer", 413)]
    [InlineData("/v1/models/grocery:predict", 413)]
    [InlineData("/predictions/grocery", 413)]
    public async Task A_protocol_says_it_in_its_own_form(string path, int expected)
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxRequestBytes"] = "20000" });
        await small.InitializeAsync();
        using var wire = await Wire.ConnectAsync(small);
        await wire.SendAsync($"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20001\r\nExpect: 100-continue\r\n\r\n");
        var (status, failure) = await wire.ReadAsync();
        Assert.Equal(expected, status);
        Assert.Contains("The request has 20,001 bytes; the limit is 20,000.", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_form_that_does_not_announce_its_length_is_stopped_at_the_limit()
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxRequestBytes"] = "50000" });
        await small.InitializeAsync();
        using var wire = await Wire.ConnectAsync(small);
        await wire.SendAsync($"POST /predict HTTP/1.1\r\nHost: localhost\r\n{Multipart}\r\nTransfer-Encoding: chunked\r\n\r\n");
        var field = "--x\r\nContent-Disposition: form-data; name=comment\r\n\r\n" + new string('a', 60_000);
        await wire.SendAsync($"{field.Length:x}\r\n{field}\r\n");
        var (status, problem) = await wire.ReadAsync();
        Assert.Equal((413, "request-too-large"), (status, (string)problem["code"]!));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("x-gzip")]
    [InlineData("deflate")]
    [InlineData("deflate without zlib's header")]
    [InlineData("br")]
    [InlineData("identity")]
    [InlineData("gzip, br")]
    public async Task A_packed_body_is_unpacked(string encoding)
    {
        var body = encoding.Split(", ").Aggregate(WhatsitServer.Picture, Pack);
        var (status, answer) = await Wire.PredictAsync(server, $"Content-Type: image/png\r\nContent-Encoding: {encoding.Split(" without")[0]}", body);
        Assert.True(status == 200, answer.ToString());
        Assert.Equal(WhatsitServer.Picture.Length, (int)answer["image"]!["bytes"]!);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task A_bomb_stops_at_the_limit_and_what_is_not_packed_is_named(string encoding)
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxImageBytes"] = "100000" });
        await small.InitializeAsync();
        var bomb = Pack(new byte[50_000_000], encoding);
        Assert.True(bomb.Length < 100_000);
        foreach (var type in (string[])["image/png", "application/json", Multipart["Content-Type: ".Length..]])
        {
            var (status, problem) = await Wire.PredictAsync(small, $"Content-Type: {type}\r\nContent-Encoding: {encoding}", bomb);
            Assert.True(status is 413 or 400, problem.ToString());
        }

        var (broken, said) = await Wire.PredictAsync(small, $"Content-Type: image/png\r\nContent-Encoding: {encoding}", WhatsitServer.Picture);
        Assert.Equal((400, "bad-content-encoding"), (broken, (string)said["code"]!));
    }

    [Fact]
    public async Task Another_encoding_is_named()
    {
        var (status, problem) = await Wire.PredictAsync(server, "Content-Type: image/png\r\nContent-Encoding: zstd", WhatsitServer.Picture);
        Assert.Equal((415, "unsupported-content-encoding"), (status, (string)problem["code"]!));
        Assert.Contains("'zstd'", (string)problem["detail"]!, StringComparison.Ordinal);
    }

    /// <summary>Each has buffers of its own, and there is room for thousands in a header.</summary>
    [Fact]
    public async Task A_chain_of_encodings_is_refused_before_any_is_undone()
    {
        var chain = string.Join(",", Enumerable.Repeat("gzip", 3000));
        var (status, problem) = await Wire.PredictAsync(server, $"Content-Encoding: {chain}", WhatsitServer.Picture);
        Assert.Equal((415, "unsupported-content-encoding"), (status, (string)problem["code"]!));
        Assert.Equal("The body is packed 3,000 times over; at most 2 content encodings are supported.", (string)problem["detail"]!);
    }

    [Fact]
    public async Task An_upload_that_pauses_or_drips_is_given_up()
    {
        await using var impatient = WhatsitServer.With(new() { ["Limits:UploadPauseSeconds"] = "0.5", ["Limits:MinUploadBytesPerSecond"] = "100000" });
        await impatient.InitializeAsync();
        using var paused = await Wire.ConnectAsync(impatient);
        await paused.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
        await paused.SendAsync(WhatsitServer.Picture);
        var (status, problem) = await paused.ReadAsync();
        Assert.Equal((408, "upload-too-slow"), (status, (string)problem["code"]!));

        using var dripping = await Wire.ConnectAsync(impatient);
        await dripping.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
        // Fast at first: an average since the start would not notice what follows.
        await dripping.SendAsync(WhatsitServer.Picture);
        var answer = dripping.ReadAsync();
        while (!answer.IsCompleted)
        {
            await dripping.SendAsync("a");
            await Task.WhenAny(answer, Task.Delay(50, TestContext.Current.CancellationToken));
        }

        (status, problem) = await answer;
        Assert.Equal((408, "upload-too-slow"), (status, (string)problem["code"]!));
    }

    [Fact]
    public async Task Where_memory_is_short_the_oldest_stalled_upload_gives_way()
    {
        await using var small = WhatsitServer.With(new()
        {
            ["Limits:MaxUploadBytesInMemory"] = "1000000",
            ["Limits:MaxUploadBytesPerClient"] = "10000000",
            ["Limits:UploadPauseSeconds"] = "600",
        });
        await small.InitializeAsync();
        // Again where a picture had the memory first: then it is the other that finds no room.
        await WhatsitServer.WaitUntilAsync(async () =>
        {
            using var stalled = await Wire.ConnectAsync(small);
            await stalled.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
            await stalled.SendAsync(new byte[900_000]);
            // It counts as stalled after two seconds; until then there is no room.
            await WhatsitServer.WaitUntilAsync(async () =>
            {
                using var content = HttpAssert.Raw(WhatsitServer.Picture);
                using var response = await small.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken);
                return response.StatusCode == HttpStatusCode.OK;
            });
            var (status, problem) = await stalled.ReadAsync();
            return (408, "upload-gave-way") == (status, (string)problem["code"]!);
        });
    }

    [Fact]
    public async Task One_address_has_its_share_of_the_memory_and_no_more()
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxUploadBytesPerClient"] = "200000", ["Proxies:Known"] = "127.0.0.1" });
        await small.InitializeAsync();
        using var first = await Wire.ConnectAsync(small);
        await first.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.7\r\nContent-Length: 1000000\r\n\r\n");
        await first.SendAsync(new byte[300_000]);
        var (status, problem) = await first.ReadAsync();
        Assert.Equal((429, "upload-share-used"), (status, (string)problem["code"]!));

        // What an address holds and does not go on with gives way to its next upload.
        using var stalled = await Wire.ConnectAsync(small);
        await stalled.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.8\r\nContent-Length: 1000000\r\n\r\n");
        await stalled.SendAsync(new byte[100_000]);
        await WhatsitServer.WaitUntilAsync(async () => (await Wire.PredictAsync(small, "X-Forwarded-For: 203.0.113.8", WhatsitServer.Picture)).Status == 200);
        Assert.Equal(200, (await Wire.PredictAsync(small, "X-Forwarded-For: 203.0.113.9", WhatsitServer.Picture)).Status);

        // Behind a proxy that nobody named, the address is the proxy's and means nothing.
        await using var unknown = WhatsitServer.With(new() { ["Limits:MaxUploadBytesPerClient"] = "100000" });
        await unknown.InitializeAsync();
        Assert.Equal(200, (await Wire.PredictAsync(unknown, "X-Forwarded-For: 203.0.113.7", WhatsitServer.Picture)).Status);
    }

    [Fact]
    public async Task Connections_over_the_limit_are_answered_and_closed()
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxConnections"] = "4" });
        await small.InitializeAsync();
        var open = new List<Wire>();
        try
        {
            while (open.Count < 4)
            {
                open.Add(await Wire.ConnectAsync(small));
                await open[^1].SendAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
                Assert.Equal(200, (await open[^1].ReadAsync()).Status);
            }

            using var refused = await Wire.ConnectAsync(small);
            await refused.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
            await refused.SendAsync(new byte[50_000]);
            var (status, problem) = await refused.ReadAsync();
            Assert.Equal((503, "too-many-connections"), (status, (string)problem["code"]!));
            Assert.Equal(4, (int)problem["parameters"]!["limit"]!);
            open[0].Dispose();
            await WhatsitServer.WaitUntilAsync(async () =>
            {
                using var next = await Wire.ConnectAsync(small);
                await next.SendAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
                return (await next.ReadAsync()).Status == 200;
            });
        }
        finally
        {
            open.ForEach(wire => wire.Dispose());
        }
    }

    [Fact]
    public async Task With_few_descriptors_the_server_answers_however_many_connect()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "skipped: sets the limit with sh");
        await using var small = WhatsitServer.With([], shell: "ulimit -n 400");
        await small.InitializeAsync();
        // The client's own connection, which it keeps.
        await small.GetJsonAsync("/models");
        var many = new List<Wire>();
        try
        {
            for (var connection = 0; connection < 600; connection++)
            {
                try
                {
                    many.Add(await Wire.ConnectAsync(small));
                }
                catch (SocketException refused) when (refused.SocketErrorCode == SocketError.ConnectionReset)
                {
                    // One of those that are too many even to be answered.
                }
            }

            // Connections that were refused make room within seconds; the test's own may be among them.
            using var content = HttpAssert.Raw(WhatsitServer.Picture);
            await HttpAssert.OkAsync(await small.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
        }
        finally
        {
            many.ForEach(wire => wire.Dispose());
        }

        using var after = HttpAssert.Raw(WhatsitServer.Picture);
        await HttpAssert.OkAsync(await small.Http.PostAsync("/predict", after, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_client_that_still_sends_when_it_is_refused_can_read_the_answer()
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxImageBytes"] = "50000", ["Limits:MaxImagesPerRequest"] = "1000" });
        await small.InitializeAsync();
        using var wire = await Wire.ConnectAsync(small);
        await wire.SendAsync("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 6000000\r\n\r\n");
        // Python's http.client reads only when it has sent everything: here for longer than the five seconds after which the web server gives up by itself.
        for (var sent = 0; sent < 6_000_000; sent += 100_000)
        {
            await wire.SendAsync(new byte[100_000]);
            await Task.Delay(120, TestContext.Current.CancellationToken);
        }

        var (status, problem) = await wire.ReadAsync();
        Assert.Equal((413, "file-too-large"), (status, (string)problem["code"]!));
        // The connection is as good as new.
        await wire.SendAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        Assert.Equal(200, (await wire.ReadAsync()).Status);
    }

    private static byte[] Pack(byte[] bytes, string encoding)
    {
        using var packed = new MemoryStream();
        using (Stream packer = encoding switch
        {
            "gzip" or "x-gzip" => new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true),
            "deflate" => new ZLibStream(packed, CompressionLevel.Optimal, leaveOpen: true),
            "deflate without zlib's header" => new DeflateStream(packed, CompressionLevel.Optimal, leaveOpen: true),
            "br" => new BrotliStream(packed, CompressionLevel.Fastest, leaveOpen: true),
            _ => new BufferedStream(packed),
        })
        {
            packer.Write(bytes);
            packer.Flush();
            if (encoding == "identity")
            {
                return packed.ToArray();
            }
        }

        return packed.ToArray();
    }
}
