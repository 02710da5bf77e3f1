using System.Formats.Tar;
using System.IO.Compression;
using System.IO.Enumeration;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Whatsit.Inference;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>A picture that was named on the command line, and how to get its bytes.</summary>
/// <param name="Name">As it was named.</param>
/// <param name="ReadAsync">Reads the whole file.</param>
/// <param name="Held">How many bytes of it are in memory already: what comes in a stream can be read only once.</param>
internal sealed record NamedPhoto(string Name, Func<CancellationToken, Task<byte[]>> ReadAsync, long Held = 0);

/// <summary>
/// What people name when they mean pictures: files, folders, patterns that no shell has expanded, lists, tar archives, and standard input. There may be any
/// number of pictures: one after the other is named, and in memory are no more than the names of one folder.
/// </summary>
internal static class Photos
{
    /// <summary>Standard input: a picture, a tar archive, or the names of pictures, one per line.</summary>
    public const string StandardInput = "-";

    /// <summary>More than any camera writes; what is larger is no photo.</summary>
    public const int MostBytes = 256 << 20;

    public static readonly IReadOnlySet<string> Extensions =
        new HashSet<string>(StringComparer.OrdinalIgnoreCase) { ".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".tif", ".tiff" };

    private static readonly HashSet<string> Lists = new(StringComparer.OrdinalIgnoreCase) { ".txt", ".csv", ".lst" };

    private static readonly string[] Archives = [".tar", ".tar.gz", ".tgz"];

    /// <summary>All pictures that the names stand for, in order. What is not there is found out when it is read.</summary>
    /// <param name="names">As they were given.</param>
    /// <param name="input">Standard input.</param>
    /// <param name="isWanted">Others are passed over: those of an archive are not even read.</param>
    /// <param name="cancellationToken">Nobody waits any longer.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: a folder, pattern, list or archive without pictures.</exception>
    public static async IAsyncEnumerable<NamedPhoto> FindAsync(IEnumerable<string> names, Stream input, Func<string, bool> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var name in names)
        {
            var any = false;
            await foreach (var photo in name == StandardInput ? InputAsync(input, isWanted, cancellationToken)
                : IsArchive(name) ? OfArchiveAsync(name, isWanted, cancellationToken)
                : Named(name).ToAsyncEnumerable())
            {
                any = true;
                if (photo is { } found && isWanted(found.Name))
                {
                    yield return found;
                }
            }

            if (!any)
            {
                throw new InferenceException(InferenceError.InvalidRequest,
                    $"'{(name == StandardInput ? "standard input" : name)}' has no pictures ({string.Join(", ", Extensions.Select(extension => extension[1..]))}).");
            }
        }
    }

    /// <summary>How many of the pictures are wanted; nothing where that shows only when all have been read.</summary>
    public static long? Count(IReadOnlyCollection<string> names, Func<string, bool> isWanted, CancellationToken cancellationToken)
    {
        if (names.Any(name => name == StandardInput || IsArchive(name)))
        {
            return null;
        }

        var count = 0L;
        foreach (var photo in names.SelectMany(Named))
        {
            cancellationToken.ThrowIfCancellationRequested();
            count += isWanted(photo!.Name) ? 1 : 0;
        }

        return count;
    }

    /// <summary>Whether a file's name ends as a picture's.</summary>
    public static bool IsPicture(string file) => Extensions.Contains(Path.GetExtension(file));

    private static bool IsArchive(string name) =>
        Archives.Any(ending => name.EndsWith(ending, StringComparison.OrdinalIgnoreCase)) && File.Exists(name);

    private static IEnumerable<NamedPhoto?> Named(string name)
    {
        if (Directory.Exists(name))
        {
            return Within(name, deep: true, IsPicture);
        }

        if (!File.Exists(name) && name.AsSpan().IndexOfAny('*', '?') >= 0)
        {
            return Matching(name);
        }

        return Lists.Contains(Path.GetExtension(name)) && File.Exists(name)
            ? Lines(File.ReadLines(name), Path.GetDirectoryName(Path.GetFullPath(name))!)
            : [OfFile(name)];
    }

    /// <summary>A folder's files in the order of their paths, with the names of one folder at a time in memory.</summary>
    private static IEnumerable<NamedPhoto> Within(string folder, bool deep, Func<string, bool> isWanted)
    {
        (string Name, bool IsFolder)[] entries;
        NamedPhoto? unreadable = null;
        try
        {
            // "a.jpg" comes before what lies in the folder "a": '.' is less than '/'.
            entries =
            [
                .. new FileSystemEnumerable<(string Name, bool IsFolder)>(folder, (ref FileSystemEntry entry) => (entry.FileName.ToString(), entry.IsDirectory),
                    new EnumerationOptions { AttributesToSkip = 0, IgnoreInaccessible = false })
                {
                    ShouldIncludePredicate = (ref FileSystemEntry entry) => deep || !entry.IsDirectory,
                }.OrderBy(entry => entry.IsFolder ? entry.Name + "/" : entry.Name, StringComparer.Ordinal),
            ];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            entries = [];
            unreadable = new(folder, _ => throw new InferenceException(InferenceError.InvalidRequest, "The folder cannot be read.", exception));
        }

        if (unreadable is not null)
        {
            yield return unreadable;
        }

        foreach (var (name, isFolder) in entries)
        {
            var path = folder.Length == 0 || folder == "." ? name : Path.Combine(folder, name);
            if (isFolder)
            {
                foreach (var photo in Within(path, deep, isWanted))
                {
                    yield return photo;
                }
            }
            else if (isWanted(name))
            {
                yield return OfFile(path);
            }
        }
    }

    private static IEnumerable<NamedPhoto> Matching(string pattern)
    {
        // Only the last part may be a pattern, and "**" before it: all folders below.
        var folder = Path.GetDirectoryName(pattern) ?? "";
        var deep = Path.GetFileName(folder) == "**";
        folder = deep ? Path.GetDirectoryName(folder) ?? "" : folder;
        var last = Path.GetFileName(pattern);
        folder = folder.Length == 0 ? "." : folder;
        return !Directory.Exists(folder) ? []
            : Within(folder, deep, file => FileSystemName.MatchesSimpleExpression(last, file, ignoreCase: OperatingSystem.IsWindows()));
    }

    /// <summary>
    /// The first field of each line, as <c>evaluate</c>'s lists have it: <c>path,label</c>. A first line that names no picture names the columns.
    /// </summary>
    private static IEnumerable<NamedPhoto> Lines(IEnumerable<string> lines, string folder) =>
        lines.Select((line, number) => InLine(line, number, folder)).OfType<NamedPhoto>();

    private static NamedPhoto? InLine(string line, int number, string folder)
    {
        // A name may have a comma.
        var path = line.Contains(',', StringComparison.Ordinal) && File.Exists(Path.Combine(folder, line)) ? line : line.Split(',')[0].Trim().Trim('"');
        return path.Length == 0 || (number == 0 && !IsPicture(path) && !File.Exists(Path.Combine(folder, path))) ? null
            : OfFile(folder.Length == 0 || Path.IsPathRooted(path) ? path
                : Path.GetRelativePath(Environment.CurrentDirectory, Path.Combine(folder, path)));
    }

    private static async IAsyncEnumerable<NamedPhoto?> InputAsync(Stream input, Func<string, bool> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        const int Enough = 1024;
        var pipe = PipeReader.Create(input);
        var start = await pipe.ReadAtLeastAsync(Enough, cancellationToken);
        byte[] beginning = [.. System.Buffers.BuffersExtensions.ToArray(start.Buffer)];
        pipe.AdvanceTo(start.Buffer.Start);
        if (beginning.Length == 0)
        {
            throw new InferenceException(InferenceError.InvalidRequest,
                "Standard input is empty; a picture is expected, a tar archive, or the names of pictures, one per line.");
        }

        var stream = pipe.AsStream();
        if (beginning is [0x1F, 0x8B, ..] || IsTar(beginning))
        {
            await foreach (var photo in OfArchiveAsync(stream, "", isWanted, cancellationToken))
            {
                yield return photo;
            }
        }
        else if (IsText(beginning))
        {
            using var text = new StreamReader(stream);
            for (var number = 0; await text.ReadLineAsync(cancellationToken) is { } line; number = 1)
            {
                if (InLine(line.Trim(), number, "") is { } photo)
                {
                    yield return photo;
                }
            }
        }
        else
        {
            var bytes = await ReadAsync(stream, null, cancellationToken);
            yield return new("standard input", _ => Task.FromResult(bytes ?? throw TooLarge()), bytes?.Length ?? 0);
        }
    }

    private static async IAsyncEnumerable<NamedPhoto?> OfArchiveAsync(string name, Func<string, bool> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var file = new FileStream(name, new FileStreamOptions { Access = FileAccess.Read, Options = FileOptions.SequentialScan });
        await foreach (var photo in OfArchiveAsync(file, name + "/", isWanted, cancellationToken))
        {
            yield return photo;
        }
    }

    /// <summary>The pictures of an archive, packed by gzip or not; nothing for one that is there and not wanted. Where it is damaged, that is the last.</summary>
    private static async IAsyncEnumerable<NamedPhoto?> OfArchiveAsync(Stream stream, string prefix, Func<string, bool> isWanted,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var pipe = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 1 << 16, leaveOpen: true));
        var isPacked = (await pipe.ReadAtLeastAsync(2, cancellationToken)).Buffer is var start
            && System.Buffers.BuffersExtensions.ToArray(start.Slice(0, Math.Min(2, start.Length))) is [0x1F, 0x8B];
        pipe.AdvanceTo(start.Start);
        await using var plain = isPacked ? new GZipStream(pipe.AsStream(), CompressionMode.Decompress) : pipe.AsStream();
        await using var archive = new TarReader(plain);
        while (true)
        {
            TarEntry? entry = null;
            NamedPhoto? found = null;
            try
            {
                entry = await archive.GetNextEntryAsync(copyData: false, cancellationToken);
                var name = entry?.Name is { } inside && inside.StartsWith("./", StringComparison.Ordinal) ? inside[2..] : entry?.Name;
                if (entry is { EntryType: TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile } && IsPicture(name!)
                    && isWanted(prefix + name))
                {
                    var bytes = entry.DataStream is null ? [] : await ReadAsync(entry.DataStream, entry.Length, cancellationToken);
                    found = new(prefix + name, _ => Task.FromResult(bytes ?? throw TooLarge()), bytes?.Length ?? 0);
                }
            }
            catch (Exception exception) when (exception is InvalidDataException or EndOfStreamException or FormatException or ArgumentException)
            {
                found = new(prefix.Length == 0 ? "standard input" : prefix[..^1],
                    _ => throw new InferenceException(InferenceError.InvalidImage, "The archive is damaged; what lies behind the damage is not read.",
                        exception));
            }

            if (found is not null || (entry is not null && IsPicture(entry.Name)))
            {
                yield return found;
            }

            if (entry is null)
            {
                break;
            }
        }
    }

    /// <summary>The whole stream, or nothing where it is too long.</summary>
    private static async Task<byte[]?> ReadAsync(Stream stream, long? length, CancellationToken cancellationToken)
    {
        if (length > MostBytes)
        {
            return null;
        }

        using var bytes = new MemoryStream((int)(length ?? 0));
        var block = new byte[1 << 16];
        while (await stream.ReadAsync(block, cancellationToken) is > 0 and var read)
        {
            if (bytes.Length + read > MostBytes)
            {
                return null;
            }

            bytes.Write(block, 0, read);
        }

        return bytes.ToArray();
    }

    // https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html: the field "magic" of a header.
    private static bool IsTar(ReadOnlySpan<byte> beginning) => beginning.Length >= 262 && beginning[257..262].SequenceEqual("ustar"u8);

    /// <summary>No picture that we read is free of the control characters that no line of text has.</summary>
    private static bool IsText(ReadOnlySpan<byte> beginning) => beginning.IndexOfAnyInRange((byte)0, (byte)8) < 0;

    private static InferenceException TooLarge() =>
        new(InferenceError.ImageTooLarge, $"The file is larger than {MostBytes:N0} bytes, the limit.");

    private static NamedPhoto OfFile(string file) => new(file, async cancellationToken =>
    {
        try
        {
            return new FileInfo(file) is { Exists: true, Length: > MostBytes } ? throw TooLarge() : await File.ReadAllBytesAsync(file, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, File.Exists(file) ? "The file cannot be read." : "There is no such file.", exception);
        }
    });
}
