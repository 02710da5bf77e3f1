using System.Text.Json.Serialization;
using Serilog;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;
using Whatsit.Server;
using Whatsit.Server.Access;
using Whatsit.Server.Compatibility;
using Whatsit.Server.Health;
using Whatsit.Server.Limits;
using Whatsit.Server.Models;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

ResidentMemory.ShareHeaps();

// Decoding and computing keep a thread per processor each; requests must still be read, answered and above all refused meanwhile.
ThreadPool.SetMinThreads(4 * Environment.ProcessorCount, Environment.ProcessorCount);

try
{
    var app = Build(args);
    Settings.Check(app.Services);
    await Settings.RunAsync(app);
    return 0;
}
catch (Exception exception) when (Settings.ProblemOf(exception) is { } problem)
{
    // What is wrong is the user's to know; where in our code is not.
    await Console.Error.WriteLineAsync(problem);
    return 1;
}

static WebApplication Build(string[] args)
{
    var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
    {
        Args = Https.Arguments(args),
        // Settings and page lie beside the program, wherever it was started from.
        ContentRootPath = AppContext.BaseDirectory,
        WebRootPath = "wwwroot",
    });

    // People may name whole addresses, as ASP.NET Core does.
    if (string.IsNullOrEmpty(builder.Configuration["urls"]))
    {
        builder.WebHost.UseUrls(Settings.AddressOf(builder.Configuration));
    }

    builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
    builder.AddAccess();
    builder.Logging.ClearProviders().AddSerilog(new LoggerConfiguration().ReadFrom.Configuration(builder.Configuration).CreateLogger(), dispose: true);

    // Options: a wrong value stops the process, by name.
    builder.Services.AddSettings<CatalogOptions>("Catalog");
    builder.Services.AddSettings<DecodingOptions>("Decoding");
    builder.Services.AddSettings<FetchOptions>("FetchByUrl");
    builder.Services.AddSettings<LimitsOptions>("Limits");
    builder.Services.AddSettings<OnnxBackendOptions>("OnnxRuntime");
    builder.Services.AddSettings<SchedulingOptions>("Scheduling");

    // The core, bottom to top.
    builder.Services.AddSingleton(services => ImageDecoders.Create(services.GetRequiredService<DecodingOptions>()));
    builder.Services.AddSingleton<InferenceMetrics>();
    builder.Services.AddSingleton<DecodePermits>();
    builder.Services.AddSingleton<ImageClassifier>();
    builder.Services.AddSingleton<ModelCatalog>();
    builder.Services.AddHostedService<CatalogLoader>();

    // The web.
    builder.Services.AddSingleton<UploadBudget>();
    builder.Services.AddSingleton<ImageFetcher>();
    builder.Services.AddSingleton<ImageInput>();
    builder.Services.AddSingleton<PrometheusMetrics>();
    builder.Services.AddExceptionHandler<InferenceExceptionHandler>();
    builder.Services.AddProblemDetails();
    builder.Services.AddResponseCompression(compression => (compression.EnableForHttps, compression.MimeTypes) = (true, ["application/json"]));
    builder.Services.AddOpenApiDocument();
    builder.Services.ConfigureHttpJsonOptions(json =>
    {
        json.SerializerOptions.Encoder = ReadableJson.Encoder;
        json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        json.SerializerOptions.Converters.Add(new KebabCaseEnumConverter<ModelState>());
    });

    var app = builder.Build();
    app.Services.GetRequiredService<PrometheusMetrics>();
    app.UseAccess();
    app.UseExceptionHandler();
    app.UseProblems();
    // Manifests, labels and TensorFlow.js graphs shrink to a fifth and less; weights do not shrink, and answers are too small to matter.
    app.UseWhen(context => context.Request.Path.StartsWithSegments("/models") || context.Request.Path.StartsWithSegments("/assets/model_tfjs"), described => described.UseResponseCompression());
    app.UseRoutingWithHead();
    app.UseApiKeys();
    app.UseClientApp();

    app.MapPredictions();
    app.MapModels();
    app.MapTutorial();
    app.MapHealth();
    app.MapGet("/metrics", (PrometheusMetrics metrics) => Results.Text(metrics.Write(), "text/plain; version=0.0.4; charset=utf-8")).ExcludeFromDescription()
        .ForOperations();
    app.MapGet("/config.json", ClientConfiguration.Get).ExcludeFromDescription();
    app.MapOpenApiDocument();
    return app;
}
