using System.Text;
using System.Text.Json;
using Whatsit.Inference;

namespace Whatsit.Server.Predictions;

/// <summary>A picture in a JSON object, with the query's parameters as members beside it.</summary>
internal static class JsonBody
{
    /// <summary>The shape that is wanted, to copy.</summary>
    public const string Example = """{"image":"/9j/4AAQSkZJRgABAQ…","topK":3}""";

    /// <summary>Finds the member "image" and decodes it where it lies, or the member "url".</summary>
    /// <returns>Where the picture's bytes lie, or its URL.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>, with the shape that is wanted.</exception>
    public static ((int Start, int Length)? Image, string? Url) Read(Span<byte> json, PredictFields fields)
    {
        // RFC 8259, 8.1: a parser may pass over a byte-order mark.
        var mark = json.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]) ? 3 : 0;
        json = json[mark..];
        try
        {
            var found = Find(json, fields, out var url);
            if (found is not { } text)
            {
                return (null, url);
            }

            var (start, length) = PictureText.Decode(json.Slice(text.Start, text.Length), "image");
            return ((mark + text.Start + start, length), null);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: text that is no text, such as half a surrogate pair.
            throw new InferenceException(InferenceError.InvalidRequest, "The body is no valid JSON.", exception);
        }
    }

    /// <summary>Where the text lies that the reader is at, unescaped there: what is escaped is never shorter.</summary>
    /// <param name="json">The document.</param>
    /// <param name="reader">At a string.</param>
    /// <param name="from">Where in the document the reader began.</param>
    public static (int Start, int Length) TextOf(Span<byte> json, ref Utf8JsonReader reader, int from = 0)
    {
        // The token's quotes stand before and after its value.
        var start = from + (int)reader.TokenStartIndex + 1;
        return (start, reader.ValueIsEscaped ? reader.CopyString(json.Slice(start, reader.ValueSpan.Length)) : reader.ValueSpan.Length);
    }

    /// <summary>A name, or the beginning of what is longer than any name: that is none that is known, and enough to say so.</summary>
    public static string Text(in Utf8JsonReader reader) =>
        reader.ValueSpan.Length <= LimitsOptions.MaxPartLineBytes ? reader.GetString()! : Beginning(reader);

    /// <summary>The text of a token of any kind, or its beginning.</summary>
    public static string Beginning(in Utf8JsonReader reader) =>
        Encoding.UTF8.GetString(reader.ValueSpan[..Math.Min(reader.ValueSpan.Length, LimitsOptions.MaxPartLineBytes)]);

    private static (int Start, int Length)? Find(Span<byte> json, PredictFields fields, out string? url)
    {
        var reader = new Utf8JsonReader(json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw Shape("The JSON body is no object.");
        }

        (int Start, int Length)? image = null;
        url = null;
        string? other = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = Text(reader);
            reader.Read();
            if (name is "image" or "url")
            {
                if (reader.TokenType != JsonTokenType.String)
                {
                    throw Shape($"\"{name}\" must be a string.");
                }

                if (name == "url")
                {
                    url = Text(reader);
                }
                else
                {
                    image = TextOf(json, ref reader);
                }
            }
            else if (PredictFields.Knows(name))
            {
                fields.Set(name, reader.TokenType switch
                {
                    JsonTokenType.String => Text(reader),
                    JsonTokenType.True => "true",
                    JsonTokenType.False => "false",
                    JsonTokenType.Null => "",
                    JsonTokenType.Number => Beginning(reader),
                    _ => throw new InferenceException(InferenceError.InvalidRequest, "invalid-parameter", $"{name} must be a number, a flag or text.",
                        ("name", name)),
                });
            }
            else
            {
                other ??= name;
                if (fields.Warnings.Count < LimitsOptions.MaxFields)
                {
                    fields.PassOver(name);
                }

                reader.Skip();
            }
        }

        // What comes after the object is an error too.
        reader.Read();
        if (image is null && url is null)
        {
            throw Shape(other is null ? "The JSON body has no \"image\"." : $"The JSON body has \"{Refusal.Shorten(other)}\" and no \"image\".");
        }

        return image;
    }

    private static InferenceException Shape(string problem) => new(
        InferenceError.InvalidRequest,
        "json-shape",
        $"{problem} Send the picture as base64 text, like this: {Example}",
        ("example", Example));
}
