using System.Text.Json;
using System.Text.Json.Nodes;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// Layers as Keras 1 described them, in Keras 2's words (keras/legacy/interfaces.py and keras/legacy/layers.py of Keras 2 did the same). A layer is known for
/// Keras 1's by its settings, since files do not always say who wrote them.
/// </summary>
internal static class Keras1
{
    // Keras 1's names of settings, and Keras 2's.
    private static readonly Dictionary<string, string> Renamed = new(StringComparer.Ordinal)
    {
        ["nb_filter"] = "filters",
        ["subsample"] = "strides",
        ["border_mode"] = "padding",
        ["bias"] = "use_bias",
        ["output_dim"] = "units",
        ["atrous_rate"] = "dilation_rate",
    };

    private static readonly Dictionary<string, string> Classes = new(StringComparer.Ordinal)
    {
        ["Convolution2D"] = "Conv2D",
        ["AtrousConvolution2D"] = "Conv2D",
        ["AtrousConv2D"] = "Conv2D",
        ["SeparableConvolution2D"] = "SeparableConv2D",
    };

    private static readonly Dictionary<string, string> Merges = new(StringComparer.Ordinal)
    {
        ["sum"] = "Add",
        ["mul"] = "Multiply",
        ["ave"] = "Average",
        ["max"] = "Maximum",
        ["concat"] = "Concatenate",
    };

    /// <summary>The class and the settings as Keras 2 has them.</summary>
    public static (string ClassName, JsonElement Settings) Upgrade(string className, string name, JsonElement settings)
    {
        if (settings.ValueKind != JsonValueKind.Object || !IsKeras1(className, settings))
        {
            return (className, settings);
        }

        var upgraded = new JsonObject { ["keras1"] = true };
        foreach (var setting in settings.EnumerateObject())
        {
            var key = Renamed.GetValueOrDefault(setting.Name, setting.Name);
            upgraded[key] = JsonSerializer.SerializeToNode(setting.Value);
        }

        if (settings.Member("dim_ordering").Text() is { } order)
        {
            upgraded["data_format"] = order switch { "th" => "channels_first", "tf" or "default" => "channels_last", _ => order };
        }

        if (upgraded["padding"] is JsonValue padding && padding.GetValueKind() == JsonValueKind.String && padding.GetValue<string>() == "half")
        {
            upgraded["padding"] = "same";
        }

        if (settings.Member("nb_row") is { } rows && settings.Member("nb_col") is { } columns)
        {
            upgraded["kernel_size"] = new JsonArray(JsonSerializer.SerializeToNode(rows), JsonSerializer.SerializeToNode(columns));
        }

        if (className == "Merge")
        {
            className = settings.Member("mode").Text() is { } mode && Merges.TryGetValue(mode, out var merge) ? merge
                : throw new ModelFormatException($"The layer 'Merge' ({name}) joins by '{settings.Member("mode")}', which is not supported.");
            upgraded["axis"] = JsonSerializer.SerializeToNode(settings.Member("concat_axis") ?? JsonSerializer.SerializeToElement(-1));
        }
        else if (className == "BatchNormalization" && settings.Member("mode").Integer() is not (null or 0))
        {
            throw new ModelFormatException($"The layer 'BatchNormalization' ({name}) has the mode {settings.Member("mode")}, which is not supported.");
        }

        return (Classes.GetValueOrDefault(className, className), JsonSerializer.SerializeToElement(upgraded));
    }

    private static bool IsKeras1(string className, JsonElement settings) => className switch
    {
        "Merge" or "AtrousConvolution2D" or "AtrousConv2D" => true,
        "Dense" => settings.Member("output_dim") is not null,
        "BatchNormalization" => settings.Member("mode") is not null,
        _ => settings.Member("nb_filter") is not null || settings.Member("dim_ordering") is not null,
    };
}
