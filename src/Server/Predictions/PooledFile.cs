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
/// An uploaded file in a rented buffer, never on disk. The buffer grows with what has come: who announces megabytes and sends nothing must not keep others out.
/// </summary>
public sealed class PooledFile : IDisposable
{
    // ArrayPool.Shared keeps arrays for every thread that gave one back; with megabytes each that is far more than ever were in use at once.
    private static readonly ArrayPool<byte> Buffers = ArrayPool<byte>.Create(maxArrayLength: 64 * 1024 * 1024, maxArraysPerBucket: 64);

    private const int FirstBytes = 256 * 1024, GrowthFactor = 4;

    private readonly UploadBudget _budget;
    private byte[] _buffer = [];
    private int _start;
    private int _length;

    private PooledFile(UploadBudget budget) => _budget = budget;

    /// <summary>The bytes read.</summary>
    public Memory<byte> Memory => _buffer.AsMemory(_start, _length);

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="stream">The upload.</param>
    /// <param name="announced">Its announced length, if any; it is not trusted.</param>
    /// <param name="maxBytes">The limit.</param>
    /// <param name="budget">Where the memory is counted.</param>
    /// <param name="cancellationToken">The client left.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ImageTooLarge"/> or <see cref="InferenceError.QueueFull"/>.</exception>
    public static async Task<PooledFile> ReadAsync(Stream stream, long? announced, int maxBytes, UploadBudget budget, CancellationToken cancellationToken)
    {
        if (announced > maxBytes)
        {
            throw TooLarge(announced.Value, maxBytes);
        }

        var file = new PooledFile(budget);
        // One byte more: the read that finds the end, or that there is none, needs room.
        var most = (int)(announced ?? maxBytes) + 1;
        try
        {
            file.Grow(Math.Min(most, FirstBytes));
            while (await stream.ReadAsync(file._buffer.AsMemory(file._length), cancellationToken) is > 0 and var read)
            {
                file._length += read;
                if (file._length > maxBytes)
                {
                    throw TooLarge(null, maxBytes);
                }

                if (file._length == file._buffer.Length)
                {
                    // More than announced should not come; if it does, there is room.
                    file.Grow(Math.Max((int)Math.Min(GrowthFactor * (long)file._length, most), file._length + 1));
                }
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Keeps only a part of the bytes: the decoded picture within a JSON body.</summary>
    public void Narrow((int Start, int Length) part)
    {
        _start += part.Start;
        _length = part.Length;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        var buffer = Interlocked.Exchange(ref _buffer, []);
        if (buffer.Length > 0)
        {
            Buffers.Return(buffer);
            _budget.Return(buffer.Length);
        }

        _length = 0;
    }

    private void Grow(int length)
    {
        var larger = Buffers.Rent(length);
        try
        {
            // The old buffer goes back in a moment; counting both would refuse uploads for which there is room.
            _budget.Take(larger.Length - _buffer.Length);
        }
        catch
        {
            Buffers.Return(larger);
            throw;
        }

        Memory.CopyTo(larger);
        if (_buffer.Length > 0)
        {
            Buffers.Return(_buffer);
        }

        _buffer = larger;
    }

    private static InferenceException TooLarge(long? bytes, int maxBytes) => new(
        InferenceError.ImageTooLarge,
        bytes is null ? $"The file is larger than the limit of {maxBytes:N0} bytes." : $"The file has {bytes:N0} bytes; the limit is {maxBytes:N0}.");
}
