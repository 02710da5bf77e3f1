using System.Buffers;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.Server.Predictions;

/// <summary>
/// A form in the query's encoding (<c>application/x-www-form-urlencoded</c>): a picture as base64 text, and the query's parameters beside it.
/// </summary>
internal static class FormBody
{
    private static readonly SearchValues<byte> NameCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.[]%+"u8);

    /// <summary>Whether a body begins as such a form does: with a name and an equals sign.</summary>
    public static bool Is(ReadOnlySpan<byte> start) => start.IndexOf((byte)'=') is > 0 and <= 64 and var equals && !start[..equals]
        .ContainsAnyExcept(NameCharacters);

    /// <summary>Finds the picture and decodes it where it lies, or a URL.</summary>
    /// <param name="form">The body.</param>
    /// <param name="fields">What stands beside the picture.</param>
    /// <param name="isPlain">
    /// Whether it is of the type <c>text/plain</c>, which pages' forms may have: a line for each field, and nothing is encoded
    /// (https://html.spec.whatwg.org/#plain-text-form-data).
    /// </param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>.</exception>
    public static ((int Start, int Length)? Image, string? Url) Read(Span<byte> form, PredictFields fields, bool isPlain = false)
    {
        (int Start, int Length)? image = null;
        string? url = null;
        InferenceException? typed = null;
        for (var (start, pairs) = (0, 0); start < form.Length; pairs++)
        {
            if (pairs > LimitsOptions.MaxFields)
            {
                throw ImageInput.TooManyFields();
            }

            var length = form[start..].IndexOf(isPlain ? (byte)'\n' : (byte)'&') is >= 0 and var end ? end : form.Length - start;
            var pair = form.Slice(start, length);
            pair = isPlain ? pair.TrimEnd("\r"u8) : pair;
            var equals = pair.IndexOf((byte)'=');
            var name = Encoding.UTF8.GetString(pair[..Decode(equals < 0 ? pair : pair[..equals], isPlain)]);
            var valueStart = start + (equals < 0 ? pair.Length : equals + 1);
            var value = form[valueStart..(start + pair.Length)];
            value = value[..Decode(value, isPlain)];
            start += length + 1;
            if (PredictFields.Knows(name) || name == "url")
            {
                var text = Encoding.UTF8.GetString(value[..Math.Min(value.Length, LimitsOptions.MaxPartLineBytes)]);
                if (name == "url")
                {
                    url = text;
                }
                else
                {
                    fields.Set(name, text);
                }
            }
            else if (image is null && !value.IsEmpty && PictureText.IsPicture(value))
            {
                // curl --data-urlencode image@photo.jpg
                image = (valueStart, value.Length);
            }
            else if (image is null && (ImageInput.IsPictureField(name) || PictureText.IsBase64(value)))
            {
                typed ??= PictureText.TypedName(value, name);
                if (typed is null)
                {
                    var (at, count) = PictureText.Decode(value, name);
                    image = (valueStart + at, count);
                }
            }
            else
            {
                typed ??= PictureText.TypedName(value, name);
                fields.PassOver(name);
            }
        }

        return image is null && url is null && typed is not null ? throw typed : (image, url);
    }

    /// <summary>Undoes the form's encoding where the text lies (https://url.spec.whatwg.org/#urlencoded-parsing); the result is never longer.</summary>
    private static int Decode(Span<byte> text, bool isPlain)
    {
        if (isPlain || !text.ContainsAny((byte)'%', (byte)'+'))
        {
            return text.Length;
        }

        var to = 0;
        for (var from = 0; from < text.Length; from++)
        {
            text[to++] = text[from] switch
            {
                (byte)'+' => (byte)' ',
                (byte)'%' when from + 2 < text.Length && Hex(text[from + 1]) is >= 0 and var high && Hex(text[from + 2]) is >= 0 and var low =>
                    Escaped((high << 4) | low, ref from),
                var plain => plain,
            };
        }

        return to;

        static int Hex(byte digit) => char.IsAsciiHexDigit((char)digit) ? Convert.ToInt32(((char)digit).ToString(), 16) : -1;

        static byte Escaped(int value, ref int from)
        {
            from += 2;
            return (byte)value;
        }
    }
}
