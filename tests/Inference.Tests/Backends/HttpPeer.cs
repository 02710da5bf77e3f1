using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>One that speaks HTTP/1.1.</summary>
internal sealed class HttpPeer : ScriptedPeer
{
    public const string HeaderLength = "Inference-Header-Content-Length";

    private readonly HttpListener _listener = new();

    public HttpPeer()
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

    public string Server { get; set; } = """{"name":"peer","extensions":["binary_tensor_data"]}""";

    public override void Dispose() => _listener.Abort();

    /// <summary>Answers so many bytes.</summary>
    public static async Task SendAsync(HttpListenerContext context, int status, byte[] body, int? headerLength = null)
    {
        context.Response.StatusCode = status;
        // A listener that ends writes an empty answer to each connection that waits, which a client that has just asked takes for its own.
        context.Response.KeepAlive = false;
        if (headerLength is not null)
        {
            context.Response.Headers[HeaderLength] = $"{headerLength}";
        }

        context.Response.ContentLength64 = body.Length;
        await context.Response.OutputStream.WriteAsync(body);
        context.Response.Close();
    }

    public static Task SendAsync(HttpListenerContext context, int status, string json) => SendAsync(context, status, Encoding.UTF8.GetBytes(json));

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
                Described++;
                await SendAsync(context, 200, Metadata);
                break;
            case "/v2/models/colors/config":
                await SendAsync(context, MaxBatchSize is null ? 404 : 200, $$"""{"max_batch_size":{{MaxBatchSize ?? 0}}}""");
                break;
            case "/v2/models/colors/infer":
                using (var body = new MemoryStream())
                {
                    await context.Request.InputStream.CopyToAsync(body);
                    var length = int.TryParse(context.Request.Headers[HeaderLength], out var header) ? header : (int)body.Length;
                    var asked = JsonNode.Parse(body.ToArray().AsSpan(0, length))!;
                    var tensors = length < body.Length ? body.ToArray()[length..]
                        : asked["inputs"]![0]!["data"]!.AsArray().Select(value => (byte)value!).ToArray();
                    await AnswerAsync(new Call(context, asked, tensors));
                }

                break;
            default:
                await SendAsync(context, 404, "{}");
                break;
        }
    }

    /// <summary>One of its calls.</summary>
    public sealed class Call(HttpListenerContext context, JsonNode asked, byte[] tensors) : PeerCall
    {
        public HttpListenerContext Context => context;

        /// <summary>What was asked, the JSON alone.</summary>
        public JsonNode Asked => asked;

        public override int Count => (int)asked["inputs"]![0]!["shape"]![0]!;

        public override byte[] Tensors => tensors;

        public override Task AnswerAsync()
        {
            if (asked["outputs"]![0]!["parameters"]?["binary_data"] is null)
            {
                return SendAsync(context, 200, $$"""
                    {"outputs":[{"name":"scores","datatype":"FP32","shape":[{{Count}},3],"data":[[{{string.Join(',', Scores)}}]]}]}
                    """);
            }

            var json = Encoding.UTF8.GetBytes($$$"""
                {"outputs":[{"name":"scores","datatype":"FP32","shape":[{{{Count}}},3],"parameters":{"binary_data_size":{{{Count * 12}}}}}]}
                """);
            return SendAsync(context, 200, [.. json, .. MemoryMarshal.AsBytes<float>(Scores)], json.Length);
        }

        public override Task RefuseAsync(Refusal refusal) => SendAsync(
            context,
            refusal switch
            {
                Refusal.Busy => 429,
                Refusal.NotReady => 503,
                _ => 500,
            },
            """{"error":"not now"}""");

        public override async Task BreakOffAsync()
        {
            context.Response.ContentLength64 = 100;
            await context.Response.OutputStream.WriteAsync(new byte[7]);
            await context.Response.OutputStream.FlushAsync();
            context.Response.Abort();
        }
    }
}
