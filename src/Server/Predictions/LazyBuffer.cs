using System.Buffers;
using System.Runtime.InteropServices;
using Whatsit.Inference;

namespace Whatsit.Server.Predictions;

/// <summary>
/// Memory straight from the operating system: it takes room only where it was written to, and none once it is disposed of. Heaps and pools keep what they
/// once held, and a burst of large uploads is over in a second.
/// </summary>
internal sealed unsafe partial class LazyBuffer : MemoryManager<byte>
{
    // man 2 mmap; the same on every processor that .NET runs on under Linux
    private const int ReadWrite = 1 | 2, PrivateAnonymous = 0x02 | 0x20;

    private readonly int _length;
    private byte* _start;

    /// <param name="length">At most so many bytes.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>: the system refuses them, even unused.</exception>
    public LazyBuffer(int length)
    {
        _length = length;
        // Elsewhere the C library gives large blocks back by itself.
        _start = OperatingSystem.IsLinux() ? Map(null, (nuint)length, ReadWrite, PrivateAnonymous, -1, 0) : (byte*)NativeMemory.Alloc((nuint)length);
        if ((nint)_start == -1)
        {
            throw new InferenceException(InferenceError.QueueFull, $"There is no memory for an upload of up to {length:N0} bytes now. Try again in a moment.");
        }
    }

    /// <inheritdoc/>
    public override Span<byte> GetSpan() => new(_start, _start is null ? 0 : _length);

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

    /// <inheritdoc/>
    public override void Unpin()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        var start = _start;
        _start = null;
        if (start is null)
        {
            return;
        }

        if (OperatingSystem.IsLinux())
        {
            _ = Unmap(start, (nuint)_length);
        }
        else
        {
            NativeMemory.Free(start);
        }
    }

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial byte* Map(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint length);
}
