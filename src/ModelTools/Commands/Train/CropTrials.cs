using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>
/// Finds out with which crop and resizer a base's embeddings tell the classes apart best, where its own were only assumed: heads are trained on some of the
/// photos to learn from, and each photo is judged by one that did not see it.
/// </summary>
internal static class CropTrials
{
    // More photos tell no more that matters, and take their time: six ways are 2,400 embeddings.
    private const int MostPhotos = 400;
    private const int MostClasses = 50;

    // As of most networks that are good; one for all ways, so that none has luck with it.
    private static readonly double[] Strength = [0.3];

    public static async Task<PreparationChoice> ChooseAsync(ModelManifest network, string folder, string variant, PreprocessingEvidence assumed,
        IReadOnlyList<LabelledPhoto> photos, TrainRequest request, Action<TrainingStep> progress, CancellationToken cancellationToken)
    {
        var own = PicturePreparation.Of(network.Preprocessing);
        var side = Math.Max(network.Input.Width, network.Input.Height);
        PicturePreparation[] ways = [.. own.Seen(side, [.. ((string[])["pil-bilinear", own.Resample]).Distinct()])];
        var some = Some(photos);
        var seen = new List<IReadOnlyList<Seen>>();
        foreach (var way in ways)
        {
            using var embedder = new Embedder(network with { Preprocessing = way.With(network.Preprocessing) }, folder, variant, [network.Output.Embedding!],
                request.Cache);
            seen.Add((await embedder.RunAsync(some, 0, $"Crop and resizer, {seen.Count + 1} of {ways.Length}", progress, cancellationToken)).Photos);
        }

        // What is decoded at another size may be broken in another way.
        var readable = seen.Select(ofWay => ofWay.Select(photo => photo.Photo)).Aggregate((all, ofWay) => all.Intersect(ofWay)).ToHashSet();
        progress(new TrainingStep("Choosing crop and resizer"));
        var tallies = await Task.Run(() => ways.Zip(seen,
            (way, ofWay) => new Tally(way, Judge([.. ofWay.Where(photo => readable.Contains(photo.Photo))], request.Seed, cancellationToken))).ToArray(),
            cancellationToken);
        return PreparationChoice.ByHeads(own, assumed, tallies, readable.Count);
    }

    /// <summary>As many photos of each class, of as many classes, as are enough.</summary>
    private static LabelledPhoto[] Some(IReadOnlyList<LabelledPhoto> photos)
    {
        IGrouping<int?, LabelledPhoto>[] groups = [.. photos.GroupBy(photo => photo.Label).OrderBy(group => group.Key)];
        var count = Math.Min(groups.Length, MostClasses);
        return [.. Enumerable.Range(0, count).SelectMany(place =>
            LabelledPhotos.Spread([.. groups[(int)((long)place * groups.Length / count)]], MostPhotos / count))];
    }

    private static PhotoScore[] Judge(IReadOnlyList<Seen> seen, int seed, CancellationToken cancellationToken)
    {
        int?[] classes = [.. seen.Select(photo => photo.Photo.Label).Distinct()];
        int[] labels = [.. seen.Select(photo => Array.IndexOf(classes, photo.Photo.Label))];
        var data = new LabelledEmbeddings([.. seen.Select(photo => photo.Outputs[0])], labels, classes.Length);
        var judged = CrossValidation.Run(data, seed: seed, strengths: Strength, cancellationToken: cancellationToken).Probabilities;
        return [.. judged.Zip(labels).Where(photo => photo.First is not null).Select(photo => PhotoScore.Of(photo.First!, photo.Second))];
    }
}
