using System.IO.Enumeration;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelTools.Commands;

/// <summary>A picture that was named on the command line, and how to get its bytes.</summary>
/// <param name="Name">As it was named.</param>
/// <param name="ReadAsync">Reads the whole file.</param>
internal sealed record NamedPhoto(string Name, Func<CancellationToken, Task<byte[]>> ReadAsync);

/// <summary>What people name when they mean pictures: files, folders, patterns that no shell has expanded, lists, and standard input.</summary>
internal static class Photos
{
    /// <summary>Standard input: a picture, or the names of pictures, one per line.</summary>
    public const string StandardInput = "-";

    public static readonly IReadOnlySet<string> Extensions =
        new HashSet<string>(StringComparer.OrdinalIgnoreCase) { ".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff" };

    private static readonly HashSet<string> Lists = new(StringComparer.OrdinalIgnoreCase) { ".txt", ".csv", ".lst" };

    /// <summary>All pictures that the names stand for, in order. What is not there is found out when it is read.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: a folder, pattern or list without pictures.</exception>
    public static async Task<IReadOnlyList<NamedPhoto>> FindAsync(IEnumerable<string> names, Stream input, CancellationToken cancellationToken)
    {
        var photos = new List<NamedPhoto>();
        foreach (var name in names)
        {
            photos.AddRange(name == StandardInput ? await ReadInputAsync(input, cancellationToken) : Find(name));
        }

        return photos;
    }

    private static NamedPhoto[] Find(string name)
    {
        if (Directory.Exists(name))
        {
            return Some(name, Directory.EnumerateFiles(name, "*", SearchOption.AllDirectories).Where(IsPicture));
        }

        if (!File.Exists(name) && name.AsSpan().IndexOfAny('*', '?') >= 0)
        {
            return Some(name, Matching(name));
        }

        return Lists.Contains(Path.GetExtension(name)) && File.Exists(name)
            ? Some(name, Lines(File.ReadLines(name), Path.GetDirectoryName(Path.GetFullPath(name))!), sort: false)
            : [OfFile(name)];
    }

    private static NamedPhoto[] Some(string name, IEnumerable<string> files, bool sort = true)
    {
        NamedPhoto[] photos = [.. (sort ? files.Order(StringComparer.Ordinal) : files).Select(OfFile)];
        return photos.Length > 0 ? photos
            : throw new InferenceException(InferenceError.InvalidRequest,
                $"'{name}' has no pictures ({string.Join(", ", Extensions.Select(extension => extension[1..]))}).");
    }

    private static IEnumerable<string> Matching(string pattern)
    {
        // Only the last part may be a pattern, and "**" before it: all folders below.
        var folder = Path.GetDirectoryName(pattern) ?? "";
        var deep = Path.GetFileName(folder) == "**";
        folder = deep ? Path.GetDirectoryName(folder) ?? "" : folder;
        var last = Path.GetFileName(pattern);
        folder = folder.Length == 0 ? "." : folder;
        return !Directory.Exists(folder) ? []
            : Directory.EnumerateFiles(folder, "*", deep ? SearchOption.AllDirectories : SearchOption.TopDirectoryOnly)
                .Where(file => FileSystemName.MatchesSimpleExpression(last, Path.GetFileName(file), ignoreCase: OperatingSystem.IsWindows()))
                .Select(file => file.StartsWith("./", StringComparison.Ordinal) && !pattern.StartsWith("./", StringComparison.Ordinal) ? file[2..] : file);
    }

    /// <summary>
    /// The first field of each line, as <c>evaluate</c>'s lists have it: <c>path,label</c>. A first line that names no picture names the columns.
    /// </summary>
    private static IEnumerable<string> Lines(IEnumerable<string> lines, string folder) => lines.Select(line => line.Split(',')[0].Trim().Trim('"'))
        .Where((path, number) => path.Length > 0 && (number > 0 || IsPicture(path) || File.Exists(Path.Combine(folder, path))))
        .Select(path => folder.Length == 0 || Path.IsPathRooted(path) ? path : Path.GetRelativePath(Environment.CurrentDirectory, Path.Combine(folder, path)));

    private static async Task<NamedPhoto[]> ReadInputAsync(Stream input, CancellationToken cancellationToken)
    {
        using var bytes = new MemoryStream();
        await input.CopyToAsync(bytes, cancellationToken);
        var content = bytes.ToArray();
        if (content.Length == 0)
        {
            throw new InferenceException(InferenceError.InvalidRequest,
                "Standard input is empty; a picture is expected, or the names of pictures, one per line.");
        }

        return IsText(content) ? Some("standard input", Lines(Encoding.UTF8.GetString(content).Split('\n', StringSplitOptions.TrimEntries), ""), sort: false)
            : [new NamedPhoto("standard input", _ => Task.FromResult(content))];
    }

    /// <summary>No picture that we read is free of the control characters that no line of text has.</summary>
    private static bool IsText(ReadOnlySpan<byte> content) => content.IndexOfAnyInRange((byte)0, (byte)8) < 0;

    /// <summary>Whether a file's name ends as a picture's.</summary>
    public static bool IsPicture(string file) => Extensions.Contains(Path.GetExtension(file));

    private static NamedPhoto OfFile(string file) => new(file, async cancellationToken =>
    {
        try
        {
            return await File.ReadAllBytesAsync(file, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, File.Exists(file) ? "The file cannot be read." : "There is no such file.", exception);
        }
    });
}
