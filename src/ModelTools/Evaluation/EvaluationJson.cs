using System.Text.Json.Nodes;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>An evaluation for scripts: snake_case names, shares from 0 to 1, times in milliseconds.</summary>
internal static class EvaluationJson
{
    /// <summary>Everything that was counted, and every photo's answer.</summary>
    public static JsonObject Write(EvaluationResult evaluation)
    {
        var figures = evaluation.Figures;
        return new JsonObject
        {
            ["model"] = evaluation.Manifest.Name,
            ["version"] = evaluation.Manifest.Version,
            ["images"] = evaluation.Source,
            ["machine"] = evaluation.Machine,
            ["variants"] = new JsonArray([.. evaluation.Variants.Select(Variant)]),
            ["classes"] = Classes(figures),
            ["confusions"] = new JsonArray([.. figures.Confusions.Select(confusion => new JsonObject
            {
                ["truth"] = confusion.Truth.Index,
                ["answer"] = confusion.Answer.Index,
                ["photos"] = confusion.Photos,
            })]),
            ["calibration"] = new JsonArray([.. figures.Calibration.Select(bin => new JsonObject
            {
                ["from"] = bin.From,
                ["to"] = bin.To,
                ["photos"] = bin.Photos,
                ["confidence"] = bin.Confidence,
                ["accuracy"] = bin.Accuracy,
            })]),
            ["photos"] = new JsonArray([.. figures.Answers.Photos.Select(answer => new JsonObject
            {
                ["file"] = answer.Photo.Name,
                ["truth"] = answer.Photo.Label,
                ["answer"] = answer.Best,
                ["confidence"] = answer.Confidence,
                ["place"] = answer.Photo.Label is null ? null : answer.Place,
                ["abstained"] = answer.Abstained,
                ["certainty"] = answer.Certainty,
            })]),
            ["failures"] =
                new JsonArray([.. figures.Answers.Failures.Select(failure => new JsonObject { ["file"] = failure.Photo.Name, ["problem"] = failure.Problem })]),
        };
    }

    /// <summary>How each class fares.</summary>
    public static JsonArray Classes(Figures figures) => [.. figures.Classes.Select(entry => new JsonObject
    {
        ["index"] = entry.Class.Index,
        ["label"] = entry.Class.Label,
        ["photos"] = entry.Photos,
        ["right"] = entry.Right,
        ["named"] = entry.Named,
        ["recall"] = entry.Recall,
        ["precision"] = entry.Precision,
    })];

    private static JsonObject Variant(VariantRow row)
    {
        var figures = row.Figures;
        return new JsonObject
        {
            ["variant"] = row.Variant,
            ["network"] = row.Network,
            ["parameters"] = row.Parameters,
            ["bytes"] = row.Bytes,
            ["photos"] = figures.Labelled.Count,
            ["top1"] = figures.Top1,
            ["top5"] = figures.Top5,
            ["coarse_top1"] = figures.CoarseTop1,
            ["calibration_error"] = figures.CalibrationError,
            ["abstain"] = figures.Abstention is { } abstention
                ? new JsonObject { ["right_kept"] = abstention.RightKept, ["wrong_caught"] = abstention.WrongCaught } : null,
            ["others"] = row.Others is { } others ? new JsonObject
            {
                ["photos"] = others.Photos,
                ["labelled"] = others.Labelled,
                ["refused"] = others.Refused,
                ["auroc"] = others.Auroc,
            } : null,
            ["agreement"] = row.Agreement is { } agreement ? new JsonObject
            {
                ["same_top1"] = agreement.SameTop1,
                ["largest_difference"] = agreement.LargestDifference,
                ["mean_difference"] = agreement.MeanDifference,
            } : null,
            ["latency"] = new JsonObject(figures.Latencies.Select(latency => KeyValuePair.Create<string, JsonNode?>(latency.Stage, new JsonObject
            {
                ["p50"] = Math.Round(latency.P50, 3),
                ["p90"] = Math.Round(latency.P90, 3),
                ["p99"] = Math.Round(latency.P99, 3),
                ["mean"] = Math.Round(latency.Mean, 3),
            }))),
        };
    }
}
