using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests;

/// <summary>A connection on which a test writes the very bytes that a client sends, good or bad.</summary>
internal sealed class Wire : IDisposable
{
    private readonly TcpClient _client = new();

    private NetworkStream Stream => _client.GetStream();

    public static async Task<Wire> ConnectAsync(WhatsitServer server)
    {
        var wire = new Wire();
        await wire._client.ConnectAsync(server.Http.BaseAddress!.Host, server.Http.BaseAddress.Port, TestContext.Current.CancellationToken);
        return wire;
    }

    /// <summary>One request on a connection of its own, as bytes, and its answer.</summary>
    public static async Task<(int Status, JsonNode Body)> AskAsync(WhatsitServer server, string head, params byte[] body)
    {
        using var wire = await ConnectAsync(server);
        await wire.SendAsync($"{head.ReplaceLineEndings("\r\n")}\r\n\r\n");
        await wire.SendAsync(body);
        return await wire.ReadAsync();
    }

    /// <summary>A request to <c>POST /predict</c> with these headers and this body, as bytes.</summary>
    public static Task<(int Status, JsonNode Body)> PredictAsync(WhatsitServer server, string headers, params byte[] body) =>
        AskAsync(server, $"POST /predict HTTP/1.1\r\nHost: localhost\r\n{headers}\r\nContent-Length: {body.Length}".Replace("\r\n\r\n", "\r\n",
            StringComparison.Ordinal), body);

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    public Task SendAsync(byte[] bytes) => Stream.WriteAsync(bytes, TestContext.Current.CancellationToken).AsTask();

    /// <summary>The next answer: its status and its JSON.</summary>
    public async Task<(int Status, JsonNode Body)> ReadAsync()
    {
        var (status, _, body) = await ReadWholeAsync();
        return (status, body.Length == 0 ? new JsonObject() : JsonNode.Parse(body)!);
    }

    /// <summary>The answer to a request that is whole, head and body.</summary>
    public async Task<(int Status, string Head, string Body)> ReadWholeAsync(byte[] request)
    {
        await SendAsync(request);
        return await ReadWholeAsync(hasBody: !request.AsSpan().StartsWith("HEAD "u8));
    }

    /// <summary>The next answer: its status, its headers and its body.</summary>
    public async Task<(int Status, string Head, string Body)> ReadWholeAsync(bool hasBody = true)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await Stream.ReadAsync(one, TestContext.Current.CancellationToken) == 0)
            {
                throw new IOException($"The server closed the connection after '{head}'.");
            }

            head.Append((char)one[0]);
        }

        var text = head.ToString();
        var status = int.Parse(text.AsSpan(9, 3));
        if (status == 100)
        {
            return await ReadWholeAsync(hasBody);
        }

        if (!hasBody)
        {
            return (status, text, "");
        }

        var length = text.Split("\r\n").FirstOrDefault(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
        var chunked = text.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase);
        return (status, text, chunked ? await ReadChunksAsync()
            : Encoding.UTF8.GetString(await ReadBytesAsync(length is null ? 0 : int.Parse(length.AsSpan(15)))));
    }

    /// <summary>Whether the server has closed the connection.</summary>
    public async Task<bool> IsClosedAsync()
    {
        try
        {
            return await Stream.ReadAsync(new byte[1], TestContext.Current.CancellationToken) == 0;
        }
        catch (IOException)
        {
            return true;
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<byte[]> ReadBytesAsync(int length)
    {
        var bytes = new byte[length];
        await Stream.ReadExactlyAsync(bytes, TestContext.Current.CancellationToken);
        return bytes;
    }

    private async Task<string> ReadChunksAsync()
    {
        var text = new StringBuilder();
        while (true)
        {
            var size = new StringBuilder();
            while (!size.ToString().EndsWith("\r\n", StringComparison.Ordinal))
            {
                size.Append((char)(await ReadBytesAsync(1))[0]);
            }

            var length = Convert.ToInt32(size.ToString().Trim(), 16);
            text.Append(Encoding.UTF8.GetString(await ReadBytesAsync(length)));
            await ReadBytesAsync(2);
            if (length == 0)
            {
                return text.ToString();
            }
        }
    }
}
