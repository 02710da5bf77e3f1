using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Whatsit.Server.Documentation;

namespace Whatsit.Server.Tests.Documentation;

/// <summary>The OpenAPI document says what the server takes and answers, and stays what clients were generated from.</summary>
public sealed partial class OpenApiTests(WhatsitServer server)
{
    /// <summary>Also writes it, for <c>./build.sh openapi</c>: <c>renew</c>, or <c>breaking</c>, which a person asked for.</summary>
    [Fact]
    public async Task The_committed_document_is_the_one_that_is_served()
    {
        var served = await Contract.ServedAsync(server);
        if (Environment.GetEnvironmentVariable("WHATSIT_OPENAPI") is { Length: > 0 } how)
        {
            if (how != "breaking")
            {
                BreaksNobody(served);
            }

            await File.WriteAllTextAsync(Contract.File, Contract.TextOf(served), TestContext.Current.CancellationToken);
            return;
        }

        Assert.True(Contract.TextOf(served) == await File.ReadAllTextAsync(Contract.File, TestContext.Current.CancellationToken),
            "docs/openapi.json is not what the server serves. ./build.sh openapi renews it, and the page's types with it.");
    }

    [Fact]
    public async Task Nothing_is_taken_away_from_clients() => BreaksNobody(await Contract.ServedAsync(server));

    [Fact]
    public void Every_code_has_an_example_with_its_status_and_parameters()
    {
        Assert.Equal(RefusalCodes.All.Keys.Order(), ProblemExamples.All.Keys.Order());
        Assert.All(RefusalCodes.All, code =>
        {
            var example = ProblemExamples.All[code.Key];
            Assert.Equal(code.Value.Status, (int?)example["status"]);
            Assert.Equal(code.Value.Parameters, example["parameters"]?.AsObject().Select(parameter => parameter.Key) ?? []);
            Assert.True(JsonNode.DeepEquals(example, Contract.Committed["components"]!["examples"]![code.Key]!["value"]));
        });
    }

    [Fact]
    public void Every_refusal_stands_with_an_operation_and_every_warning_in_an_answer()
    {
        var shown = Operations().SelectMany(Contract.Refusals).ToArray();
        Assert.All(shown, refusal => Assert.Equal($"{RefusalCodes.All[refusal.Code].Status}", refusal.Status));
        // Two that no operation has, and one that nobody reads.
        string[] others = ["route-not-found", "method-not-allowed", "client-left"];
        Assert.Equal(RefusalCodes.All.Where(code => code.Value.Status is not null).Select(code => code.Key).Except(others).Order(),
            shown.Select(refusal => refusal.Code).Distinct().Order());

        var answer = Contract.Committed["paths"]!["/predict"]!["post"]!["responses"]!["200"]!["content"]!["application/json"]!;
        Assert.Equal(RefusalCodes.All.Where(code => code.Value.Status is null).Select(code => code.Key),
            answer["examples"]!["warned"]!["value"]!["warnings"]!.AsArray().Select(warning => (string)warning!["code"]!));
    }

    /// <summary>It knew only 400; what is worth a retry keeps its status.</summary>
    [Fact]
    public void The_tutorials_refusals_stand_there_in_its_own_form()
    {
        var said = Contract.Committed["paths"]!.AsObject().Where(path => path.Key.StartsWith("/api/", StringComparison.Ordinal))
            .SelectMany(path => path.Value!.AsObject())
            .ToDictionary(operation => (string)operation.Value!["operationId"]!, operation => operation.Value!["responses"]!.AsObject()
                .SelectMany(response => (response.Value!["content"]?["application/json"]?["examples"] as JsonObject ?? [])
                    .Select(example => (Status: response.Key, Code: example.Key, Body: example.Value!["value"]!))).ToArray());
        Assert.Equal(["TutorialClasses", "TutorialPredictImage", "TutorialPredictUrl"], said.Keys.Order());
        Assert.All(said.Values.SelectMany(refusals => refusals), refusal =>
        {
            var native = ProblemExamples.Refusals[refusal.Code];
            Assert.Equal(native.Status is 408 or 413 or 415 or 422 || refusal.Code == "model-not-found" ? "400" : $"{native.Status}", refusal.Status);
            Assert.True(JsonNode.DeepEquals(
                new JsonObject { ["file_size"] = 0, ["predictions"] = new JsonArray(), ["duration_inference"] = 0, ["error"] = native.Detail }, refusal.Body));
        });

        // Those of POST /predict, but what is said as there (no key, a connection too many, before it was read) and what only several pictures can do.
        Assert.Equal(Contract.Refusals(Contract.Committed["paths"]!["/predict"]!["post"]!).Select(refusal => refusal.Code)
                .Except(["api-key-needed", "too-many-connections", "field-too-late", "too-many-pictures"]).Order(),
            said["TutorialPredictImage"].Select(refusal => refusal.Code).Order());
        Assert.All(said.Values, refusals => Assert.Contains("model-not-ready", refusals.Select(refusal => refusal.Code)));
    }

    [Fact]
    public async Task Parameters_are_what_they_are_and_the_model_is_one_of_the_servers()
    {
        var document = await server.GetJsonAsync("/swagger/v1/swagger.json");
        var predict = document["paths"]!["/predict"]!["post"]!;
        var parameters = predict["parameters"]!.AsArray().ToDictionary(parameter => (string)parameter!["name"]!, parameter => parameter!["schema"]!);
        var form = predict["requestBody"]!["content"]!["multipart/form-data"]!["schema"]!["properties"]!;
        foreach (var fields in (Func<string, JsonNode>[])[name => parameters[name], name => form[name]!])
        {
            Assert.Equal(("integer", 1), ((string)fields("topK")["type"]!, (int)fields("topK")["minimum"]!));
            Assert.Equal(["true", "false", "png"], fields("explain")["enum"]!.AsArray().Select(value => (string)value!));
            Assert.Equal("#/components/schemas/ModelName", (string)fields("model")["$ref"]!);
        }

        Assert.Equal("binary", (string)form["file"]!["format"]!);
        Assert.Equal(["grocery"], document["components"]!["schemas"]!["ModelName"]!["enum"]!.AsArray().Select(name => (string)name!));
    }

    [Theory]
    [InlineData("GET", "/health/live")]
    [InlineData("GET", "/health/ready")]
    [InlineData("GET", "/models")]
    [InlineData("GET", "/models/grocery")]
    [InlineData("GET", "/models/grocery/classes")]
    [InlineData("GET", "/models/flowers")]
    [InlineData("PUT", "/models/flowers")]
    [InlineData("POST", "/predict")]
    [InlineData("POST", "/predict?explain=true")]
    [InlineData("POST", "/predict?topK=0")]
    [InlineData("POST", "/api/predict_image")]
    [InlineData("POST", "/api/predict_image?top_k=0")]
    [InlineData("GET", "/api/predict_url?url=http://localhost/")]
    public async Task An_answer_is_what_its_schema_says(string method, string path)
    {
        using var request = new HttpRequestMessage(new(method), path) { Content = method == "GET" ? null : HttpAssert.Raw(WhatsitServer.Picture) };
        await CheckAsync(request);
    }

    [Fact]
    public async Task The_answer_to_several_pictures_is_what_its_schema_says()
    {
        using var form = HttpAssert.Form(("a", WhatsitServer.Picture), ("b", "no picture"u8.ToArray()));
        form.Add(new StringContent("1"), "unknown");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/predict") { Content = form };
        await CheckAsync(request);
    }

    [Fact]
    public void Examples_are_what_their_schemas_say()
    {
        foreach (var media in All(Contract.Committed["paths"]!).Where(node => node is JsonObject media && media.ContainsKey("examples")))
        {
            Assert.All(media["examples"]!.AsObject(), example => Assert.Empty(Contract.Mismatches(media["schema"]!,
                (string?)example.Value!["$ref"] is { } reference ? ProblemExamples.All[reference.Split('/')[^1]] : example.Value["value"])));
        }
    }

    [Fact]
    public async Task What_Try_it_out_sends_as_JSON_is_answered()
    {
        var example = Contract.Committed["paths"]!["/predict"]!["post"]!["requestBody"]!["content"]!["application/json"]!["example"]!;
        using var body = new StringContent(example.ToJsonString(), null, "application/json");
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", body, TestContext.Current.CancellationToken));
        Assert.Equal((int)example["topK"]!, answer["predictions"]!.AsArray().Count);
    }

    /// <summary>Swagger UI shows descriptions as Markdown, and drops what could be a tag.</summary>
    [Fact]
    public void No_word_of_a_description_is_taken_for_HTML()
    {
        var texts = All(Contract.Committed).OfType<JsonObject>().SelectMany(node => node)
            .Where(member => member.Key is "description" or "summary" && member.Value is JsonValue).Select(member => (string)member.Value!).ToArray();
        Assert.Contains(texts, text => text.Contains("<base64 or data URL>", StringComparison.Ordinal));
        Assert.All(texts, text => Assert.DoesNotContain("<", CodeSpan().Replace(text, ""), StringComparison.Ordinal));
    }

    [Fact]
    public void Every_reference_leads_somewhere_and_every_component_is_referred_to()
    {
        var references = All(Contract.Committed).Select(node => (string?)(node as JsonObject)?["$ref"]).OfType<string>().ToHashSet();
        var components = Contract.Committed["components"]!.AsObject().Where(kind => kind.Key != "securitySchemes")
            .SelectMany(kind => kind.Value!.AsObject().Select(component => $"#/components/{kind.Key}/{component.Key}")).ToHashSet();
        Assert.Empty(references.Except(components));
        // Examples of refusals that no operation has, and of warnings.
        Assert.All(components.Except(references), component => Assert.StartsWith("#/components/examples/", component, StringComparison.Ordinal));
    }

    private static void BreaksNobody(JsonNode served)
    {
        var found = BreakingChanges.Between(Contract.Committed, served);
        Assert.True(found.Count == 0, $"{string.Join(' ', found)} Where that is meant, ./build.sh openapi --breaking accepts it.");
    }

    private async Task CheckAsync(HttpRequestMessage request)
    {
        using var response = await server.Http.SendAsync(request, TestContext.Current.CancellationToken);
        var operation = Contract.OperationOf(request.Method, request.RequestUri!.AbsolutePath)!;
        var media = operation["responses"]![$"{(int)response.StatusCode}"]?["content"]?[response.Content.Headers.ContentType!.MediaType!];
        Assert.True(media is not null, $"{request.Method} {request.RequestUri} answers {(int)response.StatusCode}, {response.Content.Headers.ContentType}");
        Assert.Empty(Contract.Mismatches(media["schema"]!, JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))));
    }

    private static IEnumerable<JsonNode> Operations() =>
        Contract.Committed["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject()).Select(operation => operation.Value!);

    private static IEnumerable<JsonNode> All(JsonNode node) =>
        [node, .. (node switch { JsonObject members => members.Select(member => member.Value), JsonArray items => items, _ => [] })
            .OfType<JsonNode>().SelectMany(All)];

    [GeneratedRegex("`[^`]*`")]
    private static partial Regex CodeSpan();
}
