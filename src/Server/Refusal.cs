using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Server.Compatibility;
using Whatsit.Server.Compatibility.OpenInference.Rpc;
using Whatsit.Server.Predictions;

namespace Whatsit.Server;

/// <summary>Why a request was refused, for people and programs: RFC 9457 problem details, with a stable code and the values of the sentence.</summary>
/// <param name="Status">The status code.</param>
/// <param name="Title">What kind of failure.</param>
/// <param name="Code">The stable code; the README lists them.</param>
/// <param name="Detail">One sentence.</param>
/// <param name="Parameters">The values in the sentence, by name.</param>
internal sealed record Refusal(int Status, string Title, string Code, string Detail, IReadOnlyDictionary<string, object> Parameters)
{
    public Refusal(int status, string title, string code, string detail)
        : this(status, title, code, detail, Codes.None)
    {
    }

    /// <summary>Enough of what a client wrote to know it again.</summary>
    public static string Shorten(string text, int most = 40) => Sentence.OneLine(text, most);

    /// <summary>As it is written.</summary>
    public ProblemDetails ToProblem()
    {
        var problem = new ProblemDetails { Type = "about:blank", Status = Status, Title = Title, Detail = Detail, Extensions = { ["code"] = Code } };
        if (Parameters.Count > 0)
        {
            problem.Extensions["parameters"] = Parameters;
        }

        return problem;
    }

    /// <summary>The whole answer: status, headers, body, in the form of the protocol that was spoken.</summary>
    public Task WriteAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        response.StatusCode = Status;
        InferenceExceptionHandler.AddRetryAfter(response, Status);
        if (GrpcFailure.Speaks(response.HttpContext.Request))
        {
            GrpcFailure.Write(this, response);
            return Task.CompletedTask;
        }

        if (Protocols.Fail(this, response.HttpContext.Request) is { } failure)
        {
            response.StatusCode = failure.Status;
            response.ContentType = "application/json";
            response.ContentLength = failure.Json.Length;
            return response.Body.WriteAsync(failure.Json, cancellationToken).AsTask();
        }

        return response.WriteAsJsonAsync(ToProblem(), ReadableJson.Predictions.ProblemDetails, "application/problem+json", cancellationToken);
    }

    /// <summary>Its body's bytes, where no request was read.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(ToProblem(), ReadableJson.Predictions.ProblemDetails);
}

/// <summary>
/// JSON that can be read in a terminal: quotes, <c>&lt;</c>, × and é as they are. The framework escapes them for pages that paste JSON into HTML; ours is
/// sent as JSON, with <c>nosniff</c>.
/// </summary>
internal static class ReadableJson
{
    /// <summary>What the native routes write.</summary>
    public static PredictionJson Predictions { get; } = new(Of(PredictionJson.Default.Options));

    public static JavaScriptEncoder Encoder => JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    public static JsonSerializerOptions Of(JsonSerializerOptions options) => new(options) { Encoder = Encoder };
}
