using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Tests.Commands;

namespace Whatsit.ModelTools.Tests.Training;

/// <summary>The head is the best there is: by an independent solver, by its gradient, and by what is known of it.</summary>
public sealed class SoftmaxRegressionTests
{
    // Prints the objective of our head and of its own; ours is in files, row-major.
    private const string ScikitLearn = """
        import sys
        import numpy as np
        from scipy.special import logsumexp
        from sklearn.linear_model import LogisticRegression

        folder, n, d, k, penalty = sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5])
        x = np.fromfile(folder + '/x.f32', np.float32).reshape(n, d).astype(np.float64)
        y = np.fromfile(folder + '/y.i32', np.int32)
        head = np.fromfile(folder + '/head.f32', np.float32).astype(np.float64)

        def objective(w, b):
            logits = x @ w.T + b
            return np.mean(logsumexp(logits, axis=1) - logits[np.arange(n), y]) + penalty / 2 * np.sum(w * w)

        own = LogisticRegression(C=1 / (penalty * n), tol=1e-8, max_iter=20000).fit(x, y)
        print(repr(float(objective(head[:k * d].reshape(k, d), head[k * d:]))), repr(float(objective(own.coef_, own.intercept_))))
        """;

    [Fact]
    public void The_lowest_point_of_a_curved_valley_is_found()
    {
        // Rosenbrock's function: https://en.wikipedia.org/wiki/Rosenbrock_function
        double[] point = [-1.2, 1];
        var (value, _) = Lbfgs.Minimize((at, gradient) =>
        {
            var (x, y) = (at[0], at[1]);
            gradient[0] = (-2 * (1 - x)) - (400 * x * (y - (x * x)));
            gradient[1] = 200 * (y - (x * x));
            return ((1 - x) * (1 - x)) + (100 * (y - (x * x)) * (y - (x * x)));
        }, point, tolerance: 1e-8);
        Assert.True(value < 1e-12, $"{value}");
        Assert.Equal([1, 1], point, (expected, actual) => Math.Abs(expected - actual) < 1e-6);
    }

    [Theory]
    [InlineData(1e-2)]
    [InlineData(1e-4)]
    public async Task The_loss_is_within_a_thousandth_of_scikit_learns(double lambda)
    {
        Assert.SkipUnless(await HasScikitLearnAsync(), "skipped: python3 with scikit-learn is not here (apt install python3-sklearn)");
        var data = Data(photos: 400, features: 24, classes: 5, seed: 3);
        var regression = new SoftmaxRegression(data);
        var (head, loss, _) = regression.Fit(lambda);

        var folder = Directory.CreateTempSubdirectory("sklearn").FullName;
        try
        {
            await WriteAsync(folder, "x.f32", MemoryMarshal.AsBytes<float>(data.Embeddings.SelectMany(row => row).ToArray()).ToArray());
            await WriteAsync(folder, "y.i32", MemoryMarshal.AsBytes<int>(data.Labels.ToArray()).ToArray());
            await WriteAsync(folder, "head.f32", MemoryMarshal.AsBytes<float>([.. head.Weights, .. head.Bias]).ToArray());
            var penalty = (lambda / regression.Unit).ToString("R", CultureInfo.InvariantCulture);
            var (code, output, error) = await PythonAsync("-c", ScikitLearn, folder, "400", "24", "5", penalty);
            Assert.True(code == 0, error);
            double[] losses = [.. output.Split(' ').Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
            Assert.True(losses[0] <= losses[1] + 1e-3, $"ours {losses[0]}, scikit-learn's {losses[1]}");
            Assert.True(Math.Abs(losses[0] - loss) < 1e-4, $"we say {loss}, they say {losses[0]} of the same head");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void The_loss_is_what_scikit_learn_found_for_what_the_page_learns_from_too()
    {
        var cases = JsonNode.Parse(File.ReadAllText(Path.Combine(WhatsitCommand.Root, "tests/data/head/cases.json")))!.AsArray();
        Assert.Equal(3, cases.Count);
        foreach (var golden in cases.Select(entry => entry!))
        {
            var regression = new SoftmaxRegression(new LabelledEmbeddings(
                golden["embeddings"]!.Deserialize<float[][]>()!, golden["labels"]!.Deserialize<int[]>()!, (int)golden["classes"]!)
            {
                ClassWeights = golden["class_weights"].Deserialize<float[]>(),
            });
            Assert.Equal((double)golden["loss"]!, regression.Fit((double)golden["penalty"]! * regression.Unit, tolerance: 1e-7).Loss, 1e-4);
        }
    }

    [Fact]
    public void No_head_nearby_is_better()
    {
        var data = Data(photos: 200, features: 12, classes: 4, seed: 5);
        var regression = new SoftmaxRegression(data);
        var (head, loss, _) = regression.Fit(1e-3, tolerance: 1e-7);
        var random = new Random(1);
        for (var trial = 0; trial < 20; trial++)
        {
            var other = new DenseHead(
                Array.ConvertAll(head.Weights, weight => weight + (0.05f * (random.NextSingle() - 0.5f))),
                Array.ConvertAll(head.Bias, bias => bias + (0.05f * (random.NextSingle() - 0.5f))));
            Assert.True(regression.LossOf(other, 1e-3) > loss);
        }
    }

    [Fact]
    public void A_class_that_weighs_twice_is_as_if_each_of_its_photos_were_there_twice()
    {
        var data = Data(photos: 120, features: 8, classes: 3, seed: 7);
        var weighted = data with { ClassWeights = [1, 2, 1] };
        int[] rows = [.. Enumerable.Range(0, 120), .. Enumerable.Range(0, 120).Where(row => data.Labels[row] == 1)];
        var doubled = data with { Embeddings = [.. rows.Select(row => data.Embeddings[row])], Labels = [.. rows.Select(row => data.Labels[row])] };

        var one = new SoftmaxRegression(weighted);
        var other = new SoftmaxRegression(doubled);

        // λ is relative to the mean over the photos, and in units of the embeddings' spread.
        var head = one.Fit(1e-2, tolerance: 1e-7).Head;
        var same = other.Fit(1e-2 * 120 / rows.Length * other.Unit / one.Unit, tolerance: 1e-7).Head;
        Assert.Equal(head.Weights, same.Weights, (expected, actual) => Math.Abs(expected - actual) < 2e-3);
        Assert.Equal([1, 1, 2], LabelledEmbeddings.Balanced([0, 0, 1, 1, 2], 3).Select(weight => Math.Round(weight * 1.2)));
    }

    [Fact]
    public void The_same_photos_give_the_same_head()
    {
        var data = Data(photos: 900, features: 16, classes: 3, seed: 9);
        var first = new SoftmaxRegression(data).Fit(1e-3).Head;
        Assert.Equal(first.Weights, new SoftmaxRegression(data).Fit(1e-3).Head.Weights);
    }

    [Fact]
    public void Cross_validation_judges_each_photo_once_by_heads_that_never_saw_it_or_its_copies()
    {
        // Nothing can be learnt, except from a copy of the very photo.
        var random = new Random(11);
        float[][] photos = [.. Enumerable.Range(0, 120).Select(_ => Enumerable.Range(0, 200).Select(_ => random.NextSingle()).ToArray())];
        int[] labels = [.. Enumerable.Range(0, 120).Select(_ => random.Next(4))];
        var data = new LabelledEmbeddings(
            [.. photos.SelectMany(photo => (float[][])[photo, photo])], [.. labels.SelectMany(label => (int[])[label, label])], 4);

        var chosen = CrossValidation.Run(data, [.. Enumerable.Range(0, 240).Select(row => row / 2)], seed: 1);

        Assert.Equal(120, chosen.Probabilities.Count(probabilities => probabilities is not null));
        Assert.All(Enumerable.Range(0, 240), row => Assert.Equal(row % 2 == 0, chosen.Probabilities[row] is not null));
        Assert.InRange(chosen.Trials.Max(trial => trial.Top1), 0.1, 0.45);
        Assert.Equal(chosen.Trials, CrossValidation.Run(data, [.. Enumerable.Range(0, 240).Select(row => row / 2)], seed: 1).Trials);
    }

    [Fact]
    public void The_chosen_regularisation_has_the_least_loss()
    {
        var data = Data(photos: 150, features: 60, classes: 3, seed: 13);
        var chosen = CrossValidation.Run(data);
        Assert.Equal(chosen.Trials.MinBy(trial => trial.Loss)!.Strength, chosen.Strength);
        Assert.True(chosen.Trials.Count > 2);
    }

    /// <summary>Clouds around a centre for each class, far from the origin, that overlap.</summary>
    private static LabelledEmbeddings Data(int photos, int features, int classes, int seed)
    {
        var random = new Random(seed);
        float[][] centres = [.. Enumerable.Range(0, classes).Select(_ => Enumerable.Range(0, features).Select(_ => 3 + random.NextSingle()).ToArray())];
        int[] labels = [.. Enumerable.Range(0, photos).Select(_ => random.Next(classes))];
        return new LabelledEmbeddings(
            [.. labels.Select(label => centres[label].Select(value => value + ((random.NextSingle() - 0.5f) * 2.5f)).ToArray())], labels, classes);
    }

    private static Task WriteAsync(string folder, string file, byte[] content) =>
        File.WriteAllBytesAsync(Path.Combine(folder, file), content, TestContext.Current.CancellationToken);

    private static async Task<bool> HasScikitLearnAsync()
    {
        try
        {
            return (await PythonAsync("-c", "import sklearn")).Code == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static async Task<(int Code, string Output, string Error)> PythonAsync(params string[] arguments)
    {
        // Debian's own, where another one is found first.
        var start = new ProcessStartInfo(File.Exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }
}
