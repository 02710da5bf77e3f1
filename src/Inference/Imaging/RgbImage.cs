using Whatsit.Inference.Memory;

namespace Whatsit.Inference.Imaging;

/// <summary>
/// A decoded picture: upright, sRGB, 8 bits, three channels, rows without padding. The pixels are rented; dispose to give them back.
/// </summary>
public sealed class RgbImage : IDisposable
{
    private readonly Action<NativeBuffer> _giveBack = BufferPool.Shared.Return;
    private NativeBuffer? _buffer;

    /// <summary>Rents room for a picture; the caller fills <see cref="Pixels"/>.</summary>
    public RgbImage(int width, int height)
    {
        Width = width;
        Height = height;
        _buffer = BufferPool.Shared.Rent(checked(width * height * 3));
    }

    /// <summary>A picture that lies where another process put it.</summary>
    internal RgbImage(int width, int height, NativeBuffer buffer, Action<NativeBuffer> giveBack) =>
        (Width, Height, _buffer, _giveBack) = (width, height, buffer, giveBack);

    /// <summary>Pixels per row; smaller than <see cref="OriginalWidth"/> after a scaled decode.</summary>
    public int Width { get; }

    /// <summary>Rows; smaller than <see cref="OriginalHeight"/> after a scaled decode.</summary>
    public int Height { get; }

    /// <summary>The upright picture's full width in the file.</summary>
    public required int OriginalWidth { get; init; }

    /// <summary>The upright picture's full height in the file.</summary>
    public required int OriginalHeight { get; init; }

    /// <summary>
    /// The file's format: <c>jpeg</c>, <c>png</c>, <c>webp</c>, <c>gif</c>, <c>avif</c>, <c>heic</c>, <c>tiff</c>, <c>bmp</c>, <c>ico</c>, <c>pnm</c>.
    /// </summary>
    public required string Format { get; init; }

    /// <summary>Width × height × 3 bytes, R G B.</summary>
    public Span<byte> Pixels => (_buffer ?? throw new ObjectDisposedException(nameof(RgbImage))).Span[..(Width * Height * 3)];

    /// <summary>What was amiss with the file, although it could be decoded.</summary>
    public IReadOnlyList<Warning> Warnings { get; set; } = [];

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _buffer, null) is { } buffer)
        {
            _giveBack(buffer);
        }
    }
}
