using System.Buffers;
using Whatsit.Inference;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Predictions;

/// <summary>
/// An uploaded or fetched file in memory, never on disk; small ones in rented buffers. Only what has come counts: who announces megabytes and sends nothing
/// must not keep others out.
/// </summary>
internal sealed class ReceivedFile : IDisposable
{
    private const int LargestPooled = 256 * 1024;

    // ArrayPool.Shared keeps arrays for every thread that gave one back; that is far more than ever were in use at once.
    private static readonly ArrayPool<byte> Buffers = ArrayPool<byte>.Create(LargestPooled, maxArraysPerBucket: 64);

    private readonly Upload _upload;
    private readonly byte[]? _pooled;
    private readonly IMemoryOwner<byte>? _lazy;
    private Memory<byte> _memory;
    private int _taken;
    private bool _disposed;

    private ReceivedFile(int length, Upload upload)
    {
        _upload = upload;
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
    /// <param name="upload">Where the memory is counted.</param>
    /// <param name="cancellationToken">The client left.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ImageTooLarge"/> or <see cref="InferenceError.QueueFull"/>.</exception>
    public static async Task<ReceivedFile> ReadAsync(Stream stream, long? announced, int maxBytes, Upload upload, CancellationToken cancellationToken)
    {
        if (announced > maxBytes)
        {
            throw TooLarge(announced.Value, maxBytes);
        }

        var most = (int)(announced ?? maxBytes);
        // One byte more: the read that finds the end, or that there is none, needs room.
        var file = new ReceivedFile(most + 1, upload);
        try
        {
            var length = 0;
            while (await stream.ReadAsync(file._memory[length..(most + 1)], cancellationToken) is > 0 and var read)
            {
                length += read;
                if (length > most)
                {
                    throw announced is null
                        ? TooLarge(null, maxBytes)
                        : new InferenceException(InferenceError.InvalidRequest, $"The file is longer than the {announced:N0} bytes that were announced.");
                }

                upload.Take(read);
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
        _upload.Return(_taken);
        _lazy?.Dispose();
        if (_pooled is not null)
        {
            Buffers.Return(_pooled);
        }
    }

    /// <summary>The refusal of a file by its size.</summary>
    public static InferenceException TooLarge(long? bytes, long maxBytes) => bytes is { } known
        ? new(InferenceError.ImageTooLarge, "file-too-large", $"The file has {known:N0} bytes; the limit is {maxBytes:N0}.", ("bytes", known),
            ("limit", maxBytes))
        : new(InferenceError.ImageTooLarge, "file-too-large", $"The file is larger than the limit of {maxBytes:N0} bytes.", ("limit", maxBytes));
}
