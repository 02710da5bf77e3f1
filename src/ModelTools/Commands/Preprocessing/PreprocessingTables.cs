using System.Globalization;
using System.Text;
using Spectre.Console;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Preparation;

namespace Whatsit.ModelTools.Commands.Preprocessing;

/// <summary>What photos told of a model's preprocessing, for a terminal and for the card.</summary>
internal static class PreprocessingTables
{
    /// <summary>The heading in the card.</summary>
    public const string Title = "## How pictures are prepared\n\n";

    /// <summary>A part of the card; nothing where nobody wrote down where the preprocessing comes from.</summary>
    public static string Section(ModelManifest manifest)
    {
        if (manifest.Preprocessing.Evidence is not { } evidence)
        {
            return "";
        }

        var text = new StringBuilder(Title).Append(CultureInfo.InvariantCulture, $"This is {Presets.Words(evidence.Certainty)}: {evidence.Reason}\n");
        foreach (var (title, trials) in Tables(manifest.Preprocessing, evidence))
        {
            var head = Head(title, trials);
            text.Append(CultureInfo.InvariantCulture, $"\n| {string.Join(" | ", head)} |\n|{string.Concat(head.Select(_ => "---|"))}\n");
            foreach (var trial in trials)
            {
                text.Append(CultureInfo.InvariantCulture, $"| {string.Join(" | ", Row(trial, title))} |\n");
            }
        }

        return text.Append(evidence.Tried is null ? "" : $"\n{Explanation(evidence)}\n").ToString();
    }

    /// <summary>The same on a terminal.</summary>
    public static void Show(PreprocessingSpec spec)
    {
        if (spec.Evidence is not { Tried: not null } evidence)
        {
            return;
        }

        foreach (var (title, trials) in Tables(spec, evidence))
        {
            var table = new Table().Border(TableBorder.Rounded);
            foreach (var column in Head(title, trials))
            {
                table.AddColumn(column == title ? new TableColumn(column) : new TableColumn(column).RightAligned());
            }

            foreach (var trial in trials)
            {
                table.AddRow([.. Row(trial, title).Select(Markup.Escape)]);
            }

            AnsiConsole.Write(table);
        }

        AnsiConsole.MarkupLineInterpolated($"{Explanation(evidence)}");
    }

    /// <summary>The best of each scaling, and each crop and resizer of the one that was taken.</summary>
    private static IEnumerable<(string Title, IReadOnlyList<PreprocessingTrial> Trials)> Tables(PreprocessingSpec spec, PreprocessingEvidence evidence)
    {
        if (evidence.Tried is not { } tried)
        {
            yield break;
        }

        PreprocessingTrial[] scalings = [.. tried.DistinctBy(trial => (trial.Scaling, trial.ChannelOrder))];
        var taken = PicturePreparation.Of(spec).Values;
        PreprocessingTrial[] seen = [.. tried.Where(trial => (trial.Scaling, trial.ChannelOrder) == taken)];
        if (scalings.Length > 1 || seen.Length < 2)
        {
            yield return (Scaling, scalings);
        }

        if (seen.Length > 1)
        {
            yield return (Crop, seen);
        }
    }

    private const string Scaling = "Scaling";
    private const string Crop = "Part of the picture, resizer";

    private static string[] Head(string title, IReadOnlyList<PreprocessingTrial> trials) => trials[0].Distance is not null ? [title, "Off by", "Tie"]
        : trials[0].Top1 is null ? [title, "Confidence", "Behind", "Tie"] : [title, "Top-1", "Confidence", "Behind", "Tie"];

    private static string[] Row(PreprocessingTrial trial, string title)
    {
        var name = title == Scaling ? PicturePreparation.WordsOf(trial.Scaling, trial.ChannelOrder)
            : $"{PicturePreparation.WordsOf(trial.Crop, trial.ResizeShortest)}, {trial.Resample}";
        var tie = trial.Tie ? "●" : "";
        if (trial.Distance is { } distance)
        {
            return [name, Number(distance, "0.00"), tie];
        }

        var behind = $"{Number(trial.Behind, "0.000")} ± {Number(trial.Error ?? 0, "0.000")}";
        return trial.Top1 is { } top1 ? [name, Number(top1, "0.0 %"), Number(trial.Confidence ?? 0, "0.000"), behind, tie]
            : [name, Number(trial.Confidence ?? 0, "0.000"), behind, tie];
    }

    private static string Explanation(PreprocessingEvidence evidence) => evidence.Tried![0].Distance is not null
        ? "Off by: how far the first layer's results are from mean and deviation that training recorded, in deviations."
        : evidence.Labelled == true
            ? "Confidence: the mean probability of the labels. Behind: in −log of that probability at the temperature that suits each, with its standard " +
                "error; ● is within two of them of the best, a tie."
            : "Confidence: the mean probability of the answers. Behind: in divergence of answers from their mean, with its standard error; ● is a tie.";

    private static string Number(double number, string format) => number.ToString(format, CultureInfo.InvariantCulture);
}
