namespace Whatsit.Inference.Backends;

/// <summary>What executes a model: a local ONNX Runtime session, or a model on another server.</summary>
public interface IBackend : IDisposable
{
    /// <summary>Every output that can be asked for.</summary>
    IReadOnlyList<TensorSpec> Outputs { get; }

    /// <summary>Why it can compute nothing now, in a sentence; nothing where it can.</summary>
    string? Problem => null;

    /// <summary>How many requests one run takes at most, where the backend knows better than the settings.</summary>
    int? MaxBatchSize => null;

    /// <summary>How many runs there may be at once, where the backend knows better than the settings.</summary>
    int? Concurrency => null;

    /// <summary>
    /// Whether a caller may leave, and end its lease, while a run works on its tensors: the backend keeps them until the run has ended. It must have taken hold of
    /// them when <see cref="RunAsync"/> first waits for something.
    /// </summary>
    bool KeepsTensors => false;

    /// <summary>Leases the tensors of one request. Dispose them to end the lease.</summary>
    /// <param name="others">The outputs to answer beside the main one.</param>
    Tensors Lease(IReadOnlyList<string> others);

    /// <summary>Runs what was leased as one batch and fills the outputs. Calls may run concurrently.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.BackendFailed"/> or <see cref="InferenceError.UpstreamFailed"/>.</exception>
    ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken);
}

/// <summary>
/// The values of one request: the input that preprocessing writes into, and the outputs of the run. Allocated once, then leased again and again.
/// </summary>
public abstract class Tensors : IDisposable
{
    /// <summary>The input tensor's bytes, batch of one.</summary>
    public abstract Span<byte> Input { get; }

    /// <summary>The clock's timestamp after which nobody waits for the answer any more; nothing: somebody waits however long it takes.</summary>
    public long? Deadline { get; internal set; }

    /// <summary>The main output: one score per class.</summary>
    public abstract Span<float> Scores { get; }

    /// <summary>The output beside the main one that the manifest's abstain score is computed from; empty where it needs none.</summary>
    public virtual ReadOnlySpan<float> Evidence => [];

    /// <summary>An output of a finished run, as it is: the main one, or another that was asked for.</summary>
    public abstract OutputView Output(string name);

    /// <summary>Ends the lease: the next request may have them.</summary>
    public abstract void Dispose();
}
