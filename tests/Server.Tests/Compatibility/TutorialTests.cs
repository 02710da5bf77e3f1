using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

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
        var answer = (await HttpAssert.OkAsync(await server.Http.PostAsync("/api/predict_image?top_k=3", form, TestContext.Current.CancellationToken)))
            .AsObject();

        Assert.Equal(["file_size", "predictions", "duration_inference", "error"], answer.Select(member => member.Key));
        Assert.Equal(WhatsitServer.Picture.Length, (int)answer["file_size"]!);
        Assert.Equal(3, answer["predictions"]!.AsArray().Count);
        Assert.Equal(["label", "confidence"], answer["predictions"]![0]!.AsObject().Select(member => member.Key));
        Assert.Equal("Integer", ((long)answer["duration_inference"]!) >= 0 ? "Integer" : "");
        Assert.Null(answer["error"]);
    }

    [Fact]
    public async Task Answers_are_the_originals_to_the_byte()
    {
        using var photo = HttpAssert.Raw(WhatsitServer.Picture);
        var native = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict?topK=2", photo, TestContext.Current.CancellationToken));
        var labels = native["predictions"]!.AsArray()
            .Select(prediction => $$"""{"label":{{prediction!["label"]!.ToJsonString()}},"confidence":{{prediction["confidence"]!.ToJsonString()}}}""");
        using var form = HttpAssert.Form(("file", WhatsitServer.Picture));
        using var answer = await server.Http.PostAsync("/api/predict_image?top_k=2", form, TestContext.Current.CancellationToken);
        Assert.Matches(
            $$"""^{"file_size":{{WhatsitServer.Picture.Length}},"predictions":\[{{Regex.Escape(string.Join(',', labels))}}\],"duration_inference":\d+,"error":null}$""",
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));

        using var refused = await server.Http.GetAsync("/api/predict_url?url=http%3A%2F%2Fexample.com%2Fa.jpg", TestContext.Current.CancellationToken);
        Assert.Equal(
            """{"file_size":0,"predictions":[],"duration_inference":0,"error":"Pictures by URL are switched off on this server (FetchByUrl:Enabled)."}""",
            await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Five_labels_come_unless_asked_otherwise()
    {
        using var form = HttpAssert.Form(("file", WhatsitServer.Picture));
        Assert.Equal(5, (await HttpAssert.OkAsync(await server.Http.PostAsync("/api/predict_image", form,
            TestContext.Current.CancellationToken)))["predictions"]!.AsArray().Count);
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
        AssertError(path.Contains('?', StringComparison.Ordinal) ? "switched off"
            : "url is missing", await server.Http.GetAsync(path, TestContext.Current.CancellationToken));

    [Fact]
    public async Task The_model_for_the_browser_lies_where_the_tutorials_page_looks_for_it_with_its_shards_beside_it()
    {
        var listed = (await server.GetJsonAsync("/models/grocery"))["manifest"]!["tfjs"]!.AsArray()
            .ToDictionary(file => Path.GetFileName((string)file!["file"]!), file => (string)file!["sha256"]!);
        var model = await server.GetJsonAsync("/assets/model_tfjs/model.json");
        Assert.Equal("graph-model", (string)model["format"]!);
        string[] shards = [.. model["weightsManifest"]![0]!["paths"]!.AsArray().Select(path => (string)path!)];
        Assert.Equal(listed.Keys.Order(StringComparer.Ordinal), new[] { "model.json", "classes.json", "metadata.json" }.Concat(shards)
            .Order(StringComparer.Ordinal));

        foreach (var (file, hash) in listed)
        {
            using var response = await server.Http.GetAsync($"/assets/model_tfjs/{file}", TestContext.Current.CancellationToken);
            var bytes = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            Assert.Equal(hash, Convert.ToHexStringLower(SHA256.HashData(bytes)));
            Assert.Equal(file.EndsWith(".json", StringComparison.Ordinal) ? "application/json"
                : "application/octet-stream", response.Content.Headers.ContentType!.MediaType);
            Assert.InRange(bytes.Length, 1, 4 << 20);

            // The names stay the same for the next version: kept, but asked for again.
            Assert.Equal("no-cache", response.Headers.CacheControl!.ToString());
            using var again = new HttpRequestMessage(HttpMethod.Get, $"/assets/model_tfjs/{file}") { Headers = { IfNoneMatch = { response.Headers.ETag! } } };
            Assert.Equal(HttpStatusCode.NotModified, (await server.Http.SendAsync(again, TestContext.Current.CancellationToken)).StatusCode);
        }

        Assert.True(JsonNode.DeepEquals(await server.GetJsonAsync("/api/classes"), await server.GetJsonAsync("/assets/model_tfjs/classes.json")));
    }

    [Fact]
    public async Task TensorFlow_js_loads_it_from_there_and_answers_probabilities()
    {
        Assert.SkipUnless(Directory.Exists(Path.Combine(WhatsitServer.Root, "client/node_modules/@tensorflow/tfjs-converter")),
            "The client's packages are not installed: cd client && npm ci --ignore-scripts");
        using var node = Process.Start(new ProcessStartInfo("node",
            [Path.Combine(WhatsitServer.Root, "tests/data/tfjs/run.mjs")])
        { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        await node.StandardInput.WriteLineAsync(new JsonObject
        {
            ["model"] = new Uri(server.Http.BaseAddress!, "/assets/model_tfjs/model.json").ToString(),
            ["backend"] = "wasm",
            ["shape"] = new JsonArray(1, 224, 224, 3),
            ["input"] = Convert.ToBase64String(new byte[224 * 224 * 3 * sizeof(float)]),
        }.ToJsonString());
        var answer = JsonNode.Parse((await node.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!)!;
        node.StandardInput.Close();
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Null(answer["error"]);
        var probabilities = MemoryMarshal.Cast<byte, float>(Convert.FromBase64String((string)answer["outputs"]!["probabilities"]!["data"]!)).ToArray();
        Assert.Equal(81, probabilities.Length);
        Assert.Equal(1, probabilities.Sum(), 1e-4f);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3_000_000, 0)]
    public async Task The_weights_are_parted_as_an_app_wants_them(int size, int count)
    {
        await using var other = WhatsitServer.With(new() { ["Tfjs:ShardSize"] = $"{size}" });
        await other.InitializeAsync();
        var whole = await WeightsAsync(server);
        var shards = await WeightsAsync(other);
        count = count == 0 ? (whole.Sum(shard => shard.Content.Length) + size - 1) / size : count;
        Assert.Equal(Enumerable.Range(1, count).Select(shard => $"group1-shard{shard}of{count}.bin"), shards.Select(shard => shard.Name));
        Assert.Equal(whole.SelectMany(shard => shard.Content), shards.SelectMany(shard => shard.Content));
        Assert.All(shards.SkipLast(1), shard => Assert.Equal(size, shard.Content.Length));

        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "for TensorFlow.js",
            await other.Http.GetAsync($"/assets/model_tfjs/group1-shard{count + 1}of{count}.bin", TestContext.Current.CancellationToken));
        Assert.True(JsonNode.DeepEquals(await server.GetJsonAsync("/api/classes"), await other.GetJsonAsync("/assets/model_tfjs/classes.json")));

        static async Task<(string Name, byte[] Content)[]> WeightsAsync(WhatsitServer from)
        {
            var names = (await from.GetJsonAsync("/assets/model_tfjs/model.json"))["weightsManifest"]![0]!["paths"]!.AsArray().Select(path => (string)path!);
            var shards = new List<(string, byte[])>();
            foreach (var name in names)
            {
                var path = $"/assets/model_tfjs/{name}";
                using var response = await from.Http.GetAsync(path, TestContext.Current.CancellationToken);
                var content = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
                Assert.Equal(content.Length, response.Content.Headers.ContentLength);
                shards.Add((name, content));
                using var again = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { IfNoneMatch = { response.Headers.ETag! } } };
                Assert.Equal(HttpStatusCode.NotModified, (await from.Http.SendAsync(again, TestContext.Current.CancellationToken)).StatusCode);
            }

            return [.. shards];
        }
    }

    [Theory]
    [InlineData("br")]
    [InlineData("gzip")]
    public async Task The_models_graph_travels_compressed(string encoding)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/assets/model_tfjs/model.json") { Headers = { { "Accept-Encoding", encoding } } };
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal([encoding], response.Content.Headers.ContentEncoding);
        Assert.InRange((await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)).Length, 1000, 10_000);
    }

    [Theory]
    [InlineData("labels.txt")]
    [InlineData("model.onnx")]
    [InlineData("..%2fmodel.json")]
    [InlineData("group1-shard9of9.bin")]
    public async Task Nothing_else_of_the_bundle_lies_there(string file) =>
        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "for TensorFlow.js",
            await server.Http.GetAsync($"/assets/model_tfjs/{file}", TestContext.Current.CancellationToken));

    [Fact]
    public async Task A_model_that_was_not_exported_says_how_to()
    {
        var models = Directory.CreateTempSubdirectory("tutorial");
        try
        {
            CopyWithoutExport(Path.Combine(WhatsitServer.Root, "models/grocery"), Path.Combine(models.FullName, "grocery"));
            await using var other = WhatsitServer.With(new() { ["Catalog:Models"] = models.FullName });
            await other.InitializeAsync();
            await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "whatsit export grocery --to tfjs",
                await other.Http.GetAsync("/assets/model_tfjs/model.json", TestContext.Current.CancellationToken));
        }
        finally
        {
            models.Delete(recursive: true);
        }

        static void CopyWithoutExport(string from, string to)
        {
            Directory.CreateDirectory(to);
            foreach (var file in Directory.EnumerateFiles(from))
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            }

            var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(to, "model.json")))!;
            manifest.AsObject().Remove("tfjs");
            File.WriteAllText(Path.Combine(to, "model.json"), manifest.ToJsonString());
        }
    }

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
