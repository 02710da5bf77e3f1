using System.Buffers;
using System.Runtime.CompilerServices;

namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>
/// The bits of one segment of entropy-coded data: from the file, whose FF 00 stand for FF (ITU-T T.81, B.1.1.5), through a small buffer without
/// these into a window of 64 bits.
/// </summary>
internal sealed class JpegBitReader : IDisposable
{
    /// <summary>
    /// Bytes that an MCU takes at most: 10 blocks of 64 symbols, each with a code of up to 16 bits and a value of up to 15, and the window. As
    /// many are in the buffer before each MCU, so that nothing within it has to look for the end; behind the end there are zeros.
    /// </summary>
    private const int Reserve = (10 * 64 * 31 / 8) + 32;

    private const int BufferSize = 32 * 1024;

    private int _end;
    private bool _isLast;

    /// <summary>The next bits, the first one highest. Below the bits that are counted there may be more of the same.</summary>
    public ulong Window;

    /// <summary>How many bits of <see cref="Window"/> are counted.</summary>
    public int Count;

    /// <summary>The first byte in <see cref="Buffer"/> that is not counted.</summary>
    public int At;

    /// <summary>The data without stuffing.</summary>
    public byte[] Buffer { get; } = ArrayPool<byte>.Shared.Rent(BufferSize + Reserve);

    /// <summary>Where the file goes on: behind the marker, once the segment has ended.</summary>
    public int Position { get; private set; }

    /// <summary>The marker that ended the segment; 0 before, and at the end of the file.</summary>
    public byte Marker { get; private set; }

    /// <summary>Whether more bits were taken than the segment has.</summary>
    public bool IsOverrun => _isLast && (At * 8) - Count > _end * 8;

    /// <summary>Whether a whole byte of the segment was not taken.</summary>
    public bool HasMore => !_isLast || (At * 8) - Count <= (_end - 1) * 8;

    /// <inheritdoc/>
    public void Dispose() => ArrayPool<byte>.Shared.Return(Buffer);

    /// <summary>Begins a segment.</summary>
    public void Start(ReadOnlySpan<byte> file, int position)
    {
        (Window, Count, At, _end, _isLast) = (0, 0, 0, 0, false);
        (Position, Marker) = (position, 0);
        Fill(file);
    }

    /// <summary>To be called before each MCU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prepare(ReadOnlySpan<byte> file)
    {
        if (At > _end - Reserve && !_isLast)
        {
            Fill(file);
        }
    }

    /// <summary>Goes on to the marker that ends the segment.</summary>
    /// <returns>How many bytes were not taken; 0 where they are all the same: those only fill a file up.</returns>
    public int SkipToMarker(ReadOnlySpan<byte> file)
    {
        var (from, left, isFilling) = (Math.Min(((At * 8) - Count + 7) / 8, _end), 0, true);
        while (true)
        {
            var rest = Buffer.AsSpan(from, _end - from);
            left += rest.Length;
            isFilling &= rest.IsEmpty || !rest.ContainsAnyExcept(rest[0]);
            if (_isLast)
            {
                return isFilling ? 0 : left;
            }

            At = _end;
            Fill(file);
            from = At;
        }
    }

    private void Fill(ReadOnlySpan<byte> file)
    {
        var buffer = Buffer.AsSpan(0, BufferSize);
        // Eight bytes of what is in the window stay, so that a block can go back in it.
        var gone = Math.Max(At - 8, 0);
        Buffer.AsSpan(gone, _end - gone).CopyTo(buffer);
        (_end, At) = (_end - gone, At - gone);
        while (_end < buffer.Length && !_isLast)
        {
            var source = file[Position..];
            source = source[..Math.Min(source.Length, buffer.Length - _end)];
            var run = source.IndexOf((byte)0xFF);
            source = run < 0 ? source : source[..run];
            source.CopyTo(buffer[_end..]);
            _end += source.Length;
            Position += source.Length;
            if (run >= 0 || source.IsEmpty)
            {
                ReadEscape(file);
            }
        }

        if (_isLast)
        {
            Buffer.AsSpan(_end, Reserve).Clear();
        }
    }

    private void ReadEscape(ReadOnlySpan<byte> file)
    {
        // Any number of FF may stand before a marker; libjpeg takes as many before 00 as one.
        while (Position < file.Length && file[Position] == 0xFF)
        {
            Position++;
        }

        if (Position == file.Length)
        {
            _isLast = true;
            return;
        }

        Marker = file[Position++];
        if (Marker == 0)
        {
            Buffer[_end++] = 0xFF;
        }
        else
        {
            _isLast = true;
        }
    }
}
