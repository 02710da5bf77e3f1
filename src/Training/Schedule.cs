using Whatsit.ModelConversion.Training;

namespace Whatsit.Training;

/// <summary>The learning rates over time: in each cycle they rise from nothing, and fall along a cosine to a hundredth.</summary>
/// <param name="recipe">How often, how long.</param>
/// <param name="steps">The steps of an epoch.</param>
internal sealed class Schedule(FineTuningRecipe recipe, int steps)
{
    private const double Last = 0.01;

    // How much lower each cycle begins.
    private const double Lower = 0.7;

    /// <summary>The share of the highest rate in a step, from 0.</summary>
    public double At(int step)
    {
        var cycle = Stage.CycleOf(recipe, step / steps);
        var (length, within) = (cycle.Epochs * steps, step - (cycle.First * steps));
        var warmUp = Math.Min(recipe.WarmUp, length / 10);
        var done = Math.Min(1, (double)(within - warmUp) / Math.Max(1, length - warmUp));
        return Math.Pow(Lower, cycle.Index) * (within < warmUp ? (within + 1d) / warmUp : Last + ((1 - Last) * (1 + Math.Cos(Math.PI * done)) / 2));
    }

    /// <summary>How much of the mean of the weights stays: less at first, when they are still far from where they go.</summary>
    public double AverageAt(int step) => Math.Min(recipe.Average, (step + 1d) / (step + 10));
}

/// <summary>One of the parts that the epochs are divided into: each has as many as the others, within one.</summary>
/// <param name="Index">Which, from 0.</param>
/// <param name="First">Its first epoch, from 0.</param>
/// <param name="Epochs">How many it has.</param>
internal readonly record struct Stage(int Index, int First, int Epochs)
{
    /// <summary>The epoch after its last one.</summary>
    public int End => First + Epochs;

    /// <summary>The rise and fall of the rates that an epoch is in (<see cref="FineTuningRecipe.Cycles"/>).</summary>
    public static Stage CycleOf(FineTuningRecipe recipe, int epoch) => Of(epoch, recipe.Epochs, Math.Clamp(recipe.Cycles, 1, recipe.Epochs));

    /// <summary>That of an epoch.</summary>
    public static Stage Of(int epoch, int epochs, int stages)
    {
        var index = (int)(((((long)epoch + 1) * stages) - 1) / epochs);
        var first = Begin(index);
        return new Stage(index, first, Begin(index + 1) - first);

        int Begin(int stage) => (int)((long)stage * epochs / stages);
    }
}
