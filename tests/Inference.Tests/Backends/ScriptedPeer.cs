using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>
/// A server of the Open Inference Protocol that does what it is told. Its model has an input "image" of 2 × 2 pixels and three scores: the first three bytes of
/// the tensor.
/// </summary>
internal sealed class ScriptedPeer : IDisposable
{
    public const string HeaderLength = "Inference-Header-Content-Length";

    private readonly HttpListener _listener = new();

    public ScriptedPeer()
    {
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Address = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
        }

        _listener.Prefixes.Add(Address + "/");
        _listener.Start();
        _ = ServeAsync();
    }

    public string Address { get; }

    public bool Ready { get; set; } = true;

    public string Metadata { get; set; } =
        """
        {"name":"colors","inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],
        "outputs":[{"name":"scores","datatype":"FP32","shape":["-1",3]},{"name":"other","datatype":"INT64","shape":[-1,2]}]}
        """;

    /// <summary>Nothing: it has none.</summary>
    public string? Configuration { get; set; } = """{"max_batch_size":4}""";

    public string Server { get; set; } = """{"name":"peer","extensions":["binary_tensor_data"]}""";

    /// <summary>What was asked, the JSON alone.</summary>
    public List<JsonNode> Asked { get; } = [];

    /// <summary>What it answers to infer, in place of the truth.</summary>
    public Func<HttpListenerContext, JsonNode, byte[], Task>? Infer { get; set; }

    public void Dispose() => _listener.Abort();

    /// <summary>Answers so many bytes.</summary>
    public static async Task SendAsync(HttpListenerContext context, int status, byte[] body, int? headerLength = null)
    {
        context.Response.StatusCode = status;
        if (headerLength is not null)
        {
            context.Response.Headers[HeaderLength] = $"{headerLength}";
        }

        context.Response.ContentLength64 = body.Length;
        await context.Response.OutputStream.WriteAsync(body);
        context.Response.Close();
    }

    public static Task SendAsync(HttpListenerContext context, int status, string json) => SendAsync(context, status, Encoding.UTF8.GetBytes(json));

    /// <summary>The true scores, in the form that was asked for.</summary>
    public static Task AnswerAsync(HttpListenerContext context, JsonNode asked, byte[] tensors)
    {
        var count = (int)asked["inputs"]![0]!["shape"]![0]!;
        float[] scores = [.. Enumerable.Range(0, count).SelectMany(row => tensors.AsSpan(row * 12, 3).ToArray().Select(value => (float)value))];
        if (asked["outputs"]![0]!["parameters"]?["binary_data"] is null)
        {
            return SendAsync(context, 200, $$"""
                {"outputs":[{"name":"scores","datatype":"FP32","shape":[{{count}},3],"data":[[{{string.Join(',', scores)}}]]}]}
                """);
        }

        var json = Encoding.UTF8.GetBytes($$$"""
            {"outputs":[{"name":"scores","datatype":"FP32","shape":[{{{count}}},3],"parameters":{"binary_data_size":{{{count * 12}}}}}]}
            """);
        return SendAsync(context, 200, [.. json, .. MemoryMarshal.AsBytes<float>(scores)], json.Length);
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            _ = Task.Run(async () =>
            {
                try
                {
                    await AnswerAsync(context);
                }
                catch (Exception exception) when (exception is HttpListenerException or ObjectDisposedException or IOException)
                {
                    // The client has left, or the peer has ended.
                }
            });
        }
    }

    private async Task AnswerAsync(HttpListenerContext context)
    {
        switch (context.Request.Url!.AbsolutePath)
        {
            case "/v2":
                await SendAsync(context, 200, Server);
                break;
            case "/v2/models/colors/ready":
                await SendAsync(context, Ready ? 200 : 503, "{}");
                break;
            case "/v2/models/colors":
                await SendAsync(context, 200, Metadata);
                break;
            case "/v2/models/colors/config":
                await SendAsync(context, Configuration is null ? 404 : 200, Configuration ?? "{}");
                break;
            case "/v2/models/colors/infer":
                using (var body = new MemoryStream())
                {
                    await context.Request.InputStream.CopyToAsync(body);
                    var length = int.TryParse(context.Request.Headers[HeaderLength], out var header) ? header : (int)body.Length;
                    var asked = JsonNode.Parse(body.ToArray().AsSpan(0, length))!;
                    var tensors = length < body.Length ? body.ToArray()[length..]
                        : asked["inputs"]![0]!["data"]!.AsArray().Select(value => (byte)value!).ToArray();
                    lock (Asked)
                    {
                        Asked.Add(asked);
                    }

                    await (Infer ?? AnswerAsync)(context, asked, tensors);
                }

                break;
            default:
                await SendAsync(context, 404, "{}");
                break;
        }
    }
}
