using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference.Catalog;

namespace Whatsit.Server.Health;

/// <summary><c>GET /health/…</c>, for whoever starts, stops and watches the process.</summary>
internal static class HealthApi
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.MapGroup("/health").WithTags("Health");
        health.MapGet("/live", () => Results.Json(new { status = "live" })).WithName("Live").WithSummary("The process answers");
        health.MapGet("/ready", Ready).WithName("Ready").WithSummary("The default model and all others have given their recorded answers").Produces(200).Produces(503);
    }

    private static IResult Ready([FromServices] ModelCatalog catalog)
    {
        var models = catalog.Models;
        return Results.Json(
            new
            {
                status = catalog.IsReady ? "ready" : "not ready",
                models = models.ToDictionary(model => model.Name, model => model.State),
                problem = models.Any(model => model.Name == catalog.DefaultModel) ? null : $"There is no default model '{catalog.DefaultModel}'.",
            },
            statusCode: catalog.IsReady ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
    }
}
