using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Tests.Imaging;

public sealed class VipsImageDecoderTests : ImageDecoderContract
{
    protected override bool ConvertsProfiles => true;

    protected override IReadOnlyDictionary<string, string> Refused { get; } = new Dictionary<string, string>();

    // The same library; only CMYK, which we convert, rounds differently.
    protected override (double OnAverage, int AtMost) JpegDeviation => (0.5, 1);

    protected override (double OnAverage, int AtMost) HalvedColorsLose => (0, 0);

    protected override bool ReducesJpeg => true;

    protected override bool DetectsDamagedJpeg => true;

    protected override IImageEncoder Encoder { get; } = new VipsImageEncoder();

    protected override IImageDecoder Create(DecodingOptions options) => new VipsImageDecoder(Options.Create(options));
}
