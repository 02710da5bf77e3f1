using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Management;

namespace Whatsit.Server.Health;

/// <summary><c>GET /health/…</c>, for whoever starts, stops and watches the process.</summary>
internal static class HealthApi
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.MapGroup("/health").WithTags("Health").For(Audience.Probes);
        health.MapGet("/live", () => Results.Json(new { status = "live" })).WithName("Live").WithSummary("The process answers");
        health.MapGet("/ready", Ready).WithName("Ready").WithSummary("The default model and all others have given their recorded answers")
            .Produces(200).Produces(503);
    }

    private static IResult Ready([FromServices] ModelCatalog catalog, [FromServices] Shutdown shutdown)
    {
        var models = catalog.Models;
        var problem = ProblemOf(catalog, shutdown);
        return Results.Json(
            new { status = problem is null ? "ready" : "not ready", models = models.ToDictionary(model => model.Name, model => model.State), problem },
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
