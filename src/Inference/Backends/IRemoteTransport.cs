namespace Whatsit.Inference.Backends;

/// <summary>
/// How one server is asked: the Open Inference Protocol over HTTP or over gRPC. What breaks on the way is thrown as <see cref="HttpClient"/> throws it.
/// </summary>
internal interface IRemoteTransport : IDisposable
{
    /// <summary>Where the model's readiness is asked for, for sentences.</summary>
    string ReadyRoute { get; }

    /// <summary>Where the model's metadata are asked for, for sentences.</summary>
    string MetadataRoute { get; }

    /// <summary>Asks whether the model is ready.</summary>
    Task<RemoteReply> CheckReadyAsync(CancellationToken cancellationToken);

    /// <summary>Asks what the model is; what is not there, or is no metadata at all, is not in the reply.</summary>
    Task<RemoteReply> DescribeAsync(CancellationToken cancellationToken);

    /// <summary>Has it compute: fills the tensors, or says what came instead.</summary>
    /// <exception cref="InvalidDataException">The answer is not what was asked for; the message says how.</exception>
    Task<RemoteReply> InferAsync(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within,
        CancellationToken cancellationToken);
}

/// <summary>How a server has answered.</summary>
internal enum RemoteOutcome
{
    /// <summary>As it was asked.</summary>
    Done,

    /// <summary>It has not begun: too much is waiting there.</summary>
    Busy,

    /// <summary>It has not begun: it, or the model, is not ready.</summary>
    NotReady,

    /// <summary>It took too long, by its own clock.</summary>
    Late,

    /// <summary>It has no such model, or does not let us ask.</summary>
    Refused,

    /// <summary>It does not take this request.</summary>
    Rejected,

    /// <summary>It failed, whatever was asked.</summary>
    Failed,
}

/// <summary>A server's answer.</summary>
/// <param name="Outcome">What became of the request.</param>
/// <param name="Status">Its status, and its sentence where it has one.</param>
/// <param name="Metadata">What was asked for.</param>
internal sealed record RemoteReply(RemoteOutcome Outcome, string Status = "", RemoteMetadata? Metadata = null)
{
    public static RemoteReply Done { get; } = new(RemoteOutcome.Done);
}

/// <summary>What a server says of a model.</summary>
/// <param name="Inputs">Tensors of types that the protocol has for numbers.</param>
/// <param name="Outputs">The same.</param>
/// <param name="MaxBatchSize">Pictures that it takes in one call, where it says so.</param>
internal sealed record RemoteMetadata(IReadOnlyList<TensorSpec> Inputs, IReadOnlyList<TensorSpec> Outputs, int? MaxBatchSize);
