using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Catalog;

/// <summary>Which models are served. Configuration section <c>Catalog</c>.</summary>
public sealed class CatalogOptions : IValidatableObject
{
    internal const string AtStart = "start", OnDemand = "on-demand";

    private static readonly long HalfOfMemory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;

    /// <summary>The folder with one bundle per folder. The default is <c>models</c>, looked for upwards from the working directory and the program.</summary>
    [Required]
    public string Models { get; set; } = "models";

    /// <summary>The model that answers where a request names none. The default is <c>grocery</c>.</summary>
    [Required]
    public string DefaultModel { get; set; } = "grocery";

    /// <summary>
    /// The variant of the weights: <c>fp32</c>, <c>fp16</c>, <c>int8</c>, or <c>auto</c>: int8 where the processor computes, has instructions for it and
    /// the manifest approves it, else fp32. The default is <c>auto</c>.
    /// </summary>
    [AllowedValues("auto", "fp32", "fp16", "int8", ErrorMessage = "It must be auto, fp32, fp16 or int8.")]
    public string Variant { get; set; } = "auto";

    /// <summary>
    /// Seconds between two looks at the folder for new, changed and removed bundles; 0 looks only once, at start. The default is 2.
    /// </summary>
    [Range(0, 3600)]
    public double WatchSeconds { get; set; } = 2;

    /// <summary>
    /// When models are loaded: all of them at <c>start</c>, or each <c>on-demand</c>, when it is first asked, the default model at start. The first request
    /// then waits, and says how long in its timing. The default is <c>start</c>.
    /// </summary>
    [AllowedValues(AtStart, OnDemand, ErrorMessage = "It must be start or on-demand.")]
    public string Load { get; set; } = AtStart;

    /// <summary>
    /// With <c>on-demand</c>: bytes that the loaded models may take together, by an estimate from the sizes of their files. Where another one needs room, the
    /// one that was not asked for the longest time is unloaded; one that is being asked is not. 0, the default, means half of the memory that the process may
    /// use.
    /// </summary>
    [Range(0, long.MaxValue, ErrorMessage = "It must be a number of bytes, or 0.")]
    public long MaxMemory { get; set; }

    /// <summary>Bundles that are fetched at start and served as if they lay in the folder: for platforms without a volume. The default is none.</summary>
    public IList<BundleSource> Sources { get; } = [];

    /// <summary>Where fetched bundles are kept, so that the next start does not fetch them again. The default is this user's cache folder.</summary>
    public string? Cache { get; set; }

    /// <summary>Bytes of a bundle that is fetched or sent, packed and unpacked. The default is 2 GB (2,147,483,648).</summary>
    [Range(1024, 1_000_000_000_000)]
    public long MaxBundleBytes { get; set; } = 2L << 30;

    /// <summary><see cref="MaxMemory"/>, with its default worked out.</summary>
    internal long MemoryBudget => MaxMemory > 0 ? MaxMemory : HalfOfMemory;

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) =>
        Sources.Select((source, index) => source.ProblemOf($"Catalog:Sources:{index}")
                ?? (Sources.Take(index).Any(other => other.Name == source.Name) ? $"Catalog:Sources:{index}:Name is '{source.Name}', as is another's." : null))
            .OfType<string>()
            .Select(problem => new ValidationResult(problem, [nameof(Sources)]));
}
