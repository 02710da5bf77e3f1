using System.Buffers.Text;
using System.Text;
using System.Text.RegularExpressions;
using System.Text.Unicode;
using Whatsit.Inference;
using Whatsit.Inference.Imaging;

namespace Whatsit.Server.Predictions;

/// <summary>Text where a picture is expected: base64, a data URL, or what somebody typed instead of the file.</summary>
internal static partial class PictureText
{
    /// <summary>How many bytes tell what something is.</summary>
    public const int Sample = 512;

    /// <summary>Whether bytes are text, judged by the first of them: no control characters but line ends and tabs, and well-formed UTF-8.</summary>
    public static bool IsText(ReadOnlySpan<byte> bytes)
    {
        bytes = bytes[..Math.Min(bytes.Length, Sample)];
        foreach (var value in bytes)
        {
            if (value < ' ' && value is not ((byte)'\t' or (byte)'\n' or (byte)'\r'))
            {
                return false;
            }
        }

        // The sample may end within a character of up to four bytes.
        for (var end = bytes.Length; end >= Math.Max(0, bytes.Length - (bytes.Length == Sample ? 3 : 0)); end--)
        {
            if (Utf8.IsValid(bytes[..end]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether bytes, of which these are the first, may be a picture as they are.</summary>
    public static bool IsPicture(ReadOnlySpan<byte> bytes) =>
        // Some formats are text (PNM).
        !IsText(bytes) || ImageFormat.IsKnown(bytes);

    /// <summary>Whether text, of which this is the beginning, is a data URL or the base64 of a picture.</summary>
    public static bool IsBase64(ReadOnlySpan<byte> text)
    {
        text = Trim(text);
        if (StartsWithIgnoringCase(text, "data:"u8))
        {
            return true;
        }

        // Most of what is asked about is a picture's own bytes; trying to decode those would end in an exception.
        if (!IsText(text))
        {
            return false;
        }

        // Twelve bytes tell every format.
        Span<byte> start = stackalloc byte[24];
        var length = 0;
        foreach (var value in text)
        {
            if (length == start.Length)
            {
                break;
            }

            if (value is not ((byte)'\r' or (byte)'\n'))
            {
                start[length++] = value;
            }
        }

        start = start[..(length & ~3)];
        // A + that became a space is named later.
        start.Replace((byte)' ', (byte)'+');
        return length >= 16 && TryDecode(start, out var decoded) && ImageFormat.IsKnown(start[..decoded]);
    }

    /// <summary>
    /// Decodes base64 text where it lies: with or without padding, in either alphabet (RFC 4648, 4 and 5), with line breaks, as a data URL (RFC 2397).
    /// </summary>
    /// <returns>Where the bytes lie within the text.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: it is neither.</exception>
    public static (int Start, int Length) Decode(Span<byte> text, string field)
    {
        var body = Trim(text);
        if (StartsWithIgnoringCase(body, "data:"u8))
        {
            var comma = body.IndexOf((byte)',');
            if (comma < 0 || !EndsWithIgnoringCase(body[..comma].TrimEnd((byte)' '), ";base64"u8))
            {
                throw new InferenceException(InferenceError.InvalidRequest, "data-url-not-base64", $"The data URL in \"{field}\" is not base64.",
                    ("field", field));
            }

            body = Trim(body[(comma + 1)..]);
        }

        // A space that is no line's indentation stands where a '+' stood.
        for (var from = 0; body[from..].IndexOf((byte)' ') is >= 0 and var at; from += at + 1)
        {
            var before = body[from + at - 1];
            if (before is not ((byte)'\n' or (byte)' ') && body[from + at + 1] is not ((byte)'\r' or (byte)'\n' or (byte)' '))
            {
                throw new InferenceException(
                    InferenceError.InvalidRequest,
                    "base64-plus-became-space",
                    $"The base64 text in \"{field}\" has spaces where '+' stood: in a form, + means a space. Encode it: curl --data-urlencode does.",
                    ("field", field));
            }
        }

        text.Overlaps(body, out var start);
        return TryDecode(body, out var length)
            ? (start, length)
            : throw new InferenceException(InferenceError.InvalidRequest, "invalid-base64", $"\"{field}\" is no valid base64 text.", ("field", field));
    }

    /// <summary>The refusal of a file's name where the file was meant; nothing if the text is no such name.</summary>
    /// <param name="text">What came.</param>
    /// <param name="field">The form's field, if it came in one.</param>
    public static InferenceException? TypedName(ReadOnlySpan<byte> text, string? field)
    {
        if (text.Length is < 3 or > 300 || !FileName().IsMatch(Encoding.UTF8.GetString(text).Trim()))
        {
            return null;
        }

        var name = Encoding.UTF8.GetString(text).Trim().TrimStart('@', '<');
        var type = field is null ? $"--data-binary @{name}" : $"-F {field}=@{name}";
        return new InferenceException(
            InferenceError.InvalidRequest,
            "file-name-instead-of-file",
            $"{(field is null ? "The body" : $"The field '{field}'")} is the text '{Refusal.Shorten(name)}', not the file. With curl, type: {type}",
            ("text", Refusal.Shorten(name)),
            ("type", type));
    }

    /// <summary>The refusal of a picture that went through <c>curl -d @file</c>, which drops line breaks and zeros; nothing if it did not.</summary>
    public static InferenceException? LostBytes(ReadOnlySpan<byte> file)
    {
        var isPng = file.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G', 0x1A]);
        var isOther = file.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]) || file.StartsWith("RIFF"u8) || file.StartsWith("GIF8"u8)
            || file.StartsWith("II*"u8) || file.StartsWith("BM"u8);
        // Every format has zeros in its header.
        return isPng || (isOther && file.Length >= 32 && !file.ContainsAny((byte)0, (byte)'\r', (byte)'\n'))
            ? new InferenceException(
                InferenceError.InvalidRequest,
                "line-breaks-lost",
                "The picture has lost its line breaks: curl -d takes them out. Type --data-binary in place of -d.",
                ("type", "--data-binary"))
            : null;
    }

    private static bool TryDecode(Span<byte> text, out int length)
    {
        // The URL-safe alphabet's decoder takes text without padding and passes over line breaks.
        text.Replace((byte)'+', (byte)'-');
        text.Replace((byte)'/', (byte)'_');
        try
        {
            length = Base64Url.DecodeFromUtf8InPlace(text);
            return true;
        }
        catch (FormatException)
        {
            length = 0;
            return false;
        }
    }

    private static Span<byte> Trim(Span<byte> text) => text.Trim(" \t\r\n\""u8);

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> text) => text.Trim(" \t\r\n\""u8);

    private static bool StartsWithIgnoringCase(ReadOnlySpan<byte> text, ReadOnlySpan<byte> start) => text.Length >= start.Length
        && Ascii.EqualsIgnoreCase(text[..start.Length], start);

    private static bool EndsWithIgnoringCase(ReadOnlySpan<byte> text, ReadOnlySpan<byte> end) => text.Length >= end.Length
        && Ascii.EqualsIgnoreCase(text[^end.Length..], end);

    [GeneratedRegex(@"^[@<]?[^\x00-\x1f]*\.(jpe?g|jfif|png|webp|gif|avif|tiff?|heic|heif|bmp|ico|p[bgnp]m)$", RegexOptions.IgnoreCase)]
    private static partial Regex FileName();
}
