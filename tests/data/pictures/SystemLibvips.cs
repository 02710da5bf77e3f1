namespace Whatsit.Tests;

/// <summary>A libvips that the system brings along, whatever the tests themselves have loaded under that name.</summary>
internal static class SystemLibvips
{
    public const string Name = "libvips.so.42";

    // Where the loader looks, on Debian and on Fedora.
    private static readonly string[] Folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];

    public static bool IsThere => Folders.Any(folder => File.Exists(Path.Combine(folder, Name)));
}
