using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Inference.Tests.Explaining;

/// <summary>A photo of one thing, made small and laid somewhere on a grey ground: a map that means something points at it.</summary>
public sealed class ComposedPicturesTests
{
    private const int Pictures = 50, Side = 256, Object = 112;

    [Theory]
    [InlineData(Explanation.ClassActivation, 0)]
    [InlineData(Explanation.Occlusion, 49)]
    public async Task The_peak_lies_on_the_object_in_four_of_five_pictures(string method, int runs)
    {
        var data = Path.Combine(TestData.Root, "../shared/data/grocery");
        Assert.SkipUnless(File.Exists(Path.Combine(data, "val.txt")), "The data set is not at ../shared/data/grocery.");
        var list = await File.ReadAllLinesAsync(Path.Combine(data, "val.txt"), TestContext.Current.CancellationToken);
        var photos = list.Select(line => line.Split(", ")[0]).ToArray();

        var (decoding, scheduling) = (new DecodingOptions(), new SchedulingOptions { Concurrency = 1 });
        using var permits = new DecodePermits(decoding, scheduling);
        using var metrics = new InferenceMetrics();
        var classifier = new ImageClassifier(ImageDecoders.Create(decoding), permits, metrics, scheduling);
        var folder = Path.Combine(TestData.Root, "models", "grocery");
        var manifest = Bundle.ReadManifest(folder);
        if (method == Explanation.Occlusion)
        {
            manifest = manifest with { Output = manifest.Output with { Features = null, ClassifierWeights = null } };
        }

        using var lease = new ModelLease(Model.Load(manifest, folder, "fp32", new OnnxBackendOptions(), scheduling));
        var random = new Random(14);
        var hits = 0;
        for (var picture = 0; picture < Pictures; picture++)
        {
            // Within what the model sees: the middle 224 of 256.
            var (left, top) = (random.Next(16, Side - 16 - Object), random.Next(16, Side - 16 - Object));
            var file = Compose(ImageDecoders.Create(decoding), Path.Combine(data, photos[picture * photos.Length / Pictures]), left, top);
            var answer = await classifier.ClassifyAsync(lease.Model, file, new ClassifyOptions(1, Explain: true), TestContext.Current.CancellationToken);

            Assert.Equal(new Explanation(method, runs), answer.Explanation);
            var map = answer.Predictions[0].Map!;
            var peak = map.SelectMany((row, y) => row.Select((value, x) => (Value: value, X: Middle(x, row.Length), Y: Middle(y, map.Length))))
                .MaxBy(cell => cell.Value);
            hits += peak.Value == 1 && peak.X >= left && peak.X < left + Object && peak.Y >= top && peak.Y < top + Object ? 1 : 0;
        }

        TestContext.Current.SendDiagnosticMessage("{0}: the peak lies on the object in {1} of {2} pictures", method, hits, Pictures);
        Assert.InRange(hits, Pictures * 8 / 10, Pictures);

        static double Middle(int cell, int cells) => 16 + ((cell + 0.5) * 224 / cells);
    }

    private static byte[] Compose(IImageDecoder decoder, string photo, int left, int top)
    {
        using var image = decoder.Decode(File.ReadAllBytes(photo));
        var small = new byte[Object * Object * 3];
        new Preprocessor(new PreprocessingSpec { Crop = Crop.CenterSquare }, new InputSpec("object", InputElementType.UInt8, TensorLayout.Nhwc, Object, Object))
            .Process(image, small);
        var pixels = new byte[Side * Side * 3];
        pixels.AsSpan().Fill(128);
        for (var row = 0; row < Object; row++)
        {
            small.AsSpan(row * Object * 3, Object * 3).CopyTo(pixels.AsSpan((((top + row) * Side) + left) * 3));
        }

        return ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(pixels, Side, Side, compression: 1);
    }
}
