using System.IO.Compression;
using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelConversion;

/// <summary>A zip as Teachable Machine and others hand it out, the model with its labels, unpacked to a folder that goes away afterwards.</summary>
internal sealed class ModelArchive : IDisposable
{
    private const long Largest = 4L << 30;
    private const int MostFiles = 4096;

    private readonly string? _folder;

    private ModelArchive(string path, string? folder) => (Path, _folder) = (path, folder);

    /// <summary>Where the model is: in the unpacked folder, or where it was all along.</summary>
    public string Path { get; }

    /// <summary>Unpacks what is a zip and no model itself (a <c>.keras</c> file is one).</summary>
    public static ModelArchive Open(string path)
    {
        if (!ModelFile.Exists(path) || !IsZip(path) || ModelReaders.All().Any(reader => reader.CanRead(path)))
        {
            return new ModelArchive(path, null);
        }

        var folder = Directory.CreateTempSubdirectory("whatsit-").FullName;
        try
        {
            Unpack(path, folder);
            var inner = folder;
            while (!Directory.EnumerateFiles(inner).Any() && Directory.GetDirectories(inner) is [var only])
            {
                inner = only;
            }

            if (!ModelReaders.All().Any(reader => Directory.EnumerateFiles(inner).Prepend(inner).Any(reader.CanRead)))
            {
                throw new ModelFormatException(
                    $"The zip '{path}' holds no model that can be read: {string.Join(", ", ModelReaders.All().Select(reader => reader.Format))}.");
            }

            return new ModelArchive(inner, folder);
        }
        catch (Exception exception)
        {
            Directory.Delete(folder, recursive: true);
            throw exception is InvalidDataException ? new ModelFormatException($"The zip '{path}' is damaged: {exception.Message}", exception) : exception;
        }
    }

    public void Dispose()
    {
        if (_folder is not null)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static void Unpack(string path, string folder)
    {
        using var archive = ZipFile.OpenRead(path);
        if (archive.Entries.Any(entry => entry.FullName.EndsWith("/data.pkl", StringComparison.Ordinal)))
        {
            throw new ModelFormatException(
                $"'{path}' is a PyTorch checkpoint, which holds Python code: export the model with torch.onnx.export and import the .onnx file.");
        }

        var left = Largest;
        if (archive.Entries.Count > MostFiles)
        {
            throw new ModelFormatException($"The zip '{path}' holds {archive.Entries.Count} files; {MostFiles} are allowed.");
        }

        var buffer = new byte[1 << 16];
        foreach (var entry in archive.Entries.Where(entry => !entry.FullName.EndsWith('/')))
        {
            var target = System.IO.Path.GetFullPath(System.IO.Path.Combine(folder, entry.FullName));
            if (!target.StartsWith(folder + System.IO.Path.DirectorySeparatorChar, StringComparison.Ordinal))
            {
                throw new ModelFormatException($"The zip '{path}' holds '{entry.FullName}', which would lie outside of it.");
            }

            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
            using var from = entry.Open();
            using var to = File.Create(target);
            // What an archive says of its sizes is not believed: bytes are counted as they come.
            for (var read = from.Read(buffer); read > 0; read = from.Read(buffer))
            {
                left -= read;
                if (left < 0)
                {
                    throw new ModelFormatException($"The zip '{path}' unpacks to more than {Largest} bytes.");
                }

                to.Write(buffer.AsSpan(0, read));
            }
        }
    }

    private static bool IsZip(string path)
    {
        Span<byte> start = stackalloc byte[4];
        using var file = File.OpenRead(path);
        return file.ReadAtLeast(start, 4, throwOnEndOfStream: false) == 4 && start.SequenceEqual("PK\u0003\u0004"u8);
    }
}
