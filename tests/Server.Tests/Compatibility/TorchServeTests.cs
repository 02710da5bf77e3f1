using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>TorchServe's inference API.</summary>
public sealed class TorchServeTests(WhatsitServer server)
{
    [Theory]
    [InlineData("PUT", "/predictions/grocery")]
    [InlineData("POST", "/predictions/grocery")]
    [InlineData("POST", "/predictions/grocery/2")]
    public async Task A_raw_picture_is_answered_by_an_object_of_labels(string method, string path)
    {
        // curl http://localhost:8080/predictions/grocery -T photo.png
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = HttpAssert.Raw(WhatsitServer.Picture) };
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(await ExpectedAsync(), await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Several_parts_are_answered_by_a_list()
    {
        // curl http://localhost:8080/predictions/grocery -F "data=@photo.png" -F "data=@photo.png"
        using var one = HttpAssert.Form(("data", WhatsitServer.Picture));
        using var two = HttpAssert.Form(("data", WhatsitServer.Picture), ("data", WhatsitServer.Picture));
        var expected = await ExpectedAsync();
        Assert.Equal(expected, await PostAsync(one));
        Assert.Equal($"[{expected},{expected}]", await PostAsync(two));
    }

    [Fact]
    public async Task The_management_port_lists_models_as_TorchServes_does()
    {
        await using var own = WhatsitServer.With(new() { ["Management:Port"] = "18081" });
        await own.InitializeAsync();
        Assert.Equal(
            """{"models":[{"modelName":"grocery","modelUrl":"grocery.mar"}]}""",
            await own.Http.GetStringAsync("http://127.0.0.1:18081/models", TestContext.Current.CancellationToken));
        Assert.Equal("grocery", (string)(await own.GetJsonAsync("/models"))[0]!["name"]!);
    }

    [Fact]
    public async Task Ping_says_healthy() =>
        Assert.Equal("""{"status":"Healthy"}""", await server.Http.GetStringAsync("/ping", TestContext.Current.CancellationToken));

    [Theory]
    [InlineData("/predictions/x", """{"code":404,"type":"ModelNotFoundException","message":"Model not found: x"}""")]
    [InlineData("/predictions/grocery/9",
        """{"code":404,"type":"ModelVersionNotFoundException","message":"Model version: 9 does not exist for model: grocery"}""")]
    [InlineData("/predictions/grocery", """{"code":400,"type":"BadRequestException","message":"The request has no picture: its body is empty."}""")]
    public async Task Failures_have_code_type_and_message(string path, string expected)
    {
        using var response = await server.Http.PostAsync(path, null, TestContext.Current.CancellationToken);
        Assert.Equal(expected, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal((int)JsonNode.Parse(expected)!["code"]!, (int)response.StatusCode);
    }

    private async Task<string> ExpectedAsync()
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture);
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
        return $"{{{string.Join(',', answer["predictions"]!.AsArray().Select(prediction =>
            $"{prediction!["label"]!.ToJsonString()}:{prediction["confidence"]!.ToJsonString()}"))}}}";
    }

    private async Task<string> PostAsync(HttpContent content)
    {
        using var response = await server.Http.PostAsync("/predictions/grocery", content, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }
}
