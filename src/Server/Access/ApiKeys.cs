using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Threading.RateLimiting;
using Whatsit.Inference;

namespace Whatsit.Server.Access;

/// <summary>Keys and rates, on the endpoints that say so.</summary>
internal static class ApiKeys
{
    public static void AddApiKeys(this IServiceCollection services) => services.AddRateLimiter(limiter =>
    {
        limiter.GlobalLimiter = PartitionedRateLimiter.Create<HttpContext, string>(context =>
            context.GetAudience() == Audience.Clients && Clients.Of(context) is { RequestsPerMinute: { } rate } client
                // A token for each moment, and a minute's worth at once after a pause.
                ? RateLimitPartition.GetTokenBucketLimiter(client.Id, _ => new()
                {
                    TokenLimit = rate,
                    TokensPerPeriod = 1,
                    ReplenishmentPeriod = TimeSpan.FromMinutes(1) / rate,
                    QueueLimit = 0,
                })
                : RateLimitPartition.GetNoLimiter(""));
        limiter.OnRejected = async (rejected, cancellationToken) =>
        {
            var context = rejected.HttpContext;
            var rate = Clients.Of(context)!.RequestsPerMinute!.Value;
            var wait = rejected.Lease.TryGetMetadata(MetadataName.RetryAfter, out var retryAfter) ? Math.Max(1, (int)Math.Ceiling(retryAfter.TotalSeconds)) : 1;
            context.Response.Headers.RetryAfter = wait.ToString(CultureInfo.InvariantCulture);
            await new Refusal(
                StatusCodes.Status429TooManyRequests,
                "Too busy",
                "rate-limited",
                $"You have sent more than {Counted.Of(rate, "request")} per minute, your limit. Try again in {wait} s.",
                new Dictionary<string, object> { ["requestsPerMinute"] = rate, ["retryAfterSeconds"] = wait }).WriteAsync(context.Response, cancellationToken);
        };
    });

    /// <summary>Behind routing, which knows the endpoint.</summary>
    public static void UseApiKeys(this WebApplication app)
    {
        var options = app.Services.GetRequiredService<AccessOptions>();
        if (options.Keys.Count > 0)
        {
            app.Use(async (context, next) =>
            {
                var asks = context.GetAudience() switch { Audience.Clients => true, Audience.Operations => options.KeyForOperations, _ => false };
                if (asks && Find(options.Keys, context.Request) is var key)
                {
                    if (key is null)
                    {
                        context.Response.Headers.WWWAuthenticate = "Bearer";
                        await new Refusal(
                            StatusCodes.Status401Unauthorized,
                            "No access",
                            "api-key-needed",
                            "This server asks for an API key, and the request has none that it knows. Send it as the header \"Authorization: Bearer KEY\".")
                            .WriteAsync(context.Response, context.RequestAborted);
                        return;
                    }

                    context.Features.Set(key);
                }

                await next(context);
            });
        }

        if (options.RequestsPerMinute is not null || options.Keys.Any(key => key.RequestsPerMinute is not null))
        {
            app.UseRateLimiter();
        }
    }

    /// <summary>The SHA-256 of the key that a request shows, if it shows one.</summary>
    public static byte[]? HashOf(HttpRequest request)
    {
        var authorization = request.Headers.Authorization.ToString();
        var sent = authorization.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase) ? authorization["Bearer ".Length..].Trim()
            : request.Headers["X-Api-Key"].ToString();
        return sent.Length is 0 or > 1024 ? null : SHA256.HashData(Encoding.UTF8.GetBytes(sent));
    }

    private static ApiKey? Find(IEnumerable<ApiKey> keys, HttpRequest request)
    {
        if (HashOf(request) is not { } hash)
        {
            return null;
        }

        ApiKey? found = null;
        // All of them, and each in the same time: how long it takes must say nothing.
        foreach (var key in keys)
        {
            found = CryptographicOperations.FixedTimeEquals(hash, key.Hash) ? key : found;
        }

        return found;
    }
}
