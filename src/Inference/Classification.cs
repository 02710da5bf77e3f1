namespace Whatsit.Inference;

/// <summary>One label of an answer.</summary>
/// <param name="Label">The label as people read it.</param>
/// <param name="Index">The class index, from 0.</param>
/// <param name="Confidence">The probability, 0 to 1.</param>
/// <param name="Map">
/// The class activation map, if asked for: rows of the feature map's grid, 0 (no evidence) to 1 (the most of this picture).
/// </param>
public sealed record Prediction(string Label, int Index, float Confidence, float[][]? Map = null);

/// <summary>The picture as it was sent.</summary>
/// <param name="Width">Pixels per row, upright.</param>
/// <param name="Height">Rows, upright.</param>
/// <param name="Format">The file's format: <c>jpeg</c>, <c>png</c>, …</param>
/// <param name="Bytes">The file's size.</param>
public sealed record ImageDescription(int Width, int Height, string Format, long Bytes);

/// <summary>The answer to one picture.</summary>
public sealed record Classification
{
    /// <summary>The model that answered.</summary>
    public required string Model { get; init; }

    /// <summary>Its version.</summary>
    public required string Version { get; init; }

    /// <summary>The variant of its weights: <c>fp32</c>, <c>fp16</c>, <c>int8</c>.</summary>
    public required string Variant { get; init; }

    /// <summary>The best labels, best first.</summary>
    public required IReadOnlyList<Prediction> Predictions { get; init; }

    /// <summary>The certainty lies under the manifest's threshold: the honest answer is "not sure".</summary>
    public required bool Abstained { get; init; }

    /// <summary>
    /// How sure the model is that the picture shows one of its classes, by the manifest's <see cref="Catalog.AbstainSpec.Score"/>; none where the model always
    /// answers.
    /// </summary>
    public float? Certainty { get; init; }

    /// <summary>The picture as it was sent.</summary>
    public required ImageDescription Image { get; init; }

    /// <summary>Where the time went.</summary>
    public required Timings Timings { get; init; }

    /// <summary>What the reader should know of this answer; mostly nothing.</summary>
    public IReadOnlyList<Warning> Warnings { get; init; } = [];
}

/// <summary>What a caller wants to know about a picture.</summary>
/// <param name="TopK">How many labels, best first; clipped to the number of classes only where the caller left it out.</param>
/// <param name="Explain">Adds each label's class activation map.</param>
public readonly record struct ClassifyOptions(int TopK = ClassifyOptions.DefaultTopK, bool Explain = false)
{
    /// <summary>How many labels there are in an answer where nobody says otherwise, and the model has as many.</summary>
    public const int DefaultTopK = 5;

    /// <summary>What is asked of a model where the caller asks for nothing: the best labels, at most as many as it has classes.</summary>
    public static ClassifyOptions For(Catalog.Model model) => new(Math.Min(DefaultTopK, model.Classes.Count));
}
