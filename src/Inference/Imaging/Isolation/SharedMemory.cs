using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Whatsit.Inference.Memory;

namespace Whatsit.Inference.Imaging.Isolation;

/// <summary>Memory that two processes see: an anonymous file (man 2 memfd_create), which counts against the container's limit as any other memory does.</summary>
internal sealed class SharedMemory : IDisposable
{
    // man 2 memfd_create: not passed on by itself; the other process opens it by its path.
    private const uint CloseOnExec = 1;

    // Kept for the next picture; larger ones are as rare as their memory is dear.
    private const int MostKept = 16 << 20, Step = 1 << 20;

    private readonly SafeFileHandle _file;
    private NativeBuffer? _view;

    private SharedMemory(SafeFileHandle file) => _file = file;

    /// <summary>Where another process of the same user finds it.</summary>
    public string Path => $"/proc/{Environment.ProcessId}/fd/{_file.DangerousGetHandle()}";

    /// <summary>Bytes of it.</summary>
    public int Capacity => _view?.Length ?? 0;

    public static SharedMemory Create()
    {
        var file = MakeFile("whatsit-decoder", CloseOnExec);
        return file >= 0 ? new SharedMemory(new SafeFileHandle(file, ownsHandle: true))
            : throw new IOException($"memfd_create failed: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    public static SharedMemory Open(string path) =>
        new(File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));

    /// <summary>What this process sees of it.</summary>
    public NativeBuffer View => _view ?? throw new InvalidOperationException("Nothing was reserved.");

    /// <summary>At least so many bytes; it grows where it must.</summary>
    public Span<byte> Reserve(int length)
    {
        if (length > Capacity)
        {
            var capacity = (int)Math.Min((((long)length / Step) + 1) * Step, Array.MaxLength);
            RandomAccess.SetLength(_file, capacity);
            See(capacity);
        }

        return View.Span[..length];
    }

    /// <summary>Takes up the size that the other process gave it.</summary>
    public void See(int capacity)
    {
        if (capacity == Capacity)
        {
            return;
        }

        _view?.Dispose();
        _view = null;
        // What is no longer there must not be touched: the kernel ends whoever does.
        var there = RandomAccess.GetLength(_file);
        _view = capacity > 0 && capacity <= there ? new NativeBuffer(_file, capacity)
            : capacity == 0 ? null : throw new IOException($"The shared memory has {Counted.Of(there, "byte")}, not {capacity:N0}.");
    }

    /// <summary>Gives back what a large picture took.</summary>
    public void Trim()
    {
        if (Capacity > MostKept)
        {
            See(0);
            RandomAccess.SetLength(_file, 0);
        }
    }

    public void Dispose()
    {
        _view?.Dispose();
        _file.Dispose();
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc", EntryPoint = "memfd_create", SetLastError = true)]
    private static extern int MakeFile([MarshalAs(UnmanagedType.LPUTF8Str)] string name, uint flags);
}
