namespace Whatsit.Inference.Memory;

/// <summary>Reads memory as a stream, wherever it lies; <see cref="MemoryStream"/> takes arrays only, and a file would have to be copied into one.</summary>
internal sealed class MemoryReader(ReadOnlyMemory<byte> memory) : Stream
{
    private int _position;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => true;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => memory.Length;

    /// <inheritdoc/>
    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = (int)Math.Min(value, int.MaxValue);
        }
    }

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        var count = Math.Clamp(memory.Length - _position, 0, buffer.Length);
        memory.Span.Slice(Math.Min(_position, memory.Length), count).CopyTo(buffer);
        _position += count;
        return count;
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => Position = offset + (origin switch
    {
        SeekOrigin.Current => _position,
        SeekOrigin.End => memory.Length,
        _ => 0,
    });

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
