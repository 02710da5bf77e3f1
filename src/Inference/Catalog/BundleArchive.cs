using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference.Fetching;

namespace Whatsit.Inference.Catalog;

/// <summary>A bundle as one zip: its files, or a folder that holds them, as the page and every packer write it.</summary>
public static class BundleArchive
{
    // Weights of dense networks hardly pack; those with many zeros do, some twenty times.
    private const int MostTimes = 100;

    private const int MostFiles = 1000;

    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Unpacks the bundle, gives it its name here, and checks that its files are those of its manifest. It is not loaded.</summary>
    /// <param name="zip">The zip.</param>
    /// <param name="shown">What sentences call it.</param>
    /// <param name="name">The model's name here, whatever the manifest calls it.</param>
    /// <param name="folder">Where to; it is made, and gone again where that fails.</param>
    /// <param name="mostBytes">What it may unpack to.</param>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.InvalidRequest"/> or <see cref="InferenceError.ModelNotReady"/>: it is no bundle, or not a whole one.
    /// </exception>
    public static ModelManifest Unpack(string zip, string shown, string name, string folder, long mostBytes)
    {
        var parent = Path.GetDirectoryName(folder)!;
        var around = Path.Combine(parent, TemporaryName.New(parent, $"{name}.unpacked"));
        try
        {
            Directory.CreateDirectory(around);
            ZipFolder.Unpack(zip, shown, around, new ZipLimits(mostBytes, MostFiles) { MostTimes = MostTimes });
            var root = RootOf(around) ?? throw new InferenceException(InferenceError.InvalidRequest,
                $"The zip '{shown}' is no bundle: it has no {Bundle.ManifestFile}, neither at its top nor in its one folder.");
            Directory.Move(root, folder);
            Rename(folder, name);
            var manifest = Bundle.ReadManifest(folder, name);
            var files = new BundleFiles(manifest, folder);
            foreach (var file in files.All)
            {
                files.Open(file).Stream.Dispose();
            }

            return manifest;
        }
        catch when (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
            throw;
        }
        finally
        {
            if (Directory.Exists(around))
            {
                Directory.Delete(around, recursive: true);
            }
        }
    }

    /// <summary>Whether a file is a bundle as a zip; a TensorFlow.js model has a <c>model.json</c>, too, but another one.</summary>
    public static bool IsOne(string path)
    {
        try
        {
            using var archive = ZipFile.OpenRead(path);
            // At its top, or in its one folder; Macs add one of their own.
            var entries = archive.Entries.Where(entry => !entry.FullName.StartsWith("__MACOSX/", StringComparison.Ordinal)).Take(MostFiles).ToList();
            var manifest = entries.Find(entry => entry.FullName == Bundle.ManifestFile)
                ?? entries.Find(entry => entry.FullName.Split('/', '\\') is [_, Bundle.ManifestFile]);
            using var stream = manifest?.Open();
            return stream is not null && IsManifest(stream);
        }
        catch (Exception exception) when (exception is InvalidDataException or NotSupportedException or EndOfStreamException)
        {
            return false;
        }
    }

    /// <summary>Whether this begins as a manifest does, so that what is wrong with it may be said.</summary>
    public static bool IsManifest(Stream stream)
    {
        var content = new byte[Bundle.LongestManifest];
        var length = stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
        try
        {
            using var document = JsonDocument.Parse(content.AsMemory(0, length), Lenient);
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("files", out _)
                && document.RootElement.TryGetProperty("input", out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The bundle's folder within what was unpacked; nothing where there is none.</summary>
    public static string? RootOf(string folder)
    {
        if (File.Exists(Path.Combine(folder, Bundle.ManifestFile)))
        {
            return folder;
        }

        // Macs add a folder of their own.
        string[] inner = [.. Directory.EnumerateDirectories(folder).Where(inner => Path.GetFileName(inner) is [not '.', ..] and not "__MACOSX").Take(2)];
        return inner is [var only] && File.Exists(Path.Combine(only, Bundle.ManifestFile)) ? only : null;
    }

    /// <summary>A bundle's name is that of its folder, and whoever puts it there gives it.</summary>
    private static void Rename(string folder, string name)
    {
        var path = Path.Combine(folder, Bundle.ManifestFile);
        if (new FileInfo(path).Length > Bundle.LongestManifest)
        {
            // Reading it says so.
            return;
        }

        try
        {
            if (JsonNode.Parse(File.ReadAllBytes(path), documentOptions: Lenient) is JsonObject manifest && (string?)manifest["name"] != name)
            {
                manifest["name"] = name;
                File.WriteAllText(path, $"{manifest.ToJsonString(new JsonSerializerOptions { WriteIndented = true })}\n");
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or ArgumentException)
        {
            // Reading it says what is wrong.
        }
    }
}
