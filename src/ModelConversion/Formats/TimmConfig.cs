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

        var share = config.Member("crop_pct") is { ValueKind: JsonValueKind.Number } part ? part.GetDouble() : DefaultCrop;
        var spec = new PreprocessingSpec
        {
            RescaleFactor = 1 / 255d,
            ImageMean = mean,
            ImageStd = deviation,
            Resample = config.Member("interpolation").Text() switch
            {
                "bicubic" => "pil-bicubic",
                "lanczos" => "pil-lanczos",
                "nearest" => "pil-nearest",
                _ => "pil-bilinear",
            },
        };

        // "input_size": [3, 224, 224]; math.floor(input_size / crop_pct)
        return config.Member("crop_mode").Text() == "squash" ? spec : spec with
        {
            Crop = Crop.ResizeThenCenter,
            ResizeShortest = Numbers(config, "input_size") is [_, var side, _] ? Math.Max((int)side, (int)Math.Floor((int)side / share)) : null,
        };
    }

    private static List<double>? Numbers(JsonElement config, string name) =>
        config.Member(name) is { ValueKind: JsonValueKind.Array } list && list.EnumerateArray().All(number => number.ValueKind == JsonValueKind.Number)
            ? [.. list.EnumerateArray().Select(number => number.GetDouble())] : null;
}
