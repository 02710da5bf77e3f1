using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats;

/// <summary>Reads one format into the common <see cref="Graph"/>. One per format: Keras, TensorFlow.js, TensorFlow Lite, ONNX.</summary>
public interface IModelReader
{
    /// <summary>The format's name for people: <c>Keras</c>.</summary>
    string Format { get; }

    /// <summary>A cheap look at the content, never at the name: is this file, or this folder, of the format?</summary>
    bool CanRead(string path);

    /// <summary>Reads the whole model.</summary>
    /// <exception cref="ModelFormatException">The file is malformed, or uses what is not supported; the message names it and its place.</exception>
    ImportedModel Read(string path);
}

/// <summary>What a file knows: the network, and where the format has them, labels and preprocessing.</summary>
public sealed record ImportedModel(Graph Graph)
{
    /// <summary>The labels in index order, where the file or a file beside it has them.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>The preprocessing, where the file knows it; <see langword="null"/> where a preset must say.</summary>
    public PreprocessingSpec? Preprocessing { get; init; }

    /// <summary>The side of the pictures, where the network takes any and the file knows what it was trained on.</summary>
    public int? Side { get; init; }

    /// <summary>Sentences on what was found or assumed, for the report: "Teachable Machine: pixels are scaled to -1…1."</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
