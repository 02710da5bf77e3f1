using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Whatsit.Server.Compatibility;
using Whatsit.Server.Compatibility.OpenInference.Rpc;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>What holds for <c>POST /predict</c> holds in every protocol, each in its own words: keys, limits, loading, failing.</summary>
public sealed class ProtocolRulesTests(WhatsitServer server)
{
    private static readonly string[] Routes =
        ["/v2/models/grocery/infer", "/v1/models/grocery:predict", "/models/grocery", "/", "/predictions/grocery", "/api/predict_image"];

    [Theory]
    [InlineData("/v2/repository/models/grocery/load")]
    [InlineData("/v1/models/grocery:regress")]
    [InlineData("/predictions")]
    [InlineData("/models/grocery/generate")]
    [InlineData("/api/train")]
    public async Task A_route_that_is_not_there_is_said_in_one_sentence_that_points_to_nothing_else(string path)
    {
        using var response = await server.Http.PostAsync(path, new StringContent("{}"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        Assert.Equal($"There is no '{path}' here. Pictures go to POST /predict.", (string?)(answer["error"] ?? answer["message"]));
    }

    [Fact]
    public async Task Keys_and_sizes_are_asked_for_everywhere()
    {
        await using var server = WhatsitServer.With(new()
        {
            ["Access:Keys:0:Name"] = "shop",
            ["Access:Keys:0:Sha256"] = Convert.ToHexString(SHA256.HashData("secret"u8)),
            ["Limits:MaxRequestBytes"] = "200000",
        });
        await server.InitializeAsync();
        foreach (var route in Routes)
        {
            using var keyless = await server.Http.PostAsync(route, HttpAssert.Raw([1]), TestContext.Current.CancellationToken);
            if (route.StartsWith("/api", StringComparison.Ordinal))
            {
                // The tutorial knows no keys.
                await HttpAssert.ProblemAsync(HttpStatusCode.Unauthorized, "API key", keyless);
            }
            else
            {
                await AssertAsync(HttpStatusCode.Unauthorized, "API key", route, keyless);
            }

            using var large = await server.Http.PostAsync(route, HttpAssert.Raw(new byte[200_001]), TestContext.Current.CancellationToken);
            await AssertAsync(
                route.StartsWith("/api", StringComparison.Ordinal) ? HttpStatusCode.BadRequest : HttpStatusCode.RequestEntityTooLarge, "200,001 bytes", route,
                large);
        }

        // Descriptions are for everyone, as the native ones are.
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/v2/models/grocery", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Theory]
    [InlineData("api-key-needed", StatusCode.Unauthenticated)]
    [InlineData("management-off", StatusCode.PermissionDenied)]
    [InlineData("model-not-found", StatusCode.NotFound)]
    [InlineData("queue-full", StatusCode.ResourceExhausted)]
    [InlineData("model-not-ready", StatusCode.Unavailable)]
    [InlineData("upstream-failed", StatusCode.Internal)]
    [InlineData("backend-failed", StatusCode.Internal)]
    public void Over_gRPC_another_server_is_asked_where_it_is_over_HTTP(string code, StatusCode status) =>
        Assert.Equal(status, GrpcFailure.StatusOf(RefusalCodes.All[code].Status!.Value));

    [Fact]
    public async Task A_model_that_fails_is_not_ready_in_every_protocol()
    {
        using var models = new FailingModel();
        await using var server = WhatsitServer.With(new() { ["Catalog:Models"] = models.Models });
        await server.InitializeAsync();
        for (var time = 0; time < 3; time++)
        {
            using var response = await server.Http.PostAsync("/v2/models/grocery/infer", HttpAssert.Raw(Encoding.UTF8.GetBytes(
                $$$"""{"inputs":[{"name":"image","shape":[1],"datatype":"BYTES","data":["{{{Convert.ToBase64String(FailingModel.White)}}}"]}]}""")),
                TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
            Assert.Equal("""{"error":"The model failed on this input."}""", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        (string Path, int Status)[] probes = [("/v2/health/ready", 503), ("/v2/models/grocery/ready", 503), ("/ping", 500), ("/v2/health/live", 200)];
        foreach (var (path, status) in probes)
        {
            using var response = await server.Http.GetAsync(path, TestContext.Current.CancellationToken);
            Assert.Equal(status, (int)response.StatusCode);
        }

        Assert.Equal("END", (string)(await server.GetJsonAsync("/v1/models/grocery"))["model_version_status"]![0]!["state"]!);
        var statistics = (await server.GetJsonAsync("/v2/models/stats"))["model_stats"]!.AsArray();
        Assert.Empty(statistics);
    }

    [Fact]
    public async Task A_model_that_does_not_load_says_why_in_every_protocol()
    {
        using var models = new FailingModel();
        File.Delete(Path.Combine(models.Models, "grocery/model.onnx"));
        await using var server = WhatsitServer.With(new() { ["Catalog:Models"] = models.Models });
        await server.InitializeAsync();
        foreach (var route in Routes)
        {
            using var response = await server.Http.PostAsync(route, HttpAssert.Raw([1]), TestContext.Current.CancellationToken);
            await AssertAsync(HttpStatusCode.ServiceUnavailable, "lacks its file 'model.onnx'", route, response);
        }
    }

    [Fact]
    public async Task While_the_models_load_Hugging_Faces_clients_are_told_to_come_back()
    {
        // Nothing but the refusal knows what loads: a catalog that has not looked yet.
        var services = new ServiceCollection();
        services.AddWhatsit(options => options.Catalog.Models = WhatsitServer.Root);
        await using var provider = services.AddLogging().BuildServiceProvider();
        var request = new DefaultHttpContext { RequestServices = provider }.Request;
        (request.Method, request.Path) = ("POST", "/models/grocery");
        var failure = Protocols.Fail(new(503, "Model not ready", "model-not-ready", "The models are still loading. Try again in a moment."), request)!;
        Assert.Equal("""{"error":"Model grocery is currently loading","estimated_time":20.0}""", Encoding.UTF8.GetString(failure.Json));
    }

    private static async Task AssertAsync(HttpStatusCode status, string contains, string route, HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(status == response.StatusCode, $"{route}: {(int)response.StatusCode} {text}");
        var answer = JsonNode.Parse(text)!.AsObject();
        Assert.Contains(contains, (string)(answer["error"] ?? answer["message"])!, StringComparison.Ordinal);
        string[] members = route.StartsWith("/api", StringComparison.Ordinal) ? ["file_size", "predictions", "duration_inference", "error"]
            : route.StartsWith("/predictions", StringComparison.Ordinal) ? ["code", "type", "message"] : ["error"];
        Assert.Equal(members, answer.Select(member => member.Key));
    }
}
