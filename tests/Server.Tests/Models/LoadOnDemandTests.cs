using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Whatsit.Server.Tests.Telemetry;

namespace Whatsit.Server.Tests.Models;

/// <summary>Models that are loaded when they are asked, and models that are fetched at start, as clients see them.</summary>
public sealed class LoadOnDemandTests : IDisposable
{
    private readonly string _models = Directory.CreateTempSubdirectory("whatsit-models-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_request_waits_and_says_so_in_its_timing_and_the_list_says_what_is_loaded()
    {
        foreach (var name in (string[])["grocery", "second"])
        {
            GroceryZip.Write(Path.Combine(_models, name));
        }

        await using var server = WhatsitServer.With(new()
        {
            ["Catalog:Models"] = _models,
            ["Catalog:Variant"] = "int8",
            ["Catalog:Load"] = "on-demand",
            // For one of them.
            ["Catalog:MaxMemory"] = "25000000",
        });
        await server.InitializeAsync();
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/health/ready", Token)).StatusCode);
        Assert.Equal(["grocery ready", "second unloaded"], await StatesAsync(server));
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/v2/models/second/ready", Token)).StatusCode);

        var (first, header) = await PredictAsync(server, "second");
        var (load, total) = ((double)first["timing"]!["loadMs"]!, (double)first["timing"]!["totalMs"]!);
        Assert.InRange(load, double.Epsilon, total);
        Assert.StartsWith("load;dur=", header, StringComparison.Ordinal);
        await server.LoggedAsync("POST /predict 200 .*Model second, .*LoadMs ");
        Assert.Equal(["grocery unloaded", "second ready"], await StatesAsync(server));
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/health/ready", Token)).StatusCode);

        (first, header) = await PredictAsync(server, "second");
        Assert.Null(first["timing"]!["loadMs"]);
        Assert.StartsWith("decode;dur=", header, StringComparison.Ordinal);
        var metrics = await server.Http.GetStringAsync("/metrics", Token);
        Assert.Matches(@"(?m)^whatsit_model_loaded\{.*model=""grocery"".*\} 0\b", metrics);
        Assert.Matches(@"(?m)^whatsit_model_loaded\{.*model=""second"".*\} 1\b", metrics);
        Assert.Matches(@"(?m)^whatsit_stage_duration_seconds_count\{.*stage=""load"".*\} 1\b", metrics);

        // Other protocols load it as well.
        using var picture = HttpAssert.Raw(WhatsitServer.Picture);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.PostAsync("/models/grocery", picture, Token)).StatusCode);
        Assert.Equal(["grocery ready", "second unloaded"], await StatesAsync(server));
    }

    [Fact]
    public async Task A_bundle_that_was_not_to_be_fetched_keeps_the_server_from_being_ready_and_is_named()
    {
        GroceryZip.Write(Path.Combine(_models, "grocery"));
        var bundle = GroceryZip.Of("7");
        var (store, _) = await Sites.StartAsync(bundle);
        await using var closing = store;
        Dictionary<string, string> settings = new()
        {
            ["Catalog:Models"] = _models,
            ["Catalog:Variant"] = "int8",
            ["Catalog:Cache"] = Path.Combine(_models, ".cache"),
            ["Catalog:Sources:0:Name"] = "fetched",
            ["Catalog:Sources:0:Url"] = $"{store.Urls.Single()}/fetched.zip",
            ["Catalog:Sources:0:AllowHttp"] = "true",
            ["Catalog:Sources:0:Sha256"] = new string('0', 64),
        };
        await using (var wrong = WhatsitServer.With(settings))
        {
            await wrong.InitializeAsync();
            await wrong.LoggedAsync("Model fetched does not serve: The model 'fetched' was not fetched .* of another hash");
            using var ready = await wrong.Http.GetAsync("/health/ready", Token);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
            Assert.Contains("The model 'fetched' was not fetched", await ready.Content.ReadAsStringAsync(Token), StringComparison.Ordinal);
            Assert.Equal(["fetched failed", "grocery ready"], await StatesAsync(wrong));
        }

        settings["Catalog:Sources:0:Sha256"] = Convert.ToHexString(SHA256.HashData(bundle));
        await using var right = WhatsitServer.With(settings);
        await right.InitializeAsync();
        await right.LoggedAsync("Model fetched version 7 .*is ready");
        Assert.Equal("7", (string)(await PredictAsync(right, "fetched")).Answer["version"]!);
        Assert.Equal(HttpStatusCode.OK, (await right.Http.GetAsync("/health/ready", Token)).StatusCode);
    }

    public void Dispose() => Directory.Delete(_models, recursive: true);

    private static async Task<IEnumerable<string>> StatesAsync(WhatsitServer server) =>
        (await server.GetJsonAsync("/models")).AsArray().Select(model => $"{model!["name"]} {model["state"]}");

    private static async Task<(JsonNode Answer, string Header)> PredictAsync(WhatsitServer server, string model)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture, "image/png");
        using var response = await server.Http.PostAsync($"/predict?model={model}", content, Token);
        return (await HttpAssert.OkAsync(response), response.Headers.GetValues("Server-Timing").Single());
    }
}
