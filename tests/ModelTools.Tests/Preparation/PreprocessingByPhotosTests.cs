using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Tests.Commands;

namespace Whatsit.ModelTools.Tests.Preparation;

/// <summary>The bundled model, imported without a word on its pictures, and photos that tell.</summary>
public sealed class PreprocessingByPhotosTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("by-photos-").FullName;

    private static string Grocery => Path.Combine(WhatsitCommand.Root, "models/grocery");

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("onnx")]
    [InlineData("keras")]
    [InlineData("tfjs")]
    [InlineData("tflite")]
    public async Task Forty_labelled_photos_tell_how_pictures_were_prepared(string format)
    {
        var photos = Photos(40);
        var file = new StrippedModel(Grocery).Write(format, Path.Combine(_folder, format));

        var report = ModelImporter.Import(new ImportRequest(file, "stripped", Models) { Images = photos }, _ => { }, TestContext.Current.CancellationToken);

        var right = Bundle.ReadManifest(Grocery);
        var spec = Bundle.ReadManifest(report.Folder).Preprocessing;
        var evidence = spec.Evidence!;
        TestContext.Current.TestOutputHelper!.WriteLine(evidence.Reason);
        Assert.Equal((PreprocessingCertainty.ShownByPhotos, 40, true), (evidence.Certainty, evidence.Photos, evidence.Labelled));
        Assert.True(Scalings.ByName["minus-one-to-one"].IsOf(spec), evidence.Reason);
        var truth = evidence.Tried!.Single(trial => trial.Scaling == "minus-one-to-one" && trial.ChannelOrder == ChannelOrder.Rgb
            && trial.Crop == right.Preprocessing.Crop && trial.ResizeShortest == right.Preprocessing.ResizeShortest
            && trial.Resample == right.Preprocessing.Resample);
        Assert.True(truth.Tie, $"{truth}");
        Assert.All(evidence.Tried!.Where(trial => trial.Tie),
            trial => Assert.Equal(("minus-one-to-one", ChannelOrder.Rgb), (trial.Scaling, trial.ChannelOrder)));
        var card = await File.ReadAllTextAsync(Path.Combine(report.Folder, "README.md"), TestContext.Current.CancellationToken);
        Assert.Contains("| −1…1 |", card, StringComparison.Ordinal);
        Assert.Equal(right.Sample!.Predictions[0].Index, (await AnswerAsync(report.Folder, Path.Combine(Grocery, "sample.png")))[0].Index);
    }

    [Fact]
    public void Forty_photos_without_labels_tell_the_scaling_but_not_the_resizer()
    {
        var file = new StrippedModel(Grocery).Write("onnx", Path.Combine(_folder, "onnx"));
        var photos = Photos(40);

        var report = ModelImporter.Import(new ImportRequest(file, "stripped", Models) { Unlabelled = photos }, _ => { }, TestContext.Current.CancellationToken);

        var spec = report.Manifest.Preprocessing;
        Assert.False(spec.Evidence!.Labelled);
        Assert.All(spec.Evidence.Tried!, trial => Assert.Null(trial.Top1));
        Assert.Contains("weaker evidence", spec.Evidence.Reason, StringComparison.Ordinal);
        Assert.Equal((Crop.None, "tf-bilinear"), (spec.Crop, spec.Resample));
    }

    [Fact]
    public void What_was_asked_for_stays_and_is_warned_about()
    {
        var file = new StrippedModel(Grocery).Write("onnx", Path.Combine(_folder, "onnx"));

        var report = ModelImporter.Import(new ImportRequest(file, "stripped", Models) { Images = Photos(40), Preset = "keras-vgg16" }, _ => { },
            TestContext.Current.CancellationToken);

        Assert.True(Scalings.ByName["caffe"].IsOf(report.Manifest.Preprocessing));
        Assert.Equal(PreprocessingCertainty.Known, report.Manifest.Preprocessing.Evidence!.Certainty);
        Assert.Contains(report.Model.Notes, note => note.StartsWith("Warning: Preprocessing is known", StringComparison.Ordinal)
            && note.Contains("are against it", StringComparison.Ordinal));
    }

    [Fact]
    public void Photos_with_labels_at_random_change_nothing()
    {
        var file = new StrippedModel(Grocery).Write("onnx", Path.Combine(_folder, "onnx"));
        var list = Photos(40);
        var lines = File.ReadAllLines(list);
        File.WriteAllLines(list, lines.Select((line, place) => $"{line.Split(',')[0]},{(place * 37) % 81}"));

        var report = ModelImporter.Import(new ImportRequest(file, "stripped", Models) { Images = list }, _ => { }, TestContext.Current.CancellationToken);

        Assert.True(Scalings.ByName["zero-to-one"].IsOf(report.Manifest.Preprocessing));
        Assert.Equal(PreprocessingCertainty.Assumed, report.Manifest.Preprocessing.Evidence!.Certainty);
        Assert.Contains("say nothing", report.Manifest.Preprocessing.Evidence.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("zero-to-one-bgr")]
    [InlineData("torchvision")]
    public async Task A_bundle_that_was_prepared_wrongly_is_put_right(string preset)
    {
        var photos = Photos(40);
        var file = new StrippedModel(Grocery).Write("onnx", Path.Combine(_folder, "onnx"));
        var bundle = ModelImporter.Import(new ImportRequest(file, "stripped", Models) { Preset = preset }, _ => { }).Folder;

        (var code, var output, var error) = await WhatsitCommand.RunAsync("preprocessing", "stripped", "--images", photos, "--models", Models);
        Assert.True(code == 0, error);
        Assert.Contains("shown by photos", output, StringComparison.Ordinal);

        // The network with the scaling taken out and put in again is the one with the right scaling from the start.
        var spec = Bundle.ReadManifest(bundle).Preprocessing;
        Assert.Equal("2", Bundle.ReadManifest(bundle).Version);
        Assert.True(Scalings.ByName["minus-one-to-one"].IsOf(spec), spec.Evidence!.Reason);
        var other = ModelImporter.Import(new ImportRequest(file, "other", Models) { Preprocessing = spec }, _ => { }).Folder;
        string[] pictures = [.. Directory.EnumerateFiles(Path.Combine(Grocery, "samples"))];
        var expected = await AnswerAsync(other, pictures);
        var actual = await AnswerAsync(bundle, pictures);
        Assert.Equal(expected.Select(answer => answer.Index), actual.Select(answer => answer.Index));
        Assert.All(expected.Zip(actual), pair => Assert.InRange(Math.Abs(pair.First.Confidence - pair.Second.Confidence), 0, 1e-4));

        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(Bundle.ReadManifest(bundle), bundle, "fp32");
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_dry_run_tells_and_changes_nothing()
    {
        var photos = Photos(20);
        CopyTo(Path.Combine(Models, "grocery"));
        var manifest = Path.Combine(Models, "grocery", Bundle.ManifestFile);
        var before = await File.ReadAllTextAsync(manifest, TestContext.Current.CancellationToken);

        (var code, var output, var error) = await WhatsitCommand.RunAsync("preprocessing", "grocery", "--unlabelled", photos, "--models", Models, "--dry-run");

        Assert.True(code == 0, error);
        Assert.Contains("Nothing was changed: a dry run.", output, StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(manifest, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task The_shipped_bundle_is_as_its_photos_say()
    {
        var photos = Photos(40);
        CopyTo(Path.Combine(Models, "grocery"));

        (var code, var output, var error) = await WhatsitCommand.RunAsync("preprocessing", "grocery", "--images", photos, "--models", Models);

        Assert.True(code == 0, error);
        Assert.Contains("are not against it", output, StringComparison.Ordinal);
        var before = Bundle.ReadManifest(Grocery);
        var after = Bundle.ReadManifest(Path.Combine(Models, "grocery"));
        Assert.Equal(before.Version, after.Version);
        Assert.Equal(PicturePreparation.Of(before.Preprocessing), PicturePreparation.Of(after.Preprocessing));
        Assert.Equal(before.Files.Keys, after.Files.Keys);
    }

    [Fact]
    public async Task Photos_with_and_without_labels_exclude_each_other()
    {
        (var code, _, var error) = await WhatsitCommand.RunAsync("preprocessing", "grocery", "--images", "a", "--unlabelled", "b");
        Assert.NotEqual(0, code);
        Assert.Contains("--images and --unlabelled exclude each other", error, StringComparison.Ordinal);
    }

    private void CopyTo(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(Grocery, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(folder, Path.GetRelativePath(Grocery, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    private static async Task<IReadOnlyList<Inference.Prediction>> AnswerAsync(string bundle, params string[] pictures)
    {
        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(Bundle.ReadManifest(bundle), bundle, "fp32");
        var best = new List<Inference.Prediction>();
        foreach (var picture in pictures)
        {
            var file = await File.ReadAllBytesAsync(picture, TestContext.Current.CancellationToken);
            best.Add((await evaluator.Classifier.ClassifyAsync(lease.Model, file, Inference.ClassifyOptions.For(lease.Model),
                TestContext.Current.CancellationToken)).Predictions[0]);
        }

        return best;
    }

    /// <summary>A list of so many validation photos, spread over the classes.</summary>
    private string Photos(int count)
    {
        var data = Path.Combine(WhatsitCommand.Root, "../shared/data/grocery");
        Assert.SkipUnless(File.Exists(Path.Combine(data, "val.txt")), "The data set is not at ../shared/data/grocery.");
        var list = Path.Combine(_folder, "photos.csv");
        string[] lines = [.. File.ReadLines(Path.Combine(data, "val.txt")).Select(line => line.Split(", "))
            .Select(fields => $"{Path.Combine(data, fields[0])},{fields[1]}")];
        File.WriteAllLines(list, Enumerable.Range(0, count).Select(place => lines[place * lines.Length / count]));
        return list;
    }
}
