using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Net.Http.Headers;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.Server.Documentation;

namespace Whatsit.Server.Models;

/// <summary>One model of the catalog.</summary>
/// <param name="Name">The name in URLs.</param>
/// <param name="Title">The name as people read it.</param>
/// <param name="Version">Its version.</param>
/// <param name="State">loading, ready, failed, or unloaded: loaded when it is asked.</param>
/// <param name="Default">Whether it answers where a request names none.</param>
/// <param name="Variant">The variant of the weights that serves.</param>
/// <param name="Variants">The variants that the bundle has.</param>
/// <param name="Problem">Why the newest files do not serve.</param>
/// <param name="PreprocessingCertainty">
/// How sure it is that pictures are prepared as in training: known, shown-by-the-network, shown-by-photos or assumed; nothing where the manifest does not say.
/// </param>
public sealed record ModelSummary(string Name, string? Title, string? Version, ModelState State, bool Default, string? Variant,
    IReadOnlyList<string> Variants, string? Problem,
    [property: JsonConverter(typeof(KebabCaseEnumConverter<PreprocessingCertainty>))] PreprocessingCertainty? PreprocessingCertainty);

/// <summary>One model: its state and its whole manifest.</summary>
/// <param name="State">loading, ready, failed, or unloaded: loaded when it is asked.</param>
/// <param name="Default">Whether it answers where a request names none.</param>
/// <param name="Variant">The variant of the weights that serves.</param>
/// <param name="Problem">Why the newest files do not serve.</param>
/// <param name="Manifest">The bundle's model.json, in its own snake_case.</param>
public sealed record ModelDetails(ModelState State, bool Default, string? Variant, string? Problem, JsonElement? Manifest);

/// <summary><c>GET /models…</c>: what is served, and the files that a browser needs to run it itself.</summary>
internal static class ModelsApi
{
    /// <summary>
    /// What a browser may show. A bundle is data from elsewhere: HTML, SVG or a script in it would act in this server's name, so all the rest is a download.
    /// </summary>
    private static readonly Dictionary<string, string> PassiveTypes = new(StringComparer.OrdinalIgnoreCase)
    {
        [".json"] = "application/json",
        [".txt"] = "text/plain; charset=utf-8",
        [".jpg"] = "image/jpeg",
        [".jpeg"] = "image/jpeg",
        [".png"] = "image/png",
        [".webp"] = "image/webp",
        [".gif"] = "image/gif",
        [".avif"] = "image/avif",
    };

    public static void MapModels(this IEndpointRouteBuilder app)
    {
        var models = app.MapGroup("/models").WithTags("Models");
        models.MapGet("/", List).WithName("ListModels").WithSummary("The models of the catalog").Refuses();
        models.MapGet("/{name}", Describe).WithName("DescribeModel").WithSummary("One model's manifest and state").Refuses("model-not-found");
        models.MapGet("/{name}/classes", ClassesAsync).WithName("ListClasses").WithSummary("One model's labels, in index order")
            .Refuses("model-not-found", "model-not-ready");
        models.MapGet("/{name}/files/{**file}", GetFileAsync).WithName("GetModelFile").WithSummary("One file of the bundle that the manifest names")
            .WithMetadata(new FileAnswerAttribute()).Refuses("model-not-found", "model-not-ready", "precondition-failed", "range-not-satisfiable");
    }

    private static Ok<IEnumerable<ModelSummary>> List([FromServices] ModelCatalog catalog) => TypedResults.Ok(catalog.Models.Select(status => new ModelSummary(
        status.Name,
        status.Manifest?.Title,
        status.Manifest?.Version,
        status.State,
        status.Name == catalog.DefaultModel,
        status.Variant,
        [.. status.Manifest?.Files.Keys ?? []],
        status.Problem,
        status.Manifest?.Preprocessing.Evidence?.Certainty)));

    private static Ok<ModelDetails> Describe(string name, [FromServices] ModelCatalog catalog) => TypedResults.Ok(DetailsOf(catalog.Status(name), catalog));

    /// <summary>All that is said of one model.</summary>
    public static ModelDetails DetailsOf(ModelStatus status, ModelCatalog catalog)
    {
        var manifest = status.Manifest is null ? (JsonElement?)null : JsonSerializer.SerializeToElement(status.Manifest, ManifestJson.Default.ModelManifest);
        return new(status.State, status.Name == catalog.DefaultModel, status.Variant, status.Problem, manifest);
    }

    private static async Task<Ok<IReadOnlyList<ClassLabel>>> ClassesAsync(string name, HttpContext context, [FromServices] ModelCatalog catalog)
    {
        using var lease = await catalog.LeaseAsync(name, context.RequestAborted);
        return TypedResults.Ok(lease.Model.Classes);
    }

    /// <summary>
    /// Only what the manifest names, and only as it was when the model was proved. With <c>?v=&lt;sha256&gt;</c> the content can never change, so it may be
    /// kept for ever.
    /// </summary>
    public static async Task<FileStreamHttpResult> GetFileAsync(string name, string file, [FromQuery] string? v, HttpContext context,
        [FromServices] ModelCatalog catalog)
    {
        using var lease = await catalog.LeaseAsync(name, context.RequestAborted);
        var model = lease.Model;
        if (!model.Files.Names(file))
        {
            throw new InferenceException(InferenceError.ModelNotFound, $"The model '{model.Manifest.Name}' has no file '{file}'.");
        }

        var (stream, sha256) = model.Files.Open(file);
        var forEver = string.Equals(v, sha256, StringComparison.OrdinalIgnoreCase);
        var headers = context.Response.Headers;
        headers.CacheControl = forEver ? "public, max-age=31536000, immutable" : "no-cache";
        var isPassive = PassiveTypes.TryGetValue(Path.GetExtension(file), out var type);
        return TypedResults.File(
            stream,
            type ?? "application/octet-stream",
            fileDownloadName: isPassive ? null : Path.GetFileName(file),
            entityTag: new EntityTagHeaderValue($"\"{sha256}\""),
            enableRangeProcessing: true);
    }
}
