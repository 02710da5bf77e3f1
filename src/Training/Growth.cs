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

    /// <summary>As an epoch has it, from 0: each size has as many epochs as the others, within one.</summary>
    public static Growth Of(FineTuningRecipe recipe, InputSpec input, int epoch)
    {
        var own = Math.Min(input.Width, input.Height);
        var last = recipe.LastSide > 0 ? recipe.LastSide : own;
        if (recipe.FirstSide <= 0 || recipe.FirstSide > last)
        {
            return new Growth(input, 1);
        }

        var stages = ((last - recipe.FirstSide + Stride - 1) / Stride) + 1;
        var stage = Stage.Of(epoch, recipe.Epochs, stages).Index;
        var side = Math.Min(last, recipe.FirstSide + (stage * Stride));
        var mixed = stages > 1 ? stage / (stages - 1d) : 1;
        return new Growth(side == own ? input : input with { Width = Scaled(input.Width), Height = Scaled(input.Height) }, mixed);

        int Scaled(int length) => length == own ? side : (int)Math.Round((double)length * side / own / Stride) * Stride;
    }
}
