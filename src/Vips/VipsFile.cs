namespace Whatsit.Vips;

/// <summary>Which file the library is.</summary>
public static class VipsFile
{
    /// <summary>
    /// A path, or a name that the system's loader finds; <see langword="null"/>: the shipped library. It counts until the library is first used, which is
    /// then the process's for good.
    /// </summary>
    public static string? Path { get; set; }
}
