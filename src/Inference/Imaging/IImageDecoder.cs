namespace Whatsit.Inference.Imaging;

/// <summary>Turns a file into upright sRGB pixels. Two of them: libvips, and ImageSharp, which is managed code only.</summary>
public interface IImageDecoder
{
    /// <summary>Reads the header and estimates what <see cref="Decode"/> will cost. Nothing is decoded.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="shrinkTo">As for <see cref="Decode"/>.</param>
    /// <exception cref="InferenceException">As <see cref="Decode"/> would throw it on the header alone, limits included.</exception>
    DecodeCost Measure(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null);

    /// <summary>
    /// Decodes the first frame. The header is read first, so that a picture over the limits costs nothing.
    /// </summary>
    /// <param name="file">The whole file; its content, not a name or a content type, decides what it is.</param>
    /// <param name="shrinkTo">
    /// <see langword="null"/>: full size. Otherwise the decoder may return a smaller picture, as long as both sides stay at or above this size
    /// (already upright); JPEG does that at a fraction of the cost.
    /// </param>
    /// <param name="cancellationToken">Nobody waits any longer: decoding stops as soon as the library can be stopped, mostly within some rows.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.UnsupportedImage"/>, <see cref="InferenceError.InvalidImage"/> or <see cref="InferenceError.ImageTooLarge"/>.
    /// </exception>
    RgbImage Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null, CancellationToken cancellationToken = default);
}
