using System.Text;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Preprocessing;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>The bundle's <c>README.md</c>.</summary>
internal static class ModelCard
{
    public static string Write(ModelManifest manifest, ConvertedModel model)
    {
        var card = new StringBuilder();
        card.AppendLine($"# {manifest.Title}").AppendLine();
        card.AppendLine(manifest.Description).AppendLine();
        card.AppendLine("| | |").AppendLine("|---|---|");
        card.AppendLine($"| Source | {manifest.Source} |");
        card.AppendLine($"| Licence | {manifest.License ?? "not stated: ask whoever trained it"} |");
        card.AppendLine($"| Network | {model.Network}, {Counted.Of(model.Parameters, "parameter")} |");
        foreach ((var variant, var file) in manifest.Files)
        {
            card.AppendLine($"| {variant} | `{file.File}`, {Size(file.Bytes)} |");
        }

        card.AppendLine($"| Input | `{manifest.Input.Name}`: uint8 pixels, RGB, {manifest.Input.Width} × {manifest.Input.Height} |");
        card.AppendLine($"| Preprocessing | {Describe(manifest.Preprocessing)} |");
        card.AppendLine(
            $"| Output | `{manifest.Output.Name}`{(manifest.Output.Embedding is null ? "" : ", `embedding`")}{(manifest.Output.Features is null ? "" : ", `features`")} |");
        card.AppendLine().Append(PreprocessingTables.Section(manifest));
        card.AppendLine().AppendLine("## Proof").AppendLine();
        card.AppendLine(
            $"On {Counted.Of(model.ProofInputs, "picture")} the converted model and the original differ by at most {model.LargestDifference:0.#######}. " +
            $"For `sample.png` it answers:").AppendLine();
        card.AppendLine("| Label | Confidence |").AppendLine("|---|---|");
        foreach (var prediction in manifest.Sample!.Predictions)
        {
            card.AppendLine($"| {prediction.Label.Replace("|", "\\|", StringComparison.Ordinal)} | {prediction.Confidence:0.0000} |");
        }

        card.AppendLine().Append(AbstainWriter.Section(manifest));
        card.AppendLine().AppendLine("## Notes from the import").AppendLine();
        foreach (var note in model.Notes)
        {
            card.AppendLine($"- {note}");
        }

        return card.ToString();
    }

    /// <summary>The preprocessing as a sentence.</summary>
    public static string Describe(PreprocessingSpec spec)
    {
        var crop = spec.Crop switch
        {
            Crop.CenterSquare => "the centre square, resized",
            Crop.ResizeThenCenter => $"shorter side to {spec.ResizeShortest}, then the centre",
            _ => "the whole picture, squashed",
        };
        var order = spec.ChannelOrder == ChannelOrder.Bgr ? ", blue first" : "";
        var rescale = spec.RescaleFactor == 1 ? "pixels as they are" : $"pixel × {spec.RescaleFactor:0.#######}";
        var mean = spec.ImageMean.All(value => value == 0) ? "" : $" − {Numbers(spec.ImageMean)}";
        var std = spec.ImageStd.All(value => value == 1) ? "" : $", ÷ {Numbers(spec.ImageStd)}";
        return $"{crop} ({spec.Resample}); {rescale}{mean}{std}{order}";
    }

    /// <summary>A bundle's name as people read it.</summary>
    public static string Title(string name) => char.ToUpperInvariant(name[0]) + name[1..].Replace('_', ' ').Replace('-', ' ');

    /// <summary>A file's size for people.</summary>
    public static string Size(long bytes) => bytes < 100_000 ? $"{bytes / 1e3:0.0} kB" : $"{bytes / 1e6:0.00} MB";

    private static string Numbers(IReadOnlyList<double> values) =>
        values.Distinct().Count() == 1 ? $"{values[0]:0.#######}" : $"[{string.Join(", ", values.Select(value => $"{value:0.#######}"))}]";
}
