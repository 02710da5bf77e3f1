using Microsoft.Extensions.Options;

namespace Whatsit.Inference.Imaging;

/// <summary>The one place that knows which of the two decoders this build has.</summary>
public static class ImageDecoders
{
    /// <summary>libvips, or ImageSharp in a build against the official packages.</summary>
    public static IImageDecoder Create(DecodingOptions options) =>
        new VipsImageDecoder(Options.Create(options));
}
