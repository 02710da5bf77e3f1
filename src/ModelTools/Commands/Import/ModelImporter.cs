using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>What to import, as which bundle.</summary>
/// <param name="Path">The model's file, folder or zip.</param>
/// <param name="Name">The bundle's name.</param>
/// <param name="Models">The folder with the bundles.</param>
internal sealed record ImportRequest(string Path, string Name, string Models) : ConversionRequest(Path)
{
    public string? Title { get; init; }

    public string? License { get; init; }

    public string? Source { get; init; }

    /// <summary>Everything but the installing.</summary>
    public bool DryRun { get; init; }
}

/// <summary>
/// From a file to a bundle, in three steps that leave nothing behind where one fails:
/// <code>
///   ModelConverter ─► model.onnx, proved ─► BundleWriter ─► manifest, labels, card, sample ─► BundleFolder ─► in place, at once
/// </code>
/// </summary>
internal static class ModelImporter
{
    public static ImportReport Import(ImportRequest request, Action<string> progress)
    {
        var started = TimeProvider.System.GetTimestamp();
        var bundle = new BundleFolder(request.Models, request.Name);
        var temporary = request.DryRun ? Directory.CreateTempSubdirectory("whatsit-").FullName : bundle.NewTemporary();
        try
        {
            using var sample = SamplePicture.Draw();
            var model = ModelConverter.Convert(request, sample, temporary, progress);
            var manifest = BundleWriter.Write(request, model, sample, bundle.NextVersion(), temporary);
            if (request.DryRun)
            {
                Directory.Delete(temporary, recursive: true);
            }
            else
            {
                bundle.Install(temporary);
            }

            return new ImportReport(bundle.Path, model, manifest, TimeProvider.System.GetElapsedTime(started));
        }
        catch when (Directory.Exists(temporary))
        {
            Directory.Delete(temporary, recursive: true);
            throw;
        }
    }
}

/// <summary>What was imported.</summary>
internal sealed record ImportReport(string Folder, ConvertedModel Model, ModelManifest Manifest, TimeSpan Elapsed);
