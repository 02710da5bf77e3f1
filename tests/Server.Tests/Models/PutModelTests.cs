using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Models;

/// <summary>Whoever has the key puts bundles on the server, and takes them away.</summary>
public sealed class PutModelTests : IAsyncLifetime
{
    private const string Key = "a key of those who run the server";

    private readonly string _models = Directory.CreateTempSubdirectory("whatsit-models-").FullName;
    private WhatsitServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        GroceryZip.Write(Path.Combine(_models, "grocery"));
        _server = WhatsitServer.With(new()
        {
            ["Catalog:Models"] = _models,
            ["Catalog:Variant"] = "int8",
            // Nobody but the request looks.
            ["Catalog:WatchSeconds"] = "0",
            ["Catalog:MaxBundleBytes"] = "30000000",
            ["Management:KeySha256"] = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(Key))),
        });
        await _server.InitializeAsync();
    }

    [Fact]
    public async Task A_bundle_serves_with_the_answer_to_its_upload_and_another_one_takes_its_place()
    {
        using (var created = await PutAsync("second", GroceryZip.Of()))
        {
            Assert.Equal(HttpStatusCode.Created, created.StatusCode);
            var details = JsonNode.Parse(await created.Content.ReadAsStringAsync(Token))!;
            Assert.Equal(("ready", "second", "1"),
                ((string)details["state"]!, (string)details["manifest"]!["name"]!, (string)details["manifest"]!["version"]!));
        }

        Assert.Equal("1", await VersionAsync("second"));
        await HttpAssert.OkAsync(await PutAsync("second", GroceryZip.Of("2", inner: "")));
        Assert.Equal("2", await VersionAsync("second"));
        // The default model, too.
        await HttpAssert.OkAsync(await PutAsync("grocery", GroceryZip.Of("9")));
        Assert.Equal("9", await VersionAsync("grocery"));

        using (var deleted = await SendAsync(HttpMethod.Delete, "second", Key))
        {
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        }

        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "'second'", await PredictAsync("second"));
        Assert.Equal(["grocery"], Directory.GetFileSystemEntries(_models).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData("text", 422, "invalid-bundle", "'second.zip' is no zip, or only a part of one.")]
    [InlineData("cut", 422, "invalid-bundle", "'second.zip' is no zip, or only a part of one.")]
    [InlineData("nothing", 422, "invalid-bundle", "'second.zip' is no zip, or only a part of one.")]
    [InlineData("outside", 422, "invalid-bundle", "holds '../../evil', which would lie outside of it.")]
    [InlineData("no manifest", 422, "invalid-bundle", "is no bundle: it has no model.json")]
    [InlineData("other weights", 422, "invalid-bundle", "is not the one in its manifest (size or SHA-256 differs).")]
    [InlineData("link", 422, "invalid-bundle", "which is outside its folder")]
    [InlineData("bomb", 422, "invalid-bundle", "unpacks to more than 30,000,000 bytes.")]
    [InlineData("wrong answer", 422, "invalid-bundle", "does not give its recorded answer")]
    [InlineData("large", 413, "bundle-too-large", "The bundle has more than 30,000,000 bytes, the limit (Catalog:MaxBundleBytes).")]
    public async Task What_does_not_prove_itself_changes_nothing(string what, int status, string code, string sentence)
    {
        await HttpAssert.OkAsync(await CreatedAsync());
        var body = what switch
        {
            "text" => Encoding.UTF8.GetBytes(new string('a', 100_000)),
            "cut" => GroceryZip.Of()[..^1000],
            "nothing" => [],
            "outside" => GroceryZip.Of(change: archive => GroceryZip.Add(archive, "../../evil", [1])),
            "no manifest" => GroceryZip.Of(change: archive => archive.GetEntry("bundle/model.json")!.Delete()),
            "other weights" => GroceryZip.Of(edit: manifest => manifest["files"]!["int8"]!["sha256"] = new string('0', 64)),
            "link" => GroceryZip.Of(edit: manifest => manifest["labels"] = "../../../etc/passwd"),
            "bomb" => GroceryZip.Of(change: archive => GroceryZip.Add(archive, "zeros", new byte[40_000_000])),
            "wrong answer" => GroceryZip.Of(edit: manifest =>
            {
                var recorded = manifest["files"]!["int8"]!["predictions"] ?? manifest["sample"]!["predictions"]!;
                recorded[0]!["confidence"] = 0.01;
            }),
            _ => RandomNumberGenerator.GetBytes(31_000_000),
        };

        var problem = await HttpAssert.ProblemAsync((HttpStatusCode)status, sentence, await PutAsync("second", body));

        Assert.Equal(code, (string)problem["code"]!);
        Assert.Equal("1", await VersionAsync("second"));
        Assert.Equal(["grocery", "second"], Directory.GetFileSystemEntries(_models).Select(Path.GetFileName).Order());
        Assert.Equal(HttpStatusCode.OK, (await _server.Http.GetAsync("/health/ready", Token)).StatusCode);
    }

    [Fact]
    public async Task Only_the_key_opens_it_and_only_names_that_can_be_folders_are_taken()
    {
        var bundle = GroceryZip.Of();
        foreach (var key in (string?[])[null, "another", ""])
        {
            foreach (var method in (HttpMethod[])[HttpMethod.Put, HttpMethod.Delete])
            {
                using var refused = await SendAsync(method, "second", key, method == HttpMethod.Put ? bundle : null);
                Assert.Equal("management-key-needed", (string)(await HttpAssert.ProblemAsync(HttpStatusCode.Unauthorized, "key", refused))["code"]!);
                Assert.Equal("Bearer", refused.Headers.WwwAuthenticate.Single().Scheme);
            }
        }

        foreach (var name in (string[])["..%2fevil", ".hidden", "a%20b", new string('a', 65), "%0a"])
        {
            Assert.Equal("invalid-model-name",
                (string)(await HttpAssert.ProblemAsync(HttpStatusCode.BadRequest, "cannot be a model's name", await PutAsync(name, bundle)))["code"]!);
        }

        Assert.Equal("default-model-needed",
            (string)(await HttpAssert.ProblemAsync(HttpStatusCode.Conflict, "'grocery'", await SendAsync(HttpMethod.Delete, "grocery", Key)))["code"]!);
        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "'nothing'", await SendAsync(HttpMethod.Delete, "nothing", Key));
        // Asking needs no key.
        await HttpAssert.OkAsync(await PredictAsync("grocery"));
    }

    [Fact]
    public async Task A_second_bundle_waits_until_the_first_is_done()
    {
        using var body = new Gate();
        using var request = new HttpRequestMessage(HttpMethod.Put, "/models/second") { Content = body, Headers = { { "X-Api-Key", Key } } };
        var first = _server.Http.SendAsync(request, Token);
        await body.Begun.Task;
        // To ask by another bundle would be a race for the one place.
        await WhatsitServer.WaitUntilAsync(() => Task.FromResult(Directory.EnumerateFiles(_models, ".second.zip*").Any()));
        var problem = await HttpAssert.ProblemAsync(HttpStatusCode.TooManyRequests, "Another bundle", await PutAsync("third", [1]));
        Assert.Equal("bundle-in-progress", (string)problem["code"]!);
        body.Ends.SetResult();
        Assert.Equal(HttpStatusCode.Created, (await first).StatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_models, recursive: true);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private async Task<HttpResponseMessage> CreatedAsync()
    {
        using var created = await PutAsync("second", GroceryZip.Of());
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        return await _server.Http.GetAsync("/models/second", Token);
    }

    private Task<HttpResponseMessage> PutAsync(string name, byte[] bundle) => SendAsync(HttpMethod.Put, name, Key, bundle);

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string name, string? key, byte[]? body = null)
    {
        using var request = new HttpRequestMessage(method, $"/models/{name}") { Content = body is null ? null : new ByteArrayContent(body) };
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        }

        return await _server.Http.SendAsync(request, Token);
    }

    private async Task<HttpResponseMessage> PredictAsync(string model)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        return await _server.Http.PostAsync($"/predict?model={model}", content, Token);
    }

    private async Task<string> VersionAsync(string model) => (string)(await HttpAssert.OkAsync(await PredictAsync(model)))["version"]!;

    /// <summary>A bundle whose last byte comes when it is told to.</summary>
    private sealed class Gate : HttpContent
    {
        private readonly byte[] _bundle = GroceryZip.Of();

        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Ends { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(_bundle.AsMemory(0, _bundle.Length - 1));
            await stream.FlushAsync();
            Begun.SetResult();
            await Ends.Task;
            await stream.WriteAsync(_bundle.AsMemory(_bundle.Length - 1));
        }

        protected override bool TryComputeLength(out long length)
        {
            length = _bundle.Length;
            return true;
        }
    }
}

/// <summary>A server without the key.</summary>
public sealed class NoManagementKeyTests(WhatsitServer server)
{
    [Fact]
    public async Task Without_a_key_of_those_who_run_it_nobody_changes_its_models()
    {
        using var content = new ByteArrayContent(GroceryZip.Of());
        using var put = await server.Http.PutAsync("/models/second", content, TestContext.Current.CancellationToken);
        Assert.Equal("management-off", (string)(await HttpAssert.ProblemAsync(HttpStatusCode.Forbidden, "Management:KeySha256", put))["code"]!);
        using var delete = await server.Http.DeleteAsync("/models/grocery", TestContext.Current.CancellationToken);
        await HttpAssert.ProblemAsync(HttpStatusCode.Forbidden, "Management:KeySha256", delete);
        Assert.False((bool)(await server.GetJsonAsync("/config.json"))["takesModels"]!);
    }
}
