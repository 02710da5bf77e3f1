using System.Net;
using Microsoft.AspNetCore.HttpOverrides;

namespace Whatsit.Server.Access;

/// <summary>Who sends a request.</summary>
/// <param name="Id">An API key's name or an address.</param>
/// <param name="MaxUploadBytes">The key's own share of the memory for uploads.</param>
/// <param name="RequestsPerMinute">The key's or the address's own rate; nothing: no limit.</param>
internal sealed record Client(string Id, long? MaxUploadBytes, int? RequestsPerMinute);

/// <summary>Finds out who sends a request, for limits that are a client's own.</summary>
internal static class Clients
{
    /// <summary>
    /// The API key, else the address, else nobody: behind a proxy that is not in <c>Proxies:Known</c>, everyone has the proxy's address, and a limit would be
    /// one for all.
    /// </summary>
    public static Client? Of(HttpContext context)
    {
        if (context.Features.Get<ApiKey>() is { } key)
        {
            return new($"key {key.Name}", key.MaxUploadBytes, key.RequestsPerMinute);
        }

        var headers = context.Request.Headers;
        var behindUnknownProxy = context.RequestServices.GetRequiredService<ProxiesOptions>().Known.Count == 0
            && (headers.ContainsKey(ForwardedHeadersDefaults.XForwardedForHeaderName) || headers.ContainsKey("Forwarded"));
        return behindUnknownProxy || context.Connection.RemoteIpAddress is not { } address || IPAddress.IsLoopback(address)
            ? null
            : new(address.ToString(), null, context.RequestServices.GetRequiredService<AccessOptions>().RequestsPerMinute);
    }
}
