using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>A TensorFlow graph in the making: nodes in JSON and the weights that they name (tensorflow/core/framework/graph.proto, node_def.proto).</summary>
internal sealed class TensorFlowGraph
{
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    public List<JsonObject> Nodes { get; } = [];

    /// <summary>In the order of the shards.</summary>
    public List<(string Name, Tensor Value)> Weights { get; } = [];

    /// <summary>Adds a node and answers its name.</summary>
    public string Add(string op, string name, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, JsonNode Value)> attributes)
    {
        var unique = Unique(name);
        var node = new JsonObject { ["name"] = unique, ["op"] = op };
        if (inputs.Any())
        {
            node["input"] = new JsonArray([.. inputs.Select(input => JsonValue.Create(input))]);
        }

        var attr = new JsonObject();
        foreach ((var attribute, var value) in attributes)
        {
            attr[attribute] = value;
        }

        node["attr"] = attr;
        Nodes.Add(node);
        return unique;
    }

    /// <summary>Adds a constant, whose values go to the shards.</summary>
    public string Constant(string name, Tensor value)
    {
        var type = Type(value.Type);
        var node = Add("Const", name, [], ("dtype", type),
            ("value", new JsonObject
            {
                ["tensor"] =
                new JsonObject { ["dtype"] = type["type"]!.DeepClone(), ["tensorShape"] = Dimensions(Array.ConvertAll(value.Shape, side => (long)side)) }
            }));
        Weights.Add((node, value));
        return node;
    }

    public string Constant(string name, ReadOnlySpan<float> values, params int[] shape) => Constant(name, Tensor.Float32(shape, values));

    /// <summary>A vector of 32-bit integers, TensorFlow.js' only integers: axes, shapes.</summary>
    public string Integers(string name, params ReadOnlySpan<long> values) => Constant(name, Whole(values, [values.Length]));

    public string Integer(string name, long value) => Constant(name, Whole([value], []));

    /// <summary>Pairs of integers for each axis: paddings.</summary>
    public string Pairs(string name, ReadOnlySpan<long> values) => Constant(name, Whole(values, [values.Length / 2, 2]));

    public static JsonNode Text(string value) => new JsonObject { ["s"] = Base64(value) };

    public static JsonNode Texts(params string[] values) =>
        new JsonObject { ["list"] = new JsonObject { ["s"] = new JsonArray([.. values.Select(value => JsonValue.Create(Base64(value)))]) } };

    // 64-bit integers are text in JSON: https://protobuf.dev/programming-guides/json/
    public static JsonNode Int(long value) => new JsonObject { ["i"] = value.ToString(CultureInfo.InvariantCulture) };

    public static JsonNode Ints(params long[] values) => new JsonObject { ["list"] = new JsonObject { ["i"] = Integers(values) } };

    public static JsonNode Float(float value) => new JsonObject { ["f"] = value };

    public static JsonNode Flag(bool value) => new JsonObject { ["b"] = value };

    public static JsonNode Type(ElementType type) => new JsonObject
    {
        ["type"] = type switch
        {
            ElementType.Float32 => "DT_FLOAT",
            ElementType.Bool => "DT_BOOL",
            _ => "DT_INT32",
        },
    };

    public static JsonObject Dimensions(params long[] sides) => new()
    {
        ["dim"] = new JsonArray([.. sides.Select(side => new JsonObject { ["size"] = side.ToString(CultureInfo.InvariantCulture) })]),
    };

    private static JsonArray Integers(long[] values) => [.. values.Select(value => JsonValue.Create(value.ToString(CultureInfo.InvariantCulture)))];

    private static string Base64(string value) => Convert.ToBase64String(Encoding.UTF8.GetBytes(value));

    private static Tensor Whole(ReadOnlySpan<long> values, int[] shape)
    {
        var numbers = new double[values.Length];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = Math.Clamp(values[i], int.MinValue, int.MaxValue);
        }

        return Tensor.FromDoubles(ElementType.Int32, shape, numbers);
    }

    /// <summary>Names may have letters, digits and ./_-, as tensorflow/core/framework/node_def_util.cc checks; ':' would name an output.</summary>
    private string Unique(string name)
    {
        var allowed = string.Concat(name.Select((character, at) => char.IsAsciiLetterOrDigit(character) || character == '.'
            || (at > 0 && character is '_' or '/' or '-') ? character : '_')).TrimStart('_');
        var unique = allowed.Length == 0 ? "node" : allowed;
        for (var number = 1; !_names.Add(unique); number++)
        {
            unique = $"{allowed}_{number}";
        }

        return unique;
    }
}
