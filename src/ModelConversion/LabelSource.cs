using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelConversion;

/// <summary>Labels from the files that people have: one per line, a JSON list, a JSON object by index, or Teachable Machine's <c>metadata.json</c>.</summary>
internal static class LabelSource
{
    private const long Largest = 16 << 20;

    // Names that labels have beside a model; {0} is the model's own name.
    private static readonly string[] UsualNames =
    [
        "labels.txt", "{0}_labels.txt", "{0}-labels.txt", "{0}.labels.txt", "{0}.txt", "label.txt", "labelmap.txt", "class_names.txt",
            "classes.txt", "dict.txt",
        "labels.json", "{0}_labels.json", "class_names.json", "classes.json", "class_indices.json", "imagenet_class_index.json",
    ];

    /// <summary>Given, found in or beside the file, or numbers; as many as there are classes.</summary>
    /// <param name="file">The file that was given.</param>
    /// <param name="path">The model.</param>
    /// <param name="root">The folder or archive that the model came in; labels may lie in it, above the model.</param>
    /// <param name="model">What was read of it.</param>
    /// <param name="classes">How many there are.</param>
    /// <param name="notes">Told what was found.</param>
    public static string[] Choose(string? file, string path, string root, ImportedModel model, int classes, List<string> notes)
    {
        if (file is not null)
        {
            var given = Read(file);
            return Fit(given, classes, notes) ?? throw new ModelFormatException(
                $"'{file}' has {Counted.Of(given.Length, "label")}; the model has {Counted.Of(classes, "class", "classes")}.");
        }

        if (model.Labels is { } known && AreNames(known, notes) && Fit([.. known], classes, notes) is { } fitting)
        {
            return fitting;
        }

        if (Around(path, root, classes, notes) is { } found && AreNames(found, notes))
        {
            return found;
        }

        notes.Add($"No labels were found: the {Counted.Of(classes, "class", "classes")} are numbered. Give them with --labels.");
        return [.. Enumerable.Range(0, classes).Select(index => $"class {index}")];
    }

    public static string[] Read(string path)
    {
        if (!ModelFile.Exists(path))
        {
            throw new ModelFormatException(File.Exists(path) ? $"The label file '{path}' is empty." : $"There is no label file '{path}'.");
        }

        if (new FileInfo(path).Length > Largest)
        {
            throw new ModelFormatException($"The label file '{path}' is larger than {Largest:N0} bytes.");
        }

        var text = LabelFile.Decode(File.ReadAllBytes(path), path);
        return text.TrimStart() is ['[' or '{', ..] ? Json(path, text) : [.. LabelFile.Parse(text)];
    }

    private static string[]? Around(string path, string root, int classes, List<string> notes)
    {
        for (var at = Path.GetFullPath(path); at is not null; at = Path.GetDirectoryName(at))
        {
            if (Beside(at, classes, notes) is { } labels)
            {
                return labels;
            }

            var folder = Directory.Exists(at) ? at : Path.GetDirectoryName(at)!;
            if (folder.Length <= Path.TrimEndingDirectorySeparator(Path.GetFullPath(root)).Length)
            {
                return null;
            }

            at = Directory.Exists(at) ? at : folder;
        }

        return null;
    }

    /// <summary>The labels beside a model, where a file of a usual name has as many as there are classes.</summary>
    public static string[]? Beside(string model, int classes, List<string> notes)
    {
        var full = Path.GetFullPath(model);
        var folder = Directory.Exists(full) ? full : Path.GetDirectoryName(full)!;
        foreach (var name in UsualNames.Select(name =>
            string.Format(System.Globalization.CultureInfo.InvariantCulture, name, Path.GetFileNameWithoutExtension(full))))
        {
            if (!ModelFile.Exists(Path.Combine(folder, name)))
            {
                continue;
            }

            try
            {
                var labels = Read(Path.Combine(folder, name));
                if (Fit(labels, classes, notes) is { } fitting)
                {
                    notes.Add($"{Counted.Of(labels.Length, "label")} from {name} beside the model.");
                    return fitting;
                }

                notes.Add(
                    $"{name} beside the model has {Counted.Of(labels.Length, "label")}, but there are {Counted.Of(classes, "class", "classes")}: they are not used.");
            }
            catch (ModelFormatException exception)
            {
                notes.Add(exception.Message); // nobody asked for this file
            }
        }

        return null;
    }

    /// <summary>
    /// One label per class. Networks trained by TensorFlow's own ImageNet recipes have a class 0 for the background; where the labels name it and the network
    /// lacks it, it is left out. Nothing else is added or left out: every label behind it would stand for another class.
    /// </summary>
    public static string[]? Fit(string[] labels, int classes, List<string> notes)
    {
        const string Background = "background";
        if (labels.Length == classes)
        {
            return labels;
        }

        if (labels.Length == classes + 1 && labels[0].Equals(Background, StringComparison.OrdinalIgnoreCase))
        {
            notes.Add($"{Counted.Of(labels.Length, "label")} for {Counted.Of(classes, "class", "classes")}: the label '{labels[0]}' was left out.");
            return labels[1..];
        }

        return null;
    }

    // Numbers say no more than the places do, and look as if they did.
    private static bool AreNames(IReadOnlyList<string> labels, List<string> notes)
    {
        var names = labels.Any(label => !label.All(char.IsAsciiDigit));
        notes.AddRange(names ? [] : ["The labels that were found are numbers alone: they count as missing."]);
        return names;
    }

    private static string[] Json(string path, string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            // Teachable Machine's metadata.json, or a config.json of Transformers.
            if (root.ValueKind == JsonValueKind.Object && (root.TryGetProperty("labels", out var labels) || root.TryGetProperty("id2label", out labels)))
            {
                root = labels;
            }

            if (root.ValueKind == JsonValueKind.Array)
            {
                return [.. root.EnumerateArray().Select(Label)];
            }

            // {"tench": 0, "goldfish": 1}: class_indices of Keras' flow_from_directory
            if (root.ValueKind == JsonValueKind.Object && root.EnumerateObject().All(entry => entry.Value.ValueKind == JsonValueKind.Number))
            {
                return InOrder(path, [.. root.EnumerateObject().Select(entry => (entry.Value.GetInt32(), entry.Name))]);
            }

            // {"0": "tench", "1": "goldfish"}, or {"0": ["n01440764", "tench"]} as Keras' imagenet_class_index.json
            return InOrder(path,
                [.. root.EnumerateObject().Select(entry => (int.Parse(entry.Name, System.Globalization.CultureInfo.InvariantCulture), Label(entry.Value)))]);
        }
        catch (Exception exception) when (exception is JsonException or FormatException or OverflowException or InvalidOperationException)
        {
            throw new ModelFormatException($"The label file '{path}' is no list of labels: {exception.Message}", exception);
        }
    }

    private static string[] InOrder(string path, (int Index, string Label)[] labels)
    {
        Array.Sort(labels, (one, other) => one.Index.CompareTo(other.Index));
        return labels.Where((entry, position) => entry.Index != position).Any()
            ? throw new ModelFormatException($"The label file '{path}' does not have every index from 0 to {labels.Length - 1}.")
            : [.. labels.Select(entry => entry.Label)];
    }

    private static string Label(JsonElement element) => (element.ValueKind == JsonValueKind.Array ? element.EnumerateArray().Last() : element).GetString()
        ?? throw new FormatException("a label is null.");
}
