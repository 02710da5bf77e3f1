using System.Net;
using Microsoft.AspNetCore.HttpOverrides;
using IPNetwork = System.Net.IPNetwork;

namespace Whatsit.Server.Access;

/// <summary>Where a request comes from and under which address the server is known there: proxies, a path prefix, other origins' pages.</summary>
internal static class Origins
{
    /// <summary>Believes the known proxies, and takes the path prefix off, whether the proxy has done it or not.</summary>
    public static void UseProxies(this WebApplication app)
    {
        if (app.Services.GetRequiredService<ProxiesOptions>().Known is { Count: > 0 } known)
        {
            var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.All, ForwardLimit = null };
            options.KnownProxies.Clear();
            options.KnownIPNetworks.Clear();
            foreach (var proxy in known)
            {
                if (IPNetwork.TryParse(proxy, out var network))
                {
                    options.KnownIPNetworks.Add(network);
                }
                else
                {
                    options.KnownProxies.Add(IPAddress.Parse(proxy));
                }
            }

            app.UseForwardedHeaders(options);
        }

        var configured = PathBaseOf(app.Configuration);
        app.Use((context, next) =>
        {
            var request = context.Request;
            // A proxy's own word is the more exact one.
            var prefix = request.PathBase.HasValue ? request.PathBase : configured;
            if (prefix.HasValue)
            {
                request.PathBase = prefix;
                if (request.Path.StartsWithSegments(prefix, out var rest))
                {
                    request.Path = rest;
                }

                if (!request.Path.HasValue)
                {
                    // The page's own addresses are relative to a folder.
                    context.Response.Redirect(prefix.Add("/").ToUriComponent() + request.QueryString.ToUriComponent(), permanent: true, preserveMethod: true);
                    return Task.CompletedTask;
                }
            }

            return next(context);
        });
    }

    /// <summary>Lets other origins' pages ask, where that is configured.</summary>
    public static void AddOrigins(this IServiceCollection services)
    {
        services.AddCors();
        services.AddOptions<Microsoft.AspNetCore.Cors.Infrastructure.CorsOptions>().Configure<CrossOriginOptions>((cors, options) =>
            cors.AddDefaultPolicy(policy =>
        {
            policy.AllowAnyHeader().AllowAnyMethod().SetPreflightMaxAge(TimeSpan.FromHours(1));
            policy.WithExposedHeaders("Server-Timing", "Retry-After", "ETag", "Content-Length", "Content-Range", "X-Explanation");
            _ = options.Origins.Contains("*") ? policy.AllowAnyOrigin() : policy.WithOrigins([.. options.Origins]);
        }));
    }

    /// <summary>In front of routing: a preflight asks for a method that the route does not have.</summary>
    public static void UseOrigins(this WebApplication app)
    {
        if (app.Services.GetRequiredService<CrossOriginOptions>().Origins.Count > 0)
        {
            app.UseCors();
        }
    }

    private static PathString PathBaseOf(IConfiguration configuration) =>
        configuration["PathBase"]?.Trim('/') is { Length: > 0 } prefix ? new PathString("/" + prefix) : PathString.Empty;
}
