using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Health;
using Whatsit.Server.Management;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility.TorchServe;

/// <summary>
/// TorchServe's inference API (https://pytorch.org/serve/inference_api.html), with the answers of its image classifier; and its list of models, on the
/// management port, where it has it, too. Failures are <c>{"code":404,"type":"…","message":"…"}</c>.
/// </summary>
internal static class TorchServeApi
{
    private static readonly TorchServeJson Written = new(ReadableJson.Of(TorchServeJson.Default.Options));

    public static void MapTorchServe(this WebApplication app)
    {
        foreach (var route in (string[])["/predictions/{model}", "/predictions/{model}/{version}"])
        {
            // curl -T sends PUT.
            app.MapMethods(route, ["POST", "PUT"], PredictAsync).WithMetadata(new AnswersPicturesAttribute()).For(Audience.Clients).ExcludeFromDescription();
        }

        app.MapGet("/ping", Ping).For(Audience.Probes).ExcludeFromDescription();
        if (app.Services.GetRequiredService<ManagementOptions>().Port is > 0 and var port)
        {
            app.MapGet("/models", List).RequireHost($"*:{port}").For(Audience.Operations).ExcludeFromDescription();
        }
    }

    /// <summary>A failure in the protocol's form. The types are those of its exceptions (frontend/archive and frontend/server of pytorch/serve).</summary>
    public static ProtocolFailure Fail(Refusal refusal, HttpRequest request)
    {
        var type = refusal switch
        {
            { Code: "model-not-found" } => refusal.Detail.StartsWith("Model version", StringComparison.Ordinal) ? "ModelVersionNotFoundException"
                : "ModelNotFoundException",
            { Status: 404 } => "ResourceNotFoundException",
            { Status: 401 or 403 } => "InvalidKeyException",
            { Status: 405 } => "MethodNotAllowedException",
            { Status: 413 } => "RequestEntityTooLargeException",
            { Status: 429 or 503 } => "ServiceUnavailableException",
            { Status: >= 500 } => "InternalServerException",
            _ => "BadRequestException",
        };
        return new(refusal.Status, JsonSerializer.SerializeToUtf8Bytes(new(refusal.Status, type, refusal.Detail), Written.TorchServeFailure));
    }

    private static async Task PredictAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models)
    {
        var known = version is not null && models.Catalog.Models.Any(status => status.Name == model);
        var unknown = known ? $"Model version: {Refusal.Shorten(version!)} does not exist for model: {Refusal.Shorten(model)}"
            : $"Model not found: {Refusal.Shorten(model)}";
        await models.AnswerAsync(context, model, version, unknown, async leased =>
        {
            var answers = new List<IReadOnlyDictionary<string, float>>();
            await foreach (var file in models.ReadPicturesAsync(context))
            {
                var answer = await models.ClassifyAsync(context, file.Memory, ClassifyOptions.For(leased).TopK);
                // Best first; of labels that are the same, the best one.
                answers.Add(answer.Predictions.GroupBy(prediction => prediction.Label)
                    .ToDictionary(same => same.Key, same => same.First().Confidence));
            }

            await (answers is [var only]
                ? context.Response.WriteAsJsonAsync(only, Written.IReadOnlyDictionaryStringSingle)
                : context.Response.WriteAsJsonAsync(answers, Written.ListIReadOnlyDictionaryStringSingle));
        });
    }

    private static IResult Ping([FromServices] ModelCatalog catalog, [FromServices] Shutdown shutdown)
    {
        var isHealthy = HealthApi.ProblemOf(catalog, shutdown) is null;
        return Results.Json(new PingAnswer(isHealthy ? "Healthy" : "Unhealthy"), Written, "application/json",
            isHealthy ? StatusCodes.Status200OK : StatusCodes.Status500InternalServerError);
    }

    private static IResult List([FromServices] ModelCatalog catalog) => Results.Json(
        new ModelList([.. catalog.Models.Select(model => new ListedModel(model.Name, $"{model.Name}.mar"))]), Written, "application/json");
}

internal sealed record TorchServeFailure(int Code, string Type, string Message);

internal sealed record PingAnswer(string Status);

internal sealed record ModelList(IReadOnlyList<ListedModel> Models);

internal sealed record ListedModel(string ModelName, string ModelUrl);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyDictionary<string, float>))]
[JsonSerializable(typeof(List<IReadOnlyDictionary<string, float>>))]
[JsonSerializable(typeof(TorchServeFailure))]
[JsonSerializable(typeof(PingAnswer))]
[JsonSerializable(typeof(ModelList))]
internal sealed partial class TorchServeJson : JsonSerializerContext;
