using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;

namespace Whatsit.Server;

/// <summary>
/// Loads the models while the rest of the server starts and answers <c>/health/live</c>: a platform that waits for the port must not wait for the weights.
/// </summary>
internal sealed partial class CatalogLoader(ModelCatalog catalog, IImageDecoder decoder, ILogger<CatalogLoader> logger, IHostApplicationLifetime lifetime)
    : BackgroundService
{
    private Task _loading = Task.CompletedTask;

    /// <summary>
    /// Makes ready what loading needs and no setting changes, beside everything else that a start does: ONNX Runtime itself, and what reads manifests. What
    /// fails here fails again, and is told, where it is used.
    /// </summary>
    public static void Prepare()
    {
        _ = Task.Run(() => OnnxRuntimeEnvironment.EnsureCreated());
        _ = Task.Run(() => ManifestJson.Default.ModelManifest.MakeReadOnly());
    }

    /// <summary>Begins before the host does, whose start takes as long as reading a small model.</summary>
    public void Begin()
    {
        // A start that fails says why, and nothing else.
        lifetime.ApplicationStarted.Register(() => Log.Decoder(logger, decoder.Reads));
        _loading = Task.Run(() => catalog.StartAsync(lifetime.ApplicationStopping));
    }

    /// <summary>The host ends with what loading fails with.</summary>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await _loading;
        }
        catch (OperationCanceledException)
        {
            // The server ends, or could not listen.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Pictures: {Reads}")]
        public static partial void Decoder(ILogger logger, string reads);
    }
}
