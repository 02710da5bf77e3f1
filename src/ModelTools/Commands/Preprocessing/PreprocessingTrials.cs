using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelTools.Commands.Quantize;
using Whatsit.ModelTools.Commands.Train;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Preprocessing;

/// <summary>The photos that tell how pictures were prepared.</summary>
/// <param name="Images">Photos with labels.</param>
/// <param name="Unlabelled">Photos without.</param>
/// <param name="IsFixed">Whether the way was asked for and stays, whatever they tell.</param>
/// <param name="Resample">The resizer, where that was asked for.</param>
internal sealed record PreprocessingRequest(string? Images, string? Unlabelled, bool IsFixed = false, string? Resample = null);

/// <summary>
/// Finds out how a network's pictures were prepared, in two rounds, since a scaling shows whatever the crop, and few scalings are left then:
/// <code>
///   each scaling and order, one crop and resizer ─► those that may be right, with each crop and each resizer ─► the best, and what ties with it
/// </code>
/// </summary>
internal static class PreprocessingTrials
{
    // More photos tell no more that matters, and take their time.
    private const int MostPhotos = 100;

    // A round on one crop and resizer leaves out what is three standard errors behind.
    private const double MayBeRight = 3;
    private const int MostFinalists = 4;

    private const string FirstResizer = "pil-bilinear";

    /// <summary>Asks the network of a bundle.</summary>
    /// <param name="manifest">The bundle's manifest.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="stem">The beginning of the original network, where that is at hand.</param>
    /// <param name="request">The photos.</param>
    /// <param name="progress">Told what is done.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    /// <exception cref="ModelConversion.ModelFormatException">There are no photos, or some without a label where they shall have one.</exception>
    public static PreparationChoice Choose(ModelManifest manifest, string folder, StemNetwork? stem, PreprocessingRequest request, Action<string> progress,
        CancellationToken cancellationToken)
    {
        var classes = Labels.Read(Bundle.PathOf(folder, manifest.Labels));
        var photos = LabelledPhotos.Spread(request.Images is { } images ? TrainingPhotos.ReadKnown(images, classes)
            : [.. LabelledPhotos.ReadOthers(request.Unlabelled!).Select(photo => photo with { Label = null })], MostPhotos);
        var own = PicturePreparation.Of(manifest.Preprocessing);
        return request.Images is null && stem is not null
            && ByRecords(manifest, stem, own, photos, progress, cancellationToken) is { } shown ? shown
            : Ask(manifest, folder, own, photos, classes.Count, request, progress, cancellationToken);
    }

    private static PreparationChoice? ByRecords(ModelManifest manifest, StemNetwork stem, PicturePreparation own, IReadOnlyList<LabelledPhoto> photos,
        Action<string> progress, CancellationToken cancellationToken)
    {
        var input = manifest.Input with { ElementType = InputElementType.UInt8, Layout = TensorLayout.Nhwc };
        var preprocessor = new Preprocessor(new PreprocessingSpec
        {
            Crop = own.Crop,
            ResizeShortest = own.ResizeShortest,
            Resample = own.Resample,
            Fidelity = manifest.Preprocessing.Fidelity,
        }, input);
        var pixels = PhotoTrials.Pixels(photos, preprocessor, input.ByteLength, progress, cancellationToken);
        progress("Comparing with the records of the training");
        PicturePreparation[] ways = [.. own.Scaled(stem.Channels, scales: true)];
        return PreparationChoice.ByRecords(own, manifest.Preprocessing.Evidence, ways, stem.Distances(pixels, [.. ways.Select(way => way.Numbers)]),
            pixels.Count);
    }

    private static PreparationChoice Ask(ModelManifest manifest, string folder, PicturePreparation own, IReadOnlyList<LabelledPhoto> photos, int classes,
        PreprocessingRequest request, Action<string> progress, CancellationToken cancellationToken)
    {
        progress("Loading");
        using var network = new TrialNetwork(manifest, Bundle.PathOf(folder, manifest.Files[VariantBuilder.FullOf(manifest)].File));
        var trials = new PhotoTrials(network, manifest.Preprocessing.Fidelity);
        var evidence = manifest.Preprocessing.Evidence;
        PicturePreparation[] scalings = [.. (own with { Resample = request.Resample ?? FirstResizer }).Scaled(network.Channels, network.Scales)];
        var (first, read) = trials.Run(photos, scalings, "Scaling", progress, cancellationToken);
        if (request.Images is null)
        {
            return PreparationChoice.ByAnswers(own, evidence, first, read);
        }

        PicturePreparation[] finalists = [.. PreparationChoice.Tied(first, MayBeRight).OrderBy(tally => tally.Loss).Take(MostFinalists)
            .Select(tally => tally.Way)];
        var side = Math.Max(manifest.Input.Width, manifest.Input.Height);
        PicturePreparation[] ways = [.. finalists.SelectMany(way => (own with { Scaling = way.Scaling, Numbers = way.Numbers }).Seen(side))
            .Where(way => request.Resample is null || way.Resample == request.Resample).Append(own).Except(scalings)];
        var (second, _) = trials.Run(photos, ways, "Crop and resizer", progress, cancellationToken);
        return PreparationChoice.ByLabels(own, evidence, [.. second, .. first], read, classes, request.IsFixed);
    }
}
