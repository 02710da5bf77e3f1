using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Postprocessing;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>Describes a converted model: what a bundle holds beside the network's files.</summary>
internal static class BundleWriter
{
    private static JsonSerializerOptions ProofJson { get; } = new();

    /// <summary>Writes labels, sample, manifest and card into the folder that holds the converted files.</summary>
    public static ModelManifest Write(ImportRequest request, ConvertedModel model, RgbImage sample, string version, string folder)
    {
        var manifest = new ModelManifest
        {
            Name = request.Name,
            Version = version,
            Title = request.Title ?? ModelCard.Title(request.Name),
            Description = $"An image classifier with {Counted.Of(model.Labels.Count, "class", "classes")}.",
            License = request.License,
            Source = request.Source ?? $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(request.Path)))} ({model.Format})",
            Files = model.Files,
            Input = model.Input,
            Preprocessing = model.Preprocessing,
            Output = model.Output,
            Sample = new SampleSpec(SamplePicture.FileName, Best(model)),
            Proof = JsonSerializer.SerializeToElement(new JsonObject { ["largest_difference"] = model.LargestDifference, ["inputs"] = model.ProofInputs },
                ProofJson),
        };
        SamplePicture.Write(sample, folder);
        File.WriteAllLines(Path.Combine(folder, "labels.txt"), model.Labels);
        File.WriteAllText(Path.Combine(folder, Bundle.ManifestFile), JsonSerializer.Serialize(manifest, ManifestJson.Default.ModelManifest) + "\n");
        File.WriteAllText(Path.Combine(folder, "README.md"), ModelCard.Write(manifest, model));
        return manifest;
    }

    /// <summary>The five best labels of the sample.</summary>
    private static Prediction[] Best(ConvertedModel model)
    {
        float[] probabilities = [.. model.SampleScores];
        if (model.Output.Kind == OutputKind.Logits)
        {
            Softmax.Apply(probabilities);
        }

        var best = new int[Math.Min(5, probabilities.Length)];
        TopK.Select(probabilities, best);
        return [.. best.Select(index => new Prediction(model.Labels[index].Split('\t')[0], index, probabilities[index]))];
    }
}
