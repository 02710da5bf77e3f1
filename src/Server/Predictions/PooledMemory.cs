using System.Buffers;
using Whatsit.Inference.Memory;

namespace Whatsit.Server.Predictions;

/// <summary>A buffer of the pool as <see cref="Memory{T}"/>, given back when it is disposed of.</summary>
internal sealed unsafe class PooledMemory(int length) : MemoryManager<byte>
{
    private NativeBuffer? _buffer = BufferPool.Shared.Rent(length);

    /// <inheritdoc/>
    public override Span<byte> GetSpan() => _buffer is { } buffer ? buffer.Span : default;

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ObjectDisposedException.ThrowIf(_buffer is null, this);
        return new((byte*)_buffer.DangerousGetHandle() + elementIndex);
    }

    /// <inheritdoc/>
    public override void Unpin()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing && Interlocked.Exchange(ref _buffer, null) is { } buffer)
        {
            BufferPool.Shared.Return(buffer);
        }
    }
}
