using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Whatsit.Inference.Memory;

/// <summary>Memory straight from the operating system, outside of the collected heap: gone as soon as it is disposed of.</summary>
public sealed class NativeBuffer : SafeHandleZeroOrMinusOneIsInvalid
{
    // man 2 mmap; the same on every processor that .NET runs on under Linux
    private const int ReadWrite = 1 | 2, Shared = 0x01, PrivateAnonymous = 0x02 | 0x20;

    internal NativeBuffer(int length)
        : base(ownsHandle: true)
    {
        Length = length;
        // Elsewhere the C library gives large blocks back by itself.
        SetHandle(OperatingSystem.IsLinux() ? Map(0, (nuint)length, ReadWrite, PrivateAnonymous, -1, 0) : Marshal.AllocHGlobal(length));
        Check();
    }

    /// <summary>A file's first bytes, under Linux: what is written to them, others who map it see.</summary>
    internal NativeBuffer(SafeFileHandle file, int length)
        : base(ownsHandle: true)
    {
        Length = length;
        SetHandle(Map(0, (nuint)length, ReadWrite, Shared, file.DangerousGetHandle().ToInt32(), 0));
        Check();
    }

    /// <summary>Bytes of it.</summary>
    public int Length { get; }

    /// <summary>All of it. The first bytes of each page are zero until they are written to, and later what was there before.</summary>
    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return MemoryMarshal.CreateSpan(ref Unsafe.AddByteOffset(ref Unsafe.NullRef<byte>(), handle), Length);
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        if (OperatingSystem.IsLinux())
        {
            return Unmap(handle, (nuint)Length) == 0;
        }

        Marshal.FreeHGlobal(handle);
        return true;
    }

    private void Check()
    {
        if (IsInvalid)
        {
            throw new InferenceException(InferenceError.QueueFull, $"There is no memory for {Counted.Of(Length, "byte")} now. Try again in a moment.");
        }
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc", EntryPoint = "mmap")]
    private static extern nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc", EntryPoint = "munmap")]
    private static extern int Unmap(nint address, nuint length);
}
