using System.Diagnostics;
using System.IO.Pipelines;
using Whatsit.Inference;
using Whatsit.Server.Access;

namespace Whatsit.Server.Limits;

/// <summary>
/// Bytes of all uploads that are in memory, against the limit. No client takes more than its share; and where the whole is used up, the upload that has stalled
/// longest gives way: whoever sends must not wait for those who do not.
/// </summary>
internal sealed class UploadBudget(LimitsOptions limits)
{
    // While memory is short, an upload must do better than the least that is allowed at other times.
    private const int Better = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly HashSet<Upload> _uploads = [];
    private readonly Dictionary<string, long> _perClient = [];
    private long _used;

    /// <summary>Takes bytes for an upload.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>: the budget, or the client's share of it, is used up.</exception>
    public void Take(Upload upload, int bytes)
    {
        lock (_lock)
        {
            upload.ThrowIfGivenWay();
            var client = upload.Client;
            var share = client is null ? long.MaxValue : client.MaxUploadBytes ?? limits.UploadBytesPerClient;
            while (client is not null && _perClient.GetValueOrDefault(client.Id) + bytes > share)
            {
                if (!EndOldestStalled(upload, client))
                {
                    throw Full("upload-share-used", "Your uploads in memory", share);
                }
            }

            while (_used + bytes > limits.MaxUploadBytesInMemory)
            {
                if (!EndOldestStalled(upload, of: null))
                {
                    throw Full("upload-memory-used", "Uploads in memory", limits.MaxUploadBytesInMemory);
                }
            }

            _used += bytes;
            upload.Bytes += bytes;
            _uploads.Add(upload);
            if (client is not null)
            {
                _perClient[client.Id] = _perClient.GetValueOrDefault(client.Id) + bytes;
            }
        }
    }

    /// <summary>Gives them back.</summary>
    public void Return(Upload upload, int bytes)
    {
        lock (_lock)
        {
            // What gave way was counted back then.
            Release(upload, Math.Min(bytes, upload.Bytes));
        }
    }

    private void Release(Upload upload, long bytes)
    {
        _used -= bytes;
        upload.Bytes -= bytes;
        if (upload.Bytes == 0)
        {
            _uploads.Remove(upload);
        }

        if (upload.Client is { } client && bytes > 0 && (_perClient[client.Id] -= bytes) == 0)
        {
            _perClient.Remove(client.Id);
        }
    }

    /// <summary>Has the upload that has stalled longest give way to another; false where none has.</summary>
    private bool EndOldestStalled(Upload other, Client? of)
    {
        var stalled = _uploads
            .Where(upload => upload != other && (of is null || upload.Client?.Id == of.Id) && HasStalled(upload))
            .MaxBy(upload => upload.Waited);
        if (stalled is not null)
        {
            Release(stalled, stalled.Bytes);
            stalled.GiveWay();
        }

        return stalled is not null;
    }

    private bool HasStalled(Upload upload) => upload.Pause > Patience
        || (upload.Pause > TimeSpan.Zero
            && upload.Waited > Patience
            && upload.BytesInWindow < (long)limits.MinUploadBytesPerSecond * Better * upload.Waited.TotalSeconds);

    private static InferenceException Full(string code, string what, long limit) => new(
        InferenceError.QueueFull, code, $"{what} are at their limit of {LimitsOptions.Bytes(limit)}. Try again in a moment.", ("limit", limit));
}

/// <summary>One request's upload: what it holds, how fast it comes, and how it is stopped.</summary>
/// <param name="budget">Where its memory is counted.</param>
/// <param name="context">The request, if it is one.</param>
/// <param name="over">Cancelled when the server ends, and no upload is waited for any longer.</param>
internal sealed class Upload(UploadBudget budget, HttpContext? context = null, CancellationToken over = default) : IDisposable
{
    private CancellationTokenSource? _stopped;
    private bool _isClientKnown;
    private long _waitingSince;
    private TimeSpan _waited;
    private volatile bool _gaveWay;

    /// <summary>Who sends, where that is known: when the first byte is taken, keys have been looked at.</summary>
    public Client? Client
    {
        get
        {
            if (!_isClientKnown)
            {
                field = context is null ? null : Clients.Of(context);
                _isClientKnown = true;
            }

            return field;
        }
    }

    /// <summary>Bytes in memory; the budget's lock guards them.</summary>
    public long Bytes { get; set; }

    /// <summary>Bytes that came since the rate was last judged.</summary>
    public long BytesInWindow { get; private set; }

    /// <summary>How long nothing has come; zero while the server works on what came.</summary>
    public TimeSpan Pause => Volatile.Read(ref _waitingSince) is not 0 and var since ? Stopwatch.GetElapsedTime(since) : TimeSpan.Zero;

    /// <summary>How long the server has waited for them.</summary>
    public TimeSpan Waited => _waited + Pause;

    /// <summary>It must end: it has given way, or paused too long, or the server ends.</summary>
    public bool IsStopped => _stopped?.IsCancellationRequested == true;

    /// <summary>Takes memory.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>.</exception>
    public void Take(int bytes) => budget.Take(this, bytes);

    /// <summary>Gives it back.</summary>
    public void Return(int bytes) => budget.Return(this, bytes);

    /// <summary>The server waits for bytes, for so long at most.</summary>
    /// <param name="atMost">The longest pause.</param>
    /// <param name="reader">Whose read is cancelled when it must end meanwhile. What is small has come with its headers, and nobody waits for it.</param>
    public void Wait(TimeSpan atMost, PipeReader reader)
    {
        if (_stopped is null)
        {
            _stopped = CancellationTokenSource.CreateLinkedTokenSource(over);
            context?.Response.RegisterForDispose(this);
            _stopped.Token.UnsafeRegister(static reader => ((PipeReader)reader!).CancelPendingRead(), reader);
        }

        _stopped.CancelAfter(atMost);
        // Last: from now on another upload may end this one.
        Volatile.Write(ref _waitingSince, Stopwatch.GetTimestamp());
    }

    /// <summary>The wait is over.</summary>
    public void Arrived()
    {
        _stopped!.CancelAfter(Timeout.InfiniteTimeSpan);
        _waited += Stopwatch.GetElapsedTime(_waitingSince);
        Volatile.Write(ref _waitingSince, 0);
    }

    /// <summary>Bytes have come. False: over the last window, too few.</summary>
    public bool IsFastEnough(int bytes, TimeSpan window, int bytesPerSecond)
    {
        BytesInWindow += bytes;
        if (_waited < window)
        {
            return true;
        }

        var enough = BytesInWindow >= bytesPerSecond * _waited.TotalSeconds;
        (BytesInWindow, _waited) = (0, TimeSpan.Zero);
        return enough;
    }

    /// <summary>Ends an upload that has stalled, for one that has not.</summary>
    public void GiveWay()
    {
        _gaveWay = true;
        // Not here: the one that needs the memory holds the budget's lock.
        _ = _stopped!.CancelAsync();
    }

    /// <summary>The server ends.</summary>
    public bool IsOver => over.IsCancellationRequested;

    /// <exception cref="RequestRefusedException">It has given way.</exception>
    public void ThrowIfGivenWay()
    {
        if (_gaveWay)
        {
            throw new RequestRefusedException(
                StatusCodes.Status408RequestTimeout, "Too slow", "upload-gave-way",
                    "The upload had stalled, and its memory was needed for others. Try again in a moment.");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _stopped?.Dispose();
}
