using System.Text.RegularExpressions;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Hub;

/// <summary>A repository on a hub: <c>hf:OWNER/NAME</c>, with a branch, tag or commit behind an <c>@</c>.</summary>
/// <param name="Repository"><c>OWNER/NAME</c>.</param>
/// <param name="Revision">A branch, tag or commit; <c>main</c> by default.</param>
internal sealed partial record HubAddress(string Repository, string Revision)
{
    public const string Scheme = "hf:";

    private const string Usual = "main";

    /// <summary>Whether text is meant as one.</summary>
    public static bool IsOne(string text) => text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase);

    /// <exception cref="ModelFormatException">It names no repository.</exception>
    public static HubAddress Parse(string text)
    {
        var rest = text[Scheme.Length..].TrimStart('/');
        var at = rest.IndexOf('@', StringComparison.Ordinal);
        (var repository, var revision) = at < 0 ? (rest, Usual) : (rest[..at], rest[(at + 1)..]);
        return Name().IsMatch(repository) && Ref().IsMatch(revision) && !revision.Contains("..", StringComparison.Ordinal)
            ? new HubAddress(repository, revision)
            : throw new ModelFormatException($"'{text}' names no model on a hub: hf:OWNER/NAME is expected, with @ and a branch, tag or commit behind it " +
                $"where another than '{Usual}' is meant.");
    }

    public override string ToString() => $"{Repository}{(Revision == Usual ? "" : $"@{Revision}")}";

    // huggingface_hub/utils/_validators.py, validate_repo_id
    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}$")]
    private static partial Regex Name();

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_./-]{0,200}$")]
    private static partial Regex Ref();
}
