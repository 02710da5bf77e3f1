using System.Collections.Concurrent;
using System.Threading.Channels;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Whatsit.Server.Tests.Telemetry;

/// <summary>A span as it was exported.</summary>
/// <param name="Trace">32 hexadecimal digits.</param>
/// <param name="Id">16 hexadecimal digits.</param>
/// <param name="Parent">The same, or nothing.</param>
/// <param name="Name">decode, …</param>
/// <param name="Start">Nanoseconds since 1970.</param>
/// <param name="End">Nanoseconds since 1970.</param>
/// <param name="Status">0 unset, 1 ok, 2 error.</param>
/// <param name="Attributes">Those that are texts.</param>
internal sealed record Span(string Trace, string Id, string Parent, string Name, ulong Start, ulong End, ulong Status, IReadOnlyDictionary<string,
    string> Attributes);

/// <summary>A collector for OTLP over HTTP (https://opentelemetry.io/docs/specs/otlp/#otlphttp); field numbers are those of opentelemetry-proto 1.x.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _site;
    private readonly Channel<Span> _spans = Channel.CreateUnbounded<Span>();
    private readonly Channel<string> _metrics = Channel.CreateUnbounded<string>();

    private OtlpReceiver()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        _site = builder.Build();
        _site.Run(ReceiveAsync);
    }

    public string Address => _site.Urls.Single();

    /// <summary>The texts of resource attributes that came with spans.</summary>
    public ConcurrentDictionary<string, string> Resource { get; } = [];

    public static async Task<OtlpReceiver> StartAsync()
    {
        var receiver = new OtlpReceiver();
        await receiver._site.StartAsync();
        return receiver;
    }

    /// <summary>Waits until as many spans of a trace have come.</summary>
    public async Task<IReadOnlyList<Span>> SpansAsync(string trace, int count)
    {
        var spans = new List<Span>();
        while (spans.Count < count)
        {
            var span = await _spans.Reader.ReadAsync(TestContext.Current.CancellationToken);
            if (span.Trace == trace)
            {
                spans.Add(span);
            }
        }

        return spans;
    }

    /// <summary>Waits until a metric has come.</summary>
    public async Task MetricAsync(string name)
    {
        while (await _metrics.Reader.ReadAsync(TestContext.Current.CancellationToken) != name)
        {
        }
    }

    public ValueTask DisposeAsync() => _site.DisposeAsync();

    private async Task ReceiveAsync(HttpContext context)
    {
        var body = Protobuf.Read(await ByteString.FromStreamAsync(context.Request.Body, context.RequestAborted));
        foreach (var resource in body.Messages(1))
        {
            foreach (var (key, value) in Texts(resource.Messages(1).SelectMany(description => description.Messages(1))))
            {
                Resource[key] = value;
            }

            foreach (var item in resource.Messages(2).SelectMany(scope => scope.Messages(2)))
            {
                if (context.Request.Path == "/v1/traces")
                {
                    var status = item.Messages(15).FirstOrDefault()?.Number(3) ?? 0;
                    _spans.Writer.TryWrite(new(item.Hex(1), item.Hex(2), item.Hex(4), item.Text(5), item.Number(7), item.Number(8), status,
                        Texts(item.Messages(9))));
                }
                else
                {
                    _metrics.Writer.TryWrite(item.Text(1));
                }
            }
        }
    }

    private static Dictionary<string, string> Texts(IEnumerable<Protobuf> attributes) =>
        attributes.ToDictionary(attribute => attribute.Text(1), attribute => attribute.Messages(2).FirstOrDefault()?.Text(1) ?? "");
}
