using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Imaging;

/// <summary>A picture whose header was read: what remains is to decode it, when there is room.</summary>
/// <param name="cost">What that will cost.</param>
/// <param name="decode">Does it.</param>
public sealed class EncodedImage(DecodeCost cost, Func<CancellationToken, RgbImage> decode)
{
    /// <summary>What decoding will cost at most.</summary>
    public DecodeCost Cost { get; } = cost;

    /// <summary>What was read, where one of our decoders read it.</summary>
    internal ImageHeader? Header { get; init; }

    /// <summary>Decodes the first frame.</summary>
    /// <param name="cancellationToken">Nobody waits any longer: decoding stops as soon as the library can be stopped, mostly within some rows.</param>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <exception cref="InferenceException"><see cref="InferenceError.UnsupportedImage"/> or <see cref="InferenceError.InvalidImage"/>.</exception>
    public RgbImage Decode(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return decode(cancellationToken);
    }
}
