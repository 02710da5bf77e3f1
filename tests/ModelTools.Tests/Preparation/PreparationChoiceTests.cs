using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Preparation;

namespace Whatsit.ModelTools.Tests.Preparation;

/// <summary>What photos' answers say of ways to prepare pictures.</summary>
public sealed class PreparationChoiceTests
{
    private const int Classes = 4;

    private static readonly PicturePreparation Assumed = PicturePreparation.Of(Scalings.ByName["zero-to-one"].With(new PreprocessingSpec()));
    private static readonly PreprocessingEvidence Guess = new(PreprocessingCertainty.Assumed, "a guess.");

    [Fact]
    public void A_scaling_that_is_clearly_better_is_taken_and_shown()
    {
        var choice = PreparationChoice.ByLabels(Assumed, Guess, [Tally("zero-to-one", 0.3, 0.5), Tally("minus-one-to-one", 0.8, 0.9)], 20, Classes);

        Assert.Equal("minus-one-to-one", choice.Chosen.Scaling);
        Assert.Equal((PreprocessingCertainty.ShownByPhotos, false), (choice.Evidence.Certainty, choice.Evidence.Tie));
        Assert.Equal([true, false], choice.Evidence.Tried!.Select(trial => trial.Tie));
        Assert.True(choice.Evidence.Tried![1].Behind > 2 * choice.Evidence.Tried[1].Error);
    }

    [Fact]
    public void A_tie_of_scalings_is_called_one_and_nothing_is_shown()
    {
        var choice = PreparationChoice.ByLabels(Assumed, Guess,
            [Tally("zero-to-one", 0.6, 0.9, seed: 1), Tally("minus-one-to-one", 0.6, 0.9, seed: 2), Tally("none", 0.05, 0.1)], 20, Classes);

        Assert.Equal((PreprocessingCertainty.Assumed, true), (choice.Evidence.Certainty, choice.Evidence.Tie));
        Assert.Equal(2, choice.Evidence.Tried!.Count(trial => trial.Tie));
        Assert.Contains("do not tell it from", choice.Evidence.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_known_stays_within_a_tie_and_goes_where_photos_are_clearly_against_it()
    {
        PreprocessingEvidence known = new(PreprocessingCertainty.Known, "the file says it.");
        var tie = PreparationChoice.ByLabels(Assumed, known,
            [Tally("zero-to-one", 0.55, 0.9, seed: 1), Tally("minus-one-to-one", 0.6, 0.9, seed: 2), Tally("none", 0.05, 0.1)], 20, Classes);
        var against = PreparationChoice.ByLabels(Assumed, known, [Tally("zero-to-one", 0.1, 0.3), Tally("minus-one-to-one", 0.8, 0.9)], 20, Classes);
        var asked = PreparationChoice.ByLabels(Assumed, known, [Tally("zero-to-one", 0.1, 0.3), Tally("minus-one-to-one", 0.8, 0.9)], 20, Classes,
            isFixed: true);

        Assert.Equal(("zero-to-one", PreprocessingCertainty.Known), (tie.Chosen.Scaling, tie.Evidence.Certainty));
        Assert.Equal(("minus-one-to-one", PreprocessingCertainty.ShownByPhotos), (against.Chosen.Scaling, against.Evidence.Certainty));
        Assert.Equal(("zero-to-one", true), (asked.Chosen.Scaling, asked.Contradicts));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public void Too_few_photos_say_nothing_however_clear_they_seem(int photos)
    {
        var choice = PreparationChoice.ByLabels(Assumed, Guess,
            [Tally("zero-to-one", 0.1, 0.1, photos: photos), Tally("minus-one-to-one", 0.9, 0.9, photos: photos)], photos, Classes);

        Assert.Equal(("zero-to-one", PreprocessingCertainty.Assumed), (choice.Chosen.Scaling, choice.Evidence.Certainty));
        Assert.Contains("8 are needed", choice.Evidence.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void What_photos_have_shown_is_still_said_where_others_say_nothing()
    {
        var shown = PreparationChoice.ByLabels(Assumed, Guess, [Tally("zero-to-one", 0.3, 0.5), Tally("minus-one-to-one", 0.8, 0.9)], 20, Classes);

        var choice = PreparationChoice.ByLabels(shown.Chosen, shown.Evidence,
            [Tally("zero-to-one", 0.1, 0.1, photos: 7), Tally("minus-one-to-one", 0.9, 0.9, photos: 7)], 7, Classes);

        Assert.Equal($"{shown.Evidence.Reason} 7 photos say nothing: 8 are needed, better 20.", choice.Evidence.Reason);
    }

    [Fact]
    public void Contrast_that_only_makes_a_network_surer_does_not_win()
    {
        // The same ranking of the classes at a fifth of the temperature.
        var choice = PreparationChoice.ByLabels(Assumed, Guess, [Tally("zero-to-one", 0.6, 0.9), Sharpened("imagenet", 0.6, 0.9)], 20, Classes);

        Assert.All(choice.Evidence.Tried!, trial => Assert.True(trial.Tie));
    }

    [Fact]
    public void Without_labels_a_network_that_is_sure_of_the_same_whatever_it_sees_does_not_win()
    {
        float[] always = [0.97f, 0.01f, 0.01f, 0.01f];
        Tally stuck = new(Way("none"), [.. Enumerable.Range(0, 20).Select(_ => PhotoScore.Of(always, null))]);
        Tally sees = new(Way("minus-one-to-one"), [.. Enumerable.Range(0, 20).Select(photo => PhotoScore.Of(Answer(photo % Classes, 0.8), null))]);

        var choice = PreparationChoice.ByAnswers(Assumed, Guess, [stuck, sees], 20);

        Assert.Equal("minus-one-to-one", choice.Chosen.Scaling);
        Assert.Contains("weaker evidence", choice.Evidence.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_labels_the_scaling_with_the_most_contrast_is_not_believed()
    {
        Tally sure = new(Way("none"), [.. Enumerable.Range(0, 20).Select(photo => PhotoScore.Of(Answer(photo % Classes, 0.999), null))]);
        Tally less = new(Way("zero-to-one"), [.. Enumerable.Range(0, 20).Select(photo => PhotoScore.Of(Answer(photo % Classes, 0.5), null))]);

        var choice = PreparationChoice.ByAnswers(Assumed, Guess, [sure, less], 20);

        Assert.Equal(("zero-to-one", PreprocessingCertainty.Assumed), (choice.Chosen.Scaling, choice.Evidence.Certainty));
        Assert.Contains("contrast alone", choice.Evidence.Reason, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Pairs => new(Scalings.ByName.Keys.SelectMany(own => Scalings.ByName.Keys.Select(other => (own, other))));

    [Theory]
    [MemberData(nameof(Pairs))]
    public void A_network_with_one_scaling_in_it_sees_another_one_s_numbers(string own, string other)
    {
        (var inside, var wanted) = (Scalings.ByName[own], Scalings.ByName[other]);
        double[] pixel = [10, 130, 250];

        var change = wanted.Instead(inside);
        double[] fed = [.. change.Select(channel => (pixel[channel.From] * channel.Scale) + channel.Shift)];

        double[] expected = [.. Numbers(wanted, pixel)];
        Assert.All(Numbers(inside, fed).Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-9));

        static IEnumerable<double> Numbers(Scaling scaling, double[] pixel) => Enumerable.Range(0, 3).Select(channel =>
            ((pixel[scaling.Order == ChannelOrder.Bgr ? 2 - channel : channel] * scaling.Rescale) - scaling.Mean[channel]) / scaling.Deviation[channel]);
    }

    private static PicturePreparation Way(string scaling) => Assumed with { Scaling = scaling, Numbers = Scalings.ByName[scaling] };

    private static float[] Answer(int label, double probability) =>
        [.. Enumerable.Range(0, Classes).Select(index => (float)(index == label ? probability : (1 - probability) / (Classes - 1)))];

    /// <summary>Photos whose labels got probabilities between two.</summary>
    private static Tally Tally(string scaling, double least, double most, int seed = 1, int photos = 20) => new(Way(scaling), [
        .. Probabilities(least, most, seed).Take(photos)
        .Select((probability, photo) => PhotoScore.Of(Answer(photo % Classes, probability), photo % Classes))]);

    private static Tally Sharpened(string scaling, double least, double most) => new(Way(scaling), [.. Probabilities(least, most, 1)
        .Select((probability, photo) =>
        {
            var sharp = Answer(photo % Classes, probability).Select(value => Math.Pow(value, 5)).ToArray();
            return PhotoScore.Of([.. sharp.Select(value => (float)(value / sharp.Sum()))], photo % Classes);
        })]);

    private static IEnumerable<double> Probabilities(double least, double most, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, 20).Select(_ => least + ((most - least) * random.NextDouble()))];
    }
}
