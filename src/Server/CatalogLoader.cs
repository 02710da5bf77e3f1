using Whatsit.Inference.Catalog;

namespace Whatsit.Server;

/// <summary>Loads the models while the server already answers <c>/health/live</c>: a platform that waits for the port must not wait for the weights.</summary>
internal sealed class CatalogLoader(ModelCatalog catalog) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => catalog.StartAsync(stoppingToken);
}
