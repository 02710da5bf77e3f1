namespace Whatsit.Inference.Imaging;

/// <summary>
/// Writes pictures, for reports and samples, with the library that reads them. Rows of R G B without padding, as <see cref="RgbImage"/> has them.
/// </summary>
public interface IImageEncoder
{
    /// <summary>Baseline JPEG with colours at half the size (4:2:0), as cameras and Pillow write it.</summary>
    /// <param name="rgb">Width × height × 3 bytes.</param>
    /// <param name="width">Pixels per row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="quality">1 to 100, on libjpeg's scale.</param>
    byte[] ToJpeg(ReadOnlyMemory<byte> rgb, int width, int height, int quality);

    /// <summary>PNG: RGB, 8 bits.</summary>
    /// <param name="rgb">Width × height × 3 bytes.</param>
    /// <param name="width">Pixels per row.</param>
    /// <param name="height">Rows.</param>
    /// <param name="compression">1 (fast) to 9 (as small as the library makes it).</param>
    byte[] ToPng(ReadOnlyMemory<byte> rgb, int width, int height, int compression = 9);
}
