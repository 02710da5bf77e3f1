using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.PixelFormats;

namespace Whatsit.Inference.Imaging;

/// <summary>Writes pictures with ImageSharp.</summary>
public sealed class ImageSharpEncoder : IImageEncoder
{
    /// <inheritdoc/>
    public byte[] ToJpeg(ReadOnlyMemory<byte> rgb, int width, int height, int quality) =>
        Write(rgb, width, height, new JpegEncoder { Quality = quality, ColorType = JpegColorType.YCbCrRatio420 });

    /// <inheritdoc/>
    public byte[] ToPng(ReadOnlyMemory<byte> rgb, int width, int height, int compression = 9) => Write(rgb, width, height, new PngEncoder
    {
        ColorType = PngColorType.Rgb,
        BitDepth = PngBitDepth.Bit8,
        CompressionLevel = (PngCompressionLevel)compression,
        FilterMethod = PngFilterMethod.Adaptive,
    });

    private static byte[] Write(ReadOnlyMemory<byte> rgb, int width, int height, SixLabors.ImageSharp.Formats.IImageEncoder encoder)
    {
        using var image = Image.LoadPixelData<Rgb24>(rgb.Span, width, height);
        using var file = new MemoryStream();
        image.Save(file, encoder);
        return file.ToArray();
    }
}
