using Whatsit.Inference.Imaging;
using Whatsit.Vips;

namespace Whatsit.Inference.Tests.Imaging.Jpeg;

/// <summary>What libjpeg-turbo makes of a JPEG, through libvips.</summary>
internal static class JpegReference
{
    /// <summary>The picture as RGB, or <see langword="null"/> where the file is refused.</summary>
    /// <param name="file">The file.</param>
    /// <param name="shrink">1, 2, 4 or 8.</param>
    /// <param name="failOn">What refuses it.</param>
    public static byte[]? Decode(byte[] file, int shrink, VipsFailOn failOn)
    {
        try
        {
            using var load = new VipsOperation("jpegload_buffer");
            load.Set("buffer", (ReadOnlyMemory<byte>)file).Set("access", 1).Set("fail-on", (int)failOn).Set("shrink", shrink);
            using var image = load.Build();
            byte[] samples = new byte[image.Width * image.Height * image.Bands], rgb = new byte[image.Width * image.Height * 3];
            image.CopyTo(samples);
            RgbRows.ToRgb(samples, image.Bands, cmyk: false, rgb);
            return rgb;
        }
        catch (VipsException)
        {
            return null;
        }
    }
}
