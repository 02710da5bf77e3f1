using System.Text.Json;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// What the file says about one layer: its class, its name and the settings in <c>config</c>. Settings are looked up by Keras' snake_case names and
/// by TensorFlow.js' camelCase ones; a missing setting and <c>null</c> are the same.
/// </summary>
internal sealed class KerasConfig(string className, string name, JsonElement settings)
{
    public string ClassName { get; } = className;

    public string Name { get; } = name;

    /// <summary>A setting as it stands in the file.</summary>
    public JsonElement? this[string key] =>
        settings.ValueKind != JsonValueKind.Object ? null
        : Property(settings, key) ?? Property(settings, CamelCase(key));

    /// <summary>The refusal of a layer that is unknown.</summary>
    public ModelFormatException Unsupported() => new($"The layer '{ClassName}' ({Name}) is not supported.");

    /// <summary>The refusal of something about a layer.</summary>
    public ModelFormatException Refuse(string reason) => new($"The layer '{ClassName}' ({Name}) {reason}.");

    public bool Flag(string key, bool fallback) => this[key] switch
    {
        null => fallback,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Wrong(key, "true or false"),
    };

    public int Integer(string key, int? fallback = null) => this[key] is { } value ? Integer(key, value) : fallback ?? throw Wrong(key, "a whole number");

    public double Number(string key, double? fallback = null) => this[key] is { } value
        ? value.ValueKind == JsonValueKind.Number ? value.GetDouble() : throw Wrong(key, "a number")
        : fallback ?? throw Wrong(key, "a number");

    public string? Text(string key) => this[key] is { } value ? value.ValueKind == JsonValueKind.String ? value.Text() : throw Wrong(key, "text") : null;

    /// <summary>Whole numbers; a single one stands for itself.</summary>
    public int[]? Integers(string key) => this[key] switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(item => Integer(key, item))],
        { } one => [Integer(key, one)],
    };

    /// <summary>Height and width; a single number is both.</summary>
    public int[] Pair(string key, int? fallback = null)
    {
        var values = Integers(key) ?? (fallback is { } usual ? [usual] : null);
        return values switch
        {
            [> 0 and var both] => [both, both],
            [> 0, > 0] => values,
            _ => throw Wrong(key, "one or two positive numbers"),
        };
    }

    /// <summary>Numbers, however they are nested or wrapped; a single one stands for itself.</summary>
    public double[]? Numbers(string key) => this[key] is { } value ? Numbers(value) ?? throw Wrong(key, "numbers") : null;

    /// <summary>
    /// Numbers in any of their forms: a number, nested lists, Keras 3's <c>{"class_name": "__numpy__", "config": {"value": …}}</c> and Keras 2's
    /// <c>{"type": "ndarray", "value": …}</c>; <see langword="null"/> for anything else.
    /// </summary>
    public static double[]? Numbers(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Number:
                return [value.GetDouble()];
            case JsonValueKind.Array:
                double[]?[] items = [.. value.EnumerateArray().Select(Numbers)];
                return Array.Exists(items, item => item is null) ? null : [.. items.SelectMany(item => item!)];
            case JsonValueKind.Object:
                return Unwrap(value) is { } inner ? Numbers(inner) : null;
            default:
                return null;
        }
    }

    /// <summary>What a wrapped constant holds.</summary>
    public static JsonElement? Unwrap(JsonElement value) =>
        Property(value, "value") ?? (Property(value, "config") is { ValueKind: JsonValueKind.Object } config ? Property(config, "value") : null);

    /// <summary>A property of an object; <see langword="null"/> where it is missing or <c>null</c>.</summary>
    public static JsonElement? Property(JsonElement element, string key) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private int Integer(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && Math.Truncate(number) == number && Math.Abs(number) <= int.MaxValue
            ? (int)number
            : throw Wrong(key, "whole numbers");

    private ModelFormatException Wrong(string key, string expected) => Refuse($"needs {expected} as its '{key}'");

    private static string CamelCase(string key) =>
        string.Concat(key.Split('_').Select((word, index) => index == 0 || word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));
}
