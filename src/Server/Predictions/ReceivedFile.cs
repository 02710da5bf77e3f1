using System.Buffers;
using Whatsit.Inference;

namespace Whatsit.Server.Predictions;

/// <summary>Bytes of all uploads that are in memory, against the limit.</summary>
public sealed class UploadBudget(LimitsOptions limits)
{
    private long _used;

    /// <summary>Takes bytes from the budget.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>: it is used up.</exception>
    public void Take(int bytes)
    {
        if (Interlocked.Add(ref _used, bytes) > limits.MaxUploadBytesInMemory)
        {
            Interlocked.Add(ref _used, -bytes);
            throw new InferenceException(InferenceError.QueueFull, $"Uploads in memory are at their limit of {limits.MaxUploadBytesInMemory:N0} bytes. Try again in a moment.");
        }
    }

    /// <summary>Gives them back.</summary>
    public void Return(int bytes) => Interlocked.Add(ref _used, -bytes);
}

/// <summary>
/// An uploaded or fetched file in memory, never on disk; small ones in rented buffers. Only what has come counts: who announces megabytes and sends nothing must not keep
/// others out.
/// </summary>
public sealed class ReceivedFile : IDisposable
{
    private const int LargestPooled = 256 * 1024;

    // ArrayPool.Shared keeps arrays for every thread that gave one back; that is far more than ever were in use at once.
    private static readonly ArrayPool<byte> Buffers = ArrayPool<byte>.Create(LargestPooled, maxArraysPerBucket: 64);

    private readonly UploadBudget _budget;
    private readonly byte[]? _pooled;
    private readonly IMemoryOwner<byte>? _lazy;
    private Memory<byte> _memory;
    private int _taken;
    private bool _disposed;

    private ReceivedFile(int length, UploadBudget budget)
    {
        _budget = budget;
        _pooled = length <= LargestPooled ? Buffers.Rent(length) : null;
        _lazy = _pooled is null ? new LazyBuffer(length) : null;
        _memory = _pooled ?? _lazy!.Memory;
    }

    /// <summary>The bytes read.</summary>
    public Memory<byte> Memory => _memory;

    /// <summary>What the client calls it, if it does.</summary>
    public string? Name { get; set; }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">The upload.</param>
    /// <param name="announced">What it must not be longer than, if that is known.</param>
    /// <param name="maxBytes">The limit.</param>
    /// <param name="budget">Where the memory is counted.</param>
    /// <param name="cancellationToken">The client left.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ImageTooLarge"/> or <see cref="InferenceError.QueueFull"/>.</exception>
    public static async Task<ReceivedFile> ReadAsync(Stream stream, long? announced, int maxBytes, UploadBudget budget, CancellationToken cancellationToken)
    {
        if (announced > maxBytes)
        {
            throw TooLarge(announced.Value, maxBytes);
        }

        var most = (int)(announced ?? maxBytes);
        // One byte more: the read that finds the end, or that there is none, needs room.
        var file = new ReceivedFile(most + 1, budget);
        try
        {
            var length = 0;
            while (await stream.ReadAsync(file._memory[length..(most + 1)], cancellationToken) is > 0 and var read)
            {
                length += read;
                if (length > most)
                {
                    throw announced is null ? TooLarge(null, maxBytes) : new InferenceException(InferenceError.InvalidRequest, $"The file is longer than the {announced:N0} bytes that were announced.");
                }

                budget.Take(read);
                file._taken += read;
            }

            file.Narrow((0, length));
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Keeps only a part of the bytes: the decoded picture within a JSON body.</summary>
    public void Narrow((int Start, int Length) part) => _memory = _memory.Slice(part.Start, part.Length);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        _memory = default;
        _budget.Return(_taken);
        _lazy?.Dispose();
        if (_pooled is not null)
        {
            Buffers.Return(_pooled);
        }
    }

    private static InferenceException TooLarge(long? bytes, int maxBytes) => new(
        InferenceError.ImageTooLarge,
        bytes is null ? $"The file is larger than the limit of {maxBytes:N0} bytes." : $"The file has {bytes:N0} bytes; the limit is {maxBytes:N0}.");
}
