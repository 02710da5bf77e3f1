using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Whatsit.Inference.Catalog;

/// <summary>
/// What tells that a file is another one, without reading it: size, and when it was last written and last changed in any way. Archives and images set the first
/// of these times, and weights of one network have one size; the second one nobody can set.
/// </summary>
/// <param name="Length">Its size.</param>
/// <param name="Written">When its content was written, as the file says, in ticks.</param>
/// <param name="Changed">When it was changed or put in its place (Linux, in nanoseconds), or created (elsewhere, in ticks).</param>
internal readonly record struct FileStamp(long Length, long Written, long Changed)
{
    /// <summary>Of a file that is open.</summary>
    public static FileStamp Of(SafeFileHandle file) =>
        new(RandomAccess.GetLength(file), File.GetLastWriteTimeUtc(file).Ticks, ChangeTime((int)file.DangerousGetHandle(), "")
            ?? File.GetCreationTimeUtc(file).Ticks);

    /// <summary>Of a file that need not be opened.</summary>
    public static FileStamp Of(FileInfo file) => new(file.Length, file.LastWriteTimeUtc.Ticks, ChangeTime(-1, file.FullName) ?? file.CreationTimeUtc.Ticks);

    private static long? ChangeTime(int handle, string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        try
        {
            // man 2 statx: of a handle where the path is empty; stx_ctime is at 96: seconds, then nanoseconds.
            const int EmptyPath = 0x1000, ChangeTimeMask = 0x80, At = 96;
            var status = new byte[256];
            return Status(handle, path, EmptyPath, ChangeTimeMask, status) == 0
                ? (BinaryPrimitives.ReadInt64LittleEndian(status.AsSpan(At)) * 1_000_000_000) + BinaryPrimitives.ReadUInt32LittleEndian(status.AsSpan(At + 8))
                : null;
        }
        catch (EntryPointNotFoundException)
        {
            // A C library older than glibc 2.28 or musl 1.2.5.
            return null;
        }
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [DllImport("libc", EntryPoint = "statx")]
    private static extern int Status(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, [Out] byte[] status);
}
