using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Whatsit.Inference.Backends.Wire;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>One that speaks gRPC, by hand: what a framework would not send, it can.</summary>
internal sealed class GrpcPeer : ScriptedPeer
{
    private readonly WebApplication _app;

    public GrpcPeer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2));
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.Zero);
        _app = builder.Build();
        _app.Run(AnswerAsync);
        _app.Start();
        var address = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        Address = $"grpc://{address.Authority}";
    }

    /// <summary>It has no ModelConfig, which is Triton's.</summary>
    public bool IsPlain { get; set; }

    public override void Dispose() => ((IDisposable)_app).Dispose();

    /// <summary>Sends a message with its prefix, and a status behind it.</summary>
    public static async Task SendAsync(HttpContext context, ReadOnlyMemory<byte> message, int? length = null, StatusCode? status = StatusCode.OK)
    {
        context.Response.ContentType = "application/grpc";
        var prefix = new byte[5];
        BinaryPrimitives.WriteInt32BigEndian(prefix.AsSpan(1), length ?? message.Length);
        await context.Response.Body.WriteAsync(prefix);
        await context.Response.Body.WriteAsync(message);
        if (status is { } known)
        {
            context.Response.AppendTrailer("grpc-status", $"{(int)known}");
        }
    }

    private static void Refuse(HttpContext context, StatusCode status, string sentence)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.Headers.GrpcStatus = $"{(int)status}";
        context.Response.Headers.GrpcMessage = sentence;
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var message = body.ToArray().AsMemory(5);
        switch (context.Request.Path.Value)
        {
            case "/inference.GRPCInferenceService/ModelReady":
                await SendAsync(context, new ModelReadyResponse { Ready = Ready }.ToByteArray());
                break;
            case "/inference.GRPCInferenceService/ModelMetadata":
                Described++;
                await SendAsync(context, JsonParser.Default.Parse<ModelMetadataResponse>(Metadata).ToByteArray());
                break;
            case "/inference.GRPCInferenceService/ModelConfig" when !IsPlain:
                await SendAsync(context, new ModelConfigResponse { Config = new() { MaxBatchSize = MaxBatchSize ?? 0 } }.ToByteArray());
                break;
            case "/inference.GRPCInferenceService/ModelInfer":
                await AnswerAsync(new Call(context, ModelInferRequest.Parser.ParseFrom(message.Span)));
                break;
            default:
                Refuse(context, StatusCode.Unimplemented, "no such method");
                break;
        }
    }

    /// <summary>One of its calls.</summary>
    public sealed class Call(HttpContext context, ModelInferRequest asked) : PeerCall
    {
        public HttpContext Context => context;

        /// <summary>What was asked.</summary>
        public ModelInferRequest Asked => asked;

        public override int Count => (int)asked.Inputs[0].Shape[0];

        public override byte[] Tensors => asked.RawInputContents[0].ToByteArray();

        public override Task AnswerAsync() => SendAsync(context, new ModelInferResponse
        {
            Outputs = { new ModelInferResponse.Types.InferOutputTensor { Name = "scores", Datatype = "FP32", Shape = { Count, 3 } } },
            RawOutputContents = { ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(Scores)) },
        }.ToByteArray());

        public override Task RefuseAsync(Refusal refusal)
        {
            Refuse(
                context,
                refusal switch
                {
                    Refusal.Busy => StatusCode.ResourceExhausted,
                    Refusal.NotReady => StatusCode.Unavailable,
                    _ => StatusCode.Internal,
                },
                "not now");
            return Task.CompletedTask;
        }

        public override async Task BreakOffAsync()
        {
            await SendAsync(context, new byte[7], length: 100, status: null);
            await context.Response.Body.FlushAsync();
            context.Abort();
        }
    }
}
