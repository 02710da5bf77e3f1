using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Whatsit.Inference.Imaging;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>Where the evidence lies, as numbers and as a picture: of a model with class activation maps, and of one without.</summary>
public sealed class ExplainTests : IAsyncLifetime
{
    private readonly string _models = Directory.CreateTempSubdirectory("whatsit-explained-").FullName;
    private readonly Lazy<WhatsitServer> _server;

    public ExplainTests() => _server = new(() => WhatsitServer.With(new()
    {
        ["Catalog:Models"] = _models,
        ["Explain:OcclusionRuns"] = "20",
        ["Decoding:Library"] = Library,
    }));

    private string Library { get; set; } = ImageDecoders.Libvips;

    public ValueTask InitializeAsync()
    {
        Copy("grocery", _ => { });
        Copy("plain", output => output.Remove("features"));
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        await _server.Value.DisposeAsync();
        Directory.Delete(_models, recursive: true);
    }

    [Theory(Timeout = 600_000)]
    [InlineData(ImageDecoders.Libvips)]
    [InlineData(ImageDecoders.ImageSharp)]
    public async Task An_answer_is_explained_in_numbers_and_as_a_picture(string library)
    {
        Library = library;
        await _server.Value.InitializeAsync();
        foreach (var (model, method, runs, cells) in ((string, string, int, int)[])[("grocery", "class-activation", 0, 7), ("plain", "occlusion", 16, 5)])
        {
            var answer = await HttpAssert.OkAsync(await AskAsync($"/predict?model={model}&topK=3&explain=true"));
            Assert.Equal((method, runs), ((string)answer["explanation"]!["method"]!, (int)answer["explanation"]!["runs"]!));
            var maps = answer["predictions"]!.AsArray().Select(prediction => prediction!["map"]!.AsArray()).ToArray();
            Assert.Equal([cells, cells, cells], maps.Select(map => map.Count));
            Assert.All(maps.SelectMany(map => map).SelectMany(row => row!.AsArray()), cell => Assert.InRange((double)cell!, 0, 1));

            using var response = await AskAsync($"/predict?model={model}&explain=png");
            Assert.Equal((HttpStatusCode.OK, "image/png"), (response.StatusCode, response.Content.Headers.ContentType!.ToString()));
            Assert.Single(response.Headers.GetValues("Server-Timing"));
            var best = answer["predictions"]![0]!;
            Assert.Equal(
                string.Create(CultureInfo.InvariantCulture, $"method={method}, runs={runs}, model=%\"{model}\", label=%\"{best["label"]}\", ")
                    + string.Create(CultureInfo.InvariantCulture, $"index={best["index"]}, confidence={(double)best["confidence"]!:0.000}, abstained=?0"),
                Assert.Single(response.Headers.GetValues("X-Explanation")));
            var decoder = ImageDecoders.Create(new());
            var file = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            using var drawn = decoder.Decode(file, null, TestContext.Current.CancellationToken);
            using var sent = decoder.Decode(WhatsitServer.Picture, null, TestContext.Current.CancellationToken);
            Assert.Equal((sent.Width, sent.Height), (drawn.Width, drawn.Height));
            Assert.True(Brightness(drawn) < 0.9 * Brightness(sent), "Nothing is dark.");
        }

        static double Brightness(RgbImage image)
        {
            var sum = 0L;
            foreach (var value in image.Pixels)
            {
                sum += value;
            }

            return sum;
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task A_picture_answers_one_picture_and_goes_wherever_the_field_may_stand()
    {
        await _server.Value.InitializeAsync();
        using (var two = HttpAssert.Form(("a", WhatsitServer.Picture), ("b", WhatsitServer.Picture)))
        {
            await HttpAssert.ProblemAsync(HttpStatusCode.BadRequest, "one picture", await PostAsync("/predict?explain=png", two));
        }

        using (var form = HttpAssert.Form(("a", WhatsitServer.Picture)))
        {
            form.Add(new StringContent("png"), "explain");
            using var response = await PostAsync("/predict", form);
            Assert.Equal("image/png", response.Content.Headers.ContentType!.MediaType);
        }

        using var json = new StringContent($$"""{"explain":"png","image":"{{Convert.ToBase64String(WhatsitServer.Picture)}}"}""");
        using var answer = await PostAsync("/predict", json);
        Assert.Equal("image/png", answer.Content.Headers.ContentType!.MediaType);

        using var broken = HttpAssert.Raw("no picture"u8.ToArray());
        await HttpAssert.ProblemAsync(HttpStatusCode.UnsupportedMediaType, "", await PostAsync("/predict?explain=png", broken));
        using var other = HttpAssert.Raw(WhatsitServer.Picture);
        await HttpAssert.ProblemAsync(HttpStatusCode.BadRequest, "true, false or png", await PostAsync("/predict?explain=jpeg", other));

        // As the document says.
        var operation = (await _server.Value.GetJsonAsync("/swagger/v1/swagger.json"))["paths"]!["/predict"]!["post"]!;
        var explain = operation["parameters"]!.AsArray().Single(parameter => (string)parameter!["name"]! == "explain")!;
        Assert.Equal(["true", "false", "png"], explain["schema"]!["enum"]!.AsArray().Select(value => (string)value!));
        Assert.NotNull(operation["responses"]!["200"]!["content"]!["image/png"]);
    }

    [Fact(Timeout = 600_000)]
    public async Task Without_a_budget_a_model_without_maps_says_that_it_cannot_explain()
    {
        await using var server = WhatsitServer.With(new() { ["Catalog:Models"] = _models, ["Explain:OcclusionRuns"] = "3" });
        await server.InitializeAsync();
        using var content = HttpAssert.Raw(WhatsitServer.Picture);
        await HttpAssert.ProblemAsync(HttpStatusCode.BadRequest, "The model 'plain' cannot explain its answers",
            await server.Http.PostAsync("/predict?model=plain&explain=true", content, TestContext.Current.CancellationToken));
    }

    private async Task<HttpResponseMessage> AskAsync(string path)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        return await PostAsync(path, content);
    }

    private Task<HttpResponseMessage> PostAsync(string path, HttpContent content) =>
        _server.Value.Http.PostAsync(path, content, TestContext.Current.CancellationToken);

    private void Copy(string name, Action<JsonObject> edit)
    {
        var (source, target) = (Path.Combine(WhatsitServer.Root, "models/grocery"), Directory.CreateDirectory(Path.Combine(_models, name)).FullName);
        foreach (var file in Directory.GetFiles(source))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "model.json")))!;
        manifest["name"] = name;
        edit(manifest["output"]!.AsObject());
        File.WriteAllText(Path.Combine(target, "model.json"), manifest.ToJsonString());
    }
}
