using System.Runtime.InteropServices;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Catalog;

/// <summary>
/// A loaded model: everything that turns pixels into its labels. It is leased while a request uses it, so that a newer version can take its place
/// without a request noticing; the last lease to end unloads it.
/// </summary>
public sealed class Model
{
    private readonly ClassActivationMap? _map;
    private readonly (int Channels, int Height, int Width)? _featureShape;
    private int _leases = 1;

    private Model(ModelManifest manifest, string folder, string variant, IReadOnlyList<ClassLabel> classes, OnnxBackend backend, SchedulingOptions scheduling, ClassActivationMap? map)
    {
        Manifest = manifest;
        Folder = folder;
        Variant = variant;
        Classes = classes;
        Backend = backend;
        _featureShape = backend.FeatureShape;
        _map = map;
        Preprocessor = new Preprocessor(manifest.Preprocessing, manifest.Input);
        Scheduler = new Scheduler(backend, scheduling);
    }

    /// <summary>The bundle's description.</summary>
    public ModelManifest Manifest { get; }

    /// <summary>The bundle's folder.</summary>
    public string Folder { get; }

    /// <summary>The variant of the weights that is loaded.</summary>
    public string Variant { get; }

    /// <summary>The labels in index order.</summary>
    public IReadOnlyList<ClassLabel> Classes { get; }

    /// <summary>Pixels to tensor.</summary>
    public Preprocessor Preprocessor { get; }

    /// <summary>What runs the model.</summary>
    public IBackend Backend { get; }

    /// <summary>Where its requests wait.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>Loads a bundle's weights and checks its files against the manifest.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    public static Model Load(ModelManifest manifest, string folder, string variant, OnnxBackendOptions options, SchedulingOptions scheduling)
    {
        var labels = Labels.Read(Bundle.PathOf(folder, manifest.Labels));
        if (!manifest.Files.TryGetValue(variant, out var weights))
        {
            throw NotReady(manifest, $"it has no variant '{variant}', only {string.Join(", ", manifest.Files.Keys)}");
        }

        Bundle.Verify(manifest, folder, weights);
        float[]? classifier = null;
        if (manifest.Output is { Features: not null, ClassifierWeights: { } file })
        {
            Bundle.Verify(manifest, folder, file);
            classifier = MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(Bundle.PathOf(folder, file.File))).ToArray();
        }

        var backend = new OnnxBackend(Bundle.PathOf(folder, weights.File), manifest, options);
        try
        {
            if (labels.Count != backend.Classes)
            {
                throw NotReady(manifest, $"{manifest.Labels} has {labels.Count} labels, but the model answers {backend.Classes} classes");
            }

            var map = classifier is null || backend.FeatureShape is not { } shape ? null
                : classifier.Length == shape.Channels * backend.Classes ? new ClassActivationMap(classifier, shape.Channels)
                : throw NotReady(manifest, $"{manifest.Output.ClassifierWeights!.File} has {classifier.Length} numbers, not {backend.Classes} × {shape.Channels}");
            return new(manifest, folder, variant, labels, backend, scheduling, map);
        }
        catch
        {
            backend.Dispose();
            throw;
        }
    }

    /// <summary>Refuses what this model cannot answer.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>, naming the value and the limit.</exception>
    public void Check(ClassifyOptions options)
    {
        if (options.TopK < 1 || options.TopK > Classes.Count)
        {
            throw new InferenceException(
                InferenceError.InvalidRequest,
                "invalid-parameter",
                $"topK is {options.TopK}; it must be from 1 to {Classes.Count}, the number of classes.",
                ("name", "topK"),
                ("value", options.TopK),
                ("least", 1),
                ("most", Classes.Count));
        }

        if (options.Explain && _map is null)
        {
            throw new InferenceException(InferenceError.InvalidRequest, $"The model '{Manifest.Name}' cannot explain its answers: its bundle has no feature map or no classifier weights.");
        }
    }

    /// <summary>The best labels of a finished run, and whether the honest answer is "not sure".</summary>
    public (IReadOnlyList<Prediction> Predictions, bool Abstained) Select(Instance instance, ClassifyOptions options)
    {
        var scores = instance.Scores;
        if (Manifest.Output.Kind == OutputKind.Logits)
        {
            Softmax.Apply(scores);
        }

        var best = options.TopK <= 128 ? stackalloc int[options.TopK] : new int[options.TopK];
        TopK.Select(scores, best);
        var predictions = new Prediction[best.Length];
        for (var place = 0; place < best.Length; place++)
        {
            var index = best[place];
            var map = options.Explain ? _map!.Of(instance.Features, _featureShape!.Value.Height, _featureShape.Value.Width, index) : null;
            predictions[place] = new(Classes[index].Label, index, scores[index], map);
        }

        return (predictions, Manifest.Abstain is { } abstain && predictions[0].Confidence < abstain.Threshold);
    }

    /// <summary>Leases the model, unless its last lease has ended.</summary>
    internal bool TryLease()
    {
        for (var leases = Volatile.Read(ref _leases); leases > 0; leases = Volatile.Read(ref _leases))
        {
            if (Interlocked.CompareExchange(ref _leases, leases + 1, leases) == leases)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Ends a lease; the last one unloads the model.</summary>
    internal void Release()
    {
        if (Interlocked.Decrement(ref _leases) == 0)
        {
            _ = Unload();
        }

        async Task Unload()
        {
            await Scheduler.DisposeAsync().ConfigureAwait(false);
            Backend.Dispose();
        }
    }

    private static InferenceException NotReady(ModelManifest manifest, string why) => new(InferenceError.ModelNotReady, $"The model '{manifest.Name}' is not what its manifest says: {why}.");
}

/// <summary>A model that stays loaded until this is disposed.</summary>
public readonly record struct ModelLease(Model Model) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Model.Release();
}
