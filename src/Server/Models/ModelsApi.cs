using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Net.Http.Headers;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.Server.Models;

/// <summary>One model of the catalog.</summary>
/// <param name="Name">The name in URLs.</param>
/// <param name="Title">The name as people read it.</param>
/// <param name="Version">Its version.</param>
/// <param name="State">loading, ready or failed.</param>
/// <param name="Default">Whether it answers where a request names none.</param>
/// <param name="Variant">The variant of the weights that serves.</param>
/// <param name="Variants">The variants that the bundle has.</param>
/// <param name="Problem">Why the newest files do not serve.</param>
public sealed record ModelSummary(string Name, string? Title, string? Version, ModelState State, bool Default, string? Variant, IReadOnlyList<string> Variants, string? Problem);

/// <summary>One model: its state and its whole manifest.</summary>
/// <param name="State">loading, ready or failed.</param>
/// <param name="Default">Whether it answers where a request names none.</param>
/// <param name="Variant">The variant of the weights that serves.</param>
/// <param name="Problem">Why the newest files do not serve.</param>
/// <param name="Manifest">The bundle's model.json, in its own snake_case.</param>
public sealed record ModelDetails(ModelState State, bool Default, string? Variant, string? Problem, JsonElement? Manifest);

/// <summary><c>GET /models…</c>: what is served, and the files that a browser needs to run it itself.</summary>
internal static class ModelsApi
{
    public static void MapModels(this IEndpointRouteBuilder app)
    {
        var models = app.MapGroup("/models").WithTags("Models");
        models.MapGet("/", List).WithName("ListModels").WithSummary("The models of the catalog");
        models.MapGet("/{name}", Describe).WithName("DescribeModel").WithSummary("One model's manifest and state").ProducesProblem(404);
        models.MapGet("/{name}/classes", Classes).WithName("ListClasses").WithSummary("One model's labels, in index order").ProducesProblem(404);
        models.MapGet("/{name}/files/{**file}", GetFile).WithName("GetModelFile").WithSummary("One file of the bundle that the manifest names").ProducesProblem(404);
    }

    private static Ok<IEnumerable<ModelSummary>> List([FromServices] ModelCatalog catalog) => TypedResults.Ok(catalog.Models.Select(status => new ModelSummary(
        status.Name,
        status.Manifest?.Title,
        status.Manifest?.Version,
        status.State,
        status.Name == catalog.DefaultModel,
        status.Variant,
        [.. status.Manifest?.Files.Keys ?? []],
        status.Problem)));

    private static Ok<ModelDetails> Describe(string name, [FromServices] ModelCatalog catalog)
    {
        var status = catalog.Status(name);
        var manifest = status.Manifest is null ? (JsonElement?)null : JsonSerializer.SerializeToElement(status.Manifest, ManifestJson.Default.ModelManifest);
        return TypedResults.Ok(new ModelDetails(status.State, status.Name == catalog.DefaultModel, status.Variant, status.Problem, manifest));
    }

    private static Ok<IReadOnlyList<ClassLabel>> Classes(string name, [FromServices] ModelCatalog catalog)
    {
        using var lease = catalog.Lease(name);
        return TypedResults.Ok(lease.Model.Classes);
    }

    /// <summary>
    /// Only what the manifest names; nothing else of the folder is anybody's business. With <c>?v=&lt;sha256&gt;</c> the content can never change, so it may be
    /// kept for ever.
    /// </summary>
    public static PhysicalFileHttpResult GetFile(string name, string file, [FromQuery] string? v, HttpContext context, [FromServices] ModelCatalog catalog)
    {
        using var lease = catalog.Lease(name);
        var (manifest, folder) = (lease.Model.Manifest, lease.Model.Folder);
        BundleFile?[] weights = [.. manifest.Files.Values, manifest.Output.ClassifierWeights, .. manifest.Tfjs ?? []];
        var known = weights.FirstOrDefault(candidate => candidate?.File == file);
        if (known is null && file != manifest.Labels && file != manifest.Sample?.File && manifest.Samples?.Any(sample => sample.File == file) != true)
        {
            throw new InferenceException(InferenceError.ModelNotFound, $"The model '{manifest.Name}' has no file '{file}'.");
        }

        var forEver = v is not null && string.Equals(v, known?.Sha256, StringComparison.OrdinalIgnoreCase);
        context.Response.Headers.CacheControl = forEver ? "public, max-age=31536000, immutable" : "no-cache";
        var type = new FileExtensionContentTypeProvider().TryGetContentType(file, out var found) ? found : "application/octet-stream";
        return TypedResults.PhysicalFile(
            Bundle.PathOf(folder, file),
            type,
            entityTag: known is null ? null : new EntityTagHeaderValue($"\"{known.Sha256}\""),
            enableRangeProcessing: true);
    }
}
