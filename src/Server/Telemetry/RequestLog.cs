using System.Diagnostics;
using System.Globalization;
using Serilog;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Compact;
using Serilog.Formatting.Display;
using Serilog.Settings.Configuration;
using Whatsit.Inference;
using Whatsit.Server.Access;

namespace Whatsit.Server.Telemetry;

/// <summary>
/// The log: one line per request, by Serilog's middleware, and whatever else the server has to say. Every line that belongs to a request carries its id, which
/// the client gets, or gave, as <c>X-Request-Id</c>. No picture, no query and no label, unless <see cref="LogOptions"/> asks for them.
/// </summary>
internal static class RequestLog
{
    /// <summary>The outcome of a request whose client did not wait; its status is 499, nginx's code, which only the log sees.</summary>
    public const string ClientLeft = "ClientLeft";

    private const string Template = "{RequestMethod} {RequestPath} {StatusCode} in {Elapsed} ms";
    private const string RequestId = "RequestId";
    private const string RequestIdHeader = "X-Request-Id";

    // Characters of a path or a query.
    private const int Longest = 500;

    /// <summary>Serilog, as the sections <c>Log</c> (the form) and <c>Serilog</c> (levels, further sinks) say.</summary>
    public static void AddRequestLog(this WebApplicationBuilder builder)
    {
        builder.Services.AddSettings<LogOptions>("Log");
        builder.Logging.ClearProviders();
        builder.Services.AddSerilog((services, logger) => Configure(logger, builder.Configuration, services.GetRequiredService<LogOptions>()));
    }

    private static void Configure(LoggerConfiguration logger, ConfigurationManager configuration, LogOptions options)
    {
        logger.Enrich.FromLogContext();
        // Where the section has levels only, the program's folder need not be searched for sinks: 30 ms of a start.
        var reader = configuration.GetSection("Serilog").GetChildren().All(setting => setting.Key == "MinimumLevel")
            ? new ConfigurationReaderOptions(typeof(Serilog.ILogger).Assembly)
            : new ConfigurationReaderOptions();
        try
        {
            logger.ReadFrom.Configuration(configuration, reader);
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or FormatException)
        {
            throw Settings.Wrong($"The section Serilog of the settings is wrong: {exception.Message}");
        }

        logger.WriteTo.Console(options.Format == "json" ? new CompactJsonFormatter() : new TextLine());
    }

    /// <summary>Outside of everything that refuses: whatever happens to a request, here it has its id, is logged and counted.</summary>
    public static void UseRequestLog(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<LogOptions>();
        var metrics = app.Services.GetRequiredService<InferenceMetrics>();
        app.UseSerilogRequestLogging(log =>
        {
            log.Logger = app.Services.GetRequiredService<Serilog.ILogger>();
            log.MessageTemplate = Template;
            log.GetLevel = (context, _, exception) => LevelOf(context, exception);
            log.GetMessageTemplateProperties = (context, _, elapsed, status) => PropertiesOf(context, elapsed, context.Facts().Status ?? status, options);
        });
        var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(RequestLog));
        app.Use(async (context, next) =>
        {
            using var scope = TakeRequestId(context, logger);
            try
            {
                await next(context);
            }
            finally
            {
                Finish(context, metrics);
            }
        });
    }

    private static IDisposable? TakeRequestId(HttpContext context, Microsoft.Extensions.Logging.ILogger logger)
    {
        IDisposable? scope = null;
        // A proxy's or the client's own, if it can do no harm in a log or a header; else Kestrel's.
        var id = context.Request.Headers[RequestIdHeader].ToString();
        if (id.Length is > 0 and <= 128
            && id.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' or ':' or '=' or '+' or '/'))
        {
            context.TraceIdentifier = id;
            // ASP.NET Core has opened its scope with the other one already.
            scope = logger.BeginScope(new KeyValuePair<string, object>[] { new(RequestId, id) });
        }

        // At the last moment: the handler of exceptions clears the headers.
        context.Response.OnStarting(
            static state =>
            {
                var context = (HttpContext)state;
                context.Response.Headers[RequestIdHeader] = context.TraceIdentifier;
                return Task.CompletedTask;
            },
            context);
        return scope;
    }

    /// <summary>What did not even reach the classifier is counted here: refusals by reason, and clients that left while they sent.</summary>
    private static void Finish(HttpContext context, InferenceMetrics metrics)
    {
        var facts = context.Facts();
        var status = context.EndStatus();
        if (status == StatusCodes.Status499ClientClosedRequest)
        {
            facts.Failure = ClientLeft;
        }

        if (status >= 400 && !facts.IsCounted && context.ChosenEndpoint()?.Metadata.GetMetadata<AnswersPicturesAttribute>() is not null)
        {
            metrics.Failed(facts.Model?.Manifest.Name, facts.Failure ?? $"Status{status}");
        }

        if (Activity.Current is { IsAllDataRequested: true } span)
        {
            span.SetTag("whatsit.model", facts.Model?.Manifest.Name).SetTag("whatsit.variant", facts.Model?.Variant);
            if (facts.Failure is not null)
            {
                span.SetTag("error.type", facts.Failure);
            }
        }
    }

    private static LogEventLevel LevelOf(HttpContext context, Exception? exception) => context.EndStatus() switch
    {
        // Probes and scrapes come every few seconds.
        _ when context.GetAudience() == Audience.Probes || context.Request.Path.StartsWithSegments("/metrics") => LogEventLevel.Debug,
        _ when exception is not null => LogEventLevel.Error,
        StatusCodes.Status500InternalServerError => LogEventLevel.Error,
        > 500 => LogEventLevel.Warning,
        _ => LogEventLevel.Information,
    };

    private static List<LogEventProperty> PropertiesOf(HttpContext context, double elapsed, int status, LogOptions options)
    {
        var (facts, request) = (context.Facts(), context.Request);
        var fields = new List<LogEventProperty>(16);
        Add(RequestId, context.TraceIdentifier);
        Add("RequestMethod", request.Method);
        // Escaped, so that nobody writes lines of his own, and not at any length.
        Add("RequestPath", Refusal.Shorten(request.Path.ToUriComponent(), Longest));
        Add("Route", (context.ChosenEndpoint() as RouteEndpoint)?.RoutePattern.RawText);
        Add("StatusCode", status);
        Add("Elapsed", Math.Round(elapsed, 3));
        Add("Failure", facts.Failure);
        Add("Model", facts.Model?.Manifest.Name);
        Add("Variant", facts.Model?.Variant);
        if (facts.Answers.Count > 0)
        {
            var (bytes, decode, preprocess, queue, compute) = (0L, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
            foreach (var answer in facts.Answers)
            {
                bytes += answer.Bytes;
                decode += answer.Timings.Decode;
                preprocess += answer.Timings.Preprocess;
                queue += answer.Timings.Queue;
                compute += answer.Timings.Compute;
            }

            Add("Pictures", facts.Answers.Count);
            Add("Bytes", bytes);
            if (facts.Answers[0].Timings.Load is { Ticks: > 0 } load)
            {
                Add("LoadMs", Math.Round(load.TotalMilliseconds, 3));
            }

            Add("DecodeMs", Math.Round(decode.TotalMilliseconds, 3));
            Add("PreprocessMs", Math.Round(preprocess.TotalMilliseconds, 3));
            Add("QueueMs", Math.Round(queue.TotalMilliseconds, 3));
            Add("ComputeMs", Math.Round(compute.TotalMilliseconds, 3));
        }
        else
        {
            Add("Bytes", request.ContentLength);
        }

        if (options.Query && request.QueryString.HasValue)
        {
            Add("Query", Refusal.Shorten(request.QueryString.Value!, Longest));
        }

        if (options.Labels && facts.Answers.Any(answer => answer is Classification))
        {
            Add("Labels", string.Join(", ", facts.Answers.OfType<Classification>().Select(answer => answer.Predictions[0].Label)));
        }

        return fields;

        void Add(string name, object? value)
        {
            if (value is not null)
            {
                fields.Add(new(name, new ScalarValue(value)));
            }
        }
    }

    /// <summary>A line for people: when, how grave, which request, what; for a request also what came of it.</summary>
    private sealed class TextLine : ITextFormatter
    {
        private const string Time = "{Timestamp:yyyy-MM-dd HH:mm:ss.fff zzz} {Level:u3} ";

        // Programs get everything.
        private static readonly string[] Shown = ["Failure", "Model", "Variant", "Pictures", "Bytes", "LoadMs", "DecodeMs", "PreprocessMs", "QueueMs",
            "ComputeMs", "Query", "Labels"];

        private readonly MessageTemplateTextFormatter _alone = new(Time + "{Message:lj}", CultureInfo.InvariantCulture);
        private readonly MessageTemplateTextFormatter _ofRequest = new(Time + "[{RequestId}] {Message:lj}", CultureInfo.InvariantCulture);

        public void Format(LogEvent logEvent, TextWriter output)
        {
            (logEvent.Properties.ContainsKey(RequestId) ? _ofRequest : _alone).Format(logEvent, output);
            if (logEvent.MessageTemplate.Text == Template)
            {
                foreach (var name in Shown)
                {
                    if (logEvent.Properties.TryGetValue(name, out var value))
                    {
                        output.Write(", ");
                        output.Write(name);
                        output.Write(' ');
                        // Text without quotation marks; numbers know no such format.
                        value.Render(output, value is ScalarValue { Value: string } ? "l" : null, CultureInfo.InvariantCulture);
                    }
                }
            }

            output.WriteLine();
            output.Write(logEvent.Exception is { } exception ? exception + Environment.NewLine : "");
        }
    }
}
