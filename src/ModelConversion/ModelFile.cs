namespace Whatsit.ModelConversion;

/// <summary>What may be opened on behalf of a model, which is data from elsewhere.</summary>
internal static class ModelFile
{
    /// <summary>
    /// Whether there is a file with something in it, links followed. Pipes, devices and sockets say that they are empty, and opening one may wait for ever.
    /// </summary>
    public static bool Exists(string path)
    {
        var file = new FileInfo(path);
        if (file.Exists && file.LinkTarget is not null)
        {
            file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo;
        }

        return file is { Exists: true, Length: > 0 };
    }

    /// <summary>The folders around a model, the nearest first, at most as far up as the folder or archive that it came in.</summary>
    public static IEnumerable<string> FoldersAround(string model, string root)
    {
        var top = Path.TrimEndingDirectorySeparator(Path.GetFullPath(root));
        var whole = Path.GetFullPath(model);
        for (var at = Directory.Exists(whole) ? whole : Path.GetDirectoryName(whole); at is not null && at.Length >= top.Length; at = Path.GetDirectoryName(at))
        {
            yield return at;
        }
    }

    /// <summary>
    /// Whether a file that a model names lies in the model's own folder, and nothing on the way to it is a link: whoever wrote the model would read whatever
    /// its importer may read.
    /// </summary>
    public static bool IsBeside(string folder, string path)
    {
        var root = Path.GetFullPath(folder);
        var whole = Path.GetFullPath(path);
        if (!whole.StartsWith(root.TrimEnd(Path.DirectorySeparatorChar) + Path.DirectorySeparatorChar, StringComparison.Ordinal))
        {
            return false;
        }

        for (var part = whole; part is not null && part.Length > root.Length; part = Path.GetDirectoryName(part))
        {
            if (new FileInfo(part).LinkTarget is not null)
            {
                return false;
            }
        }

        return true;
    }
}
