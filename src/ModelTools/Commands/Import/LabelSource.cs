using System.Text.Json;
using Whatsit.ModelTools.Formats;
using Whatsit.ModelTools.Formats.TensorFlow;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>Labels from the files that people have: one per line, a JSON list, a JSON object by index, or Teachable Machine's <c>metadata.json</c>.</summary>
internal static class LabelSource
{
    private const long Largest = 16 << 20;

    public static string[] Read(string path)
    {
        if (!File.Exists(path))
        {
            throw new ModelFormatException($"There is no label file '{path}'.");
        }

        if (new FileInfo(path).Length > Largest)
        {
            throw new ModelFormatException($"The label file '{path}' is larger than {Largest} bytes.");
        }

        string text = File.ReadAllText(path);
        return text.TrimStart() is ['[' or '{', ..] ? Json(path, text) : [.. LabelFile.Parse(text)];
    }

    private static string[] Json(string path, string text)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            JsonElement root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("labels", out JsonElement labels))
            {
                root = labels;
            }

            if (root.ValueKind == JsonValueKind.Array)
            {
                return [.. root.EnumerateArray().Select(Label)];
            }

            // {"0": "tench", "1": "goldfish"}, or {"0": ["n01440764", "tench"]} as Keras' imagenet_class_index.json
            (int Index, string Label)[] byIndex = [.. root.EnumerateObject().Select(entry => (int.Parse(entry.Name, System.Globalization.CultureInfo.InvariantCulture), Label(entry.Value))).OrderBy(entry => entry.Item1)];
            if (byIndex.Where((entry, position) => entry.Index != position).Any())
            {
                throw new ModelFormatException($"The label file '{path}' does not have every index from 0 to {byIndex.Length - 1}.");
            }

            return [.. byIndex.Select(entry => entry.Label)];
        }
        catch (Exception exception) when (exception is JsonException or FormatException or OverflowException or InvalidOperationException)
        {
            throw new ModelFormatException($"The label file '{path}' is no list of labels: {exception.Message}", exception);
        }
    }

    private static string Label(JsonElement element) => (element.ValueKind == JsonValueKind.Array ? element.EnumerateArray().Last() : element).GetString()
        ?? throw new FormatException("a label is null.");
}
