using Whatsit.Inference.Postprocessing;

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

    [Fact]
    public void A_class_activation_map_is_the_classifier_applied_to_every_cell()
    {
        // Two channels on a 2 × 2 grid; class 1 likes the second channel and dislikes the first.
        float[] features = [1, 0, 0, 0, 0, 2, 4, 1];
        var map = new ClassActivationMap([1, 0, -1, 1], channels: 2).Of(features, height: 2, width: 2, index: 1);
        Assert.Equal([[0, 0.5f], [1, 0.25f]], map);
    }

    [Fact]
    public void A_class_without_evidence_has_an_empty_map() =>
        Assert.Equal([[0, 0]], new ClassActivationMap([-1], channels: 1).Of([1, 2], height: 1, width: 2, index: 0));
}
