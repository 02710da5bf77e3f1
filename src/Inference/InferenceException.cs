namespace Whatsit.Inference;

/// <summary>The one exception that the core throws on purpose. Its message is one sentence that may be shown to a client.</summary>
public sealed class InferenceException : Exception
{
    /// <summary>A failure whose kind says all that a program needs.</summary>
    public InferenceException(InferenceError error, string message, Exception? innerException = null)
        : base(Sentence.OneLine(message), innerException) => (Error, Code, Parameters) = (error, Codes.Of(error), Codes.None);

    /// <summary>A failure with a code of its own and the values of its sentence.</summary>
    public InferenceException(InferenceError error, string code, string message, params ReadOnlySpan<(string Name, object Value)> parameters)
        : base(Sentence.OneLine(message)) => (Error, Code, Parameters) = (error, code, Codes.Named(parameters));

    /// <summary>The same, with what led to it.</summary>
    public InferenceException(InferenceError error, string code, string message, Exception innerException,
        params ReadOnlySpan<(string Name, object Value)> parameters)
        : base(Sentence.OneLine(message), innerException) => (Error, Code, Parameters) = (error, code, Codes.Named(parameters));

    /// <summary>What kind of failure it is; decides the status code and whether retrying helps.</summary>
    public InferenceError Error { get; }

    /// <summary>What happened, stable, for programs: one of <see cref="Codes"/>.</summary>
    public string Code { get; }

    /// <summary>The values in the sentence, by name: numbers and strings.</summary>
    public IReadOnlyDictionary<string, object> Parameters { get; }
}
