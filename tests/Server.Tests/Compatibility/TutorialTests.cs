using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Compatibility;

public sealed class TutorialTests(WhatsitServer server)
{
    [Fact]
    public async Task Classes_is_a_plain_list_of_labels()
    {
        var classes = (await server.GetJsonAsync("/api/classes")).AsArray();
        Assert.Equal(81, classes.Count);
        Assert.Equal("Golden Delicious apple", (string)classes[0]!);
    }

    [Fact]
    public async Task An_uploaded_photo_is_answered_in_the_tutorials_words()
    {
        using var form = HttpAssert.Form(("file", WhatsitServer.Picture));
        var answer = (await HttpAssert.OkAsync(await server.Http.PostAsync("/api/predict_image?top_k=3", form, TestContext.Current.CancellationToken))).AsObject();

        Assert.Equal(["file_size", "predictions", "duration_inference", "error"], answer.Select(member => member.Key));
        Assert.Equal(WhatsitServer.Picture.Length, (int)answer["file_size"]!);
        Assert.Equal(3, answer["predictions"]!.AsArray().Count);
        Assert.Equal(["label", "confidence"], answer["predictions"]![0]!.AsObject().Select(member => member.Key));
        Assert.Equal("Integer", ((long)answer["duration_inference"]!) >= 0 ? "Integer" : "");
        Assert.Null(answer["error"]);
    }

    [Fact]
    public async Task Five_labels_come_unless_asked_otherwise()
    {
        using var form = HttpAssert.Form(("file", WhatsitServer.Picture));
        Assert.Equal(5, (await HttpAssert.OkAsync(await server.Http.PostAsync("/api/predict_image", form, TestContext.Current.CancellationToken)))["predictions"]!.AsArray().Count);
    }

    [Theory]
    [InlineData("/api/predict_image?top_k=0", "topK is 0")]
    [InlineData("/api/predict_image?top_k=abc", "abc")]
    [InlineData("/api/predict_image", "JPEG")]
    public async Task A_failure_is_a_400_with_one_sentence(string path, string contains)
    {
        using var form = HttpAssert.Form(("file", path.Contains('?', StringComparison.Ordinal) ? WhatsitServer.Picture : "hello"u8.ToArray()));
        AssertError(contains, await server.Http.PostAsync(path, form, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("/api/predict_url?url=http%3A%2F%2Fexample.com%2Fa.jpg")]
    [InlineData("/api/predict_url")]
    public async Task By_url_is_off_unless_enabled(string path) =>
        AssertError(path.Contains('?', StringComparison.Ordinal) ? "switched off" : "url is missing", await server.Http.GetAsync(path, TestContext.Current.CancellationToken));

    private static void AssertError(string contains, HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var answer = JsonNode.Parse(response.Content.ReadAsStream(TestContext.Current.CancellationToken))!;
        Assert.Equal(0, (int)answer["file_size"]!);
        Assert.Empty(answer["predictions"]!.AsArray());
        Assert.Equal(0, (int)answer["duration_inference"]!);
        Assert.Contains(contains, (string)answer["error"]!, StringComparison.OrdinalIgnoreCase);
    }
}
