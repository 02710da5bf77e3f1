using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Diagnostics;
using Whatsit.Inference;
using Whatsit.Server.Limits;
using Whatsit.Server.Management;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server;

/// <summary>The one place that turns a failure into a status code. Native routes answer with RFC 9457 problem details.</summary>
internal sealed partial class InferenceExceptionHandler(Shutdown shutdown, ILogger<InferenceExceptionHandler> logger) : IExceptionHandler
{
    /// <summary>The status code of each failure.</summary>
    public static int StatusOf(InferenceError error) => error switch
    {
        InferenceError.InvalidRequest => StatusCodes.Status400BadRequest,
        InferenceError.InvalidImage => StatusCodes.Status422UnprocessableEntity,
        InferenceError.UnsupportedImage => StatusCodes.Status415UnsupportedMediaType,
        InferenceError.ImageTooLarge => StatusCodes.Status413PayloadTooLarge,
        InferenceError.ModelNotFound => StatusCodes.Status404NotFound,
        InferenceError.ModelNotReady => StatusCodes.Status503ServiceUnavailable,
        InferenceError.QueueFull => StatusCodes.Status429TooManyRequests,
        InferenceError.TimedOut => StatusCodes.Status504GatewayTimeout,
        InferenceError.UpstreamFailed => StatusCodes.Status502BadGateway,
        InferenceError.BackendFailed => StatusCodes.Status500InternalServerError,
        _ => StatusCodes.Status500InternalServerError,
    };

    /// <summary>
    /// What a client may know of any failure: our own sentence, the framework's about a malformed request, or nothing but that it failed. What we caused is
    /// logged with its cause; the request's line and the metrics get the outcome. Every route's failures come through here.
    /// </summary>
    public Refusal Describe(HttpContext context, Exception exception)
    {
        var (outcome, refusal) = exception switch
        {
            InferenceException inference =>
                (inference.Error.ToString(),
                    new Refusal(StatusOf(inference.Error), TitleOf(inference.Error), inference.Code, inference.Message, inference.Parameters)),
            RequestRefusedException refused => (OutcomeOf(refused.StatusCode), refused.Refusal),
            OperationCanceledException when shutdown.IsOver => ("ShuttingDown", new(
                StatusCodes.Status503ServiceUnavailable, "Shutting down", "shutting-down",
                    "The server is shutting down, and the upload had not come to its end. Send it again.")),
            // Whoever left reads no answer. Kestrel may say so before it cancels RequestAborted, and has no type for the last of these.
            OperationCanceledException or ConnectionResetException or BadHttpRequestException { Message: "Unexpected end of request content." } =>
                (RequestLog.ClientLeft, new(
                StatusCodes.Status499ClientClosedRequest, "Client closed request", "client-left", "The client left before the answer.")),
            BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout and var slow } =>
                (OutcomeOf(slow), new(slow, "Too slow", "upload-too-slow", "The request body arrived too slowly.")),
            BadHttpRequestException bad =>
                (OutcomeOf(bad.StatusCode), new(bad.StatusCode, "Invalid request", "malformed-request", "The request is malformed or ended too early.")),
            _ => ("InternalError", new(
                StatusCodes.Status500InternalServerError, "Internal error", "internal-error", "Something went wrong on the server. It has been logged.")),
        };
        context.Facts().Failure = outcome;
        if (refusal.Status == StatusCodes.Status500InternalServerError)
        {
            Log.Failed(logger, context.Request.Method, context.Request.Path, exception);
        }

        return refusal;
    }

    /// <summary>Where retrying may help, after how many seconds.</summary>
    public static void AddRetryAfter(HttpResponse response, int status)
    {
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
        {
            response.Headers.RetryAfter = "1";
        }
    }

    /// <inheritdoc/>
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        await WriteAsync(httpContext, exception, cancellationToken);
        return true;
    }

    /// <summary>Answers with a failure, thrown or not.</summary>
    public async Task WriteAsync(HttpContext context, Exception failure, CancellationToken cancellationToken)
    {
        try
        {
            await Describe(context, failure).WriteAsync(context.Response, cancellationToken);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            // Nobody reads it: no failure of ours.
        }
    }

    /// <summary>What the metrics call a refusal by the web server or before the routes.</summary>
    private static string OutcomeOf(int status) => status switch
    {
        StatusCodes.Status408RequestTimeout => "TooSlow",
        StatusCodes.Status413PayloadTooLarge => nameof(InferenceError.ImageTooLarge),
        _ => nameof(InferenceError.InvalidRequest),
    };

    private static string TitleOf(InferenceError error) => error switch
    {
        InferenceError.InvalidRequest => "Invalid request",
        InferenceError.InvalidImage => "Unreadable picture",
        InferenceError.UnsupportedImage => "Unsupported format",
        InferenceError.ImageTooLarge => "Too large",
        InferenceError.ModelNotFound => "Unknown model",
        InferenceError.ModelNotReady => "Model not ready",
        InferenceError.QueueFull => "Too busy",
        InferenceError.TimedOut => "Took too long",
        InferenceError.UpstreamFailed => "Fetching failed",
        InferenceError.BackendFailed => "The model failed",
        _ => "Internal error",
    };

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
        public static partial void Failed(ILogger logger, string method, string path, Exception exception);
    }
}
