using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Training;

namespace Whatsit.Training;

/// <summary>How large photos are in an epoch, and how much they are mixed (<see cref="FineTuningRecipe.FirstSide"/>).</summary>
/// <param name="Input">What the network takes in that epoch.</param>
/// <param name="Mixed">The share of the recipe's CutMix and mixup.</param>
internal readonly record struct Growth(InputSpec Input, double Mixed)
{
    // What convolutional networks shrink a picture by: other sides would be padded elsewhere than the network's own.
    private const int Stride = 32;

    /// <summary>As an epoch has it, from 0: each size has as many epochs as the others, within one, and the last epoch the network's own.</summary>
    public static Growth Of(FineTuningRecipe recipe, InputSpec input, int epoch)
    {
        var last = Math.Min(input.Width, input.Height);
        if (recipe.FirstSide <= 0 || recipe.FirstSide >= last)
        {
            return new Growth(input, 1);
        }

        var stages = ((last - recipe.FirstSide + Stride - 1) / Stride) + 1;
        var stage = (int)Math.Min(stages - 1, ((((long)epoch + 1) * stages) - 1) / recipe.Epochs);
        var side = Math.Min(last, recipe.FirstSide + (stage * Stride));
        return new Growth(side == last ? input : input with { Width = Scaled(input.Width), Height = Scaled(input.Height) }, stage / (stages - 1d));

        int Scaled(int own) => own == last ? side : (int)Math.Round((double)own * side / last / Stride) * Stride;
    }
}
