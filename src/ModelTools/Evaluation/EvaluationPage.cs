using System.Globalization;
using System.Net;
using System.Text;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
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

/// <summary>An evaluation as one HTML file with the page's look: no script, no network, pictures inside, light and dark.</summary>
internal static class EvaluationPage
{
    private const int MaxMistakes = 36;
    private const int MaxConfusions = 20;
    private const int MaxMatrix = 150;
    private const int ThumbnailSide = 176;
    private static readonly double[] Shares = [1, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7];

    // The page's own tokens (client/src/styles.css): printed labels on shelf-green paper; what is right is leaf, what is wrong tomato.
    private const string Style = """
        :root {
          color-scheme: light dark;
          --page: light-dark(#dfe8d8, #0d120f);
          --paper: light-dark(#fcfdf9, #171d19);
          --ink: light-dark(#10160e, #eef3e8);
          --ink-soft: light-dark(#4b5647, #a3b09f);
          --rule: light-dark(#10160e, #dfe7d8);
          --hair: light-dark(#10160e2e, #eef3e833);
          --server: light-dark(#0b6146, #55cda0);
          --browser: light-dark(#cf3c17, #ff815e);
          --frame: 3px;
          font: 400 16px/1.4 'Archivo', system-ui, sans-serif; font-variant-numeric: tabular-nums; word-spacing: 0.07em;
          color: var(--ink); background: var(--page); -webkit-text-size-adjust: 100%;
        }
        *, *::before, *::after { box-sizing: border-box }
        body { margin: 0 }
        h1, h2, p, dl, dd, figure { margin: 0 }
        main { max-width: 1376px; margin: 0 auto; padding: 0 16px 48px; display: grid; grid-template-columns: minmax(0, 1fr); gap: 24px }
        .wordmark { padding-top: 14px; font-size: 1.75rem; font-weight: 900; letter-spacing: -0.045em }
        h1 { margin-top: 20px; font-size: clamp(2.25rem, 6.6vw, 4.5rem); font-weight: 900; line-height: 1; letter-spacing: -0.03em; overflow-wrap: anywhere; text-wrap: balance }
        header p + p, .note { margin-top: 8px; color: var(--ink-soft) } .note { font-size: 0.875rem; text-wrap: pretty } .what { font-size: 1.125rem }
        section, .tiles div { padding: 14px 16px 18px; border: var(--frame) solid var(--rule); background: var(--paper); min-width: 0 }
        h2 { padding-bottom: 10px; margin-bottom: 14px; border-bottom: 10px solid var(--rule); font-size: 2rem; font-weight: 900; line-height: 1.1; letter-spacing: -0.03em; word-spacing: 0.09em; overflow-wrap: anywhere }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); gap: 24px }
        .tiles dd { font-size: 2.375rem; font-weight: 900; line-height: 1.04; letter-spacing: -0.04em; word-spacing: 0.08em } .tiles dt { margin-top: 8px; padding-top: 8px; border-top: 4px solid var(--rule); font-size: 0.875rem; font-weight: 600 }
        .tiles div { display: flex; flex-direction: column-reverse; justify-content: flex-end }
        .two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 24px }
        .wide { overflow-x: auto }
        table { border-collapse: collapse; width: 100% } th, td { padding: 9px 0 8px 16px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; font-weight: 700 } td { font-weight: 600 }
        th { color: var(--ink-soft); font-size: 0.8125rem; font-weight: 600; vertical-align: bottom; white-space: normal } th:first-child, td:first-child { padding-left: 0 } th:first-child, td:first-child, .left { text-align: left; white-space: normal; overflow-wrap: break-word }
        .now td { color: var(--server); font-weight: 800 }
        .bar { display: inline-block; width: clamp(3rem, 12vw, 8rem); height: 8px; border-bottom: 1px solid var(--rule); vertical-align: middle } .bar i { display: block; height: 7px; background: var(--server) }
        .gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9.5rem, 100%), 1fr)); gap: 20px 16px } figure img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; background: var(--hair) }
        figcaption { margin-top: 6px; font-size: 0.875rem; line-height: 1.25; overflow-wrap: anywhere } figcaption b { color: var(--browser); font-weight: 800 } figcaption em { color: var(--server); font-style: normal; font-weight: 800 } figcaption small { display: block; margin-top: 4px; font-size: 0.8125rem; color: var(--ink-soft) }
        svg { display: block; width: 100%; height: auto } .chart { max-width: 34rem; margin: 0 auto } svg text { fill: var(--ink-soft); font-size: 13px; word-spacing: 0 } svg .title, svg .mark { fill: var(--ink); font-weight: 700 }
        .axis { fill: none; stroke: var(--hair) } .base { stroke: var(--rule); stroke-width: 3 } .ideal { fill: none; stroke: var(--ink-soft); stroke-width: 2; stroke-dasharray: 2 5 } .curve { fill: none; stroke: var(--server); stroke-width: 3 }
        .fill, .right { fill: var(--server) } .wrong, .chosen { fill: var(--browser) } circle { stroke: var(--paper); stroke-width: 2 }
        .matrix { margin-bottom: 18px } .matrix svg { max-width: 72rem; margin: 0 auto }
        details summary { font-weight: 700; cursor: pointer; text-decoration: underline; text-decoration-thickness: 2px; text-underline-offset: 4px }
        :focus-visible { outline: 3px solid var(--browser); outline-offset: 3px }
        code { font: inherit; font-weight: 700; color: var(--ink) } footer { font-size: 0.875rem; color: var(--ink-soft) }
        @media (width >= 860px) { main { padding-inline: 40px } }
        @media print { :root { color-scheme: light } section, figure { break-inside: avoid } }
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
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:">
            <title>{Text(title)}: evaluation</title>
            <style>{PageFont.Face(AppContext.BaseDirectory)}{Style}</style>
            </head>
            <body>
            <main>
            <header>
            <p class="wordmark">Whatsit</p>
            <h1>{Text(title)}</h1>
            <p class="what">{what} · {photos} of {Text(evaluation.Source)} · {seen:N0} of {Counted.Of(figures.Classes.Count, "class", "classes")}</p>
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
        Thresholds(page, evaluation.Manifest, figures);
        Calibration(page, figures);
        page.Append("</div>\n");
        Mistakes(page, evaluation, evaluator);
        foreach (var gallery in galleries ?? [])
        {
            Gallery(page, gallery, evaluator);
        }

        Confusion(page, figures);
        Classes(page, figures);
        Latencies(page, figures);
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
        page.Append("<dl class=\"tiles\">\n");
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
        page.Append("</dl>\n");

        void Tile(string value, string caption) => page.Append($"<div><dt>{Text(caption)}</dt><dd>{Text(value)}</dd></div>\n");
    }

    private static void Variants(StringBuilder page, EvaluationResult evaluation)
    {
        var grouped = evaluation.Figures.CoarseTop1 is not null;
        page.Append(
            "<section>\n<h2>Variants</h2>\n<div class=\"wide\">\n<table>\n<tr><th>Variant</th><th " +
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

        page.Append("</table>\n</div>\n</section>\n");
    }

    /// <summary>How the answers to photos that judge became better, epoch by epoch.</summary>
    private static void Curve(StringBuilder page, FineTuned tuned)
    {
        var chart = new Chart("Top-1 by epoch", Axis.Whole("Epoch", Math.Max(1, tuned.History[^1].Epoch)), Axis.Percent("Top-1, %"));
        chart.Line("curve", tuned.History.Select(epoch => ((double)epoch.Epoch, epoch.Top1)));
        foreach (var epoch in tuned.History)
        {
            var loss = epoch.Loss is { } mean ? $", loss {mean:0.000}" : "";
            chart.Point(epoch.Epoch, epoch.Top1, $"Epoch {epoch.Epoch}: top-1 {Percent(epoch.Top1)}, cross entropy {epoch.CrossEntropy:0.000}{loss}",
                epoch.Epoch == tuned.Best ? "kept" : null);
        }

        page.Append($"<section>\n<h2>Training</h2>\n{chart}<p class=\"note\">On the photos that judge, by the mean of the weights. ")
            .Append($"Epoch 0 is the base with its new last layer; epoch {tuned.Best} was kept.</p>\n</section>\n");
    }

    /// <summary>What each threshold would do, to choose one by: the fewer photos are answered, the more of the answers are right.</summary>
    private static void Thresholds(StringBuilder page, ModelManifest manifest, Figures figures)
    {
        const double fewest = 0.1;
        var all = figures.Labelled.Count;
        OperatingPoint[] points = [.. figures.Thresholds.Where(point => point.Answered >= fewest * all)];
        if (points.Length == 0)
        {
            return;
        }

        var least = Math.Min(0.8, Math.Floor(points.Min(point => point.Accuracy) * 5) / 5);
        var now = manifest.Abstain is { } abstain ? figures.Thresholds.LastOrDefault(point => point.Threshold >= abstain.Threshold) : null;
        var chart = new Chart("Share of right answers by the share of photos that are answered, for every threshold",
            Axis.Percent("Photos that are answered, %"), Axis.Percent("Answers that are right, %", least));
        chart.Line("curve", points.Select(point => (Share(point), point.Accuracy)));
        OperatingPoint[] rows = [.. Shares.Select(share => points.FirstOrDefault(point => point.Answered >= share * all)).Append(now).OfType<OperatingPoint>()
            .Distinct().OrderByDescending(point => point.Answered)];
        foreach (var point in rows.Where(point => point.Accuracy >= least))
        {
            var threshold = $"{(point == now ? "Now: threshold" : "Threshold")} {Threshold(point)}";
            chart.Point(Share(point), point.Accuracy, $"{threshold}: {Percent(Share(point))} answered, {Percent(point.Accuracy)} of them right",
                point == now ? $"now {Threshold(point)}" : null);
        }

        page.Append($"<section>\n<h2>When to say “not sure”</h2>\n{chart}<div class=\"wide\">\n<table>\n")
            .Append("<tr><th>Threshold</th><th>Answered</th><th>Right</th><th>Wrong answers given</th></tr>\n");
        foreach (var point in rows)
        {
            page.Append($"<tr{(point == now ? " class=\"now\"" : "")}><td>{Threshold(point)}{(point == now ? " now" : "")}</td>")
                .Append($"<td>{Percent(Share(point))}</td><td>{Percent(point.Accuracy)}</td><td>{point.Answered - point.Right:N0} of {all:N0}</td></tr>\n");
        }

        page.Append("</table>\n</div>\n<p class=\"note\">Under the threshold the answer is “not sure”. ")
            .Append($"<code>whatsit set {Text(manifest.Name)} abstain.threshold={Threshold(rows[^1])}</code> sets one. ")
            .Append("Photos of other things are another question: <code>whatsit abstain</code> measures it.</p>\n</section>\n");

        double Share(OperatingPoint point) => (double)point.Answered / all;

        // The manifest's own, as it stands there; others rounded down, so that the photo that gave it is still answered.
        string Threshold(OperatingPoint point) =>
            (point == now ? manifest.Abstain!.Threshold : Math.Floor(point.Threshold * 1e4) / 1e4).ToString("0.####", CultureInfo.InvariantCulture);
    }

    /// <summary>Accuracy over confidence: on the diagonal, confidence means what it says.</summary>
    private static void Calibration(StringBuilder page, Figures figures)
    {
        var chart = new Chart("Share of right answers by confidence", Axis.Percent("Confidence, %"), Axis.Percent("Answers that are right, %"));
        var most = Math.Max(1, figures.Calibration.Max(bin => bin.Photos));
        foreach (var bin in figures.Calibration.Where(bin => bin.Photos > 0))
        {
            chart.Bar(bin.From, bin.To, bin.Accuracy, 0.25 + (0.75 * bin.Photos / most),
                $"{Percent(bin.From)} to {Percent(bin.To)}: {Counted.Of(bin.Photos, "photo")}, {Percent(bin.Accuracy)} right at " +
                $"{Percent(bin.Confidence)} mean confidence");
        }

        chart.Line("ideal", [(0, 0), (1, 1)]);
        page.Append($"<section>\n<h2>Calibration</h2>\n{chart}")
            .Append("<p class=\"note\">Bars above the line: better than the model says. Pale bars hold few photos.</p>\n</section>\n");
    }

    private static void Latencies(StringBuilder page, Figures figures)
    {
        var longest = Math.Max(1e-9, figures.Latencies.Max(latency => latency.P50));
        page.Append("<section>\n<h2>Milliseconds</h2>\n<div class=\"wide\">\n<table>\n")
            .Append("<tr><th>Stage</th><th></th><th>Median</th><th>90 %</th><th>99 %</th><th>Mean</th></tr>\n");
        foreach (var latency in figures.Latencies)
        {
            page.Append(
                $"<tr><td>{latency.Stage}</td><td><span class=\"bar\"><i " +
                $"style=\"width:{Chart.Number(100 * latency.P50 / longest)}%\"></i></span></td><td>{latency.P50:0.0}</td><td>{latency.P90:0.0}</td><td>{latency.P99:0.0}</td><td>{latency.Mean:0.0}</td></tr>\n");
        }

        page.Append("</table>\n</div>\n</section>\n");
    }

    private static void Mistakes(StringBuilder page, EvaluationResult evaluation, Evaluator evaluator)
    {
        PhotoAnswer[] mistakes = [.. evaluation.Figures.WorstMistakes];
        if (mistakes.Length == 0)
        {
            return;
        }

        page.Append(
            $"<section>\n<h2>{(mistakes.Length > MaxMistakes ? $"The {MaxMistakes} surest of {Counted.Of(mistakes.Length, "mistake")}" : $"{Counted.Of(mistakes.Length, "mistake")}, the surest first")}</h2>\n<div class=\"gallery\">\n");
        foreach (var mistake in mistakes.Take(MaxMistakes))
        {
            var truth = evaluation.Classes[mistake.Photo.Label!.Value];
            page.Append(
                $"<figure>{Thumbnail(mistake.Photo, evaluator)}<figcaption><b>{Text(evaluation.Classes[mistake.Best].Label)}</b> " +
                $"{Percent(mistake.Confidence)}<br>is <em>{Text(truth.Label)}</em> " +
                $"{Percent(mistake.Probabilities[truth.Index])}<small>{(mistake.Place <= 10 ? $"right one in place {mistake.Place}" : "right one beyond the first ten")} · {Text(mistake.Photo.Name)}</small></figcaption></figure>\n");
        }

        page.Append("</div>\n</section>\n");
    }

    private static void Gallery(StringBuilder page, ReportGallery gallery, Evaluator evaluator)
    {
        page.Append($"<section>\n<h2>{Text(gallery.Title)}</h2>\n<p>{Text(gallery.Note)}</p>\n<div class=\"gallery\">\n");
        foreach (var picture in gallery.Pictures)
        {
            page.Append($"<figure>{Thumbnail(picture.Photo, evaluator)}<figcaption>{Text(picture.Caption)}");
            page.Append($"<small>{Text(picture.Small)}</small></figcaption></figure>\n");
        }

        page.Append("</div>\n</section>\n");
    }

    private static string Thumbnail(LabelledPhoto photo, Evaluator evaluator) => $"<img alt=\"\" title=\"{Text(photo.Name)}\" " +
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
            page.Append($"<p class=\"note\">and {Counted.Of(figures.Confusions.Count - MaxConfusions, "pair")} more, each once or as often as the last.</p>\n");
        }

        page.Append("</section>\n");
    }

    private static void Matrix(StringBuilder page, Figures figures, ClassFigures[] shown)
    {
        const int names = 216, title = 24;
        const int left = names + title, edge = 4;
        var cell = Math.Clamp(560 / shown.Length, 13, 40);
        var side = cell * shown.Length;
        var place = shown.Select((entry, index) => (entry.Class.Index, index)).ToDictionary();
        // On a phone it is wider than the screen, and scrolled, rather than too small to be read.
        page.Append($"<div class=\"wide matrix\">\n<svg viewBox=\"0 0 {left + side + edge} {left + side + edge}\" ")
            .Append($"style=\"min-width:{(left + side) * 2 / 3}px\" ")
            .Append("role=\"img\" aria-label=\"Confusion matrix: a row for what the photo shows, a column for what the model said\">\n")
            .Append($"<text class=\"title\" x=\"{left + (side / 2)}\" y=\"14\" text-anchor=\"middle\">What the model said</text>")
            .Append($"<text class=\"title\" transform=\"translate(14 {left + (side / 2)}) rotate(-90)\" text-anchor=\"middle\">What the photo shows</text>\n");
        foreach (var entry in shown)
        {
            var at = left + (place[entry.Class.Index] * cell);
            var name = Text(Short(entry.Class.Label));
            page.Append($"<path class=\"axis\" d=\"M{left} {at}h{side}M{at} {left}v{side}\"/>")
                .Append($"<text x=\"{left - 6}\" y=\"{at + (cell / 2)}\" dy=\".35em\" text-anchor=\"end\">{name}</text>")
                .Append($"<text transform=\"translate({at + (cell / 2)} {left - 6}) rotate(-90)\" dy=\".35em\">{name}</text>\n");
            if (entry.Right > 0)
            {
                Cell("right", entry.Class, entry.Class, entry.Right, entry.Photos);
            }
        }

        foreach ((var truth, var answer, var photos) in figures.Confusions)
        {
            Cell("wrong", truth, answer, photos, figures.Classes[truth.Index].Photos);
        }

        page.Append($"<path class=\"base\" fill=\"none\" d=\"M{left} {left}h{side}v{side}h-{side}z\"/>\n</svg>\n</div>\n");

        void Cell(string kind, ClassLabel truth, ClassLabel answer, int photos, int of)
        {
            page.Append(
                $"<rect class=\"{kind}\" fill-opacity=\"{Chart.Number(0.3 + (0.7 * photos / of))}\" x=\"{left + (place[answer.Index] * cell)}\" " +
                $"y=\"{left + (place[truth.Index] * cell)}\" width=\"{cell}\" height=\"{cell}\">");
            page.Append($"<title>{Text(truth.Label)} → {Text(answer.Label)}: {photos} of {of}</title></rect>\n");
        }
    }

    private static void Classes(StringBuilder page, Figures figures)
    {
        page.Append(
            "<section>\n<h2>Classes</h2>\n<details><summary>Every class that has photos, the weakest " +
            "first</summary>\n<div class=\"wide\">\n<table>\n<tr><th>Class</th><th>Photos</th><th>Right</th><th></th><th>Recall</th><th>Precision</th></tr>\n");
        foreach (var entry in figures.Classes.Where(entry => entry.Photos > 0).OrderBy(entry => entry.Recall).ThenByDescending(entry => entry.Photos)
            .ThenBy(entry => entry.Class.Index))
        {
            page.Append(
                $"<tr><td>{Text(entry.Class.Label)}</td><td>{entry.Photos}</td><td>{entry.Right}</td><td><span class=\"bar\"><i " +
                $"style=\"width:{Chart.Number(100 * entry.Recall!.Value)}%\"></i></span></td><td>{Percent(entry.Recall.Value)}</td><td>{(entry.Precision is { } precision ? Percent(precision) : "–")}</td></tr>\n");
        }

        page.Append("</table>\n</div>\n</details>\n</section>\n");
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
}
