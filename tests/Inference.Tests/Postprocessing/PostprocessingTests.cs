using System.Text.Json;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Inference.Tests.Postprocessing;

public sealed class PostprocessingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(101)]
    public void Top_k_is_what_a_stable_full_sort_gives(int k)
    {
        var random = new Random(k);
        for (var round = 0; round < 100; round++)
        {
            // Few different values, so that equal scores are common.
            var scores = Enumerable.Range(0, 101).Select(_ => random.Next(20) / 20f).ToArray();
            var best = new int[k];
            TopK.Select(scores, best);
            Assert.Equal(Enumerable.Range(0, 101).OrderByDescending(index => scores[index]).Take(k), best);
        }
    }

    [Fact]
    public void More_than_there_are_is_refused() => Assert.Throws<ArgumentException>(() => TopK.Select([1, 2], new int[3]));

    [Theory]
    [InlineData(0f)]
    [InlineData(1000f)]
    [InlineData(-1000f)]
    public void Softmax_does_not_depend_on_a_common_offset(float offset)
    {
        float[] scores = [1 + offset, 2 + offset, 3 + offset];
        Softmax.Apply(scores);
        Assert.Equal([0.09003057f, 0.24472847f, 0.66524096f], scores, (expected, actual) => Math.Abs(expected - actual) < 1e-4);
    }

    [Theory]
    [InlineData(OutputKind.Logits, 2f)]
    [InlineData(OutputKind.Probabilities, 2f)]
    [InlineData(OutputKind.Logits, 0.5f)]
    public void The_temperature_divides_logits_whether_the_model_gives_them_or_probabilities(OutputKind kind, float temperature)
    {
        float[] logits = [1, 2, 4];
        float[] expected = [.. logits.Select(logit => logit / temperature)];
        Softmax.Apply(expected);
        if (kind == OutputKind.Probabilities)
        {
            Softmax.Apply(logits);
        }

        Softmax.ToProbabilities(logits, new OutputSpec { Kind = kind, Temperature = temperature });
        Assert.Equal(expected, logits, (one, other) => Math.Abs(one - other) < 1e-6);
    }

    [Fact]
    public void What_was_impossible_stays_so_at_every_temperature()
    {
        float[] probabilities = [0, 0.2f, 0.8f];
        Softmax.ToProbabilities(probabilities, new OutputSpec { Temperature = 2 });
        Assert.Equal([0, 1f / 3, 2f / 3], probabilities, (one, other) => Math.Abs(one - other) < 1e-6);
    }

    [Fact]
    public void Several_labels_stay_what_they_are_at_every_temperature()
    {
        float[] scores = [0.75f, 0.5f, 0.25f];
        Softmax.ToProbabilities(scores, new OutputSpec { Kind = OutputKind.MultiLabel, Temperature = 2 });
        Assert.Equal([0.75f, 0.5f, 0.25f], scores);
    }

    [Theory]
    [InlineData(AbstainScore.Probability, 0.66524096f)]
    [InlineData(AbstainScore.Logit, 3f)]
    [InlineData(AbstainScore.Energy, 3.4076059f)]
    [InlineData(AbstainScore.ClassMean, 0.8f)]
    [InlineData(AbstainScore.Nearest, 0.8f)]
    public void How_sure_a_model_is_can_be_told_in_five_ways(AbstainScore score, float expected)
    {
        var certainty = new Certainty(score, OutputKind.Logits, [1, 0, 0, 1, 0, 0]);
        Assert.Equal(expected, certainty.Of([1, 2, 3], Certainty.NeedsVectors(score) ? [6, 8] : []), 1e-5f);
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(4, 8)]
    [InlineData(7, 13)]
    [InlineData(9, 40)]
    public void An_embedding_is_compared_with_every_row_however_many_and_long_they_are(int rows, int length)
    {
        var random = new Random(rows);
        float[] embedding = [.. Enumerable.Range(0, length).Select(_ => random.NextSingle() - 0.5f)];
        float[][] vectors = [.. Enumerable.Range(0, rows).Select(_ => (float[])[.. Enumerable.Range(0, length).Select(_ => random.NextSingle() - 0.5f)])];
        double[] products = [.. vectors.Select(vector => vector.Zip(embedding, (one, other) => (double)one * other).Sum())];
        var square = embedding.Sum(value => (double)value * value);

        Assert.Equal(products.Max() / Math.Sqrt(square),
            new Certainty(AbstainScore.Nearest, OutputKind.Logits, [.. vectors.SelectMany(vector => vector)]).Of([1, 2], embedding), 1e-5);
        float[] basis = [.. vectors.SelectMany(vector => vector.Select(value => value / rows))];
        var within = products.Sum(product => product * product) / (rows * rows);
        Assert.Equal(Math.Sqrt(Math.Max(0, 1 - (within / square))), Certainty.Residual(embedding, basis), 1e-5);
    }

    [Fact]
    public void Doubt_and_confidence_are_what_an_independent_script_says()
    {
        // The browser's tests read the same.
        var cases = JsonSerializer.Deserialize<Golden[]>(File.ReadAllText(TestData.Path("certainty", "cases.json")), ManifestWords)!;
        Assert.Equal(36, cases.Length);
        foreach (var golden in cases)
        {
            var output = new OutputSpec { Kind = golden.Kind, Temperature = golden.Temperature, Embedding = "embedding", Logits = "logits" };
            Assert.Equal(golden.Evidence is not null, Certainty.EvidenceOf(golden.Score, output) is not null);
            var certainty = new Certainty(golden.Score, golden.Kind, golden.Vectors, golden.ResidualWeight);
            Assert.Equal(golden.Certainty, certainty.Of(golden.Scores, golden.Evidence), 1e-4f);
            Softmax.ToProbabilities(golden.Scores, output);
            Assert.Equal(golden.Confidences, golden.Scores, (expected, actual) => Math.Abs(expected - actual) < 1e-5);
        }
    }

    [Fact]
    public void The_model_abstains_by_its_score_whatever_its_best_label_has()
    {
        // The embedding points away from both classes, and the confidence is high.
        var manifest = new ModelManifest
        {
            Name = "toy",
            Files = new Dictionary<string, BundleFile>(),
            Input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, 1, 1),
            Output = new OutputSpec { Kind = OutputKind.Logits, Embedding = "embedding", Temperature = 0.5f },
            Abstain = new AbstainSpec(0.5f) { Score = AbstainScore.ClassMean },
        };
        var postprocessor = new Postprocessor(manifest, [new ClassLabel(0, "a", null), new ClassLabel(1, "b", null)], vectors: [1, 0, 0, 1]);

        var (predictions, certainty) = postprocessor.Select(new Answered([5, 0], [-3, -4]), new ClassifyOptions(1));
        Assert.True(predictions[0].Confidence > 0.9999f);
        Assert.Equal(-0.6f, certainty!.Value, 1e-6f);
        Assert.True(postprocessor.Abstains(certainty));
        Assert.False(postprocessor.Abstains(postprocessor.Select(new Answered([0, 0], [3, 4]), new ClassifyOptions(1)).Certainty));
    }

    private static readonly JsonSerializerOptions ManifestWords = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new KebabCaseEnumConverter<AbstainScore>(), new KebabCaseEnumConverter<OutputKind>() },
    };

    private sealed record Golden(AbstainScore Score, OutputKind Kind, float Temperature, float[] Scores, float[]? Evidence, float[]? Vectors,
        float ResidualWeight, float Certainty, float[] Confidences);

    private sealed class Answered(float[] scores, float[] evidence) : Tensors
    {
        public override Span<byte> Input => [];

        public override Span<float> Scores => scores;

        public override ReadOnlySpan<float> Evidence => evidence;

        public override OutputView Output(string name) => default;

        public override void Dispose()
        {
        }
    }

    [Fact]
    public void A_class_activation_map_is_the_classifier_applied_to_every_cell()
    {
        // Two channels on a 2 × 2 grid; class 1 likes the second channel and dislikes the first.
        float[] features = [1, 0, 0, 0, 0, 2, 4, 1];
        var map = new ClassActivationMap([1, 0, -1, 1], channels: 2).Of(features, height: 2, width: 2, index: 1);
        Assert.Equal([[0, 0.5f], [1, 0.25f]], map);
    }

    [Fact]
    public void A_map_takes_no_notice_of_what_speaks_for_every_class_alike() =>
        Assert.Equal([1, 0, 0, 2, -1, -2], ClassActivationMap.Contrast([1, 5, 0, 7, -1, 3], channels: 2));

    [Fact]
    public void A_class_without_evidence_has_an_empty_map() =>
        Assert.Equal([[0, 0]], new ClassActivationMap([-1], channels: 1).Of([1, 2], height: 1, width: 2, index: 0));
}
