using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Limits;
using Whatsit.Server.Models;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility;

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
        app.MapGet("/assets/model_tfjs/{file}", GetTensorFlowJs).WithTags("Tutorial").WithName("TutorialModel")
            .WithSummary("The default model for TensorFlow.js: model.json and what lies beside it").ProducesProblem(404).For(Audience.Clients);
        var api = app.MapGroup("/api").WithTags("Tutorial").For(Audience.Clients);
        api.MapGet("/classes", Classes).WithName("TutorialClasses").WithSummary("The default model's labels");
        api.MapPost("/predict_image", PredictImageAsync).WithName("TutorialPredictImage").WithSummary("Classify an uploaded photo")
            .WithMetadata(new PictureBodyAttribute(), new AnswersPicturesAttribute()).Produces<TutorialResponse>().Produces<TutorialResponse>(400);
        api.MapGet("/predict_url", PredictUrlAsync).WithName("TutorialPredictUrl").WithSummary("Classify a photo by its URL, where the server allows it")
            .WithMetadata(new AnswersPicturesAttribute()).Produces<TutorialResponse>().Produces<TutorialResponse>(400);
    }

    /// <summary>Where the tutorial's page has <c>tf.loadGraphModel</c> look; TensorFlow.js then asks for the shards beside <c>model.json</c>.</summary>
    private static FileStreamHttpResult GetTensorFlowJs(string file, HttpContext context, [FromServices] ModelCatalog catalog)
    {
        using var lease = catalog.Lease(null);
        var manifest = lease.Model.Manifest;
        var known = manifest.Tfjs?.FirstOrDefault(candidate => Path.GetFileName(candidate.File) == file)
            ?? throw new InferenceException(InferenceError.ModelNotFound, manifest.Tfjs is null
            ? $"The model '{manifest.Name}' was not exported for TensorFlow.js. This does it: whatsit export {manifest.Name} --to tfjs --fp16"
            : $"The model '{manifest.Name}' has no file '{file}' for TensorFlow.js.");
        return ModelsApi.GetFile(manifest.Name, known.File, v: null, context, catalog);
    }

    private static IEnumerable<string> Classes([FromServices] ModelCatalog catalog)
    {
        using var lease = catalog.Lease(null);
        return lease.Model.Classes.Select(label => label.Label);
    }

    private static Task PredictImageAsync(
        HttpContext context,
        [FromQuery(Name = "top_k")] string? topK,
        [FromServices] ImageInput input,
        [FromServices] ModelCatalog catalog,
        [FromServices] ImageClassifier classifier,
        [FromServices] InferenceExceptionHandler failures) =>
        AnswerAsync(context, new(null, topK, null), catalog, classifier, failures, async (fields, classify) =>
        {
            // The original took one file; the first one is the answer.
            await foreach (var file in input.ReadAsync(context, fields, context.RequestAborted))
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
        [FromServices] ModelCatalog catalog,
        [FromServices] ImageClassifier classifier,
        [FromServices] InferenceExceptionHandler failures) =>
        AnswerAsync(context, new(null, topK, null), catalog, classifier, failures, async (_, classify) =>
        {
            using var file = await fetcher.FetchAsync(
                url ?? throw new InferenceException(InferenceError.InvalidRequest, "url is missing."), context.Upload(), context.RequestAborted);
            return await classify(file);
        });

    private static async Task AnswerAsync(
        HttpContext context,
        PredictFields fields,
        ModelCatalog catalog,
        ImageClassifier classifier,
        InferenceExceptionHandler failures,
        Func<PredictFields, Func<ReceivedFile, Task<Classification>>, Task<Classification>> predict)
    {
        try
        {
            using var lease = catalog.Lease(null);
            var model = lease.Model;
            context.Facts().Model = model;
            model.Postprocessor.Check(fields.ToOptions(model.Classes.Count));
            if (classifier.Refuse(model) is { } refusal)
            {
                context.Facts().IsCounted = true;
                await WriteFailureAsync(context, failures, refusal);
                return;
            }

            var answer = await predict(fields, file =>
                context.ClassifyAsync(classifier, file, fields.ToOptions(model.Classes.Count) with { Explain = false }));
            context.Response.AddServerTiming(TimingResponse.From(answer.Timings));
            // decode + preprocess + model + top-k, without the wait
            var duration = (long)Math.Round((answer.Timings.Total - answer.Timings.Queue).TotalMilliseconds);
            var predictions = answer.Predictions.Select(prediction => new TutorialPrediction(prediction.Label, prediction.Confidence));
            await context.Response.WriteAsJsonAsync(new(answer.Image.Bytes, [.. predictions], duration, null), Json.TutorialResponse);
        }
        catch (Exception exception) when (!context.Response.HasStarted)
        {
            await WriteFailureAsync(context, failures, exception);
        }
    }

    private static async Task WriteFailureAsync(HttpContext context, InferenceExceptionHandler failures, Exception exception)
    {
        var response = context.Response;
        var (status, _, _, detail, _) = failures.Describe(context, exception);
        // The original knew only 400; what is worth a retry keeps its own code, so that a client can tell.
        response.StatusCode = status is 429 or 499 or >= 500 ? status : StatusCodes.Status400BadRequest;
        InferenceExceptionHandler.AddRetryAfter(response, status);
        await response.WriteAsJsonAsync(new(0, [], 0, detail), Json.TutorialResponse);
    }
}

[JsonSerializable(typeof(TutorialResponse))]
internal sealed partial class TutorialJson : JsonSerializerContext;
