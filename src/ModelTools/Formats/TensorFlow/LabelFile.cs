using System.Globalization;

namespace Whatsit.ModelTools.Formats.TensorFlow;

/// <summary>Labels as text, one per line in index order.</summary>
internal static class LabelFile
{
    /// <summary>The lines. Teachable Machine writes the index before each ("0 Apple"); it is taken off where every line has its own.</summary>
    public static List<string> Parse(string text)
    {
        List<string> lines = [.. text.TrimEnd().Split('\n').Select(line => line.Trim())];
        return lines.Select((line, index) => line.StartsWith($"{index.ToString(CultureInfo.InvariantCulture)} ", StringComparison.Ordinal)).All(numbered => numbered)
            ? [.. lines.Select(line => line[(line.IndexOf(' ') + 1)..].Trim())]
            : lines;
    }

    /// <summary><c>labels.txt</c> beside a model, if its lines are as many as the model's classes.</summary>
    public static List<string>? Beside(string modelPath, int classes)
    {
        string path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelPath))!, "labels.txt");
        return File.Exists(path) && new FileInfo(path).Length < 4 << 20 && Parse(File.ReadAllText(path)) is { } labels && labels.Count == classes ? labels : null;
    }
}
