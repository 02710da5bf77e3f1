using System.Globalization;
using Whatsit.ModelConversion.Training;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>The table that grows while every layer is trained: a row for each epoch.</summary>
internal static class EpochTable
{
    private const string Head = "Epoch      Loss   Top-1   Cross entropy      Time";

    /// <summary>What a step adds to the table.</summary>
    public static IEnumerable<string> Rows(TrainingStep step)
    {
        if (step.FineTuning is not { } said)
        {
            return [];
        }

        FineTuningEpoch[] epochs = [.. said.History ?? [], .. said.Ended is { } ended ? [ended] : (FineTuningEpoch[])[]];
        return
        [
            .. epochs.Length > 0 && epochs[0].Epoch == 0 ? [Head] : (string[])[],
            .. epochs.Select(epoch => string.Create(CultureInfo.InvariantCulture,
                $"{epoch.Epoch,5}  {epoch.Loss,8:0.0000}  {epoch.Top1 * 100,4:0.0} %  {epoch.CrossEntropy,14:0.0000}  {Clock(epoch.Seconds),8}")),
            .. said.Note is { } note ? [note] : (string[])[],
        ];
    }

    /// <summary>How far it is, in a line.</summary>
    public static string Describe(FineTuningStep step) => string.Create(CultureInfo.InvariantCulture,
        $"Epoch {step.Epoch} of {step.Epochs}, step {step.Step} of {step.Steps}: loss {step.Loss:0.0000}, {step.PhotosPerSecond:0.0} photos/s, {Clock(step.SecondsLeft ?? 0)} left");

    /// <summary>The same beside a bar with the time that is left.</summary>
    public static string Brief(FineTuningStep step) => string.Create(CultureInfo.InvariantCulture,
        $"Epoch {step.Epoch} of {step.Epochs}, loss {step.Loss:0.000}");

    private static string Clock(double seconds) => TimeSpan.FromSeconds(Math.Round(seconds)).ToString("g", CultureInfo.InvariantCulture);
}
