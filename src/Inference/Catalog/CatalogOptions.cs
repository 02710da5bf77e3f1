using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Catalog;

/// <summary>Which models are served. Configuration section <c>Catalog</c>.</summary>
public sealed class CatalogOptions
{
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
    [Required]
    public string Variant { get; set; } = "auto";

    /// <summary>
    /// Seconds between two looks at the folder for new, changed and removed bundles; 0 looks only once, at start. The default is 2.
    /// </summary>
    [Range(0, 3600)]
    public double WatchSeconds { get; set; } = 2;
}
