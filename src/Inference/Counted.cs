using System.Globalization;
using System.Numerics;

namespace Whatsit.Inference;

/// <summary>Numbers of things, as people say them.</summary>
public static class Counted
{
    /// <summary><c>1 photo</c>, <c>2 photos</c>, <c>1,000 photos</c>, <c>1.5 seconds</c>.</summary>
    /// <param name="count">How many.</param>
    /// <param name="thing">One of them.</param>
    /// <param name="several">More of them, where an s is not enough.</param>
    public static string Of<T>(T count, string thing, string? several = null)
        where T : INumber<T> =>
        string.Create(CultureInfo.InvariantCulture, $"{count:#,0.###} {(count == T.One ? thing : several ?? thing + "s")}");
}
