using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Documentation;

/// <summary>
/// What of a new OpenAPI document breaks clients of an old one, as sentences. What is sent may be taken more widely and no more narrowly; of what is answered
/// nothing may be missing. New routes, optional parameters, members, codes and refusals break nobody.
/// </summary>
internal sealed class BreakingChanges
{
    private static readonly string[] LowerBounds = ["minimum", "minLength", "minItems"];
    private static readonly string[] UpperBounds = ["maximum", "maxLength", "maxItems"];

    private readonly JsonNode _old;
    private readonly JsonNode _new;
    private readonly List<string> _found = [];
    private readonly HashSet<(string, bool)> _compared = [];

    private BreakingChanges(JsonNode old, JsonNode @new) => (_old, _new) = (old, @new);

    /// <summary>One sentence for each; none where all clients go on working.</summary>
    public static IReadOnlyList<string> Between(JsonNode old, JsonNode @new)
    {
        var changes = new BreakingChanges(old, @new);
        foreach (var (path, operations) in Members(old["paths"]))
        {
            foreach (var (method, operation) in Members(operations))
            {
                var name = $"{method.ToUpperInvariant()} {path}";
                if (@new["paths"]?[path]?[method] is { } now)
                {
                    changes.CompareOperations(name, operation, now);
                }
                else
                {
                    changes._found.Add($"{name} is gone.");
                }
            }
        }

        return changes._found;
    }

    private void CompareOperations(string name, JsonNode old, JsonNode @new)
    {
        var (were, are) = (ParametersOf(old), ParametersOf(@new));
        foreach (var (key, parameter) in were)
        {
            if (!are.TryGetValue(key, out var now))
            {
                _found.Add($"{name} has no parameter '{key.Name}' any more.");
                continue;
            }

            if (!IsTrue(parameter["required"]) && IsTrue(now["required"]))
            {
                _found.Add($"{name} asks for the parameter '{key.Name}', which was optional.");
            }

            Compare($"The parameter '{key.Name}' of {name}", parameter["schema"]!, now["schema"]!, isSent: true);
        }

        _found.AddRange(are.Where(parameter => IsTrue(parameter.Value["required"]) && !were.ContainsKey(parameter.Key))
            .Select(parameter => $"{name} asks for the parameter '{parameter.Key.Name}', which is new."));

        if (IsTrue(@new["requestBody"]?["required"]) && !IsTrue(old["requestBody"]?["required"]))
        {
            _found.Add($"{name} asks for a body.");
        }

        CompareContents($"The body of {name}", old["requestBody"], @new["requestBody"], isSent: true);
        foreach (var (status, response) in Members(old["responses"]))
        {
            if (@new["responses"]?[status] is not { } now)
            {
                _found.Add($"{name} does not answer {status} any more.");
                continue;
            }

            _found.AddRange(Members(response["headers"]).Where(header => now["headers"]?[header.Name] is null)
                .Select(header => $"{name} has no header '{header.Name}' with {status} any more."));
            CompareContents($"The answer {status} of {name}", response, now, isSent: false);
        }
    }

    private void CompareContents(string where, JsonNode? old, JsonNode? @new, bool isSent)
    {
        foreach (var (type, media) in Members(old?["content"]))
        {
            if (@new?["content"]?[type] is not { } now)
            {
                _found.Add($"{where} cannot be '{type}' any more.");
            }
            else if ((media["schema"], now["schema"]) is ({ } was, { } @is))
            {
                Compare($"{where} ({type})", was, @is, isSent);
            }
        }
    }

    private void Compare(string where, JsonNode old, JsonNode @new, bool isSent)
    {
        if ((string?)old["$ref"] is { } reference && (string?)@new["$ref"] == reference)
        {
            where = reference.Split('/')[^1];
            if (!_compared.Add((reference, isSent)))
            {
                return;
            }
        }

        (old, @new) = (Resolve(_old, old), Resolve(_new, @new));
        if (old["anyOf"] is not null || @new["anyOf"] is not null)
        {
            CompareAlternatives(where, AlternativesOf(old), AlternativesOf(@new), isSent);
            return;
        }

        CompareValues(where, old, @new, isSent);
        foreach (var (name, property) in Members(old["properties"]))
        {
            if (@new["properties"]?[name] is { } now)
            {
                Compare($"'{name}' of {where}", property, now, isSent);
            }
            else
            {
                _found.Add($"'{name}' of {where} is gone.");
            }
        }

        var (asked, asks) = (TextsOf(old["required"]), TextsOf(@new["required"]));
        _found.AddRange(isSent
            ? asks.Except(asked).Select(name => $"'{name}' of {where} is required now.")
            : asked.Except(asks).Select(name => $"'{name}' of {where} may be absent now."));
        foreach (var part in (string[])["items", "additionalProperties"])
        {
            if ((old[part], @new[part]) is (JsonObject was, JsonObject @is))
            {
                Compare($"What is in {where}", was, @is, isSent);
            }
        }
    }

    /// <summary>Type, format, values and bounds.</summary>
    private void CompareValues(string where, JsonNode old, JsonNode @new, bool isSent)
    {
        var (narrow, wide) = isSent ? (old, @new) : (@new, old);
        if (!IsWithin(TypesOf(narrow), TypesOf(wide)) || (string?)old["format"] != (string?)@new["format"])
        {
            _found.Add($"{where} is {NameOf(@new)} and was {NameOf(old)}.");
        }

        var (were, are) = (TextsOf(old["enum"]), TextsOf(@new["enum"]));
        if (are.Count > 0)
        {
            _found.AddRange(were.Except(are).Select(value => $"{where} cannot be '{value}' any more."));
        }

        if (isSent ? were.Count == 0 && are.Count > 0 : were.Count > 0 && are.Count == 0)
        {
            _found.Add(isSent ? $"{where} can only be one of {string.Join(", ", are)} now." : $"{where} may be anything now.");
        }

        if (!isSent)
        {
            return;
        }

        _found.AddRange(LowerBounds.Where(bound => (double?)@new[bound] > ((double?)old[bound] ?? double.NegativeInfinity))
            .Concat(UpperBounds.Where(bound => (double?)@new[bound] < ((double?)old[bound] ?? double.PositiveInfinity)))
            .Select(bound => $"The {bound} of {where} is {@new[bound]} now."));
        if (@new["pattern"] is { } pattern && (string?)pattern != (string?)old["pattern"])
        {
            _found.Add($"{where} must look like {pattern} now.");
        }
    }

    /// <summary>Each of the old ones must still be there; of what is answered, none may be new.</summary>
    private void CompareAlternatives(string where, IReadOnlyList<JsonNode> old, IReadOnlyList<JsonNode> @new, bool isSent)
    {
        foreach (var was in old)
        {
            _found.AddRange(@new.Select(now => Try(was, now)).MinBy(found => found.Count)!);
        }

        if (!isSent && @new.Any(now => old.All(was => Try(was, now).Count > 0)))
        {
            _found.Add($"{where} may be something else now.");
        }

        List<string> Try(JsonNode was, JsonNode now)
        {
            var trial = new BreakingChanges(_old, _new);
            trial.Compare(where, was, now, isSent);
            return trial._found;
        }
    }

    private static bool IsWithin(IReadOnlyList<string> types, IReadOnlyList<string> others) =>
        others.Count == 0 || (types.Count > 0 && types.All(type => others.Contains(type) || (type == "integer" && others.Contains("number"))));

    private static IReadOnlyList<string> TypesOf(JsonNode schema) =>
        IsTrue(schema["nullable"]) ? [.. TextsOf(schema["type"]), "null"] : TextsOf(schema["type"]);

    private static string NameOf(JsonNode schema) => TypesOf(schema) is { Count: > 0 } types
        ? string.Join(" or ", types) + (schema["format"] is { } format ? $" ({format})" : "")
        : "anything";

    private static IReadOnlyList<JsonNode> AlternativesOf(JsonNode schema) => schema["anyOf"] is JsonArray any ? [.. any.Select(one => one!)] : [schema];

    private static JsonNode Resolve(JsonNode document, JsonNode schema) =>
        (string?)schema["$ref"] is { } reference ? document["components"]!["schemas"]![reference.Split('/')[^1]]! : schema;

    private static Dictionary<(string In, string Name), JsonNode> ParametersOf(JsonNode operation) =>
        (operation["parameters"] as JsonArray ?? []).Select(parameter => parameter!)
            .ToDictionary(parameter => ((string)parameter["in"]!, (string)parameter["name"]!));

    private static IEnumerable<(string Name, JsonNode Value)> Members(JsonNode? node) =>
        (node as JsonObject ?? []).Select(member => (member.Key, member.Value!));

    private static IReadOnlyList<string> TextsOf(JsonNode? node) => node switch
    {
        JsonArray array => [.. array.Select(value => value!.ToString())],
        null => [],
        _ => [node.ToString()],
    };

    private static bool IsTrue(JsonNode? node) => node is not null && (bool)node;
}
