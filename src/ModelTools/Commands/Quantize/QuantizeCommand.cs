using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Quantization;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Quantize;

/// <summary><c>whatsit quantize NAME --to fp16|int8</c>: a smaller, faster variant of a bundle's weights.</summary>
internal static class QuantizeCommand
{
    private const double DefaultMaxLoss = 0.01;
    private const double DefaultMaxChanged = 0.02;
    private const int DefaultPhotos = 250;

    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A bundle's name or folder." };
        var to = new Option<string>("--to")
        {
            Description =
            "fp16: half the bytes to load, the same speed, for the browser. int8: a quarter of the bytes, and faster on processors with VNNI, for the server.",
            Required = true
        };
        to.AcceptOnlyFromAmong("fp16", "int8");
        var calibrate = new Option<string?>("--calibrate")
        {
            Description =
            "For int8: photos of the kind that the model will see, as a folder or a list 'path,label'. Those that it is judged by are left out."
        };
        var count =
            new Option<int>("--photos")
            {
                Description =
            $"How many of the calibration photos to use, evenly spread; four in five set ranges, the fifth chooses. The default is {DefaultPhotos}.",
                DefaultValueFactory = _ => DefaultPhotos
            };
        var images =
            new Option<string?>("--images")
            {
                Description =
            $"Photos to judge the variant by, as a folder or list, {VariantBuilder.FewestPhotos} or more. The default: a fourth of those for calibration, " +
            $"which then does not calibrate; or for fp16 the bundle's own samples."
            };
        var maxLoss = new Option<double>("--max-loss")
        {
            Description =
                "The loss of top-1 accuracy, from 0 to 1, above which the variant is not installed. Without labels it is estimated from fp32's own " +
                "probabilities. The default is 0.01, one point.",
            DefaultValueFactory = _ => DefaultMaxLoss,
        };
        var maxChanged = new Option<double>("--max-changed")
        {
            Description = "The share of photos, from 0 to 1, that may get another answer than from fp32. The default is 0.02, two of a hundred.",
            DefaultValueFactory = _ => DefaultMaxChanged,
        };
        maxChanged.Require(value => value is >= 0 and <= 1, "--max-changed must be from 0 to 1.");
        maxLoss.Require(value => value is >= 0 and <= 1, "--max-loss must be from 0 to 1.");
        count.Require(value => value is >= 1 and <= 10_000, "--photos must be from 1 to 10000.");
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        var command =
            new Command("quantize",
            "Add a reduced variant of a bundle's weights: half-precision or 8-bit. It is installed only where it loses little.") { model, to, calibrate,
            count, images, maxLoss, maxChanged, models, json };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var request = new QuantizeRequest(arguments.GetValue(model)!, arguments.GetValue(models)!, arguments.GetValue(to)!)
            {
                Calibrate = arguments.GetValue(calibrate),
                CalibrationPhotos = arguments.GetValue(count),
                Images = arguments.GetValue(images),
                MaxLoss = arguments.GetValue(maxLoss),
                MaxChanged = arguments.GetValue(maxChanged),
            };
            if (arguments.GetValue(json))
            {
                var report = await VariantBuilder.BuildAsync(request, _ => { }, cancellationToken);
                Console.WriteLine(ToJson(report).ToJsonString(Indented));
                return report.Problem is null ? 0 : 1;
            }

            return Show(Console.IsOutputRedirected
                ? await VariantBuilder.BuildAsync(request, _ => { }, cancellationToken)
                : await AnsiConsole.Status()
                    .StartAsync("Starting", status => VariantBuilder.BuildAsync(request, step => status.Status(Markup.Escape(step)), cancellationToken)));
        });
        return command;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static JsonObject ToJson(QuantizeReport report) => new()
    {
        ["installed"] = report.Problem is null,
        ["problem"] = report.Problem,
        ["variant"] = report.Variant,
        ["file"] = report.Reduced.File,
        ["bytes"] = report.Reduced.Bytes,
        ["bytes_fp32"] = report.Full.Bytes,
        ["photos"] = report.Agreement.Photos,
        ["judged_by"] = report.JudgedBy,
        ["agreement"] = report.Agreement.SameTop1,
        ["largest_difference"] = report.Agreement.LargestDifference,
        ["mean_difference"] = report.Agreement.MeanDifference,
        ["loss"] = report.Agreement.Loss,
        ["loss_is"] = report.Agreement.Counted ? "counted" : "estimated",
        ["labelled"] = report.FullFigures.Labelled.Count,
        ["top1"] = report.Agreement.Counted ? report.ReducedFigures.Top1 : null,
        ["top1_fp32"] = report.Agreement.Counted ? report.FullFigures.Top1 : null,
        ["compute_ms"] = Compute(report.ReducedFigures),
        ["compute_ms_fp32"] = Compute(report.FullFigures),
        ["own_recorded_answer"] = report.HasOwnAnswer,
        ["trials"] = new JsonArray([.. report.Trials.Select(trial => new JsonObject
        {
            ["method"] = StaticQuantizer.Name(trial.Method),
            ["dense_layers"] = trial.DenseLayers,
            ["divergence"] = trial.Divergence,
            ["agreement"] = trial.Agreement,
        })]),
    };

    private static int Show(QuantizeReport report)
    {
        if (report.Trials.Count > 0)
        {
            var trials = new Table().Border(TableBorder.Rounded).Title("On a fifth of the calibration photos, the chosen one first");
            trials.AddColumn("Ranges").AddColumn("Bytes in").AddColumn(new TableColumn("Divergence").RightAligned())
                .AddColumn(new TableColumn("Same answer").RightAligned());
            foreach (var trial in report.Trials)
            {
                trials.AddRow(StaticQuantizer.Name(trial.Method), trial.DenseLayers ? "all layers"
                    : "convolutions", $"{trial.Divergence:0.00000}", $"{trial.Agreement:P1}");
            }

            AnsiConsole.Write(trials);
        }

        var agreement = report.Agreement;
        var table = new Table().Border(TableBorder.Rounded).Title(Markup.Escape($"Judged by {Counted.Of(agreement.Photos, "photo")}: {report.JudgedBy}"));
        table.AddColumn("").AddColumn(new TableColumn("fp32").RightAligned()).AddColumn(new TableColumn(report.Variant).RightAligned());
        table.AddRow("Size", $"{report.Full.Bytes / 1e6:0.00} MB", $"{report.Reduced.Bytes / 1e6:0.00} MB");
        if (agreement.Counted)
        {
            table.AddRow("Top-1", $"{report.FullFigures.Top1:P1}", $"{report.ReducedFigures.Top1:P1}");
            table.AddRow("Top-5", $"{report.FullFigures.Top5:P1}", $"{report.ReducedFigures.Top5:P1}");
        }

        table.AddRow("Same answer", "", $"{agreement.SameTop1:P1}");
        table.AddRow("Probabilities differ by at most", "", $"{agreement.LargestDifference:0.0000}");
        table.AddRow("Compute, median", $"{Compute(report.FullFigures):0.0} ms", $"{Compute(report.ReducedFigures):0.0} ms");
        AnsiConsole.Write(table);
        if (report.Problem is not null)
        {
            AnsiConsole.MarkupLineInterpolated($"[red]Not installed.[/] {report.Problem}");
            return 1;
        }

        if (report.HasOwnAnswer)
        {
            AnsiConsole.MarkupLineInterpolated($"{report.Variant} answers the sample picture a little differently; its own answer is recorded.");
        }

        var hint = report.Variant == "int8" ? Variants.HasFastInt8 ? " This processor is one that the server takes it on."
            : " The server takes it on processors with VNNI or Arm's dot product; this is none." : "";
        AnsiConsole.MarkupLineInterpolated($"[green]{report.Reduced.File}[/] is in {report.Folder}, approved.{hint}");
        return 0;
    }

    private static double Compute(Figures figures) => figures.Latencies.First(latency => latency.Stage == "compute").P50;
}
