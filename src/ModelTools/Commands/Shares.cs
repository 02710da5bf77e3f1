using System.Globalization;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Commands;

/// <summary>Shares as people write them: <c>5%</c>, <c>0.05</c>.</summary>
internal static class Shares
{
    /// <summary>A number from 0 to 1.</summary>
    public static bool TryParse(string? text, out double share)
    {
        var percent = text?.EndsWith('%') == true;
        var isNumber = double.TryParse(percent ? text![..^1] : text, NumberStyles.Float, CultureInfo.InvariantCulture, out share);
        share /= percent ? 100 : 1;
        return isNumber && share is >= 0 and <= 1;
    }

    /// <summary>The same of a text that was checked.</summary>
    public static double Parse(string text) => TryParse(text, out var share) ? share
        : throw new ModelFormatException($"'{text}' is no share; write 5%, or 0.05.");
}
