using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Training;
using static TorchSharp.torch;

namespace Whatsit.Training;

/// <summary>
/// Makes of each photo and the one beside it, which is there by chance, one: a part of the other is pasted into it (CutMix, Yun et al. 2019,
/// https://arxiv.org/abs/1905.04899) or both are blended (mixup, Zhang et al. 2018, https://arxiv.org/abs/1710.09412). Labels are mixed as the photos are.
/// </summary>
internal static class Mixing
{
    // Of the Beta distribution that blends: most photos stay mostly what they are.
    private const double Blend = 0.2;

    /// <summary>Mixes, or leaves it.</summary>
    /// <param name="photos">The network's input, of floats.</param>
    /// <param name="targets">[photos, classes]: how much each shows of each class.</param>
    /// <param name="layout">How the photos' sides lie.</param>
    /// <param name="recipe">How often to mix.</param>
    /// <param name="random">Decides.</param>
    public static (Tensor Photos, Tensor Targets) Apply(Tensor photos, Tensor targets, TensorLayout layout, FineTuningRecipe recipe, Random random)
    {
        var draw = random.NextDouble();
        if (draw >= recipe.MixUp + recipe.CutMix)
        {
            return (photos, targets);
        }

        var (others, otherTargets) = (photos.roll(1, 0), targets.roll(1, 0));
        double kept;
        if (draw < recipe.MixUp)
        {
            kept = Beta(Blend, random);
            photos = photos.mul(kept).add(others.mul(1 - kept));
        }
        else
        {
            var (rows, columns) = layout == TensorLayout.Nhwc ? (1, 2) : (2, 3);
            var (height, width) = ((int)photos.shape[rows], (int)photos.shape[columns]);
            var (top, bottom, left, right) = Box(height, width, random);
            kept = 1 - ((double)(bottom - top) * (right - left) / (height * width));
            if (bottom > top && right > left)
            {
                photos = photos.clone();
                photos.narrow(rows, top, bottom - top).narrow(columns, left, right - left)
                    .copy_(others.narrow(rows, top, bottom - top).narrow(columns, left, right - left));
            }
        }

        return (photos, targets.mul(kept).add(otherTargets.mul(1 - kept)));
    }

    /// <summary>Section 3.1 of CutMix: a box around a place by chance, with an area of 1 − λ before it is cut at the edges; λ is uniform.</summary>
    private static (int Top, int Bottom, int Left, int Right) Box(int height, int width, Random random)
    {
        var share = Math.Sqrt(1 - random.NextDouble());
        var (tall, wide) = ((int)(height * share), (int)(width * share));
        var (row, column) = (random.Next(height), random.Next(width));
        return (Math.Max(row - (tall / 2), 0), Math.Min(row + (tall / 2), height), Math.Max(column - (wide / 2), 0), Math.Min(column + (wide / 2), width));
    }

    /// <summary>Beta(a, a) for a below 1. Jöhnk 1964, as in Devroye, "Non-Uniform Random Variate Generation", IX.3.5.</summary>
    private static double Beta(double a, Random random)
    {
        while (true)
        {
            var (x, y) = (Math.Pow(random.NextDouble(), 1 / a), Math.Pow(random.NextDouble(), 1 / a));
            if (x + y is > 0 and <= 1)
            {
                return x / (x + y);
            }
        }
    }
}
