using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Explaining;

/// <summary>What an explanation may cost. Configuration section <c>Explain</c>.</summary>
public sealed class ExplainOptions
{
    /// <summary>
    /// How many further runs an explanation may take of a model without class activation maps, which is asked again with one part of the picture covered after
    /// the other. More runs show smaller parts: the largest square number counts, so 49 runs give a map of 8 × 8. With less than 4, such models do not
    /// explain. One request then costs as much as that many. The default is 49.
    /// </summary>
    [Range(0, 1024)]
    public int OcclusionRuns { get; set; } = 49;
}
