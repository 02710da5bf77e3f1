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
        using var ready = await unable.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        var problem = JsonNode.Parse(await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal(("not ready", "failed"), ((string?)problem["status"], (string?)problem["models"]!["grocery"]));
        Assert.Contains("256 × 256", (string?)problem["problem"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_without_its_default_model_is_not_ready_and_names_it()
    {
        await using var other = WhatsitServer.With(new() { ["Catalog:DefaultModel"] = "flowers" });
        await other.InitializeAsync();
        using var ready = await other.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Equal(
            """{"status":"not ready","models":{"grocery":"ready"},"problem":"There is no default model 'flowers'."}""",
            await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Swagger_describes_every_way_to_send_a_picture()
    {
        var document = await server.GetJsonAsync("/swagger/v1/swagger.json");
        var bodies = document["paths"]!["/predict"]!["post"]!["requestBody"]!["content"]!.AsObject().Select(body => body.Key);
        Assert.Equal(["application/json", "application/octet-stream", "application/x-www-form-urlencoded", "image/*", "multipart/form-data"], bodies.Order());
        Assert.NotNull(document["paths"]!["/models/{name}"]);
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/swagger/index.html", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task An_unknown_route_is_a_problem_that_names_the_others()
    {
        using var response = await server.Http.GetAsync("/nowhere", TestContext.Current.CancellationToken);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal((404, "No such route"), ((int)problem["status"]!, (string)problem["title"]!));
        Assert.Equal(["code", "detail", "parameters", "status", "title", "type"], problem.AsObject().Select(member => member.Key).Order());
    }
}
