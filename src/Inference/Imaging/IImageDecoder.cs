namespace Whatsit.Inference.Imaging;

/// <summary>Turns a file into upright sRGB pixels. Two of them: libvips, and ImageSharp in a build against the official packages.</summary>
public interface IImageDecoder
{
    /// <summary>
    /// Decodes the first frame. The header is read first, so that a picture over the limits costs nothing.
    /// </summary>
    /// <param name="file">The whole file; its content, not a name or a content type, decides what it is.</param>
    /// <param name="shrinkTo">
    /// <see langword="null"/>: full size. Otherwise the decoder may return a smaller picture, as long as both sides stay at or above this size
    /// (already upright); JPEG does that at a fraction of the cost.
    /// </param>
    /// <param name="cancellationToken">Nobody waits any more. Asked between rows, where the decoder is our own.</param>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.UnsupportedImage"/>, <see cref="InferenceError.InvalidImage"/> or <see cref="InferenceError.ImageTooLarge"/>.
    /// </exception>
    RgbImage Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null, CancellationToken cancellationToken = default);
}
