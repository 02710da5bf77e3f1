using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Tests.Imaging;

public sealed class ImageSharpDecoderTests : ImageDecoderContract
{
    protected override bool ConvertsProfiles => false;

    protected override IReadOnlyDictionary<string, string> Refused { get; } = new Dictionary<string, string>
    {
        ["picture.avif"] = "The AVIF picture is not read by ImageSharp, this server's decoder: send JPEG, PNG or WebP.",
        ["cmyk.tif"] = "The TIFF picture is in CMYK, which ImageSharp, this server's decoder, does not read: send JPEG, PNG or WebP.",
        ["tiles"] = "The TIFF picture keeps its pixels in tiles, which ImageSharp, this server's decoder, does not read: send JPEG, PNG or WebP.",
    };

    // Single pixels at edges differ much, the picture does not.
    protected override (double OnAverage, int AtMost) JpegDeviation => (3, 80);

    protected override (double OnAverage, int AtMost) HalvedColorsLose => (0.2, 25);

    protected override bool ReducesProgressive => false;

    protected override IImageEncoder Encoder { get; } = new ImageSharpEncoder();

    protected override IImageDecoder Create(DecodingOptions options) => new ImageSharpDecoder(Options.Create(options));
}
