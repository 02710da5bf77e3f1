using Whatsit.Inference;

namespace Whatsit.ModelConversion;

/// <summary>A model file that cannot be read: one sentence that names what and where.</summary>
public sealed class ModelFormatException(string message, Exception? innerException = null) : Exception(Sentence.OneLine(message), innerException)
{
    /// <summary>Whether an exception is what becomes of a file that lies about itself, and not already a sentence, or somebody who stopped it.</summary>
    internal static bool IsDamage(Exception exception) =>
        exception is not (ModelFormatException or InferenceException or OperationCanceledException or IOException or UnauthorizedAccessException)
        || exception is EndOfStreamException or InvalidDataException;

    /// <summary>The sentence for it.</summary>
    internal static ModelFormatException Of(string path, Exception exception) =>
        new($"'{Path.GetFileName(Path.TrimEndingDirectorySeparator(path))}' is damaged, or uses what is not supported: {exception.Message}", exception);
}
