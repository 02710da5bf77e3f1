using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Quantize;
using Whatsit.ModelTools.Commands.Train;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Abstain;

/// <summary>The photos that tell a model what it knows and what it does not.</summary>
/// <param name="Images">Photos of its classes, labelled, which it was not trained on.</param>
internal sealed record AbstainRequest(string Images)
{
    /// <summary>Other photos of its classes to compare with, such as those that it was trained on.</summary>
    public string? Known { get; init; }

    /// <summary>Photos of other things.</summary>
    public string? Others { get; init; }

    /// <summary>The share of photos of the classes that may be refused.</summary>
    public double Refuse { get; init; } = 0.05;

    /// <summary>Where answers are remembered.</summary>
    public string? Cache { get; init; }
}

/// <summary>
/// Gives a bundle that is there a temperature, a score of doubt and a threshold, all measured with its best weights; its recorded answers follow.
/// </summary>
internal static class AbstainSetter
{
    /// <summary>Measures, chooses, and writes it into the manifest and the card.</summary>
    public static async Task<AbstainChoice> SetAsync(string folder, AbstainRequest request, Action<TrainingStep> progress, CancellationToken cancellationToken)
    {
        var manifest = Bundle.ReadManifest(folder);
        var classes = Labels.Read(Bundle.PathOf(folder, manifest.Labels));
        var variant = VariantBuilder.FullOf(manifest);
        var (own, known, others) = await SeeAsync(manifest, folder, variant, classes, request, progress, cancellationToken);
        progress(new TrainingStep("Choosing temperature and doubt"));
        var output = manifest.Output with
        {
            Temperature = Calibration.Temperature([.. own.Select(photo => photo.Scores)], [.. own.Select(photo => photo.Label!.Value)], manifest.Output.Kind),
        };
        var choice = AbstainChoice.Choose(output, classes.Count, own, known, others, request.Refuse);

        // Under a name that no manifest has: the bundle is served as it was until everything is proved.
        var temporary = TemporaryName.New(folder, AbstainWriter.VectorsFile);
        ModelManifest changed;
        try
        {
            var written = AbstainWriter.Write(choice, own.Count, others.Count, folder, temporary);
            progress(new TrainingStep("Recording the sample's answer"));
            changed = await RecordAsync(manifest with { Output = output, Abstain = written }, folder, variant, cancellationToken);
            if (written.Vectors is { } vectors)
            {
                File.Move(Path.Combine(folder, temporary), Path.Combine(folder, AbstainWriter.VectorsFile), overwrite: true);
                changed = changed with { Abstain = written with { Vectors = vectors with { File = AbstainWriter.VectorsFile } } };
            }
        }
        finally
        {
            File.Delete(Path.Combine(folder, temporary));
        }

        ManifestEdit.Apply(folder, json =>
        {
            ManifestEdit.Member(json, "output")["temperature"] = output.Temperature;
            json["abstain"] = JsonSerializer.SerializeToNode(changed.Abstain, ManifestJson.Default.AbstainSpec);
            if (changed.Sample is { } sample)
            {
                ManifestEdit.Member(json, "sample")["predictions"] = Predictions(sample.Predictions);
            }

            foreach (var (name, file) in changed.Files)
            {
                var entry = ManifestEdit.Member(ManifestEdit.Member(json, "files"), name);
                entry.Remove("predictions");
                if (file.Predictions is { } predictions)
                {
                    entry["predictions"] = Predictions(predictions);
                }
            }

            // The confidences are others now.
            foreach (var (_, figures) in json["metrics"] as JsonObject ?? [])
            {
                (figures as JsonObject)?.Remove("calibration_error");
            }

            ManifestEdit.RaiseVersion(json);
        });
        AbstainWriter.UpdateCard(folder, changed);
        return choice;

        static JsonNode? Predictions(IReadOnlyList<Prediction> predictions) =>
            JsonSerializer.SerializeToNode(predictions, ManifestJson.Default.IReadOnlyListPrediction);
    }

    private static async Task<(IReadOnlyList<Evidence> Own, IReadOnlyList<Evidence>? Known, IReadOnlyList<Evidence> Others)> SeeAsync(ModelManifest manifest,
        string folder, string variant, IReadOnlyList<ClassLabel> classes, AbstainRequest request, Action<TrainingStep> progress,
        CancellationToken cancellationToken)
    {
        string[] outputs = [.. ((string?[])[manifest.Output.Name, manifest.Output.Logits, manifest.Output.Embedding]).OfType<string>()];
        var logits = manifest.Output.Kind == OutputKind.Logits ? 0 : manifest.Output.Logits is null ? -1 : 1;
        var embedding = manifest.Output.Embedding is null ? -1 : outputs.Length - 1;
        using var embedder = new Embedder(manifest, folder, variant, outputs, request.Cache);
        return (
            await See(TrainingPhotos.ReadKnown(request.Images, classes), "Photos of the classes"),
            request.Known is null ? null : await See(TrainingPhotos.ReadKnown(request.Known, classes), "Photos to compare with"),
            request.Others is null ? [] : await See(LabelledPhotos.ReadOthers(request.Others), "Photos of other things"));

        async Task<IReadOnlyList<Evidence>> See(IReadOnlyList<LabelledPhoto> photos, string what)
        {
            var (seen, _) = await embedder.RunAsync(photos, 0, what, progress, cancellationToken);
            return [.. seen.Select(photo => new Evidence(photo.Outputs[0], logits < 0 ? null : photo.Outputs[logits],
                embedding < 0 ? null : photo.Outputs[embedding], photo.Photo.Label))];
        }
    }

    /// <summary>The manifest with what the model now answers to its own sample, which every variant must repeat.</summary>
    public static async Task<ModelManifest> RecordAsync(ModelManifest manifest, string folder, string full, CancellationToken cancellationToken)
    {
        if (manifest.Sample is not { } sample)
        {
            return manifest;
        }

        using var evaluator = new Evaluator();
        var picture = await File.ReadAllBytesAsync(Bundle.PathOf(folder, sample.File), cancellationToken);
        using (var lease = evaluator.Load(manifest, folder, full))
        {
            var answer = await evaluator.Classifier.ClassifyAsync(lease.Model, picture, ClassifyOptions.For(lease.Model), cancellationToken);
            manifest = manifest with { Sample = sample with { Predictions = answer.Predictions } };
        }

        var files = new Dictionary<string, BundleFile>(manifest.Files) { [full] = manifest.Files[full] with { Predictions = null } };
        foreach (var variant in manifest.Files.Keys.Where(name => name != full))
        {
            using (var lease = evaluator.Load(manifest, folder, variant))
            {
                files[variant] = files[variant] with { Predictions = await VariantBuilder.OwnAnswerAsync(evaluator, lease.Model, cancellationToken) };
            }

            using var proved = evaluator.Load(manifest with { Files = files }, folder, variant);
            await evaluator.SelfTestAsync(proved.Model, cancellationToken);
        }

        return manifest with { Files = files };
    }
}
