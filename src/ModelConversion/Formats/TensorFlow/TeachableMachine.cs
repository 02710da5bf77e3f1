using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Formats.TensorFlow;

/// <summary>
/// What Google's Teachable Machine does to a picture before its models see it, in all of its exports: the largest centred square, resized, and (pixel ÷ 127.5)
/// − 1.
/// https://github.com/googlecreativelab/teachablemachine-community/blob/master/libraries/image/src/utils/tf.ts (cropTensor, capture)
/// </summary>
internal static class TeachableMachine
{
    public static PreprocessingSpec Preprocessing { get; } = new()
    {
        Crop = Crop.CenterSquare,
        Resample = "tfjs-bilinear",
        RescaleFactor = 1 / 127.5,
        ImageMean = [1, 1, 1],
    };

    public const string Note = "Teachable Machine: the centred square of the picture is resized and its pixels are scaled to −1…1.";

    /// <summary>
    /// Its layers are named by TensorFlow.js in its trainer, and keep those names in every format: <c>sequential_1_input</c>, <c>dense_Dense1</c>.
    /// </summary>
    public static bool Wrote(string inputName, IEnumerable<string> names) =>
        inputName.Contains("sequential_", StringComparison.Ordinal) && inputName.Contains("_input", StringComparison.Ordinal) &&
        names.Any(name => name.Contains("dense_Dense", StringComparison.Ordinal));

    /// <summary>
    /// Whether a network is built as its own: MobileNetV2 of a width of 0.35 (16 filters first, 1,280 features at last), pooled, a dense layer with ReLU,
    /// and one without bias before the softmax.
    /// https://github.com/googlecreativelab/teachablemachine-community/blob/master/libraries/image/src/teachable-mobilenet.ts
    /// </summary>
    public static bool Built(Graph graph)
    {
        const int Features = 1280, FirstFilters = 16;
        if (graph.Nodes.Find(node => node.Op == "Conv") is not { } first
            || graph.Constants.GetValueOrDefault(first.Inputs[1]) is not { Shape: [FirstFilters, 3, 3, 3] } || graph.Outputs is not [var scores, ..])
        {
            return false;
        }

        var wiring = new Wiring(graph);
        return Back(scores.Name) is { Op: "Softmax" } softmax
            && Back(softmax.Inputs[0]) is { Op: "Gemm" or "MatMul" } last && Bias(last) == 0 && last.Inputs.Count > 1
            && Back(last.Inputs[0]) is { Op: "Relu" } relu
            && Back(relu.Inputs[0]) is { } hidden && (hidden.Op == "Add" ? Back(hidden.Inputs[0]) : hidden) is { Op: "Gemm" or "MatMul" } dense
            && wiring.Constant(dense, 1) is { Shape: [var one, var other] } && (one == Features || other == Features)
            && Back(dense.Inputs[0]) is { Op: "GlobalAveragePool" or "ReduceMean" };

        Node? Back(string value)
        {
            var node = wiring.Producer(value);
            while (node is { Op: "Identity" or "Flatten" or "Reshape" or "Squeeze" or "Dropout" or "Transpose" })
            {
                node = wiring.Producer(node.Inputs[0]);
            }

            return node;
        }

        double Bias(Node node) => wiring.Constant(node, 2)?.ToDoubles().Sum(Math.Abs) ?? 0;
    }
}
