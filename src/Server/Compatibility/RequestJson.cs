using System.Text.Json;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility;

/// <summary>What the protocols' readers of JSON share.</summary>
internal static class RequestJson
{
    /// <summary>The picture in the base64 text that the reader is at, decoded where it lies.</summary>
    /// <param name="json">The document.</param>
    /// <param name="reader">At a string.</param>
    /// <param name="field">What the text is called where it is no base64.</param>
    /// <param name="from">Where in the document the reader began.</param>
    public static Memory<byte> ReadPicture(Memory<byte> json, ref Utf8JsonReader reader, string field, int from = 0)
    {
        var (at, text) = JsonBody.TextOf(json.Span, ref reader, from);
        var (start, length) = PictureText.Decode(json.Span.Slice(at, text), field);
        return json.Slice(at + start, length);
    }

    /// <summary>A member of what should be an object; undefined where it is none, or has no such member.</summary>
    public static JsonElement Member(this JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var member) ? member : default;
}
