using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Tests.Explaining;

/// <summary>Grey pictures under a map with one bright corner, written and read by each of the two libraries.</summary>
public sealed class OverlayTests
{
    private const byte Grey = 200;

    // 200 · (1 − 170/255) + 8 · 170/255, and so on.
    private static readonly byte[] Dark = [72, 76, 73];

    [Theory]
    [InlineData(ImageDecoders.Libvips)]
    [InlineData(ImageDecoders.ImageSharp)]
    public async Task Where_the_evidence_lies_the_picture_stays_and_the_rest_is_dark(string library)
    {
        using var drawn = await DrawAsync(library, 400, 300, new PreprocessingSpec { Crop = Crop.None }, [[1, 0], [0, 0]]);
        Assert.Equal((400, 300, "png"), (drawn.Width, drawn.Height, drawn.Format));
        Assert.Equal([Grey, Grey, Grey], At(drawn, 5, 5));
        Assert.Equal(Dark, At(drawn, 395, 5));
        Assert.Equal(Dark, At(drawn, 5, 295));
        // Half-way between two cells.
        Assert.All(At(drawn, 200, 5).Zip(Dark), pair => Assert.InRange(pair.First, ((Grey + pair.Second) / 2) - 2, ((Grey + pair.Second) / 2) + 2));
    }

    [Theory]
    [InlineData(ImageDecoders.Libvips)]
    [InlineData(ImageDecoders.ImageSharp)]
    public async Task What_the_model_did_not_see_is_dark(string library)
    {
        using var square = await DrawAsync(library, 400, 300, new PreprocessingSpec { Crop = Crop.CenterSquare }, [[1, 1], [1, 1]]);
        Assert.Equal([Dark, [Grey, Grey, Grey], [Grey, Grey, Grey], Dark], new[] { 45, 55, 345, 355 }.Select(x => At(square, x, 150)));

        // 64 of 128 pixels, the middle.
        using var middle = await DrawAsync(library, 256, 256, new PreprocessingSpec { Crop = Crop.ResizeThenCenter, ResizeShortest = 128 }, [[1]]);
        Assert.Equal([Dark, [Grey, Grey, Grey], [Grey, Grey, Grey], Dark], new[] { 62, 66, 189, 194 }.Select(x => At(middle, x, 128)));
    }

    [Fact]
    public async Task Large_pictures_are_drawn_smaller_and_small_ones_as_they_are()
    {
        using var large = await DrawAsync(ImageDecoders.Libvips, 3000, 1500, new PreprocessingSpec { Crop = Crop.None }, [[1]]);
        Assert.Equal((1024, 512), (large.Width, large.Height));
        using var thin = await DrawAsync(ImageDecoders.Libvips, 3000, 1, new PreprocessingSpec { Crop = Crop.None }, [[1]]);
        Assert.Equal((1024, 1), (thin.Width, thin.Height));
        using var pixel = await DrawAsync(ImageDecoders.Libvips, 1, 1, new PreprocessingSpec { Crop = Crop.None }, [[1]]);
        Assert.Equal((1, 1), (pixel.Width, pixel.Height));
    }

    private static byte[] At(RgbImage image, int x, int y) => image.Pixels.Slice(((y * image.Width) + x) * 3, 3).ToArray();

    private static async Task<RgbImage> DrawAsync(string library, int width, int height, PreprocessingSpec preprocessing, float[][] map)
    {
        var decoding = new DecodingOptions { Library = library };
        var scheduling = new SchedulingOptions { Concurrency = 1 };
        var (decoder, encoder) = (ImageDecoders.Create(decoding), ImageDecoders.CreateEncoder(decoding));
        using var permits = new DecodePermits(decoding, scheduling);
        var pixels = new byte[width * height * 3];
        pixels.AsSpan().Fill(Grey);

        var manifest = new ModelManifest
        {
            Name = "any",
            Files = new Dictionary<string, BundleFile>(),
            Input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, 64, 64),
            Preprocessing = preprocessing,
        };
        var files = new BundleFiles(manifest, Path.GetTempPath());
        var model = new Model(manifest, files, "fp32", [], new NoBackend(), new Postprocessor(manifest, []), scheduling);
        await using (model.Scheduler)
        {
            var overlay = new Overlay(decoder, encoder, permits, scheduling);
            return decoder.Decode(await overlay.DrawAsync(model, encoder.ToPng(pixels, width, height), map, TestContext.Current.CancellationToken));
        }
    }

    private sealed class NoBackend : IBackend
    {
        public IReadOnlyList<TensorSpec> Outputs => [];

        public Tensors Lease(IReadOnlyList<string> others) => throw new InvalidOperationException("Nothing is computed here.");

        public ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken) => Lease([]) is null ? default : default;

        public void Dispose()
        {
        }
    }
}
