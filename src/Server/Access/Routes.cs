using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;

namespace Whatsit.Server.Access;

/// <summary>Answers where no route does, and <c>HEAD</c> wherever <c>GET</c> is answered.</summary>
internal static class Routes
{
    /// <summary>Routing, for which HEAD is GET (RFC 9110, 9.3.2); the web server leaves the body out by itself.</summary>
    public static void UseRoutingWithHead(this WebApplication app)
    {
        app.Use((context, next) =>
        {
            if (HttpMethods.IsHead(context.Request.Method))
            {
                context.Request.Method = HttpMethods.Get;
                context.Features.Set(new Head());
            }

            return next(context);
        });
        app.UseRouting();
        app.Use((context, next) =>
        {
            if (context.Features.Get<Head>() is not null)
            {
                context.Request.Method = HttpMethods.Head;
            }

            return next(context);
        });
    }

    /// <summary>Problem details for statuses without a body.</summary>
    public static void UseProblems(this WebApplication app)
    {
        var routes = new Lazy<string[]>(() => [.. app.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>()?.ExcludeFromDescription != true)
            .Select(endpoint => $"{MethodOf(endpoint)} {endpoint.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal).TrimEnd('/')}")
            .Distinct()]);
        app.Use(async (context, next) =>
        {
            await next(context);
            // The framework's own middleware passes over what says that its body is empty, as a range does that lies outside of a file.
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null or 0 } response)
            {
                // They were the file's.
                foreach (var header in (string[])[HeaderNames.ContentDisposition, HeaderNames.CacheControl, HeaderNames.ETag])
                {
                    response.Headers.Remove(header);
                }

                response.ContentLength = null;
                await Describe(context, routes).WriteAsync(response, context.RequestAborted);
            }
        });
    }

    private static Refusal Describe(HttpContext context, Lazy<string[]> routes)
    {
        var (request, response, status) = (context.Request, context.Response, context.Response.StatusCode);
        var path = Refusal.Shorten(request.Path.Value!, most: 80);
        switch (status)
        {
            case StatusCodes.Status404NotFound:
                return new(
                    status,
                    "No such route",
                    "route-not-found",
                    $"There is no '{path}' here. Pictures go to POST /predict.",
                    new Dictionary<string, object> { ["path"] = path, ["routes"] = routes.Value });
            case StatusCodes.Status405MethodNotAllowed:
                return new(
                    status,
                    "Wrong method",
                    "method-not-allowed",
                    $"{request.Method} is not possible at '{path}'; {response.Headers.Allow} is.",
                    new Dictionary<string, object>
                    {
                        ["method"] = request.Method,
                        ["allowed"] = response.Headers.Allow.ToString(),
                        ["routes"] = routes.Value,
                    });
            case StatusCodes.Status412PreconditionFailed:
                return new(status, "Not the same", "precondition-failed", "The file is not, or no longer, the one that the request's conditions name.");
            case StatusCodes.Status416RangeNotSatisfiable:
                var range = Refusal.Shorten(request.Headers.Range.ToString());
                var bytes = response.GetTypedHeaders().ContentRange!.Length!.Value;
                return new(
                    status,
                    "No such range",
                    "range-not-satisfiable",
                    $"The range '{range}' lies outside of the file, which has {LimitsOptions.Bytes(bytes)}.",
                    new Dictionary<string, object> { ["range"] = range, ["bytes"] = bytes });
            default:
                return new(status, ReasonPhrases.GetReasonPhrase(status), "malformed-request",
                    $"The request was refused: {ReasonPhrases.GetReasonPhrase(status)}.");
        }
    }

    private static string MethodOf(Endpoint endpoint) => endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods[0] ?? HttpMethods.Get;

    private sealed class Head;
}
