using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Whatsit.Hostile;

/// <summary>A connection on which the very bytes are written that a client sends, good or bad.</summary>
internal sealed class Wire : IDisposable
{
    /// <summary>In place of a status: the server closed the connection without an answer, or said nothing for too long.</summary>
    public const int Closed = 0, Silent = -1;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    public static async Task<Wire> ConnectAsync(int port)
    {
        var wire = new Wire();
        await wire._socket.ConnectAsync(IPAddress.Loopback, port);
        return wire;
    }

    /// <summary>One request and the status of its answer.</summary>
    public static async Task<int> AskAsync(int port, byte[] request)
    {
        using var wire = await ConnectAsync(port);
        // A server that refuses may answer before it has read everything, and reads the rest then.
        var sending = wire.SendAsync(request);
        var status = await wire.ReadStatusAsync();
        wire._socket.Shutdown(SocketShutdown.Receive);
        await Task.WhenAny(sending, Task.Delay(Patience));
        return status;
    }

    public Task SendTextAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>Sends as much as the server takes.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0)
            {
                bytes = bytes[await _socket.SendAsync(bytes)..];
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // It has heard enough.
        }
    }

    /// <summary>The status of the next answer that is one.</summary>
    public async Task<int> ReadStatusAsync()
    {
        var head = new byte[64 * 1024];
        var length = 0;
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            while (head.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0)
            {
                var read = await _socket.ReceiveAsync(head.AsMemory(length), patience.Token);
                if (read == 0)
                {
                    return Closed;
                }

                length += read;
            }
        }
        catch (SocketException)
        {
            return Closed;
        }
        catch (OperationCanceledException)
        {
            return Silent;
        }

        var status = int.Parse(Encoding.ASCII.GetString(head, 9, 3), CultureInfo.InvariantCulture);
        return status == 100 ? await ReadStatusAsync() : status;
    }

    public void Dispose() => _socket.Dispose();
}
