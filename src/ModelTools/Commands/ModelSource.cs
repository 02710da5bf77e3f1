using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelTools.Commands;

/// <summary>What people mean by a model on the command line: a bundle by name or folder, or a model file of any format.</summary>
/// <param name="Path">The model file or folder, or the bundle's folder.</param>
/// <param name="Manifest">The manifest, of a bundle.</param>
/// <param name="Reader">The format's reader, of anything else.</param>
internal sealed record ModelSource(string Path, ModelManifest? Manifest, IModelReader? Reader)
{
    /// <summary>Finds it; a bundle's name is the bundle, whatever else has that name (<c>./name</c> is a path).</summary>
    public static ModelSource Find(string model, string models, bool dequantize = false)
    {
        var catalog = ModelFolder.Open(models);
        if (!System.IO.Path.Exists(model) && !catalog.Names.Contains(model))
        {
            throw new ModelFormatException(
                $"There is no file or folder '{model}', and no model of that name in '{catalog.Path}' " +
                $"({(catalog.Names.Count == 0 ? "there is none" : string.Join(", ", catalog.Names))}).");
        }

        var path = catalog.Names.Contains(model) ? catalog.Find(model) : model;
        if (Directory.Exists(path) && IsBundle(path))
        {
            return new ModelSource(path, Bundle.ReadManifest(System.IO.Path.GetFullPath(path)), null);
        }

        (var reader, var found) = ModelReaders.Find(path, new ReadingOptions { Dequantize = dequantize });
        return new ModelSource(found, null, reader);
    }

    /// <summary>The weights of a bundle.</summary>
    public string File(string variant) => Manifest!.Files.TryGetValue(variant, out var file) ? Bundle.PathOf(System.IO.Path.GetFullPath(Path), file.File)
        : throw new ModelFormatException($"The model '{Manifest.Name}' has no variant '{variant}', only {string.Join(", ", Manifest.Files.Keys)}.");

    /// <summary>A TensorFlow.js model is a <c>model.json</c>, too.</summary>
    public static bool IsBundle(string folder)
    {
        var path = System.IO.Path.Combine(folder, Bundle.ManifestFile);
        if (!ModelFile.Exists(path))
        {
            return false;
        }

        using var stream = System.IO.File.OpenRead(path);
        return BundleArchive.IsManifest(stream);
    }
}
