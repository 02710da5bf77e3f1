namespace Whatsit.Inference.Catalog;

/// <summary>A model of the catalog, loaded or not.</summary>
internal sealed class CatalogEntry(string name, bool firstLook)
{
    private Model? _model;
    private string? _folder;
    private long _lastUsed;

    public string Name { get; } = name;

    /// <summary>It was there when the server started, so that readiness is about it, too.</summary>
    public bool FirstLook { get; } = firstLook;

    /// <summary>Where it comes from, if not from the models folder.</summary>
    public BundleSource? Source { get; init; }

    /// <summary>Its bundle; nothing before it was fetched.</summary>
    public string? Folder
    {
        get => Volatile.Read(ref _folder);
        set => Volatile.Write(ref _folder, value);
    }

    /// <summary>How it is being fetched.</summary>
    public Task Fetching { get; set; } = Task.CompletedTask;

    /// <summary>How it is being loaded for those who ask it; one load is for all of them.</summary>
    public Task? Loading { get; set; }

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

    /// <summary>When it was last asked.</summary>
    public long LastUsed
    {
        get => Volatile.Read(ref _lastUsed);
        set => Volatile.Write(ref _lastUsed, value);
    }

    /// <summary>Bytes of memory that it takes while it is loaded, by estimate; the lock of <see cref="ModelMemory"/> guards them.</summary>
    public long Bytes { get; set; }

    /// <summary>It serves, and its last requests did not all fail; or it will when it is asked.</summary>
    public bool Runs => Model is { } model ? !model.IsFailing : Status.State == ModelState.Unloaded;

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

    /// <summary>Unloads the model, unless somebody has leased it.</summary>
    /// <returns>Ends when its memory is free; nothing where it goes on.</returns>
    public Task? TryUnload()
    {
        if (Model is not { } model || model.TryUnload() is not { } unloading)
        {
            return null;
        }

        // Who finds it meanwhile cannot lease it, and looks again.
        Interlocked.CompareExchange(ref _model, null, model);
        return unloading;
    }
}
