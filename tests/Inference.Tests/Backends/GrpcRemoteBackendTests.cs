using Google.Protobuf;
using Grpc.Core;
using Whatsit.Inference.Backends.Wire;
using Answered = Whatsit.Inference.Backends.Wire.ModelInferResponse.Types.InferOutputTensor;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>Over gRPC.</summary>
public sealed class GrpcRemoteBackendTests : RemoteBackendTests
{
    private readonly GrpcPeer _peer;

    public GrpcRemoteBackendTests()
        : this(new())
    {
    }

    private GrpcRemoteBackendTests(GrpcPeer peer)
        : base(peer, new GrpcPeer()) => _peer = peer;

    [Fact]
    public async Task Tensors_go_raw_with_the_deadline_and_scores_come_back()
    {
        GrpcPeer.Call? asked = null;
        var deadline = "";
        _peer.Infer = call =>
        {
            asked = (GrpcPeer.Call)call;
            deadline = asked.Context.Request.Headers["grpc-timeout"].ToString();
            return call.AnswerAsync();
        };
        await IsUnderstoodAsync();
        Assert.Equal(
            """{ "name": "image", "datatype": "UINT8", "shape": [ "1", "2", "2", "3" ] }""", Assert.Single(asked!.Asked.Inputs).ToString());
        Assert.Equal(["scores"], asked.Asked.Outputs.Select(output => output.Name));
        Assert.Equal(12, Assert.Single(asked.Asked.RawInputContents).Length);
        Assert.InRange(asked.Asked.Parameters["timeout"].Int64Param, 1, 30_000_000);
        Assert.Matches("^[0-9]+[mun]$|^[12]?[0-9]S$|^30S$", deadline);
    }

    [Fact]
    public async Task A_server_that_says_no_configuration_gets_one_picture_at_a_time()
    {
        _peer.IsPlain = true;
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(1, backend.MaxBatchSize);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
    }

    public static TheoryData<string, string> Lies => new()
    {
        { "nothing", "its answer lacks the output 'scores'" },
        { "garbage", "its answer is no inference response" },
        { "few", "its output 'scores' has 8 bytes, not 12" },
        { "many", "its output 'scores' has 16 bytes, not 12" },
        { "type", "its output 'scores' is FP64 [1,3], not FP32 [1,3]" },
        { "shape", "its output 'scores' is FP32 [2,3], not FP32 [1,3]" },
        { "empty", "its output 'scores' has 0 bytes, not 12" },
        { "raw", "its output 'scores' has 3 bytes, not 12" },
        { "unsent", "its answer lacks the output 'scores'" },
        { "infinite", "its output 'scores' has a score that is no number" },
        { "long", "its answer has more bytes than any can have" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task An_answer_to_another_question_is_none(string lie, string expected)
    {
        _peer.Infer = call => GrpcPeer.SendAsync(((GrpcPeer.Call)call).Context, lie switch
        {
            "garbage" => new byte[] { 0xFF, 0xFF, 0xFF },
            "long" => new byte[1_000_000],
            _ => Answer(lie).ToByteArray(),
        });
        await IsNoAnswerAsync(expected);
    }

    [Fact]
    public async Task Who_answers_typed_is_understood()
    {
        _peer.Infer = call => GrpcPeer.SendAsync(((GrpcPeer.Call)call).Context, Typed(1, 2, 3).ToByteArray());
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
    }

    [Fact]
    public async Task Every_type_has_a_list()
    {
        var types = new Dictionary<string, InferTensorContents>
        {
            ["BOOL"] = new() { BoolContents = { true, false } },
            ["UINT8"] = new() { UintContents = { 1, 255 } },
            ["UINT16"] = new() { UintContents = { 1, 65_535 } },
            ["UINT32"] = new() { UintContents = { 1, uint.MaxValue } },
            ["UINT64"] = new() { Uint64Contents = { 1, ulong.MaxValue } },
            ["INT8"] = new() { IntContents = { 1, -128 } },
            ["INT16"] = new() { IntContents = { 1, -32_768 } },
            ["INT32"] = new() { IntContents = { 1, int.MinValue } },
            ["INT64"] = new() { Int64Contents = { 1, long.MinValue } },
            ["FP64"] = new() { Fp64Contents = { 1, 0.5 } },
        };
        _peer.Metadata = $$"""
            {"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],"outputs":[{"name":"scores","datatype":"FP32","shape":[-1,3]},
            {{string.Join(',', types.Keys.Select(type => $$"""{"name":"{{type}}","datatype":"{{type}}","shape":[-1,2]}"""))}}]}
            """;
        _peer.Infer = call =>
        {
            var answer = Typed(1, 2, 3);
            answer.Outputs.Add(types.Select(type => new Answered { Name = type.Key, Datatype = type.Key, Shape = { 1, 2 }, Contents = type.Value }));
            return GrpcPeer.SendAsync(((GrpcPeer.Call)call).Context, answer.ToByteArray());
        };
        using var backend = await ConnectAsync(_peer);
        using var tensors = backend.Lease([.. types.Keys]);
        await backend.RunAsync([tensors], TestContext.Current.CancellationToken);
        Assert.Equal("0100", Hex("BOOL"));
        Assert.Equal("01FF", Hex("UINT8"));
        Assert.Equal("0100FFFF", Hex("UINT16"));
        Assert.Equal("01000000FFFFFFFF", Hex("UINT32"));
        Assert.Equal("0100000000000000FFFFFFFFFFFFFFFF", Hex("UINT64"));
        Assert.Equal("0180", Hex("INT8"));
        Assert.Equal("01000080", Hex("INT16"));
        Assert.Equal("0100000000000080", Hex("INT32"));
        Assert.Equal("01000000000000000000000000000080", Hex("INT64"));
        Assert.Equal("000000000000F03F000000000000E03F", Hex("FP64"));

        string Hex(string name) => Convert.ToHexString(tensors.Output(name).Bytes);
    }

    [Fact]
    public async Task Elements_that_do_not_fit_their_type_are_no_answer()
    {
        _peer.Metadata = """
            {"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],
            "outputs":[{"name":"scores","datatype":"FP32","shape":[-1,3]},{"name":"other","datatype":"UINT8","shape":[-1,2]}]}
            """;
        _peer.Infer = call =>
        {
            var answer = Typed(1, 2, 3);
            answer.Outputs.Add(new Answered { Name = "other", Datatype = "UINT8", Shape = { 1, 2 }, Contents = new() { UintContents = { 1, 256 } } });
            return GrpcPeer.SendAsync(((GrpcPeer.Call)call).Context, answer.ToByteArray());
        };
        using var backend = await ConnectAsync(_peer);
        using var tensors = backend.Lease(["other"]);
        var failed = await Assert.ThrowsAsync<InferenceException>(() => backend.RunAsync([tensors], TestContext.Current.CancellationToken).AsTask());
        Assert.EndsWith("its answer has elements that their type has no room for.", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_speaks_no_gRPC_is_not_ready()
    {
        using var http = new HttpPeer();
        var address = http.Address.Replace("http://", "grpc://", StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync([address], new() { Hosts = ["127.0.0.1"] }));
        Assert.StartsWith($"The model 'colors' is computed at {new Uri(address)}, and that is not ready. It ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_status_that_never_comes_is_a_failure()
    {
        _peer.Infer = call => GrpcPeer.SendAsync(((GrpcPeer.Call)call).Context, Typed(1, 2, 3).ToByteArray(), status: null);
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(InferenceError.UpstreamFailed, (await Assert.ThrowsAsync<InferenceException>(() => RunAsync(backend, 1))).Error);
    }

    private protected override string StatusOf(Refusal refusal) => refusal switch
    {
        Refusal.Busy => nameof(StatusCode.ResourceExhausted),
        Refusal.NotReady => nameof(StatusCode.Unavailable),
        _ => nameof(StatusCode.Internal),
    };

    private protected override string AddressOf(string host, bool isSecure = false) => $"{(isSecure ? "grpcs" : "grpc")}://{host}";

    private static ModelInferResponse Typed(params float[] scores) => new()
    {
        Outputs = { new Answered { Name = "scores", Datatype = "FP32", Shape = { 1, 3 }, Contents = new() { Fp32Contents = { scores } } } },
    };

    private static ModelInferResponse Answer(string lie)
    {
        var answer = Typed(lie switch
        {
            "few" => [1, 2],
            "many" => [1, 2, 3, 4],
            "infinite" => [1, float.PositiveInfinity, 3],
            _ => [1, 2, 3],
        });
        var output = answer.Outputs[0];
        switch (lie)
        {
            case "nothing":
                answer.Outputs.Clear();
                break;
            case "type":
                output.Datatype = "FP64";
                break;
            case "shape":
                output.Shape[0] = 2;
                break;
            case "empty":
                output.Contents = null;
                break;
            case "raw":
                answer.RawOutputContents.Add(ByteString.CopyFrom(1, 2, 3));
                break;
            case "unsent":
                answer.Outputs.Insert(0, new Answered { Name = "unasked", Datatype = "FP32", Shape = { 1 } });
                answer.RawOutputContents.Add(ByteString.CopyFrom(new byte[4]));
                break;
        }

        return answer;
    }
}
