using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary>A part of a bundle's card that is brought up to date while the rest stays as it is.</summary>
internal static class CardSection
{
    /// <summary>Replaces the part, or adds it.</summary>
    /// <param name="folder">The bundle's folder.</param>
    /// <param name="manifest">Its manifest.</param>
    /// <param name="title">The part's heading, with the line breaks behind it.</param>
    /// <param name="section">The part, heading included.</param>
    public static void Put(string folder, ModelManifest manifest, string title, string section)
    {
        var path = Path.Combine(folder, "README.md");
        var card = File.Exists(path) ? File.ReadAllText(path) : $"# {manifest.Title ?? manifest.Name}\n";
        var from = card.IndexOf(title, StringComparison.Ordinal);
        var to = from < 0 ? -1 : card.IndexOf("\n## ", from + title.Length, StringComparison.Ordinal);
        var rest = to < 0 ? "" : card[to..];
        File.WriteAllText(path, $"{(from < 0 ? card.TrimEnd() + "\n\n" : card[..from])}{section}{rest}");
    }
}
