using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.ModelConversion.Training;

namespace Whatsit.ModelTools.Tests.Training;

/// <summary>Confidence that means what it says, and doubt.</summary>
public sealed class DoubtTests
{
    private static readonly OutputSpec Logits = new() { Kind = OutputKind.Logits, Embedding = "embedding" };

    [Theory]
    [InlineData(3)]
    [InlineData(0.5)]
    public void The_temperature_undoes_logits_that_were_scaled(double scale)
    {
        // Labels are drawn by the probabilities, so that these are right; then the logits are scaled.
        var random = new Random(1);
        float[][] logits = [.. Enumerable.Range(0, 4000).Select(_ => Enumerable.Range(0, 4).Select(_ => 3 * random.NextSingle()).ToArray())];
        int[] labels = [.. logits.Select(row => Draw(row, random))];
        float[][] scaled = [.. logits.Select(row => row.Select(logit => (float)(logit * scale)).ToArray())];

        Assert.InRange(Calibration.Temperature(scaled, labels, OutputKind.Logits), 0.85 * scale, 1.15 * scale);

        // Probabilities say the same: their logarithms are logits.
        float[][] probabilities = [.. scaled.Select(row =>
        {
            Softmax.Apply(row);
            return row;
        })];
        Assert.InRange(Calibration.Temperature(probabilities, labels, OutputKind.Probabilities), 0.85 * scale, 1.15 * scale);
    }

    [Theory]
    [InlineData(12)]
    [InlineData(300)]
    public void Photos_that_are_all_answered_rightly_do_not_make_it_sure_of_everything(int photos)
    {
        float[][] logits = [.. Enumerable.Range(0, photos).Select(photo => (float[])[photo % 2 == 0 ? 2 : 0, photo % 2 == 0 ? 0 : 2])];
        var temperature = Calibration.Temperature(logits, [.. Enumerable.Range(0, photos).Select(photo => photo % 2)], OutputKind.Logits);

        // One mistake in two photos more: the probability is then (n + 1) ÷ (n + 2).
        Assert.Equal((photos + 1d) / (photos + 2), 1 / (1 + Math.Exp(-2 / temperature)), 3);
    }

    [Fact]
    public void Several_labels_have_no_temperature() => Assert.Equal(1, Calibration.Temperature([[0.75f, 0.5f]], [0], OutputKind.MultiLabel));

    [Fact]
    public void The_area_under_the_curve_is_the_share_of_pairs_in_the_right_order()
    {
        Assert.Equal(1, AbstainChoice.Auroc([3, 4], [1, 2]));
        Assert.Equal(0, AbstainChoice.Auroc([1, 2], [3, 4]));
        Assert.Equal(0.5, AbstainChoice.Auroc([1, 1], [1, 1]));
        Assert.Equal(3.5 / 6, AbstainChoice.Auroc([1, 3], [0, 2, 3]), 9);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.05, 1)]
    [InlineData(0.1, 2)]
    [InlineData(0.19, 3)]
    [InlineData(1, 20)]
    public void A_threshold_refuses_at_most_the_share_that_it_may(double share, int refused)
    {
        float[] scores = [.. Enumerable.Range(0, 20).Select(value => (float)value)];
        Assert.Equal(refused, scores.Count(score => score < AbstainChoice.ThresholdOf(scores, share)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_the_embedding_tells_apart_is_chosen_and_the_threshold_holds(bool withKnown)
    {
        // Others get confident logits, but point elsewhere.
        var random = new Random(2);
        Evidence[] own = [.. Enumerable.Range(0, 100).Select(photo => Photo(photo % 4, photo % 4))];
        Evidence[] known = [.. Enumerable.Range(0, 40).Select(photo => Photo(photo % 4, photo % 4))];
        Evidence[] others = [.. Enumerable.Range(0, 60).Select(photo => Photo(photo % 4, 5 + (photo % 3)))];

        var choice = AbstainChoice.Choose(Logits, 4, own, withKnown ? known : null, others, refuse: 0.05);

        Assert.Equal(AbstainScore.ClassMean, choice.Chosen.Score);
        Assert.Equal(1, choice.Chosen.Auroc!.Value, 3);
        Assert.Equal(0, choice.Chosen.OthersLabelled);
        Assert.InRange(choice.Refused, 0.01, 0.05);
        Assert.Equal(4 * 8, choice.Vectors!.Length);
        Assert.Equal(Enum.GetValues<AbstainScore>().Where(score => withKnown || score != AbstainScore.VirtualLogit),
            choice.Candidates.Select(candidate => candidate.Score));
        Assert.Equal(choice.Chosen.Threshold, choice.Percentiles[5]);
        Assert.Equal(choice.Percentiles.Order(), choice.Percentiles);

        // As it will be served.
        var certainty = new Certainty(choice.Chosen.Score, Logits.Kind, choice.Vectors);
        Assert.All(others, photo => Assert.True(certainty.Of(photo.Scores, photo.Embedding) < choice.Chosen.Threshold));

        Evidence Photo(int label, int direction)
        {
            var embedding = new float[8];
            for (var at = 0; at < embedding.Length; at++)
            {
                embedding[at] = (0.3f * random.NextSingle()) + (at == direction ? 2 : 0);
            }

            var logits = new float[4];
            logits[label] = 5 + random.NextSingle();
            return new Evidence(logits, logits, embedding, label);
        }
    }

    [Fact]
    public void What_has_a_part_that_no_known_photo_has_is_told_by_the_virtual_logit()
    {
        // Others look like a class, but for something small outside of where all photos of the classes lie; within it they are all over the place.
        var random = new Random(3);
        Evidence[] own = [.. Enumerable.Range(0, 100).Select(photo => Photo(photo % 3, 0.1f))];
        Evidence[] known = [.. Enumerable.Range(0, 150).Select(photo => Photo(photo % 3, 0.1f))];
        Evidence[] others = [.. Enumerable.Range(0, 60).Select(photo => Photo(photo % 3, 0.25f))];

        var choice = AbstainChoice.Choose(Logits, 3, own, known, others, refuse: 0.05);

        Assert.Equal(AbstainScore.VirtualLogit, choice.Chosen.Score);
        Assert.True(choice.Chosen.Auroc > 0.99);
        Assert.Equal((3 + 6) * 20, choice.Vectors!.Length);
        var certainty = new Certainty(choice.Chosen.Score, Logits.Kind, choice.Vectors, choice.ResidualWeight!.Value);
        Assert.Equal(choice.Chosen.OthersLabelled!.Value,
            others.Average(photo => certainty.Of(photo.Scores, photo.Embedding) >= choice.Chosen.Threshold ? 1d : 0), 9);

        Evidence Photo(int label, float outside)
        {
            var embedding = new float[20];
            for (var at = 0; at < embedding.Length; at++)
            {
                embedding[at] = at < 6 ? (at == label ? 2 : 0) + (2.5f * random.NextSingle()) : outside * (1 + random.NextSingle());
            }

            return new Evidence([0, 0, 0], [0, 0, 0], embedding, label);
        }
    }

    [Fact]
    public void A_principal_space_is_where_vectors_mostly_lie()
    {
        // Three directions of six, with less and less in them.
        var random = new Random(4);
        float[] strengths = [9, 0.1f, 6, 0.1f, 3, 0.1f];
        float[][] vectors = [.. Enumerable.Range(0, 200).Select(_ => strengths.Select(strength => strength * (random.NextSingle() - 0.5f)).ToArray())];

        var basis = PrincipalSpace.Of(vectors, 3);

        Assert.Equal(18, basis.Length);
        Assert.Equal(0, Certainty.Residual([1, 0, 0, 0, 0, 0], basis), 0.05f);
        Assert.Equal(0, Certainty.Residual([0, 0, -2, 0, 5, 0], basis), 0.05f);
        Assert.Equal(1, Certainty.Residual([0, 3, 0, 0, 0, 1], basis), 0.05f);
        Assert.Equal(MathF.Sqrt(0.5f), Certainty.Residual([1, 1, 0, 0, 0, 0], basis), 0.05f);
        Assert.Equal(6, PrincipalSpace.Of([[2, 0, 0], [4, 0, 0], [0, 0, 1]], 3).Length);
    }

    [Fact]
    public void Without_photos_of_other_things_class_means_are_taken_and_without_an_embedding_the_energy()
    {
        Evidence[] own = [.. Enumerable.Range(0, 20).Select(photo => new Evidence([photo, 1], [photo, 1], [photo, 1], photo < 10 ? 1 : 0))];
        Assert.Equal(AbstainScore.ClassMean, AbstainChoice.Choose(Logits, 2, own, null, [], 0.05).Chosen.Score);
        Assert.Equal(AbstainScore.Energy, AbstainChoice.Choose(Logits with { Embedding = null }, 2, own, null, [], 0.05).Chosen.Score);
        Assert.Equal(AbstainScore.Probability, AbstainChoice.Choose(new OutputSpec(), 2, own, null, [], 0.05).Chosen.Score);
    }

    private static int Draw(float[] logits, Random random)
    {
        float[] probabilities = [.. logits];
        Softmax.Apply(probabilities);
        var at = random.NextSingle();
        for (var index = 0; index < probabilities.Length - 1; index++)
        {
            at -= probabilities[index];
            if (at < 0)
            {
                return index;
            }
        }

        return probabilities.Length - 1;
    }
}
