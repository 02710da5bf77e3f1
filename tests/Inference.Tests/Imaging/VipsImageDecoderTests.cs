using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Tests.Imaging;

public sealed class VipsImageDecoderTests : ImageDecoderContract
{
    protected override bool ConvertsProfiles => true;

    protected override bool ReadsAvif => true;

    // The same library; only CMYK, which we convert, rounds differently.
    protected override (double OnAverage, int AtMost) JpegDeviation => (0.5, 1);

    protected override IImageDecoder Create(DecodingOptions options) => new VipsImageDecoder(Options.Create(options));
}
