using Whatsit.Inference.Preprocessing;

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
}
