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

    /// <summary>Its manifest is in order, and it is loaded when it is asked (<c>Catalog:Load</c>).</summary>
    Unloaded,
}

/// <summary>What the catalog knows of one model.</summary>
/// <param name="Name">The folder's name.</param>
/// <param name="State">How it stands.</param>
/// <param name="Manifest">Its description, as soon as it could be read.</param>
/// <param name="Variant">The variant of the weights that serves.</param>
/// <param name="Problem">Why the newest files do not serve; an older version may still do.</param>
public sealed record ModelStatus(string Name, ModelState State, ModelManifest? Manifest, string? Variant, string? Problem)
{
    /// <summary>Whether it may be asked: it serves, or is loaded when it is asked.</summary>
    public bool Answers => State is ModelState.Ready or ModelState.Unloaded;
}

/// <summary>
/// The models folder, loaded. It is looked at again and again: a new bundle is loaded beside the old version, proves itself, and takes its place;
/// a broken one never replaces a good one. Bundles may also come from elsewhere (<see cref="CatalogOptions.Sources"/>), and may be loaded only when they are
/// asked (<see cref="CatalogOptions.Load"/>).
/// </summary>
public sealed partial class ModelCatalog : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, CatalogEntry> _entries = new(StringComparer.Ordinal);
    private readonly CatalogOptions _options;
    private readonly OnnxBackendOptions _backend;
    private readonly RemoteOptions _remote;
    private readonly SchedulingOptions _scheduling;
    private readonly ImageClassifier _classifier;
    private readonly ILogger<ModelCatalog> _logger;
    private readonly TimeProvider _time;
    private readonly InferenceMetrics _metrics;
    private readonly BundleSources _sources;
    private readonly ModelMemory? _memory;
    private readonly Lock _loads = new();
    private readonly SemaphoreSlim _look = new(1);
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
        _metrics = metrics;
        _sources = new(options, logger, _time);
        _memory = options.Load == CatalogOptions.OnDemand ? new(options.MemoryBudget) : null;
        Folder = Bundle.FindCatalog(options.Models);
        metrics.ObserveModels(() => _entries.Values.Select(entry => (entry.Name, entry.Model is not null)));
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

    /// <summary>Leases a model; one that is loaded on demand is loaded first, for all who ask it meanwhile at once.</summary>
    /// <param name="name">Its name; <see langword="null"/> for the default one.</param>
    /// <param name="cancellationToken">Ends the waiting; the loading goes on.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/> or <see cref="InferenceError.ModelNotReady"/>.</exception>
    public ValueTask<ModelLease> LeaseAsync(string? name, CancellationToken cancellationToken)
    {
        var entry = Find(name);
        return TryLease(entry) is { } lease ? ValueTask.FromResult(lease)
            : _memory is null || entry.Status.Problem is not null ? throw NotReady(entry)
            : LoadAndLeaseAsync(entry, cancellationToken);
    }

    /// <summary>Leases a model if it is loaded.</summary>
    /// <param name="name">Its name; <see langword="null"/> for the default one.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/> or <see cref="InferenceError.ModelNotReady"/>.</exception>
    public ModelLease Lease(string? name)
    {
        var entry = Find(name);
        return TryLease(entry) ?? throw NotReady(entry);
    }

    /// <summary>Leases a model if it is loaded, and does not count as asking it.</summary>
    /// <param name="name">Its name.</param>
    public ModelLease? TryLease(string name) => _entries.TryGetValue(name, out var entry) && entry.Model is { } model && model.TryLease() ? new(model) : null;

    /// <summary>Whether a model of that name comes from <see cref="CatalogOptions.Sources"/>, and not from the folder.</summary>
    public bool IsFetched(string name) => _options.Sources.Any(source => source.Name == name);

    /// <summary>Ends when the bundles of <see cref="CatalogOptions.Sources"/> have been fetched and loaded, or were not to be had.</summary>
    public Task FetchedAsync() => Task.WhenAll(_entries.Values.Select(entry => entry.Fetching));

    /// <summary>Proves a bundle that lies in a folder beside the others, puts it in its place, and serves it. Nothing changes where it does not prove itself.</summary>
    /// <param name="name">The model's name.</param>
    /// <param name="folder">The bundle, on the models folder's file system and under a name that begins with a dot. It is gone afterwards.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>, naming what is wrong.</exception>
    public async Task<ModelStatus> InstallAsync(string name, string folder, CancellationToken cancellationToken)
    {
        var entry = new CatalogEntry(name, firstLook: false);
        var manifest = Bundle.ReadManifest(folder, name);
        if (_memory is not null)
        {
            await _memory.TakeAsync(entry, ModelMemory.Estimate(manifest, VariantOf(manifest)), cancellationToken).ConfigureAwait(false);
        }

        try
        {
            var model = await ProveAsync(manifest, folder, cancellationToken).ConfigureAwait(false);
            await (model.TryUnload() ?? Task.CompletedTask).ConfigureAwait(false);
        }
        finally
        {
            _memory?.Return(entry);
        }

        Bundle.Install(folder, Path.Combine(Folder, name));
        await LookAsync(firstLook: false, cancellationToken).ConfigureAwait(false);
        var status = Status(name);
        return status.Problem is null ? status : throw new InferenceException(InferenceError.ModelNotReady, status.Problem);
    }

    /// <summary>Deletes a bundle of the folder. Requests that have leased its model finish on it.</summary>
    /// <param name="name">The model's name.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>.</exception>
    public void Remove(string name)
    {
        var entry = Find(name);
        // Out of sight at once: nobody sees half of it.
        var hidden = Path.Combine(Folder, TemporaryName.New(Folder, entry.Name));
        Directory.Move(Path.Combine(Folder, entry.Name), hidden);
        Forget(entry);
        Directory.Delete(hidden, recursive: true);
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
        var ready = _entries.Values.Count(entry => entry.Runs);
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
            await entry.Fetching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await (entry.Loading ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            entry.Replace(null);
        }

        _look.Dispose();
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
        await _look.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await LookOnceAsync(firstLook, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _look.Release();
        }
    }

    private async Task LookOnceAsync(bool firstLook, CancellationToken cancellationToken)
    {
        foreach (var source in _options.Sources)
        {
            Fetch(_entries.GetOrAdd(source.Name, name => new CatalogEntry(name, firstLook) { Source = source }), source);
        }

        if (List() is not { } folders)
        {
            // A file system that is gone for a while is no reason to unload what serves.
            return;
        }

        foreach (var (name, entry) in _entries)
        {
            if (entry.Source is not null)
            {
                // What the settings name counts, whatever lies in the folder under its name.
                folders.Remove(name);
                if (entry.Folder is { } fetched)
                {
                    folders[name] = fetched;
                }
            }
            else if (folders.ContainsKey(name))
            {
                entry.Missing = false;
            }
            else if (!entry.Missing)
            {
                // Who replaces a bundle by hand moves one away and the next one in: it is gone when it is missing twice.
                entry.Missing = true;
            }
            else
            {
                Forget(entry);
            }
        }

        var loads = new List<Task>();
        foreach (var (name, folder) in folders)
        {
            var stamp = Stamp(folder);
            var entry = _entries.GetOrAdd(name, _ => new CatalogEntry(name, firstLook));
            entry.Folder = folder;
            if (entry.Stamp != stamp)
            {
                (entry.Stamp, entry.Attempts) = (stamp, 0);
            }

            var isNew = entry.Attempts == 0;
            if (isNew || (entry.Status.Problem is not null && IsDue(entry)))
            {
                entry.Attempts++;
                loads.Add(isNew && IsLoadedOnDemand(entry) ? Task.Run(() => Describe(entry, folder), cancellationToken)
                    : _memory is not null && entry.Model is null ? LoadOnceAsync(entry)
                    : Task.Run(() => LoadAsync(entry, folder, cancellationToken), cancellationToken));
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

    /// <summary>Begins to fetch a bundle, unless it is there, is being fetched, or was not to be had a moment ago.</summary>
    private void Fetch(CatalogEntry entry, BundleSource source)
    {
        if (entry.Folder is null && entry.Fetching.IsCompleted && (entry.Attempts == 0 || IsDue(entry)))
        {
            entry.Attempts++;
            entry.Fetching = Task.Run(FetchAsync);
        }

        async Task FetchAsync()
        {
            try
            {
                var folder = await _sources.FetchAsync(source, _stopping.Token).ConfigureAwait(false);
                (entry.Stamp, entry.Attempts) = (Stamp(folder), 1);
                if (IsLoadedOnDemand(entry))
                {
                    Describe(entry, folder);
                }
                else
                {
                    await LoadAsync(entry, folder, _stopping.Token).ConfigureAwait(false);
                }

                entry.Folder = folder;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                Fail(entry, null, exception);
            }
        }
    }

    private bool IsDue(CatalogEntry entry) => _time.GetElapsedTime(entry.Attempted) >= entry.Patience;

    /// <summary>Nobody has asked it yet, and it is not the one that answers unasked.</summary>
    private bool IsLoadedOnDemand(CatalogEntry entry) => _memory is not null && entry.Model is null && entry.Name != DefaultModel;

    /// <summary>Looks whether a bundle could be loaded, without loading it.</summary>
    private void Describe(CatalogEntry entry, string folder)
    {
        try
        {
            var manifest = Bundle.ReadManifest(folder);
            var variant = manifest.Remote is null ? VariantOf(manifest) : RemoteBackend.Variant;
            Model.CheckFiles(manifest, folder, variant);
            entry.Status = new(entry.Name, ModelState.Unloaded, manifest, variant, null);
            Log.Described(_logger, entry.Name, manifest.Version);
        }
        catch (Exception exception) when (exception is InferenceException or IOException or UnauthorizedAccessException)
        {
            Fail(entry, null, exception);
        }
        finally
        {
            entry.Attempted = _time.GetTimestamp();
        }
    }

    private async Task LoadAsync(CatalogEntry entry, string folder, CancellationToken cancellationToken)
    {
        ModelManifest? manifest = null;
        var reserved = false;
        try
        {
            manifest = Bundle.ReadManifest(folder);
            var bytes = ModelMemory.Estimate(manifest, VariantOf(manifest));
            if (_memory is not null && entry.Model is null)
            {
                await _memory.TakeAsync(entry, bytes, cancellationToken).ConfigureAwait(false);
                reserved = true;
            }

            var model = await ProveAsync(manifest, folder, cancellationToken).ConfigureAwait(false);
            model.Idle = _memory is null ? null : _memory.Idle;
            entry.LastUsed = _time.GetTimestamp();
            entry.Status = new(entry.Name, ModelState.Ready, manifest, model.Variant, null);
            entry.Replace(model);
            Log.Loaded(_logger, entry.Name, manifest.Version, model.Variant, model.Classes.Count);
            if (_memory is not null && !reserved)
            {
                await _memory.ReplaceAsync(entry, bytes).ConfigureAwait(false);
            }

            if (!_entries.TryGetValue(entry.Name, out var known) || known != entry)
            {
                // It was removed meanwhile.
                entry.Replace(null);
                _memory?.Return(entry);
            }
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            if (reserved)
            {
                _memory!.Return(entry);
            }

            // At the end, what a model needs is taken away under it; that is no fault of its own.
            cancellationToken.ThrowIfCancellationRequested();
            Fail(entry, manifest, exception);
        }
        finally
        {
            entry.Attempted = _time.GetTimestamp();
        }
    }

    /// <summary>Loads a bundle's model and has it give its recorded answer.</summary>
    private async Task<Model> ProveAsync(ModelManifest manifest, string folder, CancellationToken cancellationToken)
    {
        var model = manifest.Remote is null ? Model.Load(manifest, folder, VariantOf(manifest), _backend, _scheduling, _time)
            : await Model.ConnectAsync(manifest, folder, _remote, _scheduling, _time, _logger, cancellationToken).ConfigureAwait(false);
        try
        {
            await SelfTest.RunAsync(model, _classifier, cancellationToken).ConfigureAwait(false);
            // Of what it does for clients.
            model.Statistics = new();
            return model;
        }
        catch
        {
            model.Release();
            throw;
        }
    }

    private void Fail(CatalogEntry entry, ModelManifest? manifest, Exception exception)
    {
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
        entry.Attempted = _time.GetTimestamp();
    }

    private void Forget(CatalogEntry entry)
    {
        if (_entries.TryRemove(entry.Name, out _))
        {
            entry.Replace(null);
            _memory?.Return(entry);
            Log.Removed(_logger, entry.Name);
        }
    }

    private ModelLease? TryLease(CatalogEntry entry)
    {
        while (entry.Model is { } model)
        {
            if (model.TryLease())
            {
                entry.LastUsed = _time.GetTimestamp();
                return new(model);
            }
        }

        return null;
    }

    /// <summary>Waits until a model is loaded, as long as a request may take.</summary>
    private async ValueTask<ModelLease> LoadAndLeaseAsync(CatalogEntry entry, CancellationToken cancellationToken)
    {
        var arrived = _time.GetTimestamp();
        var patience = TimeSpan.FromSeconds(_scheduling.TimeoutSeconds);
        while (entry.Status.Problem is null && _time.GetElapsedTime(arrived) < patience)
        {
            try
            {
                await LoadOnceAsync(entry).WaitAsync(patience - _time.GetElapsedTime(arrived), _time, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                break;
            }

            // It may be unloaded again before this request gets it, where many models want little room.
            if (TryLease(entry) is { } lease)
            {
                var waited = _time.GetElapsedTime(arrived);
                _metrics.Loaded(entry.Name, waited);
                return lease with { Loading = waited };
            }
        }

        throw NotReady(entry);
    }

    private Task LoadOnceAsync(CatalogEntry entry)
    {
        lock (_loads)
        {
            return entry.Loading is { IsCompleted: false } loading ? loading
                : entry.Model is not null || entry.Folder is not { } folder ? Task.CompletedTask
                : entry.Loading = Task.Run(() => LoadAsync(entry, folder, _stopping.Token));
        }
    }

    private static InferenceException NotReady(CatalogEntry entry) => new(InferenceError.ModelNotReady,
        entry.Status.State is ModelState.Loading or ModelState.Unloaded ? $"The model '{entry.Name}' is still loading. Try again in a moment."
            : entry.Status.Problem ?? $"The model '{entry.Name}' is not ready.");

    private string VariantOf(ModelManifest manifest) =>
        Variants.Choose(manifest, _options.Variant, onDevice: ExecutionProviders.Choose(_backend) is not [ExecutionProviders.Cpu]);

    /// <summary>A model that cannot run goes on being asked, and has recovered when it gives its recorded answer, or any.</summary>
    private async Task TryAgainAsync(CatalogEntry entry, CancellationToken cancellationToken)
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

    private CatalogEntry Find(string? name, string? unknown = null) => _entries.TryGetValue(name ?? DefaultModel, out var entry)
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

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information,
            Message = "Model {Model} version {Version} ({Variant}) is ready: {Classes} classes, gave its recorded answer")]
        public static partial void Loaded(ILogger logger, string model, string version, string variant, int classes);

        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} version {Version} is loaded when it is asked")]
        public static partial void Described(ILogger logger, string model, string version);

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
