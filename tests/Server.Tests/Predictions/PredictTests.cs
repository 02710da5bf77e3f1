using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Whatsit.Server.Tests.Models;
using Whatsit.Tests;

namespace Whatsit.Server.Tests.Predictions;

public sealed class PredictTests(WhatsitServer server)
{
    private static readonly string Base64 = Convert.ToBase64String(WhatsitServer.Picture);

    public static TheoryData<string, Func<HttpContent>> WaysToSend => new()
    {
        { "multipart, the usual part", () => HttpAssert.Form(("file", WhatsitServer.Picture)) },
        { "multipart, another part", () => HttpAssert.Form(("picture of lunch", WhatsitServer.Picture)) },
        { "raw with its type", () => HttpAssert.Raw(WhatsitServer.Picture, "image/png") },
        { "raw with another picture's type", () => HttpAssert.Raw(WhatsitServer.Picture, "image/jpeg") },
        { "raw bytes", () => HttpAssert.Raw(WhatsitServer.Picture, "application/octet-stream") },
        { "raw without a type", () => HttpAssert.Raw(WhatsitServer.Picture) },
        { "raw, length unknown", () => new StreamContent(new Endless(WhatsitServer.Picture)) },
        { "JSON with base64", () => Json($$"""{"image":"{{Base64}}"}""") },
        { "JSON with a data URL", () => Json($$"""{"image":"data:image/png;base64,{{Base64}}"}""") },
        { "JSON with escapes and other members",
            () => Json($$"""{ "note": {"a":[1,2]}, "image": "{{Base64.Replace("/", "\\/", StringComparison.Ordinal)}}" }""") },
    };

    [Theory]
    [MemberData(nameof(WaysToSend))]
    public async Task Every_way_to_send_an_image_gives_the_same_answer(string way, Func<HttpContent> content)
    {
        using var reference = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        var expected = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", reference, TestContext.Current.CancellationToken));

        using var body = content();
        var actual = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", body, TestContext.Current.CancellationToken));

        Assert.True(JsonNode.DeepEquals(expected["predictions"], actual["predictions"]), way);
        Assert.Equal(WhatsitServer.Picture.Length, (int)actual["image"]!["bytes"]!);
    }

    [Fact]
    public async Task The_answer_has_labels_the_picture_and_the_timing_and_the_header_repeats_it()
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        using var response = await server.Http.PostAsync("/predict?topK=3", content, TestContext.Current.CancellationToken);
        var answer = await HttpAssert.OkAsync(response);

        Assert.Equal("grocery", (string)answer["model"]!);
        Assert.Equal("2", (string)answer["version"]!);
        var predictions = answer["predictions"]!.AsArray();
        Assert.Equal(3, predictions.Count);
        var manifest = (await server.GetJsonAsync("/models/grocery"))["manifest"]!;
        var recorded = manifest["sample"]!["predictions"]![0]!;
        Assert.Equal((string)recorded["label"]!, (string)predictions[0]!["label"]!);
        Assert.Equal((int)recorded["index"]!, (int)predictions[0]!["index"]!);
        Assert.Equal((double)recorded["confidence"]!, (double)predictions[0]!["confidence"]!, (double)manifest["sample"]!["tolerance"]!);
        Assert.Equal(256, (int)answer["image"]!["width"]!);
        Assert.Equal(256, (int)answer["image"]!["height"]!);
        Assert.Equal("png", (string)answer["image"]!["format"]!);

        var timing = answer["timing"]!;
        var stages = (double)timing["decodeMs"]! + (double)timing["preprocessMs"]! + (double)timing["queueMs"]! + (double)timing["computeMs"]!;
        Assert.InRange(stages, 0.001, (double)timing["totalMs"]! + 0.01);
        var header = Assert.Single(response.Headers.GetValues("Server-Timing"));
        Assert.Matches(@"^decode;dur=[\d.]+, preprocess;dur=[\d.]+, queue;dur=[\d.]+, compute;dur=[\d.]+, total;dur=[\d.]+$", header);
    }

    [Fact]
    public async Task Several_files_give_several_results_in_their_order_and_a_bad_one_spoils_only_itself()
    {
        using var form = HttpAssert.Form(("a", WhatsitServer.Picture), ("b", "no picture"u8.ToArray()), ("c", WhatsitServer.Picture));
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", form, TestContext.Current.CancellationToken));

        var results = answer["results"]!.AsArray();
        Assert.Equal(3, results.Count);
        Assert.Equal("grocery", (string)results[0]!["model"]!);
        Assert.Equal(415, (int)results[1]!["error"]!["status"]!);
        Assert.Null(results[1]!["predictions"]);
        Assert.True(JsonNode.DeepEquals(results[0]!["predictions"], results[2]!["predictions"]));
    }

    [Fact]
    public async Task Form_fields_that_are_no_files_are_passed_over()
    {
        using var form = HttpAssert.Form(("file", WhatsitServer.Picture));
        form.Add(new StringContent("hello"), "comment");
        form.First(part => part.Headers.ContentDisposition!.Name == "comment").Headers.ContentType = null;
        Assert.Equal("grocery",
            (string)(await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", form, TestContext.Current.CancellationToken)))["model"]!);
    }

    [Theory]
    [InlineData("topK=0", "topK is 0")]
    [InlineData("topK=-3", "topK is -3")]
    [InlineData("topK=82", "from 1 to 81")]
    [InlineData("top_k=five", "'five'")]
    [InlineData("topK=1e3", "'1e3'")]
    [InlineData("explain=maybe", "'maybe'")]
    public async Task A_bad_value_is_named(string query, string named)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        await HttpAssert.ProblemAsync(HttpStatusCode.BadRequest, named,
            await server.Http.PostAsync($"/predict?{query}", content, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("topK=81", 81)]
    [InlineData("top_k=1", 1)]
    [InlineData("", 5)]
    public async Task As_many_labels_come_as_were_asked_for(string query, int labels)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        var predictions = (await HttpAssert.OkAsync(await server.Http.PostAsync($"/predict?{query}", content,
            TestContext.Current.CancellationToken)))["predictions"]!.AsArray();
        Assert.Equal(labels, predictions.Count);
        var confidences = predictions.Select(prediction => (double)prediction!["confidence"]!).ToArray();
        Assert.Equal(confidences.OrderDescending(), confidences);
        Assert.InRange(confidences.Sum(), confidences[0], 1.0001);
    }

    [Fact]
    public async Task An_unknown_model_is_named()
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "'no such model'",
            await server.Http.PostAsync("/predict?model=no%20such%20model", content, TestContext.Current.CancellationToken));
    }

    public static TheoryData<string, Func<HttpContent>, HttpStatusCode, string> BadBodies => new()
    {
        { "empty", () => HttpAssert.Raw([]), HttpStatusCode.BadRequest, "empty" },
        { "empty picture", () => HttpAssert.Raw([], "image/jpeg"), HttpStatusCode.BadRequest, "empty" },
        { "text", () => HttpAssert.Raw("hello, world"u8.ToArray(), "image/jpeg"), HttpStatusCode.UnsupportedMediaType, "JPEG" },
        { "text type", () => HttpAssert.Raw("hello, world"u8.ToArray(), "text/plain"), HttpStatusCode.UnsupportedMediaType, "text/plain" },
        { "truncated", () => HttpAssert.Raw(WhatsitServer.Picture[..(WhatsitServer.Picture.Length / 2)], "image/png"),
            HttpStatusCode.UnprocessableEntity, "PNG" },
        { "HEIC", () => HttpAssert.Raw([0, 0, 0, 24, .. "ftypheic"u8, 0, 0, 0, 0, .. "mif1heic"u8, .. new byte[100]], "image/heic"),
            HttpStatusCode.UnsupportedMediaType, "HEIC" },
        { "JSON, broken", () => Json("{\"image\":"), HttpStatusCode.BadRequest, "JSON" },
        { "JSON, no object", () => Json("[1]"), HttpStatusCode.BadRequest, "image" },
        { "JSON, no image", () => Json("{\"picture\":\"\"}"), HttpStatusCode.BadRequest, "image" },
        { "JSON, no base64", () => Json("{\"image\":\"*&^%\"}"), HttpStatusCode.BadRequest, "base64" },
        { "JSON, number", () => Json("{\"image\":7}"), HttpStatusCode.BadRequest, "string" },
        { "JSON, data URL without base64", () => Json("{\"image\":\"data:image/png,abc\"}"), HttpStatusCode.BadRequest, "base64" },
        { "form without a file", () => new MultipartFormDataContent { { new StringContent("hello", mediaType: null!), "comment" } },
            HttpStatusCode.BadRequest, "no file" },
        { "form that breaks off", () => HttpAssert.Raw("--x\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nabc"u8.ToArray(),
            "multipart/form-data; boundary=x"), HttpStatusCode.BadRequest, "multipart" },
        { "form without a boundary", () => HttpAssert.Raw([1, 2, 3], "multipart/form-data"), HttpStatusCode.BadRequest, "boundary" },
        { "URL where URLs are off", () => Json("{\"url\":\"http://example.com/a.jpg\"}"), HttpStatusCode.BadRequest, "switched off" },
    };

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task Bad_input_gets_a_plain_sentence(string what, Func<HttpContent> content, HttpStatusCode status, string named)
    {
        using var body = content();
        Assert.NotEmpty(what);
        await HttpAssert.ProblemAsync(status, named, await server.Http.PostAsync("/predict", body, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("without a length")]
    [InlineData("form")]
    [InlineData("JSON")]
    [InlineData("gzip")]
    public async Task A_file_of_just_the_limit_is_answered_and_one_byte_more_refused_with_the_limit(string way)
    {
        const int Limit = 200_000;
        await using var small = WhatsitServer.With(new() { ["Limits:MaxImageBytes"] = $"{Limit}" });
        await small.InitializeAsync();

        var answer = await HttpAssert.OkAsync(await SendAsync(small, way, Limit));
        Assert.Equal(Limit, (int)answer["image"]!["bytes"]!);
        var problem = await HttpAssert.ProblemAsync(HttpStatusCode.RequestEntityTooLarge, "200,000", await SendAsync(small, way, Limit + 1));
        Assert.Equal(("file-too-large", Limit), ((string)problem["code"]!, (int)problem["parameters"]!["limit"]!));
    }

    [Theory]
    [InlineData("raw")]
    [InlineData("JSON")]
    public async Task So_with_the_64_MB_that_nobody_changed(string way)
    {
        const int Limit = 67_108_864;
        var answer = await HttpAssert.OkAsync(await SendAsync(server, way, Limit));
        Assert.Equal(Limit, (int)answer["image"]!["bytes"]!);
        await HttpAssert.ProblemAsync(HttpStatusCode.RequestEntityTooLarge, "67,108,864", await SendAsync(server, way, Limit + 1));
    }

    /// <summary>A phone's picture of 104 or 205 megapixels is read at an eighth of its size, and not where every pixel is wanted.</summary>
    [Fact]
    public async Task A_model_that_wants_every_pixel_says_that_a_phones_largest_pictures_are_too_large()
    {
        _ = PictureCases.All();
        var models = Directory.CreateTempSubdirectory("exact-").FullName;
        try
        {
            GroceryZip.Write(Path.Combine(models, "every-pixel"), manifest => manifest["preprocessing"]!["fidelity"] = "exact");
            await using var exact = WhatsitServer.With(new() { ["Catalog:Models"] = models, ["Catalog:DefaultModel"] = "every-pixel" });
            await exact.InitializeAsync();
            (string File, string Pixels)[] large =
                [("104-megapixels.jpg", "10240 × 10240 = 104,857,600"), ("205-megapixels.jpg", "14336 × 14336 = 205,520,896")];
            foreach (var (file, pixels) in large)
            {
                using var body = HttpAssert.Raw(PictureCases.Read(file));
                var problem = await HttpAssert.ProblemAsync(HttpStatusCode.RequestEntityTooLarge,
                    $"The picture has {pixels} pixels; the limit is 50,000,000.",
                    await exact.Http.PostAsync("/predict", body, TestContext.Current.CancellationToken));
                Assert.Equal("image-too-large", (string)problem["code"]!);
            }
        }
        finally
        {
            Directory.Delete(models, recursive: true);
        }
    }

    /// <summary>The sample with zeros behind its end, as long as is wanted.</summary>
    private static async Task<HttpResponseMessage> SendAsync(WhatsitServer to, string way, int length)
    {
        var file = new byte[length];
        WhatsitServer.Picture.CopyTo(file, 0);
        using var packed = new MemoryStream();
        if (way == "gzip")
        {
            await using var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true);
            await gzip.WriteAsync(file, TestContext.Current.CancellationToken);
        }

        using HttpContent body = way switch
        {
            "without a length" => new StreamContent(new Endless(file)),
            "form" => HttpAssert.Form(("f", file)),
            "JSON" => Json($$"""{"image":"{{Convert.ToBase64String(file)}}"}"""),
            "gzip" => HttpAssert.Raw(packed.ToArray()),
            _ => HttpAssert.Raw(file),
        };
        if (way == "gzip")
        {
            body.Headers.ContentEncoding.Add("gzip");
        }

        return await to.Http.PostAsync("/predict", body, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task More_files_than_the_limit_are_refused()
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxImagesPerRequest"] = "2" });
        await small.InitializeAsync();
        using var form = HttpAssert.Form(("a", WhatsitServer.Picture), ("b", WhatsitServer.Picture), ("c", WhatsitServer.Picture));
        await HttpAssert.ProblemAsync(HttpStatusCode.BadRequest, "more than 2 pictures",
            await small.Http.PostAsync("/predict", form, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_picture_with_more_pixels_than_the_limit_is_refused_with_the_numbers()
    {
        // As many as the bundled model's sample has, with which it proves itself.
        await using var small = WhatsitServer.With(new() { ["Decoding:MaxPixels"] = "65536" });
        await small.InitializeAsync();
        using var content = HttpAssert.Raw(Pictures.Png(257, 256), "image/png");
        var problem = await HttpAssert.ProblemAsync(HttpStatusCode.RequestEntityTooLarge, "65,536",
            await small.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
        Assert.Contains("257 × 256", (string)problem["detail"]!, StringComparison.Ordinal);

        using var fitting = HttpAssert.Raw(Pictures.Png(256, 256), "image/png");
        await HttpAssert.OkAsync(await small.Http.PostAsync("/predict", fitting, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_model_whose_sample_is_over_the_limit_cannot_prove_itself_and_says_why()
    {
        await using var small = WhatsitServer.With(new() { ["Decoding:MaxPixels"] = "65535" });
        await small.InitializeAsync();
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        var response = await small.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken);
        await HttpAssert.ProblemAsync(HttpStatusCode.ServiceUnavailable, "65,535", response);
        Assert.Equal("1", response.Headers.GetValues("Retry-After").Single());
    }

    [Fact]
    public async Task Uploads_over_the_memory_limit_are_refused_and_may_be_retried()
    {
        await using var small = WhatsitServer.With(new() { ["Limits:MaxUploadBytesInMemory"] = "2048" });
        await small.InitializeAsync();
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        var response = await small.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken);
        await HttpAssert.ProblemAsync(HttpStatusCode.TooManyRequests, "2,048", response);
        Assert.Equal("1", response.Headers.GetValues("Retry-After").Single());
    }

    [Fact]
    public async Task Uploads_that_are_announced_and_do_not_come_keep_nobody_out()
    {
        await using var server = WhatsitServer.With(new() { ["Limits:MaxUploadBytesInMemory"] = "8388608" });
        await server.InitializeAsync();
        var slow = new List<TcpClient>();
        try
        {
            for (var upload = 0; upload < 8; upload++)
            {
                var client = new TcpClient();
                slow.Add(client);
                await client.ConnectAsync(server.Http.BaseAddress!.Host, server.Http.BaseAddress.Port, TestContext.Current.CancellationToken);
                await client.GetStream().WriteAsync(
                    "POST /predict HTTP/1.1\r\nHost: whatsit\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n"u8.ToArray(),
                    TestContext.Current.CancellationToken);
                // The server says so when it begins to read, and has taken its memory.
                Assert.Equal("HTTP/1.1 100 Continue", await new StreamReader(client.GetStream()).ReadLineAsync(TestContext.Current.CancellationToken));
            }

            using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
            using var response = await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        finally
        {
            slow.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public async Task An_unanswered_request_is_given_up_after_the_time_limit()
    {
        await using var slow = WhatsitServer.With(new() { ["Scheduling:TimeoutSeconds"] = "0.001" });
        await slow.InitializeAsync();
        // 12 MB of pixels: no machine reads them in a millisecond. The model's self-test has no limit, so it is ready.
        using var content = HttpAssert.Raw(Pictures.Png(2000, 2000), "image/png");
        await HttpAssert.ProblemAsync(HttpStatusCode.GatewayTimeout, "longer than 0.001 seconds",
            await slow.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    /// <summary>A stream that does not know its length, so that the request is chunked.</summary>
    private sealed class Endless(byte[] bytes) : MemoryStream(bytes)
    {
        public override bool CanSeek => false;
    }
}
