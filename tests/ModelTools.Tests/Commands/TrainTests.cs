using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.IO.Compression;
using System.Text.Json.Nodes;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Train;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>Photos in folders become a classifier that is served like any other: <c>whatsit train</c>, <c>whatsit abstain</c>.</summary>
public sealed class TrainTests : IDisposable
{
    private static readonly string[] Kinds = ["blue", "green", "red"];

    private readonly string _root = Directory.CreateTempSubdirectory("train").FullName;

    public TrainTests()
    {
        var onnx = Path.Combine(_root, "base.onnx");
        OnnxWriter.Write(Network(), onnx);
        ModelImporter.Import(new ImportRequest(onnx, "base", Models) { Preset = "zero-to-one" }, _ => { });
        for (var kind = 0; kind < Kinds.Length; kind++)
        {
            Directory.CreateDirectory(Path.Combine(Photos, Kinds[kind]));
            for (var photo = 0; photo < 20; photo++)
            {
                File.WriteAllBytes(Path.Combine(Photos, Kinds[kind], $"{photo:00}.png"), Photo(2 - kind, (kind * 100) + photo));
            }
        }

        Directory.CreateDirectory(Others);
        for (var photo = 0; photo < 20; photo++)
        {
            File.WriteAllBytes(Path.Combine(Others, $"{photo:00}.png"), Photo(null, 1000 + photo));
        }
    }

    private string Models => Path.Combine(_root, "models");

    private string Photos => Path.Combine(_root, "photos");

    private string Others => Path.Combine(_root, "others");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task A_folder_for_each_class_becomes_a_bundle_that_is_right_about_photos_it_never_saw()
    {
        var report = await TrainAsync(new TrainRequest(Photos, "colours", "base", Models) { Others = Others, To = ["fp16"] });

        Assert.Equal(1, report.Evaluation.Figures.Top1);
        Assert.Equal(12, report.Facts.Judged);
        Assert.Equal(48, report.Facts.Photos);
        var folder = Path.Combine(Models, "colours");
        var manifest = Bundle.ReadManifest(folder);
        Assert.Equal(Kinds, File.ReadAllLines(Path.Combine(folder, "labels.txt")));
        Assert.Equal(("probabilities", "embedding", "features"), (manifest.Output.Name, manifest.Output.Embedding, manifest.Output.Features));
        Assert.Equal(["fp32", "fp16"], manifest.Files.Keys);
        Assert.NotNull(manifest.Output.ClassifierWeights);
        // It is calibrated in its weights: protocols that give the graph's own outputs say the same.
        Assert.Null(manifest.Output.Temperature);
        Assert.NotEqual(1, report.Facts.Temperature);
        Assert.Equal(HeadGraph.WeightsOf(new OnnxReader().Read(Path.Combine(folder, "model.onnx")).Graph, "logits").Data.ToArray(),
            await File.ReadAllBytesAsync(Path.Combine(folder, manifest.Output.ClassifierWeights.File), TestContext.Current.CancellationToken));
        Assert.Equal(1, manifest.Metrics!["fp32"].GetProperty("top1").GetDouble());
        var page = await File.ReadAllTextAsync(report.ReportPage, TestContext.Current.CancellationToken);
        Assert.Contains("<h2>Classes", page, StringComparison.Ordinal);

        // As a server would before it says that it is ready.
        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(manifest, folder, "fp32");
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);

        // Grey things are none of its colours.
        var others = await evaluator.RunAsync(lease.Model, LabelledPhotos.ReadOthers(Others), _ => { }, TestContext.Current.CancellationToken);
        Assert.True(others.Photos.Count(answer => answer.Abstained) >= 18);
        var card = await File.ReadAllTextAsync(Path.Combine(folder, "README.md"), TestContext.Current.CancellationToken);
        Assert.Contains("## When it does not know", card, StringComparison.Ordinal);
        Assert.Contains("an unknown fruit looks like a fruit", card, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pictures_of_the_version_before_stay_where_the_new_one_names_them()
    {
        var folder = Path.Combine(Models, "colours");
        await TrainAsync(new TrainRequest(Photos, "colours", "base", Models));
        File.Copy(Path.Combine(Photos, "red", "00.png"), Path.Combine(folder, "own.png"));
        Directory.CreateDirectory(Path.Combine(folder, "samples"));
        foreach (var kind in Kinds)
        {
            File.Copy(Path.Combine(Photos, "green", "01.png"), Path.Combine(folder, "samples", $"{kind}.png"));
        }

        ManifestEdit.Apply(folder, json =>
        {
            json["sample"]!["file"] = "own.png";
            json["samples"] = new JsonArray(
            [
                .. new[] { ("green", 0), ("red", 2), ("violet", 1) }.Select(each => new JsonObject
                {
                    ["file"] = $"samples/{(each.Item1 == "violet" ? "blue" : each.Item1)}.png",
                    ["title"] = each.Item1,
                    ["index"] = each.Item2,
                }),
            ]);
        });

        var report = await TrainAsync(new TrainRequest(Photos, "colours", "base", Models));

        var manifest = Bundle.ReadManifest(folder);
        Assert.Equal(("2", "own.png", "red"), (manifest.Version, manifest.Sample!.File, manifest.Sample.Predictions[0].Label));
        var sample = Assert.Single(manifest.Samples!);
        Assert.Equal(("samples/green.png", "green", 1), (sample.File, sample.Title, sample.Index));
        Assert.Equal(["green.png"], Directory.GetFiles(Path.Combine(folder, "samples")).Select(Path.GetFileName));
        Assert.Contains(report.Notes, note => note.StartsWith("The sample 'samples/red.png' is left out: red is taken for green", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Crop_and_resizer_that_were_only_assumed_are_those_that_the_photos_to_learn_from_speak_for()
    {
        // What counts is in the middle; what lies beside it is any of the colours.
        var wide = Path.Combine(_root, "wide");
        for (var kind = 0; kind < Kinds.Length; kind++)
        {
            Directory.CreateDirectory(Path.Combine(wide, Kinds[kind]));
            for (var photo = 0; photo < 20; photo++)
            {
                File.WriteAllBytes(Path.Combine(wide, Kinds[kind], $"{photo:00}.png"), Photo(2 - kind, (kind * 100) + photo, beside: true));
            }
        }

        ModelImporter.Import(new ImportRequest(Path.Combine(_root, "base.onnx"), "guessed", Models), _ => { });
        var guessed = Bundle.ReadManifest(Path.Combine(Models, "guessed")).Preprocessing;
        Assert.Equal((Crop.None, true), (guessed.Crop, guessed.Evidence!.CropAssumed));

        var steps = new ConcurrentQueue<TrainingStep>();
        var report = await Trainer.RunAsync(new TrainRequest(wide, "colours", "guessed", Models), steps.Enqueue, TestContext.Current.CancellationToken);

        var folder = Path.Combine(Models, "colours");
        var spec = Bundle.ReadManifest(folder).Preprocessing;
        var evidence = spec.Evidence!;
        Assert.NotEqual(Crop.None, spec.Crop);
        Assert.Equal((PreprocessingCertainty.Assumed, 48, true), (evidence.Certainty, evidence.Photos, evidence.Labelled));
        Assert.Null(evidence.CropAssumed);
        Assert.Equal((spec.Crop, spec.Resample), (evidence.Tried![0].Crop, evidence.Tried[0].Resample));
        Assert.All(evidence.Tried.Where(trial => trial.Crop == Crop.None), trial => Assert.False(trial.Tie));
        Assert.True(evidence.Tried.Single(trial => trial is { Crop: Crop.None, Resample: "tf-bilinear" }).Top1 < evidence.Tried[0].Top1, evidence.Reason);
        Assert.Contains("48 photos to learn from", evidence.Reason, StringComparison.Ordinal);
        Assert.Equal(evidence.Tried.Count(trial => trial.Tie) > 1, evidence.Reason.Contains("are a tie with", StringComparison.Ordinal));
        Assert.All(steps.Where(step => step.What.StartsWith("Crop and resizer", StringComparison.Ordinal)), step => Assert.Equal(48, step.Total));
        Assert.Equal(1, report.Evaluation.Figures.Top1);
        Assert.Contains("| Part of the picture, resizer |", await File.ReadAllTextAsync(Path.Combine(folder, "README.md"),
            TestContext.Current.CancellationToken), StringComparison.Ordinal);

        // What was said, by the owner or by photos, is not asked again.
        Assert.Null(Bundle.ReadManifest(Path.Combine(Models, "base")).Preprocessing.Evidence!.CropAssumed);
        var kept = await TrainAsync(new TrainRequest(wide, "kept", "guessed", Models) { KeepPreprocessing = true });
        Assert.Equal(Crop.None, kept.Manifest.Preprocessing.Crop);
        Assert.Null(kept.Manifest.Preprocessing.Evidence!.Tried);
        Assert.Equal(spec.Evidence, (await TrainAsync(new TrainRequest(wide, "again", "colours", Models))).Manifest.Preprocessing.Evidence! with
        {
            Tried = spec.Evidence!.Tried,
        });
    }

    [Fact]
    public async Task Where_crop_and_resizer_make_no_difference_the_tie_is_called_one()
    {
        ModelImporter.Import(new ImportRequest(Path.Combine(_root, "base.onnx"), "guessed", Models), _ => { });

        var report = await TrainAsync(new TrainRequest(Photos, "colours", "guessed", Models));

        var spec = report.Manifest.Preprocessing;
        Assert.Equal((Crop.None, "tf-bilinear", true, true), (spec.Crop, spec.Resample, spec.Evidence!.Tie, spec.Evidence.CropAssumed));
        Assert.Contains("a tie with 5 other ways", spec.Evidence.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_head_on_ImageNets_MobileNetV2_tells_groceries_apart()
    {
        var file = Path.Combine(WhatsitCommand.Root, "../shared/models/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite");
        var data = Path.Combine(WhatsitCommand.Root, "../shared/data/grocery");
        Assert.SkipUnless(File.Exists(file) && Directory.Exists(data), "The data set and the network are not at ../shared.");
        ModelImporter.Import(new ImportRequest(file, "imagenet", Models), _ => { });
        foreach (var part in (string[])["train", "val"])
        {
            File.WriteAllLines(Path.Combine(_root, $"{part}.csv"), File.ReadLines(Path.Combine(data, $"{part}.txt")).Select(line => line.Split(", "))
                .Select(fields => $"{Path.Combine(data, fields[0])},{fields[1]}"));
        }

        var report = await TrainAsync(new TrainRequest(Path.Combine(_root, "train.csv"), "grocery", "imagenet", Models)
        {
            Validation = Path.Combine(_root, "val.csv"),
        });

        var evidence = report.Manifest.Preprocessing.Evidence!;
        TestContext.Current.TestOutputHelper!.WriteLine($"{report.Evaluation.Figures.Top1:P1}, {report.Facts.Seconds} s. {evidence.Reason}");
        Assert.True(report.Evaluation.Figures.Top1 >= 0.72, evidence.Reason);
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_model_and_what_was_embedded_before_is_not_embedded_again()
    {
        var cache = Path.Combine(_root, "cache");
        var first = await TrainAsync(new TrainRequest(Photos, "one", "base", Models) { Cache = cache, Copies = 1 });
        var file = Assert.Single(Directory.GetFiles(cache));
        var length = new FileInfo(file).Length;
        var second = await TrainAsync(new TrainRequest(Photos, "two", "base", Models) { Cache = cache, Copies = 1 });

        Assert.Equal(first.Manifest.Files["fp32"].Sha256, second.Manifest.Files["fp32"].Sha256);
        Assert.Equal(length, new FileInfo(file).Length);

        // Half a record is cut off, and its photo embedded anew.
        await using (var half = File.OpenWrite(file))
        {
            half.SetLength(length - 7);
        }

        Assert.Equal(first.Manifest.Files["fp32"].Sha256,
            (await TrainAsync(new TrainRequest(Photos, "three", "base", Models) { Cache = cache, Copies = 1 })).Manifest.Files["fp32"].Sha256);
        Assert.Equal(length, new FileInfo(file).Length);
    }

    [Fact]
    public async Task What_is_wrong_with_the_photos_is_said_with_their_names()
    {
        // A red photo among the blue ones, a class with few photos, and a file that judges and would be learnt from.
        File.WriteAllBytes(Path.Combine(Photos, "blue", "wrong.png"), Photo(0, 777));
        Directory.CreateDirectory(Path.Combine(Photos, "black"));
        for (var photo = 0; photo < 5; photo++)
        {
            File.WriteAllBytes(Path.Combine(Photos, "black", $"{photo}.png"), Photo(null, photo, dark: true));
        }

        var judges = Path.Combine(_root, "judges");
        Directory.CreateDirectory(Path.Combine(judges, "green"));
        File.Copy(Path.Combine(Photos, "green", "03.png"), Path.Combine(judges, "green", "same.png"));
        File.WriteAllBytes(Path.Combine(judges, "green", "new.png"), Photo(1, 888));
        File.WriteAllText(Path.Combine(Photos, "green", "broken.png"), "no picture");

        var report = await TrainAsync(new TrainRequest(Photos, "colours", "base", Models) { Validation = judges });

        Assert.Equal("black", Assert.Single(report.Quality.Few).Class.Label);
        Assert.Contains(report.Quality.Suspects, suspect => suspect.Photo.Name == "blue/wrong.png" && report.Evaluation.Classes[suspect.Answer].Label == "red");
        Assert.Contains(report.Notes, note => note.Contains("green/03.png", StringComparison.Ordinal));
        Assert.Contains(report.Notes, note => note.Contains("green/broken.png", StringComparison.Ordinal));
        Assert.Contains(report.Quality.Duplicates, pair => pair.Judged.Name == "green/new.png");
        Assert.DoesNotContain(report.Quality.Duplicates, pair => pair.Learnt.Name == "green/03.png");
        var page = await File.ReadAllTextAsync(report.ReportPage, TestContext.Current.CancellationToken);
        Assert.Contains("Probably mislabelled", page, StringComparison.Ordinal);
        Assert.Contains("blue/wrong.png", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_and_idx_files_are_learnt_from_too()
    {
        var list = Path.Combine(Photos, "all.csv");
        File.WriteAllLines(list,
            ["photo,class", .. Kinds.SelectMany((kind, index) => Enumerable.Range(0, 20).Select(photo => $"{kind}/{photo:00}.png,{index}"))]);
        var labels = Path.Combine(_root, "names.txt");
        File.WriteAllLines(labels, ["B\tcold", "G\tcold", "R\twarm"]);
        var listed = await TrainAsync(new TrainRequest(list, "listed", "base", Models) { Labels = labels, PerClass = 12, ValidationShare = 0.25 });
        Assert.Equal(["B", "G", "R"], listed.Evaluation.Classes.Select(label => label.Label));
        Assert.Equal((27, 9), (listed.Facts.Photos, listed.Facts.Judged));
        Assert.NotNull(listed.Evaluation.Figures.CoarseTop1);

        var idx = Path.Combine(_root, "idx");
        Directory.CreateDirectory(idx);
        WriteIdx(idx, "train", 40);
        WriteIdx(idx, "t10k", 10);
        var bars = await TrainAsync(new TrainRequest(idx, "bars", "base", Models));
        Assert.Equal((40, 10), (bars.Facts.Photos, bars.Facts.Judged));
        Assert.Equal(["0", "1"], bars.Evaluation.Classes.Select(label => label.Label));
        Assert.Equal(1, bars.Evaluation.Figures.Top1);
    }

    [Fact]
    public async Task A_byte_variant_is_calibrated_with_what_was_learnt_from_and_judged_by_what_judged()
    {
        var idx = Path.Combine(_root, "idx");
        Directory.CreateDirectory(idx);
        WriteIdx(idx, "train", 40);
        WriteIdx(idx, "t10k", 36);
        var steps = new ConcurrentQueue<string>();
        var report = await Trainer.RunAsync(new TrainRequest(idx, "bars", "base", Models) { To = ["int8"] }, step => steps.Enqueue(step.What),
            TestContext.Current.CancellationToken);

        var int8 = Assert.Single(report.Reduced);
        Assert.Equal(36, int8.Agreement.Photos);
        Assert.Equal($"those in {idx}", int8.JudgedBy);

        // One bar for it, not one for each photo.
        Assert.Single(steps.Distinct(), step => step.Contains("int8", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_threshold_can_be_changed_without_photos_and_measured_anew_with_them()
    {
        await TrainAsync(new TrainRequest(Photos, "colours", "base", Models));
        var folder = Path.Combine(Models, "colours");
        var before = Bundle.ReadManifest(folder);
        var (code, output, error) = await WhatsitCommand.RunAsync("abstain", "colours", "--refuse", "20%", "--models", Models);
        Assert.True(code == 0, error);
        Assert.Contains("20%", output, StringComparison.Ordinal);
        var after = Bundle.ReadManifest(folder);
        Assert.Equal(before.Abstain!.Percentiles![20], after.Abstain!.Threshold);
        Assert.Equal("2", after.Version);

        // What the old threshold did is not said of the new one.
        var path = Path.Combine(folder, "README.md");
        Assert.Contains("that refused 20.0 %", await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        (code, _, error) = await WhatsitCommand.RunAsync("set", "colours", "abstain.threshold=0.125", "--models", Models);
        Assert.True(code == 0, error);
        var text = await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);
        Assert.Contains("is under 0.125.", text, StringComparison.Ordinal);
        Assert.DoesNotContain("that refused", text, StringComparison.Ordinal);

        (code, _, error) = await WhatsitCommand.RunAsync("abstain", "colours", "--off", "--models", Models);
        Assert.True(code == 0, error);
        Assert.Null(Bundle.ReadManifest(folder).Abstain);
        var card = await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken);
        Assert.Contains("It always answers", card, StringComparison.Ordinal);

        (code, _, error) = await WhatsitCommand.RunAsync("abstain", "colours", "--models", Models);
        Assert.Equal((1, true), (code, error.Contains("--images", StringComparison.Ordinal)));

        (code, _, error) = await WhatsitCommand.RunAsync("abstain", "colours", "--images", Photos, "--others", Others, "--models", Models);
        Assert.True(code == 0, error);
        using var evaluator = new Evaluator();
        var manifest = Bundle.ReadManifest(folder);
        Assert.Equal(0.05, manifest.Abstain!.Measured!.Value.GetProperty("refused").GetDouble(), 2);
        using var lease = evaluator.Load(manifest, folder, "fp32");
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);

        (code, output, error) = await WhatsitCommand.RunAsync("evaluate", "colours", "--images", Photos, "--others", Others, "--json", "--models", Models);
        Assert.True(code == 0, error);
        var others = JsonNode.Parse(output)!["variants"]![0]!["others"]!;
        Assert.Equal((20, 0.05), ((int)others["photos"]!, Math.Round((double)others["refused"]!, 2)));
        Assert.True((double)others["auroc"]! > 0.9);
    }

    [Fact]
    public async Task A_bundle_that_is_measured_anew_is_as_it_was_until_that_is_proved()
    {
        await TrainAsync(new TrainRequest(Photos, "colours", "base", Models) { To = ["fp16"] });
        var folder = Path.Combine(Models, "colours");
        using var evaluator = new Evaluator();

        // An answer of its own, of another temperature.
        var before = Bundle.ReadManifest(folder);
        ManifestEdit.Apply(folder, json => json["files"]!["fp16"]!["predictions"] =
            new JsonArray(new JsonObject { ["label"] = "blue", ["index"] = 0, ["confidence"] = 0.01 }));
        using (var ended = new CancellationTokenSource())
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => AbstainSetter.SetAsync(folder, new AbstainRequest(Photos), step =>
            {
                if (step.What == "Recording the sample's answer")
                {
                    ended.Cancel();
                }
            }, ended.Token));
        }

        Assert.NotNull(before.Abstain!.Vectors);
        Bundle.Verify(before, folder, before.Abstain.Vectors);

        await AbstainSetter.SetAsync(folder, new AbstainRequest(Photos), _ => { }, TestContext.Current.CancellationToken);
        var manifest = Bundle.ReadManifest(folder);
        Bundle.Verify(manifest, folder, manifest.Abstain!.Vectors!);
        Assert.NotEqual(before.Abstain.Vectors.Sha256, manifest.Abstain.Vectors!.Sha256);
        Assert.Empty(Directory.EnumerateFiles(folder, ".*"));
        using var lease = evaluator.Load(manifest, folder, "fp16");
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Bases_are_compared_on_the_same_photos()
    {
        var onnx = Path.Combine(_root, "base.onnx");
        ModelImporter.Import(new ImportRequest(onnx, "other", Models) { Preset = "zero-to-one" }, _ => { });
        string[] arguments = ["train", "--images", Photos, "--name", "colours", "--compare", "base", "other", "--models", Models, "--no-cache"];
        var (code, output, error) = await WhatsitCommand.RunAsync(arguments);
        Assert.True(code == 0, error);
        Assert.Matches(@"colours-base\W+100\.0", output);
        Assert.Matches(@"colours-other\W+100\.0", output);
        Assert.True(Directory.Exists(Path.Combine(Models, "colours-base")));
        Assert.False(Directory.Exists(Path.Combine(Models, "colours")));
    }

    [Fact]
    public async Task Where_the_training_program_is_missing_or_cannot_run_a_sentence_says_what_to_do()
    {
        var missing = await Assert.ThrowsAsync<ModelFormatException>(() => FineTuning.RequireAsync(null, TestContext.Current.CancellationToken));
        Assert.Contains("./build.sh training", missing.Message, StringComparison.Ordinal);
        Assert.Contains("dotnet tool install", missing.Message, StringComparison.Ordinal);

        Assert.SkipWhen(OperatingSystem.IsWindows(), "The program is a shell script here.");
        var old = Script("echo 'Fine-tuning needs libstdc++ of GCC 13 or later.' >&2; exit 1");
        Assert.Equal("Fine-tuning needs libstdc++ of GCC 13 or later.",
            (await Assert.ThrowsAsync<ModelFormatException>(() => FineTuning.RequireAsync(old, TestContext.Current.CancellationToken))).Message);
    }

    [Fact]
    public async Task What_the_training_program_says_becomes_table_card_and_report()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The program is a shell script here.");
        // It trains nothing: what comes back is the head's network.
        var program = Script("""
            [ "$1" != --check ] || exit 0
            [ -n "$MALLOC_MMAP_THRESHOLD_" ] && cp "$1/network.onnx" "$1/result.onnx" || exit 1
            echo '{"epoch":1,"epochs":2,"step":0,"steps":3,"ended":{"epoch":0,"top1":0.5,"cross_entropy":1.5,"seconds":1}}'
            echo '{"epoch":1,"epochs":2,"step":2,"steps":3,"loss":1.25,"photos_per_second":12.5,"seconds_left":70}'
            echo '{"epoch":2,"epochs":2,"step":0,"steps":3,"ended":{"epoch":1,"loss":1.125,"top1":0.75,"cross_entropy":0.5,"seconds":61}}'
            echo '{"epoch":2,"epochs":2,"step":3,"steps":3,"note":"Ends early.","best":1}'
            """);
        var graph = new OnnxReader().Read(Path.Combine(Models, "base", "model.onnx")).Graph;
        var job = new FineTuningJob("base", "logits", 3, Bundle.ReadManifest(Path.Combine(Models, "base")).Input, new PreprocessingSpec(),
            new FineTuningRecipe { Epochs = 2 }, [], []);
        var rows = new List<string>();
        var folder = Path.Combine(_root, "checkpoints");
        var photo = new LabelledPhoto(Path.Combine(Photos, "red", "00.png"), "red/00.png", 2);
        var packed = new LabelledPhoto("idx", "idx", 1, () => [1, 2, 3]);
        var (tuned, trained) = await FineTuning.RunAsync(program, new FineTuningRequest(job.Recipe, 1, folder), job, graph, [photo, packed], [photo], "x",
            step =>
            {
                lock (rows)
                {
                    rows.AddRange(EpochTable.Rows(step));
                }
            }, TestContext.Current.CancellationToken);

        Assert.Equal((2, 1), (tuned.History.Count, tuned.Best));
        Assert.Equal(graph.Nodes.Count, trained.Nodes.Count);
        Assert.Equal(["Epoch      Loss   Top-1   Cross entropy      Time", "    0            50.0 %          1.5000   0:00:01",
            "    1    1.1250  75.0 %          0.5000   0:01:01", "Ends early."], rows);
        Assert.Equal("Epoch 1 of 2, step 2 of 3: loss 1.2500, 12.5 photos/s, 0:01:10 left", EpochTable.Describe(new FineTuningStep
        {
            Epoch = 1,
            Epochs = 2,
            Step = 2,
            Steps = 3,
            Loss = 1.25,
            PhotosPerSecond = 12.5,
            SecondsLeft = 70,
        }));

        // What libtorch warns of is not why it ended.
        var warned = Script("echo '[W1130 04:42:57.365945351 NNPACK.cpp:56] Could not initialize NNPACK!' >&2; echo 'The rates are too high.' >&2; exit 1");
        Assert.Equal("The rates are too high.", (await Assert.ThrowsAsync<ModelFormatException>(() => FineTuning.RunAsync(warned,
            new FineTuningRequest(job.Recipe, 1, Path.Combine(_root, "warned")), job, graph, [photo], [photo], "x", _ => { },
            TestContext.Current.CancellationToken))).Message);

        // A picture within a file of many is one of its own for it.
        var written = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "job.json"), TestContext.Current.CancellationToken))!;
        Assert.Equal([1, 2, 3], await File.ReadAllBytesAsync((string)written["training"]![1]!["path"]!, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task What_the_command_line_asks_for_is_what_the_training_program_is_told()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The program is a shell script here.");
        var environment = new Dictionary<string, string>
        {
            [FineTuningJob.ProgramVariable] = Script("""
                [ "$1" != --check ] || exit 0
                cp "$1/network.onnx" "$1/result.onnx"
                echo '{"epoch":1,"epochs":1,"step":0,"steps":3,"ended":{"epoch":0,"top1":0.5,"cross_entropy":1.5,"seconds":1}}'
                """),
            ["XDG_CACHE_HOME"] = Path.Combine(_root, "cache"),
        };
        var folder = Path.Combine(_root, "asked");
        string[] asked = ["--progressive", "64", "64", "--cutmix", "0.4", "--mixup", "0.2", "--jitter", "0.05", "--white-balance", "0"];
        string[] arguments = ["train", "--images", Photos, "--name", "colours", "--base", "base", "--models", Models, "--fine-tune", "--checkpoints", folder];

        var (code, _, error) = await WhatsitCommand.RunWithAsync(environment, [.. arguments, .. asked]);

        Assert.True(code == 0, error);
        var recipe = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(folder, "job.json"), TestContext.Current.CancellationToken))!["recipe"]!;
        Assert.Equal([64, 64], ((string[])["first_side", "last_side"]).Select(name => (int)recipe[name]!));
        Assert.Equal([0.4, 0.2, 0.05, 0], ((string[])["cut_mix", "mix_up", "jitter", "white_balance"]).Select(name => (double)recipe[name]!));

        (code, _, error) = await WhatsitCommand.RunAsync([.. arguments, "--progressive", "64", "32"]);
        Assert.Equal((1, "--progressive must not shrink: its second number is smaller."), (code, error.Trim()));
    }

    [Fact]
    public async Task ResNet18_is_a_base_that_comes_with_the_training_program()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "The program is a shell script here.");
        var folder = Path.Combine(_root, "program", "resnet18");
        Directory.CreateDirectory(folder);
        var front = new GraphBuilder("front");
        var less = front.AddNode("Sub", "less",
            [front.AddInput("OriginalInput", ElementType.Float32, 1, 3, 32, 32), front.AddConstant("mean", [120, 110, 100], 3, 1, 1)]);
        front.AddOutput(front.AddNode("Mul", "PreprocessedInput", [less, front.AddConstant("scale", [1 / 58f])]), ElementType.Float32, 1, 3, 32, 32);
        OnnxWriter.Write(front.Graph, Path.Combine(folder, "ResNetPreprocess.onnx"));
        var back = new GraphBuilder("back");
        var value = back.AddInput("Input247", ElementType.Float32, 1, 3, 32, 32);
        foreach (var (name, from, to) in ((string, int, int)[])[("mean", 3, 16), ("second", 16, 24)])
        {
            value = back.AddNode("Relu", name + "_relu", [back.AddNode("Conv", name,
                [value, back.AddConstant(name + "_w", Numbers.Random(name.Length, -0.4f, 0.4f, [to, from, 3, 3]))],
                ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 }))]);
        }

        back.AddOutput(back.AddNode("AveragePool", "Pooling395_Output_0", [value], ("kernel_shape", new long[] { 8, 8 })), ElementType.Float32, 1, 24, 1, 1);
        OnnxWriter.Write(back.Graph, Path.Combine(folder, "ResNet18.onnx"));
        var environment = new Dictionary<string, string>
        {
            [FineTuningJob.ProgramVariable] = Script($"[ \"$1\" = --folder ] && echo '{_root}/program'"),
            ["XDG_CACHE_HOME"] = Path.Combine(_root, "cache"),
        };
        string[] arguments = ["train", "--images", Photos, "--name", "colours", "--base", "resnet18", "--models", Models, "--no-cache"];

        var (code, output, error) = await WhatsitCommand.RunWithAsync(environment, arguments);

        Assert.True(code == 0, error);
        Assert.Contains("on resnet18", output, StringComparison.Ordinal);
        var manifest = Bundle.ReadManifest(Path.Combine(Models, "colours"));
        Assert.Contains("ML.NET", manifest.Source, StringComparison.Ordinal);
        Assert.NotNull(manifest.Preprocessing.Evidence!.Tried);
        Assert.Equal(1, manifest.Metrics!["fp32"].GetProperty("top1").GetDouble());
        Assert.NotNull(manifest.Output.ClassifierWeights);

        // Its features are those of the two files, one after the other.
        var pixels = new byte[32 * 32 * 3];
        new Random(5).NextBytes(pixels);
        var floats = Tensor.Float32([1, 3, 32, 32], [.. Enumerable.Range(0, pixels.Length).Select(at => (float)pixels[((at % 1024) * 3) + (at / 1024)])]);
        using var first = new OnnxRunner(Path.Combine(folder, "ResNetPreprocess.onnx"));
        using var second = new OnnxRunner(Path.Combine(folder, "ResNet18.onnx"));
        var expected = second.Run(new Dictionary<string, Tensor>
        {
            ["Input247"] = first.Run(new Dictionary<string, Tensor> { ["OriginalInput"] = floats })["PreprocessedInput"],
        }).Values.Single().ToFloats();
        using var bundle = new OnnxRunner(Path.Combine(Models, "colours", "model.onnx"));
        var actual = bundle.Run(new Dictionary<string, Tensor> { ["image"] = new(ElementType.UInt8, [1, 32, 32, 3], pixels) })["embedding"].ToFloats();
        Assert.Equal(24, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));

        // It was made once.
        var made = Directory.EnumerateFiles(Path.Combine(_root, "cache", "whatsit", "bases"), "model.onnx", SearchOption.AllDirectories).Single();
        var written = File.GetLastWriteTimeUtc(made);
        (code, _, error) = await WhatsitCommand.RunWithAsync(environment, [.. arguments, "--keep-preprocessing"]);
        Assert.True(code == 0, error);
        Assert.Equal(written, File.GetLastWriteTimeUtc(made));

        File.Delete(Path.Combine(folder, "ResNet18.onnx"));
        (code, _, error) = await WhatsitCommand.RunWithAsync(environment, arguments);
        Assert.Equal((1, true), (code, error.StartsWith("The training program came without ResNet18.onnx", StringComparison.Ordinal)));
    }

    private string Script(string text)
    {
        var file = Path.Combine(_root, $"program{Directory.GetFiles(_root).Length}.sh");
        File.WriteAllText(file, $"#!/bin/sh\n{text}\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return file;
    }

    [Theory]
    [InlineData("There is no folder or list", "--images", "nowhere")]
    [InlineData("and no model of that name", "--base", "nothing")]
    [InlineData("a share must be above 0", "--validation", "1.0")]
    [InlineData("--refuse must be a share", "--refuse", "many")]
    public async Task What_cannot_be_is_refused_in_a_sentence(string sentence, string option, string value)
    {
        string[] arguments = ["train", "--images", Photos, "--name", "x", "--base", "base", "--models", Models, "--no-cache"];
        var place = Array.IndexOf(arguments, option);
        arguments = place < 0 ? [.. arguments, option, value] : [.. arguments[..(place + 1)], value, .. arguments[(place + 2)..]];
        var (code, _, error) = await WhatsitCommand.RunAsync(arguments);
        Assert.NotEqual(0, code);
        Assert.Contains(sentence, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(Models, "x")));
    }

    [Fact]
    public void A_folder_without_folders_of_photos_is_refused_whatever_the_classes_are_called()
    {
        var labels = Path.Combine(_root, "names.txt");
        File.WriteAllLines(labels, Kinds);
        var loose = Path.Combine(Photos, Kinds[0]);
        Assert.Equal($"'{loose}' has no folder with photos in it; each class needs one.",
            Assert.Throws<ModelFormatException>(() => TrainingPhotos.Read(loose, null, labels, null)).Message);
    }

    [Fact]
    public async Task Whoever_ends_it_early_gets_no_stack_trace_and_no_bundle()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There is no kill.");
        var (code, error) = await WhatsitCommand.RunAndEndAsync(
            "train", "--images", Photos, "--name", "x", "--base", "base", "--models", Models, "--no-cache", "--augment", "100");
        Assert.Equal(130, code);
        Assert.StartsWith("Photos to learn from", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.Equal(["base"], Directory.EnumerateDirectories(Models).Select(Path.GetFileName));
    }

    private static Task<TrainReport> TrainAsync(TrainRequest request) => Trainer.RunAsync(request, _ => { }, TestContext.Current.CancellationToken);

    /// <summary>A picture in which one channel is bright, or its middle third; without one a grey checkerboard.</summary>
    private static byte[] Photo(int? own, int seed, bool dark = false, bool beside = false)
    {
        var random = new Random(seed);
        var width = beside ? 120 : 40;
        var (left, right) = beside ? (random.Next(3), random.Next(3)) : (0, 0);
        var pixels = new byte[width * 40 * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            var (x, y) = (i / 3 % width, i / 3 / width);
            var channel = !beside ? own : x < 40 ? left : x < 80 ? own : right;
            pixels[i] = channel is null ? (byte)(dark ? random.Next(12) : ((x / 5) + (y / 5)) % 2 == 0 ? 180 + random.Next(70) : random.Next(20))
                : (byte)(i % 3 == channel ? 150 + random.Next(100) : random.Next(60));
        }

        return ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(pixels, width, 40);
    }

    /// <summary>Convolutions of random weights: enough to tell colours apart.</summary>
    private static Graph Network()
    {
        var builder = new GraphBuilder("random");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, 32, 32);
        foreach (var (name, from, to) in ((string, int, int)[])[("first", 3, 16), ("second", 16, 32)])
        {
            value = builder.AddNode("Relu", name + "_relu", [builder.AddNode("Conv", name,
                [value, builder.AddConstant(name + "_w", Numbers.Random(name.Length, -0.4f, 0.4f, [to, from, 3, 3]))],
                ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 }))]);
        }

        value = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [value])]);
        value = builder.AddNode("Gemm", "dense", [value, builder.AddConstant("dense_w", Numbers.Random(4, -1.5f, 1.5f, [32, 7]))]);
        builder.AddOutput(builder.AddNode("Softmax", "softmax", [value], ("axis", -1L)), ElementType.Float32, -1, 7);
        return builder.Graph;
    }

    /// <summary>Two kinds of picture, bright on one side or on the whole, as MNIST is handed out; the labels packed.</summary>
    private static void WriteIdx(string folder, string part, int photos)
    {
        var images = new byte[16 + (photos * 28 * 28)];
        var labels = new byte[8 + photos];
        BinaryPrimitives.WriteInt32BigEndian(images, 0x803);
        BinaryPrimitives.WriteInt32BigEndian(images.AsSpan(4), photos);
        BinaryPrimitives.WriteInt32BigEndian(images.AsSpan(8), 28);
        BinaryPrimitives.WriteInt32BigEndian(images.AsSpan(12), 28);
        BinaryPrimitives.WriteInt32BigEndian(labels, 0x801);
        BinaryPrimitives.WriteInt32BigEndian(labels.AsSpan(4), photos);
        var random = new Random(part.Length);
        for (var photo = 0; photo < photos; photo++)
        {
            labels[8 + photo] = (byte)(photo % 2);
            for (var pixel = 0; pixel < 28 * 28; pixel++)
            {
                images[16 + (photo * 28 * 28) + pixel] = (byte)(random.Next(40) + (photo % 2 == 0 || pixel % 28 < 8 ? 200 : 0));
            }
        }

        File.WriteAllBytes(Path.Combine(folder, $"{part}-images-idx3-ubyte"), images);
        using var packed = new GZipStream(File.Create(Path.Combine(folder, $"{part}-labels-idx1-ubyte.gz")), CompressionLevel.Fastest);
        packed.Write(labels);
    }
}
