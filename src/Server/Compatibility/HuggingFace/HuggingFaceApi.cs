using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.Server.Access;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility.HuggingFace;

/// <summary>
/// Hugging Face's image classification task (https://huggingface.co/docs/inference-providers/tasks/image-classification), at <c>/models/{model}</c> and, since
/// its client posts to the very URL that it was given, at <c>/</c>. Failures are <c>{"error":"…"}</c>.
/// </summary>
internal static class HuggingFaceApi
{
    private static readonly HuggingFaceJson Written = new(ReadableJson.Of(HuggingFaceJson.Default.Options));

    // A guess, as theirs is; their clients wait so long before they ask again.
    private const decimal SecondsToLoad = 20.0m;

    public static void MapHuggingFace(this IEndpointRouteBuilder app)
    {
        foreach (var route in (string[])["/", "/models/{model}"])
        {
            app.MapPost(route, AnswerAsync).WithMetadata(new AnswersPicturesAttribute()).For(Audience.Clients).ExcludeFromDescription();
        }
    }

    /// <summary>Whether a request is one of this protocol.</summary>
    public static bool Speaks(HttpRequest request) => HttpMethods.IsPost(request.Method)
        && (request.Path.Value is "/" or "" || (request.Path.StartsWithSegments("/models", out var rest) && rest.HasValue));

    /// <summary>A failure in the protocol's form.</summary>
    public static ProtocolFailure Fail(Refusal refusal, HttpRequest request)
    {
        var catalog = request.HttpContext.RequestServices.GetRequiredService<ModelCatalog>();
        var name = request.Path.StartsWithSegments("/models", out var rest) ? rest.Value!.Trim('/') : catalog.DefaultModel;
        var isLoading = refusal.Code == "model-not-ready" && catalog.Models.All(model => model.Name != name || model.State == ModelState.Loading);
        return new(refusal.Status, JsonSerializer.SerializeToUtf8Bytes(
            isLoading ? new($"Model {Refusal.Shorten(name)} is currently loading", SecondsToLoad) : new(refusal.Detail, null),
            Written.HuggingFaceFailure));
    }

    private static Task AnswerAsync(HttpContext context, string? model, [FromServices] ModelRequests models) =>
        models.AnswerAsync(context, model, null, $"Model {Refusal.Shorten(model ?? models.Catalog.DefaultModel)} does not exist", async leased =>
        {
            using var body = await models.ReadBodyAsync(context);
            var (picture, topK, function) = Read(body.Memory);
            topK = Math.Min(topK ?? ClassifyOptions.DefaultTopK, leased.Classes.Count);
            var labels = function is null or "softmax"
                ? (await models.ClassifyAsync(context, picture, topK.Value)).Predictions
                    .Select(prediction => new Label(prediction.Label, prediction.Confidence))
                : await ApplyAsync(context, models, leased, picture, topK.Value, function);
            await context.Response.WriteAsJsonAsync([.. labels], Written.ListLabel);
        });

    private static (ReadOnlyMemory<byte> Picture, int? TopK, string? Function) Read(Memory<byte> body)
    {
        if (!body.Span.TrimStart(" \t\r\n"u8).StartsWith("{"u8))
        {
            return (body, null, null);
        }

        try
        {
            ReadOnlyMemory<byte>? picture = null;
            var parameters = default(JsonElement);
            var reader = new Utf8JsonReader(body.Span);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = JsonBody.Text(reader);
                reader.Read();
                if (name == "inputs" && reader.TokenType == JsonTokenType.String)
                {
                    picture = RequestJson.ReadPicture(body, ref reader, "inputs");
                }
                else if (name == "parameters")
                {
                    parameters = RequestJson.ReadShort(ref reader);
                }
                else
                {
                    reader.Skip();
                }
            }

            reader.Read();
            var function = parameters.Member("function_to_apply");
            var topK = parameters.Member("top_k");
            return (
                picture ?? throw Invalid("\"inputs\" is missing: the picture as base64 text."),
                topK.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? null
                    : topK.ValueKind == JsonValueKind.Number && topK.TryGetInt32(out var count) && count > 0 ? count
                    : throw Invalid($"top_k is {Refusal.Shorten(topK.GetRawText())}; it must be a whole number from 1."),
                function.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? null
                    : function.ValueKind == JsonValueKind.String && function.GetString() is "softmax" or "sigmoid" or "none" ? function.GetString()
                    : throw Invalid($"function_to_apply is {Refusal.Shorten(function.GetRawText())}; it must be softmax, sigmoid or none."));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "The body is no valid JSON.", exception);
        }
    }

    /// <summary>
    /// Scores by another function than the model's own. A graph that ends in probabilities has logits all the same, up to a number that is added to all of
    /// them: their logarithms.
    /// </summary>
    private static async Task<IEnumerable<Label>> ApplyAsync(HttpContext context, ModelRequests models, Model model, ReadOnlyMemory<byte> picture, int topK,
        string function)
    {
        var answers = await models.InferAsync(context, [new(picture, IsTensor: false)], [model.Manifest.Output.Name]);
        var scores = MemoryMarshal.Cast<byte, float>(answers[0].Outputs[0].Data).ToArray();
        var best = new int[topK];
        TopK.Select(scores, best);
        var isLogits = model.Manifest.Output.Kind == OutputKind.Logits;
        return best.Select(index => new Label(model.Classes[index].Label, (function, isLogits) switch
        {
            ("none", _) => scores[index],
            (_, true) => 1 / (1 + MathF.Exp(-scores[index])),
            // sigmoid(log p)
            _ => scores[index] / (1 + scores[index]),
        }));
    }

    private static InferenceException Invalid(string sentence) => new(InferenceError.InvalidRequest, sentence);
}

/// <summary>One label.</summary>
internal sealed record Label([property: JsonPropertyName("label")] string Name, float Score);

internal sealed record HuggingFaceFailure(string Error, decimal? EstimatedTime);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(List<Label>))]
[JsonSerializable(typeof(HuggingFaceFailure))]
internal sealed partial class HuggingFaceJson : JsonSerializerContext;
