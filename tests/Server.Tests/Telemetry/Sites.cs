using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;

namespace Whatsit.Server.Tests.Telemetry;

internal static class Sites
{
    /// <summary>A web server with one file, which tells with which headers it was first asked for it.</summary>
    public static async Task<(WebApplication Site, Task<IReadOnlyDictionary<string, string>> Asked)> StartAsync(byte[] file)
    {
        var asked = new TaskCompletionSource<IReadOnlyDictionary<string, string>>();
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var site = builder.Build();
        site.Run(context =>
        {
            asked.TrySetResult(context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase));
            return context.Response.Body.WriteAsync(file).AsTask();
        });
        await site.StartAsync();
        return (site, asked.Task);
    }
}
