using System.Text;

namespace Whatsit.ModelTools.Tests.Formats.Safetensors;

/// <summary>Files of weights, right and wrong.</summary>
internal static class SafetensorsFiles
{
    public static void Write(string path, string header, byte[] body)
    {
        var text = Encoding.UTF8.GetBytes(header);
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)text.Length), .. text, .. body]);
    }
}
