using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Grpc.Core;
using Grpc.Net.Client;
using Polly.Timeout;
using Whatsit.Inference.Backends.Wire;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Backends;

/// <summary>The Open Inference Protocol over gRPC: tensors as they lie in memory (<c>raw_input_contents</c>), and the deadline as gRPC's own.</summary>
internal sealed class GrpcTransport : IRemoteTransport
{
    private const string Scheme = "grpc", SecureScheme = "grpcs";

    // Metadata; names, shapes and whatever else a server says; an element as a varint at its longest.
    private const int MostMetadata = 1024 * 1024, MostWords = 64 * 1024, LongestElement = 10;

    // Grpc.Net.Client's own word for a message over MaxReceiveMessageSize, with a status that a server that is busy has, too.
    private const string TooLong = "Received message exceeds the maximum configured message size.";

    private readonly HttpClient _http;
    private readonly Uri _address;
    private readonly string _model;
    private readonly string _version;
    private readonly GRPCInferenceService.GRPCInferenceServiceClient _about;
    private GRPCInferenceService.GRPCInferenceServiceClient? _infers;

    public GrpcTransport(HttpClient http, Uri address, RemoteSpec remote, string model)
    {
        (_http, _model, _version) = (http, model, remote.Version ?? "");
        _address = new UriBuilder(address) { Scheme = address.Scheme == SecureScheme ? Uri.UriSchemeHttps : Uri.UriSchemeHttp }.Uri;
        _about = ClientOf(MostMetadata);
    }

    public string ReadyRoute => "ModelReady";

    public string MetadataRoute => "ModelMetadata";

    public Task<RemoteReply> CheckReadyAsync(CancellationToken cancellationToken) => AskAsync(
        async () =>
        {
            var answer = await _about.ModelReadyAsync(new() { Name = _model, Version = _version }, cancellationToken: cancellationToken).ConfigureAwait(false);
            return answer.Ready ? RemoteReply.Done : new(RemoteOutcome.NotReady, "that it is not ready");
        },
        cancellationToken);

    public Task<RemoteReply> DescribeAsync(CancellationToken cancellationToken) => AskAsync(
        async () =>
        {
            var configuration = MaxBatchSizeAsync(cancellationToken);
            try
            {
                var metadata = await _about.ModelMetadataAsync(new() { Name = _model, Version = _version }, cancellationToken: cancellationToken)
                    .ConfigureAwait(false);
                return new RemoteReply(
                    RemoteOutcome.Done,
                    Metadata: new(Tensors(metadata.Inputs), Tensors(metadata.Outputs), await configuration.ConfigureAwait(false)));
            }
            finally
            {
                await ((Task)configuration).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        },
        cancellationToken);

    public Task<RemoteReply> InferAsync(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within,
        CancellationToken cancellationToken) => AskAsync(
        async () =>
        {
            _infers ??= ClientOf((int)Math.Min(
                int.MaxValue, MostWords + (contract.Outputs.Sum(output => contract.ElementsOf(output.Name)) * LongestElement * contract.MaxBatchSize)));
            var options = new CallOptions(deadline: DateTime.UtcNow + within, cancellationToken: cancellationToken);
            var answer = await _infers.ModelInferAsync(Ask(contract, batch, outputs, within), options).ConfigureAwait(false);
            Read(answer, new RemoteAnswer(contract, batch, outputs));
            return RemoteReply.Done;
        },
        cancellationToken,
        within);

    /// <summary>Whether an address is one of gRPC: <c>grpc://host:8001</c>, or <c>grpcs</c> under TLS.</summary>
    public static bool Speaks(Uri address) => address.Scheme is Scheme or SecureScheme;

    public void Dispose() => _http.Dispose();

    // The client is that of HTTP, too: its connections, its key. A channel has no state beside it.
    private GRPCInferenceService.GRPCInferenceServiceClient ClientOf(int most) => new(GrpcChannel.ForAddress(_address, new()
    {
        HttpClient = _http,
        MaxReceiveMessageSize = most,
        MaxSendMessageSize = null,
    }));

    private ModelInferRequest Ask(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within)
    {
        var input = contract.Manifest.Input;
        return new()
        {
            ModelName = _model,
            ModelVersion = _version,
            Inputs =
            {
                new ModelInferRequest.Types.InferInputTensor
                {
                    Name = input.Name,
                    Datatype = TensorTypes.OpenInference(TensorTypes.Of(input)),
                    Shape = { input.Shape.Skip(1).Prepend(batch.Count) },
                },
            },
            Outputs = { outputs.Select(output => new ModelInferRequest.Types.InferRequestedOutputTensor { Name = output }) },
            // Microseconds: docs/protocol/extension_schedule_policy.md
            Parameters = { ["timeout"] = new() { Int64Param = (long)within.TotalMicroseconds } },
            // One input, one piece: several pictures must lie side by side.
            RawInputContents =
            {
                UnsafeByteOperations.UnsafeWrap(batch is [var one] ? one.Sent : Join(batch)),
            },
        };
    }

    private static byte[] Join(IReadOnlyList<RemoteTensors> batch)
    {
        var length = batch[0].Sent.Length;
        var joined = new byte[length * batch.Count];
        for (var index = 0; index < batch.Count; index++)
        {
            batch[index].Sent.CopyTo(joined.AsMemory(index * length));
        }

        return joined;
    }

    private static void Read(ModelInferResponse answer, RemoteAnswer filled)
    {
        var isRaw = answer.RawOutputContents.Count > 0;
        for (var index = 0; index < answer.Outputs.Count; index++)
        {
            var output = answer.Outputs[index];
            if (!filled.Wants(output.Name))
            {
                continue;
            }

            var type = filled.Check(output.Name, output.Datatype, output.Shape);
            if (!isRaw)
            {
                filled.Fill(output.Name, BytesOf(output.Contents ?? new(), type));
            }
            else if (index < answer.RawOutputContents.Count)
            {
                filled.Fill(output.Name, answer.RawOutputContents[index].Span);
            }
        }

        filled.Finish();
    }

    /// <summary>Elements in the list of their type, as the bytes of that type.</summary>
    private static ReadOnlySpan<byte> BytesOf(InferTensorContents contents, TensorType type)
    {
        return type switch
        {
            TensorType.Bool => Convert(contents.BoolContents, element => element ? (byte)1 : (byte)0),
            TensorType.UInt8 => Convert(contents.UintContents, element => checked((byte)element)),
            TensorType.UInt16 => Convert(contents.UintContents, element => checked((ushort)element)),
            TensorType.UInt32 => Convert(contents.UintContents, element => element),
            TensorType.UInt64 => Convert(contents.Uint64Contents, element => element),
            TensorType.Int8 => Convert(contents.IntContents, element => checked((sbyte)element)),
            TensorType.Int16 => Convert(contents.IntContents, element => checked((short)element)),
            TensorType.Int32 => Convert(contents.IntContents, element => element),
            TensorType.Int64 => Convert(contents.Int64Contents, element => element),
            TensorType.Float32 => Convert(contents.Fp32Contents, element => element),
            TensorType.Float64 => Convert(contents.Fp64Contents, element => element),
            // It has no list.
            _ => [],
        };

        static ReadOnlySpan<byte> Convert<TSent, TElement>(RepeatedField<TSent> sent, Func<TSent, TElement> convert)
            where TElement : struct
        {
            try
            {
                return MemoryMarshal.AsBytes(sent.Select(convert).ToArray().AsSpan());
            }
            catch (OverflowException exception)
            {
                throw new InvalidDataException("its answer has elements that their type has no room for", exception);
            }
        }
    }

    /// <summary>Triton's extension; who does not have it says nothing.</summary>
    private async Task<int?> MaxBatchSizeAsync(CancellationToken cancellationToken)
    {
        try
        {
            var answer = await _about.ModelConfigAsync(new() { Name = _model, Version = _version }, cancellationToken: cancellationToken).ConfigureAwait(false);
            return answer.Config?.MaxBatchSize;
        }
        catch (RpcException exception) when (exception.Status.DebugException is null && exception.StatusCode != StatusCode.Cancelled)
        {
            return null;
        }
    }

    private static List<TensorSpec> Tensors(IEnumerable<ModelMetadataResponse.Types.TensorMetadata> tensors) =>
    [
        .. tensors.Where(tensor => TensorTypes.OfOpenInference(tensor.Datatype) is not null)
            .Select(tensor => new TensorSpec(tensor.Name, TensorTypes.OfOpenInference(tensor.Datatype)!.Value, [.. tensor.Shape])),
    ];

    /// <summary>A status that the server has sent is its reply; what broke on the way is thrown as it was before gRPC made a status of it.</summary>
    private static async Task<RemoteReply> AskAsync(Func<Task<RemoteReply>> ask, CancellationToken cancellationToken, TimeSpan within = default)
    {
        try
        {
            return await ask().ConfigureAwait(false);
        }
        catch (RpcException exception) when (exception.Status.DebugException is InvalidProtocolBufferException cause)
        {
            throw new InvalidDataException("its answer is no inference response", cause);
        }
        catch (RpcException exception) when (exception is { StatusCode: StatusCode.ResourceExhausted, Status.Detail: TooLong })
        {
            throw new InvalidDataException("its answer has more bytes than any can have", exception);
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.DeadlineExceeded)
        {
            // Whose clock it was by, a status does not tell.
            throw new TimeoutRejectedException(exception.Status.Detail, within);
        }
        catch (RpcException exception)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (exception.Status.DebugException is HttpRequestException or IOException or OperationCanceledException)
            {
                ExceptionDispatchInfo.Throw(exception.Status.DebugException);
            }

            var (status, error) = (exception.StatusCode, Sentence.OneLine(exception.Status.Detail, 200));
            return new(OutcomeOf(status), error.Length == 0 ? $"{status}" : $"{status}: {error}");
        }
    }

    /// <summary>https://grpc.github.io/grpc/core/md_doc_statuscodes.html</summary>
    private static RemoteOutcome OutcomeOf(StatusCode status) => status switch
    {
        StatusCode.ResourceExhausted => RemoteOutcome.Busy,
        StatusCode.Unavailable => RemoteOutcome.NotReady,
        StatusCode.NotFound or StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.Unimplemented => RemoteOutcome.Refused,
        StatusCode.Internal or StatusCode.Unknown or StatusCode.DataLoss => RemoteOutcome.Failed,
        _ => RemoteOutcome.Rejected,
    };
}
