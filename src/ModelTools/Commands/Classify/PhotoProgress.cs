using Spectre.Console;
using Whatsit.Inference;
using Whatsit.ModelTools.Commands.Train;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>
/// Shows on standard error how far a run is: a bar with rate and time left on a terminal, else a line for each tenth, or for each thousand where nobody knows how
/// many there are; at the end what became of them.
/// </summary>
internal sealed class PhotoProgress(long answeredBefore, TimeProvider time)
{
    private const int Tenths = 10, Thousand = 1000;

    private readonly long _started = time.GetTimestamp();
    private long _done;
    private long _failed;
    private int _said;
    private long? _total;
    private ProgressTask? _bar;
    private IAnsiConsole? _console;

    /// <summary>How many there are together with those that were answered before, as soon as somebody knows.</summary>
    public void Expect(long? total)
    {
        _total = total;
        if (_bar is { } bar && total is { } known)
        {
            bar.MaxValue = Math.Max(1, known);
            bar.IsIndeterminate = false;
        }
    }

    /// <summary>One more has been asked about.</summary>
    public void Add(string photo, string? problem)
    {
        _done++;
        if (problem is not null)
        {
            _failed++;
            Say($"{photo}: {problem}");
        }

        if (_bar is { } bar)
        {
            bar.Value = answeredBefore + _done;
            bar.Description = Counted.Of(answeredBefore + _done, "photo") + (_failed > 0 ? $", {_failed:N0} failed" : "");
            return;
        }

        var step = _total is { } total ? (int)((answeredBefore + _done) * Tenths / Math.Max(1, total)) : (int)(_done / Thousand);
        if (step > _said)
        {
            _said = step;
            Console.Error.WriteLine($"  {answeredBefore + _done:N0}{(_total is { } all ? $" of {all:N0}" : "")}, {Rate:0.0}/s{Left}");
        }
    }

    /// <summary>Runs the work with the bar, where there is a terminal.</summary>
    public async Task<T> RunAsync<T>(Func<Task<T>> work)
    {
        if (Console.IsErrorRedirected)
        {
            return await work();
        }

        _console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return await _console.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new TrainingProgress.RateColumn(),
                new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var bar = context.AddTask("photos");
                bar.IsIndeterminate = true;
                _bar = bar;
                Expect(_total);
                var result = await work();
                bar.StopTask();
                return result;
            });
    }

    /// <summary>What became of them.</summary>
    public void Finish() => Console.Error.WriteLine(
        $"{Counted.Of(_done, "photo")} in {time.GetElapsedTime(_started).TotalSeconds:0.0} s, {Rate:0.0}/s{(_failed > 0 ? $", {_failed:N0} failed" : "")}"
        + (answeredBefore > 0 ? $"; {answeredBefore:N0} were answered before" : ""));

    private double Rate => _done / Math.Max(time.GetElapsedTime(_started).TotalSeconds, 1e-3);

    private string Left => _total is { } total ? $", {Math.Max(0, total - answeredBefore - _done) / Math.Max(Rate, 1e-3):0} s left" : "";

    private void Say(string line)
    {
        if (_bar is null)
        {
            Console.Error.WriteLine(line);
        }
        else
        {
            // Above the bar, which is drawn anew.
            _console!.WriteLine(line);
        }
    }
}
