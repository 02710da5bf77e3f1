using Whatsit.Inference;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>Who is asked about photos: a model of this machine, or servers.</summary>
internal interface IAsked
{
    /// <summary>How many photos are worth asking about at once, at most.</summary>
    int AtOnce { get; }

    /// <summary>Reads and classifies a photo.</summary>
    /// <exception cref="InferenceException">Why this one has no answer.</exception>
    /// <exception cref="RunStoppedException">Why none will have one.</exception>
    Task<Classification> ClassifyAsync(NamedPhoto photo, CancellationToken cancellationToken);
}

/// <summary>What keeps all further photos from being answered, in one sentence.</summary>
internal sealed class RunStoppedException(string message) : IOException(message);
