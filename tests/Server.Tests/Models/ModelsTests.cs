using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Models;

public sealed class ModelsTests(WhatsitServer server)
{
    [Fact]
    public async Task The_list_names_the_bundled_model_as_the_default_and_ready()
    {
        var model = (await server.GetJsonAsync("/models")).AsArray().Single(model => (string)model!["name"]! == "grocery")!;
        Assert.Equal("ready", (string)model["state"]!);
        Assert.True((bool)model["default"]!);
        Assert.Contains("fp32", model["variants"]!.AsArray().Select(variant => (string)variant!));
    }

    [Fact]
    public async Task A_model_shows_its_manifest_in_the_manifests_own_words()
    {
        var answer = await server.GetJsonAsync("/models/grocery");
        Assert.Equal("ready", (string)answer["state"]!);
        var file = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(WhatsitServer.Root, "models/grocery/model.json"),
            TestContext.Current.CancellationToken))!;
        Assert.True(JsonNode.DeepEquals(file["preprocessing"]!["resample"], answer["manifest"]!["preprocessing"]!["resample"]));
        Assert.True(JsonNode.DeepEquals(file["files"]!["fp32"]!["sha256"], answer["manifest"]!["files"]!["fp32"]!["sha256"]));
        Assert.Equal("uint8", (string)answer["manifest"]!["input"]!["type"]!);
        Assert.Equal("nhwc", (string)answer["manifest"]!["input"]!["layout"]!);
    }

    [Fact]
    public async Task The_classes_are_readable_labels_with_their_groups()
    {
        var classes = (await server.GetJsonAsync("/models/grocery/classes")).AsArray();
        Assert.Equal(81, classes.Count);
        Assert.Equal("""{"index":0,"label":"Golden Delicious apple","group":"Apple"}""", classes[0]!.ToJsonString());
    }

    [Fact]
    public async Task Files_that_the_manifest_names_can_be_fetched_and_kept_and_no_others()
    {
        var weights = (await server.GetJsonAsync("/models/grocery"))["manifest"]!["files"]!["fp32"]!;
        using var response = await server.Http.GetAsync($"/models/grocery/files/{weights["file"]}?v={weights["sha256"]}",
            TestContext.Current.CancellationToken);
        var bytes = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        Assert.Equal((string)weights["sha256"]!, Convert.ToHexStringLower(SHA256.HashData(bytes)));
        Assert.Contains("immutable", response.Headers.CacheControl!.ToString(), StringComparison.Ordinal);

        foreach (var file in (string[])["README.md", "training/train.py", "../../README.md", "..%2f..%2fREADME.md", "model.json"])
        {
            using var refused = await server.Http.GetAsync($"/models/grocery/files/{file}", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        }
    }

    [Theory]
    [InlineData("/models/nobody")]
    [InlineData("/models/nobody/classes")]
    [InlineData("/models/nobody/files/labels.txt")]
    public async Task An_unknown_model_is_a_problem_that_names_it(string path) =>
        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "'nobody'", await server.Http.GetAsync(path, TestContext.Current.CancellationToken));

    [Fact]
    public async Task A_range_outside_of_a_file_and_a_condition_that_does_not_hold_are_refused_with_a_sentence()
    {
        foreach (var path in (string[])["/models/grocery/files/labels.txt", "/assets/model_tfjs/model.json"])
        {
            var length = (await server.Http.GetByteArrayAsync(path, TestContext.Current.CancellationToken)).Length;
            using var outside = await AskAsync("Range", $"bytes={length}-");
            var problem = await HttpAssert.ProblemAsync(HttpStatusCode.RequestedRangeNotSatisfiable, $"{length:N0} bytes", outside);
            Assert.Equal((length, $"bytes={length}-"), ((int)problem["parameters"]!["bytes"]!, (string)problem["parameters"]!["range"]!));
            Assert.Equal(length, outside.Content.Headers.ContentRange!.Length);
            // What is kept of the file is kept for ever.
            Assert.Null(outside.Headers.CacheControl);

            using var other = await AskAsync("If-Match", "\"another\"");
            await HttpAssert.ProblemAsync(HttpStatusCode.PreconditionFailed, "no longer", other);

            using var inside = await AskAsync("Range", "bytes=0-9");
            Assert.Equal(HttpStatusCode.PartialContent, inside.StatusCode);

            async Task<HttpResponseMessage> AskAsync(string header, string value)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { header, value } } };
                return await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
            }
        }
    }
}
