using System.Globalization;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>The way to prepare pictures that photos speak for.</summary>
/// <param name="Chosen">The way.</param>
/// <param name="Evidence">Why, for the manifest.</param>
/// <param name="Contradicts">Whether photos are clearly against what was said to be so, and it was kept all the same.</param>
internal sealed record PreparationChoice(PicturePreparation Chosen, PreprocessingEvidence Evidence, bool Contradicts = false)
{
    // Two standard errors: what is further behind than that is so by chance once in forty times.
    private const double Clearly = 2;

    // The spread of fewer tells nothing of how sure a difference is.
    private const int FewestPhotos = 8;

    // Of −log(1 / classes), which is what knowing nothing costs.
    private const double KnowsNothing = 0.9;

    // A difference that nobody would see, however sure.
    private const double Nothing = 0.002;

    // Without labels a network is judged by itself.
    private const double ClearlyWithoutLabels = 4;

    /// <summary>Those that are as good as the best, within what the photos can tell.</summary>
    public static IReadOnlyList<Tally> Tied(IReadOnlyList<Tally> tallies, double within = Clearly)
    {
        var best = tallies.MinBy(tally => tally.Loss)!;
        if (best.Photos < FewestPhotos)
        {
            return tallies;
        }

        // Scalings differ by so much that either sign of it counts; resizers do not.
        return [.. tallies.Where(tally => IsTied(best.Behind(tally), within)
            && (tally.Way.Values == best.Way.Values || IsTied(best.LessSure(tally), within)))];
    }

    /// <summary>Chooses by what labelled photos say.</summary>
    /// <param name="own">The way that was known, shown or assumed before.</param>
    /// <param name="before">How sure that was; without, its maker said so.</param>
    /// <param name="tallies">All ways that were tried, <paramref name="own"/> among them.</param>
    /// <param name="photos">On how many photos.</param>
    /// <param name="classes">How many classes there are.</param>
    /// <param name="isFixed">It was asked for, and is kept whatever photos say.</param>
    public static PreparationChoice ByLabels(PicturePreparation own, PreprocessingEvidence? before, IReadOnlyList<Tally> tallies, int photos, int classes,
        bool isFixed = false)
    {
        Tally[] ranked = [.. tallies.OrderBy(tally => tally.Loss)];
        var best = ranked[0];
        var tied = Tied(ranked);
        var values = ranked.Select(tally => tally.Way.Values).Distinct().Count();
        var tiedValues = tied.Select(tally => tally.Way.Values).Distinct().Count();
        var certainty = before?.Certainty ?? PreprocessingCertainty.Known;
        var says = Table(ranked, best, tied, labelled: true);
        if ((values > 1 && tiedValues == values) || best.Loss > KnowsNothing * Math.Log(classes))
        {
            var why = photos < FewestPhotos ? $"{FewestPhotos} are needed, better 20"
                : $"the best of {Counted.Of(ranked.Length, "way")} is right on {Percent(best.Top1)}";
            return new(own, new(certainty, $"{Reason(before)} {Counted.Of(photos, "photo")} say nothing: {why}.", photos, true, says, true)
            {
                CropAssumed = before?.CropAssumed,
            });
        }

        var isSure = certainty is PreprocessingCertainty.Known or PreprocessingCertainty.ShownByTheNetwork;
        var kept = tied.FirstOrDefault(tally => tally.Way == own);
        if (isFixed || (certainty == PreprocessingCertainty.Known && kept is not null))
        {
            var mine = ranked.First(tally => tally.Way == own);
            return new(own, new(certainty, kept is null
                ? $"{Reason(before)} But {Counted.Of(photos, "photo")} are against it: " +
                $"{Percent(mine.Top1)} are right, and {Percent(best.Top1)} with {best.Way.Words}."
                : $"{Reason(before)} {Counted.Of(photos, "photo")} are not against it: {Percent(mine.Top1)} are right.", photos, true, says, tied.Count > 1),
                kept is null);
        }

        var chosen = (isSure ? tied.FirstOrDefault(tally => tally.Way.Values == own.Values) : null) ?? best;
        var next = ranked.FirstOrDefault(tally => tally.Way.Values != chosen.Way.Values);
        var sentence = $"of {Counted.Of(photos, "photo")} {Percent(chosen.Top1)} are right with {chosen.Way.Words}";
        sentence += next is null ? "." : $"; with the next scaling, {PicturePreparation.WordsOf(next.Way)}, {Percent(next.Top1)} are" +
            $" (behind by {Difference(chosen.Behind(next))}, in probability by {Difference(chosen.LessSure(next))}).";
        sentence += tied.Count == 1 ? "" : tiedValues > 1 ? $" Photos do not tell it from {Ways(tied, chosen)}."
            : $" Crop and resizer are a tie with {Ways(tied, chosen)}.";
        return new(chosen.Way, new(tiedValues == 1 ? PreprocessingCertainty.ShownByPhotos : certainty, sentence, photos, true, says, tied.Count > 1));
    }

    /// <summary>
    /// Chooses crop and resizer by how well heads on the network tell photos that they did not learn from; the scaling stays. Where all ways are a tie, so do
    /// they.
    /// </summary>
    /// <param name="own">The way that was assumed.</param>
    /// <param name="before">Why.</param>
    /// <param name="tallies">All ways that were tried, <paramref name="own"/> among them.</param>
    /// <param name="photos">On how many photos.</param>
    public static PreparationChoice ByHeads(PicturePreparation own, PreprocessingEvidence before, IReadOnlyList<Tally> tallies, int photos)
    {
        Tally[] ranked = [.. tallies.OrderBy(tally => tally.Loss)];
        var tied = Tied(ranked);
        var mine = ranked.First(tally => tally.Way == own);
        var chosen = tied.Count == ranked.Length ? mine : ranked[0];
        var sentence = $"Of {Counted.Of(photos, "photo")} to learn from {Percent(chosen.Top1)} are right with {chosen.Way.CropWords}, " +
            "by heads that did not see them";
        sentence += chosen == mine ? ": what was assumed." : $"; with {own.CropWords}, as was assumed, {Percent(mine.Top1)} are (behind by " +
            $"{Difference(chosen.Behind(mine))}).";
        sentence += tied.Count == 1 ? "" : $" Crop and resizer are a tie with {Ways(tied, chosen)}.";
        return new(chosen.Way, new(before.Certainty, $"{Reason(before)} {sentence}", photos, true, Table(ranked, ranked[0], tied, labelled: true),
            tied.Count > 1)
        {
            CropAssumed = tied.Count == ranked.Length ? before.CropAssumed : null,
        });
    }

    /// <summary>
    /// Chooses the scaling by photos without labels: how sure the network is of each and how different its answers are. Contrast alone makes a network surer,
    /// so the best counts only where a scaling with more of it is worse.
    /// </summary>
    public static PreparationChoice ByAnswers(PicturePreparation own, PreprocessingEvidence? before, IReadOnlyList<Tally> tallies, int photos)
    {
        Tally[] ranked = [.. tallies.OrderBy(tally => tally.Loss)];
        var tied = Tied(ranked, ClearlyWithoutLabels);
        var says = Table(ranked, ranked[0], tied, labelled: false);
        var certainty = before?.Certainty ?? PreprocessingCertainty.Known;
        var contrast = ranked[0].Way.Numbers.Contrast;
        var isOnlyContrast = !ranked.Any(tally => tally.Way.Numbers.Contrast > contrast && !tied.Contains(tally));
        if (certainty != PreprocessingCertainty.Assumed || isOnlyContrast || tied.Select(tally => tally.Way.Values).Distinct().Count() > 1)
        {
            var isKept = tied.Any(tally => tally.Way.Values == own.Values);
            var sentence = isKept ? "are not against it" : isOnlyContrast
                ? $"are surest with {PicturePreparation.WordsOf(ranked[0].Way)}, which may be its contrast alone"
                : $"speak for {PicturePreparation.WordsOf(ranked[0].Way)}";
            return new(own, new(certainty,
                $"{Reason(before)} {Counted.Of(photos, "photo")} without labels, which are weaker evidence, {sentence}.", photos, false, says,
                tied.Count > 1)
            {
                CropAssumed = before?.CropAssumed,
            }, !isKept && !isOnlyContrast);
        }

        return new(ranked[0].Way, new(PreprocessingCertainty.ShownByPhotos,
            $"{Counted.Of(photos, "photo")} without labels get the surest and most different answers with {PicturePreparation.WordsOf(ranked[0].Way)} " +
            $"(the next scaling is behind by {Difference(ranked[0].Behind(ranked[1]))}). This is weaker evidence than labels, and says nothing of crop and " +
            $"resizer.", photos, false, says, false)
        {
            CropAssumed = before?.CropAssumed,
        });
    }

    /// <summary>Chooses the scaling by how near the first layer's results for photos are to what training recorded of it.</summary>
    /// <param name="own">The way that was known, shown or assumed before.</param>
    /// <param name="before">How sure that was.</param>
    /// <param name="ways">The ways that were tried.</param>
    /// <param name="distances">How far each is.</param>
    /// <param name="photos">On how many photos.</param>
    public static PreparationChoice? ByRecords(PicturePreparation own, PreprocessingEvidence? before, IReadOnlyList<PicturePreparation> ways,
        IReadOnlyList<double> distances, int photos)
    {
        (PicturePreparation Way, double Distance)[] ranked = [.. ways.Zip(distances).OrderBy(each => each.Second)];
        var best = ranked[0];
        var next = ranked.First(other => other.Way.Scaling != best.Way.Scaling);
        if (!(best.Distance < StemEvidence.GoodEnough) || best.Distance > StemEvidence.ClearlyBetter * next.Distance)
        {
            return null;
        }

        // Red and blue are much alike in photos: the unusual order is believed where it fits clearly better.
        var turned = ranked.FirstOrDefault(other => other.Way.Scaling == best.Way.Scaling && other.Way.Values != best.Way.Values);
        var isTie = turned.Way is not null && best.Distance > StemEvidence.ClearlyBetter * turned.Distance;
        var chosen = isTie && (turned.Way!.Values == own.Values || (best.Way.Values != own.Values && turned.Way.Numbers.Order == ChannelOrder.Rgb))
            ? turned : best;
        PreprocessingTrial[] says = [.. ranked.Select(each => new PreprocessingTrial(each.Way.Scaling, each.Way.Numbers.Order, each.Way.Crop,
            each.Way.ResizeShortest, each.Way.Resample, null, null, Math.Round(each.Distance, 4), Math.Round(each.Distance - best.Distance, 4), null,
            each.Way == chosen.Way || (isTie && each.Way.Scaling == chosen.Way.Scaling)))];
        var sentence = string.Create(CultureInfo.InvariantCulture,
            $"for {Counted.Of(photos, "photo")} without labels the first layer gives what training recorded of it " +
            $"with {PicturePreparation.WordsOf(chosen.Way)} " +
            $"(off by {chosen.Distance:0.00}, the next scaling, {PicturePreparation.WordsOf(next.Way)}, by {next.Distance:0.00}). This says nothing of crop " +
            $"and resizer, and is weaker evidence than labels.");
        var isKnown = (before?.Certainty ?? PreprocessingCertainty.Known) == PreprocessingCertainty.Known;
        var evidence = new PreprocessingEvidence(isKnown ? PreprocessingCertainty.Known : PreprocessingCertainty.ShownByTheNetwork,
            isKnown ? $"{Reason(before)} {(chosen.Way.Values == own.Values ? "And" : "But")} {sentence}" : sentence, photos, false, says, isTie)
        {
            CropAssumed = before?.CropAssumed,
        };
        return isKnown ? new(own, evidence, chosen.Way.Values != own.Values) : new(chosen.Way, evidence);
    }

    private static bool IsTied((double Mean, double Error) behind, double within) => behind.Mean <= Math.Max(Nothing, within * behind.Error);

    private static PreprocessingTrial[] Table(IReadOnlyList<Tally> ranked, Tally best, IReadOnlyList<Tally> tied, bool labelled) =>
    [
        .. ranked.Select(tally =>
        {
            var (mean, error) = best.Behind(tally);
            var way = tally.Way;
            return new PreprocessingTrial(way.Scaling, way.Numbers.Order, way.Crop, way.ResizeShortest, way.Resample,
                labelled ? Math.Round(tally.Top1, 4) : null, Math.Round(tally.Confidence, 4), null, Math.Round(mean, 4), Math.Round(error, 4),
                tied.Contains(tally));
        }),
    ];

    private static string Ways(IReadOnlyList<Tally> tied, Tally chosen) =>
        tied.Count == 2 ? tied.First(tally => tally != chosen).Way.Words : $"{tied.Count - 1} other ways";

    /// <summary>Why it was so before photos were asked.</summary>
    public static string Reason(PreprocessingEvidence? before) => before is null ? "the manifest says it."
        : before.Photos is not null && before.Reason.IndexOf(". ", StringComparison.Ordinal) is > 0 and var end ? before.Reason[..(end + 1)] : before.Reason;

    private static string Percent(double share) => share.ToString("0.0 %", CultureInfo.InvariantCulture);

    private static string Difference((double Mean, double Error) behind) =>
        string.Create(CultureInfo.InvariantCulture, $"{behind.Mean:0.000} ± {behind.Error:0.000}");
}
