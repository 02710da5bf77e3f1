using System.Globalization;
using System.IO.Compression;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats;

/// <summary>What people hold in a model's place without seeing it: a pointer to the file, the page that shows it, or code that would make it.</summary>
internal static class Placeholder
{
    private const string Pointer = "version https://git-lfs.github.com/spec/";

    // A pointer has three lines, and a page says at its beginning what it is.
    private const int Start = 1024;

    /// <summary>Refuses a file that is none, by what it is.</summary>
    /// <param name="path">The file.</param>
    /// <param name="weights">It holds numbers alone, which may look like anything but text.</param>
    /// <exception cref="ModelFormatException">It is a Git LFS pointer, a web page, another archive than a zip, or Python's code.</exception>
    public static void Refuse(string path, bool weights = false)
    {
        if (!ModelFile.Exists(path))
        {
            return;
        }

        Span<byte> start = stackalloc byte[Start];
        using var file = File.OpenRead(path);
        start = start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        var name = Path.GetFileName(path);
        if (!weights && start is [0x80, >= 2 and <= 5, ..])
        {
            throw new ModelFormatException($"'{name}' is a Python pickle, which holds code and is not opened: export the network (torch.onnx.export, " +
                $"model.save, skl2onnx) and import that.");
        }

        if (!weights && IsCheckpoint(path))
        {
            throw Checkpoint(name);
        }

        if (!weights && Packed(start) is { } packed)
        {
            throw new ModelFormatException($"'{name}' is {packed} archive, which is not opened: unpack it and import what is in it.");
        }

        var text = Encoding.UTF8.GetString(start).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        if (text.StartsWith(Pointer, StringComparison.Ordinal))
        {
            var size = text.Split('\n').FirstOrDefault(line => line.StartsWith("size ", StringComparison.Ordinal)) is { } line
                && long.TryParse(line[5..].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? $" of {Counted.Of(bytes, "byte")}" : "";
            throw new ModelFormatException($"'{name}' is a Git LFS pointer to a file{size}, not the file itself: run 'git lfs pull' in its folder, or " +
                $"download the file itself.");
        }

        if (IsPage(text))
        {
            throw new ModelFormatException($"'{name}' is a web page, not a model: what was saved is the page that shows or offers the file. Download the " +
                $"file itself (on GitHub: \"Download raw file\").");
        }
    }

    private static string? Packed(ReadOnlySpan<byte> start) => start switch
    {
        [0x1F, 0x8B, 8, ..] => "a gzip",
        [(byte)'7', (byte)'z', 0xBC, 0xAF, ..] => "a 7z",
        [(byte)'R', (byte)'a', (byte)'r', (byte)'!', 0x1A, ..] => "a RAR",
        [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', ..] => "an xz",
        _ => start.Length > 262 && start[257..262].SequenceEqual("ustar"u8) ? "a tar" : null,
    };

    /// <summary>Whether a zip is what <c>torch.save</c> or TorchScript writes.</summary>
    public static bool IsCheckpoint(ZipArchive archive) =>
        archive.Entries.Any(entry => entry.FullName == "data.pkl" || entry.FullName.EndsWith("/data.pkl", StringComparison.Ordinal));

    /// <summary>Whether a file is such a zip.</summary>
    public static bool IsCheckpoint(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            if (file.ReadByte() != 'P' || file.ReadByte() != 'K')
            {
                return false;
            }

            file.Position = 0;
            using var archive = new ZipArchive(file);
            return IsCheckpoint(archive);
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }

    /// <summary>The refusal of one.</summary>
    public static ModelFormatException Checkpoint(string name) => new($"'{name}' is a PyTorch checkpoint, which holds Python code and is not opened: save " +
        $"the weights as safetensors (save_pretrained), or export the network with torch.onnx.export, and import that.");

    /// <summary>Whether text begins as a web page does.</summary>
    public static bool IsPage(string text)
    {
        // <?xml …?> and comments may come first.
        while (text.StartsWith("<?", StringComparison.Ordinal) || text.StartsWith("<!--", StringComparison.Ordinal))
        {
            var end = text.IndexOf('>', StringComparison.Ordinal);
            if (end < 0)
            {
                return false;
            }

            text = text[(end + 1)..].TrimStart();
        }

        return text.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase) || text.StartsWith("<html", StringComparison.OrdinalIgnoreCase)
            || text.StartsWith("<head", StringComparison.OrdinalIgnoreCase);
    }
}
