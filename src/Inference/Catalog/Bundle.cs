using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Whatsit.Inference.Catalog;

/// <summary>The folder of one model.</summary>
public static partial class Bundle
{
    /// <summary>The manifest's file name.</summary>
    public const string ManifestFile = "model.json";

    /// <summary>Bytes of a manifest: it lists files and some measurements.</summary>
    public const int LongestManifest = 4 << 20;

    /// <summary>What a model's name looks like, as a regular expression.</summary>
    public const string NameShape = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}";

    /// <summary>Whether a text can be a model's name, which stands in URLs and is a folder.</summary>
    public static bool IsName(string name) => NamePattern().IsMatch(name);

    /// <summary>What to say of one that cannot.</summary>
    public static InferenceException NoName(string name) => new(InferenceError.InvalidRequest, "invalid-model-name",
        $"'{Sentence.OneLine(name, 80)}' cannot be a model's name: it stands in URLs and is a folder. Use letters, digits, '-', '_' and '.', at most 64.",
        ("name", Sentence.OneLine(name, 80)));

    /// <summary>
    /// The folder that holds the bundles: a relative name is looked for upwards from the working directory, then from the program, so that the server and
    /// the command line find the repository's models from anywhere in it.
    /// </summary>
    public static string FindCatalog(string models)
    {
        if (Path.IsPathRooted(models))
        {
            return models;
        }

        foreach (var start in (string[])[Environment.CurrentDirectory, AppContext.BaseDirectory])
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                var candidate = Path.Combine(folder.FullName, models);
                if (Directory.Exists(candidate))
                {
                    return candidate;
                }
            }
        }

        return Path.GetFullPath(models);
    }

    /// <summary>Reads and checks a bundle's manifest.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    public static ModelManifest ReadManifest(string folder) => ReadManifest(folder, Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)));

    /// <summary>The same of a bundle that is not in its place yet.</summary>
    /// <param name="folder">Where it lies.</param>
    /// <param name="name">The model's name: that of the folder which it will have.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    public static ModelManifest ReadManifest(string folder, string name)
    {
        try
        {
            using var stream = Open(name, folder, ManifestFile);
            if (stream.Length > LongestManifest)
            {
                throw new InferenceException(InferenceError.ModelNotReady,
                    $"{name}/{ManifestFile} has {Counted.Of(stream.Length, "byte")}; a manifest has up to {LongestManifest:N0}.");
            }

            var manifest = JsonSerializer.Deserialize(stream, ManifestJson.Default.ModelManifest)
                ?? throw new InferenceException(InferenceError.ModelNotReady, $"{name}/{ManifestFile} is empty.");
            return manifest.Name == name
                ? manifest
                : throw new InferenceException(InferenceError.ModelNotReady,
                    $"{name}/{ManifestFile} calls the model '{manifest.Name}'; it must be the folder's name.");
        }
        catch (JsonException exception)
        {
            throw new InferenceException(InferenceError.ModelNotReady, $"{name}/{ManifestFile} is no manifest: {exception.Message}", exception);
        }
        catch (IOException exception)
        {
            throw new InferenceException(InferenceError.ModelNotReady, $"{name}/{ManifestFile} cannot be read.", exception);
        }
    }

    /// <summary>A file of the bundle. A bundle is data from elsewhere: it must not reach outside its folder, neither by a name nor by a link.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it would.</exception>
    public static string PathOf(string folder, string file)
    {
        var root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)) + Path.DirectorySeparatorChar;
        var path = Path.GetFullPath(Path.Combine(root, file));
        if (!path.StartsWith(root, StringComparison.Ordinal))
        {
            throw new InferenceException(InferenceError.ModelNotReady, $"The manifest names the file '{file}', which is outside its folder.");
        }

        // Every step of the way: a folder may be a link, too. The bundle's own folder may: whoever runs the server put it there.
        for (var step = path; step.Length > root.Length; step = Path.GetDirectoryName(step)!)
        {
            if (new FileInfo(step).LinkTarget is not null)
            {
                throw new InferenceException(InferenceError.ModelNotReady,
                    $"The manifest names the file '{file}', which is a symbolic link or lies behind one; a bundle holds its files itself.");
            }
        }

        return path;
    }

    /// <summary>Opens a file of the bundle.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is missing, empty, or not to be had.</exception>
    public static FileStream Open(string model, string folder, string file)
    {
        var info = new FileInfo(PathOf(folder, file));
        // Pipes and devices have no length either, and opening one waits for its other end.
        if (!info.Exists || info.Length == 0)
        {
            throw Lacks(model, file);
        }

        try
        {
            return info.Open(new FileStreamOptions { Share = FileShare.ReadWrite | FileShare.Delete });
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InferenceException(InferenceError.ModelNotReady, $"The file '{file}' of the model '{model}' cannot be read.", exception);
        }
    }

    /// <summary>A file of the bundle as its manifest lists it.</summary>
    public static BundleFile Describe(string folder, string file)
    {
        using var stream = File.OpenRead(PathOf(folder, file));
        return new BundleFile(file, stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }

    /// <summary>Checks that a file is there and is the one that the manifest means.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is not.</exception>
    public static void Verify(ModelManifest manifest, string folder, BundleFile file) => new BundleFiles(manifest, folder).Open(file.File).Stream.Dispose();

    internal static InferenceException Lacks(string model, string file) =>
        new(InferenceError.ModelNotReady, $"The model '{model}' lacks its file '{file}', or it is empty.");

    /// <summary>
    /// Puts a whole new bundle in its place, in the place of an older one if there is one, and removes that. On Linux the two are exchanged at once: whoever
    /// looks finds the old bundle or the new one. Elsewhere there is a moment without it, which <see cref="ModelCatalog"/> forgives.
    /// </summary>
    /// <param name="temporary">The new bundle, on the same file system.</param>
    /// <param name="folder">Its place in the models folder.</param>
    public static void Install(string temporary, string folder)
    {
        if (!Directory.Exists(folder))
        {
            Directory.Move(temporary, folder);
        }
        else if (TryExchange(temporary, folder))
        {
            Directory.Delete(temporary, recursive: true);
        }
        else
        {
            var old = temporary + ".old";
            Directory.Move(folder, old);
            try
            {
                Directory.Move(temporary, folder);
            }
            catch
            {
                Directory.Move(old, folder);
                throw;
            }

            Directory.Delete(old, recursive: true);
        }
    }

    private static bool TryExchange(string first, string second)
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        try
        {
            // man 2 renameat2: AT_FDCWD takes paths as they are. Some file systems cannot exchange, and say EINVAL.
            const int WorkingDirectory = -100, Exchange = 2;
            return Rename(WorkingDirectory, first, WorkingDirectory, second, Exchange) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            // musl before 1.2.6 lacks it.
            return false;
        }
    }

    [GeneratedRegex("^" + NameShape + @"\z")]
    private static partial Regex NamePattern();

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc", EntryPoint = "renameat2")]
    private static extern int Rename(int oldFolder, [MarshalAs(UnmanagedType.LPUTF8Str)] string oldPath, int newFolder,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string newPath, uint flags);
}
