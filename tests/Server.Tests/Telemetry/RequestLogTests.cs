using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>What stands in the log, on standard output.</summary>
public sealed class RequestLogTests(WhatsitServer server)
{
    [Fact(Timeout = 600_000)]
    public async Task A_line_for_people_has_date_zone_id_and_where_the_time_went()
    {
        await PredictAsync(server, "/predict?topK=1&note=secret", "people-1");
        var line = (await server.LoggedAsync(@"^.*\[people-1\].*$")).Value;
        Assert.Matches(
            @"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d INF \[people-1\] POST /predict 200 in [\d.]+ ms, Model grocery, Variant \w+, Pictures 1, Bytes 158031, DecodeMs [\d.]+, PreprocessMs [\d.]+, QueueMs [\d.]+, ComputeMs [\d.]+$",
            line);
        Assert.DoesNotContain("secret", line, StringComparison.Ordinal);
        Assert.DoesNotContain("Granny", line, StringComparison.Ordinal);
    }

    [Theory(Timeout = 600_000)]
    [InlineData("a.sane-id_0:1", true)]
    [InlineData("not sane", false)]
    [InlineData("<script>", false)]
    [InlineData("", false)]
    public async Task The_answer_carries_the_id_that_came_or_one_that_was_made(string id, bool taken)
    {
        using var response = await PredictAsync(server, "/predict?model=none", id);
        var answered = response.Headers.GetValues("X-Request-Id").Single();
        Assert.Equal(taken, answered == id);
        Assert.Matches("^[A-Za-z0-9._:-]+$", answered);
        await server.LoggedAsync($@"\[{answered}\] POST /predict 404 .*Failure ModelNotFound");
    }

    [Fact(Timeout = 600_000)]
    public async Task Nobody_writes_lines_of_his_own()
    {
        await server.Http.GetAsync("/line%0Aanother%20line", TestContext.Current.CancellationToken);
        await server.LoggedAsync("GET /line%0Aanother%20line 404");
    }

    [Theory(Timeout = 600_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Lines_for_programs_are_objects_with_every_field_and_query_and_label_only_if_asked(bool asked)
    {
        using var process =
            WhatsitServer.Start(new Dictionary<string, string> { ["Log:Format"] = "json", ["Log:Query"] = $"{asked}", ["Log:Labels"] = $"{asked}" });
        try
        {
            var address = (string)(await LineAsync("Now listening on: {address}"))["address"]!;
            await LineAsync("Model {Model} version {Version} ({Variant}) is ready: {Classes} classes, gave its recorded answer");
            using var http = new HttpClient { BaseAddress = new Uri(address) };
            // Probes come every few seconds, in whichever protocol, and have no line.
            foreach (var probe in (string[])["/health/live", "/metrics", "/v2/health/ready", "/v2/models/grocery/ready", "/v1/models/grocery", "/ping"])
            {
                (await http.GetAsync(probe, TestContext.Current.CancellationToken)).Dispose();
            }

            using var request = new HttpRequestMessage(HttpMethod.Post, "/predict?topK=1&note=secret")
            {
                Content = HttpAssert.Raw(WhatsitServer.Picture),
                Headers = { { "X-Request-Id", "program-1" } }
            };
            await HttpAssert.OkAsync(await http.SendAsync(request, TestContext.Current.CancellationToken));

            var line = await LineAsync("{RequestMethod} {RequestPath} {StatusCode} in {Elapsed} ms");
            Assert.Equal(TimeSpan.Zero, DateTimeOffset.Parse((string)line["@t"]!).Offset);
            Assert.Equal(("program-1", "/predict", "grocery", 200),
                ((string)line["RequestId"]!, (string)line["Route"]!, (string)line["Model"]!, (int)line["StatusCode"]!));
            Assert.Equal(WhatsitServer.Picture.Length, (int)line["Bytes"]!);
            foreach (var time in (string[])["Elapsed", "DecodeMs", "PreprocessMs", "QueueMs", "ComputeMs"])
            {
                Assert.InRange((double)line[time]!, 0, 60_000);
            }

            Assert.Matches("^[0-9a-f]{32}$", (string)line["@tr"]!);
            Assert.Equal(asked ? "?topK=1&note=secret" : null, (string?)line["Query"]);
            Assert.Equal(asked ? "Granny Smith apple" : null, (string?)line["Labels"]);
            Assert.Equal(asked, line.ToJsonString().Contains("secret", StringComparison.Ordinal));
        }
        finally
        {
            process.Kill();
        }

        // Every line up to the one that is looked for must be one object.
        async Task<JsonNode> LineAsync(string template)
        {
            while (true)
            {
                var line = JsonNode.Parse((await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!)!;
                if ((string)line["@mt"]! == template)
                {
                    return line;
                }
            }
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task What_we_caused_is_logged_with_its_cause_and_counted_on_every_route()
    {
        using var models = new FailingModel();
        await using var failing = WhatsitServer.With(new() { ["Catalog:Models"] = models.Models });
        await failing.InitializeAsync();
        using var raw = HttpAssert.Raw(FailingModel.White);
        using var one = HttpAssert.Form(("file", FailingModel.White));
        using var several = HttpAssert.Form(("file", FailingModel.Black), ("file", FailingModel.White));
        using var tutorial = HttpAssert.Form(("file", FailingModel.White));
        (string Route, string Id, HttpContent Content)[] requests = [("/predict", "raw", raw), ("/predict", "form", one), ("/predict", "several", several),
            ("/api/predict_image", "tutorial", tutorial)];

        foreach (var (route, id, content) in requests)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = content, Headers = { { "X-Request-Id", id } } };
            using var response = await failing.Http.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(id == "several" ? HttpStatusCode.OK : HttpStatusCode.InternalServerError, response.StatusCode);
            Assert.DoesNotContain("out of data bounds", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken),
                StringComparison.Ordinal);
            await failing.LoggedAsync($@"ERR \[{id}\] POST {route} failed");
            await failing.LoggedAsync($@"\[{id}\] POST {route} \d+ .*Failure BackendFailed");
        }

        await failing.LoggedAsync("OnnxRuntimeException.*out of data bounds");
        Assert.Matches("""(?m)^whatsit_requests_total\{model="grocery",outcome="BackendFailed"\} 4$""",
            await failing.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken));
    }

    private static async Task<HttpResponseMessage> PredictAsync(WhatsitServer server, string address, string id)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = HttpAssert.Raw(WhatsitServer.Picture) };
        request.Headers.TryAddWithoutValidation("X-Request-Id", id);
        return await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
