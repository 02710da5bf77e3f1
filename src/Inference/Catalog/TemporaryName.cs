using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Whatsit.Inference.Catalog;

/// <summary>
/// Names under which something is written before it takes its place: <c>.NAME.PROCESS.ID</c>. No server looks at them, and they say whose they are: what a
/// command left that was killed, the next one for the same name removes.
/// </summary>
public static class TemporaryName
{
    /// <summary>A name of its own for a file or folder.</summary>
    /// <param name="folder">Where it will lie.</param>
    /// <param name="name">What it will be.</param>
    /// <returns>The name, without the folder.</returns>
    public static string New(string folder, string name)
    {
        RemoveAbandoned(folder, name);
        return string.Create(CultureInfo.InvariantCulture, $".{name}.{Environment.ProcessId}.{Guid.NewGuid():N}");
    }

    private static void RemoveAbandoned(string folder, string name)
    {
        var pattern = new Regex($@"^\.{Regex.Escape(name)}\.(\d+)\.[0-9a-f]{{32}}$", RegexOptions.CultureInvariant);
        foreach (var entry in new DirectoryInfo(folder).EnumerateFileSystemInfos($".{name}.*"))
        {
            if (pattern.Match(entry.Name) is { Success: true } match && int.TryParse(match.Groups[1].Value, out var process) && !Runs(process))
            {
                if (entry is DirectoryInfo directory && directory.LinkTarget is null)
                {
                    directory.Delete(recursive: true);
                }
                else
                {
                    entry.Delete();
                }
            }
        }
    }

    private static bool Runs(int process)
    {
        try
        {
            using var found = Process.GetProcessById(process);
            return !found.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
