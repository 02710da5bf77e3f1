namespace Whatsit.ModelConversion;

/// <summary>A model file that cannot be read: one sentence that names what and where.</summary>
public sealed class ModelFormatException(string message, Exception? innerException = null) : Exception(OneLine(message), innerException)
{
    private const int Longest = 2000;

    /// <summary>Names come from files: a damaged one may hold anything, of any length.</summary>
    private static string OneLine(string message) =>
        string.Concat((message.Length > Longest ? message[..Longest] + " …" : message).Select(character => char.IsControl(character) ? ' ' : character));
}
