using Microsoft.Extensions.Options;

namespace Whatsit.Inference.Imaging;

/// <summary>The one place that knows which libraries there are. What is not chosen is not loaded.</summary>
public static class ImageDecoders
{
    /// <summary>libvips, for <see cref="DecodingOptions.Library"/>.</summary>
    public const string Libvips = "libvips";

    /// <summary>ImageSharp, for <see cref="DecodingOptions.Library"/>.</summary>
    public const string ImageSharp = "imagesharp";

    /// <summary>No isolation, for <see cref="DecodingOptions.Isolation"/>.</summary>
    public const string None = "none";

    /// <summary>Processes that only decode, for <see cref="DecodingOptions.Isolation"/>.</summary>
    public const string Process = "process";

    /// <summary>The decoder that <see cref="DecodingOptions.Library"/> names, in this process.</summary>
    public static IImageDecoder Create(DecodingOptions options) =>
        options.Library == ImageSharp ? new ImageSharpDecoder(Options.Create(options)) : new VipsImageDecoder(Options.Create(options));

    /// <summary>The same library's encoder.</summary>
    public static IImageEncoder CreateEncoder(DecodingOptions options) => options.Library == ImageSharp ? new ImageSharpEncoder() : new VipsImageEncoder();
}
