using System.Text;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>Strings in the two forms that the header takes, zero-terminated.</summary>
internal static class NativeText
{
    public static byte[] Utf8(string text) => Terminated(text, Encoding.UTF8);

    /// <summary>ORTCHAR_T: wchar_t on Windows, bytes in UTF-8 elsewhere.</summary>
    public static byte[] FilePath(string path) => Terminated(path, OperatingSystem.IsWindows() ? Encoding.Unicode : Encoding.UTF8);

    /// <summary>A zero within the text would end it early: another file would be opened than the one that was checked.</summary>
    private static byte[] Terminated(string text, Encoding encoding) =>
        text.Contains('\0', StringComparison.Ordinal)
            ? throw new ArgumentException($"A zero character stands at {text.IndexOf('\0', StringComparison.Ordinal)}.", nameof(text))
            : encoding.GetBytes(text + '\0');
}
