using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion;

/// <summary>
/// What the original answers to a few pictures, by the reference interpreter over the graph as it was read; and whether the converted file answers the
/// same. The original's inputs are computed here from the pixels, so that the arithmetic that moved into the graph is proved too.
/// </summary>
internal sealed class Proof
{
    // Above this, a float conversion is wrong and nothing is installed; a right one stays around 1e-6. The scores of a quantized model jump in steps
    // when a value lies between two bytes, so that there only the answer itself must stay.
    private const float LargestAllowed = 1e-3f;
    private const float NearTie = 0.2f;

    private readonly List<(byte[] Pixels, float[] Scores)> _cases = [];

    /// <summary>The pixels of the pictures, [H, W, 3]; the first is the sample.</summary>
    public IReadOnlyList<byte[]> Pictures => [.. _cases.Select(proof => proof.Pixels)];

    /// <summary>Runs the original.</summary>
    public static Proof Record(Graph original, PictureInput input, PreprocessingSpec preprocessing, byte[] sample, Action<string> progress)
    {
        var proof = new Proof();
        var interpreter = new Interpreter(original);
        byte[][] pictures = [sample, Noise(input)];
        for (var picture = 0; picture < pictures.Length; picture++)
        {
            progress($"Running the original, picture {picture + 1} of {pictures.Length}");
            var scores = interpreter.Run(ToInput(pictures[picture], input, preprocessing))[original.Outputs[0].Name];
            proof._cases.Add((pictures[picture], Real(original, scores)));
        }

        return proof;
    }

    /// <summary>The scores of the original for each picture.</summary>
    public IReadOnlyList<float[]> Scores => [.. _cases.Select(proof => proof.Scores)];

    /// <summary>The largest difference between what the original answered and what the converted model answers.</summary>
    /// <param name="answers">The converted model's, by picture.</param>
    /// <param name="classifier">What was made of the original's scores.</param>
    /// <param name="quantized">Only the answer itself must stay.</param>
    /// <exception cref="ModelFormatException">They do not agree.</exception>
    public float Check(IReadOnlyList<float[]> answers, ClassifierDescription classifier, bool quantized)
    {
        float largest = 0;
        for (var picture = 0; picture < answers.Count; picture++)
        {
            var expected = classifier.FromOriginal(_cases[picture].Scores);
            var actual = answers[picture];
            if (expected.Length != actual.Length)
            {
                throw new ModelFormatException(
                    $"The converted model answers {Counted.Of(actual.Length, "number")} where the original answers {expected.Length}. Nothing was installed.");
            }

            for (var i = 0; i < expected.Length; i++)
            {
                var scale = classifier.Kind == OutputKind.Logits ? Math.Max(1, Math.Abs(expected[i])) : 1;
                var difference = Math.Abs(expected[i] - actual[i]) / scale;
                largest = float.IsNaN(difference) ? float.PositiveInfinity : Math.Max(largest, difference);
            }

            var best = Array.IndexOf(expected, expected.Max());
            var answered = Array.IndexOf(actual, actual.Max());
            if (quantized ? best != answered && expected[best] - expected[answered] > NearTie * Math.Max(1, Math.Abs(expected[best]))
                : largest > LargestAllowed)
            {
                throw new ModelFormatException(
                    $"The converted model does not answer as the original does: the largest difference is {largest:0.######}. Nothing was installed.");
            }
        }

        return largest;
    }

    /// <summary>The original's input for a picture: (pixel · rescale − mean) ÷ std in its own layout and channel order.</summary>
    public static Tensor ToInput(byte[] pixels, PictureInput input, PreprocessingSpec preprocessing)
    {
        var channels = Math.Max(1, input.Channels);
        var area = input.Width * input.Height;
        int[] shape = input switch
        {
            { Channels: 0 } => [1, input.Height, input.Width],
            { Layout: TensorLayout.Nhwc } => [1, input.Height, input.Width, channels],
            _ => [1, channels, input.Height, input.Width],
        };
        var quantized = input.Type is ElementType.UInt8 or ElementType.Int8;
        var values = new double[area * channels];
        for (var pixel = 0; pixel < area; pixel++)
        {
            for (var channel = 0; channel < channels; channel++)
            {
                var at = pixel * 3;
                var value = channels == 1 ? (0.299 * pixels[at]) + (0.587 * pixels[at + 1]) + (0.114 * pixels[at + 2])
                    : pixels[at + (preprocessing.ChannelOrder == ChannelOrder.Bgr ? 2 - channel : channel)];
                var to = input.Layout == TensorLayout.Nhwc ? (pixel * channels) + channel : (channel * area) + pixel;
                values[to] = quantized ? Math.Round(value) - (input.Type == ElementType.Int8 ? 128 : 0)
                    : ((value * preprocessing.RescaleFactor) - preprocessing.ImageMean[channel]) / preprocessing.ImageStd[channel];
            }
        }

        return Tensor.FromDoubles(quantized ? input.Type : ElementType.Float32, shape, values);
    }

    /// <summary>Scores as numbers: quantized ones by the scale of the quantizer that wrote them.</summary>
    private static float[] Real(Graph graph, Tensor scores)
    {
        var producer = graph.Nodes.Find(node => node.Outputs.Contains(graph.Outputs[0].Name));
        if (producer is not { Op: "QuantizeLinear" } || !graph.Constants.TryGetValue(producer.Inputs[1], out var scale))
        {
            return scores.ToFloats();
        }

        var zero = producer.Inputs.Count > 2 ? graph.Constants[producer.Inputs[2]].ToFloats()[0] : 0;
        return Array.ConvertAll(scores.ToFloats(), value => (value - zero) * scale.ToFloats()[0]);
    }

    private static byte[] Noise(PictureInput input)
    {
        var pixels = new byte[input.Width * input.Height * 3];
        new Random(1).NextBytes(pixels);
        return pixels;
    }
}
