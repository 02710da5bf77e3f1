using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>Hugging Face's image classification task.</summary>
public sealed class HuggingFaceTests(WhatsitServer server)
{
    private static readonly string Base64 = Convert.ToBase64String(WhatsitServer.Picture);

    [Theory]
    [InlineData("/")]
    [InlineData("/models/grocery")]
    public async Task A_picture_is_answered_by_labels_and_scores_raw_or_in_JSON(string path)
    {
        var expected = await LabelsAsync(5);
        Assert.Equal(expected, await OkAsync(path, HttpAssert.Raw(WhatsitServer.Picture, "image/png")));
        Assert.Equal(expected, await OkAsync(path, HttpAssert.Raw(WhatsitServer.Picture)));
        Assert.Equal(expected, await OkAsync(path, new StringContent($$$"""{"inputs":"{{{Base64}}}"}""")));
        Assert.Equal(await LabelsAsync(3), await OkAsync(path, new StringContent($$$"""{"inputs":"{{{Base64}}}","parameters":{"top_k":3}}""")));
        Assert.Equal(
            await LabelsAsync(3),
            await OkAsync(path, new StringContent(
                $$$"""{"inputs":"data:image/png;base64,{{{Base64}}}","parameters":{"top_k":3,"function_to_apply":"softmax"}}""")));
        Assert.Equal(
            await LabelsAsync(3),
            await OkAsync(path, new StringContent($$$"""{"inputs":"{{{Base64}}}","parameters":{"top_k":3,"function_to_apply":"none"}}""")));
    }

    [Fact]
    public async Task Sigmoid_is_that_of_the_logits()
    {
        var probabilities = (await TensorPicture.ProbabilitiesAsync(server, WhatsitServer.Picture)).OrderDescending().Take(2);
        var scores = JsonNode.Parse(await OkAsync("/", new StringContent(
            $$$"""{"inputs":"{{{Base64}}}","parameters":{"top_k":2,"function_to_apply":"sigmoid"}}""")))!.AsArray().Select(label => (float)label!["score"]!);
        Assert.All(probabilities.Zip(scores), pair => Assert.Equal(1 / (1 + Math.Exp(-Math.Log(pair.First))), pair.Second, 1e-6));
    }

    [Theory]
    [InlineData(404, "/models/x", """{"inputs":""}""", "Model x does not exist")]
    [InlineData(400, "/", """{"inputs":7}""", "\"inputs\" is missing: the picture as base64 text.")]
    [InlineData(400, "/", """{"inputs":"*"}""", "\"inputs\" is no valid base64 text.")]
    [InlineData(400, "/", """{"inputs":"","parameters":{"top_k":0}}""", "top_k is 0; it must be a whole number from 1.")]
    [InlineData(400, "/", """{"inputs":"","parameters":{"function_to_apply":"x"}}""", "function_to_apply is \"x\"; it must be softmax, sigmoid or none.")]
    [InlineData(400, "/", "{", "The body is no valid JSON.")]
    public async Task Failures_are_one_sentence_in_error(int status, string path, string body, string expected)
    {
        using var content = new StringContent(body);
        using var response = await server.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        Assert.Equal(
            $$"""{"error":"{{expected.Replace("\"", "\\\"", StringComparison.Ordinal)}}"}""",
            await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task The_page_is_still_at_the_root_and_the_native_routes_beside_it()
    {
        using var page = await server.Http.GetAsync("/", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        Assert.Equal("grocery", (string)(await server.GetJsonAsync("/models/grocery"))["manifest"]!["name"]!);
    }

    private async Task<string> LabelsAsync(int topK)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture);
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync($"/predict?topK={topK}", content, TestContext.Current.CancellationToken));
        return $"[{string.Join(',', answer["predictions"]!.AsArray().Select(prediction =>
            $$$"""{"label":{{{prediction!["label"]!.ToJsonString()}}},"score":{{{prediction["confidence"]!.ToJsonString()}}}}"""))}]";
    }

    private async Task<string> OkAsync(string path, HttpContent content)
    {
        using var response = await server.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return text;
    }
}
