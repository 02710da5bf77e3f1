using System.ComponentModel.DataAnnotations;
using Whatsit.Server.Access;
using Whatsit.Server.Models;

namespace Whatsit.Server.Management;

/// <summary>Where those who run the server look into it. Configuration section <c>Management</c>.</summary>
public sealed class ManagementOptions
{
    /// <summary>
    /// A port of their own for <c>/metrics</c> and <c>/swagger</c>, which then answer nowhere else; <c>/health</c> answers there too. Close it to strangers.
    /// The default, 0, leaves them beside everything else.
    /// </summary>
    [Range(0, 65535)]
    public int Port { get; set; }

    /// <summary>
    /// SHA-256, in hexadecimal, of the key with which models may be put on the server and taken away (<c>PUT</c>, <c>DELETE /models/{name}</c>). Whoever has it
    /// decides what runs here. The default is none: nobody may.
    /// </summary>
    [RegularExpression("[0-9a-fA-F]{64}", ErrorMessage = "It must be 64 hexadecimal digits: printf %s \"$KEY\" | sha256sum.")]
    public string? KeySha256 { get; set; }

    internal byte[]? KeyHash => KeySha256 is { Length: 64 } hash && hash.All(char.IsAsciiHexDigit) ? Convert.FromHexString(hash) : null;
}

/// <summary>Keeps what strangers may ask and what they may not on different ports.</summary>
internal static class ManagementPort
{
    /// <summary>The addresses to listen at, with that of the port of their own.</summary>
    public static string AddTo(string addresses, IConfiguration configuration)
    {
        // What is no number is said with all other settings, before anything listens.
        _ = ushort.TryParse(configuration["Management:Port"], out var port);
        if (port != 0 && addresses.Split(';').Any(address => BindingAddress.Parse(address).Port == port))
        {
            throw Settings.Wrong($"The setting Management:Port is '{port}', and that is where everything else answers; name another port.");
        }

        return port == 0 ? addresses : $"{addresses};http://*:{port}";
    }

    /// <summary>After routing: what the endpoint is decides, not how the path is spelt.</summary>
    public static void UseManagementPort(this WebApplication app)
    {
        if (app.Services.GetRequiredService<ManagementOptions>().Port is not (> 0 and var port))
        {
            return;
        }

        // The page's button is where the page is; else a key that decides what runs here is for those who run it.
        var isTaught = app.Services.GetRequiredService<TeachingOptions>().Enabled;
        app.Use((context, next) =>
        {
            var here = context.GetAudience() switch
            {
                Audience.Probes => true,
                Audience.Operations => context.Connection.LocalPort == port,
                Audience.Management => isTaught || context.Connection.LocalPort == port,
                _ => context.Connection.LocalPort != port,
            };
            if (here)
            {
                return next(context);
            }

            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        });
    }
}
