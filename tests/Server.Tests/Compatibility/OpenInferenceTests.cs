using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>The Open Inference Protocol over HTTP, in the very bodies that its documentation and its official client have.</summary>
public sealed class OpenInferenceTests(WhatsitServer server)
{
    private const string Infer = "/v2/models/grocery/infer";
    private const string HeaderLength = "Inference-Header-Content-Length";
    private const string Binary =
        """{"name":"image","shape":[1,224,224,3],"datatype":"UINT8","parameters":{"binary_data_size":150528}}""";

    private const string Head = """{"model_name":"grocery","model_version":"2","outputs":[""";
    private static readonly string Base64 = Convert.ToBase64String(WhatsitServer.Picture);

    public static TheoryData<string, string> Documents => new()
    {
        { "/v2", """{"name":"whatsit","version":"VERSION","extensions":["binary_tensor_data","classification","statistics"]}""" },
        { "/v2/health/live", """{"live":true}""" },
        { "/v2/health/ready", """{"ready":true}""" },
        { "/v2/models", """{"models":["grocery"]}""" },
        { "/v2/models/grocery/ready", """{"name":"grocery","ready":true}""" },
        { "/v2/models/grocery/versions/2/ready", """{"name":"grocery","ready":true}""" },
        { "/v2/models/grocery", Metadata },
        { "/v2/models/grocery/versions/2", Metadata },
        {
            "/v2/models/grocery/config",
            """
            {"name":"grocery","platform":"onnxruntime_onnx","backend":"onnxruntime","max_batch_size":32,
            "input":[{"name":"image","data_type":"TYPE_UINT8","format":"FORMAT_NHWC","dims":[224,224,3]}],
            "output":[{"name":"probabilities","data_type":"TYPE_FP32","dims":[81],"label_filename":"labels.txt"},
            {"name":"embedding","data_type":"TYPE_FP32","dims":[1280]},
            {"name":"features","data_type":"TYPE_FP32","dims":[1280,7,7]}],"default_model_filename":"FILE"}
            """
        },
    };

    private static string Metadata =>
        """
        {"name":"grocery","versions":["2"],"platform":"onnx_onnxv1","inputs":[{"name":"image","datatype":"UINT8","shape":[-1,224,224,3]}],
        "outputs":[{"name":"probabilities","datatype":"FP32","shape":[-1,81]},{"name":"embedding","datatype":"FP32","shape":[-1,1280]},
        {"name":"features","datatype":"FP32","shape":[-1,1280,7,7]}]}
        """;

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task What_the_server_and_its_models_are_is_told_in_the_protocols_words(string path, string expected)
    {
        var answer = await server.Http.GetStringAsync(path, TestContext.Current.CancellationToken);
        var manifest = (await server.GetJsonAsync("/models/grocery"))!;
        var file = (string)manifest["manifest"]!["files"]![(string)manifest["variant"]!]!["file"]!;
        var version = (string)JsonNode.Parse(await server.Http.GetStringAsync("/v2", TestContext.Current.CancellationToken))!["version"]!;
        Assert.Matches(@"^\d+\.\d+\.\d+", version);
        expected = expected.Replace("FILE", file, StringComparison.Ordinal).Replace("VERSION", version, StringComparison.Ordinal);
        Assert.Equal(expected.ReplaceLineEndings(""), answer);
    }

    [Fact]
    public async Task A_tensor_in_JSON_gives_the_same_bits_as_the_picture_with_these_pixels_flat_or_nested()
    {
        var expected = await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File);
        var flat = string.Join(',', TensorPicture.Tensor);
        var whole = $$$"""{"id":"42","model_name":"grocery","model_version":"2","outputs":[{{{Probabilities(expected)}}}]}""";
        foreach (var data in (string[])[$"[{flat}]", $"[{TensorPicture.Nested}]"])
        {
            using var response = await PostAsync(
                $$$"""
                {"id":"42","inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"UINT8","data":{{{data}}}}],"outputs":[{"name":"probabilities"}]}
                """);
            Assert.Equal(whole, await TextAsync(response));
            Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
        }
    }

    [Fact]
    public async Task The_official_clients_binary_request_is_answered_in_binary_with_the_same_bits()
    {
        // As tritonclient.http sends it where no outputs are listed (src/python/library/tritonclient/http/_utils.py): no type, and the length of the JSON.
        var json = $$$"""{"inputs":[{{{Binary}}}],"parameters":{"binary_data_output":true}}""";
        using var response = await PostAsync(Infer, json, TensorPicture.Tensor);
        var (header, bytes) = await SplitAsync(response);
        Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(
            $$$"""
            {{{Head}}}{"name":"probabilities","datatype":"FP32","shape":[1,81],"parameters":{"binary_data_size":324}},
            {"name":"embedding","datatype":"FP32","shape":[1,1280],"parameters":{"binary_data_size":5120}},
            {"name":"features","datatype":"FP32","shape":[1,1280,7,7],"parameters":{"binary_data_size":250880}}]}
            """.ReplaceLineEndings(""),
            header);
        Assert.Equal(324 + 5120 + 250880, bytes.Length);
        Assert.Equal(await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File), MemoryMarshal.Cast<byte, float>(bytes.AsSpan(0, 324)).ToArray());
    }

    [Fact]
    public async Task An_outputs_own_wish_goes_before_the_requests()
    {
        var json =
            $$$"""
            {"inputs":[{{{Binary}}}],"parameters":{"binary_data_output":true},
            "outputs":[{"name":"embedding"},{"name":"probabilities","parameters":{"binary_data":false}}]}
            """;
        var (header, bytes) = await SplitAsync(await PostAsync(Infer, json, TensorPicture.Tensor));
        var expected = await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File);
        Assert.Equal(
            $$$"""
            {{{Head}}}{"name":"embedding","datatype":"FP32","shape":[1,1280],"parameters":{"binary_data_size":5120}},
            {{{Probabilities(expected)}}}]}
            """.ReplaceLineEndings(""),
            header);
        Assert.Equal(5120, bytes.Length);
    }

    [Fact]
    public async Task The_classification_extension_gives_values_indexes_and_labels_in_JSON_and_in_bytes()
    {
        var probabilities = await TensorPicture.ProbabilitiesAsync(server, WhatsitServer.Picture);
        var labels = (await server.GetJsonAsync("/api/classes")).AsArray();
        string[] best =
        [
            .. Enumerable.Range(0, 81).OrderByDescending(index => probabilities[index]).Take(3)
                .Select(index => FormattableString.Invariant($"{probabilities[index]:F6}:{index}:{labels[index]}")),
        ];
        Assert.EndsWith(":1:Granny Smith apple", best[0]);
        var input = $$$"""{"name":"image","shape":[1],"datatype":"BYTES","parameters":{"content_type":"base64"},"data":["{{{Base64}}}"]}""";
        using var text = await PostAsync(
            $$$"""{"inputs":[{{{input}}}],"outputs":[{"name":"probabilities","parameters":{"classification":3}}]}""");
        Assert.Equal(
            $$$"""
            {{{Head}}}{"name":"probabilities","datatype":"BYTES","shape":[1,3],"data":["{{{string.Join("\",\"", best)}}}"]}]}
            """,
            await TextAsync(text));

        var (header, bytes) = await SplitAsync(await PostAsync(
            $$$"""{"inputs":[{{{input}}}],"outputs":[{"name":"probabilities","parameters":{"classification":3,"binary_data":true}}]}"""));
        byte[] elements = [.. best.SelectMany(label => Element(Encoding.UTF8.GetBytes(label)))];
        Assert.Equal(
            $$$"""
            {{{Head}}}{"name":"probabilities","datatype":"BYTES","shape":[1,3],"parameters":{"binary_data_size":{{{elements.Length}}}}}]}
            """,
            header);
        Assert.Equal(elements, bytes);
    }

    [Fact]
    public async Task Pictures_go_through_the_models_preprocessing_several_at_once_each_its_own_answer()
    {
        var first = await TensorPicture.ProbabilitiesAsync(server, WhatsitServer.Picture);
        var second = await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File);
        byte[] elements = [.. Element(WhatsitServer.Picture), .. Element(TensorPicture.File), .. Element(WhatsitServer.Picture)];
        var json =
            $$$"""
            {"inputs":[{"name":"image","shape":[3],"datatype":"BYTES","parameters":{"binary_data_size":{{{elements.Length}}}}}],
            "outputs":[{"name":"probabilities","parameters":{"binary_data":true}}]}
            """;
        var (header, bytes) = await SplitAsync(await PostAsync(Infer, json, elements));
        Assert.Contains("\"shape\":[3,81]", header, StringComparison.Ordinal);
        Assert.Equal([.. first, .. second, .. first], MemoryMarshal.Cast<byte, float>(bytes).ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_body_without_JSON_is_the_one_input_and_all_outputs_come_in_binary(bool isTensor)
    {
        using var content = HttpAssert.Raw(isTensor ? TensorPicture.Tensor : TensorPicture.File);
        content.Headers.Add(HeaderLength, "0");
        using var response = await server.Http.PostAsync(Infer, content, TestContext.Current.CancellationToken);
        var (_, bytes) = await SplitAsync(response);
        Assert.Equal(await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File), MemoryMarshal.Cast<byte, float>(bytes.AsSpan(0, 324)).ToArray());
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task Bodies_are_packed_both_ways(string encoding)
    {
        var json = $$$"""{"inputs":[{{{Binary}}}],"outputs":[{"name":"probabilities","parameters":{"binary_data":true}}]}""";
        using var packed = new MemoryStream();
        await using (Stream packing = encoding == "gzip" ? new GZipStream(packed, CompressionMode.Compress, true)
            : new ZLibStream(packed, CompressionMode.Compress, true))
        {
            await packing.WriteAsync((byte[])[.. Encoding.UTF8.GetBytes(json), .. TensorPicture.Tensor], TestContext.Current.CancellationToken);
        }

        using var content = HttpAssert.Raw(packed.ToArray());
        content.Headers.ContentEncoding.Add(encoding);
        content.Headers.Add(HeaderLength, $"{json.Length}");
        using var request = new HttpRequestMessage(HttpMethod.Post, Infer) { Content = content, Headers = { AcceptEncoding = { new(encoding) } } };
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal([encoding], response.Content.Headers.ContentEncoding);
        await using var body = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        await using Stream unpacking = encoding == "gzip" ? new GZipStream(body, CompressionMode.Decompress) : new ZLibStream(body, CompressionMode.Decompress);
        using var unpacked = new MemoryStream();
        await unpacking.CopyToAsync(unpacked, TestContext.Current.CancellationToken);
        Assert.Equal(
            await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File), MemoryMarshal.Cast<byte, float>(unpacked.ToArray().AsSpan()[^324..]).ToArray());
    }

    [Theory]
    [InlineData(404, "/v2/models/x/infer", "{}", "Request for unknown model: 'x' is not found")]
    [InlineData(404, "/v2/models/grocery/versions/9/infer", "{}", "Request for unknown model: 'grocery' version 9 is not found")]
    [InlineData(400, Infer, "{", "failed to parse the request JSON buffer: it is no inference request")]
    [InlineData(400, Infer, "[1]", "failed to parse the request JSON buffer: it is no inference request")]
    [InlineData(400, Infer, """{"inputs":{"name":"image"}}""", "failed to parse the request JSON buffer: it is no inference request")]
    [InlineData(400, Infer, "{}", "expected 1 inputs but got 0 inputs for model 'grocery'")]
    [InlineData(400, Infer, """{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":[""]}]}""",
        "unexpected inference input 'x' for model 'grocery'; it has 'image'")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","datatype":"BYTES","data":[""]}]}""", "an input has no 'shape'")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"FP32","data":[1]}]}""",
        "inference input 'image' data-type is 'FP32', but model 'grocery' expects 'UINT8', or BYTES with pictures")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[1,3,224,224],"datatype":"UINT8","data":[1]}]}""",
        "unexpected shape for input 'image' for model 'grocery'. Expected [-1,224,224,3], got [1,3,224,224]")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[33],"datatype":"BYTES","data":[""]}]}""",
        "inference request batch-size must be <= 32 for 'grocery', got 33")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"UINT8","data":[1,2]}]}""",
        "The tensor's data has 2 elements; its shape has 150,528.")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"UINT8","data":[256]}]}""",
        "The tensor has the element '256', which is no UINT8.")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"UINT8"}]}""", "input 'image' has no 'data'")]
    [InlineData(400, Infer, """{"inputs":[{"name":"image","shape":[1,224,224,3],"datatype":"UINT8","parameters":{"binary_data_size":7}}]}""",
        "unexpected total byte size 0 behind the JSON, where 'binary_data_size' says 7")]
    [InlineData(400, Infer, """{"inputs":[],"outputs":[{}]}""", "an output has no 'name'")]
    [InlineData(400, Infer, """{"inputs":[],"outputs":[{"name":null}]}""", "an output has no 'name'")]
    [InlineData(400, Infer, """{"inputs":[],"outputs":["probabilities"]}""", "an output has no 'name'")]
    [InlineData(415, Infer, """{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["aGVsbG8sIHdvcmxk"]}]}""", "JPEG")]
    [InlineData(404, "/v2/nothing", "{}", "There is no '/v2/nothing' here.")]
    public async Task Failures_are_one_sentence_in_error(int status, string path, string body, string expected)
    {
        using var response = await PostAsync(path, body);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject();
        Assert.Equal(["error"], answer.Select(member => member.Key));
        Assert.Contains(expected, (string)answer["error"]!, StringComparison.Ordinal);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.ToString());
    }

    [Theory]
    [InlineData("/v2/models/x", HttpStatusCode.NotFound)]
    [InlineData("/v2/models/x/ready", HttpStatusCode.NotFound)]
    [InlineData("/v2/models/grocery/versions/9", HttpStatusCode.NotFound)]
    [InlineData("/v2/models/grocery/infer", HttpStatusCode.MethodNotAllowed)]
    public async Task What_is_not_there_is_said_in_error_too(string path, HttpStatusCode status)
    {
        using var response = await server.Http.GetAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(status, response.StatusCode);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject();
        Assert.Equal(["error"], answer.Select(member => member.Key));
    }

    [Fact]
    public async Task An_output_that_the_graph_lacks_is_refused_by_its_name()
    {
        using var response = await PostAsync(
            $$$"""{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["{{{Base64}}}"]}],"outputs":[{"name":"logits"}]}""");
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(
            """{"error":"unexpected inference output 'logits' for model 'grocery'; it has probabilities, embedding, features"}""",
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(Infer, """{"id":"…"}""")]
    [InlineData(Infer, """{"parameters":["…"]}""")]
    [InlineData(Infer, """{"inputs":[{"name":"…"}]}""")]
    [InlineData(Infer, """{"inputs":[{"datatype":"…"}]}""")]
    [InlineData(Infer, """{"inputs":[{"shape":["…"]}]}""")]
    [InlineData(Infer, """{"inputs":[{"parameters":["…"]}]}""")]
    [InlineData(Infer, """{"outputs":[{"parameters":["…"]}]}""")]
    [InlineData("/models/grocery", """{"parameters":["…"]}""")]
    public async Task What_is_no_data_is_not_parsed_at_any_length(string path, string body)
    {
        using var response = await PostAsync(path, body.Replace("…", new('x', 10_000), StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Matches(
            """^{"error":"A value in the JSON that is neither a picture nor a tensor has 10,0\d\d bytes; the limit is 8,192."}$""",
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task An_output_is_not_made_as_often_as_somebody_likes()
    {
        using var response = await PostAsync(
            $$$"""
            {"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["{{{Base64}}}"]}],
            "outputs":[{{{string.Join(',', Enumerable.Repeat("""{"name":"features"}""", 7))}}}]}
            """);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(
            """{"error":"expected at most 6 outputs for model 'grocery'"}""",
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_longest_time_that_can_be_said_is_no_limit()
    {
        using var response = await PostAsync(
            $$$"""
            {"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["{{{Base64}}}"]}],"outputs":[{"name":"probabilities"}],
            "parameters":{"timeout":9223372036854775807}}
            """);
        Assert.StartsWith(Head, await TextAsync(response), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Statistics_count_what_was_answered_and_the_index_lists_the_models()
    {
        var before = (await server.GetJsonAsync("/v2/models/grocery/stats"))["model_stats"]![0]!;
        await TensorPicture.ProbabilitiesAsync(server, WhatsitServer.Picture);
        var after = (await server.GetJsonAsync("/v2/models/stats"))["model_stats"]![0]!;
        Assert.Equal(["name", "version", "last_inference", "inference_count", "execution_count", "inference_stats", "batch_stats"],
            after.AsObject().Select(member => member.Key));
        Assert.Equal(["success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"],
            after["inference_stats"]!.AsObject().Select(member => member.Key));
        // Other tests ask it meanwhile.
        Assert.InRange((long)after["inference_count"]! - (long)before["inference_count"]!, 1, 1000);
        Assert.Equal((long)after["inference_count"]!, (long)after["inference_stats"]!["success"]!["count"]!);
        Assert.True((long)after["inference_stats"]!["compute_infer"]!["ns"]! > (long)before["inference_stats"]!["compute_infer"]!["ns"]!);

        foreach (var body in (string[])["", "{}", """{"ready":true}"""])
        {
            using var index = await PostAsync("/v2/repository/index", body);
            Assert.Equal("""[{"name":"grocery","version":"2","state":"READY","reason":""}]""", await TextAsync(index));
        }
    }

    private static string Probabilities(float[] values) =>
        $$$"""{"name":"probabilities","datatype":"FP32","shape":[1,81],"data":{{{JsonSerializer.Serialize(values)}}}}""";

    private static byte[] Element(byte[] bytes)
    {
        var length = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        return [.. length, .. bytes];
    }

    private static async Task<string> TextAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }

    private static async Task<(string Header, byte[] Bytes)> SplitAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, Encoding.UTF8.GetString(body));
        var length = int.Parse(response.Headers.GetValues(HeaderLength).Single());
        return (Encoding.UTF8.GetString(body.AsSpan(0, length)), body[length..]);
    }

    private Task<HttpResponseMessage> PostAsync(string json) => PostAsync(Infer, json);

    private async Task<HttpResponseMessage> PostAsync(string path, string json, params byte[] bytes)
    {
        using var content = HttpAssert.Raw([.. Encoding.UTF8.GetBytes(json), .. bytes]);
        if (bytes.Length > 0)
        {
            content.Headers.Add(HeaderLength, $"{Encoding.UTF8.GetByteCount(json)}");
        }

        return await server.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
    }
}
