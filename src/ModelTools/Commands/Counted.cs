namespace Whatsit.ModelTools.Commands;

/// <summary>Numbers of things, as people say them.</summary>
internal static class Counted
{
    /// <summary><c>1 photo</c>, <c>2 photos</c>, <c>1,000 photos</c>.</summary>
    public static string Of(long count, string thing, string? several = null) => $"{count:N0} {(count == 1 ? thing : several ?? thing + "s")}";
}
