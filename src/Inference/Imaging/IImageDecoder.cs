namespace Whatsit.Inference.Imaging;

/// <summary>Turns a file into upright sRGB pixels. Two of them: libvips, and ImageSharp, which is managed code only.</summary>
public interface IImageDecoder
{
    /// <summary>Reads the header: what decoding will cost is known then, and nothing has been decoded.</summary>
    /// <param name="file">The whole file; its content, not a name or a content type, decides what it is.</param>
    /// <param name="shrinkTo">
    /// <see langword="null"/>: full size. Otherwise the decoder may return a smaller picture, as long as both sides stay at or above this size
    /// (already upright); JPEG does that at a fraction of the cost.
    /// </param>
    /// <exception cref="InferenceException">
    /// <see cref="InferenceError.UnsupportedImage"/>, <see cref="InferenceError.InvalidImage"/> or <see cref="InferenceError.ImageTooLarge"/>, limits included.
    /// </exception>
    EncodedImage Open(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null);

    /// <summary>The library, its version and the formats that it reads, for a log.</summary>
    string Reads => GetType().Name;

    /// <summary>Opens a picture and decodes it at once.</summary>
    /// <inheritdoc cref="Open"/>
    /// <inheritdoc cref="EncodedImage.Decode"/>
    RgbImage Decode(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null, CancellationToken cancellationToken = default) =>
        Open(file, shrinkTo).Decode(cancellationToken);
}
