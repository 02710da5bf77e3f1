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

    /// <summary>Where the model is computed, if not here; it then needs no weights.</summary>
    public RemoteSpec? Remote { get; init; }

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
/// <param name="Predictions">Only on reduced variants: the recorded answer to the bundle's sample, where it is not the sample's own.</param>
public sealed record BundleFile(string File, long Bytes, string Sha256, bool? Approved = null, IReadOnlyList<Prediction>? Predictions = null);

/// <summary>Servers that compute a model; they speak the Open Inference Protocol v2 over HTTP or gRPC.</summary>
/// <param name="Endpoints">Their addresses: <c>http://host:8080</c>, <c>grpc://host:8001</c>, with TLS <c>https</c> and <c>grpcs</c>. Pictures go to the one with the fewest outstanding.</param>
public sealed record RemoteSpec(IReadOnlyList<string> Endpoints)
{
    /// <summary>More pictures than this are no call that anybody should wait for.</summary>
    internal const int MostInOneCall = 256;

    /// <summary>The model's name there; without it, the manifest's.</summary>
    public string? Model { get; init; }

    /// <summary>Its version there; without it, whichever they have.</summary>
    public string? Version { get; init; }

    /// <summary>Pictures in one call; without it, what their configuration says (<c>max_batch_size</c>), or 1 where there is none.</summary>
    public int? MaxBatchSize { get; init; }
}

/// <summary>What a model's main output holds.</summary>
public enum OutputKind
{
    /// <summary>Between 0 and 1, summing to 1.</summary>
    Probabilities,

    /// <summary>Scores before the softmax, which the server then applies.</summary>
    Logits,

    /// <summary>Between 0 and 1, each class for itself: several may be right at once, or none.</summary>
    MultiLabel,
}

/// <summary>What the model answers.</summary>
public sealed record OutputSpec
{
    /// <summary>The main output, [N, classes].</summary>
    public string Name { get; init; } = "probabilities";

    /// <summary>What it holds.</summary>
    public OutputKind Kind { get; init; }

    /// <summary>
    /// By what the logits are divided before the softmax, so that the confidence is the share of answers that are right; above 1 it makes answers less sure,
    /// without it (1) nothing changes. Of <see cref="OutputKind.MultiLabel"/>, which has no softmax, it is not asked for.
    /// Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2 (https://arxiv.org/abs/1706.04599).
    /// </summary>
    public float? Temperature { get; init; }

    /// <summary>The logits, [N, classes], where the main output holds probabilities and the graph offers both.</summary>
    public string? Logits { get; init; }

    /// <summary>The pooled features, [N, channels], where the graph offers them.</summary>
    public string? Embedding { get; init; }

    /// <summary>The last feature map, [N, channels, height, width], where the graph offers it.</summary>
    public string? Features { get; init; }

    /// <summary>The classifier's weights, little-endian float32 [classes, channels], for class activation maps.</summary>
    public BundleFile? ClassifierWeights { get; init; }
}

/// <summary>
/// A number that is the larger, the surer a model is that a picture shows one of its classes. None of them knows of the temperature.
/// </summary>
public enum AbstainScore
{
    /// <summary>The largest probability. Hendrycks and Gimpel 2017 (https://arxiv.org/abs/1610.02136).</summary>
    Probability,

    /// <summary>The largest logit. Hendrycks et al. 2022 (https://arxiv.org/abs/1911.11132).</summary>
    Logit,

    /// <summary>The logarithm of the sum of the logits' exponentials. Liu et al. 2020 (https://arxiv.org/abs/2010.03759).</summary>
    Energy,

    /// <summary>The cosine between the embedding and the mean embedding of the class that is most similar.</summary>
    ClassMean,

    /// <summary>The cosine between the embedding and that of the most similar known picture. Sun et al. 2022 (https://arxiv.org/abs/2204.06507).</summary>
    Nearest,

    /// <summary>
    /// The cosine of <see cref="ClassMean"/> less <see cref="AbstainSpec.ResidualWeight"/> times what the embedding's direction has outside the space in which
    /// those of known pictures mostly lie. Wang et al. 2022, "ViM: Out-Of-Distribution with Virtual-logit Matching" (https://arxiv.org/abs/2203.10807), of
    /// directions as in Mueller and Hein 2025, "Mahalanobis++" (https://arxiv.org/abs/2505.18032).
    /// </summary>
    VirtualLogit,
}

/// <summary>When the honest answer is "not sure".</summary>
/// <param name="Threshold">The score under which the model abstains.</param>
public sealed record AbstainSpec(float Threshold)
{
    /// <summary>What is compared with the threshold.</summary>
    public AbstainScore Score { get; init; }

    /// <summary>
    /// For <see cref="AbstainScore.ClassMean"/> and <see cref="AbstainScore.Nearest"/>: little-endian float32 [any number, features], each row of length 1.
    /// For <see cref="AbstainScore.VirtualLogit"/> a row for each class, and behind them an orthonormal basis of the space.
    /// </summary>
    public BundleFile? Vectors { get; init; }

    /// <summary>By what the virtual logit multiplies the residual.</summary>
    public float? ResidualWeight { get; init; }

    /// <summary>
    /// The score that 0, 1, … 100 % of photos of the classes do not reach, as measured: a threshold for any share of them can be taken from it.
    /// </summary>
    public IReadOnlyList<float>? Percentiles { get; init; }

    /// <summary>What was measured when the score was chosen, for people and programs.</summary>
    public JsonElement? Measured { get; init; }
}

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
        typeof(KebabCaseEnumConverter<OutputKind>), typeof(KebabCaseEnumConverter<AbstainScore>), typeof(KebabCaseEnumConverter<InputElementType>),
        typeof(KebabCaseEnumConverter<TensorLayout>), typeof(KebabCaseEnumConverter<PreprocessingCertainty>)],
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
