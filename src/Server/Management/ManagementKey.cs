using System.Security.Cryptography;
using Whatsit.Server.Access;

namespace Whatsit.Server.Management;

/// <summary>Asks for the key of those who decide what runs on the server, on the routes that are theirs.</summary>
internal static class ManagementKey
{
    /// <summary>Behind routing, which knows the endpoint.</summary>
    public static void UseManagementKey(this WebApplication app)
    {
        var hash = app.Services.GetRequiredService<ManagementOptions>().KeyHash;
        app.Use((context, next) => context.GetAudience() == Audience.Management && RefusalOf(context, hash) is { } refusal
            ? refusal.WriteAsync(context.Response, context.RequestAborted)
            : next(context));
    }

    private static Refusal? RefusalOf(HttpContext context, byte[]? hash)
    {
        if (hash is null)
        {
            return new(StatusCodes.Status403Forbidden, "Not allowed", "management-off",
                "This server's models cannot be changed from here: it has no key for that (Management:KeySha256).");
        }

        if (ApiKeys.HashOf(context.Request) is { } sent && CryptographicOperations.FixedTimeEquals(sent, hash))
        {
            return null;
        }

        context.Response.Headers.WWWAuthenticate = "Bearer";
        return new(StatusCodes.Status401Unauthorized, "No access", "management-key-needed",
            "This asks for the key of those who run the server, and the request has another or none. Send it as the header \"Authorization: Bearer KEY\".");
    }
}
