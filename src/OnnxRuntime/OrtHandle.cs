using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>A native object, and what must outlive it: pinned memory, or another handle that it refers to.</summary>
internal sealed unsafe class OrtHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly delegate*<nint, void> _release;
    private readonly Action? _afterRelease;

    public OrtHandle(nint pointer, delegate*<nint, void> release, Action? afterRelease = null)
        : base(ownsHandle: true)
    {
        _release = release;
        _afterRelease = afterRelease;
        SetHandle(pointer);
    }

    protected override bool ReleaseHandle()
    {
        _release(handle);
        _afterRelease?.Invoke();
        return true;
    }
}

/// <summary>
/// Keeps a native object for the length of one call: a Dispose on another thread takes effect when the call has returned,
/// and a call after Dispose throws <see cref="ObjectDisposedException"/>.
/// </summary>
internal readonly ref struct Lease
{
    private readonly SafeHandle _handle;

    public Lease(SafeHandle handle)
    {
        bool added = false;
        handle.DangerousAddRef(ref added);
        _handle = handle;
        Pointer = handle.DangerousGetHandle();
    }

    public nint Pointer { get; }

    public void Dispose() => _handle.DangerousRelease();
}
