using System.Net;

namespace Whatsit.Server.Predictions;

/// <summary>
/// Looks names up without the thread pool: the system's resolver blocks its thread for as long as a name server takes, and cannot be stopped. So many lookups
/// run at once, each on a thread of its own, and no more; who waits too long leaves, and the lookup ends when it ends.
/// </summary>
internal sealed class HostResolver(Func<string, IPAddress[]> lookUp) : IDisposable
{
    /// <summary>Lookups at once.</summary>
    public const int Most = 16;

    private readonly SemaphoreSlim _slots = new(Most);

    /// <summary>The addresses of a name.</summary>
    public async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellationToken)
    {
        await _slots.WaitAsync(cancellationToken);
        var lookup = Task.Factory.StartNew(
            () =>
            {
                try
                {
                    return lookUp(host);
                }
                finally
                {
                    _slots.Release();
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        return await lookup.WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _slots.Dispose();
}
