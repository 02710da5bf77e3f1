using System.Buffers.Binary;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Health.V1;
using Whatsit.Inference.Backends.Wire;
using Input = Whatsit.Inference.Backends.Wire.ModelInferRequest.Types.InferInputTensor;
using Output = Whatsit.Inference.Backends.Wire.ModelInferRequest.Types.InferRequestedOutputTensor;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>The Open Inference Protocol over gRPC, on a port of its own.</summary>
public sealed class GrpcTests : IAsyncLifetime
{
    private readonly int _port = GrpcClient.FreePort();
    private WhatsitServer _server = null!;
    private GrpcClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _server = WhatsitServer.With(new() { ["Grpc:Port"] = $"{_port}" });
        await _server.InitializeAsync();
        _client = new(new($"http://127.0.0.1:{_port}"));
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_tensor_a_picture_raw_or_typed_gives_the_probabilities_of_predict_and_of_REST_bit_for_bit()
    {
        var expected = await TensorPicture.ProbabilitiesAsync(_server, TensorPicture.File);
        Assert.Equal(expected, await RestAsync(binary: false));
        Assert.Equal(expected, await RestAsync(binary: true));

        foreach (var input in (Input[])[Tensor(), Picture()])
        {
            var raw = Request(input);
            raw.RawInputContents.Add(ByteString.CopyFrom(input.Datatype == "BYTES" ? Element(TensorPicture.File) : TensorPicture.Tensor));
            var answer = await _client.InferAsync(raw);
            Assert.Null(answer.Outputs[0].Contents);
            Assert.Equal(expected, MemoryMarshal.Cast<byte, float>(answer.RawOutputContents[0].Span).ToArray());

            var typed = Request(input.Clone());
            typed.Inputs[0].Contents = input.Datatype == "BYTES"
                ? new() { BytesContents = { ByteString.CopyFrom(TensorPicture.File) } }
                : new() { UintContents = { TensorPicture.Tensor.Select(value => (uint)value) } };
            answer = await _client.InferAsync(typed);
            Assert.Empty(answer.RawOutputContents);
            Assert.Equal(expected, answer.Outputs[0].Contents.Fp32Contents);
        }
    }

    [Fact]
    public async Task The_bytes_of_a_message_are_what_the_protocols_numbers_say()
    {
        // Fields by hand: 1 model_name, 3 id, 5 inputs {1 name, 2 datatype, 3 shape}, 6 outputs {1 name}, 7 raw_input_contents.
        byte[] input = [.. Text(1, "image"), .. Text(2, "UINT8"), .. Field(3, [1, 0xE0, 0x01, 0xE0, 0x01, 3])];
        byte[] request =
        [
            .. Text(1, "grocery"), .. Text(3, "42"), .. Field(5, input), .. Field(6, Text(1, "probabilities")), .. Field(7, TensorPicture.Tensor),
        ];
        var expected = await TensorPicture.ProbabilitiesAsync(_server, TensorPicture.File);
        // 1 model_name, 2 model_version, 3 id, 5 outputs {1 name, 2 datatype, 3 shape}, 6 raw_output_contents.
        byte[] output = [.. Text(1, "probabilities"), .. Text(2, "FP32"), .. Field(3, [1, 81])];
        byte[] answer =
        [
            .. Text(1, "grocery"), .. Text(2, "2"), .. Text(3, "42"), .. Field(5, output), .. Field(6, MemoryMarshal.AsBytes<float>(expected).ToArray()),
        ];
        Assert.Equal(answer, await _client.AskAsync("ModelInfer", request));
    }

    [Fact]
    public async Task Several_pictures_get_each_its_own_answer_and_all_outputs_where_none_is_named()
    {
        var first = await TensorPicture.ProbabilitiesAsync(_server, WhatsitServer.Picture);
        var second = await TensorPicture.ProbabilitiesAsync(_server, TensorPicture.File);
        var request = new ModelInferRequest
        {
            ModelName = "grocery",
            ModelVersion = "2",
            Inputs = { new Input { Name = "image", Datatype = "BYTES", Shape = { 2, 1 } } },
            RawInputContents = { ByteString.CopyFrom([.. Element(WhatsitServer.Picture), .. Element(TensorPicture.File)]) },
        };
        using var call = _client.InferAsync(request);
        var answer = await call;
        Assert.Equal(["probabilities", "embedding", "features"], answer.Outputs.Select(output => output.Name));
        Assert.Equal([2, 81], answer.Outputs[0].Shape);
        Assert.Equal([.. first, .. second], MemoryMarshal.Cast<byte, float>(answer.RawOutputContents[0].Span).ToArray());
        Assert.Equal(("grocery", "2", ""), (answer.ModelName, answer.ModelVersion, answer.Id));
    }

    [Fact]
    public async Task Labels_come_where_classification_asks_for_them_and_times_in_the_header()
    {
        var expected = await TensorPicture.ProbabilitiesAsync(_server, WhatsitServer.Picture);
        var labels = await _server.GetJsonAsync("/models/grocery/classes");
        string[] best =
        [
            .. expected.Index().OrderByDescending(score => score.Item).Take(3)
                .Select(score => FormattableString.Invariant($"{score.Item:F6}:{score.Index}:{labels[score.Index]!["label"]}")),
        ];
        var request = Request(Picture(), new Output { Name = "probabilities", Parameters = { ["classification"] = new() { Int64Param = 3 } } });
        request.Inputs[0].Contents = new() { BytesContents = { ByteString.CopyFrom(WhatsitServer.Picture) } };
        using var call = _client.InferAsync(request);
        var output = (await call).Outputs[0];
        Assert.Equal(("BYTES", 3), (output.Datatype, output.Shape[1]));
        Assert.Equal(best, output.Contents.BytesContents.Select(label => label.ToStringUtf8()));
        Assert.Contains("compute;dur=", (await call.ResponseHeadersAsync).GetValue("server-timing"), StringComparison.Ordinal);

        request.Inputs[0].Contents = null;
        request.RawInputContents.Add(ByteString.CopyFrom(Element(WhatsitServer.Picture)));
        Assert.Equal(
            best.SelectMany(label => Element(Encoding.UTF8.GetBytes(label))),
            (await _client.InferAsync(request)).RawOutputContents[0].ToByteArray());
    }

    [Fact]
    public async Task Descriptions_are_those_of_REST()
    {
        Assert.True((await _client.AskAsync<ServerLiveRequest, ServerLiveResponse>("ServerLive", new())).Live);
        Assert.True((await _client.AskAsync<ServerReadyRequest, ServerReadyResponse>("ServerReady", new())).Ready);
        Assert.True((await _client.AskAsync<ModelReadyRequest, ModelReadyResponse>("ModelReady", new() { Name = "grocery", Version = "2" })).Ready);
        Same("/v2", await _client.AskAsync<ServerMetadataRequest, ServerMetadataResponse>("ServerMetadata", new()));
        Same("/v2/models/grocery", await _client.AskAsync<ModelMetadataRequest, ModelMetadataResponse>("ModelMetadata", new() { Name = "grocery" }));
        var configuration = (await _client.AskAsync<ModelConfigRequest, ModelConfigResponse>("ModelConfig", new() { Name = "grocery" })).Config;
        var same = await _server.GetJsonAsync("/v2/models/grocery/config");
        Assert.Equal(
            ((string)same["name"]!, (string)same["platform"]!, (string)same["backend"]!, (int)same["max_batch_size"]!),
            (configuration.Name, configuration.Platform, configuration.Backend, configuration.MaxBatchSize));
        var index = await _client.AskAsync<RepositoryIndexRequest, RepositoryIndexResponse>("RepositoryIndex", new() { Ready = true });
        Assert.Equal([("grocery", "2", "READY", "")], index.Models.Select(model => (model.Name, model.Version, model.State, model.Reason)));

        await TensorPicture.ProbabilitiesAsync(_server, WhatsitServer.Picture);
        foreach (var name in (string[])["", "grocery"])
        {
            var statistics = await _client.AskAsync<ModelStatisticsRequest, ModelStatisticsResponse>("ModelStatistics", new() { Name = name });
            Same("/v2/models/stats", statistics);
            Assert.True(statistics.ModelStats[0].InferenceStats.ComputeInfer.Ns > 0);
        }

        void Same(string path, IMessage message)
        {
            var rest = _server.GetJsonAsync(path).GetAwaiter().GetResult();
            rest["model_stats"]?[0]!.AsObject().Remove("batch_stats");
            var formatter = new JsonFormatter(JsonFormatter.Settings.Default.WithPreserveProtoFieldNames(true).WithFormatDefaultValues(true));
            // 64-bit numbers are texts in protobuf's JSON.
            Assert.Equal(
                rest.ToJsonString().Replace("\"", "", StringComparison.Ordinal),
                JsonNode.Parse(formatter.Format(message))!.ToJsonString().Replace("\"", "", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Health_and_reflection_are_gRPCs_own()
    {
        var health = new Grpc.Health.V1.Health.HealthClient(_client.Calls);
        foreach (var service in (string[])["", "inference.GRPCInferenceService"])
        {
            Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, (await health.CheckAsync(new() { Service = service }, Token)).Status);
        }

        var unknown = await Assert.ThrowsAsync<RpcException>(async () => await health.CheckAsync(new() { Service = "x" }, Token));
        Assert.Equal(new(StatusCode.NotFound, "There is no service 'x' here."), unknown.Status);
        using var watch = health.Watch(new() { Service = "x" }, Token);
        Assert.True(await watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.ServiceUnknown, watch.ResponseStream.Current.Status);

        // Old tools know v1alpha alone, new ones v1.
        using var alpha = new Grpc.Reflection.V1Alpha.ServerReflection.ServerReflectionClient(_client.Calls).ServerReflectionInfo(Token);
        await alpha.RequestStream.WriteAsync(new() { ListServices = "" }, TestContext.Current.CancellationToken);
        await alpha.RequestStream.CompleteAsync();
        Assert.True(await alpha.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.Contains("inference.GRPCInferenceService", alpha.ResponseStream.Current.ListServicesResponse.Service.Select(service => service.Name));

        using var v1 = new Grpc.Reflection.V1.ServerReflection.ServerReflectionClient(_client.Calls).ServerReflectionInfo(Token);
        await v1.RequestStream.WriteAsync(new() { FileContainingSymbol = "inference.GRPCInferenceService" }, TestContext.Current.CancellationToken);
        await v1.RequestStream.CompleteAsync();
        Assert.True(await v1.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.NotEmpty(v1.ResponseStream.Current.FileDescriptorResponse.FileDescriptorProto);
    }

    public static TheoryData<string, string> Refused => new()
    {
        { """{"model_name":"x"}""", "NotFound: Request for unknown model: 'x' is not found" },
        { """{"model_name":"grocery","model_version":"9"}""", "NotFound: Request for unknown model: 'grocery' version 9 is not found" },
        { """{"model_name":"grocery"}""", "InvalidArgument: expected 1 inputs but got 0 inputs for model 'grocery'" },
        {
            """{"model_name":"grocery","inputs":[{"name":"image","datatype":"FP32","shape":[1,224,224,3]}]}""",
            "InvalidArgument: inference input 'image' data-type is 'FP32', but model 'grocery' expects 'UINT8', or BYTES with pictures"
        },
        {
            """{"model_name":"grocery","inputs":[{"name":"image","datatype":"UINT8","shape":[1,224,224,3]}]}""",
            "InvalidArgument: input 'image' has 0 elements in uint_contents, where those of UINT8 are; its shape has 150,528"
        },
        {
            """{"model_name":"grocery","inputs":[{"name":"image","datatype":"UINT8","shape":[1,224,224,3]}],"raw_input_contents":["AAAA"]}""",
            "InvalidArgument: unexpected total byte size 3 for input 'image', expecting 150528"
        },
        {
            """{"model_name":"grocery","inputs":[{"name":"image","datatype":"BYTES","shape":[1]}],"raw_input_contents":["AAAA","AAAA"]}""",
            "InvalidArgument: expected 1 raw_input_contents but got 2 for model 'grocery'"
        },
        {
            """
            {"model_name":"grocery","inputs":[{"name":"image","datatype":"BYTES","shape":[1],"contents":{"bytes_contents":["AAAA"]}}],
            "raw_input_contents":["AAAA"]}
            """,
            "InvalidArgument: contents field must not be specified when using raw_input_contents for 'image' for model 'grocery'"
        },
        {
            """{"model_name":"grocery","inputs":[{"name":"image","datatype":"BYTES","shape":[2],"contents":{"bytes_contents":["AAAA"]}}]}""",
            "InvalidArgument: unexpected number of elements for input 'image', expecting 2"
        },
        {
            """
            {"model_name":"grocery","inputs":[{"name":"image","datatype":"BYTES","shape":[1],"contents":{"bytes_contents":["aGVsbG8="]}}],
            "outputs":[{"name":"é%"}]}
            """,
            "InvalidArgument: unexpected inference output 'é%' for model 'grocery'; it has probabilities, embedding, features"
        },
        {
            """{"model_name":"grocery","inputs":[{"name":"image","datatype":"BYTES","shape":[1],"contents":{"bytes_contents":["aGVsbG8="]}}]}""",
            "InvalidArgument: The file is text, which is not supported"
        },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Failures_are_a_status_with_the_sentence(string request, string expected)
    {
        var message = new JsonParser(JsonParser.Settings.Default).Parse<ModelInferRequest>(request);
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await _client.InferAsync(message));
        Assert.StartsWith(expected, $"{refusal.StatusCode}: {refusal.Status.Detail}", StringComparison.Ordinal);
        Assert.Matches("^[a-z-]+$", refusal.Trailers.GetValue("whatsit-code"));
    }

    [Fact]
    public async Task What_is_made_of_a_message_is_bounded_before_it_is_made()
    {
        byte[] start = [.. Text(1, "grocery")];
        await RefusedAsync("ModelInfer", [.. start, .. Enumerable.Repeat<byte[]>([0x2A, 0], 5000).SelectMany(empty => empty)],
            "InvalidArgument: The message has 10,009 bytes that are neither a picture nor a tensor; the limit is 8,192.");
        await RefusedAsync("ModelInfer", [.. start, .. Field(5, Field(5, [.. Enumerable.Repeat<byte[]>([0x42, 0], 33).SelectMany(empty => empty)]))],
            "InvalidArgument: inference request batch-size must be <= 32, got 33");
        await RefusedAsync("ModelInfer", [.. start, 0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
            "InvalidArgument: failed to parse the request: it is no ModelInferRequest");
        await RefusedAsync("ModelReady", [.. Text(1, new('x', 9000))], "InvalidArgument: The request has 9,003 bytes; the limit is 8,192.");
        await RefusedAsync("TraceSetting", [], "Unimplemented: ");

        async Task RefusedAsync(string method, byte[] request, string expected)
        {
            var refusal = await Assert.ThrowsAsync<RpcException>(() => _client.AskAsync(method, request));
            Assert.StartsWith(expected, $"{refusal.StatusCode}: {refusal.Status.Detail}", StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("gzip", "")]
    [InlineData("deflate", "")]
    [InlineData("zstd", "InvalidArgument: The message is packed, and its encoding 'zstd' is not supported. Send gzip, deflate, br or none.")]
    public async Task Messages_may_be_packed(string encoding, string refusal)
    {
        var request = Request(Tensor());
        request.RawInputContents.Add(ByteString.CopyFrom(TensorPicture.Tensor));
        using var client = new GrpcClient(new($"http://127.0.0.1:{_port}"), new() { CompressionProviders = [new Packing(encoding)] });
        var options = new CallOptions(new Metadata { { "grpc-internal-encoding-request", encoding } });
        if (refusal.Length > 0)
        {
            var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.InferAsync(request, options));
            Assert.Equal(refusal, $"{refused.StatusCode}: {refused.Status.Detail}");
            return;
        }

        Assert.Equal(
            await TensorPicture.ProbabilitiesAsync(_server, TensorPicture.File),
            MemoryMarshal.Cast<byte, float>((await client.InferAsync(request, options)).RawOutputContents[0].Span).ToArray());
    }

    [Fact]
    public async Task The_time_of_a_call_is_kept_and_its_end_is_counted()
    {
        var request = Request(Tensor());
        request.RawInputContents.Add(ByteString.CopyFrom(TensorPicture.Tensor));
        request.Parameters["timeout"] = new() { Int64Param = 1 };
        var late = await Assert.ThrowsAsync<RpcException>(async () => await _client.InferAsync(request));
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);
        await Assert.ThrowsAsync<RpcException>(async () => await _client.InferAsync(new() { ModelName = "x" }));
        var metrics = await _server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Matches("""whatsit_requests_total\{[^}]*outcome="TimedOut"[^}]*\} 1""", metrics);
        Assert.Matches("""whatsit_requests_total\{[^}]*outcome="ModelNotFound"[^}]*\} 1""", metrics);
        await _server.LoggedAsync("POST /inference.GRPCInferenceService/ModelInfer 404 in .*Failure ModelNotFound");
    }

    private static CallOptions Token => new(cancellationToken: TestContext.Current.CancellationToken);

    private async Task<float[]> RestAsync(bool binary)
    {
        var data = binary ? $"\"parameters\":{{\"binary_data_size\":{TensorPicture.Tensor.Length}}}" : $"\"data\":[{string.Join(',', TensorPicture.Tensor)}]";
        var json = $$$"""
            {"inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"UINT8",{{{data}}}}],"outputs":[{"name":"probabilities","parameters":{"binary_data":true}}]}
            """;
        using var content = HttpAssert.Raw([.. Encoding.UTF8.GetBytes(json), .. binary ? TensorPicture.Tensor : []]);
        if (binary)
        {
            content.Headers.Add("Inference-Header-Content-Length", $"{json.Length}");
        }

        using var response = await _server.Http.PostAsync("/v2/models/grocery/infer", content, TestContext.Current.CancellationToken);
        var body = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        return MemoryMarshal.Cast<byte, float>(body.AsSpan(int.Parse(response.Headers.GetValues("Inference-Header-Content-Length").Single()))).ToArray();
    }

    private static ModelInferRequest Request(Input input, Output? output = null) =>
        new() { ModelName = "grocery", Inputs = { input }, Outputs = { output ?? new Output { Name = "probabilities" } } };

    private static Input Tensor() => new() { Name = "image", Datatype = "UINT8", Shape = { 1, 224, 224, 3 } };

    private static Input Picture() => new() { Name = "image", Datatype = "BYTES", Shape = { 1 } };

    private static byte[] Element(byte[] bytes)
    {
        var length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        return [.. length, .. bytes];
    }

    private static byte[] Text(int number, string text) => Field(number, Encoding.UTF8.GetBytes(text));

    private static byte[] Field(int number, byte[] content)
    {
        var bytes = new List<byte> { (byte)((number << 3) | 2) };
        for (var length = content.Length; ; length >>= 7)
        {
            bytes.Add((byte)((length & 0x7F) | (length > 0x7F ? 0x80 : 0)));
            if (length <= 0x7F)
            {
                return [.. bytes, .. content];
            }
        }
    }

    private sealed class Packing(string name) : Grpc.Net.Compression.ICompressionProvider
    {
        public string EncodingName => name;

        public Stream CreateCompressionStream(Stream stream, CompressionLevel? compressionLevel) =>
            name == "deflate" ? new ZLibStream(stream, CompressionLevel.Fastest, true) : new GZipStream(stream, CompressionLevel.Fastest, true);

        public Stream CreateDecompressionStream(Stream stream) =>
            name == "deflate" ? new ZLibStream(stream, CompressionMode.Decompress) : new GZipStream(stream, CompressionMode.Decompress);
    }
}

/// <summary>Who may ask over gRPC, and where.</summary>
public sealed class GrpcAccessTests
{
    private const string Key = "a-key-of-some-length";

    [Fact]
    public async Task A_key_is_a_header_and_a_share_of_memory_holds()
    {
        var port = GrpcClient.FreePort();
        await using var server = WhatsitServer.With(new()
        {
            ["Grpc:Port"] = $"{port}",
            ["Access:Keys:0:Name"] = "shop",
            ["Access:Keys:0:Sha256"] = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Key))),
            ["Limits:MaxImageBytes"] = "200000",
            ["Limits:MaxRequestBytes"] = "400000",
        });
        await server.InitializeAsync();
        using var client = new GrpcClient(new($"http://127.0.0.1:{port}"));
        var request = new ModelInferRequest
        {
            ModelName = "grocery",
            Inputs = { new Input { Name = "image", Datatype = "UINT8", Shape = { 1, 224, 224, 3 } } },
            Outputs = { new Output { Name = "probabilities" } },
            RawInputContents = { ByteString.CopyFrom(TensorPicture.Tensor) },
        };
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.InferAsync(request));
        Assert.Equal(StatusCode.Unauthenticated, refused.StatusCode);
        Assert.StartsWith("This server asks for an API key", refused.Status.Detail, StringComparison.Ordinal);
        Assert.Equal("api-key-needed", refused.Trailers.GetValue("whatsit-code"));

        foreach (var header in (Metadata[])[new() { { "authorization", $"Bearer {Key}" } }, new() { { "x-api-key", Key } }])
        {
            Assert.Equal(324, (await client.InferAsync(request, new(header))).RawOutputContents[0].Length);
        }

        // Nobody has to say who he is to hear whether it is ready.
        Assert.True((await client.AskAsync<ServerReadyRequest, ServerReadyResponse>("ServerReady", new())).Ready);

        CallOptions known = new(new() { { "x-api-key", Key } });
        request.RawInputContents[0] = ByteString.CopyFrom(new byte[500_000]);
        var large = await Assert.ThrowsAsync<RpcException>(async () => await client.InferAsync(request, known));
        Assert.Equal(StatusCode.InvalidArgument, large.StatusCode);
        Assert.Matches("^The request has 500,0\\d\\d bytes; the limit is 400,000.$", large.Status.Detail);

        request.Inputs[0] = new() { Name = "image", Datatype = "BYTES", Shape = { 1 } };
        request.RawInputContents[0] = ByteString.CopyFrom([0xE0, 0x93, 4, 0, .. new byte[300_000]]);
        var picture = await Assert.ThrowsAsync<RpcException>(async () => await client.InferAsync(request, known));
        Assert.Equal("The file has 300,000 bytes; the limit is 200,000.", picture.Status.Detail);
    }

    [Fact]
    public async Task Under_TLS_it_is_the_port_of_everything_else()
    {
        await using var server = WhatsitServer.With(new() { ["urls"] = "https://127.0.0.1:0", ["https"] = "true" });
        await server.InitializeAsync();
        using var trusting = new HttpClientHandler();
        trusting.ServerCertificateCustomValidationCallback = HttpClientHandler.DangerousAcceptAnyServerCertificateValidator;
        using var client = new GrpcClient(server.Http.BaseAddress!, new() { HttpHandler = trusting });
        Assert.True((await client.AskAsync<ServerReadyRequest, ServerReadyResponse>("ServerReady", new())).Ready);
    }

    [Theory]
    [InlineData("70000", "The setting Grpc:Port is '70000'. The field Port must be between 0 and 65535.")]
    [InlineData("PORT", "The setting Grpc:Port is 'PORT', and that is where something else answers; name another port.")]
    public async Task A_port_that_cannot_be_is_said_at_start(string port, string expected)
    {
        var taken = GrpcClient.FreePort();
        var number = port == "PORT" ? $"{taken}" : port;
        var said = await WhatsitServer.RefusalAsync(WhatsitServer.Start(new Dictionary<string, string> { ["PORT"] = $"{taken}", ["Grpc:Port"] = number }));
        Assert.Equal(expected.Replace("'PORT'", $"'{number}'", StringComparison.Ordinal), said);
    }
}
