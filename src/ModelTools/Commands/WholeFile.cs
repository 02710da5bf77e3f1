using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary>A file that is there as a whole, or as it was.</summary>
internal static class WholeFile
{
    public static void Write(string path, string text)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var temporary = Path.Combine(folder, TemporaryName.New(folder, Path.GetFileName(path)));
        try
        {
            File.WriteAllText(temporary, text);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }
}
