using Whatsit.Inference;

namespace Whatsit.ModelConversion;

/// <summary>A model file that cannot be read: one sentence that names what and where.</summary>
public sealed class ModelFormatException(string message, Exception? innerException = null) : Exception(OneLine(message), innerException)
{
    private const int Longest = 2000;

    /// <summary>Whether an exception is what becomes of a file that lies about itself, and not already a sentence, or somebody who stopped it.</summary>
    internal static bool IsDamage(Exception exception) =>
        exception is not (ModelFormatException or InferenceException or OperationCanceledException or IOException or UnauthorizedAccessException)
        || exception is EndOfStreamException or InvalidDataException;

    /// <summary>The sentence for it.</summary>
    internal static ModelFormatException Of(string path, Exception exception) =>
        new($"'{Path.GetFileName(Path.TrimEndingDirectorySeparator(path))}' is damaged, or uses what is not supported: {exception.Message}", exception);

    /// <summary>Names come from files: a damaged one may hold anything, of any length.</summary>
    private static string OneLine(string message) =>
        string.Concat((message.Length > Longest ? message[..Longest] + " …" : message).Select(character => char.IsControl(character) ? ' ' : character));
}
