using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Models;

/// <summary>The models folder changes while the server runs.</summary>
public sealed class CatalogWatchTests : IAsyncLifetime
{
    private readonly string _models = Directory.CreateTempSubdirectory("whatsit-models-").FullName;
    private WhatsitServer _server = null!;

    public async ValueTask InitializeAsync()
    {
        Copy("grocery");
        _server = WhatsitServer.With(new() { ["Catalog:Models"] = _models, ["Catalog:WatchSeconds"] = "0.05" });
        await _server.InitializeAsync();
    }

    [Fact]
    public async Task A_new_bundle_serves_without_a_restart_and_goes_when_it_is_removed()
    {
        Copy("second");
        await _server.LoggedAsync("Model second version 1 .*is ready");
        Assert.Equal("second", (string)(await HttpAssert.OkAsync(await PredictAsync("second")))["model"]!);

        Directory.Delete(Path.Combine(_models, "second"), recursive: true);
        await _server.LoggedAsync("Model second was removed");
        await HttpAssert.ProblemAsync(HttpStatusCode.NotFound, "'second'", await PredictAsync("second"));
        await HttpAssert.OkAsync(await PredictAsync("grocery"));
    }

    [Fact]
    public async Task The_list_says_how_sure_each_model_s_preprocessing_is()
    {
        Copy("guessed", manifest => manifest["preprocessing"]!["evidence"] = new JsonObject { ["certainty"] = "assumed", ["reason"] = "a guess." });
        Copy("shown", manifest => manifest["preprocessing"]!["evidence"] = new JsonObject { ["certainty"] = "shown-by-photos", ["reason"] = "40 photos." });
        await _server.LoggedAsync("Model guessed version 1 .*is ready");
        await _server.LoggedAsync("Model shown version 1 .*is ready");

        Assert.Equal("assumed", (string)(await SummaryAsync("guessed"))["preprocessingCertainty"]!);
        Assert.Equal("shown-by-photos", (string)(await SummaryAsync("shown"))["preprocessingCertainty"]!);
        Assert.Null((await SummaryAsync("grocery"))["preprocessingCertainty"]);
    }

    [Fact]
    public async Task A_broken_bundle_is_shown_as_failed_and_the_server_stays_ready()
    {
        Copy("broken", manifest => manifest["sample"]!["predictions"]![0]!["confidence"] = 0.01);
        await _server.LoggedAsync("Model broken does not serve: .*recorded answer");
        Assert.Equal("failed", (string)(await SummaryAsync("broken"))["state"]!);
        await HttpAssert.ProblemAsync(HttpStatusCode.ServiceUnavailable, "recorded answer", await PredictAsync("broken"));
        Assert.Equal(HttpStatusCode.OK, (await _server.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task A_broken_update_never_replaces_a_good_version_and_a_good_one_does()
    {
        // Every variant: which one serves depends on the processor.
        Edit("grocery", manifest =>
        {
            manifest["version"] = "2";
            foreach (var (_, file) in manifest["files"]!.AsObject())
            {
                file!["sha256"] = new string('0', 64);
            }
        });
        await _server.LoggedAsync("Model grocery does not serve: .*SHA-256");
        var summary = await SummaryAsync("grocery");
        Assert.Equal("ready", (string)summary["state"]!);
        Assert.Contains("SHA-256", (string)summary["problem"]!, StringComparison.Ordinal);
        Assert.Equal("1", (string)(await HttpAssert.OkAsync(await PredictAsync("grocery")))["version"]!);

        var good = JsonNode.Parse(File.ReadAllText(Path.Combine(WhatsitServer.Root, "models/grocery/model.json")))!["files"]!;
        Edit("grocery", manifest => (manifest["version"], manifest["files"]) = ("3", good.DeepClone()));
        await _server.LoggedAsync("Model grocery version 3 .*is ready");
        Assert.Equal("3", (string)(await HttpAssert.OkAsync(await PredictAsync("grocery")))["version"]!);
    }

    [Fact]
    public async Task A_file_that_was_truncated_is_not_given_out_under_its_old_name_for_ever()
    {
        var weights = (await _server.GetJsonAsync("/models/grocery"))["manifest"]!["files"]!["fp16"]!;
        var address = $"/models/grocery/files/{weights["file"]}?v={weights["sha256"]}";
        using (var whole = await _server.Http.GetAsync(address, TestContext.Current.CancellationToken))
        {
            Assert.Equal($"\"{weights["sha256"]}\"", whole.Headers.ETag!.Tag);
            Assert.Contains("immutable", whole.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
        }

        // As another program does it, which asks nobody: the server may still be closing what it has just sent.
        using (var file = File.Open(Path.Combine(_models, "grocery", (string)weights["file"]!), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            file.SetLength(1000);
        }

        using var response = await _server.Http.GetAsync(address, TestContext.Current.CancellationToken);
        await HttpAssert.ProblemAsync(HttpStatusCode.ServiceUnavailable, "is not the one in its manifest", response);
        Assert.Null(response.Headers.ETag);
        Assert.DoesNotContain("immutable", $"{response.Headers.CacheControl}", StringComparison.Ordinal);
        await HttpAssert.OkAsync(await PredictAsync("grocery"));
    }

    [Theory]
    [InlineData("evil.html", "<script>alert(1)</script>")]
    [InlineData("evil.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")]
    [InlineData("evil.js", "alert(1)")]
    [InlineData("evil", "<script>alert(1)</script>")]
    public async Task Active_content_of_a_bundle_is_a_download(string name, string content)
    {
        Copy("evil", manifest => manifest["samples"]!.AsArray().Add(new JsonObject { ["file"] = name, ["title"] = "Me", ["index"] = 0 }), (name, content));
        await _server.LoggedAsync("Model evil version 1 .*is ready");

        using var response = await _server.Http.GetAsync($"/models/evil/files/{name}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/octet-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("attachment", response.Content.Headers.ContentDisposition!.DispositionType);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
    }

    [Fact]
    public async Task A_bundle_with_a_link_in_it_does_not_serve_what_the_link_leads_to()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows lets administrators alone make symbolic links.");
        Copy("linked", manifest => manifest["samples"]!.AsArray()
            .Add(new JsonObject { ["file"] = "passwd.txt", ["title"] = "Me", ["index"] = 0 }), link: "passwd.txt");
        await _server.LoggedAsync("Model linked does not serve: .*'passwd.txt', which is a symbolic link");
        await HttpAssert.ProblemAsync(
            HttpStatusCode.ServiceUnavailable, "symbolic link",
                await _server.Http.GetAsync("/models/linked/files/passwd.txt", TestContext.Current.CancellationToken));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_models, recursive: true);
    }

    private async Task<HttpResponseMessage> PredictAsync(string model)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        return await _server.Http.PostAsync($"/predict?model={model}", content, TestContext.Current.CancellationToken);
    }

    private async Task<JsonNode> SummaryAsync(string model) =>
        (await _server.GetJsonAsync("/models")).AsArray().Single(summary => (string)summary!["name"]! == model)!;

    private void Copy(string name, Action<JsonNode>? edit = null, (string Name, string Content)? extra = null, string? link = null)
    {
        var (source, target) = (Path.Combine(WhatsitServer.Root, "models/grocery"), Path.Combine(_models, name));
        Directory.CreateDirectory(target);
        if (extra is { } own)
        {
            File.WriteAllText(Path.Combine(target, own.Name), own.Content);
        }

        if (link is not null)
        {
            File.CreateSymbolicLink(Path.Combine(target, link), "/etc/passwd");
        }

        foreach (var file in Directory.GetFiles(source).Where(file => Path.GetFileName(file) != "model.json"))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        // The manifest comes last, as an installer should do it: a folder without one is no bundle yet.
        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "model.json")))!;
        (manifest["name"], manifest["version"]) = (name, "1");
        edit?.Invoke(manifest);
        File.WriteAllText(Path.Combine(target, "model.json"), manifest.ToJsonString());
    }

    private void Edit(string name, Action<JsonNode> edit)
    {
        var path = Path.Combine(_models, name, "model.json");
        var manifest = JsonNode.Parse(File.ReadAllText(path))!;
        edit(manifest);
        File.WriteAllText(path, manifest.ToJsonString());
    }
}
