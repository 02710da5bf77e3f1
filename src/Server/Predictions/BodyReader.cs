using System.Buffers;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Predictions;

/// <summary>A body whose next bytes can be looked at before they are read. It holds <see cref="Capacity"/> bytes and no more.</summary>
internal sealed class BodyReader(Stream body) : ReadOnlyStream
{
    /// <summary>The most that can be looked at.</summary>
    public const int Capacity = 4 * LimitsOptions.MaxPartLineBytes;

    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(Capacity);
    private int _start;
    private int _end;

    /// <summary>What has come and was not read yet.</summary>
    public ReadOnlySpan<byte> Available => _buffer.AsSpan(_start.._end);

    /// <summary>Nothing comes after what is available.</summary>
    public bool Ended { get; private set; }

    /// <summary>Waits until so many bytes are available, or the body has ended.</summary>
    public async ValueTask FillAsync(int count, CancellationToken cancellationToken)
    {
        // Few bytes are moved to the front, so that the next read has room for many.
        if (_start + count > Capacity || _end - _start <= 256)
        {
            _buffer.AsSpan(_start.._end).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        while (_end - _start < count && !Ended)
        {
            var read = await body.ReadAsync(_buffer.AsMemory(_end..Capacity), cancellationToken);
            _end += read;
            Ended = read == 0;
        }
    }

    /// <summary>Passes over bytes that are available.</summary>
    public void Skip(int count) => _start += count;

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_start == _end)
        {
            return Ended ? 0 : await body.ReadAsync(buffer, cancellationToken);
        }

        var count = Math.Min(buffer.Length, _end - _start);
        _buffer.AsSpan(_start, count).CopyTo(buffer.Span);
        Skip(count);
        return count;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && _start >= 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _start = _end = -1;
        }

        base.Dispose(disposing);
    }
}
