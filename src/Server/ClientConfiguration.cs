using Microsoft.AspNetCore.Http.HttpResults;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Server.Models;
using Whatsit.Server.Predictions;

namespace Whatsit.Server;

/// <summary><c>GET /config.json</c>: what the page must know of this server before the first photo.</summary>
/// <param name="MaxUploadBytes">The limit of one picture's file.</param>
/// <param name="PredictByUrl">Whether a URL may be sent instead.</param>
/// <param name="DefaultModel">The model that answers where a request names none.</param>
/// <param name="Version">The server's version.</param>
/// <param name="TakesModels">Whether a model that was taught may be put on the server, with a key.</param>
/// <param name="OcclusionRuns">How many further runs the explanation of an answer may take of a model without class activation maps.</param>
public sealed record ClientConfiguration(int MaxUploadBytes, bool PredictByUrl, string DefaultModel, string Version, bool TakesModels, int OcclusionRuns)
{
    internal static Ok<ClientConfiguration> Get(
        LimitsOptions limits, FetchOptions fetch, ModelCatalog catalog, TeachingOptions teaching, ExplainOptions explain) =>
        TypedResults.Ok(new ClientConfiguration(
            limits.MaxImageBytes, fetch.Enabled, catalog.DefaultModel, typeof(ClientConfiguration).Assembly.GetName().Version!.ToString(3), teaching.Enabled,
            explain.OcclusionRuns));
}
