using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>What a collector gets to see.</summary>
public sealed class TracesTests : IAsyncLifetime
{
    // https://www.w3.org/TR/trace-context/#traceparent-header
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Caller = "00f067aa0ba902b7";

    private OtlpReceiver _collector = null!;
    private WhatsitServer _server = null!;
    private WebApplication _site = null!;
    private Task<IReadOnlyDictionary<string, string>> _asked = null!;

    public async ValueTask InitializeAsync()
    {
        _collector = await OtlpReceiver.StartAsync();
        (_site, _asked) = await Sites.StartAsync(WhatsitServer.Picture);
        _server = WhatsitServer.With(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = _collector.Address,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "50",
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "50",
            ["FetchByUrl:Enabled"] = "true",
            ["FetchByUrl:AllowPrivateAddresses"] = "true",
            ["FetchByUrl:Ports"] = new Uri(_site.Urls.Single()).Port.ToString(CultureInfo.InvariantCulture),
        });
        await _server.InitializeAsync();
    }

    [Fact(Timeout = 600_000)]
    public async Task A_request_is_a_trace_of_five_spans_that_belongs_to_its_callers()
    {
        await HttpAssert.OkAsync(await PredictAsync(WhatsitServer.Picture, "/predict?topK=1"));
        var spans = await _collector.SpansAsync(Trace, 5);

        var request = Assert.Single(spans, span => span.Parent == Caller);
        Assert.Equal("POST /predict", request.Name);
        Assert.Equal("grocery", request.Attributes["whatsit.model"]);
        var stages = spans.Where(span => span != request).OrderBy(span => span.Start).ToArray();
        Assert.Equal(["decode", "preprocess", "queue", "compute"], stages.Select(stage => stage.Name));
        Assert.All(stages, stage =>
        {
            Assert.Equal(request.Id, stage.Parent);
            Assert.InRange(stage.Start, request.Start, stage.End);
            Assert.InRange(stage.End, stage.Start + 1, request.End);
            Assert.Equal(0ul, stage.Status);
        });
        // One stage ends before the next begins. The clock of what is told afterwards is a little coarser than a stage is short.
        Assert.All(stages.Zip(stages.Skip(1)), pair => Assert.True(pair.First.End <= pair.Second.Start + 1_000_000));
        Assert.Equal("whatsit", _collector.Resource["service.name"]);
        await _collector.MetricAsync("whatsit.requests");
    }

    [Fact(Timeout = 600_000)]
    public async Task What_failed_is_seen_where_it_failed()
    {
        await HttpAssert.ProblemAsync(HttpStatusCode.UnprocessableEntity, "PNG", await PredictAsync(WhatsitServer.Picture[..1000], "/predict"));
        var spans = await _collector.SpansAsync(Trace, 2);
        Assert.Equal("InvalidImage", Assert.Single(spans, span => span.Parent == Caller).Attributes["error.type"]);
        Assert.Equal(2ul, Assert.Single(spans, span => span.Name == "decode").Status);
    }

    [Fact(Timeout = 600_000)]
    public async Task No_query_and_no_label_leave_the_server()
    {
        await HttpAssert.OkAsync(await PredictAsync(WhatsitServer.Picture, "/predict?topK=1&note=secret"));
        Assert.All(await _collector.SpansAsync(Trace, 5), span => Assert.All(span.Attributes.Values, value =>
        {
            Assert.DoesNotContain("secret", value, StringComparison.Ordinal);
            Assert.DoesNotContain("Granny", value, StringComparison.Ordinal);
        }));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_fetched_picture_is_asked_for_within_the_trace()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get,
            $"/api/predict_url?url={Uri.EscapeDataString(_site.Urls.Single() + "/photo")}")
        { Headers = { { "traceparent", $"00-{Trace}-{Caller}-01" } } };
        await HttpAssert.OkAsync(await _server.Http.SendAsync(request, TestContext.Current.CancellationToken));
        Assert.StartsWith($"00-{Trace}-", (await _asked)["traceparent"], StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _site.DisposeAsync();
        await _collector.DisposeAsync();
    }

    private async Task<HttpResponseMessage> PredictAsync(byte[] picture, string address)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = HttpAssert.Raw(picture),
            Headers = { { "traceparent", $"00-{Trace}-{Caller}-01" } }
        };
        return await _server.Http.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
