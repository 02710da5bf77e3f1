using System.Security.Cryptography;

namespace Whatsit.Inference.Catalog;

/// <summary>
/// The files of a bundle that its manifest names, as they were when the model was loaded. They are opened anew for each reader and checked when they are no
/// longer what was checked before; one that has changed is refused, whoever changed it.
/// </summary>
public sealed class BundleFiles
{
    // Variants, shards of a TensorFlow.js model, pictures to try.
    private const int MostFiles = 1000;

    // Of labels and pictures, whose size no manifest says.
    private const int LargestText = 64 << 20;

    private readonly ModelManifest _manifest;
    private readonly Dictionary<string, NamedFile> _files = new(StringComparer.Ordinal);

    /// <summary>Knows the files by the manifest's hashes. Labels and pictures have none there: they are what they are now.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: a file is a link, or lies outside the folder.</exception>
    public BundleFiles(ModelManifest manifest, string folder)
    {
        (_manifest, Folder) = (manifest, folder);
        if (manifest.Files.Count + (manifest.Tfjs?.Count ?? 0) + (manifest.Samples?.Count ?? 0) is > MostFiles and var count)
        {
            throw new InferenceException(InferenceError.ModelNotReady,
                $"The manifest of the model '{manifest.Name}' names {Counted.Of(count, "file")}; up to {MostFiles:N0} are possible.");
        }

        foreach (var file in (BundleFile?[])[.. manifest.Files.Values, manifest.Output.ClassifierWeights, manifest.Abstain?.Vectors, .. manifest.Tfjs ?? []])
        {
            if (file is not null)
            {
                _ = Bundle.PathOf(folder, file.File);
                _files[file.File] = new(file.Bytes, file.Sha256.ToLowerInvariant());
            }
        }

        foreach (var name in (string?[])[manifest.Labels, manifest.Sample?.File, .. manifest.Samples?.Select(sample => sample.File) ?? []])
        {
            if (name is not null && !_files.ContainsKey(name) && File.Exists(Bundle.PathOf(folder, name)))
            {
                using var stream = Bundle.Open(manifest.Name, folder, name);
                if (stream.Length > LargestText)
                {
                    throw new InferenceException(InferenceError.ModelNotReady,
                        $"The file '{name}' of the model '{manifest.Name}' has {Counted.Of(stream.Length, "byte")}; labels and pictures have up to {LargestText:N0}.");
                }

                var checkedAs = FileStamp.Of(stream.SafeFileHandle);
                _files[name] = new(stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream))) { CheckedAs = checkedAs, IsRight = true };
            }
        }
    }

    /// <summary>The bundle's folder.</summary>
    public string Folder { get; }

    /// <summary>What the manifest names.</summary>
    public IReadOnlyCollection<string> All => _files.Keys;

    /// <summary>Bytes of a file that the manifest names.</summary>
    public long BytesOf(string file) => _files[file].Bytes;

    /// <summary>Does the manifest name the file? Nothing else of the folder is anybody's business.</summary>
    public bool Names(string file) => _files.ContainsKey(file);

    /// <summary>Opens a file that is what it was.</summary>
    /// <param name="file">As the manifest names it.</param>
    /// <returns>The file from its beginning, to be disposed, and the SHA-256 of its content in lower-case hex.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is missing, or another one.</exception>
    public (FileStream Stream, string Sha256) Open(string file)
    {
        var known = _files.TryGetValue(file, out var named) ? named : throw Bundle.Lacks(_manifest.Name, file);
        var stream = Bundle.Open(_manifest.Name, Folder, file);
        try
        {
            // One reader checks; the others wait for what it finds.
            lock (known)
            {
                var stamp = FileStamp.Of(stream.SafeFileHandle);
                if (known.CheckedAs != stamp)
                {
                    var isRight = stream.Length == known.Bytes && Convert.ToHexStringLower(SHA256.HashData(stream)) == known.Sha256;
                    (known.CheckedAs, known.IsRight) = (stamp, isRight);
                    stream.Position = 0;
                }

                return known.IsRight
                    ? (stream, known.Sha256)
                    : throw new InferenceException(
                        InferenceError.ModelNotReady,
                        $"The file '{file}' of the model '{_manifest.Name}' is not the one in its manifest (size or SHA-256 differs).");
            }
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads a whole file that is what it was.</summary>
    /// <inheritdoc cref="Open"/>
    public byte[] Read(string file)
    {
        var (stream, _) = Open(file);
        using (stream)
        {
            var content = new byte[stream.Length];
            stream.ReadExactly(content);
            return content;
        }
    }

    private sealed class NamedFile(long bytes, string sha256)
    {
        public long Bytes { get; } = bytes;

        public string Sha256 { get; } = sha256;

        /// <summary>As which it was checked last, and with what result.</summary>
        public FileStamp? CheckedAs { get; set; }

        public bool IsRight { get; set; }
    }
}
