using System.Diagnostics;
using Whatsit.Inference;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Predictions;

/// <summary>
/// An uploaded or fetched file in memory, never on disk. Its buffer grows with what comes: who announces megabytes and sends nothing must not keep others out.
/// </summary>
internal sealed class ReceivedFile : IDisposable
{
    // Most pictures of web pages fit in. Whoever announces a length gets buffers that grow faster, for it is copied less, and the last is no larger than that.
    private const int First = 64 * 1024, Growth = 2, GrowthToAnnounced = 4;

    private static readonly byte[] Surplus = new byte[1];

    private readonly Upload _upload;
    private PooledMemory? _buffer;
    private Memory<byte> _memory;
    private int _taken;

    private ReceivedFile(Upload upload) => _upload = upload;

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
        var file = new ReceivedFile(upload);
        try
        {
            var length = 0;
            file.Grow(Math.Min(most, First), length);
            while (await file.ReadAsync(stream, length, most, cancellationToken) is > 0 and var read)
            {
                length += read;
                if (length > most)
                {
                    throw announced is null
                        ? TooLarge(null, maxBytes)
                        : new InferenceException(InferenceError.InvalidRequest,
                            $"The file is longer than the {Counted.Of(announced.Value, "byte")} that were announced.");
                }

                if (length == file._memory.Length && length < most)
                {
                    file.Grow((int)Math.Min(most, (long)length * (announced is null ? Growth : GrowthToAnnounced)), length);
                }
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
        _memory = default;
        if (Interlocked.Exchange(ref _buffer, null) is { } buffer)
        {
            ((IDisposable)buffer).Dispose();
            _upload.Return(_taken);
        }
    }

    /// <summary>The refusal of a file by its size.</summary>
    public static InferenceException TooLarge(long? bytes, long maxBytes) => bytes is { } known
        ? new(InferenceError.ImageTooLarge, "file-too-large", $"The file has {Counted.Of(known, "byte")}; the limit is {maxBytes:N0}.", ("bytes", known),
            ("limit", maxBytes))
        : new(InferenceError.ImageTooLarge, "file-too-large", $"The file is larger than the limit of {Counted.Of(maxBytes, "byte")}.", ("limit", maxBytes));

    private async ValueTask<int> ReadAsync(Stream stream, int length, int most, CancellationToken cancellationToken)
    {
        if (length < _memory.Length)
        {
            return await stream.ReadAsync(_memory[length..], cancellationToken);
        }

        // It is full, and should be over; what comes is one byte too many, whichever.
        Debug.Assert(length == most);
        return await stream.ReadAsync(Surplus, cancellationToken);
    }

    private void Grow(int length, int kept)
    {
        var buffer = new PooledMemory(length);
        try
        {
            _upload.Take(length - _taken);
        }
        catch
        {
            ((IDisposable)buffer).Dispose();
            throw;
        }

        _taken = length;
        _memory[..kept].CopyTo(buffer.Memory);
        ((IDisposable?)_buffer)?.Dispose();
        (_buffer, _memory) = (buffer, buffer.Memory[..length]);
    }
}
