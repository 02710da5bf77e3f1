namespace Whatsit.Inference;

/// <summary>The one exception that the core throws on purpose. Its message is one sentence that may be shown to a client.</summary>
public sealed class InferenceException(InferenceError error, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>What kind of failure it is; decides the status code and whether retrying helps.</summary>
    public InferenceError Error { get; } = error;
}
