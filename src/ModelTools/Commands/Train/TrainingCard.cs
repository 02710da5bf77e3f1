using System.Text;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Preprocessing;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>The <c>README.md</c> of a bundle that was trained here.</summary>
internal static class TrainingCard
{
    private const int MostClasses = 20;

    public static string Write(ModelManifest manifest, EvaluationResult evaluation, DataQuality quality, TrainingFacts facts, CrossValidated chosen)
    {
        var figures = evaluation.Figures;
        var card = new StringBuilder();
        card.AppendLine($"# {manifest.Title}").AppendLine().AppendLine(manifest.Description).AppendLine();
        card.AppendLine("| | |").AppendLine("|---|---|");
        card.AppendLine($"| Source | {manifest.Source} |");
        card.AppendLine($"| Licence | {manifest.License ?? "not stated: that of the photos and of the base"} |");
        card.AppendLine($"| Network | {evaluation.Variants[0].Network}, {Counted.Of(evaluation.Variants[0].Parameters, "parameter")} |");
        card.AppendLine($"| Input | `{manifest.Input.Name}`: {manifest.Input.Width} × {manifest.Input.Height}; {ModelCard.Describe(manifest.Preprocessing)} |");
        string?[] outputs = [manifest.Output.Name, manifest.Output.Embedding, manifest.Output.Features, manifest.Output.Logits];
        card.AppendLine($"| Output | {string.Join(", ", outputs.OfType<string>().Select(output => $"`{output}`"))} |");
        card.AppendLine().AppendLine("## Figures").AppendLine();
        card.AppendLine($"On {Counted.Of(figures.Labelled.Count, "photo")} that it was not trained on ({evaluation.Source}):").AppendLine();
        card.AppendLine("| | |").AppendLine("|---|--:|");
        card.AppendLine($"| Top-1 | {figures.Top1:0.0 %} |");
        card.AppendLine($"| Top-5 | {figures.Top5:0.0 %} |");
        if (figures.CoarseTop1 is { } coarse)
        {
            card.AppendLine($"| Right group | {coarse:0.0 %} |");
        }

        card.AppendLine($"| Calibration error | {figures.CalibrationError:0.0 %} |");
        var crossValidated = chosen.Trials.First(trial => trial.Strength == chosen.Strength);
        card.AppendLine($"| Cross-validated top-1, on photos that were learnt from | {crossValidated.Top1:0.0 %} |");
        card.AppendLine().AppendLine(
            "These photos also chose temperature and threshold, which are one number each. `report.html` has each class, the confusions, and the mistakes as " +
            "pictures.").AppendLine();
        ClassFigures[] weakest = [.. figures.Classes.Where(entry => entry.Photos > 0 && entry.Right < entry.Photos).OrderBy(entry => entry.Recall)
            .Take(MostClasses)];
        if (weakest.Length > 0)
        {
            card.AppendLine("| Weakest classes | Photos | Right |").AppendLine("|---|--:|--:|");
            foreach (var entry in weakest)
            {
                card.AppendLine($"| {entry.Class.Label.Replace("|", "\\|", StringComparison.Ordinal)} | {entry.Photos} | {entry.Right} |");
            }

            card.AppendLine();
        }

        card.AppendLine("## Recipe").AppendLine();
        var copies = facts.Copies > 0 ? $" and {Counted.Of(facts.Copies, "copy", "copies")} of each, cropped and mirrored" : "";
        var head = $"a softmax regression on the embeddings of {Counted.Of(facts.Photos, "photo")}{copies}, " +
            $"found by L-BFGS in {Counted.Of(facts.Iterations, "step")} " +
            $"(loss {facts.Loss:0.0000}); cross-validation in five parts chose C = {1 / facts.Strength:0.###} for embeddings of a mean length of 1";
        var end = $"Its logits are divided by a temperature of {facts.Temperature:0.###}, in the weights. Seed {facts.Seed}; {facts.Seconds:0} s.";
        if (facts.FineTuned is { } tuned)
        {
            Tuned(card, facts.Base, head, end, tuned);
        }
        else
        {
            card.AppendLine($"Everything up to the embedding is `{facts.Base}`, unchanged. The last layer is {head}. {end}").AppendLine();
        }

        card.Append(PreprocessingTables.Section(manifest)).AppendLine().Append(AbstainWriter.Section(manifest)).AppendLine();
        card.AppendLine("## Photos").AppendLine();
        card.AppendLine(quality.Few.Count == 0 ? $"- Every class has {DataQuality.FewestPhotos} photos or more to learn from."
            : $"- Too few photos to learn from: {string.Join(", ", quality.Few.Select(entry => $"{entry.Class.Label} ({entry.Photos})"))}.");
        card.AppendLine($"- {Counted.Of(quality.Duplicates.Count, "photo")} that judged looks nearly the same as one that was learnt from.");
        card.AppendLine($"- {Counted.Of(quality.Suspects.Count, "photo")} may have a wrong label.");
        return card.ToString();
    }

    private static void Tuned(StringBuilder card, string network, string head, string end, FineTuned tuned)
    {
        var recipe = tuned.Recipe;
        var larger = recipe.LastSide > 0 ? $"to {recipe.LastSide} " : "";
        card.AppendLine(
            $"It begins as `{network}` with a last layer that is {head}. Then every layer was trained for {tuned.History[^1].Epoch} of " +
            $"{Counted.Of(recipe.Epochs, "epoch")}: " +
            (recipe.Relu ? "ReLU in the place of ReLU6; " : "") +
            (recipe.FirstSide == 0 ? "" : recipe.FirstSide == recipe.LastSide ? $"photos of {recipe.LastSide} pixels; "
                : $"photos of {recipe.FirstSide} pixels at first, growing {larger}with CutMix and mixup; ") +
            (recipe.Cycles > 1 ? $"{recipe.Cycles} cycles, each from the mean of the weights and with 0.7 of the rates before; " : "") +
            $"AdamW (weight decay {recipe.WeightDecay:0.###}, none on biases), learning rates {recipe.BackboneRate:0.#####} and, for the last " +
            $"layer, {recipe.HeadRate:0.#####}, warm-up, cosine to 1 %, gradient clip {recipe.ClipNorm:0.#}, batch {recipe.Batch}, label smoothing " +
            $"{recipe.Smoothing:0.##}, dropout {recipe.Dropout:0.##}; random resized crop (area from {recipe.SmallestCrop:0.##}), flip, brightness, contrast " +
            $"and saturation ±{recipe.Jitter:0.##}, white balance ±{recipe.WhiteBalance:0.##}, CutMix {recipe.CutMix:0.##}, mixup {recipe.MixUp:0.##}. The " +
            $"weights are their mean over steps ({recipe.Average:0.####}) " +
            (tuned.Averaged.Count == 0 ? $"after epoch {tuned.Best}" : $"after epochs {string.Join(", ", tuned.Averaged)}, averaged (a greedy soup)") +
            (tuned.Share < 1 ? $", with {1 - tuned.Share:0 %} of what it began with (WiSE-FT)" : "") +
            $", which the photos that judge chose, too. {end}").AppendLine();
        card.AppendLine("| Epoch | Loss | Top-1 | Cross entropy |").AppendLine("|--:|--:|--:|--:|");
        foreach (var epoch in tuned.History)
        {
            card.AppendLine($"| {epoch.Epoch} | {epoch.Loss:0.0000} | {epoch.Top1:0.0 %} | {epoch.CrossEntropy:0.0000} |");
        }

        card.AppendLine();
    }
}
