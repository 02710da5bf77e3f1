using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowJs;

public sealed class TensorFlowJsFuzzTests
{
    public static TheoryData<string> Models =>
        [.. Directory.EnumerateDirectories(Golden.Data("tfjs")).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Models))]
    public void A_damaged_model_is_read_or_refused_in_bounded_time_and_memory(string model)
    {
        var original = File.ReadAllText(Golden.Data(Path.Combine("tfjs", model, "model.json")));
        using var damaged = new DamagedFile(new TensorFlowJsReader(), beside: Golden.Data(Path.Combine("tfjs", model)), name: "model.json");
        // Damaged bytes are seldom JSON, so that most damage is done to what the JSON says.
        DamagedFiles.AssertBounded(400, refusedAtLeast: 50, damaged.Read, (seed, random) =>
            seed % 8 == 0 ? Damage.Apply(Encoding.UTF8.GetBytes(original), random) : Encoding.UTF8.GetBytes(Lie(JsonNode.Parse(original)!, random)));
    }

    /// <summary>Some values become others: of another kind, huge, negative, from another place of the document, or nothing at all.</summary>
    private static string Lie(JsonNode document, Random random)
    {
        for (var lies = random.Next(1, 4); lies > 0; lies--)
        {
            JsonNode[] nodes = [.. Below(document).Where(node => node.Parent is not null)];
            var victim = nodes[random.Next(nodes.Length)];
            var lie = random.Next(10) switch
            {
                0 => null,
                1 => JsonValue.Create(long.MaxValue),
                2 => JsonValue.Create(-1),
                3 => JsonValue.Create(0.5),
                4 => JsonValue.Create("\u0000nonsense"),
                5 => new JsonArray(),
                6 => new JsonObject(),
                7 => JsonValue.Create(1 << 30),
                8 => JsonValue.Create(true),
                _ => nodes[random.Next(nodes.Length)].DeepClone(),
            };
            victim.ReplaceWith(lie);
        }

        return document.ToJsonString(new JsonSerializerOptions { MaxDepth = 256 });
    }

    private static IEnumerable<JsonNode> Below(JsonNode node) =>
        (node switch
        {
            JsonObject members => members.Select(member => member.Value),
            JsonArray items => items,
            _ => [],
        }).OfType<JsonNode>().SelectMany(child => Below(child).Prepend(child));
}
