using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Server.Access;
using Whatsit.Server.Documentation;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Predictions;

/// <summary><c>POST /predict</c>: a photo in, labels out.</summary>
internal static class PredictionApi
{
    /// <summary>Why a picture that was sent may be refused.</summary>
    public static IReadOnlyList<string> Refusals { get; } =
    [
        "invalid-request", "no-picture", "invalid-parameter", "file-name-instead-of-file", "line-breaks-lost", "invalid-base64",
        "base64-plus-became-space", "data-url-not-base64", "json-shape", "multipart-malformed", "multipart-boundary-missing", "part-header-too-long",
        "too-many-part-headers", "too-many-fields", "url-off", "invalid-url", "url-port", "host-not-public", "model-not-found", "upload-gave-way",
        "image-too-large", "file-too-large", "unsupported-image", "unsupported-content-type", "decoder-ended", "invalid-image", "queue-full",
        "upload-memory-used", "upload-share-used", "too-many-fetches", "backend-failed", "upstream-failed", "model-not-ready", "timed-out",
    ];

    public static void MapPredictions(this IEndpointRouteBuilder app)
    {
        // curl -T sends PUT.
        app.MapPut("/predict", PredictAsync).WithMetadata(new AnswersPicturesAttribute()).For(Audience.Clients).ExcludeFromDescription();
        app.MapPost("/predict", PredictAsync)
            .WithName("Predict")
            .WithTags("Predictions")
            .WithSummary("Classify a photo")
            .WithDescription(
                "Send the picture as a multipart form, as the raw body, or as JSON: `{\"image\":\"<base64 or data URL>\"}`. JPEG, PNG, WebP, GIF "
                + "(first frame), AVIF, TIFF, BMP, ICO and Netpbm; what the body begins with decides, whatever its type says. Fields of the body mean what "
                + "they mean in the query, which precedes them.")
            .WithMetadata(new PictureBodyAttribute(), new AnswersPicturesAttribute())
            .For(Audience.Clients)
            .Produces<PredictionResponse>()
            .Refuses([.. Refusals, "field-too-late", "too-many-pictures"]);
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
        [FromServices] Overlay overlay,
        [FromServices] InferenceExceptionHandler failures)
    {
        var fields = new PredictFields(model, topK ?? topKSnakeCase, explain);
        using var target = new Target(context, catalog, classifier, fields);
        if (await target.RefuseAsync() is { } refusal)
        {
            context.Facts().IsCounted = true;
            await failures.WriteAsync(context, refusal, context.RequestAborted);
            return;
        }

        byte[]? drawn = null;
        var answers = new List<(string? File, PredictionResponse? Answer, Refusal? Failure)>();
        await foreach (var file in input.ReadAsync(context, fields, context.RequestAborted))
        {
            await target.ChooseAsync();
            if (fields.WantsPicture && answers.Count > 0)
            {
                throw new InferenceException(InferenceError.InvalidRequest, "too-many-pictures",
                    "With explain=png a request has one picture, and its answer is one; this one has more than 1.", ("limit", 1));
            }

            try
            {
                var answer = await context.ClassifyAsync(classifier, file.Memory, target.OptionsNow);
                drawn = fields.WantsPicture ? await overlay.DrawAsync(target.Model, file.Memory, answer.Predictions[0].Map!, context.RequestAborted) : null;
                answers.Add((file.Name, PredictionResponse.From(answer, fields.Warnings), null));
            }
            catch (InferenceException failure)
            {
                answers.Add((file.Name, null, failures.Describe(context, failure)));
                context.Facts().IsCounted = false;
            }
        }

        if (answers.Count > 1)
        {
            var results = answers.Select(picture => picture.Answer is { } answer
                ? PredictionResult.From(answer with { Predictions = [.. answer.Predictions.Take(target.Options.TopK)] }, picture.File)
                : new() { File = picture.File, Error = picture.Failure!.ToProblem() });
            await context.Response.WriteAsJsonAsync(new PredictionsResponse([.. results]), ReadableJson.Predictions.PredictionsResponse);
        }
        else if (answers[0].Failure is { } failure)
        {
            context.Facts().IsCounted = true;
            await failure.WriteAsync(context.Response, context.RequestAborted);
        }
        else
        {
            await (drawn is null ? WriteAsync(context, answers[0].Answer!) : WriteAsync(context, answers[0].Answer!, drawn));
        }
    }

    /// <summary>The answer's timing as a header, for the browser's developer tools and for scripts that measure.</summary>
    public static void AddServerTiming(this HttpResponse response, TimingResponse timing) => response.Headers["Server-Timing"] = string.Create(
        CultureInfo.InvariantCulture,
        $"{LoadOf(timing)}decode;dur={timing.DecodeMs}, preprocess;dur={timing.PreprocessMs}, queue;dur={timing.QueueMs}, compute;dur={timing.ComputeMs}, " +
            $"total;dur={timing.TotalMs}");

    private static string LoadOf(TimingResponse timing) =>
        timing.LoadMs is { } load ? string.Create(CultureInfo.InvariantCulture, $"load;dur={load}, ") : "";

    private static async Task WriteAsync(HttpContext context, PredictionResponse answer)
    {
        // In one piece, with its length: chunks would cost a second write and say nothing.
        var json = JsonSerializer.SerializeToUtf8Bytes(answer, ReadableJson.Predictions.PredictionResponse);
        context.Response.AddServerTiming(answer.Timing);
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = json.Length;
        await context.Response.BodyWriter.WriteAsync(json, context.RequestAborted);
    }

    /// <summary>The picture that explains the answer; whose it is stands beside it, as a dictionary: https://www.rfc-editor.org/rfc/rfc9651.</summary>
    private static async Task WriteAsync(HttpContext context, PredictionResponse answer, byte[] picture)
    {
        var best = answer.Predictions[0];
        context.Response.AddServerTiming(answer.Timing);
        context.Response.Headers["X-Explanation"] = string.Create(
            CultureInfo.InvariantCulture,
            $"method={answer.Explanation!.Method}, runs={answer.Explanation.Runs}, model={DisplayString(answer.Model)}, label={DisplayString(best.Label)}, "
                + $"index={best.Index}, confidence={best.Confidence:0.000}, abstained={(answer.Abstained ? "?1" : "?0")}");
        context.Response.ContentType = "image/png";
        context.Response.ContentLength = picture.Length;
        await context.Response.BodyWriter.WriteAsync(picture, context.RequestAborted);

        // Section 4.1.11: what is not printable ASCII, and % and ", by the bytes of UTF-8; in lowercase.
        static string DisplayString(string text) => $"%\"{string.Concat(Encoding.UTF8.GetBytes(text).Select(unit =>
            unit is >= 0x20 and < 0x7F and not (byte)'%' and not (byte)'"' ? $"{(char)unit}" : $"%{unit:x2}"))}\"";
    }

    /// <summary>The model that a request names, leased, and what is asked of it; both may be in the body, behind the picture.</summary>
    private sealed class Target(HttpContext context, ModelCatalog catalog, ImageClassifier classifier, PredictFields fields) : IDisposable
    {
        private readonly RequestFacts _facts = context.Facts();
        private ModelLease? _lease;
        private string? _name;
        private (string? Model, string? Explain)? _used;

        public Model Model => _lease!.Value.Model;

        /// <summary>What is asked for by now.</summary>
        public ClassifyOptions Options { get; private set; }

        /// <summary>The same for a picture that is answered now: how many labels are wanted may stand behind the last picture.</summary>
        public ClassifyOptions OptionsNow
        {
            get
            {
                _used = (fields.Model, fields.Explain);
                return fields.IsComplete || fields.TopK is not null ? Options : Options with { TopK = Model.Classes.Count };
            }
        }

        /// <summary>Why the request is refused before its body is read, if it is.</summary>
        public async ValueTask<InferenceException?> RefuseAsync()
        {
            try
            {
                await ChooseAsync();
            }
            catch (InferenceException exception) when (fields.Model is null && exception.Error is InferenceError.ModelNotFound or InferenceError.ModelNotReady)
            {
                // The body may name another.
                return null;
            }

            return classifier.Refuse(Model);
        }

        /// <summary>Takes what is asked for by now.</summary>
        /// <exception cref="InferenceException">
        /// <see cref="InferenceError.ModelNotFound"/>, <see cref="InferenceError.ModelNotReady"/>, <see cref="InferenceError.InvalidRequest"/>.
        /// </exception>
        public async ValueTask ChooseAsync()
        {
            if (_used is { } used && used != (fields.Model, fields.Explain))
            {
                throw new InferenceException(InferenceError.InvalidRequest, "field-too-late",
                    "The fields model and explain must stand before the second picture of a form.");
            }

            if (_lease is null || _name != fields.Model)
            {
                _lease?.Dispose();
                (_lease, _facts.Model) = (null, null);
                _lease = await catalog.LeaseAsync(fields.Model, context.RequestAborted);
                _facts.Take(_lease.Value);
                _name = fields.Model;
            }

            Options = fields.ToOptions(Model.Classes.Count);
            classifier.Check(Model, Options);
        }

        public void Dispose() => _lease?.Dispose();
    }
}
