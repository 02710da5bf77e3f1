using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Safetensors;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>
/// A folder as repositories on Hugging Face have it: <c>config.json</c> of Transformers (classes, architecture) with <c>preprocessor_config.json</c>, or
/// timm's <c>config.json</c> with its <c>pretrained_cfg</c>; the network as ONNX at the top or in <c>onnx/</c>, often in several variants.
/// </summary>
internal sealed partial class HubFolder
{
    /// <summary>Describes the network.</summary>
    public const string Config = "config.json";

    /// <summary>Describes how it sees pictures.</summary>
    public const string Preprocessor = "preprocessor_config.json";

    // Text; a thousand classes have 60 kB.
    private const long LongestConfig = 16 << 20;

    private static readonly string[] Folders = ["", "onnx"];

    private readonly string _root;
    private readonly JsonElement _config;

    private HubFolder(string root, JsonElement config) => (_root, _config) = (root, config);

    /// <summary>The folder, if it is one of these.</summary>
    public static HubFolder? Of(string root) => Read(Path.Combine(root, Config)) is { ValueKind: JsonValueKind.Object } config
        && (config.Member("architectures") ?? config.Member("model_type") ?? config.Member("id2label") ?? config.Member("pretrained_cfg")
            ?? config.Member("architecture")) is not null ? new HubFolder(root, config) : null;

    /// <summary>The one around a model, at most as far up as the folder or archive that it came in.</summary>
    public static HubFolder? Around(string model, string root) => ModelFile.FoldersAround(model, root).Select(Of).FirstOrDefault(folder => folder is not null);

    /// <summary>
    /// The ONNX file that is meant: in full precision where there are several; else the weights, or their index; <see langword="null"/> where there is neither.
    /// </summary>
    /// <exception cref="ModelFormatException">The network is no classifier of pictures.</exception>
    public string? Model()
    {
        RefuseOthers();
        var chosen = Choose(Folders.SelectMany(folder => Directory.Exists(Path.Combine(_root, folder))
            ? Directory.EnumerateFiles(Path.Combine(_root, folder), "*.onnx").Where(ModelFile.Exists).Select(file => Path.GetRelativePath(_root, file)) : []))
            ?? (TransformersReader.Knows(_config) ? Checkpoint.UsualNames.FirstOrDefault(file => Checkpoint.Is(Path.Combine(_root, file))) : null);
        return chosen is null ? null : Path.Combine(_root, chosen);
    }

    /// <summary>Of the ONNX files of a repository the one in full precision: <c>model.onnx</c> rather than <c>model_fp16.onnx</c>.</summary>
    public static string? Choose(IEnumerable<string> files)
    {
        string[] graphs = [.. files.Select(file => file.Replace('\\', '/')).Where(file => file.EndsWith(".onnx", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];
        return graphs.FirstOrDefault(file => file.EndsWith("onnx/model.onnx", StringComparison.Ordinal))
            ?? graphs.FirstOrDefault(file => file.Split('/')[^1] == "model.onnx")
            ?? graphs.FirstOrDefault(file => !Reduced().IsMatch(file)) ?? graphs.FirstOrDefault(file => file.Contains("fp16", StringComparison.Ordinal))
            ?? graphs.FirstOrDefault();
    }

    /// <summary>
    /// The same network in fewer bits, as exporters name it: <c>model_fp16.onnx</c>, <c>model_int8.onnx</c> or <c>model_quantized.onnx</c> beside
    /// <c>model.onnx</c>.
    /// </summary>
    /// <param name="full">The network in full precision.</param>
    /// <param name="files">All files.</param>
    public static IReadOnlyList<(string Variant, string File)> FewerBits(string full, IReadOnlyCollection<string> files)
    {
        if (!full.EndsWith(".onnx", StringComparison.Ordinal) || Reduced().IsMatch(full))
        {
            return [];
        }

        (string Variant, string Ending)[] known = [("fp16", "_fp16"), ("int8", "_int8"), ("int8", "_quantized")];
        return [.. known.Select(one => (one.Variant, File: $"{full[..^".onnx".Length]}{one.Ending}.onnx")).Where(one => files.Contains(one.File))
            .DistinctBy(one => one.Variant)];
    }

    /// <summary>The same of a folder: paths in it.</summary>
    public static IReadOnlyList<(string Variant, string File)> FewerBits(string root) => Of(root)?.Model() is { } model
        ? FewerBits(Path.GetRelativePath(root, model).Replace('\\', '/'), [.. Directory.EnumerateFiles(Path.GetDirectoryName(model)!, "*.onnx")
            .Where(ModelFile.Exists).Select(file => Path.GetRelativePath(root, file).Replace('\\', '/'))]) : [];

    /// <summary>What the folder says, beside what the file does.</summary>
    /// <param name="model">The network as it was read.</param>
    /// <param name="size">The side that was asked for.</param>
    public ImportedModel Apply(ImportedModel model, int? size)
    {
        var notes = new List<string>(model.Notes);
        var processor = Read(Path.Combine(_root, Preprocessor));
        var timm = _config.Member("pretrained_cfg") ?? (_config.Member("mean") is not null ? _config : null);
        (var spec, var sides) = timm is { } pretrained ? Timm(pretrained)
            : processor is { } described ? ImageProcessor.Read(described, notes) : (null, null);
        sides ??= Sides(_config.Member("image_size")) ?? Sides(_config.Member("vision_config").Member("image_size"));
        if (spec is not null)
        {
            notes.Add($"Preprocessing is that of {(timm is null ? Preprocessor : "timm's pretrained_cfg")}.");
        }

        if (size is null && sides is { } given)
        {
            Fix(model.Graph, given.Height, given.Width, (int)(_config.Member("num_channels").Integer() ?? 3), notes);
        }

        var labels = Labels(timm);
        notes.AddRange(labels is null ? [] : [$"{Counted.Of(labels.Count, "class name")} from {Config}."]);
        return model with { Labels = labels ?? model.Labels, Preprocessing = spec ?? model.Preprocessing, Notes = notes };
    }

    /// <summary>JSON from a file of the folder; <see langword="null"/> where there is none.</summary>
    public static JsonElement? Read(string path)
    {
        if (!ModelFile.Exists(path) || new FileInfo(path).Length > LongestConfig)
        {
            return null;
        }

        try
        {
            ReadOnlyMemory<byte> text = File.ReadAllBytes(path);
            text = text.Span.StartsWith("\uFEFF"u8) ? text[3..] : text; // editors on Windows
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { AllowTrailingCommas = true });
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static (PreprocessingSpec? Spec, (int Height, int Width)? Sides) Timm(JsonElement pretrained) =>
        (TimmConfig.Preprocessing(pretrained), pretrained.Member("input_size").Items().Select(side => side.Integer()).ToArray() is [_, > 0 and var height,
            > 0 and var width] ? ((int)height, (int)width) : null);

    /// <summary>"CLIPModel", "BertForMaskedLM": what has a head for something else, or none.</summary>
    private void RefuseOthers()
    {
        if (_config.Member("architectures").Items().Select(name => name.Text()).OfType<string>().ToArray() is { Length: > 0 } names
            && !Array.Exists(names, name => name.Contains("ImageClassification", StringComparison.Ordinal)) && Array.TrueForAll(names, Other().IsMatch))
        {
            throw new ModelFormatException(
                $"{Config} says that the network is a '{names[0]}', which is no classifier of pictures ('…ForImageClassification').");
        }
    }

    /// <summary>Exporters leave every side open, [batch, channels, height, width]; PyTorch's channels come first.</summary>
    private static void Fix(Graph graph, int height, int width, int channels, List<string> notes)
    {
        if (graph.Inputs is not [{ Shape: [_, var first, var second, var third] } input] || !input.Shape.Skip(1).Any(side => side < 0)
            || height < 1 || width < 1 || channels is not (1 or 3))
        {
            return;
        }

        var last = third is 1 or 3 && first is not (1 or 3);
        int[] open = last ? [height, width, channels] : [channels, height, width];
        int[] shape = [input.Shape[0], .. new[] { first, second, third }.Zip(open, (side, wanted) => side < 0 ? wanted : side)];
        graph.Inputs[0] = input with { Shape = shape };
        notes.Add($"The network takes pictures of any size; fixed to the preprocessor's, [{string.Join(", ", shape.Skip(1))}] (say --size for another).");
    }

    private List<string>? Labels(JsonElement? timm)
    {
        // {"0": "tench", …}; "LABEL_0" is what Transformers writes where nobody gave names.
        (int Index, string Name)[] numbered = [.. _config.Member("id2label").Members()
            .Select(entry => (int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : -1, entry.Value.Text() ?? ""))
            .OrderBy(entry => entry.Item1)];
        if (numbered.Length > 0 && numbered.Select((entry, place) => entry.Index == place && entry.Name.Length > 0).All(own => own)
            && !Array.TrueForAll(numbered, entry => Unnamed().IsMatch(entry.Name)))
        {
            return [.. numbered.Select(entry => entry.Name)];
        }

        // timm: names may be WordNet's numbers, with descriptions beside them.
        var names = (_config.Member("label_names") ?? timm.Member("label_names")).Items().Select(name => name.Text()).OfType<string>().ToArray();
        var descriptions = _config.Member("label_descriptions") ?? timm.Member("label_descriptions");
        return names.Length == 0 ? null : [.. names.Select(name => descriptions.Member(name).Text() ?? name)];
    }

    private static (int Height, int Width)? Sides(JsonElement? size) => size.Integer() is > 0 and < 1 << 16 and var side ? ((int)side, (int)side)
        : size.Items().Select(one => one.Integer()).ToArray() is [> 0 and < 1 << 16 and var height, > 0 and < 1 << 16 and var width]
            ? ((int)height, (int)width) : null;

    [GeneratedRegex("_(fp16|float16|int8|uint8|quantized|quant|q4|q4f16|q8|bnb4|bf16)\\b", RegexOptions.IgnoreCase)]
    private static partial Regex Reduced();

    [GeneratedRegex("(Model|For[A-Z]\\w+)$")]
    private static partial Regex Other();

    [GeneratedRegex("^LABEL_\\d+$")]
    private static partial Regex Unnamed();
}
