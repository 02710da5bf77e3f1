using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Explaining;

namespace Whatsit.Server.Predictions;

/// <summary>The answer to one picture.</summary>
/// <param name="Model">The model that answered.</param>
/// <param name="Version">Its version.</param>
/// <param name="Variant">The variant of its weights: fp32, fp16, int8.</param>
/// <param name="Predictions">The best labels, best first.</param>
/// <param name="Abstained">The model is not sure: no label reached its threshold.</param>
/// <param name="Explanation">How the predictions' maps were made; absent where none were asked for.</param>
/// <param name="Image">The picture as it was sent.</param>
/// <param name="Timing">Where the time went, in milliseconds.</param>
/// <param name="Warnings">What the reader should know of this answer; absent where there is nothing.</param>
public sealed record PredictionResponse(
    string Model,
    string Version,
    string Variant,
    IReadOnlyList<Prediction> Predictions,
    bool Abstained,
    Explanation? Explanation,
    ImageDescription Image,
    TimingResponse Timing,
    IReadOnlyList<Warning>? Warnings)
{
    /// <summary>The core's answer in the wire's form.</summary>
    /// <param name="answer">The core's.</param>
    /// <param name="warnings">What is to be said of the request.</param>
    public static PredictionResponse From(Classification answer, IReadOnlyList<Warning> warnings) => new(
        answer.Model,
        answer.Version,
        answer.Variant,
        answer.Predictions,
        answer.Abstained,
        answer.Explanation,
        answer.Image,
        TimingResponse.From(answer.Timings),
        warnings.Count + answer.Warnings.Count > 0 ? [.. answer.Warnings, .. warnings] : null);
}

/// <summary>Where the time went, in milliseconds.</summary>
/// <param name="DecodeMs">File to pixels.</param>
/// <param name="PreprocessMs">Pixels to tensor.</param>
/// <param name="QueueMs">Waiting.</param>
/// <param name="ComputeMs">The model's run.</param>
/// <param name="TotalMs">From the whole file in memory to the predictions, and the load.</param>
/// <param name="LoadMs">Waiting until the model was loaded; absent where it was.</param>
public sealed record TimingResponse(double DecodeMs, double PreprocessMs, double QueueMs, double ComputeMs, double TotalMs, double? LoadMs = null)
{
    /// <summary>Rounded to microseconds.</summary>
    public static TimingResponse From(Timings timings) =>
        new(Ms(timings.Decode), Ms(timings.Preprocess), Ms(timings.Queue), Ms(timings.Compute), Ms(timings.Total),
            timings.Load > TimeSpan.Zero ? Ms(timings.Load) : null);

    /// <summary>The core's, for programs that ask a server.</summary>
    public Timings ToTimings() => new()
    {
        Decode = TimeSpan.FromMilliseconds(DecodeMs),
        Preprocess = TimeSpan.FromMilliseconds(PreprocessMs),
        Queue = TimeSpan.FromMilliseconds(QueueMs),
        Compute = TimeSpan.FromMilliseconds(ComputeMs),
        Total = TimeSpan.FromMilliseconds(TotalMs),
        Load = TimeSpan.FromMilliseconds(LoadMs ?? 0),
    };

    private static double Ms(TimeSpan time) => Math.Round(time.TotalMilliseconds, 3);
}

/// <summary>The answer to several pictures, in the order in which they came. Each is a prediction or an error.</summary>
/// <param name="Results">One per picture.</param>
public sealed record PredictionsResponse(IReadOnlyList<PredictionResult> Results);

/// <summary>One of several pictures: the prediction's members, or <c>error</c>.</summary>
public sealed record PredictionResult
{
    /// <summary>The file's name, where the client sent one.</summary>
    public string? File { get; init; }

    /// <summary>The model that answered.</summary>
    public string? Model { get; init; }

    /// <summary>Its version.</summary>
    public string? Version { get; init; }

    /// <summary>The variant of its weights.</summary>
    public string? Variant { get; init; }

    /// <summary>The best labels, best first.</summary>
    public IReadOnlyList<Prediction>? Predictions { get; init; }

    /// <summary>The model is not sure.</summary>
    public bool? Abstained { get; init; }

    /// <summary>How the predictions' maps were made.</summary>
    public Explanation? Explanation { get; init; }

    /// <summary>The picture as it was sent.</summary>
    public ImageDescription? Image { get; init; }

    /// <summary>Where the time went.</summary>
    public TimingResponse? Timing { get; init; }

    /// <summary>What the reader should know of this answer.</summary>
    public IReadOnlyList<Warning>? Warnings { get; init; }

    /// <summary>Why this picture has no answer.</summary>
    public ProblemDetails? Error { get; init; }

    /// <summary>The core's answer in the wire's form.</summary>
    public static PredictionResult From(PredictionResponse answer, string? file) => new()
    {
        File = file,
        Model = answer.Model,
        Version = answer.Version,
        Variant = answer.Variant,
        Predictions = answer.Predictions,
        Abstained = answer.Abstained,
        Explanation = answer.Explanation,
        Image = answer.Image,
        Timing = answer.Timing,
        Warnings = answer.Warnings,
    };
}

/// <summary>The picture as base64 text, for clients that speak only JSON.</summary>
/// <param name="Image">Base64 text or a data URL.</param>
/// <param name="Url">A public URL instead, where the server allows it.</param>
/// <param name="Model">The model; the query's precedes it.</param>
/// <param name="TopK">How many labels.</param>
/// <param name="Explain">Adds to each label where in the picture the evidence lies; or "png".</param>
public sealed record JsonImage(string? Image, string? Url, string? Model, int? TopK, bool? Explain);

/// <summary>Everything the native routes write.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PredictionResponse))]
[JsonSerializable(typeof(PredictionsResponse))]
[JsonSerializable(typeof(JsonImage))]
[JsonSerializable(typeof(ProblemDetails))]
// What the parameters of warnings and refusals may be.
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(double))]
[JsonSerializable(typeof(string[]))]
[JsonSerializable(typeof(Dictionary<string, object>))]
internal sealed partial class PredictionJson : JsonSerializerContext;
