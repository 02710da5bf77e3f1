using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Predictions;

/// <summary><c>POST /predict</c>: a photo in, labels out.</summary>
internal static class PredictionApi
{
    public static void MapPredictions(this IEndpointRouteBuilder app)
    {
        app.MapPost("/predict", PredictAsync)
            .WithName("Predict")
            .WithTags("Predictions")
            .WithSummary("Classify a photo")
            .WithDescription(
                "Send the picture as a multipart form (any part name; several files give several results), as the raw body, or as JSON {\"image\":\"<base64 or data URL>\"}. "
                + "JPEG, PNG, WebP, GIF (first frame), AVIF and TIFF. Server-Timing repeats the answer's timing.")
            .WithMetadata(new PictureBodyAttribute(), new AnswersPicturesAttribute())
            .Produces<PredictionResponse>()
            .ProducesProblem(400).ProducesProblem(404).ProducesProblem(413).ProducesProblem(415).ProducesProblem(422).ProducesProblem(429).ProducesProblem(503).ProducesProblem(504);
    }

    private static async Task PredictAsync(
        HttpContext context,
        [FromQuery] string? model,
        [FromQuery(Name = "topK")] string? topK,
        [FromQuery(Name = "top_k")] string? topKSnakeCase,
        [FromQuery] string? explain,
        [FromServices] ModelCatalog catalog,
        [FromServices] ImageInput input,
        [FromServices] ImageClassifier classifier,
        [FromServices] InferenceExceptionHandler failures)
    {
        using var lease = catalog.Lease(model);
        context.Facts().Model = lease.Model;
        var options = new ClassifyOptions(ParseTopK(topK ?? topKSnakeCase, lease.Model.Classes.Count), ParseFlag(explain, "explain"));
        lease.Model.Postprocessor.Check(options);
        if (classifier.Refuse(lease.Model) is { } refusal)
        {
            context.Facts().IsCounted = true;
            await failures.WriteAsync(context, refusal, context.RequestAborted);
            return;
        }

        if (!ImageInput.IsMultipart(context.Request))
        {
            using var file = await input.ReadAsync(context.Request, context.RequestAborted);
            await WriteAsync(context, await ClassifyAsync(file));
            return;
        }

        var answers = new List<PredictionResult>();
        PredictionResponse? only = null;
        await foreach (var file in input.ReadPartsAsync(context.Request, context.RequestAborted))
        {
            try
            {
                only = await ClassifyAsync(file);
                answers.Add(PredictionResult.From(only, file.Name));
            }
            catch (InferenceException failure)
            {
                answers.Add(new() { File = file.Name, Error = failures.ProblemOf(context, failure) });
                context.Facts().IsCounted = false;
            }
        }

        if (answers.Count > 1)
        {
            await context.Response.WriteAsJsonAsync(new PredictionsResponse(answers), PredictionJson.Default.PredictionsResponse);
        }
        else if (answers[0].Error is { } problem)
        {
            context.Facts().IsCounted = true;
            await InferenceExceptionHandler.WriteAsync(context, problem, context.RequestAborted);
        }
        else
        {
            await WriteAsync(context, only!);
        }

        async Task<PredictionResponse> ClassifyAsync(ReceivedFile file) => PredictionResponse.From(await context.ClassifyAsync(classifier, file, options));
    }

    /// <summary>How many labels: the default is 5, or all if the model knows fewer.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: no whole number. (Its range is the model's to check.)</exception>
    public static int ParseTopK(string? text, int classes) =>
        string.IsNullOrEmpty(text) ? Math.Min(5, classes)
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var topK) ? topK
        : throw new InferenceException(InferenceError.InvalidRequest, $"topK is '{Shorten(text)}'; it must be a whole number from 1 to {classes}, the number of classes.");

    /// <summary>The answer's timing as a header, for the browser's developer tools and for scripts that measure.</summary>
    public static void AddServerTiming(this HttpResponse response, TimingResponse timing) => response.Headers["Server-Timing"] = string.Create(
        CultureInfo.InvariantCulture,
        $"decode;dur={timing.DecodeMs}, preprocess;dur={timing.PreprocessMs}, queue;dur={timing.QueueMs}, compute;dur={timing.ComputeMs}, total;dur={timing.TotalMs}");

    private static async Task WriteAsync(HttpContext context, PredictionResponse answer)
    {
        // In one piece, with its length: chunks would cost a second write and say nothing.
        var json = JsonSerializer.SerializeToUtf8Bytes(answer, PredictionJson.Default.PredictionResponse);
        context.Response.AddServerTiming(answer.Timing);
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = json.Length;
        await context.Response.BodyWriter.WriteAsync(json, context.RequestAborted);
    }

    private static bool ParseFlag(string? text, string name) => text switch
    {
        null or "" or "false" or "0" => false,
        "true" or "1" => true,
        _ => throw new InferenceException(InferenceError.InvalidRequest, $"{name} is '{Shorten(text)}'; it must be true or false."),
    };

    private static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
