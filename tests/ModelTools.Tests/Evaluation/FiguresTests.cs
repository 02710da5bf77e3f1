using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Tests.Evaluation;

public sealed class FiguresTests
{
    private static readonly ClassLabel[] Classes = [new(0, "apple", "fruit"), new(1, "pear", "fruit"), new(2, "milk", "carton")];

    private static readonly ModelManifest Manifest = new()
    {
        Name = "shop",
        Files = new Dictionary<string, BundleFile>(),
        Input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, 8, 8),
        Abstain = new AbstainSpec(0.5f),
    };

    [Fact]
    public void Accuracies_count_labelled_photos()
    {
        var figures = Of(Answer(0, 0.8f, 0.1f, 0.1f), Answer(0, 0.3f, 0.6f, 0.1f), Answer(2, 0.7f, 0.2f, 0.1f), Answer(2, 0.1f, 0.1f, 0.8f),
            Answer(null, 1, 0, 0));

        Assert.Equal((4, 2, 0.5, 1.0), (figures.Labelled.Count, figures.Right, figures.Top1, figures.Top5));
        Assert.Equal(0.75, figures.CoarseTop1);
        Assert.Equal([(2, 1, 2), (0, 0, 1), (2, 1, 1)], figures.Classes.Select(entry => (entry.Photos, entry.Right, entry.Named)));
        Assert.Equal((0.5, null), (figures.Classes[0].Recall, figures.Classes[1].Recall));
        Assert.Equal(0.5, figures.Classes[0].Precision);
        Assert.Equal([("apple", "pear", 1), ("milk", "apple", 1)],
            figures.Confusions.Select(confusion => (confusion.Truth.Label, confusion.Answer.Label, confusion.Photos)));
        Assert.Equal([0.7f, 0.6f], figures.WorstMistakes.Select(answer => answer.Confidence));
    }

    [Fact]
    public void The_calibration_error_is_the_gap_between_confidence_and_accuracy()
    {
        // Ten answers at 0.9, six of them right: off by 0.3. Ten at 0.55, all right: off by 0.45.
        var figures = Of([.. Enumerable.Range(0, 10).Select(i => Answer(i < 6 ? 0 : 1, 0.9f, 0.1f, 0)), .. Enumerable.Range(0, 10)
            .Select(_ => Answer(0, 0.55f, 0.45f, 0))]);

        Assert.Equal(0.375, figures.CalibrationError, 1e-6);
        Assert.Equal([(10, 1.0), (10, 0.6)], figures.Calibration.Where(bin => bin.Photos > 0).Select(bin => (bin.Photos, bin.Accuracy)));
    }

    [Fact]
    public void Abstaining_keeps_right_answers_and_catches_wrong_ones()
    {
        var figures = Of(Answer(0, 0.9f, 0.1f, 0), Answer(0, 0.4f, 0.3f, 0.3f), Answer(1, 0.4f, 0.3f, 0.3f), Answer(1, 0.9f, 0.1f, 0));

        Assert.Equal(new Abstention(0.5, 0.5), figures.Abstention);
    }

    [Fact]
    public void Thresholds_say_how_many_photos_they_answer_and_how_many_of_those_rightly()
    {
        var figures = Of(Answer(0, 0.9f, 0.1f, 0), Answer(1, 0.6f, 0.3f, 0.1f), Answer(0, 0.6f, 0.4f, 0), Answer(0, 0.7f, 0.2f, 0.1f), Answer(null, 1, 0, 0));

        Assert.Equal([new(0.9f, 1, 1), new(0.7f, 2, 2), new(0.6f, 4, 3)], figures.Thresholds);
        Assert.Equal(0.75, figures.Thresholds[^1].Accuracy);

        // Where the model has a score of its own for that, it counts.
        figures = Of(Answer(0, 0.9f, 0.1f, 0) with { Certainty = -2 }, Answer(1, 0.8f, 0.2f, 0) with { Certainty = 3 });
        Assert.Equal([new(3, 1, 0), new(-2, 2, 1)], figures.Thresholds);
    }

    [Fact]
    public void Percentiles_are_times_that_occurred()
    {
        var figures =
            Of([.. Enumerable.Range(1, 100).Select(i => Answer(0, 1, 0, 0) with { Timings = new Timings { Compute = TimeSpan.FromMilliseconds(i) } })]);

        var compute = figures.Latencies.Single(latency => latency.Stage == "compute");
        Assert.Equal((50, 90, 99, 50.5), (compute.P50, compute.P90, compute.P99, compute.Mean));
    }

    [Fact]
    public void A_loss_is_counted_on_labels_and_else_estimated_from_the_full_variants_own_probabilities()
    {
        var full = All(Answer(0, 0.8f, 0.1f, 0.1f), Answer(1, 0.2f, 0.7f, 0.1f));
        var reduced = All(Answer(0, 0.7f, 0.2f, 0.1f), Answer(1, 0.5f, 0.4f, 0.1f));

        var counted = Agreement.Of(full, reduced);
        var estimated = Agreement.Of(Unlabelled(full), Unlabelled(reduced));

        Assert.Equal((2, 0.5, 0.5, true), (counted.Photos, counted.SameTop1, counted.Loss, counted.Counted));
        Assert.Equal(0.3, counted.LargestDifference, 1e-6);
        Assert.False(estimated.Counted);
        Assert.Equal(0.25, estimated.Loss, 1e-6); // (0 + 0.7 − 0.2) ÷ 2
    }

    [Fact]
    public void JSON_holds_every_figure_and_every_photo()
    {
        var figures = Of(Answer(0, 0.8f, 0.1f, 0.1f), Answer(null, 0.8f, 0.1f, 0.1f));
        var result = new EvaluationResult(Manifest, Classes, "photos", "a machine", [new VariantRow("fp32", "net", 12, 34, figures, null)]);

        var json = JsonSerializer.SerializeToElement(EvaluationJson.Write(result));

        Assert.Equal(1, json.GetProperty("variants")[0].GetProperty("top1").GetDouble());
        Assert.Equal(2, json.GetProperty("photos").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, json.GetProperty("photos")[1].GetProperty("truth").ValueKind);
        Assert.Equal(3, json.GetProperty("classes").GetArrayLength());
    }

    private static int _photo;

    private static PhotoAnswer Answer(int? label, params float[] probabilities) =>
        new(new LabelledPhoto($"{++_photo}", "photo", label), probabilities, probabilities.Max() < Manifest.Abstain!.Threshold, default);

    private static Answers All(params PhotoAnswer[] answers) =>
        new("fp32", [.. answers.Select((answer, i) => answer with { Photo = answer.Photo with { Path = $"{i}" } })], []);

    private static Answers Unlabelled(Answers answers) =>
        answers with { Photos = [.. answers.Photos.Select(answer => answer with { Photo = answer.Photo with { Label = null } })] };

    private static Figures Of(params PhotoAnswer[] answers) => new(Manifest, Classes, All(answers));
}
