using System.Globalization;
using System.Text;

namespace Whatsit.ModelConversion.Formats;

/// <summary>Lists and dictionaries of texts as Python prints them, <c>{0: 'tench', 1: "bull's eye"}</c>, or as JSON, or divided by commas or lines.</summary>
internal static class PythonText
{
    /// <summary>The labels, by their numbers where they have some.</summary>
    /// <exception cref="FormatException">It is none of these.</exception>
    public static List<string> Labels(string text)
    {
        text = text.Trim();
        if (text is not ['{' or '[' or '(', ..])
        {
            var divider = text.Contains('\n', StringComparison.Ordinal) ? '\n' : ',';
            return [.. text.Split(divider, StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        }

        var at = 1;
        var keyed = text[0] == '{';
        var labels = new List<(int Index, string Label)>();
        while (true)
        {
            Skip(" \t\r\n,");
            if (at >= text.Length || text[at] is '}' or ']' or ')')
            {
                break;
            }

            var index = labels.Count;
            if (keyed)
            {
                index = int.TryParse(Item(), CultureInfo.InvariantCulture, out var number) ? number : throw new FormatException("a label has no number");
                Skip(" \t\r\n:");
            }

            labels.Add((index, Item()));
        }

        labels.Sort((one, other) => one.Index.CompareTo(other.Index));
        return labels.Where((label, place) => label.Index != place).Any() ? throw new FormatException("the numbers have gaps")
            : [.. labels.Select(label => label.Label)];

        void Skip(string what)
        {
            while (at < text.Length && what.Contains(text[at], StringComparison.Ordinal))
            {
                at++;
            }
        }

        string Item()
        {
            var item = new StringBuilder();
            if (at < text.Length && text[at] is '\'' or '"')
            {
                var quote = text[at++];
                while (at < text.Length && text[at] != quote)
                {
                    item.Append(text[at] == '\\' && at + 1 < text.Length ? Escaped() : text[at++]);
                }

                at++;
            }
            else
            {
                // A colon ends a number; in a list it is part of a name, and reading goes on.
                while (at < text.Length && text[at] is not (',' or '}' or ']' or ')') && !(keyed && text[at] == ':'))
                {
                    item.Append(text[at++]);
                }
            }

            return item.ToString().Trim();
        }

        // "\u00e9" is how JSON writes é, "\xa0" how Python writes what cannot be seen.
        char Escaped()
        {
            var digits = text[++at] switch { 'u' => 4, 'x' => 2, _ => 0 };
            if (digits > 0 && text.Length - at > digits
                && ushort.TryParse(text.AsSpan(at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
            {
                at += digits + 1;
                return (char)code;
            }

            return text[at++] switch { 'n' or 'r' or 't' => ' ', var letter => letter };
        }
    }
}
