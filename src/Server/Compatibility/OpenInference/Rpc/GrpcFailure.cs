using System.Text;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>How failures are said over gRPC: a status with the sentence, and the stable code as <c>whatsit-code</c> beside it.</summary>
internal static class GrpcFailure
{
    private const string CodeHeader = "whatsit-code";

    /// <summary>Whether a request is gRPC's (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Requests").</summary>
    public static bool Speaks(HttpRequest request) => request.ContentType is { } type
        && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase)
        && (type.Length == "application/grpc".Length || type["application/grpc".Length] is '+' or ';')
        && HttpProtocol.IsHttp2(request.Protocol);

    /// <summary>The status of a refusal (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).</summary>
    public static StatusCode StatusOf(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => StatusCode.Unauthenticated,
        StatusCodes.Status403Forbidden => StatusCode.PermissionDenied,
        StatusCodes.Status404NotFound => StatusCode.NotFound,
        StatusCodes.Status405MethodNotAllowed => StatusCode.Unimplemented,
        StatusCodes.Status408RequestTimeout => StatusCode.Aborted,
        StatusCodes.Status429TooManyRequests => StatusCode.ResourceExhausted,
        StatusCodes.Status499ClientClosedRequest => StatusCode.Cancelled,
        // Only what has not begun: whoever is in front of several servers asks another one then.
        StatusCodes.Status503ServiceUnavailable => StatusCode.Unavailable,
        StatusCodes.Status504GatewayTimeout => StatusCode.DeadlineExceeded,
        < StatusCodes.Status500InternalServerError => StatusCode.InvalidArgument,
        _ => StatusCode.Internal,
    };

    /// <summary>A refusal as the framework's exception.</summary>
    public static RpcException Of(Refusal refusal, HttpContext context)
    {
        context.Facts().Status = refusal.Status;
        return new(new(StatusOf(refusal.Status), refusal.Detail), new Metadata { { CodeHeader, refusal.Code } });
    }

    /// <summary>A refusal in front of the service: headers alone ("Trailers-Only").</summary>
    public static void Write(Refusal refusal, HttpResponse response)
    {
        response.HttpContext.Facts().Status = refusal.Status;
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "application/grpc";
        response.Headers.GrpcStatus = ((int)StatusOf(refusal.Status)).ToString(System.Globalization.CultureInfo.InvariantCulture);
        response.Headers.GrpcMessage = Escape(refusal.Detail);
        response.Headers[CodeHeader] = refusal.Code;
    }

    /// <summary>What is not printable ASCII goes as %XX ("Responses", Percent-Encoded).</summary>
    private static string Escape(string sentence)
    {
        var escaped = new StringBuilder(sentence.Length);
        foreach (var value in Encoding.UTF8.GetBytes(sentence))
        {
            _ = value is >= 0x20 and <= 0x7E and not (byte)'%' ? escaped.Append((char)value) : escaped.Append('%').Append(value.ToString("X2", null));
        }

        return escaped.ToString();
    }
}

/// <summary>Turns what the service's methods throw into a status.</summary>
internal sealed class GrpcFailures(InferenceExceptionHandler failures) : Interceptor
{
    /// <inheritdoc/>
    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        try
        {
            return await continuation(request, context);
        }
        catch (Exception exception) when (exception is not RpcException)
        {
            var http = context.GetHttpContext();
            throw GrpcFailure.Of(failures.Describe(http, exception), http);
        }
    }
}
