using System.Runtime.InteropServices;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Postprocessing;

/// <summary>
/// Scores to labels: softmax where the model gives logits, the temperature, the best labels, where their evidence lies, and whether the honest answer is
/// "not sure".
/// </summary>
public sealed class Postprocessor
{
    private readonly ModelManifest _manifest;
    private readonly IReadOnlyList<ClassLabel> _classes;
    private readonly ClassActivationMap? _map;
    private readonly Certainty? _certainty;
    private readonly (int Channels, int Height, int Width) _grid;

    /// <summary>Takes what the bundle says of the model's outputs.</summary>
    /// <param name="manifest">What the main output holds, and when to abstain.</param>
    /// <param name="classes">The labels in index order.</param>
    /// <param name="classifier">The classifier's weights, [classes, channels] row-major; <see langword="null"/> where answers cannot be explained.</param>
    /// <param name="features">The last feature map's shape, where the graph offers it.</param>
    /// <param name="vectors">What the abstain score compares with, where it does.</param>
    public Postprocessor(ModelManifest manifest, IReadOnlyList<ClassLabel> classes, float[]? classifier = null,
        (int Channels, int Height, int Width)? features = null, float[]? vectors = null)
    {
        _manifest = manifest;
        _classes = classes;
        _certainty = manifest.Abstain is { } abstain ? new Certainty(abstain.Score, manifest.Output.Kind, vectors, abstain.ResidualWeight ?? 0) : null;
        _grid = features.GetValueOrDefault();
        _map = classifier is null || features is null ? null
            : new ClassActivationMap(manifest.Output.Kind == OutputKind.MultiLabel ? classifier : ClassActivationMap.Contrast(classifier, _grid.Channels),
                _grid.Channels);
    }

    /// <summary>Whether one run is enough to say where the evidence lies.</summary>
    public bool HasMaps => _map is not null;

    /// <summary>Refuses what the model cannot answer.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>, naming the value and the limit.</exception>
    public void Check(ClassifyOptions options)
    {
        if (options.TopK < 1 || options.TopK > _classes.Count)
        {
            throw new InferenceException(
                InferenceError.InvalidRequest,
                "invalid-parameter",
                $"topK is {options.TopK}; it must be from 1 to {_classes.Count}, the number of classes.",
                ("name", "topK"),
                ("value", options.TopK),
                ("least", 1),
                ("most", _classes.Count));
        }
    }

    /// <summary>The best labels of a finished run, best first, and how sure the model is, where its manifest says when to abstain.</summary>
    /// <param name="tensors">A finished run; its scores are overwritten by probabilities.</param>
    /// <param name="options">As <see cref="Check"/> let them pass.</param>
    public (IReadOnlyList<Prediction> Predictions, float? Certainty) Select(Tensors tensors, ClassifyOptions options)
    {
        var scores = tensors.Scores;
        var certainty = _certainty?.Of(scores, tensors.Evidence);
        Softmax.ToProbabilities(scores, _manifest.Output);

        var best = options.TopK <= 128 ? stackalloc int[options.TopK] : new int[options.TopK];
        TopK.Select(scores, best);
        var predictions = new Prediction[best.Length];
        var explain = options.Explain && HasMaps;
        var features = explain ? MemoryMarshal.Cast<byte, float>(tensors.Output(_manifest.Output.Features!).Bytes) : [];
        for (var place = 0; place < best.Length; place++)
        {
            var index = best[place];
            var map = explain ? _map!.Of(features, _grid.Height, _grid.Width, index) : null;
            predictions[place] = new(_classes[index].Label, index, scores[index], map);
        }

        return (predictions, certainty);
    }

    /// <summary>Whether the honest answer is "not sure".</summary>
    public bool Abstains(float? certainty) => certainty < _manifest.Abstain?.Threshold;
}
