using System.Diagnostics;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Compatibility;

/// <summary>Other people's clients from npm classify a picture; only the address is ours.</summary>
public sealed class NodeClientsTests
{
    private const string Sample = "models/grocery/sample.png";

    [Fact(Timeout = 600_000)]
    public async Task The_gRPC_client_for_Node_asks_raw_and_typed()
    {
        SkipWithout("@grpc/grpc-js");
        var port = GrpcClient.FreePort();
        await using var server = WhatsitServer.With(new() { ["Grpc:Port"] = $"{port}" });
        await server.InitializeAsync();
        var answer = await RunAsync("grpc.mjs", $"127.0.0.1:{port}");
        var probabilities = await TensorPicture.ProbabilitiesAsync(server, WhatsitServer.Picture);
        var labels = await server.GetJsonAsync("/models/grocery/classes");
        Assert.True((bool)answer["ready"]!);
        Assert.Equal(
            probabilities.Index().OrderByDescending(score => score.Item).Take(3)
                .Select(score => FormattableString.Invariant($"{score.Item:F6}:{score.Index}:{labels[score.Index]!["label"]}")),
            answer["labels"]!.AsArray().Select(label => (string)label!));
        Assert.Equal(probabilities[0], (float)(double)answer["first"]!);
        Assert.Equal(
            """{"code":5,"details":"Request for unknown model: 'x' is not found"}""",
            answer["unknown"]!.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
    }

    [Theory(Timeout = 600_000)]
    [InlineData("")]
    [InlineData("/models/grocery")]
    public async Task The_Hugging_Face_client_classifies(string path)
    {
        SkipWithout("@huggingface/inference");
        await using var server = WhatsitServer.With([]);
        await server.InitializeAsync();
        var answer = await RunAsync("huggingface.mjs", server.Http.BaseAddress!.ToString().TrimEnd('/') + path);
        var expected = await server.Http.PostAsync("/predict?topK=5", HttpAssert.Raw(WhatsitServer.Picture), TestContext.Current.CancellationToken);
        Assert.Equal(
            (await HttpAssert.OkAsync(expected))["predictions"]!.AsArray().Select(label => ((string)label!["label"]!, (float)label["confidence"]!)),
            answer.AsArray().Select(label => ((string)label!["label"]!, (float)label["score"]!)));
    }

    private static void SkipWithout(string package) => Assert.SkipUnless(
        Directory.Exists(Path.Combine(WhatsitServer.Root, "client/node_modules", package)),
        "The client's packages are not installed: cd client && npm ci --ignore-scripts");

    private static async Task<JsonNode> RunAsync(string script, string address)
    {
        using var node = Process.Start(new ProcessStartInfo(
            "node", [Path.Combine(WhatsitServer.Root, "tests/data/clients", script), address, Path.Combine(WhatsitServer.Root, Sample)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var error = node.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await node.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Assert.True(output.Length > 0, await error);
        return JsonNode.Parse(output)!;
    }
}
