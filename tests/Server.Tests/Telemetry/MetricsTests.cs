using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary><c>GET /metrics</c>.</summary>
public sealed partial class MetricsTests(WhatsitServer server)
{
    [Fact(Timeout = 600_000)]
    public async Task The_text_formats_own_parser_reads_it()
    {
        Assert.SkipUnless(Directory.Exists(Path.Combine(WhatsitServer.Root, "client/node_modules/parse-prometheus-text-format")),
            "The client's packages are not installed: cd client && npm ci --ignore-scripts");
        await PredictAsync("/predict");
        using var node = Process.Start(new ProcessStartInfo("node",
            [Path.Combine(WhatsitServer.Root, "tests/data/metrics/parse.mjs")])
        { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await node.StandardInput.WriteAsync(await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken));
        node.StandardInput.Close();
        var families = JsonNode.Parse(await node.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken))!.AsArray()
            .ToDictionary(family => (string)family!["name"]!, family => family!);

        Assert.Equal("COUNTER", (string)families["whatsit_requests_total"]["type"]!);
        Assert.Equal("GAUGE", (string)families["whatsit_queue_length"]["type"]!);
        foreach (var histogram in (string[])["whatsit_stage_duration_seconds", "whatsit_request_duration_seconds", "whatsit_prediction_confidence",
            "http_server_request_duration_seconds"])
        {
            Assert.Equal("HISTOGRAM", (string)families[histogram]["type"]!);
            Assert.NotEmpty(families[histogram]["metrics"]![0]!["buckets"]!.AsObject());
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task Requests_stages_confidence_and_abstentions_are_counted_by_model()
    {
        await PredictAsync("/predict");
        var text = await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Matches("""(?m)^whatsit_requests_total\{model="grocery",outcome="ok"\} [1-9]\d*$""", text);
        foreach (var stage in (string[])["decode", "preprocess", "queue", "compute"])
        {
            Assert.Matches($$"""(?m)^whatsit_stage_duration_seconds_bucket\{model="grocery",stage="{{stage}}",le="\+Inf"\} [1-9]\d*$""", text);
        }

        Assert.Matches("""(?m)^whatsit_prediction_confidence_bucket\{model="grocery",le="0.9"\} [1-9]\d*$""", text);
        Assert.Matches("""(?m)^whatsit_abstentions_total\{model="grocery"\} \d+$""", text);
    }

    [Fact(Timeout = 600_000)]
    public async Task Buckets_fit_what_they_count()
    {
        await PredictAsync("/predict");
        var buckets = Bucket().Matches(await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken)).Cast<Match>()
            .ToLookup(bucket => bucket.Groups["name"].Value, bucket => bucket.Groups["limit"].Value);
        foreach (var histogram in (string[])["whatsit_stage_duration_seconds", "whatsit_request_duration_seconds"])
        {
            // Up to the time limit, 25 seconds.
            Assert.Equal(25, Limits(buckets[histogram]).Max());
            Assert.InRange(Limits(buckets[histogram]).Min(), 0, 0.005);
        }

        Assert.All(Limits(buckets["whatsit_prediction_confidence"]), limit => Assert.InRange(limit, 0.01, 0.99));

        static double[] Limits(IEnumerable<string> buckets) =>
            [.. buckets.Where(limit => limit != "+Inf").Select(limit => double.Parse(limit, CultureInfo.InvariantCulture))];
    }

    [Fact(Timeout = 600_000)]
    public async Task Scrapes_at_the_same_time_all_see_everything()
    {
        await PredictAsync("/predict");
        var scrapes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken)));
        Assert.All(scrapes, scrape =>
        {
            foreach (var name in (string[])["whatsit_requests_total", "whatsit_queue_length", "whatsit_prediction_confidence_count",
                "http_server_request_duration_seconds_count", "dotnet_process_memory_working_set_bytes"])
            {
                Assert.Matches($@"(?m)^{name}\{{", scrape);
            }
        });
    }

    [Theory(Timeout = 600_000)]
    [InlineData("/predict?topK=many", "grocery", "InvalidRequest")]
    [InlineData("/predict?topK=1000", "grocery", "InvalidRequest")]
    [InlineData("/predict?model=who-knows-what", null, "ModelNotFound")]
    [InlineData("/api/predict_image?top_k=many", "grocery", "InvalidRequest")]
    public async Task Refusals_are_counted_by_reason(string address, string? model, string reason)
    {
        var before = await CountAsync(model, reason);
        await PredictAsync(address);
        // Tests run side by side.
        Assert.InRange(await CountAsync(model, reason), before + 1, long.MaxValue);
        Assert.DoesNotContain("who-knows-what", await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact(Timeout = 600_000)]
    public async Task A_file_that_is_too_large_or_no_picture_is_counted_once()
    {
        await using var own = WhatsitServer.With(new() { ["Limits:MaxImageBytes"] = "200000" });
        await own.InitializeAsync();
        using var large = HttpAssert.Raw(new byte[200_001]);
        using var text = HttpAssert.Raw("hello"u8.ToArray());
        using var one = HttpAssert.Form(("file", "hello"u8.ToArray()));
        using var several = HttpAssert.Form(("file", "hello"u8.ToArray()), ("file", WhatsitServer.Picture), ("file", new byte[200_001]));
        foreach (var content in (HttpContent[])[large, text, one, several])
        {
            await own.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken);
        }

        var metrics = await own.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Equal(2, Count(metrics, "grocery", "ImageTooLarge"));
        Assert.Equal(3, Count(metrics, "grocery", "UnsupportedImage"));
    }

    [Theory(Timeout = 600_000)]
    [InlineData("/predict", "application/octet-stream", true)]
    [InlineData("/predict", "multipart/form-data; boundary=x", true)]
    [InlineData("/api/predict_image", "application/octet-stream", true)]
    [InlineData("/predict", "application/octet-stream", false)]
    [InlineData("/api/predict_image", "multipart/form-data; boundary=x", false)]
    public async Task A_client_that_left_is_counted(string route, string type, bool reset)
    {
        const int Clients = 20;
        var id = $"left-{Guid.NewGuid():N}";
        var before = await CountAsync("grocery", "ClientLeft");
        // The server notices at one moment or another: while it reads, judges, or writes.
        for (var number = 0; number < Clients; number++)
        {
            await LeaveAsync($"{id}-{number}");
        }

        for (var number = 0; number < Clients; number++)
        {
            var line = await server.LoggedAsync($@"\[{id}-{number}\] POST {route} (?<status>\d+) .*Failure (?<failure>\w+)");
            Assert.Equal(("499", "ClientLeft"), (line.Groups["status"].Value, line.Groups["failure"].Value));
        }

        Assert.InRange(await CountAsync("grocery", "ClientLeft"), before + Clients, long.MaxValue);
        Assert.DoesNotContain(server.Log, line => line.Contains(" ERR ", StringComparison.Ordinal) && line.Contains(id, StringComparison.Ordinal));

        async Task LeaveAsync(string own)
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", server.Http.BaseAddress!.Port, TestContext.Current.CancellationToken);
            var stream = client.GetStream();
            await stream.WriteAsync(
                Encoding.ASCII.GetBytes(
                $"POST {route} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {own}\r\nContent-Type: {type}\r\nContent-Length: 100000\r\n" +
                "Expect: 100-continue\r\n\r\n"),
                TestContext.Current.CancellationToken);
            // It has begun to read: of a connection that is reset before, nobody knows what it was to be.
            var began = new byte[25];
            await stream.ReadExactlyAsync(began, TestContext.Current.CancellationToken);
            Assert.Equal("HTTP/1.1 100 Continue\r\n\r\n", Encoding.ASCII.GetString(began));
            await stream.WriteAsync("--x\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
            if (reset)
            {
                client.LingerState = new LingerOption(true, 0);
            }
        }
    }

    private async Task PredictAsync(string address)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture);
        await server.Http.PostAsync(address, content, TestContext.Current.CancellationToken);
    }

    private async Task<long> CountAsync(string? model, string outcome) =>
        Count(await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken), model, outcome);

    private static long Count(string metrics, string? model, string outcome)
    {
        var labels = model is null ? $"outcome=\"{outcome}\"" : $"model=\"{model}\",outcome=\"{outcome}\"";
        var line = metrics.Split('\n').FirstOrDefault(line => line.StartsWith($"whatsit_requests_total{{{labels}}} ", StringComparison.Ordinal));
        return line is null ? 0 : long.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
    }

    [GeneratedRegex("""(?m)^(?<name>\w+)_bucket\{.*le="(?<limit>[^"]+)"\}""")]
    private static partial Regex Bucket();
}
