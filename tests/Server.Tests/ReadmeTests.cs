using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Whatsit.Server.Tests;

/// <summary>What the README shows is what the server answers.</summary>
public sealed partial class ReadmeTests(WhatsitServer server)
{
    [Fact]
    public async Task The_first_curl_gives_the_answer_that_stands_below_it()
    {
        var readme = await File.ReadAllTextAsync(Path.Combine(WhatsitServer.Root, "README.md"), TestContext.Current.CancellationToken);
        var (file, query, shown) = Example().Match(readme) is { Success: true } match
            ? (match.Groups["file"].Value, match.Groups["query"].Value, JsonNode.Parse(match.Groups["answer"].Value)!)
            : throw new InvalidOperationException("The README has no curl with its answer.");
        using var content = HttpAssert.Raw(await File.ReadAllBytesAsync(Path.Combine(WhatsitServer.Root, file), TestContext.Current.CancellationToken));
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync($"/predict{query}", content, TestContext.Current.CancellationToken));

        Assert.Equal(answer.AsObject().Select(member => member.Key), shown.AsObject().Select(member => member.Key));
        Assert.True(JsonNode.DeepEquals(answer["image"], shown["image"]));
        var predictions = answer["predictions"]!.AsArray()
            .Zip(shown["predictions"]!.AsArray(), (actual, expected) => (Actual: actual!, Expected: expected!)).ToArray();
        Assert.Equal(shown["predictions"]!.AsArray().Count, predictions.Length);
        Assert.Equal((string)predictions[0].Expected["label"]!, (string)predictions[0].Actual["label"]!);
        // int8 and fp32 machines differ in the digits.
        Assert.Equal((double)predictions[0].Expected["confidence"]!, (double)predictions[0].Actual["confidence"]!, 0.1);
    }

    [Fact]
    public async Task Every_code_stands_in_the_readme_and_in_the_OpenAPI_document()
    {
        var readme = await File.ReadAllTextAsync(Path.Combine(WhatsitServer.Root, "README.md"), TestContext.Current.CancellationToken);
        var listed = Codes().Matches(readme).ToDictionary(
            row => row.Groups["code"].Value,
            row => (row.Groups["status"].Value, row.Groups["parameters"].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries)));
        Assert.Equal(RefusalCodes.All.Keys.Order(), listed.Keys.Order());
        foreach (var (code, (status, parameters)) in RefusalCodes.All)
        {
            Assert.Equal(status?.ToString() ?? "200", listed[code].Item1);
            Assert.Equal(parameters, listed[code].Item2.Select(parameter => parameter.Trim('`')));
        }

        var problem = (await server.GetJsonAsync("/swagger/v1/swagger.json"))["components"]!["schemas"]!["ProblemDetails"]!["properties"]!;
        var documented = problem["code"]!["enum"]!.AsArray().Select(code => (string)code!);
        Assert.Equal(RefusalCodes.All.Where(code => code.Value.Status is not null).Select(code => code.Key), documented);
    }

    [GeneratedRegex(@"^\| (?<status>\d{3}) \| `(?<code>[a-z0-9-]+)` \| (?<parameters>[^|]*?) ?\|$", RegexOptions.Multiline)]
    private static partial Regex Codes();

    [GeneratedRegex(@"curl --data-binary @(?<file>\S+) '[^/]+/predict(?<query>\?[^']*)'\n```\n```json\n(?<answer>.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex Example();
}
