#if OFFICIAL_PACKAGES
using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Tests.Imaging;

public sealed class ImageSharpDecoderTests : ImageDecoderContract
{
    protected override bool ConvertsProfiles => false;

    protected override bool ReadsAvif => false;

    // It repeats the colours of subsampled pictures where libjpeg interpolates them: single pixels at edges differ much, the picture does not.
    protected override (double OnAverage, int AtMost) JpegDeviation => (3, 80);

    protected override IImageDecoder Create(DecodingOptions options) => new ImageSharpDecoder(Options.Create(options));
}
#endif
