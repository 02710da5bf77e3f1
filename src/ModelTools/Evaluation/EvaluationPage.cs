using System.Globalization;
using System.Net;
using System.Text;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Train;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>Photos that a report shows beside its figures.</summary>
/// <param name="Title">What they have in common.</param>
/// <param name="Note">Why they are shown, in a sentence.</param>
/// <param name="Pictures">The photos.</param>
internal sealed record ReportGallery(string Title, string Note, IReadOnlyList<ReportPicture> Pictures);

/// <summary>A photo of a report.</summary>
/// <param name="Photo">The photo.</param>
/// <param name="Caption">What is to be said of it.</param>
/// <param name="Small">What else.</param>
internal sealed record ReportPicture(LabelledPhoto Photo, string Caption, string Small);

/// <summary>An evaluation as one HTML file: no script, no network, pictures inside, light and dark.</summary>
internal static class EvaluationPage
{
    private const int MaxMistakes = 36;
    private const int MaxConfusions = 20;
    private const int MaxMatrix = 150;
    private const int ThumbnailSide = 176;

    private const string Style = """
        :root { color-scheme: light dark; --text: #1c2024; --soft: #60646c; --line: #e0e3e8; --back: #f7f8fa; --card: #fff; --accent: #0b6e4f; --good: 11 110 79; --bad: 205 43 49 }
        @media (prefers-color-scheme: dark) { :root { --text: #edeef0; --soft: #a5aab3; --line: #32363d; --back: #111317; --card: #1a1d22; --accent: #4cc38a; --good: 76 195 138; --bad: 255 99 105 } }
        * { box-sizing: border-box }
        body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums }
        main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
        h1 { margin: 0; font-size: 2rem; letter-spacing: -.02em } h2 { margin: 0 0 .75rem; font-size: 1.15rem }
        header p, .note { color: var(--soft); margin: .35rem 0 0 } .note { font-size: .875rem; margin: .75rem 0 0 }
        section { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1.25rem; margin-top: 1.25rem; overflow-x: auto }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .9rem; margin-top: 1.5rem }
        .tile { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: .9rem 1.1rem } .tile b { display: block; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.02em } .tile span { color: var(--soft); font-size: .875rem }
        .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 1.25rem }
        table { border-collapse: collapse; width: 100%; font-size: .9375rem } th, td { padding: .4rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap } tr:last-child td { border-bottom: 0 }
        th { color: var(--soft); font-weight: 500 } th:first-child, td:first-child, .left { text-align: left; white-space: normal }
        .bar { display: inline-block; width: 6rem; height: .5rem; border-radius: 4px; background: var(--line); overflow: hidden; vertical-align: middle } .bar i { display: block; height: 100%; background: var(--accent) }
        .gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem } figure { margin: 0 } figure img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 10px; background: var(--line); display: block }
        figcaption { font-size: .875rem; margin-top: .4rem; overflow-wrap: anywhere } figcaption b { color: rgb(var(--bad)) } figcaption em { font-style: normal; color: rgb(var(--good)); font-weight: 600 } figcaption small { color: var(--soft); display: block }
        svg { display: block; width: 100%; height: auto } .two svg { max-width: 24rem; margin: 0 auto } svg text { fill: var(--soft); font-size: 11px } .axis { stroke: var(--line) } .ideal { stroke: var(--soft); stroke-dasharray: 4 4 } .curve { fill: none; stroke: var(--accent); stroke-width: 2 } .fill { fill: var(--accent) } .right { fill: rgb(var(--good)) } .wrong { fill: rgb(var(--bad)) }
        details summary { cursor: pointer; color: var(--accent); margin-top: .75rem } footer { color: var(--soft); font-size: .875rem; margin-top: 2rem }
        """;

    /// <summary>Writes the page.</summary>
    /// <param name="evaluation">What was measured.</param>
    /// <param name="evaluator">Makes photos small.</param>
    /// <param name="galleries">More photos to show, and why.</param>
    /// <param name="tuned">How every layer was trained, if it was.</param>
    public static string Write(EvaluationResult evaluation, Evaluator evaluator, IReadOnlyList<ReportGallery>? galleries = null, FineTuned? tuned = null)
    {
        var manifest = evaluation.Manifest;
        var figures = evaluation.Figures;
        var title = manifest.Title ?? manifest.Name;
        var what = $"{Text(manifest.Name)} {Text(manifest.Version)} · {Text(evaluation.Variants[0].Variant)}";
        var photos = Counted.Of(figures.Labelled.Count, "labelled photo");
        var seen = figures.Classes.Count(entry => entry.Photos > 0);
        var page = new StringBuilder();
        page.Append($"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
            <title>{Text(title)}: evaluation</title>
            <style>{Style}</style>
            </head>
            <body>
            <main>
            <header>
            <h1>{Text(title)}</h1>
            <p>{what} · {photos} of {Text(evaluation.Source)} · {seen:N0} of {figures.Classes.Count:N0} classes</p>
            <p>{Text(evaluation.Machine)}</p>
            </header>

            """);
        Tiles(page, evaluation);
        if (evaluation.Variants.Count > 1)
        {
            Variants(page, evaluation);
        }

        if (tuned is not null)
        {
            Curve(page, tuned);
        }

        page.Append("<div class=\"two\">\n");
        Calibration(page, figures);
        Latencies(page, figures);
        page.Append("</div>\n");
        Mistakes(page, evaluation, evaluator);
        foreach (var gallery in galleries ?? [])
        {
            Gallery(page, gallery, evaluator);
        }

        Confusion(page, figures);
        Classes(page, figures);
        Failures(page, figures);
        page.Append(
            "<footer>Measured by <code>whatsit evaluate</code> through the code that serves: decoding, preprocessing, queue, " +
            "model.</footer>\n</main>\n</body>\n</html>\n");
        return page.ToString();
    }

    private static void Tiles(StringBuilder page, EvaluationResult evaluation)
    {
        var figures = evaluation.Figures;
        (var low, var high) = Interval(figures.Right, figures.Labelled.Count);
        page.Append("<div class=\"tiles\">\n");
        Tile($"{Percent(figures.Top1)}", $"top-1 (95 %: {Percent(low)} to {Percent(high)})");
        Tile($"{Percent(figures.Top5)}", "top-5");
        if (figures.CoarseTop1 is { } coarse)
        {
            Tile(Percent(coarse), "right group");
        }

        Tile(Percent(figures.CalibrationError), "calibration error");
        if (figures.Abstention is { } abstention)
        {
            Tile(Percent(abstention.WrongCaught), $"of mistakes become “not sure”, and {Percent(1 - abstention.RightKept)} of right answers");
        }

        if (evaluation.Variants[0].Others is { } others)
        {
            var auroc = others.Auroc is { } area ? $" (AUROC {area:0.000})" : "";
            Tile(Percent(others.Labelled),
                $"of {Counted.Of(others.Photos, "photo")} of other things get a label, {Percent(others.Refused)} of its own none{auroc}");
        }

        Tile($"{Milliseconds(evaluation.Variants[0].Median("total"))}", "a photo, median");
        page.Append("</div>\n");

        void Tile(string value, string caption) => page.Append($"<div class=\"tile\"><b>{Text(value)}</b><span>{Text(caption)}</span></div>\n");
    }

    private static void Variants(StringBuilder page, EvaluationResult evaluation)
    {
        var grouped = evaluation.Figures.CoarseTop1 is not null;
        page.Append(
            "<section>\n<h2>Variants</h2>\n<table>\n<tr><th>Variant</th><th " +
            "class=\"left\">Network</th><th>Parameters</th><th>Size</th><th>Top-1</th><th>Top-5</th>");
        page.Append(grouped ? "<th>Group</th>" : "").Append("<th>Same answer</th><th>Calibration error</th><th>Compute</th><th>Total</th></tr>\n");
        foreach (var row in evaluation.Variants)
        {
            page.Append(
                $"<tr><td>{Text(row.Variant)}</td><td class=\"left\">{Text(row.Network)}</td><td>{row.Parameters / 1e6:0.00} " +
                $"M</td><td>{row.Bytes / 1e6:0.00} MB</td><td>{Percent(row.Figures.Top1)}</td><td>{Percent(row.Figures.Top5)}</td>");
            page.Append(grouped ? $"<td>{Percent(row.Figures.CoarseTop1 ?? 0)}</td>" : "");
            page.Append(
                $"<td>{(row.Agreement is { } agreement ? Percent(agreement.SameTop1) : "")}</td><td>{Percent(row.Figures.CalibrationError)}</td><td>{Milliseconds(row.Median("compute"))}</td><td>{Milliseconds(row.Median("total"))}</td></tr>\n");
        }

        page.Append("</table>\n</section>\n");
    }

    /// <summary>How the answers to photos that judge became better, epoch by epoch.</summary>
    private static void Curve(StringBuilder page, FineTuned tuned)
    {
        const int width = 640, height = 180, left = 34, top = 8;
        var last = Math.Max(1, tuned.History[^1].Epoch);
        page.Append("<section>\n<h2>Training</h2>\n");
        page.Append($"<svg viewBox=\"0 0 {width + left + 12} {height + top + 36}\" role=\"img\" aria-label=\"Top-1 by epoch\">\n");
        for (var tick = 0; tick <= 4; tick++)
        {
            var at = height * tick / 4;
            page.Append($"<path class=\"axis\" d=\"M{left} {top + height - at}h{width}\"/>");
            page.Append($"<text x=\"{left - 6}\" y=\"{top + height - at + 4}\" text-anchor=\"end\">{tick * 25}</text>\n");
        }

        page.Append($"<polyline class=\"curve\" points=\"{string.Join(' ', tuned.History.Select(epoch => $"{X(epoch)},{Y(epoch)}"))}\"/>\n");
        foreach (var epoch in tuned.History)
        {
            page.Append($"<circle class=\"{(epoch.Epoch == tuned.Best ? "right" : "fill")}\" cx=\"{X(epoch)}\" cy=\"{Y(epoch)}\" r=\"4\">");
            page.Append($"<title>Epoch {epoch.Epoch}: top-1 {Percent(epoch.Top1)}, cross entropy {epoch.CrossEntropy:0.000}");
            page.Append($"{(epoch.Loss is { } loss ? $", loss {loss:0.000}" : "")}</title></circle>\n");
        }

        page.Append($"<text x=\"{left + (width / 2)}\" y=\"{top + height + 32}\" text-anchor=\"middle\">epochs, 0 to {last} (top-1, %)</text>\n</svg>\n");
        page.Append("<p class=\"note\">On the photos that judge, by the mean of the weights. Epoch 0 is the base with its new last layer; ");
        page.Append($"epoch {tuned.Best} was kept.</p>\n</section>\n");

        string X(FineTuningEpoch epoch) => Number(left + ((double)width * epoch.Epoch / last));

        string Y(FineTuningEpoch epoch) => Number(top + (height * (1 - epoch.Top1)));
    }

    /// <summary>Accuracy over confidence: on the diagonal, confidence means what it says.</summary>
    private static void Calibration(StringBuilder page, Figures figures)
    {
        const int side = 260, left = 34, top = 8;
        page.Append("<section>\n<h2>Calibration</h2>\n");
        page.Append($"<svg viewBox=\"0 0 {side + left + 12} {side + top + 36}\" role=\"img\" aria-label=\"Share of right answers by confidence\">\n");
        for (var tick = 0; tick <= 4; tick++)
        {
            var at = side * tick / 4;
            page.Append(
                $"<path class=\"axis\" d=\"M{left} {top + side - at}h{side}\"/><text x=\"{left - 6}\" y=\"{top + side - at + 4}\" " +
                $"text-anchor=\"end\">{tick * 25}</text><text x=\"{left + at}\" y=\"{top + side + 16}\" text-anchor=\"middle\">{tick * 25}</text>\n");
        }

        var most = Math.Max(1, figures.Calibration.Max(bin => bin.Photos));
        foreach (var bin in figures.Calibration.Where(bin => bin.Photos > 0))
        {
            var width = (bin.To - bin.From) * side;
            page.Append(
                $"<rect class=\"fill\" fill-opacity=\"{Number(0.25 + (0.75 * bin.Photos / most))}\" x=\"{Number(left + (bin.From * side) + 1)}\" " +
                $"y=\"{Number(top + (side * (1 - bin.Accuracy)))}\" width=\"{Number(width - 2)}\" height=\"{Number(Math.Max(1, side * bin.Accuracy))}\" " +
                $"rx=\"2\">");
            page.Append(
                $"<title>{Percent(bin.From)} to {Percent(bin.To)}: {Counted.Of(bin.Photos, "photo")}, {Percent(bin.Accuracy)} right at " +
                $"{Percent(bin.Confidence)} mean confidence</title></rect>\n");
        }

        page.Append(
            $"<path class=\"ideal\" d=\"M{left} {top + side}L{left + side} {top}\"/><text x=\"{left + (side / 2)}\" y=\"{top + side + 32}\" " +
            $"text-anchor=\"middle\">confidence, % (bars: right answers, %)</text>\n</svg>\n");
        page.Append("<p class=\"note\">Bars above the line: better than the model says. Pale bars hold few photos.</p>\n</section>\n");
    }

    private static void Latencies(StringBuilder page, Figures figures)
    {
        var longest = Math.Max(1e-9, figures.Latencies.Max(latency => latency.P50));
        page.Append("<section>\n<h2>Milliseconds</h2>\n<table>\n<tr><th>Stage</th><th></th><th>Median</th><th>90 %</th><th>99 %</th><th>Mean</th></tr>\n");
        foreach (var latency in figures.Latencies)
        {
            page.Append(
                $"<tr><td>{latency.Stage}</td><td><span class=\"bar\"><i " +
                $"style=\"width:{Number(100 * latency.P50 / longest)}%\"></i></span></td><td>{latency.P50:0.0}</td><td>{latency.P90:0.0}</td><td>{latency.P99:0.0}</td><td>{latency.Mean:0.0}</td></tr>\n");
        }

        page.Append("</table>\n</section>\n");
    }

    private static void Mistakes(StringBuilder page, EvaluationResult evaluation, Evaluator evaluator)
    {
        PhotoAnswer[] mistakes = [.. evaluation.Figures.WorstMistakes];
        if (mistakes.Length == 0)
        {
            return;
        }

        page.Append(
            $"<section>\n<h2>{(mistakes.Length > MaxMistakes ? $"The {MaxMistakes} surest of {mistakes.Length} mistakes" : $"All {mistakes.Length} mistakes, the surest first")}</h2>\n<div class=\"gallery\">\n");
        foreach (var mistake in mistakes.Take(MaxMistakes))
        {
            var truth = evaluation.Classes[mistake.Photo.Label!.Value];
            page.Append(
                $"<figure>{Thumbnail(mistake.Photo, evaluator)}<figcaption><b>{Text(evaluation.Classes[mistake.Best].Label)}</b> " +
                $"{Percent(mistake.Confidence)}<br><em>{Text(truth.Label)}</em> " +
                $"{Percent(mistake.Probabilities[truth.Index])}<small>{(mistake.Place <= 10 ? $"right one in place {mistake.Place}" : "right one beyond the first ten")}</small></figcaption></figure>\n");
        }

        page.Append("</div>\n</section>\n");
    }

    private static void Gallery(StringBuilder page, ReportGallery gallery, Evaluator evaluator)
    {
        page.Append($"<section>\n<h2>{Text(gallery.Title)}</h2>\n<p class=\"note\">{Text(gallery.Note)}</p>\n<div class=\"gallery\">\n");
        foreach (var picture in gallery.Pictures)
        {
            page.Append($"<figure>{Thumbnail(picture.Photo, evaluator)}<figcaption>{Text(picture.Caption)}");
            page.Append($"<small>{Text(picture.Small)}</small></figcaption></figure>\n");
        }

        page.Append("</div>\n</section>\n");
    }

    private static string Thumbnail(LabelledPhoto photo, Evaluator evaluator) => $"<img alt=\"{Text(photo.Name)}\" title=\"{Text(photo.Name)}\" " +
        $"src=\"data:image/jpeg;base64,{Convert.ToBase64String(evaluator.Thumbnail(photo, ThumbnailSide))}\">";

    private static void Confusion(StringBuilder page, Figures figures)
    {
        if (figures.Confusions.Count == 0)
        {
            return;
        }

        page.Append("<section>\n<h2>Confusion</h2>\n");
        ClassFigures[] shown = [.. figures.Classes.Where(entry => entry.Photos > 0 || entry.Named > 0)];
        if (shown.Length <= MaxMatrix)
        {
            Matrix(page, figures, shown);
        }

        page.Append("<table>\n<tr><th>Shows</th><th class=\"left\">Taken for</th><th>Photos</th></tr>\n");
        foreach ((var truth, var answer, var photos) in figures.Confusions.Take(MaxConfusions))
        {
            page.Append($"<tr><td>{Text(truth.Label)}</td><td class=\"left\">{Text(answer.Label)}</td><td>{photos}</td></tr>\n");
        }

        page.Append("</table>\n");
        if (figures.Confusions.Count > MaxConfusions)
        {
            page.Append($"<p class=\"note\">and {figures.Confusions.Count - MaxConfusions} pairs more, each once or as often as the last.</p>\n");
        }

        page.Append("</section>\n");
    }

    private static void Matrix(StringBuilder page, Figures figures, ClassFigures[] shown)
    {
        const int side = 640;
        const int names = 150;
        var cell = (double)side / shown.Length;
        var named = cell >= 7;
        var left = named ? names : 4;
        var place = shown.Select((entry, index) => (entry.Class.Index, index)).ToDictionary();
        page.Append(
            $"<svg viewBox=\"0 0 {side + left + 4} {side + 24}\" role=\"img\" aria-label=\"Confusion matrix\" style=\"max-width:52rem;margin:0 auto 1rem\">\n");
        page.Append($"<rect class=\"axis\" x=\"{left}\" y=\"0\" width=\"{side}\" height=\"{side}\" fill=\"none\"/>\n");
        foreach (var entry in shown)
        {
            if (named)
            {
                page.Append(
                    $"<text x=\"{left - 5}\" y=\"{Number(((place[entry.Class.Index] + 0.5) * cell) + 2.5)}\" text-anchor=\"end\" " +
                    $"style=\"font-size:{Number(Math.Min(11, cell - 1))}px\">{Text(Short(entry.Class.Label))}</text>\n");
            }

            if (entry.Right > 0)
            {
                Cell("right", entry.Class, entry.Class, entry.Right, entry.Photos);
            }
        }

        foreach ((var truth, var answer, var photos) in figures.Confusions)
        {
            Cell("wrong", truth, answer, photos, figures.Classes[truth.Index].Photos);
        }

        page.Append(
            $"<text x=\"{left + (side / 2)}\" y=\"{side + 18}\" text-anchor=\"middle\">rows: what the photo shows · columns, in the same order: what the " +
            $"model said</text>\n</svg>\n");

        void Cell(string kind, ClassLabel truth, ClassLabel answer, int photos, int of)
        {
            page.Append(
                $"<rect class=\"{kind}\" fill-opacity=\"{Number(0.3 + (0.7 * photos / of))}\" x=\"{Number(left + (place[answer.Index] * cell))}\" " +
                $"y=\"{Number(place[truth.Index] * cell)}\" width=\"{Number(cell)}\" height=\"{Number(cell)}\">");
            page.Append($"<title>{Text(truth.Label)} → {Text(answer.Label)}: {photos} of {of}</title></rect>\n");
        }
    }

    private static void Classes(StringBuilder page, Figures figures)
    {
        page.Append(
            "<section>\n<h2>Classes</h2>\n<details><summary>Every class that has photos, the weakest " +
            "first</summary>\n<table>\n<tr><th>Class</th><th>Photos</th><th>Right</th><th></th><th>Recall</th><th>Precision</th></tr>\n");
        foreach (var entry in figures.Classes.Where(entry => entry.Photos > 0).OrderBy(entry => entry.Recall).ThenByDescending(entry => entry.Photos)
            .ThenBy(entry => entry.Class.Index))
        {
            page.Append(
                $"<tr><td>{Text(entry.Class.Label)}</td><td>{entry.Photos}</td><td>{entry.Right}</td><td><span class=\"bar\"><i " +
                $"style=\"width:{Number(100 * entry.Recall!.Value)}%\"></i></span></td><td>{Percent(entry.Recall.Value)}</td><td>{(entry.Precision is { } precision ? Percent(precision) : "–")}</td></tr>\n");
        }

        page.Append("</table>\n</details>\n</section>\n");
    }

    private static void Failures(StringBuilder page, Figures figures)
    {
        var unlabelled = figures.Answers.Photos.Count - figures.Labelled.Count;
        if (figures.Answers.Failures.Count == 0 && unlabelled == 0)
        {
            return;
        }

        page.Append("<section>\n<h2>Left out</h2>\n");
        if (unlabelled > 0)
        {
            page.Append($"<p>{Counted.Of(unlabelled, "photo has", "photos have")} no label that the model knows, and only a latency.</p>\n");
        }

        if (figures.Answers.Failures.Count > 0)
        {
            page.Append("<table>\n<tr><th>Photo</th><th class=\"left\">Problem</th></tr>\n");
            foreach ((var photo, var problem) in figures.Answers.Failures)
            {
                page.Append($"<tr><td>{Text(photo.Name)}</td><td class=\"left\">{Text(problem)}</td></tr>\n");
            }

            page.Append("</table>\n");
        }

        page.Append("</section>\n");
    }

    /// <summary>
    /// Between which shares the truth lies in 19 of 20 cases: Wilson's score interval, which stays right for few photos and shares near 1.
    /// https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
    /// </summary>
    private static (double Low, double High) Interval(int right, int photos)
    {
        const double z = 1.96;
        var share = (double)right / photos;
        var centre = (share + (z * z / (2 * photos))) / (1 + (z * z / photos));
        var half = z / (1 + (z * z / photos)) * Math.Sqrt((share * (1 - share) / photos) + (z * z / (4d * photos * photos)));
        return (Math.Max(0, centre - half), Math.Min(1, centre + half));
    }

    private static string Short(string label) => label.Length <= 26 ? label : label[..25] + "…";

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string Percent(double share) => $"{share * 100:0.0} %";

    private static string Milliseconds(double milliseconds) => $"{milliseconds:0.0} ms";

    private static string Number(double number) => number.ToString("0.###", CultureInfo.InvariantCulture);
}
