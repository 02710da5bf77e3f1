using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Quantization;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Quantize;

/// <summary>What to make of which bundle.</summary>
/// <param name="Model">The bundle's name or folder.</param>
/// <param name="Models">The folder with the bundles.</param>
/// <param name="To"><c>fp16</c> or <c>int8</c>.</param>
internal sealed record QuantizeRequest(string Model, string Models, string To)
{
    /// <summary>Calibration photos: a folder or list.</summary>
    public string? Calibrate { get; init; }

    /// <summary>How many of them at most.</summary>
    public int CalibrationPhotos { get; init; } = 250;

    /// <summary>The network in fewer bits, where its maker has made it.</summary>
    public Graph? Made { get; init; }

    /// <summary>Photos to judge the variant by; by default a fourth of those for calibration, or else the bundle's own samples.</summary>
    public string? Images { get; init; }

    /// <summary>The photos of <see cref="Calibrate"/>, where they have been read already.</summary>
    public IReadOnlyList<LabelledPhoto>? Given { get; init; }

    /// <summary>The photos of <see cref="Images"/>, where they have been read already; without that, random pictures.</summary>
    public IReadOnlyList<LabelledPhoto>? Judges { get; init; }

    /// <summary>The loss of accuracy that is allowed, from 0 to 1.</summary>
    public double MaxLoss { get; init; } = 0.01;

    /// <summary>The share of photos that may get another answer, from 0 to 1.</summary>
    public double MaxChanged { get; init; } = 0.02;
}

/// <summary>What was made, and whether it was good enough.</summary>
internal sealed record QuantizeReport(
    string JudgedBy, string Folder, string Variant, BundleFile Full, BundleFile Reduced, Figures FullFigures, Figures ReducedFigures, Agreement Agreement,
        IReadOnlyList<Trial> Trials, bool HasOwnAnswer, string? Problem);

/// <summary>
/// A reduced variant of a bundle's weights, installed only where it is good enough:
/// <code>
///   model.onnx ─► fewer bits ─► written beside it ─► recorded answer? ─► measured on photos ─► loss small? ─► named in the manifest, approved
/// </code>
/// </summary>
internal static class VariantBuilder
{
    private const string Full = "fp32";

    // A variant that strays further on the sample than this has changed too much, whatever the photos say.
    private const float LargestDifference = 0.1f;

    /// <summary>Fewer photos say little: of 32, one is 3 %.</summary>
    public const int FewestPhotos = 32;

    // Photos say nothing where the network answers the same to all of them: copies of one, empty ones, noise (0.01 nats apart); photos of one class are 0.4.
    private const double LeastApart = 0.05;

    // One of so many judges where nobody named photos for that.
    private const int HeldOut = 4;

    /// <summary>The variant that the others are made of.</summary>
    public static string FullOf(ModelManifest manifest) => manifest.Files.ContainsKey(Full) ? Full : manifest.Files.Keys.First();

    public static async Task<QuantizeReport> BuildAsync(QuantizeRequest request, Action<string> show, CancellationToken cancellationToken)
    {
        // Looking for the best bits takes minutes, and knows nothing of whoever waits.
        void Progress(string step)
        {
            cancellationToken.ThrowIfCancellationRequested();
            show(step);
        }

        var source = ModelSource.Find(request.Model, request.Models);
        var manifest = source.Manifest
            ?? throw new ModelFormatException($"'{request.Model}' is not a bundle. Import it first: whatsit import {request.Model} --name NAME");
        var folder = Path.GetFullPath(source.Path);
        var fullPath = source.File(Full);
        var classes = Labels.Read(Bundle.PathOf(folder, manifest.Labels));
        if (request.To == "int8" && request.Calibrate is null && request.Made is null)
        {
            throw new ModelFormatException("int8 needs photos to calibrate with, a hundred or more of the kind that it will see: --calibrate FOLDER|LIST.");
        }

        using var evaluator = new Evaluator();
        (var calibration, var measured, var judgedBy) = Divide(request, classes, () => OwnSamples(manifest, folder));

        // 1. Fewer bits.
        Progress($"Reading {Path.GetFileName(fullPath)}");
        var graph = request.Made ?? new OnnxReader().Read(fullPath).Graph;
        IReadOnlyList<Trial> trials = [];
        if (request.To == "int8" && request.Made is null)
        {
            (graph, trials) = StaticQuantizer.Quantize(graph, manifest.Output, Tensors(evaluator, manifest, calibration!, Progress), Progress);
        }
        else if (request.To != "int8")
        {
            HalfPrecision.Apply(graph);
        }

        // 2. Written under a name that no manifest has.
        var name = $"{Path.GetFileNameWithoutExtension(fullPath)}.{request.To}.onnx";
        var temporary = TemporaryName.New(folder, name);
        try
        {
            OnnxWriter.Write(graph, Path.Combine(folder, temporary));

            // 3. Measured through the server's own way.
            var file = Bundle.Describe(folder, temporary);
            var candidate = manifest with { Files = new Dictionary<string, BundleFile>(manifest.Files) { [request.To] = file } };
            var full = await AnswersAsync(evaluator, candidate, folder, Full, measured, Progress, cancellationToken);
            string? problem = null;
            Answers reduced;
            using (var lease = evaluator.Load(candidate, folder, request.To))
            {
                file = file with { Predictions = await OwnAnswerAsync(evaluator, lease.Model, cancellationToken) };
                reduced = await evaluator.RunAsync(lease.Model, measured, Progress, cancellationToken);
            }

            candidate = candidate with { Files = new Dictionary<string, BundleFile>(candidate.Files) { [request.To] = file } };
            using (var lease = evaluator.Load(candidate, folder, request.To))
            {
                try
                {
                    await evaluator.SelfTestAsync(lease.Model, cancellationToken);
                }
                catch (InferenceException exception)
                {
                    problem = exception.Message;
                }
            }

            var agreement = Agreement.Of(full, reduced);
            problem ??= agreement.Photos < Math.Min(measured.Count, FewestPhotos) && agreement.Photos > 0
                ? $"Only {agreement.Photos} of {Counted.Of(measured.Count, "photo")} could be read: {full.Failures[0].Problem}"
                : agreement.Photos == 0 ? $"None of the {Counted.Of(measured.Count, "photo")} could be read: {full.Failures[0].Problem}"
                : measured.Count >= FewestPhotos && Divergence.FromMean([.. full.Photos.Select(photo => photo.Probabilities)], manifest.Output.Kind).Average()
                    is < LeastApart and var apart
                    ? $"The {Counted.Of(agreement.Photos, "photo")} say nothing: {Full} answers all of them alike (they are {apart:0.000} nats apart, and " +
                    $"{LeastApart} are needed). Give photos of several classes with --images."
                : agreement.SameTop1 < 1 - request.MaxChanged
                    ? $"{request.To} answers {1 - agreement.SameTop1:0.0 %} of {Counted.Of(agreement.Photos, "photo")} otherwise than {Full}; the limit is " +
                    $"{request.MaxChanged:0.0 %} (--max-changed)."
                : agreement.Loss > request.MaxLoss
                    ? $"{request.To} loses {agreement.Loss:0.0 %} of accuracy on {Counted.Of(agreement.Photos, "photo")}; the limit is " +
                    $"{request.MaxLoss:0.0 %} (--max-loss)."
                : request.Made is not null && request.Images is null && agreement.LargestDifference > LargestDifference
                    ? $"{request.To} differs from {Full} by up to {agreement.LargestDifference:0.###} on {judgedBy}; {LargestDifference} is the limit."
                : null;

            // 4. Installed.
            cancellationToken.ThrowIfCancellationRequested();
            // Random pictures tell too little for a server to take bytes unasked.
            file = file with { File = name, Approved = request.Made is null || request.Images is not null || request.To == "fp16" };
            if (problem is null)
            {
                File.Move(Path.Combine(folder, temporary), Path.Combine(folder, name), overwrite: true);
                Install(folder, request.To, file, manifest);
            }

            return new QuantizeReport(judgedBy, folder, request.To, manifest.Files[Full], file, new Figures(manifest, classes, full),
                new Figures(manifest, classes, reduced), agreement, trials, file.Predictions is not null, problem);
        }
        finally
        {
            File.Delete(Path.Combine(folder, temporary));
        }
    }

    /// <summary>Which photos set ranges and which judge: never the same, or what was fitted would judge itself.</summary>
    private static (IReadOnlyList<LabelledPhoto>? Calibration, IReadOnlyList<LabelledPhoto> Judges, string JudgedBy) Divide(
        QuantizeRequest request, IReadOnlyList<ClassLabel> classes, Func<IReadOnlyList<LabelledPhoto>> samples)
    {
        var given = request.Calibrate is null ? null : request.Given ?? LabelledPhotos.Read(request.Calibrate, classes);
        if (request.Images is not null)
        {
            var judges = request.Judges ?? LabelledPhotos.Read(request.Images, classes);
            Require(judges.Count, $"'{request.Images}' has");
            var theirs = judges.Select(photo => Path.GetFullPath(photo.Path)).ToHashSet();
            var others = given?.Where(photo => !theirs.Contains(Path.GetFullPath(photo.Path))).ToList();
            return others is []
                ? throw new ModelFormatException(
                $"All photos in '{request.Calibrate}' are in '{request.Images}', too: give other photos to judge by, or leave --images out.")
                : (others is null ? null : LabelledPhotos.Spread(others, request.CalibrationPhotos), judges, $"those in {request.Images}");
        }

        if (given is null)
        {
            return request.Judges is { } random ? (null, random, Counted.Of(random.Count, "random picture")) : (null, samples(), "the bundle's own samples");
        }

        LabelledPhoto[] held = [.. given.Where((_, place) => place % HeldOut == HeldOut - 1)];
        Require(held.Length, $"a fourth of the {Counted.Of(given.Count, "photo")} in '{request.Calibrate}' is");
        return (LabelledPhotos.Spread([.. given.Where((_, place) => place % HeldOut != HeldOut - 1)], request.CalibrationPhotos), held,
            $"a fourth of those in {request.Calibrate}, which did not calibrate");

        static void Require(int count, string what)
        {
            if (count < FewestPhotos)
            {
                throw new ModelFormatException($"At least {FewestPhotos} photos must judge; {what} {count}. Give more with --images.");
            }
        }
    }

    private static async Task<Answers> AnswersAsync(
        Evaluator evaluator, ModelManifest manifest, string folder, string variant, IReadOnlyList<LabelledPhoto> photos, Action<string> progress,
            CancellationToken cancellationToken)
    {
        using var lease = evaluator.Load(manifest, folder, variant);
        return await evaluator.RunAsync(lease.Model, photos, progress, cancellationToken);
    }

    /// <summary>
    /// What the variant says to the sample, where that is further from the recorded answer than its tolerance and still names the same label: then it gets a
    /// recorded answer of its own, and is held to that as strictly. The sample need not look like a photo, and what a network makes of such a picture
    /// moves more than what it was trained for.
    /// </summary>
    public static async Task<IReadOnlyList<Prediction>?> OwnAnswerAsync(Evaluator evaluator, Model model, CancellationToken cancellationToken)
    {
        if (model.Manifest.Sample is not { } sample)
        {
            return null;
        }

        var picture = new LabelledPhoto(Bundle.PathOf(model.Files.Folder, sample.File), sample.File, null);
        var answers = await evaluator.RunAsync(model, [picture], _ => { }, cancellationToken);
        if (answers.Photos is not [var answer] || answer.Best != sample.Predictions[0].Index)
        {
            return null; // the self-test says why
        }

        var difference = sample.Predictions.Max(recorded => Math.Abs(recorded.Confidence - answer.Probabilities[recorded.Index]));
        return difference > sample.Tolerance && difference <= LargestDifference
            ? [.. sample.Predictions.Select(recorded => recorded with { Confidence = answer.Probabilities[recorded.Index] })]
            : null;
    }

    private static List<Tensor> Tensors(Evaluator evaluator, ModelManifest manifest, IReadOnlyList<LabelledPhoto> photos, Action<string> progress)
    {
        var tensors = new List<Tensor>(photos.Count);
        foreach (var photo in photos)
        {
            progress($"Decoding: photo {tensors.Count + 1} of {photos.Count}");
            try
            {
                tensors.Add(evaluator.Prepare(manifest, photo));
            }
            catch (InferenceException exception)
            {
                throw new ModelFormatException($"The calibration photo '{photo.Name}' cannot be used: {exception.Message}", exception);
            }
        }

        return tensors;
    }

    /// <summary>The pictures that come with the bundle: enough to see whether halved weights still answer the same.</summary>
    private static List<LabelledPhoto> OwnSamples(ModelManifest manifest, string folder)
    {
        List<LabelledPhoto> photos = [.. (manifest.Samples ?? [])
            .Select(sample => new LabelledPhoto(Bundle.PathOf(folder, sample.File), sample.File, sample.Index))];
        if (manifest.Sample is { } own)
        {
            photos.Add(new LabelledPhoto(Bundle.PathOf(folder, own.File), own.File, null));
        }

        return photos.Count > 0 ? photos
            : throw new ModelFormatException($"The model '{manifest.Name}' has no sample picture to measure on: give photos with --images FOLDER|LIST.");
    }

    private static void Install(string folder, string variant, BundleFile file, ModelManifest old) => ManifestEdit.Apply(folder, manifest =>
    {
        var before = old.Files.GetValueOrDefault(variant);
        ManifestEdit.Member(manifest, "files")[variant] = JsonSerializer.SerializeToNode(file, ManifestJson.Default.BundleFile);
        if (before?.Sha256 == file.Sha256 && before.Approved == file.Approved)
        {
            return;
        }

        // Old figures are wrong; and from now on a server or a browser may take these weights, whose answers may differ.
        (manifest["metrics"] as JsonObject)?.Remove(variant);
        ManifestEdit.RaiseVersion(manifest);
    });
}
