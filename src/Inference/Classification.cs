using Whatsit.Inference.Backends;
using Whatsit.Inference.Explaining;

namespace Whatsit.Inference;

/// <summary>One label of an answer.</summary>
/// <param name="Label">The label as people read it.</param>
/// <param name="Index">The class index, from 0.</param>
/// <param name="Confidence">The probability, 0 to 1.</param>
/// <param name="Map">
/// Where in the picture the evidence lies, if asked for: rows of cells, 0 (no evidence) to 1 (the most of this picture).
/// </param>
public sealed record Prediction(string Label, int Index, float Confidence, float[][]? Map = null);

/// <summary>The picture as it was sent.</summary>
/// <param name="Width">Pixels per row, upright.</param>
/// <param name="Height">Rows, upright.</param>
/// <param name="Format">The file's format: <c>jpeg</c>, <c>png</c>, …</param>
/// <param name="Bytes">The file's size.</param>
public sealed record ImageDescription(int Width, int Height, string Format, long Bytes);

/// <summary>What every answer tells, whatever was asked.</summary>
public abstract record Answer
{
    /// <summary>The model that answered.</summary>
    public required string Model { get; init; }

    /// <summary>Its version.</summary>
    public required string Version { get; init; }

    /// <summary>The variant of its weights: <c>fp32</c>, <c>fp16</c>, <c>int8</c>.</summary>
    public required string Variant { get; init; }

    /// <summary>The size of what was sent: the picture's file, or the tensor.</summary>
    public abstract long Bytes { get; }

    /// <summary>Where the time went.</summary>
    public required Timings Timings { get; init; }

    /// <summary>What the reader should know of this answer; mostly nothing.</summary>
    public IReadOnlyList<Warning> Warnings { get; init; } = [];
}

/// <summary>The answer to one picture.</summary>
public sealed record Classification : Answer
{
    /// <summary>The best labels, best first.</summary>
    public required IReadOnlyList<Prediction> Predictions { get; init; }

    /// <summary>The certainty lies under the manifest's threshold: the honest answer is "not sure".</summary>
    public required bool Abstained { get; init; }

    /// <summary>
    /// How sure the model is that the picture shows one of its classes, by the manifest's <see cref="Catalog.AbstainSpec.Score"/>; none where the model always
    /// answers.
    /// </summary>
    public float? Certainty { get; init; }

    /// <summary>How the predictions' maps were made, if they were asked for.</summary>
    public Explanation? Explanation { get; init; }

    /// <summary>The picture as it was sent.</summary>
    public required ImageDescription Image { get; init; }

    /// <inheritdoc/>
    public override long Bytes => Image.Bytes;
}

/// <summary>Outputs of the model's graph, as they are.</summary>
/// <param name="InputBytes">The size of what was sent.</param>
/// <param name="Outputs">What was asked for, in that order.</param>
public sealed record TensorAnswer(long InputBytes, IReadOnlyList<OutputTensor> Outputs) : Answer
{
    /// <inheritdoc/>
    public override long Bytes => InputBytes;
}

/// <summary>One output of a finished run.</summary>
/// <param name="Name">Its name in the graph.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its sides.</param>
/// <param name="Data">Its elements, row-major, in the processor's byte order.</param>
public sealed record OutputTensor(string Name, TensorType Type, IReadOnlyList<long> Shape, byte[] Data);

/// <summary>What a model is asked about.</summary>
/// <param name="Bytes">A picture's file, or the input tensor for one picture.</param>
/// <param name="IsTensor">It is the tensor: it goes to the model as it is.</param>
public readonly record struct ModelInput(ReadOnlyMemory<byte> Bytes, bool IsTensor);

/// <summary>What a caller wants to know about a picture.</summary>
/// <param name="TopK">How many labels, best first; clipped to the number of classes only where the caller left it out.</param>
/// <param name="Explain">Adds to each label where in the picture the evidence lies.</param>
public readonly record struct ClassifyOptions(int TopK = ClassifyOptions.DefaultTopK, bool Explain = false)
{
    /// <summary>How many labels there are in an answer where nobody says otherwise, and the model has as many.</summary>
    public const int DefaultTopK = 5;

    /// <summary>What is asked of a model where the caller asks for nothing: the best labels, at most as many as it has classes.</summary>
    public static ClassifyOptions For(Catalog.Model model) => new(Math.Min(DefaultTopK, model.Classes.Count));
}
