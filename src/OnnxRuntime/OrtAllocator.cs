using System.Runtime.InteropServices;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>Where the memory of values comes from.</summary>
public sealed unsafe class OrtAllocator
{
    private static readonly Lazy<OrtAllocator> Default = new(() =>
    {
        nint allocator;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetAllocatorWithDefaultOptions(&allocator));
        return new OrtAllocator(allocator);
    });

    private OrtAllocator(nint pointer) => Pointer = pointer;

    /// <summary>The default CPU allocator, which belongs to the library and is never released.</summary>
    public static OrtAllocator DefaultInstance => Default.Value;

    internal nint Pointer { get; }

    /// <summary>Reads a string that the library allocated for us, and frees it.</summary>
    internal string TakeString(nint text)
    {
        string result = Marshal.PtrToStringUTF8(text) ?? "";
        Free(text);
        return result;
    }

    internal void Free(nint memory) => OnnxRuntimeException.ThrowIfFailed(NativeMethods.AllocatorFree(Pointer, memory));
}

/// <summary>Describes memory that values are created over.</summary>
public sealed unsafe class OrtMemoryInfo
{
    private static readonly Lazy<OrtMemoryInfo> Default = new(() =>
    {
        nint info;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.CreateCpuMemoryInfo(DeviceAllocator, MemoryTypeDefault, &info));
        return new OrtMemoryInfo(info);
    });

    // OrtAllocatorType.OrtDeviceAllocator and OrtMemType.OrtMemTypeDefault
    private const int DeviceAllocator = 0;
    private const int MemoryTypeDefault = 0;

    private OrtMemoryInfo(nint pointer) => Pointer = pointer;

    /// <summary>Ordinary CPU memory.</summary>
    public static OrtMemoryInfo DefaultInstance => Default.Value;

    internal nint Pointer { get; }
}
