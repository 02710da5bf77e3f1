using System.Text.Json.Nodes;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Formats.TensorFlowJs;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>Whole bundles: what TensorFlow.js answers for the export against what ONNX Runtime answers for the bundle.</summary>
public sealed class ExportTests(TensorFlowJsRuntime tensorFlow) : IClassFixture<TensorFlowJsRuntime>, IDisposable
{
    private const float SingleTolerance = 1e-4f;
    private const float HalfTolerance = 5e-3f;

    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-export-").FullName;

    private static string Grocery => Path.Combine(WhatsitCommand.Root, "models/grocery");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false, 9.3)]
    [InlineData(true, 4.9)]
    public void The_shipped_model_answers_the_same_in_TensorFlow_js_for_every_tenth_validation_photo(bool half, double megabytes)
    {
        var files = Export(Grocery, half);
        Assert.InRange(files.Sum(file => file.Bytes) / 1e6, megabytes - 0.3, megabytes);
        (var difference, var changed, var photos) = Compare(ValidationPhotos().Where((_, i) => i % 10 == 0));

        Assert.Equal(30, photos);
        Assert.InRange(difference, 0, half ? HalfTolerance : SingleTolerance);
        Assert.Equal(0, changed);
    }

    /// <summary>The whole of it, for the figures in models/README.md: <c>ModelTools.Tests -explicit only -method "*Every_validation_photo*"</c>.</summary>
    [Theory(Explicit = true)]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_validation_photo_gets_the_same_label_in_TensorFlow_js(bool half)
    {
        var bytes = Export(Grocery, half).Sum(file => file.Bytes);
        (var difference, var changed, var photos) = Compare(ValidationPhotos());

        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{(half ? "fp16" : "fp32")}: {bytes} bytes, {photos} photos, largest difference {difference:0.0e+0}, {changed} other labels");
        Assert.InRange(difference, 0, half ? HalfTolerance : SingleTolerance);
        Assert.Equal(0, changed);
    }

    [Fact]
    public void The_shipped_export_is_the_one_of_the_shipped_model()
    {
        var manifest = Bundle.ReadManifest(Grocery);
        Assert.All(manifest.Tfjs!, file => Bundle.Verify(manifest, Grocery, file));
        using var runner = new OnnxRunner(Path.Combine(Grocery, manifest.Files["fp32"].File));
        using var sample = Decode(Path.Combine(Grocery, "sample.png"));

        (var expected, var actual) = Answers(manifest, runner, Prepare(manifest, sample), Path.Combine(Grocery, "tfjs"));
        Assert.InRange(Numbers.LargestDifference(expected, actual), 0, HalfTolerance);
    }

    [Fact]
    public async Task The_command_lists_what_it_wrote_in_the_manifest_and_leaves_the_rest_as_it_was()
    {
        var bundle = ModelImporter.Import(new ImportRequest(Golden.Shared("digits-tfjs"), "digits", _folder), _ => { }).Folder;
        var before = JsonNode.Parse(File.ReadAllText(Path.Combine(bundle, Bundle.ManifestFile)))!;

        (var code, var output, var error) = await WhatsitCommand.RunAsync("export", "digits", "--to", "tfjs", "--models", _folder, "--json");

        Assert.Equal((0, ""), (code, error));
        var manifest = Bundle.ReadManifest(bundle);
        Assert.Equal(["tfjs/model.json", "tfjs/group1-shard1of1.bin", "tfjs/classes.json", "tfjs/metadata.json"], manifest.Tfjs!.Select(file => file.File));
        Assert.All(manifest.Tfjs!, file => Bundle.Verify(manifest, bundle, file));
        Assert.Equal(manifest.Tfjs!.Select(file => file.Bytes), JsonNode.Parse(output)!["files"]!.AsArray().Select(file => (long)file!["bytes"]!));
        var after = JsonNode.Parse(File.ReadAllText(Path.Combine(bundle, Bundle.ManifestFile)))!;
        after.AsObject().Remove("tfjs");
        Assert.True(JsonNode.DeepEquals(before, after));
    }

    [Fact]
    public async Task What_is_no_bundle_is_not_exported_but_told_how_to_become_one()
    {
        var model = Golden.Data("tfjs/fused");
        (var code, _, var error) = await WhatsitCommand.RunAsync("export", model);
        Assert.Equal((1, $"'{model}' is not a bundle. Import it first: whatsit import {model} --name NAME"), (code, error.Trim()));
    }

    [Theory]
    [InlineData("teachable/waste-keras/keras_model.h5")]
    [InlineData("teachable/trash-tfjs")]
    [InlineData("teachable/bread-tflite/model_unquant.tflite")]
    [InlineData("imagenet/mobilenet_v2_1.0_224_quant.tflite")]
    [InlineData("imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite")]
    public void What_was_imported_can_be_exported(string model)
    {
        // A quantized network becomes float on the way, and so does the one that it is compared with: their roundings would jump apart.
        var bundle = ModelImporter.Import(new ImportRequest(Golden.Shared(model), "real", _folder) { Dequantize = true }, _ => { }).Folder;
        var manifest = Bundle.ReadManifest(bundle);
        Export(bundle, half: false);
        var pixels = new byte[manifest.Input.Width * manifest.Input.Height * 3];
        new Random(5).NextBytes(pixels);
        using var runner = new OnnxRunner(Path.Combine(bundle, manifest.Files["fp32"].File));
        using var sample = Decode(Path.Combine(bundle, "sample.png"));

        foreach (var picture in (byte[][])[Prepare(manifest, sample), pixels])
        {
            (var expected, var actual) = Answers(manifest, runner, picture);
            Assert.InRange(Numbers.LargestDifference(expected, actual), 0, SingleTolerance);
        }
    }

    [Fact]
    public void A_quantized_bundle_is_exported_as_the_floats_that_importing_would_have_made_of_it()
    {
        var model = Golden.Shared("imagenet/mobilenet_v2_1.0_224_quant.tflite");
        Export(ModelImporter.Import(new ImportRequest(model, "quantized", _folder), _ => { }).Folder, half: false);
        var bundle = ModelImporter.Import(new ImportRequest(model, "floats", _folder) { Dequantize = true }, _ => { }).Folder;
        var manifest = Bundle.ReadManifest(bundle);
        using var runner = new OnnxRunner(Path.Combine(bundle, manifest.Files["fp32"].File));
        using var sample = Decode(Path.Combine(bundle, "sample.png"));

        (var expected, var actual) = Answers(manifest, runner, Prepare(manifest, sample));
        Assert.InRange(Numbers.LargestDifference(expected, actual), 0, SingleTolerance);
    }

    private IReadOnlyList<(string File, long Bytes)> Export(string bundle, bool half)
    {
        var manifest = Bundle.ReadManifest(bundle);
        return ExportCommand.Export(manifest, bundle, Path.Combine(bundle, manifest.Files["fp32"].File), Path.Combine(_folder, "tfjs"), half);
    }

    private (float Difference, int Changed, int Photos) Compare(IEnumerable<string> photos)
    {
        var manifest = Bundle.ReadManifest(Grocery);
        using var runner = new OnnxRunner(Path.Combine(Grocery, manifest.Files["fp32"].File));
        float largest = 0;
        int changed = 0, count = 0;
        foreach (var photo in photos)
        {
            using var image = Decode(photo);
            (var expected, var actual) = Answers(manifest, runner, Prepare(manifest, image));
            largest = Math.Max(largest, Numbers.LargestDifference(expected, actual));
            changed += Best(expected) == Best(actual) ? 0 : 1;
            count++;
        }

        return (largest, changed, count);

        static int Best(Tensor scores) => Array.IndexOf(scores.ToFloats(), scores.ToFloats().Max());
    }

    private (Tensor Expected, Tensor Actual) Answers(ModelManifest manifest, OnnxRunner runner, byte[] pixels, string? export = null)
    {
        int[] shape = [1, manifest.Input.Height, manifest.Input.Width, 3];
        var expected = runner.Run(new Dictionary<string, Tensor> { [manifest.Input.Name] = new Tensor(ElementType.UInt8, shape, pixels) },
            manifest.Output.Name)[manifest.Output.Name];
        var actual = Assert.Single(tensorFlow.Run(export
            ?? Path.Combine(_folder, "tfjs"), Tensor.Float32(shape, Array.ConvertAll(pixels, pixel => (pixel / 127.5f) - 1)))).Value;
        if (manifest.Output.Kind == OutputKind.Logits)
        {
            var probabilities = expected.ToFloats();
            Inference.Postprocessing.Softmax.Apply(probabilities);
            expected = Tensor.Float32(expected.Shape, probabilities);
        }

        return (expected, actual);
    }

    private static byte[] Prepare(ModelManifest manifest, RgbImage image)
    {
        var pixels = new byte[manifest.Input.ByteLength];
        new Preprocessor(manifest.Preprocessing, manifest.Input).Process(image, pixels);
        return pixels;
    }

    private static RgbImage Decode(string path) => ImageDecoders.Create(new DecodingOptions()).Decode(File.ReadAllBytes(path));

    private static IEnumerable<string> ValidationPhotos()
    {
        var data = Path.Combine(WhatsitCommand.Root, "../shared/data/grocery");
        Assert.SkipUnless(File.Exists(Path.Combine(data, "val.txt")), "The data set is not at ../shared/data/grocery.");
        return File.ReadLines(Path.Combine(data, "val.txt")).Select(line => Path.Combine(data, line.Split(", ")[0]));
    }
}
