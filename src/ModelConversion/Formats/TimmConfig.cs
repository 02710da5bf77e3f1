using System.Text.Json;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Formats;

/// <summary>
/// timm's <c>pretrained_cfg</c>: how its networks see pictures (timm/data/config.py, resolve_data_config; transforms_factory.py, transforms_imagenet_eval).
/// </summary>
internal static class TimmConfig
{
    // timm/data/constants.py
    private const double DefaultCrop = 0.875;

    /// <summary>What it says of mean, deviation, crop and resizer; <see langword="null"/> where there is neither mean nor deviation.</summary>
    public static PreprocessingSpec? Preprocessing(JsonElement config)
    {
        if (Numbers(config, "mean") is not { Count: 1 or 3 } mean || Numbers(config, "std") is not { Count: 1 or 3 } deviation || deviation.Contains(0))
        {
            return null;
        }

        var side = Side(config);
        var share = config.TryGetProperty("crop_pct", out var part) && part.ValueKind == JsonValueKind.Number ? part.GetDouble() : DefaultCrop;
        var spec = new PreprocessingSpec
        {
            RescaleFactor = 1 / 255d,
            ImageMean = mean,
            ImageStd = deviation,
            Resample = config.TryGetProperty("interpolation", out var resizer) && resizer.ValueKind == JsonValueKind.String ? resizer.GetString() switch
            {
                "bicubic" => "pil-bicubic",
                "lanczos" => "pil-lanczos",
                "nearest" => "pil-nearest",
                _ => "pil-bilinear",
            }
            : "pil-bilinear",
        };
        var squashed = config.TryGetProperty("crop_mode", out var mode) && mode.ValueKind == JsonValueKind.String && mode.GetString() == "squash";

        // math.floor(input_size / crop_pct)
        return squashed ? spec : spec with
        {
            Crop = Crop.ResizeThenCenter,
            ResizeShortest = side is { } known ? Math.Max(known, (int)Math.Floor(known / share)) : null,
        };
    }

    /// <summary>The input's side, of <c>"input_size": [3, 224, 224]</c>.</summary>
    public static int? Side(JsonElement config) => Numbers(config, "input_size") is [_, var side, _] ? (int)side : null;

    private static List<double>? Numbers(JsonElement config, string name) =>
        config.ValueKind == JsonValueKind.Object && config.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array
        && list.EnumerateArray().All(number => number.ValueKind == JsonValueKind.Number)
            ? [.. list.EnumerateArray().Select(number => number.GetDouble())] : null;
}
