using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Models;

/// <summary>A server that decodes and judges, before two that compute.</summary>
public sealed class TwoTiersTests : IAsyncLifetime
{
    private const string Key = "between-the-tiers";

    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-front-").FullName;
    private readonly WhatsitServer[] _backs = [Back(), Back()];
    private WhatsitServer _front = null!;

    public async ValueTask InitializeAsync()
    {
        await Task.WhenAll(_backs.Select(back => back.InitializeAsync().AsTask()));
        // The front needs the manifest, the labels and the sample, and no weights.
        var source = Path.Combine(WhatsitServer.Root, "models/grocery");
        var bundle = Directory.CreateDirectory(Path.Combine(_folder, "grocery")).FullName;
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(source, "model.json")))!.AsObject();
        manifest["files"] = new JsonObject();
        manifest.Remove("tfjs");
        manifest["remote"] = new JsonObject { ["endpoints"] = new JsonArray([.. _backs.Select(back => (JsonNode)back.Http.BaseAddress!.ToString())]) };
        await File.WriteAllTextAsync(Path.Combine(bundle, "model.json"), manifest.ToJsonString());
        foreach (var file in Directory.GetFiles(source).Where(file => Path.GetExtension(file) is ".txt" or ".png" or ".f32"))
        {
            File.Copy(file, Path.Combine(bundle, Path.GetFileName(file)));
        }

        if (Directory.Exists(Path.Combine(source, "samples")))
        {
            Directory.CreateDirectory(Path.Combine(bundle, "samples"));
            foreach (var file in Directory.GetFiles(Path.Combine(source, "samples")))
            {
                File.Copy(file, Path.Combine(bundle, "samples", Path.GetFileName(file)));
            }
        }

        _front = WhatsitServer.With(new()
        {
            ["Catalog:Models"] = _folder,
            ["Remote:Hosts:0"] = "127.0.0.1",
            ["Remote:ApiKey"] = Key,
            ["Remote:ReadySeconds"] = "0.2",
        });
        await _front.InitializeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _front.DisposeAsync();
        foreach (var back in _backs)
        {
            await back.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Two_tiers_answer_as_one_and_survive_the_end_of_a_server()
    {
        Assert.Equal("ready", (string)(await _front.GetJsonAsync("/health/ready"))["status"]!);
        byte[][] pictures = [WhatsitServer.Picture, Compatibility.TensorPicture.File, .. Photos()];
        var expected = new List<string>();
        foreach (var picture in pictures)
        {
            expected.Add(await AnswerAsync(_backs[0], picture));
        }

        Assert.Equal(expected, await Task.WhenAll(pictures.Select(picture => AnswerAsync(_front, picture))));
        var (_, answer) = await AskAsync(_front, WhatsitServer.Picture);
        Assert.Equal("remote", (string)answer["variant"]!);
        Assert.All((string[])["decodeMs", "preprocessMs", "queueMs", "computeMs"], stage => Assert.True((double)answer["timing"]![stage]! >= 0));

        // Nothing of it is in flight, so nothing fails.
        _backs[1].Process.Kill();
        await _backs[1].Process.WaitForExitAsync(TestContext.Current.CancellationToken);
        for (var round = 0; round < 3; round++)
        {
            Assert.Equal(expected, await Task.WhenAll(pictures.Select(picture => AnswerAsync(_front, picture))));
        }

        await _front.LoggedAsync($"Model grocery is not asked for at {_backs[1].Http.BaseAddress}");
        Assert.Equal("ready", (string)(await _front.GetJsonAsync("/health/ready"))["status"]!);

        _backs[0].Process.Kill();
        await WhatsitServer.WaitUntilAsync(async () =>
        {
            using var ready = await _front.Http.GetAsync("/health/ready", TestContext.Current.CancellationToken);
            return (int)ready.StatusCode == 503;
        });
        var (status, refusal) = await AskAsync(_front, WhatsitServer.Picture);
        Assert.Equal((503, "model-not-ready"), (status, (string)refusal["code"]!));
        Assert.StartsWith("No server that computes the model 'grocery' is ready.", (string)refusal["detail"]!, StringComparison.Ordinal);
    }

    private static WhatsitServer Back() => WhatsitServer.With(new()
    {
        // The recorded answer of the manifest is that of these weights.
        ["Catalog:Variant"] = "fp32",
        ["Access:Keys:0:Name"] = "front",
        ["Access:Keys:0:Sha256"] =
            Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Key))),
    });

    /// <summary>Validation photos where they are there; a few are enough beside the generated ones.</summary>
    private static IEnumerable<byte[]> Photos()
    {
        var list = Path.Combine(WhatsitServer.Root, "../shared/data/grocery/val.txt");
        return !File.Exists(list) ? []
            : File.ReadLines(list).Where((_, index) => index % 10 == 0)
                .Select(line => File.ReadAllBytes(Path.Combine(Path.GetDirectoryName(list)!, line.Split(',')[0].Trim())));
    }

    private static async Task<string> AnswerAsync(WhatsitServer server, byte[] picture)
    {
        var (status, answer) = await AskAsync(server, picture);
        Assert.True(status == 200, answer.ToJsonString());
        return answer["predictions"]!.ToJsonString() + answer["abstained"]!.ToJsonString();
    }

    private static async Task<(int Status, JsonNode Answer)> AskAsync(WhatsitServer server, byte[] picture)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/predict?topK=5") { Content = HttpAssert.Raw(picture) };
        request.Headers.Add("X-Api-Key", Key);
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!);
    }
}
