using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Whatsit.Benchmarks.Load;

/// <summary>
/// One keep-alive connection that posts a picture and reads the answer: as little HTTP as the measured servers need, because the client shares the
/// processors with them.
/// </summary>
internal sealed class HttpConnection(int port) : IDisposable
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private Socket? _socket;

    /// <summary>A whole request that posts a picture, built once.</summary>
    public static byte[] Post(string path, byte[] picture) => [
        .. Encoding.ASCII.GetBytes(
            $"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\nContent-Length: {picture.Length}\r\n\r\n"),
        .. picture];

    /// <summary>A whole request for a page.</summary>
    public static byte[] Get(string path) => Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");

    /// <summary>The body of the last answer.</summary>
    public ReadOnlyMemory<byte> Body { get; private set; }

    /// <summary>Sends a request and reads the whole answer.</summary>
    /// <returns>The status code.</returns>
    public async Task<int> SendAsync(byte[] request)
    {
        _socket ??= await ConnectAsync(port);
        // A server that refuses may answer before it has read everything.
        var sending = SendAllAsync(_socket, request);
        var length = 0;
        var end = -1;
        int bodyLength = 0, status = 0;
        var (chunked, close) = (false, false);
        while (end < 0 || (chunked ? !_buffer.AsSpan(0, length).EndsWith("\r\n0\r\n\r\n"u8) : length < end + bodyLength))
        {
            var read = await _socket.ReceiveAsync(_buffer.AsMemory(length));
            if (read == 0)
            {
                Dispose();
                throw new IOException("The server closed the connection in the middle of an answer.");
            }

            length += read;
            if (end < 0 && _buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) is >= 0 and var found)
            {
                end = found + 4;
                var head = Encoding.ASCII.GetString(_buffer, 0, end);
                status = int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture);
                chunked = head.Contains("\r\nTransfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase);
                close = head.Contains("\r\nConnection: close", StringComparison.OrdinalIgnoreCase);
                bodyLength = chunked ? 0 : ContentLength(head);
            }
        }

        Body = _buffer.AsMemory(end, length - end);
        if (close)
        {
            Dispose();
        }
        else
        {
            await sending;
        }

        return status;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket?.Dispose();
        _socket = null;
    }

    private static async Task<Socket> ConnectAsync(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        return socket;
    }

    private static async Task SendAllAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0)
            {
                bytes = bytes[await socket.SendAsync(bytes)..];
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The server has heard enough; what it answered is read above.
        }
    }

    private static int ContentLength(string head)
    {
        const string Name = "\r\nContent-Length: ";
        var start = head.IndexOf(Name, StringComparison.OrdinalIgnoreCase);
        return start < 0 ? 0 : int.Parse(head.AsSpan((start + Name.Length)..head.IndexOf('\r', start + Name.Length)), CultureInfo.InvariantCulture);
    }
}
