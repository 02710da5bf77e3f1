using System.Text.Json;
using System.Text.Json.Serialization;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Catalog;

/// <summary>
/// <c>model.json</c>: what the server, the browser, the tools and a client need to run one model the same way. Fields are described in
/// <c>models/README.md</c>.
/// </summary>
public sealed record ModelManifest
{
    /// <summary>The name in URLs; equals the folder's.</summary>
    public required string Name { get; init; }

    /// <summary>A string, as in Triton and TensorFlow Serving.</summary>
    public string Version { get; init; } = "1";

    /// <summary>The name as people read it.</summary>
    public string? Title { get; init; }

    /// <summary>One sentence on what the model knows.</summary>
    public string? Description { get; init; }

    /// <summary>SPDX identifier of the weights' licence.</summary>
    public string? License { get; init; }

    /// <summary>Where the weights come from.</summary>
    public string? Source { get; init; }

    /// <summary>File with one label per line, in index order; a second column after a tab is the coarse group.</summary>
    public string Labels { get; init; } = "labels.txt";

    /// <summary>The weights by variant: <c>fp32</c>, <c>fp16</c>, <c>int8</c>.</summary>
    public required IReadOnlyDictionary<string, BundleFile> Files { get; init; }

    /// <summary>The same network for TensorFlow.js, as <c>whatsit export</c> wrote it: <c>model.json</c>, its shards and what lies beside them.</summary>
    public IReadOnlyList<BundleFile>? Tfjs { get; init; }

    /// <summary>The tensor that the model takes.</summary>
    public required InputSpec Input { get; init; }

    /// <summary>How a picture becomes that tensor.</summary>
    public PreprocessingSpec Preprocessing { get; init; } = new();

    /// <summary>What the model answers.</summary>
    public OutputSpec Output { get; init; } = new();

    /// <summary>When the honest answer is "not sure".</summary>
    public AbstainSpec? Abstain { get; init; }

    /// <summary>Per variant, as measured by <c>whatsit evaluate</c>.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Metrics { get; init; }

    /// <summary>The picture with which the model proves itself at load.</summary>
    public SampleSpec? Sample { get; init; }

    /// <summary>Pictures to try on the page.</summary>
    public IReadOnlyList<SamplePicture>? Samples { get; init; }

    /// <summary>How far the converted model strays from the original, as measured by <c>whatsit import</c>.</summary>
    public JsonElement? Proof { get; init; }
}

/// <summary>One file of a bundle.</summary>
/// <param name="File">Its name, relative to the bundle's folder.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">The SHA-256 of its content, in hex.</param>
/// <param name="Approved">Only on reduced variants: whether its measured loss of accuracy is small enough to serve it unasked.</param>
/// <param name="Predictions">Only on reduced variants: the recorded answer to the bundle's sample, where it is not
/// <see cref="SampleSpec.Predictions"/>.</param>
public sealed record BundleFile(string File, long Bytes, string Sha256, bool? Approved = null, IReadOnlyList<Prediction>? Predictions = null);

/// <summary>What a model's main output holds.</summary>
public enum OutputKind
{
    /// <summary>Between 0 and 1, summing to 1.</summary>
    Probabilities,

    /// <summary>Scores before the softmax, which the server then applies.</summary>
    Logits,
}

/// <summary>What the model answers.</summary>
public sealed record OutputSpec
{
    /// <summary>The main output, [N, classes].</summary>
    public string Name { get; init; } = "probabilities";

    /// <summary>What it holds.</summary>
    public OutputKind Kind { get; init; }

    /// <summary>The pooled features, [N, channels], where the graph offers them.</summary>
    public string? Embedding { get; init; }

    /// <summary>The last feature map, [N, channels, height, width], where the graph offers it.</summary>
    public string? Features { get; init; }

    /// <summary>The classifier's weights, little-endian float32 [classes, channels], for class activation maps.</summary>
    public BundleFile? ClassifierWeights { get; init; }
}

/// <summary>When the honest answer is "not sure".</summary>
/// <param name="Threshold">The largest probability (softmax of the untempered logits) under which the model abstains.</param>
public sealed record AbstainSpec(float Threshold);

/// <summary>The picture with which the model proves itself at load.</summary>
/// <param name="File">Its name, relative to the bundle's folder.</param>
/// <param name="Predictions">The recorded answer, best first.</param>
/// <param name="Tolerance">How far a confidence may stray from the recorded one.</param>
public sealed record SampleSpec(string File, IReadOnlyList<Prediction> Predictions, float Tolerance = 0.02f);

/// <summary>A picture to try on the page.</summary>
/// <param name="File">Its name, relative to the bundle's folder.</param>
/// <param name="Title">Its caption.</param>
/// <param name="Index">The class it shows.</param>
public sealed record SamplePicture(string File, string Title, int Index);

/// <summary>Reads and writes manifests: snake_case names, kebab-case enumerations, comments and trailing commas allowed.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(KebabCaseEnumConverter<Crop>), typeof(KebabCaseEnumConverter<ChannelOrder>), typeof(KebabCaseEnumConverter<Fidelity>),
        typeof(KebabCaseEnumConverter<OutputKind>), typeof(KebabCaseEnumConverter<InputElementType>), typeof(KebabCaseEnumConverter<TensorLayout>)],
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true,
    RespectNullableAnnotations = true,
    WriteIndented = true)]
[JsonSerializable(typeof(ModelManifest))]
public sealed partial class ManifestJson : JsonSerializerContext;

/// <summary><c>ResizeThenCenter</c> as <c>resize-then-center</c>, <c>UInt8</c> as <c>uint8</c>.</summary>
public sealed class KebabCaseEnumConverter<T>() : JsonStringEnumConverter<T>(namingPolicy: KebabCase.Instance, allowIntegerValues: false)
    where T : struct, Enum;

internal sealed class KebabCase : JsonNamingPolicy
{
    public static readonly KebabCase Instance = new();

    // "UInt8" and "Float32" are one word each in every format's documentation.
    public override string ConvertName(string name) => name is "UInt8" or "Float32" ? name.ToLowerInvariant() : KebabCaseLower.ConvertName(name);
}
