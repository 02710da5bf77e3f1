using System.Net.NetworkInformation;
using System.Text.Json.Nodes;
using Whatsit.Tests;

namespace Whatsit.Server.Tests.Models;

/// <summary>A server that decodes and judges, before two that compute.</summary>
public sealed class TwoTiersTests : IAsyncDisposable
{
    private const string Key = "between-the-tiers";

    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-front-").FullName;
    private readonly WhatsitServer[] _backs;
    private readonly int[] _ports = [Compatibility.GrpcClient.FreePort(), Compatibility.GrpcClient.FreePort()];
    private WhatsitServer _front = WhatsitServer.With([]);

    public TwoTiersTests() => _backs = [.. _ports.Select(Back)];

    private async Task StartAsync(params string[] schemes)
    {
        await Task.WhenAll(_backs.Select(back => back.InitializeAsync().AsTask()));
        FrontBundle.Write(Path.Combine(WhatsitServer.Root, "models/grocery"), _folder, schemes.Select(AddressOf));
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

    [Theory]
    [InlineData("http")]
    [InlineData("grpc")]
    public async Task Two_tiers_answer_as_one_and_survive_the_end_of_a_server(string scheme)
    {
        await StartAsync(scheme, scheme);
        Assert.Equal("ready", (string)(await _front.GetJsonAsync("/health/ready"))["status"]!);
        byte[][] pictures = [WhatsitServer.Picture, Compatibility.TensorPicture.File, .. Photos().Where((_, index) => index % 10 == 0)];
        var expected = new List<string>();
        foreach (var picture in pictures)
        {
            expected.Add(await AnswerAsync(_backs[0], picture));
        }

        Assert.Equal(expected, await Task.WhenAll(pictures.Select(picture => AnswerAsync(_front, picture))));
        var (_, answer) = await AskAsync(_front, WhatsitServer.Picture);
        Assert.Equal("remote", (string)answer["variant"]!);
        Assert.All((string[])["decodeMs", "preprocessMs", "queueMs", "computeMs"], stage => Assert.True((double)answer["timing"]![stage]! >= 0));

        // Nothing of it is in flight, so nothing fails. What is sent over gRPC before the front has noticed that its connection ended would be.
        _backs[1].Process.Kill();
        await _backs[1].Process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await WhatsitServer.WaitUntilAsync(() => Task.FromResult(!IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections().Any(connection =>
            connection.State is TcpState.Established or TcpState.CloseWait && connection.RemoteEndPoint.Port == _ports[1])));
        for (var round = 0; round < 3; round++)
        {
            Assert.Equal(expected, await Task.WhenAll(pictures.Select(picture => AnswerAsync(_front, picture))));
        }

        await _front.LoggedAsync($"Model grocery is not asked for at {AddressOf(scheme, 1)}");
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

    [Theory]
    [InlineData(1, 1)]
    [InlineData(0, 4)]
    public async Task A_server_that_is_killed_costs_no_more_than_what_is_in_flight_on_it(int killed, int each)
    {
        const int AtOnce = 8;
        byte[][] photos = [.. Photos().Where((_, index) => index % each == 0)];
        Assert.SkipUnless(photos.Length > 0, "The data set is not at ../shared/data/grocery.");
        await StartAsync("http", "grpc");
        var (expected, found) = (new string[photos.Length], new string?[photos.Length]);
        await EachAsync(async index => expected[index] = await AnswerAsync(_backs[index % 2], photos[index]));

        // Counted are those that are not answered when it is told to end, and those that begin until it has.
        var (begun, answered, most) = (0, 0, 0);
        await EachAsync(async index =>
        {
            Interlocked.Increment(ref begun);
            var (status, answer) = await AskAsync(_front, photos[index]);
            found[index] = status == 200 ? TextOf(answer) : null;
            Assert.True(status is 200 or 502, answer.ToJsonString());
            if (Interlocked.Increment(ref answered) == photos.Length / 2)
            {
                var before = Volatile.Read(ref answered);
                _backs[killed].Process.Kill();
                await _backs[killed].Process.WaitForExitAsync();
                most = Volatile.Read(ref begun) - before;
            }
        });

        Assert.InRange(found.Count(answer => answer is null), 0, most);
        await EachAsync(async index => found[index] ??= await AnswerAsync(_front, photos[index]));
        Assert.Equal(expected, found);

        Task EachAsync(Func<int, Task> ask) => Parallel.ForEachAsync(
            Enumerable.Range(0, photos.Length),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = TestContext.Current.CancellationToken },
            async (index, _) => await ask(index));
    }

    /// <summary>As a manifest names a back server.</summary>
    private string AddressOf(string scheme, int back) => scheme == "grpc" ? $"grpc://127.0.0.1:{_ports[back]}/" : $"{_backs[back].Http.BaseAddress}";

    private static WhatsitServer Back(int port) => WhatsitServer.With(new()
    {
        ["Grpc:Port"] = $"{port}",
        // The recorded answer of the manifest is that of these weights.
        ["Catalog:Variant"] = "fp32",
        ["Access:Keys:0:Name"] = "front",
        ["Access:Keys:0:Sha256"] =
            Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Key))),
    });

    /// <summary>Validation photos, where they are there.</summary>
    private static IEnumerable<byte[]> Photos()
    {
        var list = Path.Combine(WhatsitServer.Root, "../shared/data/grocery/val.txt");
        return !File.Exists(list) ? []
            : File.ReadLines(list).Select(line => File.ReadAllBytes(Path.Combine(Path.GetDirectoryName(list)!, line.Split(',')[0].Trim())));
    }

    private static async Task<string> AnswerAsync(WhatsitServer server, byte[] picture)
    {
        var (status, answer) = await AskAsync(server, picture);
        Assert.True(status == 200, answer.ToJsonString());
        return TextOf(answer);
    }

    private static string TextOf(JsonNode answer) => answer["predictions"]!.ToJsonString() + answer["abstained"]!.ToJsonString();

    private static async Task<(int Status, JsonNode Answer)> AskAsync(WhatsitServer server, byte[] picture)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/predict?topK=5") { Content = HttpAssert.Raw(picture) };
        request.Headers.Add("X-Api-Key", Key);
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!);
    }
}
