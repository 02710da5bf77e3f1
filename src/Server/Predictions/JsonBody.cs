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

    private static (int Start, int Length)? Find(Span<byte> json, PredictFields fields, out string? url)
    {
        var reader = new Utf8JsonReader(json);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw Shape("The JSON body is no object.");
        }

        (int Start, int Length)? image = null;
        var escaped = false;
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
                    // The token's quotes stand before and after its value.
                    (image, escaped) = (((int)reader.TokenStartIndex + 1, reader.ValueSpan.Length), reader.ValueIsEscaped);
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

        if (image is { } found && escaped)
        {
            // Unescaped where it lies: what is escaped is never shorter.
            image = (found.Start, Unescape(json, found));
        }

        return image;
    }

    // What is longer than any name is none that is known; its beginning is enough to say so.
    private static string Text(in Utf8JsonReader reader) =>
        reader.ValueSpan.Length <= LimitsOptions.MaxPartLineBytes ? reader.GetString()! : Beginning(reader);

    private static string Beginning(in Utf8JsonReader reader) =>
        Encoding.UTF8.GetString(reader.ValueSpan[..Math.Min(reader.ValueSpan.Length, LimitsOptions.MaxPartLineBytes)]);

    private static int Unescape(Span<byte> json, (int Start, int Length) text)
    {
        // The quotes around it make it a document of its own.
        var reader = new Utf8JsonReader(json.Slice(text.Start - 1, text.Length + 2));
        reader.Read();
        return reader.CopyString(json.Slice(text.Start, text.Length));
    }

    private static InferenceException Shape(string problem) => new(
        InferenceError.InvalidRequest,
        "json-shape",
        $"{problem} Send the picture as base64 text, like this: {Example}",
        ("example", Example));
}
