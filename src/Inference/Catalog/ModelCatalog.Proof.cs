using Microsoft.Extensions.Logging;

namespace Whatsit.Inference.Catalog;

// Ready means proven, also later: a model whose runs fail proves itself again.
public sealed partial class ModelCatalog
{
    private static ModelStatus StatusNow(Entry entry) => entry.Model is { CannotRun: true }
        ? entry.Status with { State = ModelState.Failed, Problem = $"The model '{entry.Name}' cannot run any more. It is tried again and again." }
        : entry.Status;

    private async Task ProveAgainAsync(CancellationToken cancellationToken)
    {
        foreach (var entry in _entries.Values)
        {
            if (entry.Model is not { HasFailed: true } model || !model.TryLease())
            {
                continue;
            }

            using var lease = new ModelLease(model);
            model.HasFailed = false;
            try
            {
                await SelfTest.RunAsync(model, _classifier, cancellationToken).ConfigureAwait(false);
                // It was the picture. Or it was the machine, and that is over.
                if (model.CannotRun)
                {
                    model.CannotRun = false;
                    Log.RunsAgain(_logger, entry.Name);
                }
            }
            catch (InferenceException exception) when (exception.Error is InferenceError.QueueFull or InferenceError.TimedOut)
            {
                // Too much to do says nothing of the model.
                model.HasFailed = true;
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                if (!model.CannotRun)
                {
                    Log.CannotRun(_logger, entry.Name, exception);
                }

                (model.HasFailed, model.CannotRun) = (true, true);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "Model {Model} cannot run any more; the server is not ready until it can")]
        public static partial void CannotRun(ILogger logger, string model, Exception exception);

        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} runs again")]
        public static partial void RunsAgain(ILogger logger, string model);
    }
}
