using System.Text.RegularExpressions;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Preparation;

namespace Whatsit.ModelConversion.Formats;

/// <summary>
/// What Edge Impulse writes around a model for its C++ library: the classes' names in <c>model_variables.h</c>, and how pictures are resized in
/// <c>model_metadata.h</c>, both beside the model or in <c>model-parameters</c>. Names and their meaning as in edge-impulse-sdk/classifier/ei_constants.h,
/// ei_model_types.h and ei_run_classifier_image.h (https://github.com/edgeimpulse/inferencing-sdk-cpp).
/// </summary>
internal static partial class EdgeImpulse
{
    private const string Folder = "model-parameters";
    private const string Variables = "model_variables.h";
    private const string Metadata = "model_metadata.h";
    private const long Longest = 4 << 20;

    /// <summary>What these files say, where the model itself says nothing.</summary>
    public static ImportedModel Apply(ImportedModel model, string path, string root)
    {
        if (Read(path, root, Variables) is not { } variables || Categories().Match(variables) is not { Success: true } categories)
        {
            return model;
        }

        string[] labels = [.. Text().Matches(categories.Groups["list"].Value).Select(label => Escape().Replace(label.Groups["text"].Value, "${letter}"))];
        var notes = new List<string>(model.Notes) { $"Edge Impulse: {Counted.Of(labels.Length, "label")} and the preparation from {Variables}." };
        return model with
        {
            Labels = model.Labels ?? labels,
            Preprocessing = model.Preprocessing ?? Preparation(variables, Read(path, root, Metadata) ?? "", notes),
            Notes = notes,
        };
    }

    private static PreprocessingSpec? Preparation(string variables, string metadata, List<string> notes)
    {
        // Its image block gives colours from 0 to 1; a learning block may scale these.
        var named = ScalingOf().Match(variables) is { Success: true } match ? match.Groups["name"].Value : "NONE";
        var scaling = named switch
        {
            "NONE" => Scalings.ByName["zero-to-one"],
            "0_255" => Scalings.ByName["none"],
            "TORCH" => Scalings.ByName["imagenet"],
            "MIN1_1" => Scalings.ByName["minus-one-to-one"],
            "MIN128_127" => new Scaling(1, [128, 128, 128], [1, 1, 1]),
            "BGR_SUBTRACT_IMAGENET_MEAN" => Scalings.ByName["caffe"],
            _ => null,
        };
        if (scaling is null)
        {
            notes.Add($"Edge Impulse: the scaling '{named}' is not known, and not used.");
            return null;
        }

        var resized = ResizeMode().Match(metadata) is { Success: true } mode ? mode.Groups["name"].Value : "SQUASH";
        if (resized == "FIT_LONGEST")
        {
            notes.Add("Edge Impulse: pictures were given bars to make them square (fit longest); here the whole picture is squashed.");
        }

        return scaling.With(new PreprocessingSpec
        {
            Resample = "tf-bilinear",
            Crop = resized == "FIT_SHORTEST" ? Crop.CenterSquare : Crop.None,
        });
    }

    private static string? Read(string path, string root, string name) => ModelFile.FoldersAround(path, root)
        .SelectMany(folder => new[] { Path.Combine(folder, name), Path.Combine(folder, Folder, name) })
        .FirstOrDefault(file => ModelFile.Exists(file) && new FileInfo(file).Length <= Longest) is { } found ? File.ReadAllText(found) : null;

    [GeneratedRegex("""
        ei_classifier_inferencing_categories\w*\s*\[\w*\]\s*=\s*\{(?<list>(?:\s*"(?:[^"\\]|\\.)*"\s*,?)+)\s*\}
        """, RegexOptions.CultureInvariant | RegexOptions.IgnorePatternWhitespace, 1000)]
    private static partial Regex Categories();

    [GeneratedRegex("""
        "(?<text>(?:[^"\\]|\\.)*)"
        """, RegexOptions.CultureInvariant | RegexOptions.IgnorePatternWhitespace, 1000)]
    private static partial Regex Text();

    [GeneratedRegex("""\\(?<letter>["'\\?])""", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Escape();

    [GeneratedRegex(@"\bEI_CLASSIFIER_IMAGE_SCALING_(?<name>\w+)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex ScalingOf();

    [GeneratedRegex(@"\bEI_CLASSIFIER_RESIZE_MODE\s+EI_CLASSIFIER_RESIZE_(?<name>\w+)", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex ResizeMode();
}
