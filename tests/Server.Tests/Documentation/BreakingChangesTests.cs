using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Documentation;

/// <summary>Whatever is taken away from the committed document is seen, and what is added is not complained of.</summary>
public sealed class BreakingChangesTests
{
    private static readonly JsonNode Document = Contract.Committed;

    [Fact]
    public void The_same_document_breaks_nothing() => Assert.Empty(BreakingChanges.Between(Document, Document.DeepClone()));

    [Fact]
    public void Whatever_is_taken_away_or_narrowed_is_said_by_its_name()
    {
        var mutations = Mutations().ToArray();
        Assert.True(mutations.Length > 300, $"{mutations.Length} mutations");
        foreach (var (path, name, mutate) in mutations)
        {
            var mutated = Document.DeepClone();
            mutate(At(mutated, path));
            var found = BreakingChanges.Between(Document, mutated);
            Assert.True(found.Any(sentence => sentence.Contains(name, StringComparison.Ordinal)),
                $"{string.Join('/', path)}, {name}: {(found.Count == 0 ? "nothing was found" : string.Join(' ', found))}");
        }
    }

    [Theory]
    [InlineData("paths", """{"/new":{"get":{"responses":{"200":{"description":"new"}}}}}""")]
    [InlineData("paths//predict/post/responses", """{"418":{"description":"new"}}""")]
    [InlineData("components/schemas/PredictionResponse/properties", """{"new":{"type":"string"}}""")]
    [InlineData("components/schemas/JsonImage/properties", """{"new":{"type":"string"}}""")]
    [InlineData("components/schemas/JsonImage/properties/topK", """{"minimum":0}""")]
    [InlineData("components/schemas/JsonImage/properties/topK", """{"type":"number"}""")]
    [InlineData("components/schemas/ModelName", """{"description":"new"}""")]
    public void What_is_added_or_widened_breaks_nobody(string path, string members)
    {
        var changed = Document.DeepClone();
        var target = At(changed, path.Replace("//", "/\0", StringComparison.Ordinal).Split('/').Select(step => step.Replace('\0', '/')));
        foreach (var (name, value) in JsonNode.Parse(members)!.AsObject())
        {
            target[name] = value!.DeepClone();
        }

        Assert.Empty(BreakingChanges.Between(Document, changed));
    }

    [Fact]
    public void A_new_optional_parameter_and_a_new_code_break_nobody_and_a_required_one_does()
    {
        var changed = Document.DeepClone();
        changed["components"]!["schemas"]!["ProblemDetails"]!["properties"]!["code"]!["enum"]!.AsArray().Add("new");
        var parameter = new JsonObject { ["name"] = "new", ["in"] = "query", ["schema"] = new JsonObject { ["type"] = "string" } };
        changed["paths"]!["/models"]!["get"]!["parameters"] = new JsonArray(parameter);
        Assert.Empty(BreakingChanges.Between(Document, changed));
        parameter["required"] = true;
        Assert.Equal(["GET /models asks for the parameter 'new', which is new."], BreakingChanges.Between(Document, changed));
    }

    private static IEnumerable<(string[] Path, string Name, Action<JsonNode> Mutate)> Mutations()
    {
        foreach (var (path, operations) in Document["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                yield return (["paths", path], path, node => node.AsObject().Remove(method));
                foreach (var (index, parameter) in (operation!["parameters"] as JsonArray ?? []).Index())
                {
                    string[] at = ["paths", path, method, "parameters"];
                    var name = (string)parameter!["name"]!;
                    yield return (at, name, node => node.AsArray().RemoveAt(index));
                    yield return ([.. at, $"{index}"], name, node => node["schema"] = new JsonObject { ["type"] = "boolean" });
                    if (parameter["required"] is null)
                    {
                        yield return ([.. at, $"{index}"], name, node => node["required"] = true);
                    }
                }

                foreach (var (status, response) in operation["responses"]!.AsObject())
                {
                    yield return (["paths", path, method, "responses"], status, node => node.AsObject().Remove(status));
                    foreach (var (type, _) in response!["content"] as JsonObject ?? [])
                    {
                        yield return (["paths", path, method, "responses", status, "content"], type, node => node.AsObject().Remove(type));
                    }
                }

                foreach (var (type, media) in operation["requestBody"]?["content"] as JsonObject ?? [])
                {
                    string[] at = ["paths", path, method, "requestBody", "content"];
                    yield return (at, type, node => node.AsObject().Remove(type));
                    foreach (var mutation in OfSchema([.. at, type, "schema"], media!["schema"]!, isSent: true))
                    {
                        yield return mutation;
                    }
                }
            }
        }

        foreach (var (name, schema) in Document["components"]!["schemas"]!.AsObject())
        {
            foreach (var mutation in OfSchema(["components", "schemas", name], schema!, isSent: name is "JsonImage"))
            {
                yield return mutation;
            }
        }
    }

    private static IEnumerable<(string[] Path, string Name, Action<JsonNode> Mutate)> OfSchema(string[] at, JsonNode schema, bool isSent)
    {
        foreach (var (index, value) in (schema["enum"] as JsonArray ?? []).Index().Where(_ => schema["enum"]!.AsArray().Count > 1))
        {
            yield return ([.. at, "enum"], (string)value!, node => node.AsArray().RemoveAt(index));
        }

        if ((string?)schema["type"] is { } type)
        {
            yield return (at, at[^1] is "schema" ? "" : at[^1], node => node["type"] = type == "boolean" ? "string" : "boolean");
        }

        foreach (var (name, property) in schema["properties"] as JsonObject ?? [])
        {
            yield return ([.. at, "properties"], $"'{name}'", node => node.AsObject().Remove(name));
            var index = (schema["required"] as JsonArray ?? []).Select(required => (string)required!).ToList().IndexOf(name);
            if (isSent && index < 0)
            {
                yield return (at, $"'{name}'", node => ((JsonArray)(node["required"] ??= new JsonArray())).Add(name));
            }
            else if (!isSent && index >= 0)
            {
                yield return (at, $"'{name}'", node => node["required"]!.AsArray().RemoveAt(index));
            }

            foreach (var mutation in OfSchema([.. at, "properties", name], property!, isSent))
            {
                yield return mutation;
            }
        }
    }

    private static JsonNode At(JsonNode document, IEnumerable<string> path) =>
        path.Aggregate(document, (node, step) => node is JsonArray array ? array[int.Parse(step, null)]! : node[step]!);
}
