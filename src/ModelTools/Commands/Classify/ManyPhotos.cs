using System.Threading.Channels;
using Whatsit.Inference;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>What became of the photos of a run.</summary>
/// <param name="Answered">Those with an answer.</param>
/// <param name="Failed">Those without one.</param>
internal readonly record struct Tally(long Answered, long Failed);

/// <summary>
/// Any number of photos in constant memory, answered in the order in which they are named:
/// <code>
///   names ──► [ as many as may be asked about at once ] ──► [ finished ones that wait for one before them: at most Window ] ──► answers
/// </code>
/// </summary>
/// <param name="asked">Who is asked.</param>
/// <param name="answers">Where answers go.</param>
/// <param name="report">Told of each photo, with what kept it from being answered, if something did.</param>
/// <param name="keepsPassing">Whether a failure that may not come again is an answer, too; a run that goes on with a file asks again instead.</param>
internal sealed class ManyPhotos(IAsked asked, IAnswers answers, Action<string, string?> report, bool keepsPassing) : IDisposable
{
    // Of archives, whose files cannot be left where they are.
    private const long MostHeld = 128 << 20;

    private readonly SemaphoreSlim _returned = new(0);
    private long _held;

    private int Window => 4 * Math.Max(asked.AtOnce, 16);

    /// <summary>Answers all of them.</summary>
    /// <exception cref="RunStoppedException">None can be answered any more. What was answered is written.</exception>
    public async Task<Tally> RunAsync(IAsyncEnumerable<NamedPhoto> photos, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var slots = new SemaphoreSlim(asked.AtOnce);
        var inOrder = Channel.CreateBounded<(NamedPhoto Photo, Task<Classification> Answer)>(Window);
        var naming = Task.Run(() => NameAsync(photos, slots, inOrder.Writer, stop.Token), CancellationToken.None);
        var (answered, failed) = (0L, 0L);
        try
        {
            await foreach (var (photo, task) in inOrder.Reader.ReadAllAsync(CancellationToken.None))
            {
                try
                {
                    answers.Add(photo.Name, await task);
                    answered++;
                    report(photo.Name, null);
                }
                catch (InferenceException exception)
                {
                    failed++;
                    if (keepsPassing || !IsPassing(exception.Error))
                    {
                        answers.Add(photo.Name, exception.Message);
                    }

                    report(photo.Name, exception.Message);
                }
            }
        }
        finally
        {
            await stop.CancelAsync();
            // The others end, too; why is known already.
            while (inOrder.Reader.TryRead(out var rest))
            {
                await rest.Answer.ContinueWith(static _ => { }, TaskScheduler.Default);
            }

            await naming.ContinueWith(static _ => { }, TaskScheduler.Default);
        }

        await naming;
        return new(answered, failed);
    }

    /// <inheritdoc/>
    public void Dispose() => _returned.Dispose();

    /// <summary>Whether asking again may help, so that the failure is nothing to remember of the photo.</summary>
    private static bool IsPassing(InferenceError error) => error is InferenceError.QueueFull or InferenceError.TimedOut or InferenceError.ModelNotReady
        or InferenceError.UpstreamFailed or InferenceError.BackendFailed;

    private async Task NameAsync(IAsyncEnumerable<NamedPhoto> photos, SemaphoreSlim slots, ChannelWriter<(NamedPhoto, Task<Classification>)> inOrder,
        CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var photo in photos.WithCancellation(cancellationToken))
            {
                while (Interlocked.Read(ref _held) is > 0 and var held && held + photo.Held > MostHeld)
                {
                    await _returned.WaitAsync(cancellationToken);
                }

                Interlocked.Add(ref _held, photo.Held);
                await slots.WaitAsync(cancellationToken);
                var answer = Task.Run(() => AskAsync(photo, slots, cancellationToken), CancellationToken.None);
                // Only the name is needed any longer.
                await inOrder.WriteAsync((photo with { ReadAsync = _ => Task.FromResult<byte[]>([]) }, answer), cancellationToken);
            }
        }
        finally
        {
            inOrder.Complete();
        }
    }

    private async Task<Classification> AskAsync(NamedPhoto photo, SemaphoreSlim slots, CancellationToken cancellationToken)
    {
        try
        {
            return await asked.ClassifyAsync(photo, cancellationToken);
        }
        finally
        {
            slots.Release();
            if (photo.Held > 0)
            {
                Interlocked.Add(ref _held, -photo.Held);
                _returned.Release();
            }
        }
    }
}
