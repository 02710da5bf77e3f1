using System.Text.Json;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>
/// Transformers' <c>preprocessor_config.json</c>: resize, crop, rescale, normalise, each of which may be left out
/// (transformers/models/*/image_processing_*.py). What a file leaves out is what its kind of processor does.
/// </summary>
internal static class ImageProcessor
{
    // PIL.Image.Resampling
    private const int Nearest = 0;
    private const int Lanczos = 1;
    private const int Bilinear = 2;
    private const int Bicubic = 3;

    // transformers/image_utils.py, IMAGENET_DEFAULT_MEAN and IMAGENET_STANDARD_MEAN
    private static readonly double[] DefaultMean = [0.485, 0.456, 0.406];
    private static readonly double[] DefaultStd = [0.229, 0.224, 0.225];
    private static readonly double[] StandardMean = [0.5, 0.5, 0.5];

    /// <summary>The preprocessing, and the sides of the pictures that come out.</summary>
    public static (PreprocessingSpec Spec, (int Height, int Width)? Sides) Read(JsonElement config, List<string> notes)
    {
        // "ViTImageProcessor", "ViTImageProcessorFast", "ViTFeatureExtractor"
        var kind = config.Member("image_processor_type").Text() ?? config.Member("feature_extractor_type").Text() ?? "";
        bool Is(string name) => kind.StartsWith(name, StringComparison.OrdinalIgnoreCase);
        var rescales = config.Member("do_rescale").Flag() ?? true;
        var normalises = config.Member("do_normalize").Flag() ?? !Is("MobileViT");
        var standard = Is("ViT") || Is("MobileNet") || Is("Beit") || Is("DPT");
        var mean = Numbers(config.Member("image_mean")) ?? (standard ? StandardMean : DefaultMean);
        var std = Numbers(config.Member("image_std")) ?? (standard ? StandardMean : DefaultStd);
        if (Is("EfficientNet") && (config.Member("include_top").Flag() ?? true))
        {
            std = [.. std.Select(value => value * value)]; // the processor divides a second time
        }

        var offset = rescales && config.Member("rescale_offset").Flag() == true ? 1d : 0; // pixel · factor − 1
        var spec = new PreprocessingSpec
        {
            RescaleFactor = rescales ? config.Member("rescale_factor").Number() is { } factor && factor > 0 ? Exact(factor) : 1 / 255d : 1,
            ImageMean = normalises ? [.. mean.Select(value => value + offset)] : [offset, offset, offset],
            ImageStd = normalises ? std : [1, 1, 1],
            Resample = Resampler(config.Member("resample"), Is("BiT") || Is("CLIP") || Is("DeiT") || Is("Levit") || Is("PoolFormer") ? Bicubic
                : Is("EfficientNet") ? Nearest : Bilinear),
            ChannelOrder = ((config.Member("do_flip_channel_order") ?? config.Member("do_flip_channels")).Flag() ?? Is("MobileViT")) ? ChannelOrder.Bgr
                : ChannelOrder.Rgb,
        };
        return Cropped(config, spec, Is, notes);
    }

    private static (PreprocessingSpec Spec, (int Height, int Width)? Sides) Cropped(JsonElement config, PreprocessingSpec spec, Func<string, bool> isKind,
        List<string> notes)
    {
        var size = config.Member("size");
        var shortest = Side(size.Member("shortest_edge")) ?? (size is { ValueKind: JsonValueKind.Number } ? Side(size) : null);
        var sides = Pair(size) ?? (shortest is { } one ? (one, one) : null);
        var crop = Pair(config.Member("crop_size"));
        var crops = config.Member("do_center_crop").Flag() ?? (crop is not null && !isKind("ViT"));
        if (config.Member("do_resize").Flag() == false)
        {
            sides = null;
        }

        // ConvNeXt, PoolFormer: crop_pct of the resized picture's side stays, and from 384 pixels on all of it, squashed.
        if (config.Member("crop_pct").Number() is > 0 and <= 1 and var part && shortest is { } edge)
        {
            var kept = isKind("PoolFormer") && crop is { } taken ? taken : (edge, edge);
            return isKind("ConvNext") && edge >= 384 ? (spec, kept)
                : (spec with { Crop = Crop.ResizeThenCenter, ResizeShortest = (int)(edge / part) }, kept);
        }

        if (isKind("Levit") && shortest is { } levit)
        {
            return (spec with { Crop = Crop.ResizeThenCenter, ResizeShortest = (int)(256 / 224d * levit) }, crop ?? (levit, levit));
        }

        if (crops && (crop ?? sides) is var (height, width))
        {
            if ((size.Member("height") is not null || isKind("DeiT") || isKind("Beit")) && Pair(size) is { } squashed && squashed != (height, width))
            {
                notes.Add($"The preprocessor squashes the whole picture to {squashed.Width} × {squashed.Height} and cuts out the centre; here the shorter " +
                    $"side is resized instead, which is the same for square pictures and keeps the proportions of others.");
            }

            var resized = sides is { } whole ? Math.Min(whole.Item1, whole.Item2) : height;
            return (spec with { Crop = Crop.ResizeThenCenter, ResizeShortest = Math.Max(resized, Math.Max(height, width)) }, (height, width));
        }

        // The shorter side alone leaves a picture of its own proportions, which a network of one size takes the middle of.
        return size.Member("shortest_edge") is not null && shortest is { } side
            ? (spec with { Crop = Crop.ResizeThenCenter, ResizeShortest = side }, (side, side)) : (spec, sides);
    }

    // 0.00392156862745098 is 1 ÷ 255 again, though a float rounds it.
    private static double Exact(float factor)
    {
        var times = Math.Round(1d / factor, 2);
        return Math.Abs((1 / times / factor) - 1) < 1e-6 ? 1 / times : factor;
    }

    private static string Resampler(JsonElement? resample, int otherwise) => (resample.Integer() ?? otherwise) switch
    {
        Nearest => "pil-nearest",
        Lanczos => "pil-lanczos",
        Bicubic => "pil-bicubic",
        _ => "pil-bilinear",
    };

    private static (int Height, int Width)? Pair(JsonElement? size) => Side(size) is { } both ? (both, both)
        : Side(size.Member("height")) is { } height && Side(size.Member("width")) is { } width ? (height, width)
        : size.Items().Select(one => Side(one)).ToArray() is [{ } first, { } second] ? (first, second) : null;

    private static int? Side(JsonElement? side) =>
        side is { ValueKind: JsonValueKind.Number } && side.Integer() is > 0 and < 1 << 16 and var pixels ? (int)pixels : null;

    private static double[]? Numbers(JsonElement? list)
    {
        double[] numbers = [.. list.Items().Where(number => number.ValueKind == JsonValueKind.Number).Select(number => number.GetDouble())];
        return numbers is [var one] ? [one, one, one] : numbers.Length == 3 ? numbers : null;
    }
}
