using System.Numerics.Tensors;

namespace Whatsit.Inference.Postprocessing;

/// <summary>
/// Where in the picture the evidence for a class lies: the classifier's weights applied to every cell of the last feature map instead of to its
/// mean. Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", equation 2.
/// </summary>
public sealed class ClassActivationMap
{
    private readonly float[] _weights;
    private readonly int _channels;

    /// <summary>Takes the classifier's weights, [classes, channels] row-major.</summary>
    public ClassActivationMap(float[] weights, int channels)
    {
        if (channels <= 0 || weights.Length % channels != 0)
        {
            throw new ArgumentException($"{weights.Length} classifier weights are no multiple of {channels} channels.", nameof(weights));
        }

        _weights = weights;
        _channels = channels;
    }

    /// <summary>
    /// The map of one class: negative evidence is cut off, the largest cell is 1. All zeros where nothing speaks for the class.
    /// </summary>
    /// <param name="features">The feature map, [channels, height, width].</param>
    /// <param name="height">Rows of the feature map.</param>
    /// <param name="width">Cells per row.</param>
    /// <param name="index">The class index.</param>
    public float[][] Of(ReadOnlySpan<float> features, int height, int width, int index)
    {
        var cells = new float[height * width];
        var weights = _weights.AsSpan(index * _channels, _channels);
        for (var channel = 0; channel < _channels; channel++)
        {
            TensorPrimitives.MultiplyAdd(features.Slice(channel * cells.Length, cells.Length), weights[channel], cells, cells);
        }

        var largest = Math.Max(0, TensorPrimitives.Max<float>(cells));
        var map = new float[height][];
        for (var row = 0; row < height; row++)
        {
            map[row] = new float[width];
            for (var column = 0; column < width; column++)
            {
                map[row][column] = largest == 0 ? 0 : MathF.Round(Math.Max(0, cells[(row * width) + column]) / largest, 4);
            }
        }

        return map;
    }
}
