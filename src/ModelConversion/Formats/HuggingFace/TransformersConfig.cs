using System.Text.Json;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>Settings of a network in <c>config.json</c>; what a file leaves out is Transformers' default, as it writes only what differs.</summary>
internal sealed class TransformersConfig(JsonElement config)
{
    // Wider than any layer, and more than any network has.
    private const int Most = 1 << 20;

    /// <summary>A count or a width.</summary>
    public int Count(string name, int otherwise) => config.Member(name) is not { ValueKind: not JsonValueKind.Null } value ? otherwise
        : value.Integer() is > 0 and <= Most and var count ? (int)count : throw Refuse(name, value);

    /// <summary>A number that need not be whole.</summary>
    public double Number(string name, double otherwise) => config.Member(name) is not { ValueKind: not JsonValueKind.Null } value ? otherwise
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number is > 0 and < Most ? number : throw Refuse(name, value);

    /// <summary>Whether something is so.</summary>
    public bool Flag(string name, bool otherwise) => config.Member(name) is not { ValueKind: not JsonValueKind.Null } value ? otherwise
        : ((JsonElement?)value).Flag() ?? throw Refuse(name, value);

    /// <summary>A word.</summary>
    public string Text(string name, string otherwise) => config.Member(name) is not { ValueKind: not JsonValueKind.Null } value ? otherwise
        : value.Text() ?? throw Refuse(name, value);

    /// <summary>Counts or widths, one for each stage.</summary>
    public int[] Counts(string name, params int[] otherwise)
    {
        if (config.Member(name) is not { ValueKind: not JsonValueKind.Null } value)
        {
            return otherwise;
        }

        long[] counts = [.. ((JsonElement?)value).Items().Select(count => count.Integer() ?? 0)];
        return counts.Length > 0 && Array.TrueForAll(counts, count => count is > 0 and <= Most) ? [.. counts.Select(count => (int)count)]
            : throw Refuse(name, value);
    }

    /// <summary>A side of a square, or height and width.</summary>
    public (int Height, int Width) Sides(string name, int otherwise) => config.Member(name) is { ValueKind: JsonValueKind.Array }
        ? Counts(name) is [var height, var width] ? (height, width) : throw Refuse(name, config.Member(name)!.Value)
        : (Count(name, otherwise), Count(name, otherwise));

    private static ModelFormatException Refuse(string name, JsonElement value) =>
        new($"{HubFolder.Config} says {value.GetRawText()} for '{name}', which no network has.");
}
