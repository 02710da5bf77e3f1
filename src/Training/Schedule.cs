using Whatsit.ModelConversion.Training;

namespace Whatsit.Training;

/// <summary>The learning rates over time: they rise from nothing, and fall along a cosine to a hundredth.</summary>
internal sealed class Schedule(FineTuningRecipe recipe, int steps)
{
    private const double Last = 0.01;

    private readonly int _warmUp = Math.Min(recipe.WarmUp, steps / 10);

    /// <summary>The share of the highest rate in a step, from 0.</summary>
    public double At(int step)
    {
        if (step < _warmUp)
        {
            return (step + 1d) / _warmUp;
        }

        var done = (double)(step - _warmUp) / Math.Max(1, steps - _warmUp);
        return Last + ((1 - Last) * (1 + Math.Cos(Math.PI * Math.Min(1, done))) / 2);
    }

    /// <summary>How much of the mean of the weights stays: less at first, when they are still far from where they go.</summary>
    public double AverageAt(int step) => Math.Min(recipe.Average, (step + 1d) / (step + 10));
}
