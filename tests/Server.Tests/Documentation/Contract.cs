using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Whatsit.Server.Tests.Documentation;

/// <summary><c>docs/openapi.json</c>: what clients rely on.</summary>
internal static class Contract
{
    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string File { get; } = Path.Combine(WhatsitServer.Root, "docs/openapi.json");

    public static JsonNode Committed { get; } = JsonNode.Parse(System.IO.File.ReadAllText(File))!;

    public static string TextOf(JsonNode document) => document.ToJsonString(Readable) + "\n";

    /// <summary>A server's document without what is its own: its models' names, and where it is.</summary>
    public static async Task<JsonNode> ServedAsync(WhatsitServer server)
    {
        var document = await server.GetJsonAsync("/swagger/v1/swagger.json");
        document.AsObject().Remove("servers");
        document["components"]!["schemas"]!["ModelName"]!.AsObject().Remove("enum");
        return document;
    }

    /// <summary>The operation that a request is, if the document has it.</summary>
    public static JsonNode? OperationOf(HttpMethod method, string path) => Committed["paths"]!.AsObject()
        .Where(known => Regex.IsMatch(path, $"^{Regex.Replace(known.Key.Replace("{file}", ".+", StringComparison.Ordinal), @"\{\w+\}", "[^/]+")}/?$"))
        .Select(known => known.Value![method.Method.ToLowerInvariant()]).FirstOrDefault(operation => operation is not null);

    /// <summary>A refusal has its code's title, and stands with its status and code in the description of what was asked.</summary>
    public static void HasRefusal(HttpRequestMessage? request, JsonNode problem)
    {
        var code = (string)problem["code"]!;
        Assert.Equal((string)Committed["components"]!["examples"]![code]!["value"]!["title"]!, (string)problem["title"]!);
        if (code is not ("route-not-found" or "method-not-allowed") && request is { RequestUri: { } address }
            && OperationOf(request.Method, address.AbsolutePath) is { } operation && Refusals(operation).Any())
        {
            Assert.True(Refusals(operation).Contains(($"{problem["status"]}", code)),
                $"The OpenAPI document does not say that {request.Method} {address.AbsolutePath} may answer with {problem["status"]}, {code}.");
        }
    }

    /// <summary>The refusals that an operation says it may answer with; the tutorial's have a form of their own.</summary>
    public static IEnumerable<(string Status, string Code)> Refusals(JsonNode operation) => operation["responses"]!.AsObject()
        .SelectMany(response => (response.Value!["content"]?["application/problem+json"]?["examples"] as JsonObject ?? [])
            .Select(example => (response.Key, example.Key)));

    /// <summary>How a value differs from its schema, or has what its schema does not name.</summary>
    public static IEnumerable<string> Mismatches(JsonNode schema, JsonNode? value, string at = "")
    {
        if ((string?)schema["$ref"] is { } reference)
        {
            return Mismatches(Committed["components"]!["schemas"]![reference.Split('/')[^1]]!, value, at);
        }

        if (schema["anyOf"] is JsonArray any)
        {
            return any.Select(one => Mismatches(one!, value, at).ToArray()).MinBy(found => found.Length)!;
        }

        var kind = value?.GetValueKind() ?? JsonValueKind.Null;
        var isRight = (string?)schema["type"] switch
        {
            "object" => kind == JsonValueKind.Object,
            "array" => kind == JsonValueKind.Array,
            "string" => kind == JsonValueKind.String,
            "boolean" => kind is JsonValueKind.True or JsonValueKind.False,
            "number" => kind == JsonValueKind.Number,
            "integer" => kind == JsonValueKind.Number && (double)value! % 1 == 0,
            _ => true,
        } || (kind == JsonValueKind.Null && schema["nullable"] is not null);
        return !isRight ? [$"{at} is {value?.ToJsonString() ?? "null"}, no {schema["type"]}"]
            : value switch
            {
                JsonObject members => MismatchesOf(schema, members, at),
                JsonArray items => items.SelectMany((item, index) => Mismatches(schema["items"]!, item, $"{at}/{index}")),
                _ => schema["enum"] is JsonArray values && values.All(one => !JsonNode.DeepEquals(one, value)) ? [$"{at} is {value}"] : [],
            };
    }

    private static IEnumerable<string> MismatchesOf(JsonNode schema, JsonObject members, string at) =>
        (schema["required"] as JsonArray ?? []).Select(name => (string)name!).Where(name => !members.ContainsKey(name)).Select(name => $"{at} has no {name}")
            .Concat(members.SelectMany(member => (schema["properties"]?[member.Key] ?? schema["additionalProperties"], schema["type"]) switch
            {
                ({ } known, _) => Mismatches(known, member.Value, $"{at}/{member.Key}"),
                (_, null) => [],
                _ => [$"{at}/{member.Key} is not named"],
            }));
}
