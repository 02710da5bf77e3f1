using System.Globalization;
using System.Net;
using System.Text;

namespace Whatsit.ModelConversion.Formats;

/// <summary>Labels as text, one per line in index order.</summary>
internal static class LabelFile
{
    static LabelFile() => Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);

    /// <summary>
    /// The lines, without empty ones. Teachable Machine writes the index before each ("0 Apple"), others "0: Apple" or "0,Apple", from 0 or from 1: where
    /// every line has its own, the numbers order the lines and are taken off, and a first line that names the columns ("id,name") is none of them.
    /// Custom Vision escapes names as HTML does ("under 5 &amp;lt; 10").
    /// </summary>
    public static List<string> Parse(string text)
    {
        string[] lines = [.. text.Split(['\n', '\r'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(WebUtility.HtmlDecode)!];
        return InOrder(lines) ?? (lines is [var columns, .. var rows] && IsHeader(columns, rows) ? InOrder(rows) : null) ?? [.. lines];
    }

    private static bool IsHeader(string columns, string[] rows) =>
        columns.IndexOfAny([',', ';', '\t']) is > 0 and var at && rows.All(row => row.Contains(columns[at], StringComparison.Ordinal));

    private static List<string>? InOrder(string[] lines)
    {
        List<(int Index, string Label)> numbered = [.. lines.Select(Numbered).OfType<(int, string)>().OrderBy(line => line.Item1)];
        var first = numbered is [(0, _), ..] ? 0 : numbered is [(1, _), ..] ? 1 : -1;
        return first >= 0 && numbered.Count == lines.Length && numbered.Select((line, place) => line.Index == place + first).All(own => own)
            // "1 cent, 2 cent": there the numbers are the names.
            && (first == 0 || numbered.DistinctBy(line => line.Label, StringComparer.OrdinalIgnoreCase).Count() == lines.Length)
            ? [.. numbered.Select(line => line.Label)] : null;

        static (int Index, string Label)? Numbered(string line)
        {
            var digits = line.AsSpan().IndexOfAnyExceptInRange('0', '9');
            return digits is > 0 and < 8 && line[digits] is ' ' or '\t' or ':' or ',' or ';' && line[(digits + 1)..].Trim() is { Length: > 0 } label
                ? (int.Parse(line.AsSpan(0, digits), CultureInfo.InvariantCulture), label) : null;
        }
    }

    /// <summary>
    /// Text in UTF-8 or UTF-16, or in what editors wrote before: Korean (code page 949), or western European.
    /// </summary>
    /// <exception cref="ModelFormatException">It is none of these: a wrong letter would become part of a label.</exception>
    public static string Decode(byte[] bytes, string name) =>
        TryDecode(bytes) ?? throw new ModelFormatException($"The label file '{name}' is in an encoding that is not known; save it as UTF-8.");

    private static string? TryDecode(byte[] bytes)
    {
        var text = bytes switch
        {
            [0xFF, 0xFE, ..] => Strict(Encoding.Unicode, bytes.AsSpan(2)),
            [0xFE, 0xFF, ..] => Strict(Encoding.BigEndianUnicode, bytes.AsSpan(2)),
            [0xEF, 0xBB, 0xBF, ..] => Strict(Encoding.UTF8, bytes.AsSpan(3)),
            _ when bytes.AsSpan().Contains((byte)0) => Strict(bytes[0] == 0 ? Encoding.BigEndianUnicode : Encoding.Unicode, bytes),
            _ => Strict(Encoding.UTF8, bytes) ?? Korean(bytes) ?? Western(bytes),
        };
        return text is not null && !text.Any(letter => letter == '\uFFFD' || (char.IsControl(letter) && !char.IsWhiteSpace(letter))) ? text : null;
    }

    // Hangul takes two bytes of which both are high, as a rule: where all that is not ASCII becomes Hangul, it was.
    private static string? Korean(byte[] bytes) => Strict(Encoding.GetEncoding(949), bytes) is { } text
        && text.All(letter => char.IsAscii(letter) || letter is >= '\uAC00' and <= '\uD7A3') && !IsBetweenLetters(bytes) ? text : null;

    // "é" stands alone between letters of one byte, where half of a Hangul syllable cannot.
    private static bool IsBetweenLetters(byte[] bytes)
    {
        var run = 0;
        foreach (var value in bytes.Append((byte)'\n'))
        {
            if (value < 0x80 && run % 2 == 1)
            {
                return true;
            }

            run = value < 0x80 ? 0 : run + 1;
        }

        return false;
    }

    private static string? Western(byte[] bytes) => Strict(Encoding.GetEncoding(1252), bytes) is { } text
        && text.All(letter => char.IsAscii(letter) || char.IsLetter(letter) || "’‘“”–—°®\u00A0".Contains(letter, StringComparison.Ordinal)) ? text : null;

    private static string? Strict(Encoding encoding, ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Encoding.GetEncoding(encoding.CodePage, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback).GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }

    /// <summary><c>labels.txt</c> beside a model, if it can be read and its lines are as many as the model's classes: nobody asked for it.</summary>
    public static List<string>? Beside(string modelPath, int classes)
    {
        var path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelPath))!, "labels.txt");
        return ModelFile.Exists(path) && new FileInfo(path).Length < 4 << 20 && TryDecode(File.ReadAllBytes(path)) is { } text
            && Parse(text) is { } labels && labels.Count == classes ? labels : null;
    }
}
