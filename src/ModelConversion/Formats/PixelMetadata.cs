using System.Globalization;
using System.Text.Json;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Formats;

/// <summary>
/// How pixels are meant, in the words of ONNX's <c>metadata_props</c> (https://github.com/onnx/onnx/blob/main/docs/MetadataProps.md). Azure Custom Vision
/// writes them, too, with its own beside them, and for all formats as <c>metadata_properties.json</c>.
/// </summary>
internal static class PixelMetadata
{
    private const string File = "metadata_properties.json";
    private const string OfCustomVision = "CustomVision.Preprocess.";
    private const long Longest = 1 << 20;

    /// <summary>What a file around a model says, at most as far up as the folder or archive that it came in, where the model itself says nothing.</summary>
    public static ImportedModel Apply(ImportedModel model, string path, string root)
    {
        if (model.Preprocessing is not null
            || ModelFile.FoldersAround(path, root).Select(folder => ReadFile(Path.Combine(folder, File))).FirstOrDefault(said => said is not null)
                is not { } properties)
        {
            return model;
        }

        var notes = new List<string>(model.Notes);
        return model with { Preprocessing = Read(properties, notes), Notes = notes };
    }

    /// <summary>The preprocessing, where it is said in words that are known.</summary>
    public static PreprocessingSpec? Read(IReadOnlyDictionary<string, string> properties, List<string> notes)
    {
        var format = properties.GetValueOrDefault("Image.BitmapPixelFormat");
        var range = properties.GetValueOrDefault("Image.NominalPixelRange");
        if (format is null && range is null)
        {
            return null;
        }

        var spec = range switch
        {
            null or "NominalRange_0_255" => new PreprocessingSpec(),
            "Normalized_0_1" => new PreprocessingSpec { RescaleFactor = 1 / 255d },
            "Normalized_1_1" => new PreprocessingSpec { RescaleFactor = 1 / 127.5, ImageMean = [1, 1, 1] },
            // Video's levels: 16 is black and 235 white.
            "NominalRange_16_235" => new PreprocessingSpec { RescaleFactor = 219 / 255d, ImageMean = [-16, -16, -16] },
            _ => null,
        };
        var order = format switch
        {
            null or "Rgb8" or "Rgba8" or "Gray8" => ChannelOrder.Rgb,
            "Bgr8" or "Bgra8" => ChannelOrder.Bgr,
            _ => (ChannelOrder?)null,
        };
        if (spec is null || order is null)
        {
            notes.Add($"The metadata says {format}, {range}, which is not known: it is not used.");
            return null;
        }

        notes.Add($"The metadata says {format ?? "no pixel format"}, {range ?? "NominalRange_0_255"}.");
        spec = spec with { Resample = "tf-bilinear", ChannelOrder = order.Value };
        return Centre(properties) is { } shortest ? spec with { Crop = Crop.ResizeThenCenter, ResizeShortest = shortest } : spec;
    }

    // "ByShorterSide" to the target, and of that "OneCropCenter"; otherwise Custom Vision's own scripts squash the picture.
    private static int? Centre(IReadOnlyDictionary<string, string> properties) =>
        properties.GetValueOrDefault(OfCustomVision + "CropMethod")?.Contains("Center", StringComparison.Ordinal) == true
        && Number(properties, "TargetHeight") is > 0 and var target && Number(properties, "CropHeight") is > 0 and var crop && target >= crop
            ? target : null;

    private static int? Number(IReadOnlyDictionary<string, string> properties, string name) =>
        int.TryParse(properties.GetValueOrDefault(OfCustomVision + name), NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value : null;

    private static Dictionary<string, string>? ReadFile(string path)
    {
        if (!ModelFile.Exists(path) || new FileInfo(path).Length > Longest)
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(System.IO.File.ReadAllBytes(path));
            return document.RootElement.ValueKind != JsonValueKind.Object ? null : document.RootElement.EnumerateObject()
                .Where(entry => entry.Value.ValueKind == JsonValueKind.String).DistinctBy(entry => entry.Name)
                .ToDictionary(entry => entry.Name, entry => entry.Value.GetString()!);
        }
        catch (JsonException)
        {
            return null; // nobody asked for this file
        }
    }
}
