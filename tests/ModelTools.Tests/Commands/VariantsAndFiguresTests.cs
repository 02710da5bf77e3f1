using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Quantize;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>A bundle gets variants, and figures: <c>whatsit quantize</c> and <c>whatsit evaluate</c>.</summary>
public sealed class VariantsAndFiguresTests : IDisposable
{
    private const int Photos = 12;

    private readonly string _root = Directory.CreateTempSubdirectory("variants").FullName;

    public VariantsAndFiguresTests()
    {
        var onnx = Path.Combine(_root, "shapes.onnx");
        OnnxWriter.Write(Network(), onnx);
        var labels = Path.Combine(_root, "labels.txt");
        File.WriteAllLines(labels, ["circle", "square", "star", "cross", "moon"]);
        ModelImporter.Import(new ImportRequest(onnx, "shapes", Models) { Labels = labels, Preset = "minus-one-to-one" }, _ => { });
        Directory.CreateDirectory(Pictures);
        for (var photo = 0; photo < Photos; photo++)
        {
            File.WriteAllBytes(Path.Combine(Pictures, $"{photo:00}.jpg"), Photo(photo));
        }

        Directory.CreateDirectory(Calibration);
        for (var photo = 0; photo < 4 * VariantBuilder.FewestPhotos; photo++)
        {
            File.WriteAllBytes(Path.Combine(Calibration, $"{photo:000}.jpg"), Photo(Photos + photo));
        }
    }

    private string Models => Path.Combine(_root, "models");

    private string Folder => Path.Combine(Models, "shapes");

    private string Pictures => Path.Combine(_root, "photos");

    private string Calibration => Path.Combine(_root, "calibration");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [InlineData("fp16", 0.6)]
    [InlineData("int8", 0.5)]
    public async Task A_variant_is_smaller_gives_the_recorded_answer_and_is_approved(string variant, double size)
    {
        var report = await Quantize(variant);

        Assert.Null(report.Problem);
        var manifest = Bundle.ReadManifest(Folder);
        var file = manifest.Files[variant];
        Assert.Equal(($"model.{variant}.onnx", true), (file.File, file.Approved));
        Assert.InRange(file.Bytes, 1, (long)(size * manifest.Files["fp32"].Bytes));
        Assert.Equal("2", manifest.Version);
        Assert.Equal(VariantBuilder.FewestPhotos, report.Agreement.Photos);
        Assert.Contains("did not calibrate", report.JudgedBy, StringComparison.Ordinal);
        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(manifest, Folder, variant); // checks size and SHA-256
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);
        Assert.True(report.Agreement.SameTop1 >= 0.9, $"Only {report.Agreement.SameTop1:P0} of the answers are the same.");
    }

    [Fact]
    public async Task A_variant_that_loses_more_than_allowed_is_not_installed()
    {
        string[] before = [.. Directory.EnumerateFiles(Folder).Order()];
        var manifest = await File.ReadAllTextAsync(Path.Combine(Folder, Bundle.ManifestFile), TestContext.Current.CancellationToken);

        // Losing nothing is more than less than nothing.
        var report = await Quantize("fp16", maxLoss: -0.5);

        Assert.StartsWith("fp16 loses 0.0 % of accuracy on 32 photos; the limit is", report.Problem, StringComparison.Ordinal);
        Assert.Equal(before, Directory.EnumerateFiles(Folder).Order());
        Assert.Equal(manifest, await File.ReadAllTextAsync(Path.Combine(Folder, Bundle.ManifestFile), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_variant_that_does_not_give_the_recorded_answer_is_not_installed()
    {
        await MoveRecordedAnswerAsync(0.5);

        var report = await Quantize("fp16");

        Assert.Contains("does not give its recorded answer", report.Problem, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(Folder, "model.fp16.onnx")));
    }

    [Fact]
    public async Task A_variant_a_little_off_on_the_sample_is_held_to_an_answer_of_its_own()
    {
        await MoveRecordedAnswerAsync(0.05);

        var report = await Quantize("fp16");

        Assert.Null(report.Problem);
        Assert.True(report.HasOwnAnswer);
        var manifest = Bundle.ReadManifest(Folder);
        var own = manifest.Files["fp16"].Predictions!;
        Assert.Equal(manifest.Sample!.Predictions.Select(prediction => prediction.Label), own.Select(prediction => prediction.Label));
        Assert.InRange(Math.Abs(manifest.Sample.Predictions[0].Confidence - own[0].Confidence), 0.03, 0.07);
        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(manifest, Folder, "fp16");
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);
        using var full = evaluator.Load(manifest, Folder, "fp32");
        await Assert.ThrowsAsync<InferenceException>(() => evaluator.SelfTestAsync(full.Model, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Other_weights_under_an_old_name_are_a_new_version_without_the_old_figures()
    {
        await Quantize("int8");
        var path = Path.Combine(Folder, Bundle.ManifestFile);
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken))!;
        manifest["metrics"] = new JsonObject { ["int8"] = new JsonObject(), ["fp32"] = new JsonObject() };
        manifest["maker"] = "someone";
        await File.WriteAllTextAsync(path, manifest.ToJsonString(), TestContext.Current.CancellationToken);

        await Quantize("int8", photos: 5);

        var after = JsonNode.Parse(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken))!;
        Assert.Equal("3", (string?)after["version"]);
        Assert.Equal(["fp32"], after["metrics"]!.AsObject().Select(entry => entry.Key));
        Assert.Equal("someone", (string?)after["maker"]);
    }

    [Fact]
    public async Task A_variant_that_answers_too_many_photos_otherwise_is_not_installed()
    {
        var report = await Quantize("fp16", maxChanged: -0.5);

        Assert.Equal("fp16 answers 0.0 % of 32 photos otherwise than fp32; the limit is -50.0 % (--max-changed).", report.Problem);
        Assert.False(File.Exists(Path.Combine(Folder, "model.fp16.onnx")));
        Assert.Equal("1", Bundle.ReadManifest(Folder).Version);
    }

    [Theory]
    [InlineData("fp16")]
    [InlineData("int8")]
    public async Task Copies_of_one_photo_approve_nothing(string variant)
    {
        var copies = Path.Combine(_root, "copies");
        Directory.CreateDirectory(copies);
        for (var photo = 0; photo < VariantBuilder.FewestPhotos; photo++)
        {
            File.WriteAllBytes(Path.Combine(copies, $"{photo:00}.jpg"), Photo(0));
        }

        var report = await Quantize(variant, images: copies);

        Assert.StartsWith("The 32 photos say nothing: fp32 answers all of them alike (they are 0.000 nats apart, and 0.05 are needed).", report.Problem,
            StringComparison.Ordinal);
        Assert.False(Bundle.ReadManifest(Folder).Files.ContainsKey(variant));
    }

    [Fact]
    public async Task Noise_approves_nothing()
    {
        var noise = Path.Combine(_root, "noise");
        Directory.CreateDirectory(noise);
        var random = new Random(1);
        for (var photo = 0; photo < 4 * VariantBuilder.FewestPhotos; photo++)
        {
            var pixels = new byte[64 * 64 * 3];
            random.NextBytes(pixels);
            File.WriteAllBytes(Path.Combine(noise, $"{photo:000}.png"), ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(pixels, 64, 64));
        }

        var report = await VariantBuilder.BuildAsync(new QuantizeRequest("shapes", Models, "int8") { Calibrate = noise, CalibrationPhotos = Photos }, _ => { },
            TestContext.Current.CancellationToken);

        Assert.StartsWith("The 32 photos say nothing", report.Problem, StringComparison.Ordinal);
        Assert.False(Bundle.ReadManifest(Folder).Files.ContainsKey("int8"));
    }

    [Fact]
    public async Task Photos_that_judge_do_not_calibrate_and_are_enough()
    {
        var few = await Assert.ThrowsAsync<ModelFormatException>(() => Quantize("int8", images: Pictures));
        Assert.Equal($"At least 32 photos must judge; '{Pictures}' has 12. Give more with --images.", few.Message);

        var same = await Assert.ThrowsAsync<ModelFormatException>(() => Quantize("int8", images: Calibration));
        Assert.StartsWith($"All photos in '{Calibration}' are in '{Calibration}', too", same.Message, StringComparison.Ordinal);

        foreach (var photo in Directory.EnumerateFiles(Calibration).Order().Skip(100))
        {
            File.Delete(photo);
        }

        var held = await Assert.ThrowsAsync<ModelFormatException>(() => Quantize("int8"));
        Assert.Equal($"At least 32 photos must judge; a fourth of the 100 photos in '{Calibration}' is 25. Give more with --images.", held.Message);
    }

    [Theory]
    [InlineData("int8 needs photos to calibrate with", "quantize", "grocery", "--to", "int8")]
    [InlineData("There is no folder or list 'nowhere'", "quantize", "grocery", "--to", "int8", "--calibrate", "nowhere")]
    [InlineData("has a label that the model 'grocery' knows", "evaluate", "grocery", "--images", "tests/data/images")]
    [InlineData("has no variant 'int3'", "evaluate", "grocery", "--images", "models/grocery/samples", "--variant", "int3")]
    public async Task What_cannot_be_done_is_said_in_one_sentence(string message, params string[] arguments)
    {
        (var code, _, var error) = await WhatsitCommand.RunAsync(arguments);

        Assert.Equal(1, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evaluate_counts_compares_records_and_writes_a_page()
    {
        await Quantize("int8");
        await LabelByAnswers(wrong: 3);
        var page = Path.Combine(_root, "report.html");

        (var code, var output, var error) = await WhatsitCommand.RunAsync(
            "evaluate", "shapes", "--models", Models, "--images", Pictures, "--compare", "fp32", "int8", "--report", page, "--record",
                "twelve drawings", "--json");

        Assert.Equal("", error);
        Assert.Equal(0, code);
        var result = JsonNode.Parse(output)!;
        Assert.Equal(["fp32", "int8"], result["variants"]!.AsArray().Select(row => (string)row!["variant"]!));
        Assert.Equal((Photos - 3d) / Photos, (double)result["variants"]![0]!["top1"]!, 1e-9);
        Assert.Equal(Photos, result["photos"]!.AsArray().Count);
        Assert.True((double)result["variants"]![1]!["agreement"]!["same_top1"]! >= 0.9);
        Assert.True((double)result["variants"]![0]!["latency"]!["total"]!["p99"]! > 0);
        var metrics =
            JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Folder, Bundle.ManifestFile), TestContext.Current.CancellationToken))!["metrics"]!;
        Assert.Equal((0.75, 12, "twelve drawings"), ((double)metrics["fp32"]!["top1"]!, (int)metrics["fp32"]!["photos"]!, (string)metrics["fp32"]!["data"]!));
        Assert.Null(metrics["fp32"]!["largest_difference"]);
        Assert.Equal(Math.Round((double)result["variants"]![1]!["agreement"]!["largest_difference"]!, 4), (double)metrics["int8"]!["largest_difference"]!);
        Assert.Equal(3, (await File.ReadAllTextAsync(page, TestContext.Current.CancellationToken)).Split("<figure>").Length - 1);
    }

    [Fact]
    public async Task A_photo_that_cannot_be_read_spoils_only_itself()
    {
        await LabelByAnswers(wrong: 0);
        await File.WriteAllTextAsync(Path.Combine(Pictures, "03.jpg"), "no picture", TestContext.Current.CancellationToken);

        (var code, var output, _) = await WhatsitCommand.RunAsync("evaluate", "shapes", "--models", Models, "--images",
            Path.Combine(Pictures, LabelledPhotos.List), "--json");

        Assert.Equal(0, code);
        var result = JsonNode.Parse(output)!;
        Assert.Equal("03.jpg", (string)Assert.Single(result["failures"]!.AsArray())!["file"]!);
        Assert.Equal(1, (double)result["variants"]![0]!["top1"]!);
    }

    [Fact]
    public async Task The_ImageNet_network_recognises_its_photos()
    {
        var shared = Path.Combine(WhatsitCommand.Root, "../shared");
        Assert.SkipUnless(Directory.Exists(Path.Combine(shared, "photos/imagenet")), "The reference photos are not at ../shared/photos/imagenet.");
        ModelImporter.Import(new ImportRequest(Path.Combine(shared, "models/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite"), "mobilenet",
            Models)
        { Labels = Path.Combine(shared, "models/imagenet/labels.txt") }, _ => { });

        (var code, var output, _) = await WhatsitCommand.RunAsync("evaluate", "mobilenet", "--models", Models, "--images",
            Path.Combine(shared, "photos/imagenet"), "--json");

        Assert.Equal(0, code);
        var row = JsonNode.Parse(output)!["variants"]![0]!;
        Assert.Equal(200, (int)row["photos"]!);
        Assert.InRange((double)row["top1"]!, 0.8, 1);
    }

    private async Task MoveRecordedAnswerAsync(double by)
    {
        var path = Path.Combine(Folder, Bundle.ManifestFile);
        var manifest = JsonNode.Parse(await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken))!;
        var best = manifest["sample"]!["predictions"]![0]!;
        var recorded = (double)best["confidence"]!;
        best["confidence"] = recorded + by <= 1 ? recorded + by : recorded - by;
        await File.WriteAllTextAsync(path, manifest.ToJsonString(), TestContext.Current.CancellationToken);
    }

    private Task<QuantizeReport> Quantize(string to, double maxLoss = 0.1, int photos = Photos, double maxChanged = 0.1, string? images = null) =>
        VariantBuilder.BuildAsync(
        new QuantizeRequest("shapes", Models, to)
        {
            Calibrate = Calibration,
            CalibrationPhotos = photos,
            MaxLoss = maxLoss,
            MaxChanged = maxChanged,
            Images = images
        },
        _ => { },
        TestContext.Current.CancellationToken);

    /// <summary>Writes the list of the photos with what the model says to each, but to a few.</summary>
    private async Task LabelByAnswers(int wrong)
    {
        var manifest = Bundle.ReadManifest(Folder);
        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(manifest, Folder, "fp32");
        var answers = await evaluator.RunAsync(lease.Model, LabelledPhotos.Read(Pictures, lease.Model.Classes), _ => { },
            TestContext.Current.CancellationToken);
        Assert.Equal(Photos, answers.Photos.Count);
        await File.WriteAllLinesAsync(Path.Combine(Pictures, LabelledPhotos.List),
            answers.Photos.Select((answer, i) => $"{answer.Photo.Name},{(i < wrong ? (answer.Best + 1) % 5 : answer.Best)}"),
                TestContext.Current.CancellationToken);
    }

    private static byte[] Photo(int seed)
    {
        var random = new Random(seed);
        (var a, var b, var c) = (random.NextDouble() * 8, random.NextDouble() * 8, random.Next(256));
        var pixels = new byte[48 * 40 * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)Math.Clamp(c + (100 * Math.Sin((a * (i / 3 % 48) / 48) + (b * (i / 3 / 48) / 40) + (i % 3 * c))), 0, 255);
        }

        return ImageDecoders.CreateEncoder(new DecodingOptions()).ToJpeg(pixels, 48, 40, 90);
    }

    private static Graph Network()
    {
        var builder = new GraphBuilder("shapes");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, 32, 32);
        value = Convolution("first", value, 3, 16, 2);
        value = Convolution("second", value, 16, 32, 2);
        value = Convolution("third", value, 32, 32, 1);
        value = builder.AddNode("GlobalAveragePool", "pool", [value]);
        value = builder.AddNode("Gemm", "dense",
            [builder.AddNode("Flatten", "flat", [value]), builder.AddConstant("dense_w", Numbers.Random(4, -1.5f, 1.5f, [32, 5]))]);
        builder.AddOutput(builder.AddNode("Softmax", "softmax", [value], ("axis", -1L)), ElementType.Float32, -1, 5);
        return builder.Graph;

        string Convolution(string name, string input, int from, int to, long stride) => builder.AddNode("Relu", name + "_relu", [builder.AddNode("Conv", name,
            [input, builder.AddConstant(name + "_w", Numbers.Random(name.Length, -0.3f, 0.3f, [to, from, 3, 3])),
                builder.AddConstant(name + "_b", Numbers.Random(name.Length + 1, to))],
            ("strides", new long[] { stride, stride }), ("pads", new long[] { 1, 1, 1, 1 }))]);
    }
}
