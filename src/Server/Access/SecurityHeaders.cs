using Microsoft.AspNetCore.Connections.Features;

namespace Whatsit.Server.Access;

/// <summary>What every answer says about its own safe use, refusals included.</summary>
internal static class SecurityHeaders
{
    // The page's own files and nothing else; WebAssembly compiles, but text never becomes a program. blob: is what the page makes itself: previews of photos,
    // and the workers of the engines' threads, which import themselves. https: is pictures, which a visitor may name by their address.
    private const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; connect-src 'self' https: blob: data:; "
        + "img-src 'self' https: blob: data:; media-src 'self' blob:; "
        + "style-src 'self'; font-src 'self' data:; manifest-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    public static void UseSecurityHeaders(this WebApplication app)
    {
        var isShared = app.Services.GetRequiredService<CrossOriginOptions>().Origins.Count > 0;
        // A certificate that nobody vouches for must not bind a browser for a month.
        var isStrict = !app.Configuration.GetValue<bool>("https");
        Func<object, Task> add = state =>
        {
            var context = (HttpContext)state;
            var headers = context.Response.Headers;
            headers.ContentSecurityPolicy = ContentSecurityPolicy;
            headers["Referrer-Policy"] = "no-referrer";
            headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()";
            headers.XContentTypeOptions = "nosniff";
            headers["Cross-Origin-Resource-Policy"] = isShared ? "cross-origin" : "same-origin";
            if (isShared)
            {
                // https://www.w3.org/TR/resource-timing/#sec-timing-allow-origin: without it, other origins' pages do not see Server-Timing.
                headers["Timing-Allow-Origin"] = "*";
            }

            if (isStrict && context.Features.Get<ITlsHandshakeFeature>() is not null)
            {
                headers.StrictTransportSecurity = "max-age=2592000";
            }

            return Task.CompletedTask;
        };
        app.Use((context, next) =>
        {
            context.Response.OnStarting(add, context);
            return next(context);
        });
    }
}
