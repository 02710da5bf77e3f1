using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>TensorFlow Serving's REST API and KServe's v1, in the bodies of their documentation.</summary>
public sealed class TensorFlowServingTests(WhatsitServer server)
{
    private const string Predict = "/v1/models/grocery:predict";
    private static readonly string Picture = $$$"""{"b64":"{{{Convert.ToBase64String(TensorPicture.File)}}}"}""";
    private static readonly string Tensor = TensorPicture.Nested;

    public static TheoryData<string, string, int> Rows => new()
    {
        { "pictures", $$$"""{"instances":[{{{Picture}}},{{{Picture}}}]}""", 2 },
        { "a picture under the input's name", $$$"""{"signature_name":"serving_default","instances":[{"image":{{{Picture}}}}]}""", 1 },
        { "a tensor", $$$"""{"instances":[{{{Tensor}}}]}""", 1 },
        { "a tensor under the input's name, and a picture", $$$"""{"instances":[{"image":{{{Tensor}}}},{{{Picture}}}]}""", 2 },
    };

    public static TheoryData<string, string> Columns => new()
    {
        { "a tensor", $$$"""{"inputs":[{{{Tensor}}}]}""" },
        { "a tensor under the input's name", $$$"""{"inputs":{"image":[{{{Tensor}}}]}}""" },
        { "pictures", $$$"""{"inputs":[{{{Picture}}}]}""" },
        { "pictures under the input's name", $$$"""{"inputs":{"image":[{{{Picture}}}]}}""" },
        { "a picture", $$$"""{"inputs":{{{Picture}}}}""" },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public async Task Rows_are_answered_in_rows(string form, string body, int count)
    {
        Assert.NotEmpty(form);
        var row = JsonSerializer.Serialize(await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File));
        Assert.Equal($$$"""{"predictions":[{{{string.Join(',', Enumerable.Repeat(row, count))}}}]}""", await OkAsync(Predict, body));
    }

    [Theory]
    [MemberData(nameof(Columns))]
    public async Task Columns_are_answered_in_columns(string form, string body)
    {
        Assert.NotEmpty(form);
        var row = JsonSerializer.Serialize(await TensorPicture.ProbabilitiesAsync(server, TensorPicture.File));
        Assert.Equal($$$"""{"outputs":[{{{row}}}]}""", await OkAsync("/v1/models/grocery/versions/2:predict", body));
    }

    [Fact]
    public async Task Examples_are_answered_with_labels()
    {
        var expected = await server.Http.PostAsync("/predict", HttpAssert.Raw(TensorPicture.File), TestContext.Current.CancellationToken);
        var labels = (await HttpAssert.OkAsync(expected))["predictions"]!.AsArray()
            .Select(prediction => $"[{prediction!["label"]!.ToJsonString()},{prediction["confidence"]!.ToJsonString()}]");
        Assert.Equal(
            $$$"""{"results":[[{{{string.Join(',', labels)}}}]]}""",
            await OkAsync("/v1/models/grocery:classify", $$$"""{"examples":[{"image":{{{Picture}}}}]}"""));
    }

    [Fact]
    public async Task Status_and_metadata_are_told_in_the_protocols_words()
    {
        const string Status =
            """{"model_version_status":[{"version":"2","state":"AVAILABLE","status":{"error_code":"OK","error_message":""}}],"name":"grocery","ready":true}""";
        Assert.Equal(Status, await server.Http.GetStringAsync("/v1/models/grocery", TestContext.Current.CancellationToken));
        Assert.Equal(Status, await server.Http.GetStringAsync("/v1/models/grocery/versions/2", TestContext.Current.CancellationToken));
        Assert.Equal("""{"models":["grocery"]}""", await server.Http.GetStringAsync("/v1/models", TestContext.Current.CancellationToken));
        Assert.Equal(
            """
            {"model_spec":{"name":"grocery","signature_name":"","version":"2"},"metadata":{"signature_def":{"signature_def":{"serving_default":{
            "inputs":{"image":{"dtype":"DT_UINT8","tensor_shape":{"dim":[{"size":"-1","name":""},{"size":"224","name":""},{"size":"224","name":""},
            {"size":"3","name":""}],"unknown_rank":false},"name":"image:0"}},
            "outputs":{"probabilities":{"dtype":"DT_FLOAT","tensor_shape":{"dim":[{"size":"-1","name":""},{"size":"81","name":""}],"unknown_rank":false},
            "name":"probabilities:0"}},"method_name":"tensorflow/serving/predict"}}}}}
            """.ReplaceLineEndings(""),
            await server.Http.GetStringAsync("/v1/models/grocery/metadata", TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(404, "/v1/models/m:predict", "{}", "Servable not found for request: Latest(m)")]
    [InlineData(404, "/v1/models/grocery/versions/7:predict", "{}", "Servable not found for request: Specific(grocery, 7)")]
    [InlineData(400, Predict, "{", "The body is no valid JSON.")]
    [InlineData(400, Predict, "{}", "The body has no 'instances' and no 'inputs'.")]
    [InlineData(400, Predict, """{"instances":[]}""", "'instances' is empty.")]
    [InlineData(400, Predict, """{"instances":[[1,2,3]]}""", "An array does not have the 224 elements that the model's input has there.")]
    [InlineData(400, Predict, """{"instances":[{"b64":7}]}""", "'b64' must be base64 text.")]
    [InlineData(400, Predict, """{"instances":[{"b64":"*"}]}""", "\"b64\" is no valid base64 text.")]
    [InlineData(415, Predict, """{"instances":[{"b64":"aGVsbG8sIHdvcmxk"}]}""", null)]
    [InlineData(400, "/v1/models/grocery:classify", """{"instances":[]}""", "The body has no 'examples'.")]
    public async Task Failures_are_one_sentence_in_error(int status, string path, string body, string? expected)
    {
        using var content = new StringContent(body);
        using var response = await server.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!.AsObject();
        Assert.Equal(["error"], answer.Select(member => member.Key));
        Assert.Equal(expected ?? (string)answer["error"]!, (string)answer["error"]!);
        Assert.Equal(status, (int)response.StatusCode);
    }

    private async Task<string> OkAsync(string path, string body)
    {
        using var content = new StringContent(body);
        using var response = await server.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }
}
