using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>One variant of a model beside the others: a row of the table that every tutorial ends with.</summary>
/// <param name="Variant">The variant.</param>
/// <param name="Network">The architecture, as the file names it.</param>
/// <param name="Parameters">The number of weights.</param>
/// <param name="Bytes">The file's size.</param>
/// <param name="Figures">What was measured.</param>
/// <param name="Agreement">With the first variant; none for that itself.</param>
/// <param name="Others">What it makes of photos of other things, where there were any.</param>
internal sealed record VariantRow(string Variant, string Network, long Parameters, long Bytes, Figures Figures, Agreement? Agreement,
    OthersFigures? Others = null)
{
    /// <summary>The median of a stage in milliseconds.</summary>
    public double Median(string stage) => Figures.Latencies.First(latency => latency.Stage == stage).P50;
}

/// <summary>A finished evaluation.</summary>
/// <param name="Manifest">The model.</param>
/// <param name="Classes">Its labels.</param>
/// <param name="Source">Where the photos came from.</param>
/// <param name="Machine">What it ran on.</param>
/// <param name="Variants">The variants; the first is the one that the details are about.</param>
internal sealed record EvaluationResult(ModelManifest Manifest, IReadOnlyList<ClassLabel> Classes, string Source, string Machine,
    IReadOnlyList<VariantRow> Variants)
{
    /// <summary>The details.</summary>
    public Figures Figures => Variants[0].Figures;
}
