using System.Text;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>Strings in the two forms that the header takes, zero-terminated.</summary>
internal static class NativeText
{
    public static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text + '\0');

    /// <summary>ORTCHAR_T: wchar_t on Windows, bytes in UTF-8 elsewhere.</summary>
    public static byte[] FilePath(string path) => OperatingSystem.IsWindows() ? Encoding.Unicode.GetBytes(path + '\0') : Utf8(path);
}
