using System.Globalization;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Training;
using Whatsit.Training;

const int interrupted = 130;
if (args is not ([_] or [_, _]) || (args.Length == 2 && !int.TryParse(args[1], NumberStyles.None, CultureInfo.InvariantCulture, out _)))
{
    await Console.Error.WriteLineAsync(
        "This is the other half of whatsit train --fine-tune, which starts it: whatsit-training FOLDER [THREADS], --check, or --folder.");
    return 2;
}

if (args[0] == "--folder")
{
    Console.WriteLine(AppContext.BaseDirectory);
    return 0;
}

using var end = new CancellationTokenSource();
try
{
    Libraries.Require();
    if (args[0] == "--check")
    {
        return 0;
    }

    var job = JsonSerializer.Deserialize(await File.ReadAllTextAsync(Path.Combine(args[0], FineTuningJob.JobFile)), FineTuningJson.Default.FineTuningJob)!;
    // Who started it holds the other end; where that is gone, nobody waits.
    _ = Task.Run(() =>
    {
        while (Console.In.ReadLine() is not null)
        {
        }

        end.Cancel();
    });
    Console.CancelKeyPress += (_, pressed) =>
    {
        pressed.Cancel = true;
        end.Cancel();
    };
    var threads = args.Length == 2 ? int.Parse(args[1], CultureInfo.InvariantCulture) : Environment.ProcessorCount;
    using var tuner = new FineTuner(args[0], job, Math.Max(1, threads),
        step => Console.WriteLine(JsonSerializer.Serialize(step, FineTuningJson.Default.FineTuningStep)));
    tuner.Run(end.Token);
    return 0;
}
catch (OperationCanceledException)
{
    return interrupted;
}
catch (Exception exception) when (exception is InferenceException or ModelFormatException or IOException or UnauthorizedAccessException)
{
    await Console.Error.WriteLineAsync(exception.Message);
    return 1;
}
