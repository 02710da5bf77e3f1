using Whatsit.Inference;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Safetensors;

namespace Whatsit.ModelConversion;

/// <summary>
/// What a model came in: a folder, or a zip as Teachable Machine and others hand it out, the model with its labels, unpacked to a folder that goes away
/// afterwards.
/// </summary>
internal sealed class ModelArchive : IDisposable
{
    private const long Largest = 4L << 30;
    private const int MostFiles = 4096;

    // A zip of a zip is common, a third is somebody's accident, and more are made to be.
    private const int DeepestZip = 3;

    // Deeper than any repository keeps its models.
    private const int DeepestFolder = 6;

    private readonly string? _folder;

    private ModelArchive(string path, string root, string? folder) => (Path, Root, _folder) = (path, root, folder);

    /// <summary>Where the model is: in the unpacked folder, or where it was all along.</summary>
    public string Path { get; }

    /// <summary>The folder in which labels may lie, too.</summary>
    public string Root { get; }

    /// <summary>Unpacks what is a zip and no model itself (a <c>.keras</c> file is one), and finds the model in it, or in a folder.</summary>
    /// <param name="path">A model's file, folder or zip.</param>
    /// <param name="file">Which file of a folder or zip is meant, where that is said.</param>
    public static ModelArchive Open(string path, string? file = null)
    {
        if (Directory.Exists(path))
        {
            return new ModelArchive(Locate(path, file, $"folder '{path}'"), path, null);
        }

        if (!ModelFile.Exists(path) || !IsZip(path) || ModelReaders.All().Any(reader => reader.CanRead(path)))
        {
            return file is null ? new ModelArchive(path, Around(System.IO.Path.GetFullPath(path)), null)
                : throw new ModelFormatException($"'{path}' is neither a folder nor a zip, so there is no file '{file}' in it.");
        }

        var folder = Directory.CreateTempSubdirectory("whatsit-").FullName;
        try
        {
            var left = Largest;
            Unpack(path, System.IO.Path.GetFileName(path), folder, ref left, depth: 1);
            return new ModelArchive(Locate(folder, file, $"zip '{path}'"), folder, folder);
        }
        catch (Exception exception)
        {
            Directory.Delete(folder, recursive: true);
            throw exception switch
            {
                InvalidDataException => new ModelFormatException($"The zip '{path}' is damaged: {exception.Message}", exception),
                InferenceException => new ModelFormatException(exception.Message, exception),
                _ => exception,
            };
        }
    }

    public void Dispose()
    {
        if (_folder is not null)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    // Repositories keep their graphs in a folder "onnx", below what describes them.
    private static string Around(string file)
    {
        var folder = System.IO.Path.GetDirectoryName(file)!;
        return System.IO.Path.GetFileName(folder) == "onnx" && HubFolder.Of(System.IO.Path.GetDirectoryName(folder)!) is not null
            ? System.IO.Path.GetDirectoryName(folder)! : folder;
    }

    /// <summary>The one model of a folder, or the folder: the nearest to its top counts.</summary>
    private static string Locate(string folder, string? file, string what)
    {
        if (file is not null)
        {
            var named = System.IO.Path.GetFullPath(System.IO.Path.Combine(folder, file));
            return ModelFile.IsBeside(folder, named) && System.IO.Path.Exists(named) ? named
                : throw new ModelFormatException($"There is no file '{file}' in the {what}.");
        }

        var readers = ModelReaders.All();
        List<string> level = [folder];
        var seen = new List<string>();
        for (var depth = 0; depth <= DeepestFolder && level.Count > 0 && seen.Count < MostFiles; depth++)
        {
            List<string> models = [];
            foreach (var inner in level)
            {
                if (HubFolder.Of(inner)?.Model() is { } graph)
                {
                    models.Add(graph);
                    continue;
                }

                if (readers.Any(reader => reader.CanRead(inner)))
                {
                    models.Add(inner);
                    continue;
                }

                string[] files = [.. Directory.EnumerateFiles(inner).Where(IsPayload).Order(StringComparer.Ordinal).Take(MostFiles)];
                models.AddRange(files.Where(candidate => readers.Any(reader => reader.CanRead(candidate))));
                seen.AddRange(files);
            }

            var found = Checkpoint.BehindNetworks(models);
            if (found is [var only])
            {
                return only;
            }

            if (found.Count > 1)
            {
                throw new ModelFormatException($"The {what} holds several models: {string.Join(", ", found.Select(Relative).Take(12))}" +
                    $"{(found.Count > 12 ? ", …" : "")}. Say with --file which one is meant.");
            }

            level = [.. level.SelectMany(Directory.EnumerateDirectories).Where(IsPayload).Where(inner => new DirectoryInfo(inner).LinkTarget is null)
                .Order(StringComparer.Ordinal).Take(MostFiles)];
        }

        foreach (var candidate in seen)
        {
            Refuse(candidate, what);
        }

        if (HubFolder.Of(folder) is not null)
        {
            throw new ModelFormatException($"The {what} describes a network and holds it in no form that can be read: export it to ONNX " +
                $"(optimum-cli export onnx --model … …, or torch.onnx.export), and import the folder that comes of it.");
        }

        throw new ModelFormatException($"The {what} holds no model that can be read: {string.Join(", ", readers.Select(reader => reader.Format))}.");

        string Relative(string path) => System.IO.Path.GetRelativePath(folder, path).Replace('\\', '/') is var name && name != "." ? name : "the folder itself";
    }

    // Where there is no model, the files say what there is instead.
    private static void Refuse(string path, string what)
    {
        var name = System.IO.Path.GetFileName(path);
        if (name == "saved_model.pb")
        {
            throw ModelReaders.SavedModel($"The {what}");
        }

        if (name.EndsWith(".html", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".htm", StringComparison.OrdinalIgnoreCase))
        {
            throw new ModelFormatException($"The {what} holds a web page ('{name}') and no model: what was saved is the page that shows or offers the " +
                $"model. Download the model itself.");
        }

        Placeholder.Refuse(path);
    }

    private static void Unpack(string path, string shown, string folder, ref long left, int depth)
    {
        var (files, bytes) = ZipFolder.Unpack(path, shown, folder, new ZipLimits(left, MostFiles), archive =>
        {
            if (Placeholder.IsCheckpoint(archive))
            {
                throw Placeholder.Checkpoint(shown);
            }
        });
        left -= bytes;
        // What PyTorch saves is a zip, too, and often lies beside the network.
        List<string> zips = [.. files.Where(file =>
            ModelFile.Exists(file) && IsZip(file) && !Placeholder.IsCheckpoint(file) && !ModelReaders.All().Any(reader => reader.CanRead(file)))];
        foreach (var zip in zips)
        {
            if (depth == DeepestZip)
            {
                throw new ModelFormatException($"The zip '{shown}' holds zips in zips, more than {DeepestZip} deep.");
            }

            // Under its own name, so that a model in it can be named.
            var inner = $"{zip}.unpacked";
            Directory.CreateDirectory(inner);
            Unpack(zip, System.IO.Path.GetFileName(zip), inner, ref left, depth + 1);
            File.Delete(zip);
            if (!System.IO.Path.Exists(System.IO.Path.ChangeExtension(zip, null)))
            {
                Directory.Move(WithoutWrapping(inner), System.IO.Path.ChangeExtension(zip, null));
            }
        }
    }

    // A folder around everything, as the Mac packs it, must not hide a model behind one of another zip: the nearest to the top counts.
    private static string WithoutWrapping(string folder)
    {
        while (Directory.EnumerateFileSystemEntries(folder).Where(IsPayload).Take(2).ToArray() is [var only] && Directory.Exists(only))
        {
            folder = only;
        }

        return folder;
    }

    // Folders of the Mac's own and what starts with a dot are nobody's model.
    private static bool IsPayload(string path) => System.IO.Path.GetFileName(path) is var name && !name.StartsWith('.') && name != "__MACOSX";

    private static bool IsZip(string path)
    {
        Span<byte> start = stackalloc byte[4];
        using var file = File.OpenRead(path);
        return file.ReadAtLeast(start, 4, throwOnEndOfStream: false) == 4 && start.SequenceEqual("PK\u0003\u0004"u8);
    }
}
