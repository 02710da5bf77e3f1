using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Whatsit.Inference;

namespace Whatsit.Server.Limits;

/// <summary>A request's body as it comes from the network: bounded in bytes and in patience, with the client's mistakes named as such.</summary>
internal sealed class GuardedBody(Stream body, Upload upload, LimitsOptions limits, HttpContext context) : ReadOnlyStream
{
    // Of the body as it comes: what reads it later is this.
    private readonly PipeReader _reader = context.Request.BodyReader;
    private readonly TimeSpan _window = TimeSpan.FromSeconds(limits.UploadPauseSeconds);
    private long _received;

    /// <summary>There is nothing more to read.</summary>
    public bool Ended { get; private set; }

    /// <summary>The client is gone. Kestrel may notice later, and must be asked for nothing more: it takes the failed read for one that goes on.</summary>
    public bool IsReset { get; private set; }

    /// <summary>Something was read: a client that waits for <c>100 Continue</c> has got it.</summary>
    public bool Started { get; private set; }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Ended)
        {
            return 0;
        }

        Started = true;
        try
        {
            if (upload.IsStopped)
            {
                throw new OperationCanceledException("The upload was stopped.");
            }

            // Not the caller's token: Kestrel ends the read itself where the client leaves. Nor one of our own: what has come already needs none.
            var reading = body.ReadAsync(buffer, CancellationToken.None);
            var read = reading.IsCompleted ? await reading : await WaitAsync(reading);
            Ended = read == 0 && !buffer.IsEmpty;
            _received += read;
            if (_received > limits.RequestBytes)
            {
                throw TooLarge(null, limits.RequestBytes);
            }

            return upload.IsFastEnough(read, _window, limits.MinUploadBytesPerSecond) || Ended ? read : throw TooSlow();
        }
        catch (ConnectionResetException)
        {
            IsReset = true;
            context.Abort();
            throw;
        }
        catch (OperationCanceledException exception) when (upload.IsStopped && !context.RequestAborted.IsCancellationRequested)
        {
            upload.ThrowIfGivenWay();
            // The end of the server has a sentence of its own.
            throw upload.IsOver ? exception : TooSlow();
        }
        catch (IOException exception)
            when (exception is not BadHttpRequestException && !context.RequestAborted.IsCancellationRequested)
        {
            // A chunk whose size is no number, for one; the framework calls it an I/O error.
            throw new InferenceException(InferenceError.InvalidRequest, "The request's body is malformed or ends too early.", exception);
        }
    }

    private async ValueTask<int> WaitAsync(ValueTask<int> reading)
    {
        upload.Wait(_window, _reader);
        try
        {
            return await reading;
        }
        finally
        {
            upload.Arrived();
        }
    }

    public static RequestRefusedException TooLarge(long? bytes, long limit) => new(
        StatusCodes.Status413PayloadTooLarge,
        "Too large",
        "request-too-large",
        bytes is null ? $"The request has more than {LimitsOptions.Bytes(limit)}, the limit."
            : $"The request has {LimitsOptions.Bytes(bytes.Value)}; the limit is {limit:N0}.",
        bytes is null ? [("limit", limit)] : [("bytes", bytes.Value), ("limit", limit)]);

    private RequestRefusedException TooSlow() => new(
        StatusCodes.Status408RequestTimeout,
        "Too slow",
        "upload-too-slow",
        $"The upload paused for {Counted.Of(limits.UploadPauseSeconds, "second")}, or came with less than {Counted.Of(limits.MinUploadBytesPerSecond, "byte")} per second, "
            + "and was given up.",
        ("seconds", limits.UploadPauseSeconds),
        ("bytesPerSecond", limits.MinUploadBytesPerSecond));
}
