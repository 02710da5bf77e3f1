namespace Whatsit.Inference.Catalog;

/// <summary>What one class index means.</summary>
/// <param name="Index">The class index, from 0.</param>
/// <param name="Label">The label as people read it.</param>
/// <param name="Group">The coarse group that the label belongs to, where the model has groups.</param>
public sealed record ClassLabel(int Index, string Label, string? Group);

/// <summary>Reads <c>labels.txt</c>: one class per line, the coarse group after a tab.</summary>
public static class Labels
{
    /// <summary>Reads the file; blank lines at its end do not count.</summary>
    public static IReadOnlyList<ClassLabel> Read(string path) => Parse(File.ReadAllText(path));

    /// <summary>Reads the file's text.</summary>
    public static IReadOnlyList<ClassLabel> Parse(string text)
    {
        var lines = text.TrimStart('\uFEFF').ReplaceLineEndings("\n").Split('\n');
        var count = lines.Length;
        while (count > 0 && string.IsNullOrWhiteSpace(lines[count - 1]))
        {
            count--;
        }

        return [.. lines.Take(count).Select((line, index) => line.Split('\t', 2, StringSplitOptions.TrimEntries) is [var label, var group]
            ? new ClassLabel(index, label, group)
            : new ClassLabel(index, line.Trim(), null))];
    }
}
