using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Whatsit.ModelConversion.Formats;

/// <summary>
/// JSON from a stranger: what is not there, or of another kind, is <see langword="null"/>. Protocol buffers in JSON write 64-bit integers as text and
/// bytes in base64 (https://protobuf.dev/programming-guides/json/).
/// </summary>
internal static class Json
{
    public static JsonElement? Member(this JsonElement? json, string name) =>
        json is { ValueKind: JsonValueKind.Object } value && value.TryGetProperty(name, out var member) ? member : null;

    public static JsonElement? Member(this JsonElement json, string name) => Member((JsonElement?)json, name);

    public static IEnumerable<JsonElement> Items(this JsonElement? json) => json is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray() : [];

    public static IEnumerable<(string Name, JsonElement Value)> Members(this JsonElement? json)
    {
        try
        {
            return json is { ValueKind: JsonValueKind.Object } value ? [.. value.EnumerateObject().Select(member => (member.Name, member.Value))] : [];
        }
        catch (InvalidOperationException exception)
        {
            throw new ModelFormatException("The JSON holds a name that is not Unicode.", exception);
        }
    }

    public static string? Text(this JsonElement? json)
    {
        try
        {
            return json is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;
        }
        catch (InvalidOperationException exception)
        {
            // JSON can write half of a surrogate pair: "\ud800".
            throw new ModelFormatException("The JSON holds text that is not Unicode.", exception);
        }
    }

    public static string? Text(this JsonElement json) => Text((JsonElement?)json);

    public static long? Integer(this JsonElement? json) => json switch
    {
        { ValueKind: JsonValueKind.Number } number => number.TryGetInt64(out var value) ? value : null,
        { ValueKind: JsonValueKind.String } =>
            long.TryParse(Text(json), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null,
        _ => null,
    };

    public static long? Integer(this JsonElement json) => Integer((JsonElement?)json);

    public static float? Number(this JsonElement? json) => json switch
    {
        { ValueKind: JsonValueKind.Number } number => number.TryGetSingle(out var value) ? value : null,
        // "Infinity", "-Infinity" and "NaN" are text.
        { ValueKind: JsonValueKind.String } => float.TryParse(Text(json), CultureInfo.InvariantCulture, out var value) ? value : null,
        _ => null,
    };

    public static bool? Flag(this JsonElement? json) => json switch
    {
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => null,
    };

    public static byte[]? Bytes(this JsonElement? json) =>
        json is { ValueKind: JsonValueKind.String } text && text.TryGetBytesFromBase64(out var bytes) ? bytes : null;

    public static string? EncodedText(this JsonElement? json) => Bytes(json) is { } bytes ? Encoding.UTF8.GetString(bytes) : null;
}
