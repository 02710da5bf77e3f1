using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Whatsit.Server.Limits;

/// <summary>
/// So many connections at once and no more. Without it, the process runs out of descriptors, and what fails then is whatever next opens a file: a model, a
/// log, the
/// process itself. Those over the limit get an answer, as long as they are not too many themselves.
/// </summary>
internal sealed class ConnectionLimit(int limit)
{
    private const int MostRefusedAtOnce = 64;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly byte[] _answer = Answer(limit);
    private int _open;
    private int _refused;

    public static void Apply(KestrelServerOptions kestrel)
    {
        var limit = new Lazy<ConnectionLimit>(() => new(kestrel.ApplicationServices.GetRequiredService<LimitsOptions>().MaxConnections ?? Default()));
        // Outermost: in front of TLS.
        kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Use(next => connection => limit.Value.AdmitAsync(connection, next)));
    }

    /// <summary>
    /// What the process may open (the runtime has raised its soft limit to the hard one by now), without what it has open and what models, files and fetched
    /// pictures will
    /// take.
    /// </summary>
    private static int Default()
    {
        const int Most = 10_000, Headroom = 160;
        // man 5 proc_pid_limits
        var line = OperatingSystem.IsLinux() ? File.ReadLines("/proc/self/limits").First(line => line.StartsWith("Max open files", StringComparison.Ordinal))
            : "";
        return long.TryParse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(3), CultureInfo.InvariantCulture, out var descriptors)
            ? (int)Math.Clamp(descriptors - Headroom - Directory.EnumerateFiles("/proc/self/fd").Count(), Math.Max(1, descriptors / 8), Most)
            : Most;
    }

    private async Task AdmitAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (Interlocked.Increment(ref _open) <= limit)
        {
            try
            {
                await next(connection);
            }
            finally
            {
                Interlocked.Decrement(ref _open);
            }

            return;
        }

        Interlocked.Decrement(ref _open);
        try
        {
            if (Interlocked.Increment(ref _refused) <= MostRefusedAtOnce)
            {
                await RefuseAsync(connection);
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // It has left, or has nothing to say.
        }
        finally
        {
            Interlocked.Decrement(ref _refused);
        }
    }

    private async Task RefuseAsync(ConnectionContext connection)
    {
        using var patience = new CancellationTokenSource(Patience);
        var input = connection.Transport.Input;
        // A client that has not asked yet would take an answer for a fault (RFC 9112, 9.1).
        var asked = await input.ReadAsync(patience.Token);
        // RFC 8446, 5.1: a TLS handshake. It cannot read what we could say.
        if (asked.Buffer.IsEmpty || asked.Buffer.FirstSpan[0] == 22)
        {
            return;
        }

        await connection.Transport.Output.WriteAsync(_answer, patience.Token);
        // Closed under a client that still sends, the answer would be lost.
        while (!asked.IsCompleted)
        {
            input.AdvanceTo(asked.Buffer.End);
            asked = await input.ReadAsync(patience.Token);
        }
    }

    private static byte[] Answer(int limit)
    {
        var body = new Refusal(
            StatusCodes.Status503ServiceUnavailable,
            "Too busy",
            "too-many-connections",
            $"The server has {limit:N0} connections, its limit. Try again in a moment.",
            new Dictionary<string, object> { ["limit"] = limit }).ToJson();
        return [
            .. Encoding.ASCII.GetBytes(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\nConnection: close\r\n"
                + $"X-Content-Type-Options: nosniff\r\nContent-Length: {body.Length}\r\n\r\n"),
            .. body];
    }
}
