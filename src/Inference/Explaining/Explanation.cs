using System.Numerics.Tensors;

namespace Whatsit.Inference.Explaining;

/// <summary>How the maps of an answer were made.</summary>
/// <param name="Method">class-activation or occlusion.</param>
/// <param name="Runs">The model's runs beside the one that gave the answer.</param>
public sealed record Explanation(string Method, int Runs)
{
    /// <summary>From the model's own last feature map: <see cref="Postprocessing.ClassActivationMap"/>.</summary>
    public const string ClassActivation = "class-activation";

    /// <summary>By asking again with parts of the picture covered: <see cref="OcclusionMap"/>.</summary>
    public const string Occlusion = "occlusion";

    /// <summary>Cells as a map: what speaks against the class is cut off, the largest cell is 1. All zeros where nothing speaks for it.</summary>
    internal static float[][] ToMap(ReadOnlySpan<float> cells, int height, int width)
    {
        var largest = Math.Max(0, TensorPrimitives.Max(cells));
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
