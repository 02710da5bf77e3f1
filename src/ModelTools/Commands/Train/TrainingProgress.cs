using Spectre.Console;
using Spectre.Console.Rendering;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>Shows how far a training is: a bar with rate and time left on a terminal, a line now and then in a log.</summary>
internal static class TrainingProgress
{
    private const int Lines = 10;

    /// <summary>Runs the work; what it says goes to standard error where standard output is not a terminal.</summary>
    public static Task<T> RunAsync<T>(Func<Action<TrainingStep>, Task<T>> work) => Console.IsOutputRedirected ? work(new Log().Say)
        : AnsiConsole.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RateColumn(),
                new RemainingTimeColumn())
            .StartAsync(context => work(new Bars(context).Say));

    private sealed class Bars(ProgressContext context)
    {
        private readonly Lock _lock = new();
        private ProgressTask? _task;
        private string? _what;

        public void Say(TrainingStep step)
        {
            lock (_lock)
            {
                foreach (var row in EpochTable.Rows(step))
                {
                    AnsiConsole.WriteLine(row);
                }

                if (_task is null || _what != step.What)
                {
                    _task?.Value(_task.MaxValue);
                    _task?.StopTask();
                    _task = context.AddTask(Markup.Escape(step.What), maxValue: Math.Max(1, step.Total));
                    _task.IsIndeterminate = step.Total == 0;
                    _what = step.What;
                }

                // Photos are done on several processors: what was said last need not be the latest.
                _task.Value = Math.Max(_task.Value, step.Done);
                if (step.FineTuning is { } fineTuning)
                {
                    _task.Description = Markup.Escape(EpochTable.Brief(fineTuning));
                }
            }
        }
    }

    internal sealed class RateColumn : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(task.Speed is { } speed && !task.IsIndeterminate ? $"{speed:0.0}/s" : "");
    }

    private sealed class Log
    {
        private readonly Lock _lock = new();
        private string? _what;
        private int _said;
        private long _started;

        public void Say(TrainingStep step)
        {
            lock (_lock)
            {
                foreach (var row in EpochTable.Rows(step))
                {
                    Console.Error.WriteLine(row);
                }

                if (_what != step.What)
                {
                    (_what, _said, _started) = (step.What, 0, TimeProvider.System.GetTimestamp());
                    Console.Error.WriteLine(step.What);
                }

                var line = step.Total == 0 ? 0 : (int)((long)step.Done * Lines / step.Total);
                if (line <= _said)
                {
                    return;
                }

                _said = line;
                if (step.FineTuning is { PhotosPerSecond: not null } fineTuning)
                {
                    Console.Error.WriteLine($"  {EpochTable.Describe(fineTuning)}");
                    return;
                }

                var seconds = TimeProvider.System.GetElapsedTime(_started).TotalSeconds;
                var rate = step.Done / Math.Max(seconds, 1e-3);
                Console.Error.WriteLine($"  {step.Done:N0} of {step.Total:N0}, {rate:0.0}/s, {(step.Total - step.Done) / rate:0} s left");
            }
        }
    }
}
