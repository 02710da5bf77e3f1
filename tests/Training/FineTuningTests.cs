using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Commands.Train;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.Training.Tests;

/// <summary>Every layer is trained: with photos in folders from the command on, and as the training program for itself.</summary>
public sealed class FineTuningTests : IDisposable
{
    private const int Side = 32;
    private const int PerClass = 40;

    private readonly string _root = Directory.CreateTempSubdirectory("fine-tuning").FullName;

    public FineTuningTests()
    {
        // Two circles of three colours each, the same colours: what tells them apart is which lies in the middle.
        for (var kind = 0; kind < 3; kind++)
        {
            Directory.CreateDirectory(Path.Combine(Photos, $"kind{kind}"));
            for (var photo = 0; photo < PerClass; photo++)
            {
                File.WriteAllBytes(Path.Combine(Photos, $"kind{kind}", $"{photo:00}.png"), Photo(kind, (kind * 1000) + photo));
            }
        }

        var onnx = Path.Combine(_root, "base.onnx");
        OnnxWriter.Write(Network(), onnx);
        ModelImporter.Import(new ImportRequest(onnx, "base", Models) { Preset = "zero-to-one" }, _ => { });
        Environment.SetEnvironmentVariable(FineTuningJob.ProgramVariable, Path.Combine(AppContext.BaseDirectory, "whatsit-training"));
    }

    private string Models => Path.Combine(_root, "models");

    private string Photos => Path.Combine(_root, "photos");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Every_layer_tells_more_than_a_last_layer_alone_and_the_bundle_says_how()
    {
        var steps = new List<TrainingStep>();
        var report = await Trainer.RunAsync(
            new TrainRequest(Photos, "circles", "base", Models)
            {
                FineTune = new FineTuningRequest(Recipe with { Epochs = 40 }, Threads: 1, Checkpoints: Path.Combine(_root, "checkpoints")),
            },
            step =>
            {
                lock (steps)
                {
                    steps.Add(step);
                }
            }, TestContext.Current.CancellationToken);

        var tuned = report.Facts.FineTuned!;
        Assert.True(tuned.History[0].Top1 <= report.Evaluation.Figures.Top1 - 0.1,
            $"{string.Join(' ', tuned.History.Select(epoch => $"{epoch.Loss:0.00}:{epoch.Top1:0.00}:{epoch.CrossEntropy:0.00}"))}");
        Assert.InRange(report.Evaluation.Figures.Top1, tuned.History[tuned.Best].Top1 - 0.001, 1);
        Assert.All(tuned.History.Skip(1), epoch => Assert.True(epoch.Loss > 0));
        Assert.Contains(steps, step => step.FineTuning?.PhotosPerSecond > 0);

        // As a server would before it says that it is ready; maps and vectors are those of the new weights.
        var folder = Path.Combine(Models, "circles");
        var manifest = Bundle.ReadManifest(folder);
        using var evaluator = new Evaluator();
        using var lease = evaluator.Load(manifest, folder, "fp32");
        await evaluator.SelfTestAsync(lease.Model, TestContext.Current.CancellationToken);
        var graph = new OnnxReader().Read(Path.Combine(folder, "model.onnx")).Graph;
        Assert.Equal(HeadGraph.WeightsOf(graph, "logits").Data.ToArray(),
            await File.ReadAllBytesAsync(Path.Combine(folder, manifest.Output.ClassifierWeights!.File), TestContext.Current.CancellationToken));
        var card = await File.ReadAllTextAsync(Path.Combine(folder, "README.md"), TestContext.Current.CancellationToken);
        Assert.Contains("every layer was trained for", card, StringComparison.Ordinal);
        var page = await File.ReadAllTextAsync(report.ReportPage, TestContext.Current.CancellationToken);
        Assert.Contains("<h2>Training</h2>", page, StringComparison.Ordinal);
        Assert.Contains("polyline", page, StringComparison.Ordinal);

        // The checkpoints are another training's.
        Assert.Contains("is of a training with other photos", (await Assert.ThrowsAsync<ModelFormatException>(() => Trainer.RunAsync(
            new TrainRequest(Photos, "circles", "base", Models)
            {
                FineTune = new FineTuningRequest(Recipe with { Epochs = 11 }, Threads: 1, Checkpoints: Path.Combine(_root, "checkpoints")),
            },
            _ => { }, TestContext.Current.CancellationToken))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_training_that_was_ended_goes_on_as_if_it_had_not_been(int cycles)
    {
        var (whole, parts) = (Job("whole", Recipe with { Cycles = cycles }), Job("parts", Recipe with { Cycles = cycles }));
        Run(whole, CancellationToken.None);

        // In the middle of the second epoch, then in that of the third.
        foreach (var at in (int[])[2, 3])
        {
            using var end = new CancellationTokenSource();
            Assert.ThrowsAny<OperationCanceledException>(() => Run(parts, end.Token, step =>
            {
                if (step.Ended?.Epoch == at - 1)
                {
                    end.Cancel();
                }
            }));
        }

        Run(parts, CancellationToken.None);
        Assert.Equal(Hash(whole, FineTuningJob.BestFile), Hash(parts, FineTuningJob.BestFile));
        Assert.Equal(Hash(whole, FineTuningJob.ResultFile), Hash(parts, FineTuningJob.ResultFile));
        Assert.Empty(Directory.GetFiles(parts, "*.new"));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(16, 5)]
    public void A_training_that_brings_nothing_better_ends_early_and_keeps_what_there_was(int firstSide, int notBefore)
    {
        var folder = Job("patience", Recipe with { Epochs = 10, Patience = 2, BackboneRate = 1e-9, HeadRate = 1e-9, FirstSide = firstSide });
        var said = new List<FineTuningStep>();
        Run(folder, CancellationToken.None, said.Add);
        Assert.Contains(said, step => step.Note?.StartsWith("Ends early: 2 epochs", StringComparison.Ordinal) == true);
        // Epoch 0 is what there was before.
        Assert.InRange(said.Count(step => step.Ended is not null) - 1, notBefore + 2, 9);
    }

    [Fact]
    public void A_checkpoint_that_is_cut_off_and_a_photo_that_is_gone_are_named()
    {
        var folder = Job("broken");
        Run(folder, CancellationToken.None);
        using (var file = File.OpenWrite(Path.Combine(folder, FineTuningJob.CheckpointFile)))
        {
            file.SetLength(file.Length / 2);
        }

        Assert.Contains("is broken: delete it", Assert.Throws<ModelFormatException>(() => Run(folder, CancellationToken.None)).Message,
            StringComparison.Ordinal);
        File.Delete(Path.Combine(folder, FineTuningJob.CheckpointFile));
        var gone = Path.Combine(Photos, "kind1", "07.png");
        File.Delete(gone);
        Assert.Contains($"'{gone}' can no longer be read", Assert.Throws<ModelFormatException>(() => Run(folder, CancellationToken.None)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(InputElementType.UInt8, TensorLayout.Nhwc)]
    [InlineData(InputElementType.Float32, TensorLayout.Nchw)]
    public void Mixed_photos_have_the_labels_of_both_in_the_shares_that_are_seen(InputElementType type, TensorLayout layout)
    {
        // One photo of nothing but ones and one of zeros: the mean of what comes out is the share of the first.
        long[] shape = layout == TensorLayout.Nhwc ? [2, 20, 30, 3] : [2, 3, 20, 30];
        var photos = TorchSharp.torch.cat([TorchSharp.torch.ones([1, .. shape[1..]]), TorchSharp.torch.zeros([1, .. shape[1..]])]);
        var targets = TorchSharp.torch.eye(2);
        var mixed = 0;
        for (var seed = 0; seed < 50; seed++)
        {
            var (seen, shares) = Mixing.Apply(photos, targets, layout, Recipe with { CutMix = 0.5, MixUp = 0.5 }, new Random(seed));
            for (var photo = 0; photo < 2; photo++)
            {
                Assert.Equal(seen[photo].mean().item<float>(), shares[photo, 0].item<float>(), 5);
            }

            mixed += seen.allclose(photos) ? 0 : 1;
        }

        Assert.True(mixed > 25, $"{type} {mixed}");
        Assert.Equal(1, photos[0].mean().item<float>());
    }

    [Fact]
    public void Rates_rise_fall_and_end_at_a_hundredth()
    {
        var schedule = new Schedule(Recipe with { Epochs = 1, WarmUp = 100 }, 2000);
        Assert.Equal(0.01, schedule.At(0), 6);
        Assert.Equal(1, schedule.At(99), 6);
        Assert.Equal(1, schedule.At(100), 6);
        Assert.Equal(0.505, schedule.At(1050), 6);
        Assert.Equal(0.01, schedule.At(1999), 5);
        Assert.Equal(1, new Schedule(Recipe with { Epochs = 1, WarmUp = 100 }, 50).At(5), 6);
    }

    [Fact]
    public void Each_cycle_rises_to_seven_tenths_of_the_one_before_and_has_as_many_epochs_within_one()
    {
        var schedule = new Schedule(Recipe with { Epochs = 7, Cycles = 3, WarmUp = 10 }, 100);
        // Of 2, 2 and 3 epochs.
        Assert.All((int[])[0, 200, 400], step => Assert.Equal(0.1, schedule.At(step) / schedule.At(step + 9), 6));
        Assert.Equal([1, 0.7, 0.49], ((int[])[9, 209, 409]).Select(step => Math.Round(schedule.At(step), 6)));
        Assert.Equal([0.01, 0.007, 0.005], ((int[])[199, 399, 699]).Select(step => Math.Round(schedule.At(step), 3)));
        Assert.Equal(0.01, new Schedule(Recipe with { Epochs = 2, Cycles = 9, WarmUp = 0 }, 1000).At(999), 5);
    }

    [Fact]
    public void What_the_best_epochs_ended_with_is_averaged_where_the_mean_answers_better()
    {
        var good = Job("good", Recipe with { Epochs = 40, Cycles = 2 });
        Run(good, CancellationToken.None);
        // No more than may be averaged.
        Assert.Equal(8, Directory.GetFiles(good, "epoch-*").Length);
        var idle = Job("idle", Recipe with { Epochs = 2, BackboneRate = 1e-9, HeadRate = 1e-9 });
        var said = new List<FineTuningStep>();
        Run(idle, CancellationToken.None, said.Add);
        Assert.DoesNotContain(said, step => step.Averaged is not null);

        // Neither of them says anything, their mean is what was learnt.
        var network = new TorchNetwork(new OnnxReader().Read(Path.Combine(idle, FineTuningJob.NetworkFile)).Graph, "logits");
        var learnt = Checkpoint.Read(LastKept(good), network.Learnt.Count);
        Checkpoint.Write(Path.Combine(idle, "epoch-1"), learnt.Select(tensor => tensor.mul(2)));
        Checkpoint.Write(Path.Combine(idle, "epoch-2"), learnt.Select(tensor => tensor.mul(0)));
        Run(idle, CancellationToken.None, said.Add);
        var averaged = Assert.Single(said, step => step.Averaged is not null);
        Assert.Equal([1, 2], averaged.Averaged);
        Assert.Contains("epochs 1, 2", averaged.Note, StringComparison.Ordinal);
        var kept = new TorchNetwork(new OnnxReader().Read(Path.Combine(idle, FineTuningJob.ResultFile)).Graph, "logits");
        var share = said.LastOrDefault(step => step.Share is not null)?.Share ?? 1;
        Assert.All(kept.Learnt.Zip(learnt),
            pair => Assert.True(pair.First.Value.allclose(network.Learnt[pair.First.Key].lerp(pair.Second, share), atol: 1e-6)));
    }

    [Fact]
    public void What_was_learnt_is_mixed_with_what_it_began_with_where_that_answers_better()
    {
        var good = Job("good", Recipe with { Epochs = 40, Cycles = 2 });
        Run(good, CancellationToken.None);
        var weak = Job("weak", Recipe with { Epochs = 12 });
        Run(weak, CancellationToken.None);
        // Without them there is nothing to average.
        Array.ForEach(Directory.GetFiles(weak, "epoch-*"), File.Delete);

        // Nine tenths of nothing, and a tenth of ten times what was learnt elsewhere.
        var network = new TorchNetwork(new OnnxReader().Read(Path.Combine(weak, FineTuningJob.NetworkFile)).Graph, "logits");
        var learnt = Checkpoint.Read(LastKept(good), network.Learnt.Count);
        Write(FineTuningJob.NetworkFile, 10);
        Write(FineTuningJob.BestFile, 0);
        var said = new List<FineTuningStep>();
        Run(weak, CancellationToken.None, said.Add);

        // What ended after this, while its bundle was written, say, is asked for once more.
        var first = Hash(weak, FineTuningJob.ResultFile);
        Run(weak, CancellationToken.None);
        Assert.Equal(first, Hash(weak, FineTuningJob.ResultFile));
        var mixed = Assert.Single(said, step => step.Share is not null);
        Assert.Contains("of the weights that it began with", mixed.Note, StringComparison.Ordinal);
        var kept = new TorchNetwork(new OnnxReader().Read(Path.Combine(weak, FineTuningJob.ResultFile)).Graph, "logits");
        Assert.All(kept.Learnt.Values.Zip(learnt), pair => Assert.True(pair.First.allclose(pair.Second.mul(10 * (1 - mixed.Share!.Value)), atol: 1e-5)));

        void Write(string file, double times)
        {
            using var nothing = TorchSharp.torch.no_grad();
            foreach (var (tensor, part) in network.Learnt.Values.Zip(learnt))
            {
                tensor.copy_(part.mul(times));
            }

            OnnxWriter.Write(network.WriteBack(), Path.Combine(weak, file));
        }
    }

    [Theory]
    [InlineData(160, 224, 224, "160x160:0 160x160:0 192x192:0.5 192x192:0.5 224x224:1 224x224:1")]
    [InlineData(192, 224, 224, "192x192:0 192x192:0 224x224:0.5 224x224:0.5 256x256:1 256x256:1", 256)]
    [InlineData(200, 224, 224, "200x200:0 200x200:0 200x200:0 224x224:1 224x224:1 224x224:1")]
    [InlineData(128, 320, 160, "256x128:0 256x128:0 256x128:0 320x160:1 320x160:1 320x160:1")]
    [InlineData(0, 224, 224, "224x224:1 224x224:1 224x224:1 224x224:1 224x224:1 224x224:1")]
    [InlineData(256, 224, 224, "256x256:1 256x256:1 256x256:1 256x256:1 256x256:1 256x256:1", 256)]
    [InlineData(256, 224, 224, "224x224:1 224x224:1 224x224:1 224x224:1 224x224:1 224x224:1")]
    public void Photos_grow_from_the_first_side_to_the_networks_own_and_are_mixed_more(int first, int width, int height, string expected, int last = 0)
    {
        var input = new InputSpec("x", InputElementType.UInt8, TensorLayout.Nhwc, width, height);
        var recipe = Recipe with { Epochs = 6, FirstSide = first, LastSide = last };
        Assert.Equal(expected, string.Join(' ', Enumerable.Range(0, 6).Select(epoch => Growth.Of(recipe, input, epoch))
            .Select(growth => string.Create(CultureInfo.InvariantCulture, $"{growth.Input.Width}x{growth.Input.Height}:{growth.Mixed}"))));
    }

    [Fact]
    public void The_last_epoch_is_as_large_as_the_network_takes_it_however_few_there_are()
    {
        var input = new InputSpec("x", InputElementType.UInt8, TensorLayout.Nhwc, 224, 224);
        Assert.All(Enumerable.Range(1, 9), epochs => Assert.Equal(input, Growth.Of(Recipe with { Epochs = epochs, FirstSide = 32 }, input, epochs - 1).Input));
    }

    [Fact]
    public void A_training_begins_with_small_photos_where_the_network_takes_them()
    {
        var folder = Job("growing", Recipe with { Epochs = 8, FirstSide = 16 });
        var losses = new List<double?>();
        Run(folder, CancellationToken.None, step => losses.AddRange(step.Ended is { } ended ? [ended.Loss] : []));
        Assert.Equal(9, losses.Count);
        Assert.True(losses[^1] < losses[1], string.Join(' ', losses));

        // To the end, too.
        var small = new List<FineTuningEpoch>();
        Run(Job("small", Recipe with { Epochs = 2, FirstSide = 16, LastSide = 16 }), CancellationToken.None,
            step => small.AddRange(step.Ended is { } ended ? [ended] : []));
        Assert.Equal([0, 1, 2], small.Select(epoch => epoch.Epoch));

        // The dense layer has a weight for each place.
        var fixedSize = Job("fixed", Recipe with { FirstSide = 16 });
        var builder = new GraphBuilder("places");
        var value = builder.AddNode("Flatten", "flat", [builder.AddInput("x", ElementType.Float32, -1, 3, Side, Side)]);
        value = builder.AddNode("Gemm", "logits", [value, builder.AddConstant("w", Numbers.Random(4, -1, 1, [3 * Side * Side, 3]))]);
        builder.AddOutput(value, ElementType.Float32, -1, 3);
        OnnxWriter.Write(builder.Graph, Path.Combine(fixedSize, FineTuningJob.NetworkFile));
        var file = Path.Combine(fixedSize, FineTuningJob.JobFile);
        var job = JsonSerializer.Deserialize(File.ReadAllText(file), FineTuningJson.Default.FineTuningJob)!;
        File.WriteAllText(file, JsonSerializer.Serialize(
            job with { Logits = value, Input = new InputSpec("x", InputElementType.Float32, TensorLayout.Nchw, Side, Side) },
            FineTuningJson.Default.FineTuningJob));
        Assert.Contains("takes pictures of 32 × 32 pixels alone, and none of 16 × 16",
            Assert.Throws<ModelFormatException>(() => Run(fixedSize, CancellationToken.None)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_of_a_photo_are_as_large_and_as_wide_as_the_recipe_says()
    {
        using var image = new RgbImage(60, 40) { OriginalWidth = 60, OriginalHeight = 40, Format = "png" };
        for (var i = 0; i < image.Pixels.Length; i++)
        {
            image.Pixels[i] = (byte)(i / 3 % 60);
        }

        var mirrored = 0;
        for (var seed = 0; seed < 200; seed++)
        {
            using var part = Augmentation.Part(image, 0.3, new Random(seed));
            var (area, aspect) = (part.Width * part.Height / 2400.0, (double)part.Width / part.Height);
            Assert.InRange(area, 0.27, 1);
            Assert.InRange(aspect, 0.7, 1.43);
            var rising = part.Pixels[3] > part.Pixels[0];
            Assert.Equal(part.Width - 1, Math.Abs(part.Pixels[(part.Width - 1) * 3] - part.Pixels[0]));
            mirrored += rising ? 0 : 1;
        }

        Assert.InRange(mirrored, 60, 140);
    }

    private static FineTuningRecipe Recipe => new()
    {
        Epochs = 3,
        Batch = 16,
        BackboneRate = 3e-3,
        HeadRate = 3e-3,
        Average = 0.9,
        SmallestCrop = 0.8,
        Jitter = 0.1,
        CutMix = 0.1,
        MixUp = 0.1,
        Dropout = 0.05,
        Patience = 0,
    };

    private static void Run(string folder, CancellationToken cancellationToken, Action<FineTuningStep>? say = null)
    {
        var job = JsonSerializer.Deserialize(File.ReadAllText(Path.Combine(folder, FineTuningJob.JobFile)), FineTuningJson.Default.FineTuningJob)!;
        using var tuner = new FineTuner(folder, job, 1, say ?? (_ => { }));
        tuner.Run(cancellationToken);
    }

    /// <summary>What the command gives to the training program.</summary>
    private string Job(string name, FineTuningRecipe? recipe = null)
    {
        var folder = Path.Combine(_root, name);
        Directory.CreateDirectory(folder);
        var manifest = Bundle.ReadManifest(Path.Combine(Models, "base"));
        var graph = new OnnxReader().Read(Path.Combine(Models, "base", "model.onnx")).Graph;
        var features = (int)graph.Outputs.Find(output => output.Name == manifest.Output.Embedding)!.Shape[^1];
        var (output, _) = HeadGraph.Apply(graph, manifest.Output.Embedding!, new DenseHead(new float[3 * features], new float[3]));
        OnnxWriter.Write(graph, Path.Combine(folder, FineTuningJob.NetworkFile));
        FineTuningPhoto[] photos = [.. Enumerable.Range(0, 3).SelectMany(kind => Directory.GetFiles(Path.Combine(Photos, $"kind{kind}"))
            .Order(StringComparer.Ordinal).Select(file => new FineTuningPhoto(file, kind)))];
        var job = new FineTuningJob("base", output.Logits!, 3, manifest.Input, manifest.Preprocessing, recipe ?? Recipe,
            [.. photos.Where((_, place) => place % 4 > 0)], [.. photos.Where((_, place) => place % 4 == 0)]);
        File.WriteAllText(Path.Combine(folder, FineTuningJob.JobFile), JsonSerializer.Serialize(job, FineTuningJson.Default.FineTuningJob));
        return folder;
    }

    private static string LastKept(string folder) =>
        Directory.GetFiles(folder, "epoch-*").MaxBy(file => int.Parse(file[(file.LastIndexOf('-') + 1)..], CultureInfo.InvariantCulture))!;

    private static string Hash(string folder, string file) => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, file))));

    /// <summary>A disc within a ring, and grey around; the kinds differ in which colour is where.</summary>
    private static byte[] Photo(int kind, int seed)
    {
        var random = new Random(seed);
        var pixels = new byte[Side * Side * 3];
        double[] light = [random.NextDouble() + 0.5, random.NextDouble() + 0.5, random.NextDouble() + 0.5];
        var (x0, y0) = (random.Next(10, Side - 10), random.Next(10, Side - 10));
        for (var i = 0; i < pixels.Length; i++)
        {
            var (x, y, channel) = ((i / 3 % Side) - x0, (i / (3 * Side)) - y0, i % 3);
            var distance = (x * x) + (y * y);
            // As much of one colour as of the other.
            var bright = distance < 36 ? channel == kind : distance < 72 ? channel == (kind + 1) % 3 : distance < 108 && channel == (kind + 2) % 3;
            pixels[i] = (byte)Math.Min(255, light[channel] * ((bright ? 140 : distance < 108 ? 20 : 70) + random.Next(60)));
        }

        return ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(pixels, Side, Side);
    }

    /// <summary>Few convolutions of random weights: colours they tell, places they do not.</summary>
    private static Graph Network()
    {
        var builder = new GraphBuilder("random");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, Side, Side);
        foreach (var (name, from, to) in ((string, int, int)[])[("first", 3, 8), ("second", 8, 16)])
        {
            value = builder.AddNode("Relu", name + "_relu", [builder.AddNode("Conv", name,
                [value, builder.AddConstant(name + "_w", Numbers.Random(name.Length, -0.4f, 0.4f, [to, from, 3, 3]))],
                ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 }))]);
        }

        value = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [value])]);
        value = builder.AddNode("Gemm", "dense", [value, builder.AddConstant("dense_w", Numbers.Random(4, -1.5f, 1.5f, [16, 7]))]);
        builder.AddOutput(builder.AddNode("Softmax", "softmax", [value], ("axis", -1L)), ElementType.Float32, -1, 7);
        return builder.Graph;
    }
}
