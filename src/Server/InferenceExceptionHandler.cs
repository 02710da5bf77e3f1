using Microsoft.AspNetCore.Diagnostics;
using Whatsit.Inference;
using Whatsit.Server.Limits;

namespace Whatsit.Server;

/// <summary>The one place that turns a failure into a status code. Native routes answer with RFC 9457 problem details.</summary>
internal sealed partial class InferenceExceptionHandler(ILogger<InferenceExceptionHandler> logger) : IExceptionHandler
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
    /// What a client may know of any failure: our own sentence, the framework's about a malformed request, or nothing but that it failed.
    /// </summary>
    public static Refusal Describe(Exception exception) => exception switch
    {
        InferenceException inference => new(StatusOf(inference.Error), TitleOf(inference.Error), inference.Code, inference.Message, inference.Parameters),
        RequestRefusedException refused => refused.Refusal,
        BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } => new(408, "Too slow", "upload-too-slow",
            "The request body arrived too slowly."),
        BadHttpRequestException bad => new(bad.StatusCode, "Invalid request", "malformed-request", "The request is malformed or ended too early."),
        _ => new(StatusCodes.Status500InternalServerError, "Internal error", "internal-error", "Something went wrong on the server. It has been logged."),
    };

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
        if (exception is OperationCanceledException && httpContext.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to read an answer; 499 is nginx's code for it, and only the log sees it.
            httpContext.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            return true;
        }

        var refusal = Describe(exception);
        if (refusal.Status >= 500
            && exception is not InferenceException { Error: InferenceError.ModelNotReady or InferenceError.TimedOut or InferenceError.UpstreamFailed })
        {
            Log.Failed(logger, httpContext.Request.Method, httpContext.Request.Path, exception);
        }

        await refusal.WriteAsync(httpContext.Response, cancellationToken);
        return true;
    }

    /// <summary>Answers with a failure that nobody had to throw.</summary>
    public static Task WriteAsync(HttpResponse response, InferenceException failure, CancellationToken cancellationToken) =>
        Describe(failure).WriteAsync(response, cancellationToken);

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
