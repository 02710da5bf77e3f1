using System.Buffers.Binary;
using System.IO.Compression;

namespace Whatsit.Inference.Fetching;

/// <summary>What a zip may hold. What an archive says of its sizes is not believed: bytes are counted as they come.</summary>
/// <param name="MostBytes">Bytes of all files together, unpacked.</param>
/// <param name="MostFiles">Files and folders.</param>
public sealed record ZipLimits(long MostBytes, int MostFiles = 4096)
{
    // Up to here nobody asks how well something packs: a few texts do so very well.
    private const long Small = 16 << 20;

    /// <summary>How many times its own size a zip may become, beyond some megabytes. Weights hardly pack; without it, anything goes.</summary>
    public int? MostTimes { get; init; }

    internal long BytesOf(long packed) => MostTimes is { } times ? Math.Min(MostBytes, Math.Max(Small, packed * times)) : MostBytes;
}

/// <summary>Unpacks a zip into a folder, and nowhere else.</summary>
public static class ZipFolder
{
    // APPNOTE.TXT 4.3.12, 4.3.14, 4.3.15 and 4.3.16 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
    private const int EndBytes = 22, LongestComment = ushort.MaxValue, LocatorBytes = 20, End64Bytes = 56;
    private const uint End = 0x06054B50, Locator = 0x07064B50, End64 = 0x06064B50;

    // Of one entry in the directory at a zip's end: a name, and what packers add.
    private const int EntryBytes = 1024;

    private const int LongestName = 512;

    /// <summary>Unpacks a zip.</summary>
    /// <param name="path">The zip.</param>
    /// <param name="shown">What sentences call it.</param>
    /// <param name="folder">Where to; it is there.</param>
    /// <param name="limits">What it may hold.</param>
    /// <param name="look">Sees the archive first, and may refuse it.</param>
    /// <returns>The files that were written, and their bytes together.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: it is none, is damaged, or holds what it must not.</exception>
    public static (IReadOnlyList<string> Files, long Bytes) Unpack(string path, string shown, string folder, ZipLimits limits,
        Action<ZipArchive>? look = null)
    {
        try
        {
            CheckDirectory(path, shown, limits);
            using var archive = ZipFile.OpenRead(path);
            look?.Invoke(archive);
            return Unpack(archive, shown, Path.GetFullPath(folder), limits, limits.BytesOf(new FileInfo(path).Length));
        }
        catch (Exception exception) when (exception is InvalidDataException or NotSupportedException)
        {
            throw Refused($"The zip '{shown}' is damaged: {exception.Message}", exception);
        }
    }

    private static (List<string> Files, long Bytes) Unpack(ZipArchive archive, string shown, string folder, ZipLimits limits, long most)
    {
        if (archive.Entries.Count > limits.MostFiles)
        {
            throw Refused($"The zip '{shown}' holds {Counted.Of(archive.Entries.Count, "file")}; {limits.MostFiles:N0} are allowed.");
        }

        var buffer = new byte[1 << 16];
        var files = new List<string>();
        var left = most;
        foreach (var entry in archive.Entries.Where(entry => entry.FullName is not [.., '/' or '\\']))
        {
            var target = TargetOf(entry.FullName, shown, folder);
            if (Path.Exists(target) || files.Any(file => target.StartsWith(file + Path.DirectorySeparatorChar, StringComparison.Ordinal)))
            {
                throw Refused($"The zip '{shown}' holds '{entry.FullName}' twice.");
            }

            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            using var from = entry.Open();
            using var to = new FileStream(target, FileMode.CreateNew, FileAccess.Write);
            files.Add(target);
            for (var read = from.Read(buffer); read > 0; read = from.Read(buffer))
            {
                left -= read;
                if (left < 0)
                {
                    throw Refused(most < limits.MostBytes ? $"The zip '{shown}' unpacks to more than {Counted.Of(limits.MostTimes!.Value, "time")} its size."
                        : $"The zip '{shown}' unpacks to more than {Counted.Of(limits.MostBytes, "byte")}.");
                }

                to.Write(buffer.AsSpan(0, read));
            }
        }

        return (files, most - left);
    }

    private static string TargetOf(string name, string shown, string folder)
    {
        // Some programs of Windows' divide the parts of a path as Windows does. Devices and streams of Windows' are no files.
        var plain = name.Replace('\\', '/');
        if (plain.Length > LongestName || plain.Contains('\0')
            || plain.Split('/').Any(part => part.Length > 255 || (OperatingSystem.IsWindows() && part.Contains(':'))))
        {
            throw Refused($"The zip '{shown}' holds '{Sentence.OneLine(name, 80)}', which is no name of a file.");
        }

        var target = Path.GetFullPath(Path.Combine(folder, plain));
        return target.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal) ? target
            : throw Refused($"The zip '{shown}' holds '{Sentence.OneLine(name, 80)}', which would lie outside of it.");
    }

    /// <summary>The library reads the whole directory at a zip's end before it says how long it is; a long one is refused before.</summary>
    private static void CheckDirectory(string path, string shown, ZipLimits limits)
    {
        using var file = File.OpenRead(path);
        var tail = new byte[Math.Min(file.Length, EndBytes + LongestComment + LocatorBytes)];
        file.Position = file.Length - tail.Length;
        file.ReadExactly(tail);
        var at = tail.Length - EndBytes;
        while (at >= 0 && BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(at)) != End)
        {
            at--;
        }

        if (at < 0)
        {
            throw Refused($"'{shown}' is no zip, or only a part of one.");
        }

        long entries = BinaryPrimitives.ReadUInt16LittleEndian(tail.AsSpan(at + 10));
        long start = BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(at + 16));
        if (at >= LocatorBytes && BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(at - LocatorBytes)) == Locator)
        {
            var end = new byte[End64Bytes];
            var place = BinaryPrimitives.ReadInt64LittleEndian(tail.AsSpan(at - LocatorBytes + 8));
            if (place < 0 || place > file.Length - End64Bytes)
            {
                throw Refused($"The zip '{shown}' is damaged: its end points out of it.");
            }

            file.Position = place;
            file.ReadExactly(end);
            if (BinaryPrimitives.ReadUInt32LittleEndian(end) == End64)
            {
                (entries, start) = (BinaryPrimitives.ReadInt64LittleEndian(end.AsSpan(32)), BinaryPrimitives.ReadInt64LittleEndian(end.AsSpan(48)));
            }
        }

        if (entries > limits.MostFiles)
        {
            throw Refused($"The zip '{shown}' holds {Counted.Of(entries, "file")}; {limits.MostFiles:N0} are allowed.");
        }

        // It ends where the file does; how many entries it says that it has is not believed either.
        if (start < 0 || file.Length - start > ((long)limits.MostFiles * EntryBytes) + LongestComment)
        {
            throw Refused($"The zip '{shown}' is damaged: its directory is longer than {Counted.Of(limits.MostFiles, "file")} need.");
        }
    }

    private static InferenceException Refused(string sentence, Exception? cause = null) => new(InferenceError.InvalidRequest, sentence, cause);
}
