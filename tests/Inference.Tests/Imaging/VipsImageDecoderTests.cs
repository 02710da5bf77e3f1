using Microsoft.Extensions.Options;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Headers;
using Whatsit.Vips;

namespace Whatsit.Inference.Tests.Imaging;

public sealed class VipsImageDecoderTests : ImageDecoderContract
{
    protected override bool ConvertsProfiles => true;

    protected override IReadOnlyDictionary<string, string> Refused { get; } = new Dictionary<string, string>();

    // The same library; only CMYK, which we convert, rounds differently.
    protected override (double OnAverage, int AtMost) JpegDeviation => (0.5, 1);

    protected override (double OnAverage, int AtMost) HalvedColorsLose => (0, 0);

    protected override bool ReducesProgressive => true;

    protected override IImageEncoder Encoder { get; } = new VipsImageEncoder();

    protected override IImageDecoder Create(DecodingOptions options) => new VipsImageDecoder(Options.Create(options));

    [Theory]
    [InlineData(false, 300, 225, 2)]
    [InlineData(false, 120, 90, 4)]
    [InlineData(false, 90, 60, 8)]
    [InlineData(true, 90, 60, 8)]
    public void A_webp_that_is_decoded_smaller_is_the_average_of_its_pixels(bool lossless, int width, int height, int shrink)
    {
        var file = Webp(800, 600, lossless);
        using var whole = Decoder.Decode(file);
        using var small = Decoder.Decode(file, (width, height));

        Assert.Equal((800, 600), (small.OriginalWidth, small.OriginalHeight));
        Assert.Equal((800 / shrink, 600 / shrink), (small.Width, small.Height));
        var (sum, worst) = (0L, 0);
        for (var i = 0; i < small.Pixels.Length; i++)
        {
            var (x, y) = (i / 3 % small.Width, i / 3 / small.Width);
            var difference = Math.Abs(small.Pixels[i] - Mean(whole, x, y, i % 3, shrink));
            (sum, worst) = (sum + difference, Math.Max(worst, difference));
        }

        // Colours of the lossy kind are averaged before they are colours.
        Assert.InRange(sum / (double)small.Pixels.Length, 0, lossless ? 0.5 : 1);
        Assert.InRange(worst, 0, lossless ? 1 : 8);
    }

    [Fact]
    public void A_webp_is_decoded_as_it_is_where_every_pixel_is_wanted()
    {
        var file = Webp(803, 601, lossless: false);
        using var whole = Decoder.Decode(file, (500, 400));
        using var half = Decoder.Decode(file, (401, 300));

        Assert.Equal((803, 601), (whole.Width, whole.Height));
        Assert.Equal((402, 300), (half.Width, half.Height));
    }

    [Fact]
    public void A_webp_that_is_decoded_smaller_holds_less()
    {
        var (lossy, lossless) = (Webp(803, 601, lossless: false), Webp(803, 601, lossless: true));

        Assert.True(Decoder.Open(lossy, (90, 60)).Cost.Bytes * 10 < Decoder.Open(lossy).Cost.Bytes);
        Assert.InRange(Decoder.Open(lossless, (90, 60)).Cost.Bytes, 4 * 803 * 601, Decoder.Open(lossless).Cost.Bytes / 2);
        Assert.Equal(4 * 803 * 601, ImageHeader.Read(lossless).PieceBytes);
    }

    [Fact]
    public void An_animated_webp_is_decoded_as_it_is_and_costs_as_much()
    {
        var file = Pictures.AnimatedWebp(800, 600, (0, 0), Webp(800, 600, lossless: false), stillWidth: 800, stillHeight: 600);
        using var image = Decoder.Decode(file, (90, 60));

        Assert.Equal((800, 600), (image.Width, image.Height));
        Assert.Equal(Decoder.Open(file).Cost, Decoder.Open(file, (90, 60)).Cost);
    }

    [Theory]
    [InlineData(300, 2)]
    [InlineData(150, 4)]
    [InlineData(75, 8)]
    public void A_jpeg_of_another_profile_is_converted_decoded_smaller_too(int wanted, int shrink)
    {
        var file = ProfiledJpeg(800, 640);
        using var whole = Decoder.Decode(file);
        using var small = Decoder.Decode(file, (wanted, wanted));

        Assert.Equal((800 / shrink, 640 / shrink), (small.Width, small.Height));
        var difference = 0L;
        for (var i = 0; i < small.Pixels.Length; i++)
        {
            difference += Math.Abs(small.Pixels[i] - Mean(whole, i / 3 % small.Width, i / 3 / small.Width, i % 3, shrink));
        }

        Assert.InRange(difference / (double)small.Pixels.Length, 0, 1.5);
        var middle = file.Length / 2;
        var damaged = (byte[])[.. file[..middle], .. file[(middle + (file.Length / 20))..]];
        Assert.Equal(InferenceError.InvalidImage, Assert.Throws<InferenceException>(() => Decoder.Decode(damaged, (wanted, wanted))).Error);
    }

    private byte[] ProfiledJpeg(int width, int height)
    {
        using var waves = VipsImage.FromRgb(Waves(width, height), width, height);
        using var load = new VipsOperation("pngload_buffer");
        using var profiled = load.Set("buffer", File.ReadAllBytes(TestData.Path("images", "display-p3.png"))).Build();
        waves.SetBlob("icc-profile-data", profiled.GetBlob("icc-profile-data"));
        using var save = new VipsOperation("jpegsave_buffer");
        return save.Set("in", waves).Set("Q", 90).BuildFile();
    }

    private static int Mean(RgbImage image, int x, int y, int band, int side)
    {
        var sum = 0;
        for (var row = y * side; row < (y + 1) * side; row++)
        {
            for (var column = x * side; column < (x + 1) * side; column++)
            {
                sum += image.Pixels[(((row * image.Width) + column) * 3) + band];
            }
        }

        return (sum + (side * side / 2)) / (side * side);
    }

    /// <summary>Soft waves of colour with some grain.</summary>
    private static byte[] Waves(int width, int height)
    {
        var random = new Random(1);
        var rgb = new byte[width * height * 3];
        for (var i = 0; i < rgb.Length; i++)
        {
            var (x, y) = (i / 3 % width, i / 3 / width);
            rgb[i] = (byte)(128 + (100 * Math.Sin((x * (1 + (i % 3)) + (2 * y)) / 90.0)) + random.Next(-9, 10));
        }

        return rgb;
    }

    private static byte[] Webp(int width, int height, bool lossless)
    {
        using var image = VipsImage.FromRgb(Waves(width, height), width, height);
        using var save = new VipsOperation("webpsave_buffer");
        return save.Set("in", image).Set("Q", 90).Set("lossless", lossless).Set("effort", 0).BuildFile();
    }
}
