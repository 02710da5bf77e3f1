using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>What the report of a training shows beside the figures: photos, with what is wrong or telling about them.</summary>
internal static class TrainingGalleries
{
    private const int Most = 36;
    private const int MostMistakes = 12;
    private const int Neighbours = 3;

    public static IReadOnlyList<ReportGallery> Of(EvaluationResult evaluation, DataQuality quality, IReadOnlyList<Seen> learnt, IReadOnlyList<Seen> judged)
    {
        var galleries = new List<ReportGallery>();
        if (quality.Suspects.Count > 0)
        {
            galleries.Add(new ReportGallery($"Probably mislabelled ({quality.Suspects.Count})",
                "Of the photos that were learnt from: what the others say they show, and below it their label. The surest come first.",
                [.. quality.Suspects.Take(Most).Select(suspect => new ReportPicture(suspect.Photo,
                    $"{evaluation.Classes[suspect.Answer].Label} {suspect.Confidence:P0}",
                    $"labelled {evaluation.Classes[suspect.Photo.Label!.Value].Label} ({suspect.OfLabel:P0}) · {suspect.Photo.Name}"))]));
        }

        if (quality.Duplicates.Count > 0)
        {
            galleries.Add(new ReportGallery($"Near-duplicates across the split ({quality.Duplicates.Count})",
                "Photos that judge, each followed by the photo that was learnt from and looks the same to the network. They flatter the figures.",
                [.. quality.Duplicates.Take(Most / 2).SelectMany(pair => (ReportPicture[])
                [
                    new(pair.Judged, $"cosine {pair.Cosine:0.000}", $"judges · {pair.Judged.Name}"), new(pair.Learnt, "", $"learnt from · {pair.Learnt.Name}"),
                ])]));
        }

        var seen = judged.DistinctBy(photo => photo.Photo.Path).ToDictionary(photo => photo.Photo.Path, StringComparer.Ordinal);
        ReportPicture[] neighbours = [.. evaluation.Figures.WorstMistakes.Take(MostMistakes).SelectMany(mistake => (ReportPicture[])
        [
            new(mistake.Photo, $"{evaluation.Classes[mistake.Best].Label} {mistake.Confidence:P0}",
                $"is {evaluation.Classes[mistake.Photo.Label!.Value].Label}"),
            .. DataQuality.Nearest(seen[mistake.Photo.Path], learnt, Neighbours).Select(near =>
                new ReportPicture(near.Photo, evaluation.Classes[near.Photo.Label!.Value].Label, $"looks like it: distance {1 - near.Cosine:0.000}")),
        ])];
        if (neighbours.Length > 0)
        {
            galleries.Add(new ReportGallery("Because it looks like these",
                $"The surest mistakes, each followed by the {Neighbours} photos that were learnt from and look most like it; the distance is 1 less the cosine.",
                neighbours));
        }

        return galleries;
    }
}
