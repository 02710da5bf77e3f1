using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelTools.Commands.Preprocessing;

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

    /// <summary>Photos of its classes with labels, which tell how pictures were prepared.</summary>
    public string? Images { get; init; }

    /// <summary>Photos without labels, which do, too, if less surely.</summary>
    public string? Unlabelled { get; init; }

    /// <summary>Everything but the installing.</summary>
    public bool DryRun { get; init; }
}

/// <summary>
/// From a file to a bundle, in three steps that leave nothing behind where one fails:
/// <code>
///   ModelConverter ─► model.onnx, proved ─► BundleWriter ─► manifest, labels, card, sample ─► BundleFolder ─► in place, at once
///        ▲                                                              │
///        └──────────── prepared otherwise ◄─── PreprocessingTrials ◄────┘ (photos)
/// </code>
/// </summary>
internal static class ModelImporter
{
    public static ImportReport Import(ImportRequest request, Action<string> progress, CancellationToken cancellationToken = default)
    {
        var started = TimeProvider.System.GetTimestamp();
        var bundle = new BundleFolder(request.Models, request.Name);
        var temporary = request.DryRun ? Directory.CreateTempSubdirectory("whatsit-").FullName : bundle.NewTemporary();
        try
        {
            using var sample = SamplePicture.Draw();
            var model = ModelConverter.Convert(request with { LooksAtStem = request.Unlabelled is not null }, sample, temporary, progress);
            var manifest = BundleWriter.Write(request, model, sample, bundle.NextVersion(), temporary);
            if (request.Images is not null || request.Unlabelled is not null)
            {
                model = Prepare(request, model, manifest, sample, temporary, progress, cancellationToken);
                manifest = BundleWriter.Write(request, model, sample, manifest.Version, temporary);
            }

            cancellationToken.ThrowIfCancellationRequested();
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

    /// <summary>The model as the photos say that pictures were prepared for it.</summary>
    private static ConvertedModel Prepare(ImportRequest request, ConvertedModel model, ModelManifest manifest, RgbImage sample, string folder,
        Action<string> progress, CancellationToken cancellationToken)
    {
        var choice = PreprocessingTrials.Choose(manifest, folder, model.Stem,
            new PreprocessingRequest(request.Images, request.Unlabelled, request.Preset is not null, request.Resample), progress, cancellationToken);
        var spec = choice.Chosen.With(model.Preprocessing) with { Evidence = choice.Evidence };
        string[] notes = [.. model.Notes.Where(note => !note.StartsWith(Presets.Note, StringComparison.Ordinal)),
            $"{(choice.Contradicts ? "Warning: " : "")}{Presets.Sentence(choice.Evidence)}"];
        if (choice.Chosen != PicturePreparation.Of(model.Preprocessing))
        {
            Directory.Delete(folder, recursive: true);
            model = ModelConverter.Convert(request with { Preprocessing = spec }, sample, folder, progress);
        }

        return model with { Preprocessing = spec, Notes = notes };
    }
}

/// <summary>What was imported.</summary>
internal sealed record ImportReport(string Folder, ConvertedModel Model, ModelManifest Manifest, TimeSpan Elapsed);
