using System.Globalization;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Inference.Tests.Postprocessing;

/// <summary>The bundled model's confidences mean what they say, and it knows what it does not know: on photos of groceries and of other things.</summary>
public sealed class GroceryDoubtTests
{
    // Of the 200 classes these are a fruit, a vegetable or a mushroom; none is a juice, a milk or a package of the label list.
    private static readonly string[] OfItsKind = ["spaghetti_squash", "bell_pepper", "orange", "jackfruit", "earthstar"];

    [Theory]
    [InlineData("fp32")]
    [InlineData("int8")]
    public async Task Photos_of_groceries_get_labels_with_the_confidence_that_they_deserve_and_those_of_other_things_do_not(string variant)
    {
        var shared = Path.Combine(TestData.Root, "../shared");
        var (data, things) = (Path.Combine(shared, "data/grocery"), Path.Combine(shared, "photos/imagenet"));
        Assert.SkipUnless(File.Exists(Path.Combine(data, "val.txt")) && Directory.Exists(things), "The photos are not at ../shared.");
        var (decoding, scheduling) = (new DecodingOptions(), new SchedulingOptions { Concurrency = 1 });
        using var permits = new DecodePermits(decoding, scheduling);
        using var metrics = new InferenceMetrics();
        var classifier = new ImageClassifier(ImageDecoders.Create(decoding), permits, metrics, scheduling);
        var folder = Path.Combine(TestData.Root, "models", "grocery");
        using var lease = new ModelLease(Model.Load(Bundle.ReadManifest(folder), folder, variant, new OnnxBackendOptions(), scheduling));

        var own = new List<(Classification Answer, bool IsRight)>();
        var list = await File.ReadAllLinesAsync(Path.Combine(data, "val.txt"), TestContext.Current.CancellationToken);
        foreach (var photo in list.Select(line => line.Split(", ")))
        {
            var answer = await AskAsync(Path.Combine(data, photo[0]));
            own.Add((answer, answer.Predictions[0].Index == int.Parse(photo[1], CultureInfo.InvariantCulture)));
        }

        var others = new List<Classification>();
        foreach (var file in Directory.GetFiles(things).Where(file => !OfItsKind.Contains(Path.GetFileNameWithoutExtension(file).Split('_', 2)[1])))
        {
            others.Add(await AskAsync(file));
        }

        Assert.Equal((296, 195), (own.Count, others.Count));
        var calibrationError = own.GroupBy(photo => Math.Min((int)(10 * photo.Answer.Predictions[0].Confidence), 9))
            .Sum(bin => Math.Abs(bin.Sum(photo => photo.Answer.Predictions[0].Confidence - (photo.IsRight ? 1 : 0)))) / own.Count;
        var refused = own.Count(photo => photo.Answer.Abstained) / 296d;
        var labelled = others.Count(answer => !answer.Abstained) / 195d;
        var auroc = own.Average(photo => others.Average(other => photo.Answer.Certainty > other.Certainty ? 1d : 0));
        TestContext.Current.SendDiagnosticMessage("{0}: calibration error {1:P1}, {2:P1} refused, {3:P1} of other things labelled, AUROC {4:0.000}",
            variant, calibrationError, refused, labelled, auroc);
        Assert.InRange(calibrationError, 0, 0.04);
        Assert.InRange(refused, 0, 0.05);
        Assert.InRange(labelled, 0, 0.1);
        Assert.InRange(auroc, 0.97, 1);

        async Task<Classification> AskAsync(string file) => await classifier.ClassifyAsync(lease.Model,
            await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken), new ClassifyOptions(1), TestContext.Current.CancellationToken);
    }
}
