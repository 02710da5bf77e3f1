using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Diagnostics;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Isolation;
using Whatsit.Inference.Scheduling;
using Whatsit.Server.Access;
using Whatsit.Server.Compatibility;
using Whatsit.Server.Compatibility.OpenInference.Rpc;
using Whatsit.Server.Compatibility.Tutorial;
using Whatsit.Server.Documentation;
using Whatsit.Server.Health;
using Whatsit.Server.Limits;
using Whatsit.Server.Management;
using Whatsit.Server.Models;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server;

/// <summary>The server, for its own process and for the command <c>whatsit serve</c>.</summary>
public static class Program
{
    /// <summary>Serves until it is told to stop.</summary>
    /// <param name="args">Settings, each as <c>--Section:Name=value</c>; they go before environment variables, and those before <c>appsettings.json</c> beside
    /// the program.</param>
    /// <returns>The exit code: 0 after an orderly stop, 1 where a setting keeps it from starting, which standard error names.</returns>
    public static async Task<int> Main(string[] args)
    {
        if (DecoderProcess.RunIfAsked())
        {
            return 0;
        }

        if (Descriptors.Problem is { } problem)
        {
            await Console.Error.WriteLineAsync(problem);
            return 1;
        }

        ResidentMemory.ShareHeaps();
        CatalogLoader.Prepare();

        // Decoding and computing keep a thread per processor each; requests must still be read, answered and above all refused meanwhile.
        ThreadPool.SetMinThreads(4 * Environment.ProcessorCount, Environment.ProcessorCount);

        try
        {
            var app = Build(args);
            Settings.Check(app.Services);
            // What takes time begins, each on a thread of its own.
            app.Services.GetRequiredService<CatalogLoader>().Begin();
            app.BeginMetrics();
            Map(app);
            await Settings.RunAsync(app);
            return 0;
        }
        catch (Exception exception)
        {
            // What is wrong is the user's to know; where in our code, only if it is ours to mend.
            await Console.Error.WriteLineAsync(Settings.ProblemOf(exception) ?? $"The server failed. {exception}");
            return 1;
        }
    }

    private static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions
        {
            Args = Https.Arguments(args),
            // Settings and page lie beside the program, wherever it was started from.
            ContentRootPath = AppContext.BaseDirectory,
        });

        // People may name whole addresses, as ASP.NET Core does.
        var addresses = builder.Configuration["urls"] is { Length: > 0 } named ? named : Settings.AddressOf(builder.Configuration);
        builder.WebHost.UseUrls(ManagementPort.AddTo(addresses, builder.Configuration));

        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.AddAccess();
        builder.AddRequestLog();
        builder.AddOpenTelemetryExport();
        Shutdown.Add(builder);
        if (OperatingSystem.IsWindows())
        {
            AddWindowsService(builder.Services);
        }

        // Options: a wrong value stops the process, by name.
        SettingList.Register();
        builder.Services.AddSettings<CatalogOptions>("Catalog");
        builder.Services.AddSettings<DecodingOptions>("Decoding");
        builder.Services.AddSettings<ExplainOptions>("Explain");
        builder.Services.AddSettings<FetchOptions>("FetchByUrl");
        builder.Services.AddSettings<GrpcOptions>("Grpc");
        builder.Services.AddSettings<LimitsOptions>("Limits");
        builder.Services.AddSettings<ManagementOptions>("Management");
        builder.Services.AddSettings<OnnxBackendOptions>("OnnxRuntime");
        builder.Services.AddSettings<RemoteOptions>("Remote");
        builder.Services.AddSettings<SchedulingOptions>("Scheduling");
        builder.Services.AddSettings<TfjsOptions>("Tfjs");
        builder.Services.AddSettings<TeachingOptions>("Teaching");
        builder.Services.AddOptions<TeachingOptions>().Validate<ManagementOptions>(
            (teaching, management) => !teaching.Enabled || management.KeyHash is not null,
            "The setting Teaching:Enabled is 'True'. There is no key in Management:KeySha256 that the page could ask for.");

        // The core.
        builder.Services.AddWhatsit();
        builder.Services.AddSingleton<CatalogLoader>();
        builder.Services.AddHostedService(services => services.GetRequiredService<CatalogLoader>());

        // The web.
        builder.Services.AddSingleton<UploadBudget>();
        builder.Services.AddSingleton<ImageFetcher>();
        builder.Services.AddSingleton<ImageInput>();
        builder.Services.AddSingleton<ModelRequests>();
        builder.Services.AddSingleton<InferenceExceptionHandler>();
        builder.Services.AddSingleton<IExceptionHandler>(services => services.GetRequiredService<InferenceExceptionHandler>());
        builder.AddGrpcProtocols();
        builder.Services.AddProblemDetails();
        builder.Services.AddResponseCompression(compression => (compression.EnableForHttps, compression.MimeTypes) = (true, ["application/json"]));
        builder.Services.AddOpenApiDocument();
        builder.Services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Encoder = ReadableJson.Encoder;
            json.SerializerOptions.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
            json.SerializerOptions.Converters.Add(new KebabCaseEnumConverter<ModelState>());
        });

        return builder.Build();
    }

    private static void Map(WebApplication app)
    {
        app.UseAccess();
        app.UseExceptionHandler();
        app.UseProblems();
        // Manifests, labels and TensorFlow.js graphs shrink to a fifth and less; weights do not shrink, and answers are too small to matter.
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/models")
            || context.Request.Path.StartsWithSegments("/assets/model_tfjs"), described => described.UseResponseCompression());
        app.UseRoutingWithHead();
        app.UseManagementPort();
        app.UseApiKeys();
        app.UseManagementKey();
        app.UseClientApp();
        app.UseGrpcProtocols();

        app.MapPredictions();
        app.MapModels();
        app.MapBundles();
        app.MapProtocols();
        app.MapGrpcProtocols();
        app.MapHealth();
        app.MapMetrics();
        app.MapGet("/config.json", ClientConfiguration.Get).ExcludeFromDescription();
        app.MapOpenApiDocument();
    }

    // Speaks the service manager's protocol where that started the process (deploy/README.md). A method of its own: elsewhere its package is not loaded.
    private static void AddWindowsService(IServiceCollection services) => services.AddWindowsService(service => service.ServiceName = "Whatsit");
}
