namespace Whatsit.Inference;

/// <summary>What was answered all the same, and the reader should know: the last rows of a picture are missing, a field was not understood.</summary>
/// <param name="Code">Stable, for programs.</param>
/// <param name="Detail">One sentence for people.</param>
/// <param name="Parameters">The values in the sentence, by name: numbers and strings.</param>
public sealed record Warning(string Code, string Detail, IReadOnlyDictionary<string, object> Parameters)
{
    /// <summary>A warning with the values of its sentence.</summary>
    public static Warning Of(string code, string detail, params ReadOnlySpan<(string Name, object Value)> parameters) =>
        new(code, detail, Codes.Named(parameters));
}
