using System.Runtime.InteropServices;

namespace Whatsit.Vips;

/// <summary>libvips refused; the message is what it left in its error buffer, which is empty afterwards.</summary>
/// <remarks>
/// The buffer belongs to the process, not to the thread: when several operations fail at once, a message may hold lines of another one. It is
/// for logs, never for deciding.
/// </remarks>
public sealed class VipsException : Exception
{
    internal VipsException(string what)
        : base($"{what}: {EmptyErrorBuffer()}")
    {
    }

    /// <summary>Where pixels were read: the rows before those that could not be.</summary>
    public int? RowsRead { get; init; }

    private static unsafe string EmptyErrorBuffer()
    {
        var text = Native.vips_error_buffer_copy();
        try
        {
            return Marshal.PtrToStringUTF8((nint)text)?.Trim() is { Length: > 0 } message ? message.ReplaceLineEndings("; ") : "no reason given";
        }
        finally
        {
            Native.g_free(text);
        }
    }
}
