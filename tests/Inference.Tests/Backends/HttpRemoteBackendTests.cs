using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>Over HTTP.</summary>
public sealed class HttpRemoteBackendTests : RemoteBackendTests
{
    private readonly HttpPeer _peer;

    public HttpRemoteBackendTests()
        : this(new())
    {
    }

    private HttpRemoteBackendTests(HttpPeer peer)
        : base(peer, new HttpPeer()) => _peer = peer;

    [Fact]
    public async Task Tensors_go_as_bytes_with_the_deadline_and_scores_come_back()
    {
        JsonNode? asked = null;
        _peer.Infer = call =>
        {
            asked = ((HttpPeer.Call)call).Asked;
            return call.AnswerAsync();
        };
        await IsUnderstoodAsync();
        Assert.Equal(
            """{"name":"image","shape":[1,2,2,3],"datatype":"UINT8","parameters":{"binary_data_size":12}}""", asked!["inputs"]![0]!.ToJsonString());
        Assert.Equal("""[{"name":"scores","parameters":{"binary_data":true}}]""", asked["outputs"]!.ToJsonString());
        Assert.InRange((long)asked["parameters"]!["timeout"]!, 1, 30_000_000);
    }

    [Theory]
    [InlineData("""{"name":"peer","extensions":["classification"]}""", true)]
    [InlineData("""{"name":"peer"}""", false)]
    public async Task Who_takes_no_bytes_gets_numbers_and_who_says_nothing_bytes(string server, bool isJson)
    {
        _peer.Server = server;
        JsonNode? asked = null;
        _peer.Infer = call =>
        {
            asked = ((HttpPeer.Call)call).Asked;
            return call.AnswerAsync();
        };
        using var backend = await ConnectAsync(_peer);
        Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        Assert.Equal(isJson, asked!["inputs"]![0]!["data"] is not null);
    }

    [Fact]
    public async Task Each_server_gets_the_form_that_it_takes()
    {
        using var plain = new HttpPeer { Server = """{"name":"peer","extensions":["classification"]}""" };
        using var typed = new GrpcPeer();
        var forms = new List<bool>();
        plain.Infer = _peer.Infer = call =>
        {
            forms.Add(((HttpPeer.Call)call).Asked["inputs"]![0]!["data"] is not null);
            return call.AnswerAsync();
        };
        using var backend = await ConnectAsync(typed, _peer, plain);
        for (var call = 0; call < 3; call++)
        {
            Assert.Equal(OneTwoThree, await RunAsync(backend, 1));
        }

        Assert.Equal([false, true], forms.Order());
        Assert.Equal([1], typed.Asked);
    }

    public static TheoryData<string, string, string> Lies => new()
    {
        { "nothing", "", "its answer is no inference response" },
        { """{"outputs":[]}""", "", "its answer lacks the output 'scores'" },
        { """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[1,2]}]}""", "", "its data has 8 bytes of numbers, not 12" },
        { """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[1,2,3,4]}]}""", "", "its data has more than 12 bytes of numbers" },
        { """{"outputs":[{"name":"scores","datatype":"FP64","shape":[1,3],"data":[1,2,3]}]}""", "", "its output 'scores' is FP64 [1,3], not FP32 [1,3]" },
        { """{"outputs":[{"name":"scores","datatype":"FP32","shape":[2,3],"data":[1,2,3]}]}""", "", "its output 'scores' is FP32 [2,3], not FP32 [1,3]" },
        {
            """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"parameters":{"binary_data_size":12}}]}""", "abc",
            "its output 'scores' says 12 bytes, and there are 3"
        },
        {
            """{"outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"parameters":{"binary_data_size":12}}]}""", "\0\0\u007F\u007F\0\0\u00C0\u007Fabcd",
            "its output 'scores' has a score that is no number"
        },
        { """{"outputs":[{"name":1}]}""", "", "its answer is no inference response" },
        { new string(' ', 100_000), "", "its answer has more than" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task An_answer_to_another_question_is_none(string json, string bytes, string expected)
    {
        _peer.Infer = call => HttpPeer.SendAsync(
            ((HttpPeer.Call)call).Context, 200, [.. Encoding.UTF8.GetBytes(json), .. Encoding.Latin1.GetBytes(bytes)], bytes.Length > 0 ? json.Length : null);
        await IsNoAnswerAsync(expected);
    }

    [Theory]
    [InlineData("""
        {"inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],
        "outputs":[{"name":"scores","datatype":"FP32","shape":[-1,3]},{"name":"scores","datatype":"FP32","shape":[-1,3]}]}
        """,
        "What it says at /v2/models/colors is no model's metadata.")]
    [InlineData("""{"inputs":[{"name":"image","datatype":"UINT8","shape":["99999999999999999999",2,2,3]}],"outputs":[]}""",
        "What it says at /v2/models/colors is no model's metadata.")]
    [InlineData("""{"inputs":[1]}""", "What it says at /v2/models/colors is no model's metadata.")]
    [InlineData("[", "It says nothing at /v2/models/colors.")]
    public async Task What_is_no_metadata_is_refused_at_start(string metadata, string expected)
    {
        _peer.Metadata = metadata;
        await IsRefusedAsync(expected);
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("grpc://host:8001/path")]
    [InlineData("http://user@host")]
    public async Task An_address_is_one_of_a_server(string endpoint)
    {
        var refused = await Assert.ThrowsAsync<InferenceException>(() => ConnectAsync([endpoint], new() { Hosts = ["*"] }));
        Assert.Equal($"The model 'colors' names the endpoint '{endpoint}'; it must be such as http://host:8080 or grpc://host:8001.", refused.Message);
    }

    private protected override string StatusOf(Refusal refusal) => refusal switch
    {
        Refusal.Busy => "429",
        Refusal.NotReady => "503",
        _ => "500",
    };

    private protected override string AddressOf(string host, bool isSecure = false) => $"{(isSecure ? "https" : "http")}://{host}";
}
