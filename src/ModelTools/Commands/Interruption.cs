using System.Runtime.InteropServices;

namespace Whatsit.ModelTools.Commands;

/// <summary>
/// Ctrl-C, or a request to end: the verb stops and tidies up. Who asks a second time, or a verb that has not stopped after ten seconds, ends at once; what it leaves
/// then, the next one removes (<see cref="Inference.Catalog.TemporaryName"/>).
/// </summary>
internal sealed class Interruption : IDisposable
{
    /// <summary>128 + SIGINT, as shells count.</summary>
    public const int ExitCode = 130;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;

    public Interruption() =>
        _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGINT, End), PosixSignalRegistration.Create(PosixSignal.SIGTERM, End)];

    /// <summary>Cancelled by the first.</summary>
    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _source.Dispose();
    }

    private void End(PosixSignalContext context)
    {
        if (_source.IsCancellationRequested)
        {
            return;
        }

        context.Cancel = true;
        _ = Task.Delay(Patience).ContinueWith(_ => Environment.Exit(ExitCode), TaskScheduler.Default);
        _source.Cancel();
    }
}
