namespace Whatsit.Inference;

/// <summary>Sentences for people, in which text from elsewhere stands.</summary>
public static class Sentence
{
    /// <summary>
    /// Names and values come from files and clients: they may hold anything, of any length. What is shown of them is one line, which forges no second one in a
    /// log, and no longer than told.
    /// </summary>
    public static string OneLine(string text, int most = 2000)
    {
        var shown = text.Length > most ? text[..most] + "…" : text;
        return shown.Any(char.IsControl) ? string.Concat(shown.Select(character => char.IsControl(character) ? ' ' : character)) : shown;
    }
}
