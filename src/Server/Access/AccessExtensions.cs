using Microsoft.AspNetCore.Connections;
using Whatsit.Server.Limits;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Access;

/// <summary>Everything between a connection and the routes, in its order.</summary>
internal static class AccessExtensions
{
    public static void AddAccess(this WebApplicationBuilder builder)
    {
        builder.Services.AddSettings<AccessOptions>("Access");
        builder.Services.AddSettings<CrossOriginOptions>("Cors");
        builder.Services.AddSettings<ProxiesOptions>("Proxies");
        builder.Services.AddApiKeys();
        builder.Services.AddOrigins();
        builder.AddHttps();
        builder.Services.AddSingleton<IMemoryPoolFactory<byte>, ReceiveBlocks>();
        builder.Services.AddSingleton<ConnectionLimit>();
        builder.Services.AddSingleton<IConnectionListenerFactory, ConnectionLimit.Transport>();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.UseRequestLimits();
            ConnectionLimit.Apply(kestrel);
        });
    }

    /// <summary>In front of everything that can fail.</summary>
    public static void UseAccess(this WebApplication app)
    {
        app.UseSecurityHeaders();
        app.UseProxies();
        app.UseDraining();
        app.UseRequestLog();
        app.UseOrigins();
        app.UseRequestBodies();
    }
}
