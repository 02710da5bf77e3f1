using System.Security.Cryptography;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Evaluate;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Quantize;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>What to learn, from which photos, as which bundle.</summary>
/// <param name="Images">A folder per class, a list, or a folder with IDX files.</param>
/// <param name="Name">The bundle's name.</param>
/// <param name="Base">The bundle whose network is the base, by name or folder.</param>
/// <param name="Models">The folder with the bundles.</param>
internal sealed record TrainRequest(string Images, string Name, string Base, string Models)
{
    /// <summary>The share of each class's photos to judge by.</summary>
    public double ValidationShare { get; init; } = 0.2;

    /// <summary>A folder or list to judge by instead.</summary>
    public string? Validation { get; init; }

    /// <summary>The classes' names in index order.</summary>
    public string? Labels { get; init; }

    /// <summary>At most so many photos of each class.</summary>
    public int? PerClass { get; init; }

    /// <summary>How many changed copies of each photo to learn from, too.</summary>
    public int Copies { get; init; }

    /// <summary>Every class counts the same, however many photos it has.</summary>
    public bool Balanced { get; init; }

    /// <summary>Photos of other things.</summary>
    public string? Others { get; init; }

    /// <summary>The share of photos of the classes that may be refused.</summary>
    public double Refuse { get; init; } = 0.05;

    /// <summary>Decides the split and the parts of cross-validation.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Pictures are prepared as the base says, also where it only assumes that.</summary>
    public bool KeepPreprocessing { get; init; }

    /// <summary>Where embeddings are remembered.</summary>
    public string? Cache { get; init; }

    /// <summary>Reduced variants to make, too.</summary>
    public IReadOnlyList<string> To { get; init; } = [];

    /// <summary>Every layer is trained, not the last one alone.</summary>
    public FineTuningRequest? FineTune { get; init; }

    public string? Title { get; init; }

    public string? License { get; init; }
}

/// <summary>What was learnt, and how good it is.</summary>
internal sealed record TrainReport(string Folder, string ReportPage, ModelManifest Manifest, EvaluationResult Evaluation, CrossValidated Chosen,
    DataQuality Quality, TrainingFacts Facts, IReadOnlyList<QuantizeReport> Reduced, IReadOnlyList<string> Notes);

/// <summary>How it was learnt.</summary>
/// <param name="Base">The bundle that the network came from.</param>
/// <param name="Photos">How many photos were learnt from.</param>
/// <param name="Copies">How many changed copies of each.</param>
/// <param name="Judged">How many photos judged.</param>
/// <param name="Strength">The regularisation: λ times the number of photos.</param>
/// <param name="Loss">The head's loss.</param>
/// <param name="Iterations">How many steps it took.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Seconds">From the first photo to the finished bundle.</param>
internal sealed record TrainingFacts(string Base, int Photos, int Copies, int Judged, double Strength, double Loss, int Iterations, int Seed, double Seconds)
{
    /// <summary>How every layer was trained, if it was.</summary>
    public FineTuned? FineTuned { get; init; }

    /// <summary>What the logits were divided by.</summary>
    public double Temperature { get; init; } = 1;
}

/// <summary>
/// Transfer learning: a network that knows pictures, and a new last layer that knows the classes. Nothing is left behind where a step fails.
/// <code>
///   photos ─1─► learn from, judge by ─2─► embeddings ─3─► head ─4─► model.onnx ─5─► temperature, doubt ─6─► bundle ─7─► judged
///                     └─ crop, resizer ─┘                      └─ every layer ─┘
/// </code>
/// </summary>
internal static class Trainer
{
    private const string Full = "fp32";
    private const string ModelFile = "model.onnx";
    private const string WeightsFile = "classifier.f32";
    private const string ReportFile = "report.html";

    // Judging is one photo at a time, as the server answers.
    private const int MostJudged = 2000;

    public static async Task<TrainReport> RunAsync(TrainRequest request, Action<TrainingStep> progress, CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        var bundle = new BundleFolder(request.Models, request.Name);
        var notes = new List<string>();
        var isShipped = request.Base == ResNet18.Name && !Path.Exists(request.Base) && !ModelFolder.Open(request.Models).Names.Contains(request.Base);
        var source = ModelSource.Find(isShipped ? await ResNet18.BundleAsync(progress, cancellationToken) : request.Base, request.Models);
        var network = source.Manifest
            ?? throw new ModelFormatException($"'{request.Base}' is not a bundle. Import it first: whatsit import {request.Base} --name NAME");
        var embedding = network.Output.Embedding
            ?? throw new ModelFormatException($"The model '{network.Name}' has no embedding, so that nothing can be put on it. Take another one with --base.");
        var program = request.FineTune is null ? null : await FineTuning.RequireAsync(cancellationToken);
        var variant = VariantBuilder.FullOf(network);
        var folder = Path.GetFullPath(source.Path);
        Bundle.Verify(network, folder, network.Files[variant]);

        // 1. Photos. What is learnt from never judges.
        var photos = TrainingPhotos.Read(request.Images, request.Validation, request.Labels, request.PerClass);
        var (toLearn, toJudge) = await Task.Run(() => Divide(photos, request, notes, cancellationToken), cancellationToken);

        // 2. What the base makes of them, prepared as they shall be.
        if (network.Preprocessing.Evidence is { CropAssumed: true } assumed && !request.KeepPreprocessing)
        {
            var choice = await CropTrials.ChooseAsync(network, folder, variant, assumed, toLearn, request, progress, cancellationToken);
            network = network with { Preprocessing = choice.Chosen.With(network.Preprocessing) with { Evidence = choice.Evidence } };
        }

        IReadOnlyList<Seen> learnt, judged, others;
        using (var embedder = new Embedder(network, folder, variant, [embedding], request.Cache))
        {
            learnt = await See(toLearn, request.Copies, "Photos to learn from");
            judged = await See(toJudge, 0, "Photos to judge by");
            others = request.Others is null ? [] : await See(LabelledPhotos.ReadOthers(request.Others), 0, "Photos of other things");

            async Task<IReadOnlyList<Seen>> See(IReadOnlyList<LabelledPhoto> asked, int copies, string what)
            {
                var (seen, failures) = await embedder.RunAsync(asked, copies, what, progress, cancellationToken);
                notes.AddRange(failures.Take(10).Select(failure => $"'{failure.Photo.Name}' was left out: {failure.Problem}"));
                if (failures.Count > 10)
                {
                    notes.Add($"{Counted.Of(failures.Count - 10, "photo")} more were left out.");
                }

                return seen;
            }
        }

        RequireTwoClasses(learnt.Select(photo => photo.Photo));

        // 3. The head.
        progress(new TrainingStep("Choosing the regularisation"));
        int[] labels = [.. learnt.Select(photo => photo.Photo.Label!.Value)];
        var data = new LabelledEmbeddings([.. learnt.Select(photo => photo.Outputs[0])], labels, photos.Classes.Count)
        {
            ClassWeights = request.Balanced ? LabelledEmbeddings.Balanced(labels, photos.Classes.Count) : null,
        };
        var chosen = await Task.Run(
            () => CrossValidation.Run(data, PhotoNumbers(learnt), request.Seed, step => progress(new TrainingStep(step)),
                cancellationToken: cancellationToken),
            cancellationToken);
        progress(new TrainingStep("Training the head"));
        var (head, loss, iterations) = await Task.Run(
            () => new SoftmaxRegression(data).Fit(chosen.Strength / labels.Length, cancellationToken: cancellationToken), cancellationToken);
        var facts = new TrainingFacts(network.Name, learnt.Count(photo => photo.Copy == 0), request.Copies, judged.Count, chosen.Strength, loss, iterations,
            request.Seed, 0);
        var temporary = bundle.NewTemporary();
        Directory.CreateDirectory(temporary);
        try
        {
            // 4. The network with the head.
            progress(new TrainingStep($"Writing {ModelFile}"));
            var graph = new OnnxReader().Read(source.File(variant)).Graph;
            var (output, weights) = HeadGraph.Apply(graph, embedding, head);
            var quality = DataQuality.Of(photos.Classes, learnt, judged, chosen.Probabilities);
            if (request.FineTune is { } fineTune)
            {
                if (fineTune.Recipe.Relu && FuseActivations.WithoutLimit(graph) == 0)
                {
                    throw new ModelFormatException($"--relu puts ReLU in the place of ReLU6, and the model '{network.Name}' has none.");
                }

                var job = new FineTuningJob(network.Files[variant].Sha256, output.Logits!, photos.Classes.Count, network.Input, network.Preprocessing,
                    fineTune.Recipe, [], []);
                (var tuned, graph) = await FineTuning.RunAsync(program!, fineTune, job, graph,
                    [.. learnt.Where(photo => photo.Copy == 0).Select(photo => photo.Photo)], [.. judged.Select(photo => photo.Photo)], request.Name, progress,
                    cancellationToken);
                facts = facts with { FineTuned = tuned };
                notes.AddRange(tuned.Notes);
            }

            ShortNames.Apply(graph);
            if (facts.FineTuned is not null)
            {
                // What was trained sees other things in the photos than its base.
                Write();
                string[] seenAs = [output.Embedding ?? output.Logits!, output.Logits!];
                using var embedder = new Embedder(network with { Files = Files() }, temporary, Full, seenAs, null);
                learnt = await Again(learnt, "Photos that were learnt from");
                judged = await Again(judged, "Photos to judge by");
                others = others.Count == 0 ? [] : await Again(others, "Photos of other things");

                async Task<IReadOnlyList<Seen>> Again(IReadOnlyList<Seen> seen, string what) => (await embedder.RunAsync(
                    [.. seen.Where(photo => photo.Copy == 0).Select(photo => photo.Photo)], 0, what, progress, cancellationToken)).Photos;
            }

            // 5. Confidence that means what it says, and doubt.
            progress(new TrainingStep("Choosing temperature and doubt"));
            var temperature = Calibration.Temperature([.. judged.Select(photo => LogitsOf(photo, head))],
                [.. judged.Select(photo => photo.Photo.Label!.Value)], OutputKind.Logits);
            HeadGraph.Divide(graph, output.Logits!, temperature);
            Write();
            facts = facts with { Temperature = temperature };
            if (weights is not null)
            {
                weights = HeadGraph.WeightsOf(graph, output.Logits!);
                await File.WriteAllBytesAsync(Path.Combine(temporary, WeightsFile), weights.Data.ToArray(), cancellationToken);
                output = output with { ClassifierWeights = Bundle.Describe(temporary, WeightsFile) };
            }

            Evidence[] own = [.. judged.Select(photo => ToEvidence(photo, head, temperature))];
            Evidence[] known = [.. learnt.Where(photo => photo.Copy == 0).Select(photo => ToEvidence(photo, head, temperature))];
            var abstain = AbstainChoice.Choose(output, photos.Classes.Count, own, known,
                [.. others.Select(photo => ToEvidence(photo, head, temperature))], request.Refuse);

            // 6. Everything beside it.
            var manifest = new ModelManifest
            {
                Name = request.Name,
                Version = bundle.NextVersion(),
                Title = request.Title ?? ModelCard.Title(request.Name),
                Description = $"An image classifier with {Counted.Of(photos.Classes.Count, "class", "classes")}, " +
                    $"trained on {Counted.Of(facts.Photos, "photo")}.",
                License = request.License,
                Source = (facts.FineTuned is null ? "a new last layer on " : "every layer trained further of ") +
                    $"{network.Title ?? network.Name} ({network.Source ?? "origin not stated"})",
                Files = Files(),
                Input = network.Input,
                Preprocessing = network.Preprocessing,
                Output = output,
                Abstain = AbstainWriter.Write(abstain, own.Length, others.Count, temporary),
            };
            File.WriteAllLines(Path.Combine(temporary, manifest.Labels),
                photos.Classes.Select(label => label.Group is null ? label.Label : $"{label.Label}\t{label.Group}"));
            var (shown, samples) = FormerSamples.Take(bundle.Path, temporary, [.. photos.Classes.Select(label => label.Label)]);
            manifest = manifest with { Samples = samples };

            // 7. Judged as it will be served.
            using var evaluator = new Evaluator();
            EvaluationResult evaluation;
            var judges = LabelledPhotos.Spread([.. judged.Select(photo => photo.Photo)], MostJudged);
            using (var lease = evaluator.Load(manifest, temporary, Full))
            {
                var sample = await File.ReadAllBytesAsync(Path.Combine(temporary, shown), cancellationToken);
                var recorded = await evaluator.Classifier.ClassifyAsync(lease.Model, sample, ClassifyOptions.For(lease.Model), cancellationToken);
                manifest = manifest with
                {
                    Sample = new SampleSpec(shown, recorded.Predictions),
                    Samples = await FormerSamples.RightAsync(evaluator, lease.Model, temporary, manifest.Samples, notes, cancellationToken),
                };
                if (judges.Count < judged.Count)
                {
                    notes.Add($"{judges.Count:N0} of {Counted.Of(judged.Count, "photo")} judged, evenly spread; all of them chose temperature and threshold.");
                }

                var done = 0;
                var answers = await evaluator.RunAsync(lease.Model, judges, _ => progress(new TrainingStep("Judging as it is served", done++, judges.Count)),
                    cancellationToken);
                var judgedBy = request.Validation ?? (photos.Validation is null ? $"{request.ValidationShare:0.#%} of {request.Images}" : request.Images);
                evaluation = new EvaluationResult(manifest, photos.Classes, judgedBy, EvaluateCommand.Machine(),
                    [EvaluateCommand.Row(manifest, temporary, photos.Classes, Full, Full, answers)]);
            }

            manifest = manifest with
            {
                Metrics = evaluation.Variants.ToDictionary(row => row.Variant,
                    row => JsonSerializer.SerializeToElement(EvaluateCommand.Entry(row, Path.GetFileName(evaluation.Source)))),
            };
            facts = facts with { Seconds = Math.Round(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 1) };
            await File.WriteAllTextAsync(Path.Combine(temporary, Bundle.ManifestFile),
                JsonSerializer.Serialize(manifest, ManifestJson.Default.ModelManifest) + "\n", cancellationToken);
            ManifestEdit.Apply(temporary, _ => { });
            await File.WriteAllTextAsync(Path.Combine(temporary, "README.md"), TrainingCard.Write(manifest, evaluation, quality, facts, chosen),
                cancellationToken);
            await File.WriteAllTextAsync(Path.Combine(temporary, ReportFile),
                EvaluationPage.Write(evaluation, evaluator, TrainingGalleries.Of(evaluation, quality, learnt, judged), facts.FineTuned),
                cancellationToken);
            bundle.Install(temporary);
            var reduced = new List<QuantizeReport>();
            foreach (var to in request.To)
            {
                var reduce = to == "int8" ? ToInt8(request, learnt, judged, judges)
                    : new QuantizeRequest(request.Name, request.Models, to) { Images = request.Validation };
                reduced.Add(await VariantBuilder.BuildAsync(reduce, _ => progress(new TrainingStep($"Making and judging {to}")), cancellationToken));
            }

            return new TrainReport(bundle.Path, Path.Combine(bundle.Path, ReportFile), manifest, evaluation, chosen, quality, facts, reduced, notes);

            void Write() =>
                OnnxWriter.Write(graph, Path.Combine(temporary, ModelFile), new Dictionary<string, string> { ["base"] = $"{network.Name} {network.Version}" });

            Dictionary<string, BundleFile> Files() => new() { [Full] = Bundle.Describe(temporary, ModelFile) };
        }
        catch when (Directory.Exists(temporary))
        {
            Directory.Delete(temporary, recursive: true);
            throw;
        }
    }

    /// <summary>
    /// Which photos are learnt from and which judge. Files with the same content stay on one side: of photos that are given apart the judges keep them.
    /// </summary>
    private static (IReadOnlyList<LabelledPhoto> Learnt, IReadOnlyList<LabelledPhoto> Judged) Divide(TrainingPhotos photos, TrainRequest request,
        List<string> notes, CancellationToken cancellationToken)
    {
        var all = Hashed(photos.Training, cancellationToken);
        HashSet<string> judges;
        IReadOnlyList<LabelledPhoto> judged;
        if (photos.Validation is { } given)
        {
            (judges, judged) = ([.. Hashed(given, cancellationToken).Select(photo => photo.Sha256)], given);
            var doubled = all.Where(photo => judges.Contains(photo.Sha256)).ToArray();
            if (doubled.Length > 0)
            {
                notes.Add($"{Counted.Of(doubled.Length, "photo")} to learn from left out: the same file judges ('{doubled[0].Photo.Name}').");
            }
        }
        else
        {
            var random = new Random(request.Seed);
            judges = [];
            foreach (var group in all.GroupBy(photo => photo.Photo.Label!.Value).OrderBy(group => group.Key))
            {
                string[] files = [.. group.Select(photo => photo.Sha256).Distinct()];
                random.Shuffle(files);
                judges.UnionWith(files.Take(Math.Min((int)Math.Round(request.ValidationShare * files.Length), files.Length - 1)));
            }

            judged = [.. all.Where(photo => judges.Contains(photo.Sha256)).Select(photo => photo.Photo)];
        }

        LabelledPhoto[] learnt = [.. all.Where(photo => !judges.Contains(photo.Sha256)).Select(photo => photo.Photo)];
        RequireTwoClasses(learnt);
        return judged.Count > 0 ? (learnt, judged) : throw new ModelFormatException(
            "No photo is left to judge by: give more photos of each class, a larger --validation, or a folder or list as --validation.");
    }

    /// <summary>Each photo with its file's hash; what cannot be read has none, and is told later.</summary>
    private static (LabelledPhoto Photo, string Sha256)[] Hashed(IReadOnlyList<LabelledPhoto> photos, CancellationToken cancellationToken)
    {
        var hashes = new string?[photos.Count];
        EachPhoto.Run(photos, photo => hashes[photo] = Convert.ToHexStringLower(SHA256.HashData(photos[photo].Read())), _ => { }, cancellationToken);
        return [.. photos.Select((photo, place) => (photo, hashes[place] ?? photo.Name))];
    }

    private static void RequireTwoClasses(IEnumerable<LabelledPhoto> learnt)
    {
        if (learnt.Select(photo => photo.Label).Distinct().Count() < 2)
        {
            throw new ModelFormatException("Photos of at least two classes are needed to learn from, beside those that judge.");
        }
    }

    /// <summary>
    /// How int8 is made: on photos that were learnt from, judged by those that judged the head. Where these are too few, a fourth of all photos judges.
    /// </summary>
    private static QuantizeRequest ToInt8(TrainRequest request, IReadOnlyList<Seen> learnt, IReadOnlyList<Seen> judged, IReadOnlyList<LabelledPhoto> judges)
    {
        var enough = judges.Count >= VariantBuilder.FewestPhotos || request.Validation is not null;
        return new QuantizeRequest(request.Name, request.Models, "int8")
        {
            Calibrate = request.Images,
            Given = [.. (enough ? learnt : [.. learnt, .. judged]).Where(photo => photo.Copy == 0).Select(photo => photo.Photo)],
            Images = enough ? request.Validation ?? request.Images : null,
            Judges = judges,
        };
    }

    /// <summary>The number of the photo that each is of: its copies have its own.</summary>
    private static int[] PhotoNumbers(IReadOnlyList<Seen> learnt)
    {
        var number = -1;
        return [.. learnt.Select(photo => photo.Copy == 0 ? ++number : number)];
    }

    private static float[] LogitsOf(Seen photo, DenseHead head) => photo.Outputs is [_, var own] ? own : head.LogitsOf(photo.Outputs[0]);

    private static Evidence ToEvidence(Seen photo, DenseHead head, double temperature)
    {
        float[] logits = [.. LogitsOf(photo, head).Select(logit => (float)(logit / temperature))];
        float[] probabilities = [.. logits];
        Softmax.Apply(probabilities);
        return new Evidence(probabilities, logits, photo.Outputs[0], photo.Photo.Label);
    }
}
