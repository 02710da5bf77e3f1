using System.Globalization;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility;

/// <summary>
/// What the protocols' readers of JSON share. A body may be hundreds of megabytes long; what is made of it must not be a multiple of that.
/// </summary>
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

    /// <summary>A value beside the data, such as parameters: those have some words, and a parsed document has many times the bytes of its text.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: it is longer than any that has a meaning.</exception>
    public static JsonElement ReadShort(ref Utf8JsonReader reader)
    {
        var ahead = reader;
        ahead.Skip();
        var length = ahead.BytesConsumed - reader.TokenStartIndex;
        return length <= LimitsOptions.MaxPartLineBytes ? JsonElement.ParseValue(ref reader)
            : throw new InferenceException(InferenceError.InvalidRequest, string.Create(
                CultureInfo.InvariantCulture,
                $"A value in the JSON that is neither a picture nor a tensor has {Counted.Of(length, "byte")}; the limit is {LimitsOptions.MaxPartLineBytes:N0}."));
    }

    /// <summary>A member of what should be an object; undefined where it is none, or has no such member.</summary>
    public static JsonElement Member(this JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var member) ? member : default;
}
