using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Documentation;
using Whatsit.Server.Management;

namespace Whatsit.Server.Health;

/// <summary>The process answers.</summary>
/// <param name="Status">live.</param>
public sealed record LiveStatus(string Status);

/// <summary>Whether the server can be asked.</summary>
/// <param name="Status">ready, or not ready.</param>
/// <param name="Models">How each model stands.</param>
/// <param name="Problem">Why it is not ready; absent where it is.</param>
public sealed record ReadyStatus(string Status, IReadOnlyDictionary<string, ModelState> Models, string? Problem);

/// <summary><c>GET /health/…</c>, for whoever starts, stops and watches the process.</summary>
internal static class HealthApi
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.MapGroup("/health").WithTags("Health").For(Audience.Probes);
        health.MapGet("/live", () => TypedResults.Ok(new LiveStatus("live"))).WithName("Live").WithSummary("The process answers").Refuses();
        health.MapGet("/ready", Ready).WithName("Ready").WithSummary("The default model and all others have given their recorded answers")
            .Produces<ReadyStatus>().Produces<ReadyStatus>(503).Refuses();
    }

    private static JsonHttpResult<ReadyStatus> Ready([FromServices] ModelCatalog catalog, [FromServices] Shutdown shutdown)
    {
        var problem = ProblemOf(catalog, shutdown);
        return TypedResults.Json(
            new ReadyStatus(problem is null ? "ready" : "not ready", catalog.Models.ToDictionary(model => model.Name, model => model.State), problem),
            statusCode: problem is null ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
    }

    /// <summary>Why the server is not ready; nothing if it is.</summary>
    public static string? ProblemOf(ModelCatalog catalog, Shutdown shutdown)
    {
        var models = catalog.Models;
        return shutdown.HasBegun ? "The server is shutting down."
            : models.Count == 0 ? $"There is no model, not even the default one, '{catalog.DefaultModel}'."
            : models.All(model => model.Name != catalog.DefaultModel) ? $"There is no default model '{catalog.DefaultModel}'."
            : catalog.IsReady ? null
            : models.FirstOrDefault(model => model.State == ModelState.Failed)?.Problem ?? "The models are still loading.";
    }
}
