using System.Globalization;
using System.Text.Json;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>What exporters write beside the network, as <c>metadata_props</c>: names and values in each one's own words.</summary>
internal static class OnnxMetadata
{
    private static readonly string[] LabelNames = ["names", "labels", "classes", "class_names", "label_names"];

    /// <summary>Labels, preprocessing and the side of pictures, where they are said.</summary>
    public static ImportedModel Apply(ImportedModel model, IReadOnlyDictionary<string, string> properties)
    {
        var notes = new List<string>(model.Notes);
        var spec = Ultralytics(properties, notes) ?? PixelMetadata.Read(properties, notes) ?? Timm(properties, notes);
        return model with { Labels = Labels(properties), Preprocessing = spec, Side = Side(properties), Notes = notes };
    }

    private static int? Side(IReadOnlyDictionary<string, string> properties) => properties.TryGetValue("imgsz", out var text)
        && text.Trim('[', ']', '(', ')').Split(',')[0] is var first && int.TryParse(first, NumberStyles.Integer, CultureInfo.InvariantCulture, out var side)
        && side > 0 ? side : null;

    // ultralytics/engine/exporter.py writes description, author, stride, task, imgsz and names (as Python prints a dict); a "-cls" model sees the shorter
    // side resized to its own and the centre of that, by 255 (ultralytics/data/augment.py, classify_transforms).
    private static PreprocessingSpec? Ultralytics(IReadOnlyDictionary<string, string> properties, List<string> notes)
    {
        if (properties.GetValueOrDefault("task") != "classify")
        {
            return properties.ContainsKey("task") && properties.ContainsKey("stride") && properties.ContainsKey("names")
                ? throw new ModelFormatException($"The file's metadata says that its task is '{properties["task"]}'; classifiers are supported.") : null;
        }

        notes.Add("The file's metadata is Ultralytics': the centre of the picture, 0…1.");
        return Presets.Get("ultralytics");
    }

    // timm's pretrained_cfg, whole as JSON or entry by entry.
    private static PreprocessingSpec? Timm(IReadOnlyDictionary<string, string> properties, List<string> notes)
    {
        var json = properties.GetValueOrDefault("pretrained_cfg")
            ?? (properties.ContainsKey("mean") && properties.ContainsKey("std")
                ? $$"""{"mean":{{List(properties["mean"])}},"std":{{List(properties["std"])}}}""" : null);
        if (json is null)
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(json);
            var spec = TimmConfig.Preprocessing(document.RootElement);
            notes.AddRange(spec is null ? [] : ["The file's metadata has timm's mean and deviation."]);
            return spec;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string List(string text) => text.Replace('(', '[').Replace(')', ']');

    private static List<string>? Labels(IReadOnlyDictionary<string, string> properties)
    {
        var text = LabelNames.Select(properties.GetValueOrDefault).FirstOrDefault(value => value is { Length: > 0 });
        if (text is null)
        {
            return null;
        }

        try
        {
            return PythonText.Labels(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
