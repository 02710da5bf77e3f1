using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Health;

public sealed class HealthTests(WhatsitServer server)
{
    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    public async Task A_server_with_a_proven_model_is_live_and_ready(string path) =>
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync(path, TestContext.Current.CancellationToken)).StatusCode);

    [Fact]
    public async Task A_server_whose_model_cannot_prove_itself_is_live_but_not_ready()
    {
        await using var unable = WhatsitServer.With(new() { ["Decoding:MaxPixels"] = "65535" });
        await unable.InitializeAsync();
        Assert.Equal("failed", (string?)(await unable.GetJsonAsync("/models")).AsArray().Single()!["state"]);
        Assert.Equal(HttpStatusCode.OK, (await unable.Http.GetAsync("/health/live", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await unable.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact(Timeout = 60_000)]
    public async Task A_model_that_cannot_run_any_more_turns_readiness_off_until_it_can()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/prlimit"), "The test takes the server's descriptors away with prlimit.");
        using var models = new FailingModel();
        await using var failing = WhatsitServer.With(new() { ["Catalog:Models"] = models.Models, ["Catalog:WatchSeconds"] = "0.05" });
        await failing.InitializeAsync();

        using var black = HttpAssert.Raw(FailingModel.Black);
        await HttpAssert.OkAsync(await failing.Http.PostAsync("/predict", black, TestContext.Current.CancellationToken));

        // Nothing can be opened any more, not even the sample's file; and a run that fails makes the model prove itself.
        await LimitDescriptorsAsync(failing, 1);
        using var white = HttpAssert.Raw(FailingModel.White);
        Assert.Equal(HttpStatusCode.InternalServerError, (await failing.Http.PostAsync("/predict", white, TestContext.Current.CancellationToken)).StatusCode);
        await failing.LoggedAsync("Model grocery cannot run any more");
        using var ready = await failing.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains("cannot run any more", await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);

        await LimitDescriptorsAsync(failing, 1024);
        await failing.LoggedAsync("Model grocery runs again");
        Assert.Equal(HttpStatusCode.OK, (await failing.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken)).StatusCode);

        static async Task LimitDescriptorsAsync(WhatsitServer server, int limit)
        {
            using var prlimit = Process.Start("prlimit", [$"--pid={server.Process.Id}", $"--nofile={limit}:"]);
            await prlimit.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.Equal(0, prlimit.ExitCode);
        }
    }

    [Fact]
    public async Task A_default_model_that_is_not_there_is_named()
    {
        await using var without = WhatsitServer.With(new() { ["Catalog:DefaultModel"] = "flowers" });
        await without.InitializeAsync();
        using var ready = await without.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Equal("The default model 'flowers' is not in the models folder.", (string?)JsonNode.Parse(await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["problem"]);
    }

    [Fact]
    public async Task Swagger_describes_every_way_to_send_a_picture()
    {
        var document = await server.GetJsonAsync("/swagger/v1/swagger.json");
        var bodies = document["paths"]!["/predict"]!["post"]!["requestBody"]!["content"]!.AsObject().Select(body => body.Key);
        Assert.Equal(["application/json", "application/octet-stream", "image/*", "multipart/form-data"], bodies.Order());
        Assert.NotNull(document["paths"]!["/models/{name}"]);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/swagger/index.html", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task An_unknown_route_is_a_problem_without_details() =>
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.GetAsync("/nowhere", TestContext.Current.CancellationToken)).StatusCode);
}
