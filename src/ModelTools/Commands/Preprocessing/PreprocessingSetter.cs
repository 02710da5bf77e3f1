using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Quantize;

namespace Whatsit.ModelTools.Commands.Preprocessing;

/// <summary>What became of a bundle.</summary>
/// <param name="Manifest">Its manifest, as it is or would be.</param>
/// <param name="Sentences">What else is to be known.</param>
internal sealed record PreprocessingReport(ModelManifest Manifest, IReadOnlyList<string> Sentences);

/// <summary>
/// Gives a bundle that is there the preprocessing that photos speak for. Where its network has another scaling in it, the network is written anew; what was
/// made or measured with other pictures goes. A copy is changed, proved, and takes the bundle's place at once.
/// </summary>
internal static class PreprocessingSetter
{
    // What rounding makes of the same numbers in another order.
    private const float LargestDifference = 1e-3f;

    /// <summary>Tries, chooses, and changes the bundle.</summary>
    public static async Task<PreprocessingReport> SetAsync(string folder, PreprocessingRequest request, bool dryRun, Action<string> progress,
        CancellationToken cancellationToken)
    {
        var manifest = Bundle.ReadManifest(folder);
        var own = PicturePreparation.Of(manifest.Preprocessing);
        var choice = await Task.Run(() => PreprocessingTrials.Choose(manifest, folder, null, request, progress, cancellationToken), cancellationToken);
        var changed = manifest with { Preprocessing = choice.Chosen.With(manifest.Preprocessing) with { Evidence = choice.Evidence } };
        List<string> sentences = choice.Chosen == own ? [] : [$"It was {own.Words}."];
        if (dryRun)
        {
            return new(changed, [.. sentences, "Nothing was changed: a dry run."]);
        }

        progress("Changing the bundle");
        return await ChangeAsync(folder, manifest, changed, own, choice.Chosen, sentences, cancellationToken);
    }

    /// <summary>Gives the bundle the crop and resizer that its owner says.</summary>
    public static Task<PreprocessingReport> SetAsync(string folder, ModelManifest manifest, PreprocessingSpec spec, CancellationToken cancellationToken)
    {
        var (own, chosen) = (PicturePreparation.Of(manifest.Preprocessing), PicturePreparation.Of(spec));
        var evidence = spec.Evidence is null ? null
            : new PreprocessingEvidence(spec.Evidence.Certainty, $"{PreparationChoice.Reason(spec.Evidence)} Crop and resizer were set by hand.");
        return ChangeAsync(folder, manifest, manifest with { Preprocessing = spec with { Evidence = evidence } }, own, chosen,
            chosen == own ? [] : [$"It was {own.Words}."], cancellationToken);
    }

    private static async Task<PreprocessingReport> ChangeAsync(string folder, ModelManifest manifest, ModelManifest changed, PicturePreparation own,
        PicturePreparation chosen, List<string> sentences, CancellationToken cancellationToken)
    {
        if (chosen == own)
        {
            ManifestEdit.Apply(folder, json => ManifestEdit.Member(json, "preprocessing")["evidence"] = Evidence(changed.Preprocessing));
            CardSection.Put(folder, changed, PreprocessingTables.Title, PreprocessingTables.Section(changed));
            return new(changed, sentences);
        }

        var temporary = new BundleFolder(Path.GetDirectoryName(Path.GetFullPath(folder))!, manifest.Name).NewTemporary();
        try
        {
            Copy(folder, temporary);
            changed = chosen.Values == own.Values ? changed : Rescale(manifest, changed, own, chosen, temporary, sentences);
            if (changed.Metrics is not null || changed.Abstain is not null)
            {
                sentences.Add("Its figures were measured with other pictures and are gone: whatsit evaluate and whatsit abstain measure anew.");
            }

            DropMeasured(changed, temporary);
            changed = changed with { Metrics = null, Abstain = null, Output = changed.Output with { Temperature = null } };
            changed = await AbstainSetter.RecordAsync(changed, temporary, VariantBuilder.FullOf(changed), cancellationToken);
            Write(temporary, changed);
            Describe(temporary, manifest.Preprocessing, changed.Preprocessing);
            Bundle.Install(temporary, folder);
            return new(Bundle.ReadManifest(folder), sentences);
        }
        finally
        {
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }

    /// <summary>Writes the network with another scaling in it, and takes out its copies in other forms.</summary>
    private static ModelManifest Rescale(ModelManifest manifest, ModelManifest changed, PicturePreparation own, PicturePreparation chosen, string folder,
        List<string> sentences)
    {
        if (manifest.Input.ElementType == InputElementType.Float32)
        {
            return changed; // the manifest scales
        }

        var full = VariantBuilder.FullOf(manifest);
        var path = Bundle.PathOf(folder, manifest.Files[full].File);
        var sample = Pixels(changed, folder);
        float[] expected;
        using (var network = new TrialNetwork(manifest, path))
        {
            expected = network.Run(sample, chosen.Numbers);
        }

        var graph = new OnnxReader().Read(path).Graph;
        BytesFront.Rescale(graph, manifest.Input, chosen.Numbers.Instead(own.Numbers));
        OnnxWriter.Write(graph, path);
        var files = manifest.Files.Where(file => file.Key == ModelConverter.FloatInput || file.Key == full)
            .ToDictionary(file => file.Key, file => file.Key == full ? Bundle.Describe(folder, file.Value.File) : file.Value);
        changed = changed with { Files = files, Tfjs = null, Proof = null };
        using (var network = new TrialNetwork(changed, path))
        {
            var actual = network.Run(sample, chosen.Numbers);
            if (expected.Zip(actual, (one, other) => Math.Abs(one - other)).Max() is var difference && !(difference <= LargestDifference))
            {
                throw new ModelFormatException($"The network with the other scaling in it answers otherwise by {difference:0.######}. Nothing was changed.");
            }
        }

        foreach (var (_, file) in manifest.Files.Where(file => !files.ContainsKey(file.Key)))
        {
            File.Delete(Bundle.PathOf(folder, file.File));
        }

        foreach (var file in manifest.Tfjs ?? [])
        {
            File.Delete(Bundle.PathOf(folder, file.File));
        }

        if (manifest.Files.Count > files.Count || manifest.Tfjs is not null)
        {
            sentences.Add("Its reduced variants and exports had the old scaling in them and are gone: whatsit quantize and whatsit export make new ones.");
        }

        return changed;
    }

    private static byte[] Pixels(ModelManifest manifest, string folder)
    {
        var tensor = new byte[manifest.Input.ByteLength];
        var preprocessor = new Preprocessor(manifest.Preprocessing, manifest.Input);
        if (manifest.Sample is not { } sample)
        {
            new Random(1).NextBytes(tensor);
            return tensor;
        }

        using var image = ImageDecoders.Create(new DecodingOptions()).Decode(File.ReadAllBytes(Bundle.PathOf(folder, sample.File)), preprocessor.ShrinkTo);
        preprocessor.Process(image, tensor);
        return tensor;
    }

    private static void DropMeasured(ModelManifest manifest, string folder)
    {
        if (manifest.Abstain?.Vectors is { } vectors)
        {
            File.Delete(Bundle.PathOf(folder, vectors.File));
        }
    }

    private static void Write(string folder, ModelManifest manifest)
    {
        ManifestEdit.Apply(folder, json =>
        {
            var written = JsonSerializer.SerializeToNode(manifest, ManifestJson.Default.ModelManifest)!.AsObject();
            foreach (var name in (string[])["preprocessing", "files", "sample", "output"])
            {
                json[name] = written[name]?.DeepClone();
            }

            foreach (var gone in (string[])["metrics", "abstain"])
            {
                json.Remove(gone);
            }

            foreach (var gone in ((string[])["tfjs", "proof"]).Where(gone => written[gone] is null))
            {
                json.Remove(gone);
            }

            ManifestEdit.RaiseVersion(json);
        });
        CardSection.Put(folder, manifest, PreprocessingTables.Title, PreprocessingTables.Section(manifest));
        AbstainWriter.UpdateCard(folder, manifest);
    }

    /// <summary>Where the card says how pictures are prepared, it says the new way.</summary>
    private static void Describe(string folder, PreprocessingSpec before, PreprocessingSpec after)
    {
        var card = Path.Combine(folder, "README.md");
        File.WriteAllText(card, File.ReadAllText(card).Replace(ModelCard.Describe(before), ModelCard.Describe(after), StringComparison.Ordinal));
    }

    private static JsonNode? Evidence(PreprocessingSpec spec) => spec.Evidence is null ? null
        : JsonSerializer.SerializeToNode(spec.Evidence, ManifestJson.Default.PreprocessingEvidence);

    private static void Copy(string from, string to)
    {
        foreach (var folder in Directory.EnumerateDirectories(from, "*", SearchOption.AllDirectories).Prepend(from))
        {
            Directory.CreateDirectory(Path.Combine(to, Path.GetRelativePath(from, folder)));
        }

        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            File.Copy(file, Path.Combine(to, Path.GetRelativePath(from, file)));
        }
    }
}
