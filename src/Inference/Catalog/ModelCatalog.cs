using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Catalog;

/// <summary>How a model of the catalog stands.</summary>
public enum ModelState
{
    /// <summary>It is being read and proved.</summary>
    Loading,

    /// <summary>It gave its recorded answer and serves.</summary>
    Ready,

    /// <summary>It does not load or did not give its recorded answer.</summary>
    Failed,
}

/// <summary>What the catalog knows of one model.</summary>
/// <param name="Name">The folder's name.</param>
/// <param name="State">How it stands.</param>
/// <param name="Manifest">Its description, as soon as it could be read.</param>
/// <param name="Variant">The variant of the weights that serves.</param>
/// <param name="Problem">Why the newest files do not serve; an older version may still do.</param>
public sealed record ModelStatus(string Name, ModelState State, ModelManifest? Manifest, string? Variant, string? Problem);

/// <summary>
/// The models folder, loaded. It is looked at again and again: a new bundle is loaded beside the old version, proves itself, and takes its place;
/// a broken one never replaces a good one.
/// </summary>
public sealed partial class ModelCatalog : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly CatalogOptions _options;
    private readonly OnnxBackendOptions _backend;
    private readonly RemoteOptions _remote;
    private readonly SchedulingOptions _scheduling;
    private readonly ImageClassifier _classifier;
    private readonly ILogger<ModelCatalog> _logger;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private Task _looking = Task.CompletedTask, _watching = Task.CompletedTask;
    private volatile bool _scanned;
    private bool _unreadable;

    /// <summary>Knows its folder; <see cref="StartAsync"/> loads it.</summary>
    public ModelCatalog(CatalogOptions options, OnnxBackendOptions backend, SchedulingOptions scheduling, ImageClassifier classifier, InferenceMetrics metrics,
        ILogger<ModelCatalog> logger, TimeProvider? time = null, RemoteOptions? remote = null)
    {
        _options = options;
        _backend = backend;
        _remote = remote ?? new();
        _scheduling = scheduling;
        _classifier = classifier;
        _logger = logger;
        _time = time ?? TimeProvider.System;
        Folder = Bundle.FindCatalog(options.Models);
        metrics.ObserveQueues(() => _entries.Values.Where(entry => entry.Model is not null).Select(entry => (entry.Name, entry.Model!.Scheduler.QueueLength)));
    }

    /// <summary>The models folder.</summary>
    public string Folder { get; }

    /// <summary>The model that answers where a request names none.</summary>
    public string DefaultModel => _options.DefaultModel;

    /// <summary>The default model serves, and so does every other one that was there at the first look.</summary>
    public bool IsReady =>
        _scanned && _entries.TryGetValue(DefaultModel, out var unasked) && unasked.Runs && _entries.Values.All(entry => entry.Runs || !entry.FirstLook);

    /// <summary>All models, by name.</summary>
    public IReadOnlyList<ModelStatus> Models => [.. _entries.Values.Select(entry => entry.Now).OrderBy(status => status.Name, StringComparer.Ordinal)];

    /// <summary>What is known of one model.</summary>
    /// <param name="name">Its name; <see langword="null"/> for the default one.</param>
    /// <param name="unknown">What to say where there is none of that name; <see langword="null"/> for which ones there are.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>.</exception>
    public ModelStatus Status(string? name, string? unknown = null) => Find(name, unknown).Now;

    /// <summary>Leases a model that is ready.</summary>
    /// <param name="name">Its name; <see langword="null"/> for the default one.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/> or <see cref="InferenceError.ModelNotReady"/>.</exception>
    public ModelLease Lease(string? name)
    {
        var entry = Find(name);
        while (entry.Model is { } model)
        {
            if (model.TryLease())
            {
                return new(model);
            }
        }

        throw entry.Status.State == ModelState.Loading
            ? new InferenceException(InferenceError.ModelNotReady, $"The model '{entry.Name}' is still loading. Try again in a moment.")
            : new InferenceException(InferenceError.ModelNotReady, entry.Status.Problem ?? $"The model '{entry.Name}' is not ready.");
    }

    /// <summary>Loads all models, side by side, then watches the folder until this is disposed. Returns after the first look.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (ExecutionProviders.Missing(_backend) is { } missing)
        {
            var providers = string.Join(", ", ExecutionProviders.Choose(_backend));
            Log.FallsBack(_logger, missing, providers);
        }

        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        await (_looking = LookAsync(firstLook: true, ends.Token)).ConfigureAwait(false);
        _scanned = true;
        var ready = _entries.Values.Count(entry => entry.Model is not null);
        Log.Looked(_logger, ready, _entries.Count);
        if (!_entries.ContainsKey(DefaultModel))
        {
            Log.NoDefaultModel(_logger, DefaultModel, _entries.IsEmpty ? "none" : string.Join(", ", _entries.Keys));
        }

        if (_options.WatchSeconds > 0)
        {
            _watching = WatchAsync(_stopping.Token);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        // A model that is being loaded cannot be stopped; a process that ends meanwhile is aborted.
        await _looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var entry in _entries.Values)
        {
            entry.Replace(null);
        }

        _stopping.Dispose();
    }

    // Polling, not FileSystemWatcher: change events do not cross the layered and network file systems that containers mount.
    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(_options.WatchSeconds), _time);
        while (await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
        {
            await LookAsync(firstLook: false, cancellationToken).ConfigureAwait(false);
        }
    }

    internal async Task LookAsync(bool firstLook, CancellationToken cancellationToken)
    {
        if (List() is not { } folders)
        {
            // A file system that is gone for a while is no reason to unload what serves.
            return;
        }

        foreach (var (name, entry) in _entries)
        {
            // Who replaces a bundle by hand moves one away and the next one in: it is gone when it is missing twice.
            if (folders.ContainsKey(name))
            {
                entry.Missing = false;
            }
            else if (!entry.Missing)
            {
                entry.Missing = true;
            }
            else if (_entries.TryRemove(name, out _))
            {
                entry.Replace(null);
                Log.Removed(_logger, name);
            }
        }

        var loads = new List<Task>();
        foreach (var (name, folder) in folders)
        {
            var stamp = Stamp(folder);
            var entry = _entries.GetOrAdd(name, _ => new Entry(name, firstLook));
            if (entry.Stamp != stamp)
            {
                (entry.Stamp, entry.Attempts) = (stamp, 0);
            }

            if (entry.Attempts == 0 || (entry.Status.Problem is not null && _time.GetElapsedTime(entry.Attempted) >= entry.Patience))
            {
                entry.Attempts++;
                loads.Add(Task.Run(() => LoadAsync(entry, folder, cancellationToken), cancellationToken));
            }
            else if (entry.Model is { IsFailing: true, Backend.Problem: null })
            {
                await TryAgainAsync(entry, cancellationToken).ConfigureAwait(false);
            }
        }

        if (loads.Count > 0)
        {
            await Task.WhenAll(loads).ConfigureAwait(false);
            ResidentMemory.Trim();
        }
    }

    private async Task LoadAsync(Entry entry, string folder, CancellationToken cancellationToken)
    {
        Model? model = null;
        ModelManifest? manifest = null;
        try
        {
            manifest = Bundle.ReadManifest(folder);
            model = manifest.Remote is null ? Model.Load(manifest, folder, VariantOf(manifest), _backend, _scheduling, _time)
                : await Model.ConnectAsync(manifest, folder, _remote, _scheduling, _time, _logger, cancellationToken).ConfigureAwait(false);
            await SelfTest.RunAsync(model, _classifier, cancellationToken).ConfigureAwait(false);
            // Of what it does for clients.
            model.Statistics = new();
            entry.Status = new(entry.Name, ModelState.Ready, manifest, model.Variant, null);
            entry.Replace(model);
            Log.Loaded(_logger, entry.Name, manifest.Version, model.Variant, model.Classes.Count);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            model?.Release();
            // At the end, what a model needs is taken away under it; that is no fault of its own.
            cancellationToken.ThrowIfCancellationRequested();
            var problem = exception is InferenceException ? exception.Message
                : exception.GetBaseException() is DllNotFoundException ? $"The model '{entry.Name}' does not load: ONNX Runtime's library is missing."
                : $"The model '{entry.Name}' does not load.";
            if (problem != entry.Status.Problem)
            {
                Log.DoesNotLoad(_logger, entry.Name, problem, exception is InferenceException ? exception.InnerException : exception);
            }

            entry.Status = entry.Model is null
                ? new(entry.Name, ModelState.Failed, manifest, null, problem)
                : entry.Status with { Problem = problem };
        }
        finally
        {
            entry.Attempted = _time.GetTimestamp();
        }
    }

    private string VariantOf(ModelManifest manifest) =>
        Variants.Choose(manifest, _options.Variant, onDevice: ExecutionProviders.Choose(_backend) is not [ExecutionProviders.Cpu]);

    /// <summary>A model that cannot run goes on being asked, and has recovered when it gives its recorded answer, or any.</summary>
    private async Task TryAgainAsync(Entry entry, CancellationToken cancellationToken)
    {
        try
        {
            using var lease = Lease(entry.Name);
            await SelfTest.RunAsync(lease.Model, _classifier, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            Log.CannotRun(_logger, entry.Name, exception);
        }
    }

    /// <summary>The bundles by their names; <see langword="null"/> where the folder cannot be listed, which is said once.</summary>
    private Dictionary<string, string>? List()
    {
        try
        {
            // A hidden folder is a bundle that is being written: whatsit import renames it when it is whole.
            var folders = Directory.GetDirectories(Folder)
                .Where(folder => !Path.GetFileName(folder).StartsWith('.') && File.Exists(Path.Combine(folder, Bundle.ManifestFile)))
                .ToDictionary(folder => Path.GetFileName(folder));
            _unreadable = false;
            return folders;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            if (!_unreadable)
            {
                Log.FolderUnreadable(_logger, _options.Models, exception);
            }

            _unreadable = true;
            return null;
        }
    }

    private Entry Find(string? name, string? unknown = null) => _entries.TryGetValue(name ?? DefaultModel, out var entry)
        ? entry
        : throw (!_scanned ? new InferenceException(InferenceError.ModelNotReady, "The models are still loading. Try again in a moment.")
            : new InferenceException(InferenceError.ModelNotFound, "model-not-found",
                unknown ?? $"There is no model '{name ?? DefaultModel}'. There is {(_entries.IsEmpty ? "none" : string.Join(", ", _entries.Keys.Order()))}.",
                ("model", name ?? DefaultModel)));

    // Names, sizes and times of all files: cheap enough for every look, and a bundle that is still being copied changes until it is whole.
    private static string Stamp(string folder)
    {
        try
        {
            return string.Join('|', new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.TopDirectoryOnly)
                .OrderBy(file => file.Name, StringComparer.Ordinal)
                .Select(file => $"{file.Name}:{FileStamp.Of(file)}"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Loading it says what is wrong, of this bundle and of no other.
            return exception.GetType().Name;
        }
    }

    private sealed class Entry(string name, bool firstLook)
    {
        private Model? _model;

        public string Name { get; } = name;

        public bool FirstLook { get; } = firstLook;

        public string? Stamp { get; set; }

        /// <summary>How often these files were loaded, or tried to.</summary>
        public int Attempts { get; set; }

        /// <summary>When the last attempt ended.</summary>
        public long Attempted { get; set; }

        /// <summary>
        /// When to try again what did not load, doubled each time up to a minute: the reason may lie outside of its files, such as too much load, too few
        /// descriptors, or a file system that was away.
        /// </summary>
        public TimeSpan Patience => TimeSpan.FromSeconds(Math.Min(60, Math.Pow(2, Math.Min(Attempts, 6))));

        /// <summary>It was not there at the last look.</summary>
        public bool Missing { get; set; }

        public ModelStatus Status { get; set; } = new(name, ModelState.Loading, null, null, null);

        public Model? Model => Volatile.Read(ref _model);

        /// <summary>It serves, and its last requests did not all fail.</summary>
        public bool Runs => Model is { IsFailing: false };

        /// <summary>How it stands at this moment.</summary>
        public ModelStatus Now => Model is { IsFailing: true } failing
            ? Status with
            {
                State = ModelState.Failed,
                Problem = failing.Backend.Problem ?? $"The model '{Name}' fails whatever it is asked; it is tried again.",
            }
            : Status;

        /// <summary>Requests that have leased the old model finish on it.</summary>
        public void Replace(Model? model) => Interlocked.Exchange(ref _model, model)?.Release();
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information,
            Message = "Model {Model} version {Version} ({Variant}) is ready: {Classes} classes, gave its recorded answer")]
        public static partial void Loaded(ILogger logger, string model, string version, string variant, int classes);

        [LoggerMessage(Level = LogLevel.Information, Message = "{Ready} of {Models} models serve")]
        public static partial void Looked(ILogger logger, int ready, int models);

        [LoggerMessage(Level = LogLevel.Error, Message = "Model {Model} does not serve: {Problem}")]
        public static partial void DoesNotLoad(ILogger logger, string model, string problem, Exception? exception);

        [LoggerMessage(Level = LogLevel.Error, Message = "Model {Model} fails whatever it is asked")]
        public static partial void CannotRun(ILogger logger, string model, Exception exception);

        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} was removed")]
        public static partial void Removed(ILogger logger, string model);

        [LoggerMessage(Level = LogLevel.Warning, Message = "{Missing} Models run on: {Providers}")]
        public static partial void FallsBack(ILogger logger, string missing, string providers);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The default model {Model} is not in the models folder; there is {Models}")]
        public static partial void NoDefaultModel(ILogger logger, string model, string models);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The models folder {Folder} cannot be listed; what serves goes on serving")]
        public static partial void FolderUnreadable(ILogger logger, string folder, Exception exception);
    }
}
