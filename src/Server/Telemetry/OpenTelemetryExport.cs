using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Whatsit.Inference;
using Whatsit.Server.Access;

namespace Whatsit.Server.Telemetry;

/// <summary>
/// Our own instruments, ASP.NET Core's and the runtime's at <c>GET /metrics</c>; and metrics and traces by OTLP where OpenTelemetry's own variables name
/// a collector (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). Where they do not, nothing of that is loaded.
/// </summary>
internal static class OpenTelemetryExport
{
    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string Protocol = "OTEL_EXPORTER_OTLP_PROTOCOL";

    public static void AddOpenTelemetryExport(this WebApplicationBuilder builder)
    {
        var configuration = builder.Configuration;
        var telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(
                configuration["OTEL_SERVICE_NAME"] ?? "whatsit",
                serviceVersion: typeof(OpenTelemetryExport).Assembly.GetName().Version!.ToString(3)))
            .WithMetrics(metrics => metrics
                .AddMeter(InferenceMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime")
                // Room for all series of an instrument is made at start, by default for 2,000: 200 kB each. Only ours have as many as there are models.
                .AddView(instrument => instrument.Meter.Name == InferenceMetrics.MeterName ? null : new() { CardinalityLimit = 200 })
                .AddPrometheusExporter(prometheus =>
                {
                    // Whoever asks sees everything until now, also right after somebody else.
                    prometheus.ScrapeResponseCacheDurationMilliseconds = 0;
                    prometheus.ScopeInfoEnabled = false;
                }));
        if (IsAsked(configuration))
        {
            AddOtlp(telemetry);
        }
    }

    /// <summary><c>GET /metrics</c> in the Prometheus text format, or OpenMetrics for who prefers it.</summary>
    public static void MapMetrics(this WebApplication app)
    {
        var scraping = new Lazy<RequestDelegate>(() => ((IApplicationBuilder)app).New().UseOpenTelemetryPrometheusScrapingEndpoint(_ => true).Build());
        app.MapGet("/metrics", context => scraping.Value(context)).ExcludeFromDescription().For(Audience.Operations);
    }

    /// <summary>Begins to count, on another thread: it takes 30 ms, while which the rest of the server can start. The host waits for it before it listens.</summary>
    public static void BeginMetrics(this WebApplication app) => _ = Task.Run(app.Services.GetRequiredService<MeterProvider>);

    // A method of its own: its packages are loaded when it is compiled.
    private static void AddOtlp(OpenTelemetry.OpenTelemetryBuilder telemetry) => telemetry
        .WithMetrics(metrics => metrics.AddOtlpExporter())
        .WithTracing(traces => traces
            .AddSource(InferenceTracing.SourceName)
            .AddAspNetCoreInstrumentation(requests => requests.Filter = context => !context.Request.Path.StartsWithSegments("/health")
                && !context.Request.Path.StartsWithSegments("/metrics"))
            .AddOtlpExporter());

    private static bool IsAsked(ConfigurationManager configuration)
    {
        if (configuration[Endpoint] is not { Length: > 0 } endpoint)
        {
            return false;
        }

        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw Settings.Wrong($"{Endpoint} is '{endpoint}'; it must be an absolute http or https URL.");
        }

        return configuration[Protocol] is not { Length: > 0 } protocol || protocol is "grpc" or "http/protobuf"
            ? true
            : throw Settings.Wrong($"{Protocol} is '{protocol}'; it must be grpc or http/protobuf.");
    }
}
