using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;
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
    // One failure may be a picture's doing.
    private const int FailingAfter = 3;

    private int _leases = 1;
    private int _failures;

    /// <summary>Puts a model together; <see cref="Load"/> does it from a bundle.</summary>
    internal Model(ModelManifest manifest, BundleFiles files, string variant, IReadOnlyList<ClassLabel> classes, IBackend backend, Postprocessor postprocessor,
        SchedulingOptions scheduling, TimeProvider? time = null)
    {
        Manifest = manifest;
        Files = files;
        Variant = variant;
        Classes = classes;
        Backend = backend;
        Preprocessor = new Preprocessor(manifest.Preprocessing, manifest.Input);
        Postprocessor = postprocessor;
        Scheduler = new Scheduler(backend, scheduling, time);
    }

    /// <summary>The bundle's description.</summary>
    public ModelManifest Manifest { get; }

    /// <summary>The files that its manifest names.</summary>
    public BundleFiles Files { get; }

    /// <summary>The variant of the weights that is loaded.</summary>
    public string Variant { get; }

    /// <summary>The labels in index order.</summary>
    public IReadOnlyList<ClassLabel> Classes { get; }

    /// <summary>Pixels to tensor.</summary>
    public Preprocessor Preprocessor { get; }

    /// <summary>Scores to labels.</summary>
    public Postprocessor Postprocessor { get; }

    /// <summary>What runs the model.</summary>
    public IBackend Backend { get; }

    /// <summary>Where its requests wait.</summary>
    public Scheduler Scheduler { get; }

    /// <summary>What it has done since it serves.</summary>
    public ModelStatistics Statistics { get; internal set; } = new();

    /// <summary>Several requests in a row failed through no fault of theirs: it cannot run now, or what it runs on cannot.</summary>
    public bool IsFailing => Volatile.Read(ref _failures) >= FailingAfter || Backend.Problem is not null;

    /// <summary>Loads a bundle's weights and checks its files against the manifest.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    public static Model Load(ModelManifest manifest, string folder, string variant, OnnxBackendOptions options, SchedulingOptions scheduling,
        TimeProvider? time = null)
    {
        if (!manifest.Files.TryGetValue(variant, out var weights))
        {
            throw manifest.Remote is null
                ? NotReady(manifest, $"it has no variant '{variant}', only {string.Join(", ", manifest.Files.Keys)}")
                : NotReady(manifest, "it is computed on other servers, and has no weights to be computed here");
        }

        var files = FilesOf(manifest, folder);
        files.Open(weights.File).Stream.Dispose();
        var backend = new OnnxBackend(Bundle.PathOf(folder, weights.File), manifest, options);
        try
        {
            var model = Compose(manifest, files, variant, backend, scheduling, time);
            // ONNX Runtime opens the file itself: it must still be the one that was checked.
            files.Open(weights.File).Stream.Dispose();
            return model;
        }
        catch
        {
            backend.Dispose();
            throw;
        }
    }

    /// <summary>Finds the servers that compute a bundle's model, and checks its files against the manifest.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    public static async Task<Model> ConnectAsync(ModelManifest manifest, string folder, RemoteOptions options, SchedulingOptions scheduling,
        TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var files = FilesOf(manifest, folder);
        var backend = await RemoteBackend.ConnectAsync(manifest, options, time, logger, cancellationToken).ConfigureAwait(false);
        try
        {
            return Compose(manifest, files, RemoteBackend.Variant, backend, scheduling, time);
        }
        catch
        {
            backend.Dispose();
            throw;
        }
    }

    /// <summary>Whether a bundle's files are there as its manifest has them, by their sizes.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    internal static void CheckFiles(ModelManifest manifest, string folder, string variant)
    {
        if (manifest.Remote is null && !manifest.Files.ContainsKey(variant))
        {
            throw NotReady(manifest, $"it has no variant '{variant}', only {string.Join(", ", manifest.Files.Keys)}");
        }

        var files = FilesOf(manifest, folder);
        foreach (var file in files.All)
        {
            using var stream = Bundle.Open(manifest.Name, folder, file);
            if (stream.Length != files.BytesOf(file))
            {
                throw NotReady(manifest, $"its file '{file}' has {Counted.Of(stream.Length, "byte")}, not {files.BytesOf(file):N0}");
            }
        }
    }

    private static BundleFiles FilesOf(ModelManifest manifest, string folder) =>
        Preprocessor.ProblemOf(manifest.Preprocessing, manifest.Input) is { } problem ? throw NotReady(manifest, problem.TrimEnd('.')) : new(manifest, folder);

    private static Model Compose(ModelManifest manifest, BundleFiles files, string variant, IBackend backend, SchedulingOptions scheduling, TimeProvider? time)
    {
        var labels = Labels.Parse(Encoding.UTF8.GetString(files.Read(manifest.Labels)));
        var classes = SidesOf(manifest.Output.Name)[^1];
        if (labels.Count != classes)
        {
            throw NotReady(manifest,
                $"{manifest.Labels} has {Counted.Of(labels.Count, "label")}, but the model answers {Counted.Of(classes, "class", "classes")}");
        }

        (int Channels, int Height, int Width)? maps = manifest.Output.Features is { } features && SidesOf(features) is [_, var channels, var height, var width]
            ? ((int)channels, (int)height, (int)width)
            : null;
        if (manifest.Output is { Features: not null, ClassifierWeights: { } listed } && maps is { } sides && listed.Bytes != 4 * classes * sides.Channels)
        {
            throw NotReady(manifest, $"{listed.File} has {Counted.Of(listed.Bytes / 4, "number")}, not {classes} × {sides.Channels}");
        }

        var classifier = manifest.Output is { Features: not null, ClassifierWeights: { } file }
            ? MemoryMarshal.Cast<byte, float>(files.Read(file.File)).ToArray()
            : null;
        var evidence = Certainty.EvidenceOf(manifest);
        var vectors = VectorsOf(manifest, files, labels.Count, evidence is null ? 0 : (int)SidesOf(evidence)[^1]);
        return new(manifest, files, variant, labels, backend, new Postprocessor(manifest, labels, classifier, maps, vectors), scheduling, time);

        IReadOnlyList<long> SidesOf(string output) => backend.Outputs.First(spec => spec.Name == output).Shape;
    }

    /// <summary>Checks what answers are judged by; answers what pictures of the classes look like, where the abstain score compares with that.</summary>
    private static float[]? VectorsOf(ModelManifest manifest, BundleFiles files, int classes, int features)
    {
        if (manifest.Output.Temperature is { } temperature && !(temperature > 0 && float.IsFinite(temperature)))
        {
            throw NotReady(manifest, $"its temperature is {temperature}; it must be above 0");
        }

        if (manifest.Abstain is not { } abstain)
        {
            return null;
        }

        if (!Certainty.IsPossible(abstain.Score, manifest.Output))
        {
            throw NotReady(manifest, $"it abstains by {abstain.Score}, but has no output to compute that from");
        }

        if (!Certainty.NeedsVectors(abstain.Score))
        {
            return null;
        }

        var file = abstain.Vectors ?? throw NotReady(manifest, $"it abstains by {abstain.Score}, but names no vectors");
        var vectors = MemoryMarshal.Cast<byte, float>(files.Read(file.File)).ToArray();
        if (abstain.Score == AbstainScore.VirtualLogit
            && (abstain.ResidualWeight is not { } weight || !float.IsFinite(weight) || vectors.Length / features <= classes))
        {
            throw NotReady(manifest, $"it abstains by {abstain.Score}, which needs a residual_weight, and more rows than classes in {file.File}");
        }

        return vectors.Length > 0 && vectors.Length % features == 0 ? vectors
            : throw NotReady(manifest, $"{file.File} has {Counted.Of(vectors.Length, "number")}, no multiple of the embedding's {features}");
    }

    internal void Succeeded(in Timings timings)
    {
        Volatile.Write(ref _failures, 0);
        Statistics.Succeeded(timings);
    }

    internal void Failed() => Interlocked.Increment(ref _failures);

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

    /// <summary>Told when the last request that had leased it is done.</summary>
    internal Action? Idle { get; set; }

    /// <summary>Ends a lease; the last one unloads the model.</summary>
    internal void Release()
    {
        switch (Interlocked.Decrement(ref _leases))
        {
            case 0:
                _ = UnloadAsync();
                break;
            case 1:
                Idle?.Invoke();
                break;
        }
    }

    /// <summary>Unloads the model if nobody but the catalog has leased it.</summary>
    /// <returns>Ends when it is unloaded; nothing where it goes on.</returns>
    internal Task? TryUnload() => Interlocked.CompareExchange(ref _leases, 0, 1) == 1 ? UnloadAsync() : null;

    private async Task UnloadAsync()
    {
        await Scheduler.DisposeAsync().ConfigureAwait(false);
        Backend.Dispose();
    }

    private static InferenceException NotReady(ModelManifest manifest, string why) =>
        new(InferenceError.ModelNotReady, $"The model '{manifest.Name}' is not what its manifest says: {why}.");
}

/// <summary>A model that stays loaded until this is disposed.</summary>
public readonly record struct ModelLease(Model Model) : IDisposable
{
    /// <summary>How long the request waited until the model was loaded, where it was not.</summary>
    public TimeSpan Loading { get; init; }

    /// <inheritdoc/>
    public void Dispose() => Model.Release();
}
