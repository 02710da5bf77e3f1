using Microsoft.AspNetCore.WebUtilities;

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
        app.UseStatusCodePages(pages =>
        {
            var context = pages.HttpContext;
            var path = Refusal.Shorten(context.Request.Path.Value!, most: 80);
            var status = context.Response.StatusCode;
            var refusal = status switch
            {
                StatusCodes.Status404NotFound => new Refusal(
                    status,
                    "No such route",
                    "route-not-found",
                    $"There is no '{path}' here. Pictures go to POST /predict; the other routes are in parameters.",
                    new Dictionary<string, object> { ["path"] = path, ["routes"] = routes.Value }),
                StatusCodes.Status405MethodNotAllowed => new Refusal(
                    status,
                    "Wrong method",
                    "method-not-allowed",
                    $"{context.Request.Method} is not possible at '{path}'; {context.Response.Headers.Allow} is.",
                    new Dictionary<string, object>
                    {
                        ["method"] = context.Request.Method,
                        ["allowed"] = context.Response.Headers.Allow.ToString(),
                        ["routes"] = routes.Value,
                    }),
                _ => new Refusal(status, ReasonPhrases.GetReasonPhrase(status), "malformed-request",
                    $"The request was refused: {ReasonPhrases.GetReasonPhrase(status)}."),
            };
            return refusal.WriteAsync(context.Response, context.RequestAborted);
        });
    }

    private static string MethodOf(Endpoint endpoint) => endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods[0] ?? HttpMethods.Get;

    private sealed class Head;
}
