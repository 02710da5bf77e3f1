using System.Net;
using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Whatsit.Inference.Backends.Wire;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>A gRPC client of a server: Grpc.Net.Client, and the calls of the inference service by their names.</summary>
internal sealed class GrpcClient : IDisposable
{
    private readonly GrpcChannel _channel;
    private readonly CallInvoker _calls;

    public GrpcClient(Uri address, GrpcChannelOptions? options = null)
    {
        _channel = GrpcChannel.ForAddress(address, options ?? new());
        _calls = _channel.CreateCallInvoker();
    }

    public CallInvoker Calls => _calls;

    /// <summary>A port that is free now.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public AsyncUnaryCall<ModelInferResponse> InferAsync(ModelInferRequest request, CallOptions options = default) =>
        Start<ModelInferRequest, ModelInferResponse>("ModelInfer", request, options);

    public async Task<TResponse> AskAsync<TRequest, TResponse>(string method, TRequest request, CallOptions options = default)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new()
    {
        using var call = Start<TRequest, TResponse>(method, request, options);
        return await call.ResponseAsync;
    }

    /// <summary>A call whose messages are bytes.</summary>
    public async Task<byte[]> AskAsync(string method, byte[] request, CallOptions options = default)
    {
        var bytes = Marshallers.Create(message => message, message => message);
        using var call = _calls.AsyncUnaryCall(
            new Method<byte[], byte[]>(MethodType.Unary, "inference.GRPCInferenceService", method, bytes, bytes), null, WithToken(options), request);
        return await call.ResponseAsync;
    }

    public void Dispose() => _channel.Dispose();

    private AsyncUnaryCall<TResponse> Start<TRequest, TResponse>(string method, TRequest request, CallOptions options)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        _calls.AsyncUnaryCall(
            new Method<TRequest, TResponse>(MethodType.Unary, "inference.GRPCInferenceService", method, Of<TRequest>(), Of<TResponse>()),
            null, WithToken(options), request);

    private static CallOptions WithToken(CallOptions options) => options.WithCancellationToken(TestContext.Current.CancellationToken);

    private static Marshaller<T> Of<T>()
        where T : class, IMessage<T>, new() =>
        Marshallers.Create(message => message.ToByteArray(), new MessageParser<T>(() => new T()).ParseFrom);
}
