using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Whatsit.Inference.Imaging;

/// <summary>
/// A decoded picture: upright, sRGB, 8 bits, three channels, rows without padding. The pixels are rented; dispose to give them back.
/// </summary>
public sealed class RgbImage : IDisposable
{
    private byte[]? _pooled;
    private NativePixels? _native;

    /// <summary>Rents room for a picture; the caller fills <see cref="Pixels"/>.</summary>
    public RgbImage(int width, int height)
    {
        Width = width;
        Height = height;
        var length = checked(width * height * 3);
        if (length <= PixelPool.MaxKept)
        {
            _pooled = PixelPool.Rent(length);
        }
        else
        {
            _native = NativePixels.Rent(length);
        }
    }

    /// <summary>Pixels per row; smaller than <see cref="OriginalWidth"/> after a scaled decode.</summary>
    public int Width { get; }

    /// <summary>Rows; smaller than <see cref="OriginalHeight"/> after a scaled decode.</summary>
    public int Height { get; }

    /// <summary>The upright picture's full width in the file.</summary>
    public required int OriginalWidth { get; init; }

    /// <summary>The upright picture's full height in the file.</summary>
    public required int OriginalHeight { get; init; }

    /// <summary>The file's format: <c>jpeg</c>, <c>png</c>, <c>webp</c>, <c>gif</c>, <c>avif</c>, <c>tiff</c>, <c>bmp</c>, <c>ico</c>, <c>pnm</c>.</summary>
    public required string Format { get; init; }

    /// <summary>Width × height × 3 bytes, R G B.</summary>
    public Span<byte> Pixels => _pooled is { } pooled
        ? pooled.AsSpan(0, Width * Height * 3)
        : (_native ?? throw new ObjectDisposedException(nameof(RgbImage))).Span[..(Width * Height * 3)];

    /// <summary>What was amiss with the file, although it could be decoded.</summary>
    public IReadOnlyList<Warning> Warnings { get; set; } = [];

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _pooled, null) is { } pixels)
        {
            PixelPool.Return(pixels);
        }

        if (Interlocked.Exchange(ref _native, null) is { } native)
        {
            NativePixels.Return(native);
        }
    }
}

/// <summary>
/// Memory for a large picture, from the C library, which maps such blocks and gives them back at once; the garbage collector would keep them a while. One block
/// is kept: fresh pages cost a photo of 12 megapixels a third of its decoding.
/// </summary>
internal sealed class NativePixels : SafeHandleZeroOrMinusOneIsInvalid
{
    private const int MaxKept = 40_000_000;

    private static NativePixels? _kept;

    private readonly int _length;

    private NativePixels(int length)
        : base(ownsHandle: true)
    {
        _length = length;
        SetHandle(Marshal.AllocHGlobal(length));
    }

    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return MemoryMarshal.CreateSpan(ref Unsafe.AddByteOffset(ref Unsafe.NullRef<byte>(), handle), _length);
        }
    }

    /// <summary>At least so many bytes.</summary>
    public static NativePixels Rent(int length)
    {
        var kept = Interlocked.Exchange(ref _kept, null);
        if (kept?._length >= length)
        {
            return kept;
        }

        kept?.Dispose();
        return new NativePixels(length);
    }

    /// <summary>Keeps it, or frees it.</summary>
    public static void Return(NativePixels pixels)
    {
        if (pixels._length > MaxKept || Interlocked.CompareExchange(ref _kept, pixels, null) is not null)
        {
            pixels.Dispose();
        }
    }

    protected override bool ReleaseHandle()
    {
        Marshal.FreeHGlobal(handle);
        return true;
    }
}

/// <summary>
/// Memory for pictures. <c>ArrayPool.Shared</c> keeps one array of every size for every thread that gave one back: with 36 MB for a 12-megapixel
/// photo that is gigabytes. Here a few buffers, as many as there can be decodes at once, serve pictures of all sizes.
/// </summary>
internal static class PixelPool
{
    /// <summary>2.7 megapixels: what a photo of a phone is decoded to for most models. What is larger is rare, and shall not stay.</summary>
    public const int MaxKept = 8_000_000;

    private static readonly byte[]?[] Free = new byte[]?[Environment.ProcessorCount];

    public static byte[] Rent(int length)
    {
        lock (Free)
        {
            // The smallest that is large enough
            var best = -1;
            for (var i = 0; i < Free.Length; i++)
            {
                if (Free[i]?.Length >= length && (best < 0 || Free[i]!.Length < Free[best]!.Length))
                {
                    best = i;
                }
            }

            if (best >= 0)
            {
                var pixels = Free[best]!;
                Free[best] = null;
                return pixels;
            }
        }

        return GC.AllocateUninitializedArray<byte>(length);
    }

    public static void Return(byte[] pixels)
    {
        lock (Free)
        {
            // In an empty place, or in that of the smallest if that is smaller: after a while all are large enough for what comes.
            var smallest = 0;
            for (var i = 0; i < Free.Length; i++)
            {
                if ((Free[i]?.Length ?? 0) < (Free[smallest]?.Length ?? 0))
                {
                    smallest = i;
                }
            }

            if ((Free[smallest]?.Length ?? 0) < pixels.Length)
            {
                Free[smallest] = pixels;
            }
        }
    }
}
