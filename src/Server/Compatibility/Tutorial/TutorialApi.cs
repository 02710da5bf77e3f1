using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Documentation;
using Whatsit.Server.Limits;
using Whatsit.Server.Models;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility.Tutorial;

/// <summary>The tutorial's answer. Its members and their order are the original's.</summary>
public sealed record TutorialResponse(
    [property: JsonPropertyName("file_size")] long FileSize,
    [property: JsonPropertyName("predictions")] IReadOnlyList<TutorialPrediction> Predictions,
    [property: JsonPropertyName("duration_inference")] long DurationInference,
    [property: JsonPropertyName("error")] string? Error);

/// <summary>One label of the tutorial's answer.</summary>
public sealed record TutorialPrediction([property: JsonPropertyName("label")] string Label, [property: JsonPropertyName("confidence")] float Confidence);

/// <summary>
/// The tutorial's own routes (<c>/api/classes</c>, <c>/api/predict_image</c>, <c>/api/predict_url</c>, and <c>/assets/model_tfjs/</c> for its other engine, the
/// browser), so that its front end and its mobile apps work unchanged.
/// The default model answers. Failures are 400 with one sentence in <c>error</c>.
/// </summary>
internal static class TutorialApi
{
    private static readonly TutorialJson Json = new(ReadableJson.Of(TutorialJson.Default.Options));

    public static void MapTutorial(this IEndpointRouteBuilder app)
    {
        app.MapGet("/assets/model_tfjs/{file}", GetTensorFlowJsAsync).WithTags("Tutorial").WithName("TutorialModel")
            .WithSummary("The default model for TensorFlow.js: model.json and what lies beside it")
            .For(Audience.Clients).WithMetadata(new FileAnswerAttribute())
            .Refuses("model-not-found", "model-not-ready", "precondition-failed", "range-not-satisfiable");
        var api = app.MapGroup("/api").WithTags("Tutorial").For(Audience.Clients);
        api.MapGet("/classes", ClassesAsync).WithName("TutorialClasses").WithSummary("The default model's labels")
            .Refuses("model-not-found", "model-not-ready");
        api.MapPost("/predict_image", PredictImageAsync).WithName("TutorialPredictImage").WithSummary("Classify an uploaded photo")
            .WithMetadata(new PictureBodyAttribute(), new AnswersPicturesAttribute()).Produces<TutorialResponse>()
            .Refuses([.. PredictionApi.Refusals]);
        api.MapGet("/predict_url", PredictUrlAsync).WithName("TutorialPredictUrl").WithSummary("Classify a photo by its URL, where the server allows it")
            .WithMetadata(new AnswersPicturesAttribute()).Produces<TutorialResponse>()
            .Refuses("invalid-request", "invalid-parameter", "url-off", "invalid-url", "url-port", "host-not-public", "model-not-found", "image-too-large",
                "file-too-large", "unsupported-image", "decoder-ended", "invalid-image", "queue-full", "upload-memory-used", "upload-share-used",
                "too-many-fetches", "backend-failed", "upstream-failed", "model-not-ready", "timed-out");
    }

    /// <summary>Where the tutorial's page has <c>tf.loadGraphModel</c> look; TensorFlow.js then asks for the shards beside <c>model.json</c>.</summary>
    private static async Task<IResult> GetTensorFlowJsAsync(string file, HttpContext context, [FromServices] ModelCatalog catalog,
        [FromServices] TfjsOptions options)
    {
        using var lease = await catalog.LeaseAsync(null, context.RequestAborted);
        var (manifest, files) = (lease.Model.Manifest, lease.Model.Files);
        var named = manifest.Tfjs?.ToDictionary(candidate => Path.GetFileName(candidate.File), StringComparer.Ordinal)
            ?? throw new InferenceException(InferenceError.ModelNotFound,
                $"The model '{manifest.Name}' was not exported for TensorFlow.js. This does it: whatsit export {manifest.Name} --to tfjs --fp16");
        if (options.ShardSize is { } size && (file == "model.json" || file.EndsWith(".bin", StringComparison.Ordinal)))
        {
            context.Response.Headers.CacheControl = "no-cache";
            return new TutorialShards(files.Read(named["model.json"].File), named, size).Get(file, context, files) ?? throw Lacks();
        }

        return await ModelsApi.GetFileAsync(manifest.Name, named.TryGetValue(file, out var known) ? known.File : throw Lacks(), v: null, context, catalog);

        InferenceException Lacks() => new(InferenceError.ModelNotFound, $"The model '{manifest.Name}' has no file '{file}' for TensorFlow.js.");
    }

    private static async Task<IEnumerable<string>> ClassesAsync(HttpContext context, [FromServices] ModelCatalog catalog)
    {
        using var lease = await catalog.LeaseAsync(null, context.RequestAborted);
        return [.. lease.Model.Classes.Select(label => label.Label)];
    }

    /// <summary>
    /// A failure in the original's form. It knew only 400; what is worth a retry keeps its own status, so that a client can tell. It knew no keys: that one is
    /// missing is said as natively.
    /// </summary>
    public static ProtocolFailure? Fail(Refusal refusal, HttpRequest request) => refusal.Status == StatusCodes.Status401Unauthorized ? null : new(
        refusal.Status is 408 or 413 or 415 or 422 || refusal.Code == "model-not-found" ? StatusCodes.Status400BadRequest : refusal.Status,
        JsonSerializer.SerializeToUtf8Bytes(new(0, [], 0, refusal.Detail), Json.TutorialResponse));

    private static Task PredictImageAsync(HttpContext context, [FromQuery(Name = "top_k")] string? topK, [FromServices] ModelRequests models) =>
        AnswerAsync(context, new(null, topK, null), models, async (fields, classify) =>
        {
            // The original took one file; the first one is the answer.
            await foreach (var file in models.ReadPicturesAsync(context, fields))
            {
                return await classify(file);
            }

            throw new InvalidOperationException("ReadAsync refuses a request without a picture.");
        });

    private static Task PredictUrlAsync(
        HttpContext context,
        [FromQuery] string? url,
        [FromQuery(Name = "top_k")] string? topK,
        [FromServices] ImageFetcher fetcher,
        [FromServices] ModelRequests models) =>
        AnswerAsync(context, new(null, topK, null), models, async (_, classify) =>
        {
            using var file = await fetcher.FetchAsync(
                url ?? throw new InferenceException(InferenceError.InvalidRequest, "url is missing."), context.Upload(), context.RequestAborted);
            return await classify(file);
        });

    private static Task AnswerAsync(HttpContext context, PredictFields fields, ModelRequests models,
        Func<PredictFields, Func<ReceivedFile, Task<Classification>>, Task<Classification>> predict) =>
        models.AnswerAsync(context, null, null, "There is no default model.", async model =>
        {
            model.Postprocessor.Check(fields.ToOptions(model.Classes.Count));
            var answer = await predict(fields, file => models.ClassifyAsync(context, file.Memory, fields.ToOptions(model.Classes.Count).TopK));
            context.Response.AddServerTiming(TimingResponse.From(answer.Timings));
            // decode + preprocess + model + top-k, without the wait
            var duration = (long)Math.Round((answer.Timings.Total - answer.Timings.Queue).TotalMilliseconds);
            var predictions = answer.Predictions.Select(prediction => new TutorialPrediction(prediction.Label, prediction.Confidence));
            await context.Response.WriteAsJsonAsync(new(answer.Image.Bytes, [.. predictions], duration, null), Json.TutorialResponse);
        });
}

[JsonSerializable(typeof(TutorialResponse))]
internal sealed partial class TutorialJson : JsonSerializerContext;
