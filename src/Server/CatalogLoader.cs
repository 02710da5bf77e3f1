using Whatsit.Inference.Catalog;

namespace Whatsit.Server;

/// <summary>
/// Loads the models while the rest of the server starts and answers <c>/health/live</c>: a platform that waits for the port must not wait for the weights.
/// </summary>
internal sealed class CatalogLoader(ModelCatalog catalog, IHostApplicationLifetime lifetime) : BackgroundService
{
    private Task _loading = Task.CompletedTask;

    /// <summary>Begins before the host does, whose start takes as long as reading a small model.</summary>
    public void Begin() => _loading = Task.Run(() => catalog.StartAsync(lifetime.ApplicationStopping));

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
}
