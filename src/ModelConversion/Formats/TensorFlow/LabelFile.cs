using System.Globalization;

namespace Whatsit.ModelConversion.Formats.TensorFlow;

/// <summary>Labels as text, one per line in index order.</summary>
internal static class LabelFile
{
    /// <summary>
    /// The lines. Teachable Machine writes the index before each ("0 Apple"), others "0: Apple" or "0,Apple"; it is taken off where every line has its own.
    /// </summary>
    public static List<string> Parse(string text)
    {
        List<string> lines = [.. text.TrimEnd().Split('\n').Select(line => line.Trim())];
        return lines.Select((line, index) => Numbered(line, index.ToString(CultureInfo.InvariantCulture))).All(numbered => numbered)
            ? [.. lines.Select((line, index) => line[(index.ToString(CultureInfo.InvariantCulture).Length + 1)..].Trim())]
            : lines;

        static bool Numbered(string line, string index) =>
            line.Length > index.Length + 1 && line.StartsWith(index, StringComparison.Ordinal) && line[index.Length] is ' ' or '\t' or ':' or ',';
    }

    /// <summary><c>labels.txt</c> beside a model, if its lines are as many as the model's classes.</summary>
    public static List<string>? Beside(string modelPath, int classes)
    {
        var path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(modelPath))!, "labels.txt");
        return ModelFile.Exists(path) && new FileInfo(path).Length < 4 << 20 && Parse(File.ReadAllText(path)) is { } labels
            && labels.Count == classes ? labels : null;
    }
}
