using System.Text.Json;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>
/// What curl, Wget, HTTPie, Python's clients, Node's, Perl, Ruby, PHP, Java and Chromium sent to a listener (tests/data/requests/record.py), byte for byte; and
/// what others send by their sources.
/// </summary>
public sealed class RecordedRequestTests(WhatsitServer server)
{
    private static readonly string Folder = Path.Combine(WhatsitServer.Root, "tests/data/requests");
    private static readonly Dictionary<string, RecordedRequest> Recorded =
        JsonSerializer.Deserialize<List<RecordedRequest>>(File.ReadAllText(Path.Combine(Folder, "cases.json")), JsonSerializerOptions.Web)!
            .ToDictionary(request => request.Name);

    public static TheoryData<string> Names => [.. Recorded.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task What_a_client_sent_is_answered_with_labels_or_with_what_to_do_instead(string name)
    {
        var expected = Recorded[name];
        var bytes = await File.ReadAllBytesAsync(Path.Combine(Folder, $"{name}.http"), TestContext.Current.CancellationToken);
        using var wire = await Wire.ConnectAsync(server);
        var (status, head, body) = await wire.ReadWholeAsync(bytes);
        Assert.True(expected.Status == status, $"{expected.Client}: {status} {body}");
        if (bytes.AsSpan().StartsWith("HEAD "u8))
        {
            Assert.Empty(body);
            return;
        }

        var answer = JsonNode.Parse(body)!;
        Assert.True(expected.Code == (string?)answer["code"], $"{expected.Client}: {body}");
        if (status != 200)
        {
            Assert.Contains("application/problem+json", head, StringComparison.Ordinal);
            Assert.Contains(expected.Sentence ?? "", (string)answer["detail"]!, StringComparison.Ordinal);
            return;
        }

        var (_, raw) = await Wire.PredictAsync(server, "Content-Type: image/jpeg", await PhotoAsync());
        Assert.Equal(raw["predictions"]!.ToJsonString(), answer["predictions"]!.ToJsonString());
        Assert.Equal(raw["image"]!.ToJsonString(), answer["image"]!.ToJsonString());
        Assert.Equal(expected.Warning is { } warning ? [warning] : [], answer["warnings"]?.AsArray().Select(one => (string)one!["code"]!) ?? []);
    }

    [Fact]
    public void Each_recording_is_listed_and_holds_the_picture_where_it_is_answered_with_labels()
    {
        Assert.Equal(Recorded.Keys.Order(), Directory.GetFiles(Folder, "*.http").Select(Path.GetFileNameWithoutExtension).Order());
        Assert.All(Recorded.Values, request => Assert.True(new FileInfo(Path.Combine(Folder, $"{request.Name}.http")).Length > 50, request.Name));
    }

    private static Task<byte[]> PhotoAsync() => File.ReadAllBytesAsync(Path.Combine(Folder, "photo.jpg"), TestContext.Current.CancellationToken);

    private sealed record RecordedRequest(string Name, string Client, int Status, string? Code, string? Sentence, string? Warning);
}
