namespace Whatsit.Inference.Catalog;

/// <summary>
/// The memory of models that are loaded on demand. Who needs room takes it from the model that was not asked for the longest time; a model that is being asked
/// stays, and the one that needs room waits until one is idle.
/// </summary>
internal sealed class ModelMemory(long limit)
{
    // A session beside its weights: graph, threads' buffers, what the library holds.
    private const long Session = 8 << 20;

    private readonly Lock _lock = new();
    private readonly HashSet<CatalogEntry> _loaded = [];
    private TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _used;

    /// <summary>Bytes that the loaded models take.</summary>
    public long Used
    {
        get
        {
            lock (_lock)
            {
                return _used;
            }
        }
    }

    /// <summary>
    /// What a model will take, by the sizes of its files: the weights as they are and as the library lays them out, and what else is kept of a bundle.
    /// </summary>
    public static long Estimate(ModelManifest manifest, string variant) => Session + (2 * (manifest.Files.GetValueOrDefault(variant)?.Bytes ?? 0))
        + (manifest.Output.ClassifierWeights?.Bytes ?? 0) + (manifest.Abstain?.Vectors?.Bytes ?? 0);

    /// <summary>Takes room for a model.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it would not fit even alone.</exception>
    public async Task TakeAsync(CatalogEntry entry, long bytes, CancellationToken cancellationToken)
    {
        if (bytes > limit)
        {
            throw new InferenceException(InferenceError.ModelNotReady,
                $"The model '{entry.Name}' takes {Counted.Of(bytes, "byte")} of memory; Catalog:MaxMemory is {limit:N0}.");
        }

        while (true)
        {
            Task wait;
            lock (_lock)
            {
                if (_used + bytes <= limit)
                {
                    Add(entry, bytes);
                    return;
                }

                wait = UnloadOldest(except: entry) ?? _idle.Task;
            }

            await wait.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A model of other files has taken the place of the one that was loaded; others go until all fit.</summary>
    public async Task ReplaceAsync(CatalogEntry entry, long bytes)
    {
        for (var first = true; ; first = false)
        {
            Task? unloading;
            lock (_lock)
            {
                if (first)
                {
                    Remove(entry);
                    Add(entry, bytes);
                }

                unloading = _used > limit ? UnloadOldest(except: entry) : null;
            }

            if (unloading is null)
            {
                return;
            }

            await unloading.ConfigureAwait(false);
        }
    }

    /// <summary>Gives back what a model took that was not loaded after all, or is gone.</summary>
    public void Return(CatalogEntry entry)
    {
        lock (_lock)
        {
            Remove(entry);
        }

        Idle();
    }

    /// <summary>A model has become idle: somebody may wait for its room.</summary>
    public void Idle()
    {
        lock (_lock)
        {
            _idle.TrySetResult();
            _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    private Task? UnloadOldest(CatalogEntry except)
    {
        foreach (var oldest in _loaded.Where(entry => entry != except && entry.Model is not null).OrderBy(entry => entry.LastUsed).ToList())
        {
            if (oldest.TryUnload() is { } unloading)
            {
                Remove(oldest);
                oldest.Status = oldest.Status with { State = ModelState.Unloaded };
                return unloading;
            }
        }

        return null;
    }

    private void Add(CatalogEntry entry, long bytes)
    {
        _loaded.Add(entry);
        _used += bytes - entry.Bytes;
        entry.Bytes = bytes;
    }

    private void Remove(CatalogEntry entry)
    {
        if (_loaded.Remove(entry))
        {
            _used -= entry.Bytes;
            entry.Bytes = 0;
        }
    }
}
