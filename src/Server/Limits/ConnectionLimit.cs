using System.Net;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using Whatsit.Inference;

namespace Whatsit.Server.Limits;

/// <summary>
/// So many connections at once and no more. Without it, the process runs out of descriptors, and what fails then is whatever next opens a file: a model, a
/// log, the process itself. Those over the limit get an answer, as long as they are not too many themselves.
/// </summary>
internal sealed class ConnectionLimit(LimitsOptions limits)
{
    private const int MostRefusedAtOnce = 64;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Lazy<int> _limit = new(() => limits.MaxConnections ?? Default());
    private byte[]? _answer;
    private int _accepted;
    private int _served;

    public static void Apply(KestrelServerOptions kestrel)
    {
        var limit = new Lazy<ConnectionLimit>(() => kestrel.ApplicationServices.GetRequiredService<ConnectionLimit>());
        // Outermost: in front of TLS.
        kestrel.ConfigureEndpointDefaults(endpoint => endpoint.Use(next => connection => limit.Value.AdmitAsync(connection, next)));
    }

    /// <summary>
    /// Takes the next connection. Those that are too many even to be answered are closed before another is taken: closing must keep up with what comes.
    /// </summary>
    private async ValueTask<ConnectionContext?> AcceptAsync(IConnectionListener listener, CancellationToken cancellationToken)
    {
        while (await listener.AcceptAsync(cancellationToken) is { } connection)
        {
            if (Interlocked.Increment(ref _accepted) <= _limit.Value + MostRefusedAtOnce)
            {
                return connection;
            }

            Interlocked.Decrement(ref _accepted);
            connection.Abort(new("The server has too many connections."));
            await connection.DisposeAsync();
        }

        return null;
    }

    /// <summary>
    /// What the process may open (the runtime has raised its soft limit to the hard one by now), without what it has open and what models, files and fetched
    /// pictures will take.
    /// </summary>
    private static int Default()
    {
        const int Most = 10_000, Headroom = 160 + MostRefusedAtOnce;
        return Descriptors.Limit is { } descriptors
            ? (int)Math.Clamp(descriptors - Headroom - Descriptors.Open, Math.Max(1, descriptors / 8), Most)
            : Most;
    }

    private async Task AdmitAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            await (Interlocked.Increment(ref _served) <= _limit.Value ? next(connection) : RefuseAsync(connection));
        }
        finally
        {
            Interlocked.Decrement(ref _served);
            Interlocked.Decrement(ref _accepted);
        }
    }

    private async Task RefuseAsync(ConnectionContext connection)
    {
        try
        {
            await AnswerAsync(connection);
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // It has left, or has nothing to say.
        }
    }

    private async Task AnswerAsync(ConnectionContext connection)
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

        await connection.Transport.Output.WriteAsync(_answer ??= Answer(_limit.Value), patience.Token);
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
            $"The server has {Counted.Of(limit, "connection")}, its limit. Try again in a moment.",
            new Dictionary<string, object> { ["limit"] = limit }).ToJson();
        return [
            .. Encoding.ASCII.GetBytes(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\nConnection: close\r\n"
                + $"X-Content-Type-Options: nosniff\r\nContent-Length: {body.Length}\r\n\r\n"),
            .. body];
    }

    /// <summary>The framework's sockets, behind the limit.</summary>
    internal sealed class Transport(ConnectionLimit limit, IOptions<SocketTransportOptions> options, ILoggerFactory logging)
        : IConnectionListenerFactory, IConnectionListenerFactorySelector
    {
        private readonly SocketTransportFactory _sockets = new(options, logging);

        public bool CanBind(EndPoint endpoint) => _sockets.CanBind(endpoint);

        public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
            new Listener(limit, await _sockets.BindAsync(endpoint, cancellationToken));
    }

    private sealed class Listener(ConnectionLimit limit, IConnectionListener inner) : IConnectionListener
    {
        public EndPoint EndPoint => inner.EndPoint;

        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) => limit.AcceptAsync(inner, cancellationToken);

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => inner.UnbindAsync(cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
