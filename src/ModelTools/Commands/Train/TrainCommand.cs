using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Preprocessing;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary><c>whatsit train --images DIR --name NAME</c>: photos of your classes become a classifier of your own.</summary>
internal static class TrainCommand
{
    private const int MostListed = 5;

    private static readonly FineTuningRecipe Usual = new();

    public static Command Create()
    {
        var images = new Option<string>("--images")
        {
            Description = "The photos: a folder per class (also in train and val), a list with a line 'path,label' for each, or a folder with IDX files.",
            Required = true,
        };
        var name = new Option<string>("--name") { Description = "The bundle's name: its folder, and the model's name in URLs.", Required = true };
        var models = CommonOptions.Models();
        var network = CommonOptions.Model("--base",
            "The model whose network is the base: any bundle with an embedding (default: the only one there is), or resnet18, which comes with the training " +
            "program.",
            models);
        var compare = new Option<string[]>("--compare")
        {
            Description = "Train on each of these bases, as NAME-BASE, and print what each came to: accuracy, parameters, size, time.",
            Arity = ArgumentArity.ZeroOrMore,
            AllowMultipleArgumentsPerToken = true,
        };
        var validation = new Option<string>("--validation")
        {
            Description = "The share of each class's photos that judges and is not learnt from, or a folder or list with the photos that judge.",
            DefaultValueFactory = _ => "0.2",
        };
        var labels = new Option<string?>("--labels")
        {
            Description = "The classes' names in index order, where a list or IDX files number them: one per line (a coarse group after a tab), or JSON."
        };
        var perClass = new Option<int?>("--per-class") { Description = "At most so many photos of each class, evenly spread." };
        perClass.Require(value => value is null or >= 2, "--per-class must be at least 2.");
        var copies = new Option<int>("--augment") { Description = "Learn from so many cropped and mirrored copies of each photo, too (default 0)." };
        copies.Require(value => value is >= 0 and <= 100, "--augment must be from 0 to 100.");
        var balanced = new Option<bool>("--balanced") { Description = "Let every class count the same, however many photos it has." };
        var others = AbstainCommand.Others();
        var refuse = AbstainCommand.Refuse();
        var keep = new Option<bool>("--keep-preprocessing")
        {
            Description = "Prepare pictures as the base says, also where crop and resizer were only assumed; else the photos choose them."
        };
        var fineTune = new Option<bool>("--fine-tune")
        {
            Description = "Train every layer, from the new last layer on: hours instead of seconds, by the training program. The same command goes on."
        };
        var epochs = new Option<int>("--epochs") { Description = "How often each photo is learnt from.", DefaultValueFactory = _ => Usual.Epochs };
        epochs.Require(value => value is >= 1 and <= 10_000, "--epochs must be from 1 to 10000.");
        var batch = new Option<int>("--batch") { Description = "Photos in a step.", DefaultValueFactory = _ => Usual.Batch };
        batch.Require(value => value is >= 1 and <= 4096, "--batch must be from 1 to 4096.");
        var rate = new Option<double>("--rate")
        {
            Description = "The highest learning rate; the last layer's is ten times as high.",
            DefaultValueFactory = _ => Usual.BackboneRate,
        };
        rate.Require(value => value is > 0 and <= 1, "--rate must be above 0 and at most 1.");
        var patience = new Option<int>("--patience")
        {
            Description = "End after so many epochs that brought nothing better; 0 never.",
            DefaultValueFactory = _ => Usual.Patience,
        };
        patience.Require(value => value >= 0, "--patience must be 0 or more.");
        var threads = new Option<int?>("--threads") { Description = "How many threads compute while every layer is trained (default: all processors)." };
        threads.Require(value => value is null or >= 1, "--threads must be at least 1.");
        var checkpoints = new Option<string?>("--checkpoints")
        {
            Description = "The folder in which to keep where a training of every layer stands (default: one in the user's cache folder)."
        };
        var progressive = new Option<int[]>("--progressive")
        {
            Description = "Every layer learns from photos so small at first, in pixels; they grow to the second number, or the network's own size.",
            Arity = new ArgumentArity(1, 2),
            AllowMultipleArgumentsPerToken = true,
        };
        progressive.Require(sides => sides is null || Array.TrueForAll(sides, side => side is >= 32 and <= 4096),
            "--progressive must be from 32 to 4096 pixels.");
        progressive.Require(sides => sides is not [var first, var last] || first <= last, "--progressive must not shrink: its second number is smaller.");
        var cycles = new Option<int>("--cycles")
        {
            Description = "The learning rate of every layer rises and falls so often, each time to 0.7 of the height before.",
            DefaultValueFactory = _ => Usual.Cycles,
        };
        cycles.Require(value => value is >= 1 and <= 100, "--cycles must be from 1 to 100.");
        var cutMix = Share("--cutmix", "The share of steps of every layer that paste a part of another photo into each.", Usual.CutMix);
        var mixUp = Share("--mixup", "The share of steps of every layer that blend each photo with another.", Usual.MixUp);
        var jitter = Share("--jitter", "How far brightness, contrast and saturation of a photo are changed, each up and down.", Usual.Jitter);
        var whiteBalance = Share("--white-balance", "How far each of red, green and blue is: less where classes differ by colour.", Usual.WhiteBalance);
        var relu = new Option<bool>("--relu") { Description = "Train every layer with ReLU where the base has ReLU6: ONNX Runtime then answers sooner." };
        var to = new Option<string[]>("--to")
        {
            Description = "Reduced variants to make, too: fp16, int8.",
            Arity = ArgumentArity.ZeroOrMore,
            AllowMultipleArgumentsPerToken = true,
        };
        to.AcceptOnlyFromAmong("fp16", "int8");
        var seed = new Option<int>("--seed") { Description = "Decides the split and the parts of cross-validation.", DefaultValueFactory = _ => 1 };
        var noCache = new Option<bool>("--no-cache") { Description = "Remember no embeddings (they lie in the user's cache folder)." };
        var title = new Option<string?>("--title") { Description = "The name as people read it." };
        var license = new Option<string?>("--license") { Description = "The licence of what comes out, as an SPDX identifier." };
        var json = CommonOptions.Json();
        var command = new Command("train", "Train a classifier on your photos: a new last layer on a network that knows pictures.")
        {
            images, name, network, compare, validation, labels, perClass, copies, balanced, others, refuse, keep, fineTune, epochs, batch, rate, patience,
            progressive, cycles, cutMix, mixUp, jitter, whiteBalance, relu, threads, checkpoints, to, seed, noCache, title, license, models, json,
        };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            var judged = arguments.GetValue(validation)!;
            var isShare = Shares.TryParse(judged, out var share) && !Path.Exists(judged);
            if (isShare && share is <= 0 or >= 1)
            {
                await Console.Error.WriteLineAsync($"--validation is {judged}; a share must be above 0 and below 1.");
                return 1;
            }

            string[] bases = [.. arguments.GetValue(compare)!.Distinct()];
            var request = new TrainRequest(arguments.GetValue(images)!, arguments.GetValue(name)!,
                arguments.GetValue(network) ?? bases.FirstOrDefault() ?? catalog.Default("--base"), catalog.Path)
            {
                ValidationShare = isShare ? share : 0,
                Validation = isShare ? null : judged,
                Labels = arguments.GetValue(labels),
                PerClass = arguments.GetValue(perClass),
                Copies = arguments.GetValue(copies),
                Balanced = arguments.GetValue(balanced),
                Others = arguments.GetValue(others),
                Refuse = Shares.Parse(arguments.GetValue(refuse)!),
                To = [.. arguments.GetValue(to)!.Distinct()],
                Seed = arguments.GetValue(seed),
                KeepPreprocessing = arguments.GetValue(keep),
                Cache = arguments.GetValue(noCache) ? null : UserCache.Folder,
                FineTune = !arguments.GetValue(fineTune) ? null : new FineTuningRequest(
                    Usual with
                    {
                        Epochs = arguments.GetValue(epochs),
                        Batch = arguments.GetValue(batch),
                        BackboneRate = arguments.GetValue(rate),
                        HeadRate = 10 * arguments.GetValue(rate),
                        Patience = arguments.GetValue(patience),
                        FirstSide = arguments.GetValue(progressive)?.FirstOrDefault() ?? 0,
                        LastSide = arguments.GetValue(progressive)?.ElementAtOrDefault(1) ?? 0,
                        Cycles = arguments.GetValue(cycles),
                        CutMix = arguments.GetValue(cutMix),
                        MixUp = arguments.GetValue(mixUp),
                        Jitter = arguments.GetValue(jitter),
                        WhiteBalance = arguments.GetValue(whiteBalance),
                        Relu = arguments.GetValue(relu),
                        Seed = arguments.GetValue(seed),
                    },
                    arguments.GetValue(threads), arguments.GetValue(checkpoints)),
                Title = arguments.GetValue(title),
                License = arguments.GetValue(license),
            };
            if (bases.Length > 0)
            {
                var reports = await CompareAsync(request, bases, cancellationToken);
                if (arguments.GetValue(json))
                {
                    Console.WriteLine(new JsonArray([.. reports.Select(ToJson)]).ToJsonString(Indented));
                }
                else
                {
                    Show(reports);
                }

                return reports.SelectMany(each => each.Reduced).All(reduced => reduced.Problem is null) ? 0 : 1;
            }

            var report = await TrainingProgress.RunAsync(progress => Trainer.RunAsync(request, progress, cancellationToken));
            if (arguments.GetValue(json))
            {
                Console.WriteLine(ToJson(report).ToJsonString(Indented));
            }
            else
            {
                Show(report);
            }

            return report.Reduced.All(reduced => reduced.Problem is null) ? 0 : 1;
        });
        return command;
    }

    private static Option<double> Share(string name, string description, double usual)
    {
        var share = new Option<double>(name) { Description = description, DefaultValueFactory = _ => usual };
        share.Require(value => value is >= 0 and <= 1, $"{name} must be from 0 to 1.");
        return share;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The same photos and recipe on one base after the other.</summary>
    private static async Task<IReadOnlyList<TrainReport>> CompareAsync(TrainRequest request, string[] bases, CancellationToken cancellationToken)
    {
        var reports = new List<TrainReport>();
        foreach (var network in bases)
        {
            var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(network));
            var each = request with
            {
                Base = network,
                Name = $"{request.Name}-{name}",
                FineTune = request.FineTune is { Checkpoints: { } folder } tuning ? tuning with { Checkpoints = Path.Combine(folder, name) } : request.FineTune,
            };
            reports.Add(await TrainingProgress.RunAsync(progress => Trainer.RunAsync(each, progress, cancellationToken)));
        }

        return reports;
    }

    private static void Show(IReadOnlyList<TrainReport> reports)
    {
        var table = new Table().Border(TableBorder.Rounded);
        foreach (var column in (string[])["Model", "Top-1", "Parameters", "Size", "Run", "Trained in"])
        {
            table.AddColumn(column);
        }

        foreach (var report in reports)
        {
            var row = report.Evaluation.Variants[0];
            table.AddRow(Markup.Escape(report.Manifest.Name), $"{row.Figures.Top1:P1}", $"{row.Parameters / 1e6:0.00} M",
                $"{row.Bytes / 1e6:0.00} MB", $"{row.Median("compute"):0.0} ms", $"{report.Facts.Seconds:0} s");
        }

        AnsiConsole.Write(table);
        var evaluation = reports[0].Evaluation;
        AnsiConsole.MarkupLineInterpolated($"Judged by {evaluation.Source}; Run is the median of one photo, without decoding, on {evaluation.Machine}.");
    }

    private static JsonObject ToJson(TrainReport report) => new()
    {
        ["folder"] = report.Folder,
        ["report"] = report.ReportPage,
        ["base"] = report.Facts.Base,
        ["photos"] = report.Facts.Photos,
        ["judged"] = report.Facts.Judged,
        ["top1"] = report.Evaluation.Figures.Top1,
        ["top5"] = report.Evaluation.Figures.Top5,
        ["coarse_top1"] = report.Evaluation.Figures.CoarseTop1,
        ["calibration_error"] = report.Evaluation.Figures.CalibrationError,
        ["temperature"] = report.Facts.Temperature,
        ["strength"] = report.Facts.Strength,
        ["loss"] = report.Facts.Loss,
        ["iterations"] = report.Facts.Iterations,
        ["seconds"] = report.Facts.Seconds,
        ["trials"] = new JsonArray([.. report.Chosen.Trials.Select(trial => new JsonObject
        {
            ["strength"] = trial.Strength,
            ["loss"] = trial.Loss,
            ["top1"] = trial.Top1,
        })]),
        ["epochs"] = report.Facts.FineTuned is not { } tuned ? null : new JsonArray([.. tuned.History.Select(epoch => new JsonObject
        {
            ["epoch"] = epoch.Epoch,
            ["loss"] = epoch.Loss,
            ["top1"] = epoch.Top1,
            ["cross_entropy"] = epoch.CrossEntropy,
            ["seconds"] = Math.Round(epoch.Seconds, 1),
        })]),
        ["best_epoch"] = report.Facts.FineTuned?.Best,
        ["too_few"] = new JsonArray([.. report.Quality.Few.Select(entry => new JsonObject { ["label"] = entry.Class.Label, ["photos"] = entry.Photos })]),
        ["near_duplicates"] = new JsonArray([.. report.Quality.Duplicates.Select(pair => new JsonObject
        {
            ["judged"] = pair.Judged.Name,
            ["learnt"] = pair.Learnt.Name,
            ["cosine"] = Math.Round(pair.Cosine, 4),
        })]),
        ["suspects"] = new JsonArray([.. report.Quality.Suspects.Select(suspect => new JsonObject
        {
            ["file"] = suspect.Photo.Name,
            ["label"] = suspect.Photo.Label,
            ["answer"] = suspect.Answer,
            ["confidence"] = suspect.Confidence,
        })]),
        ["classes"] = EvaluationJson.Classes(report.Evaluation.Figures),
        ["reduced"] = new JsonArray([.. report.Reduced.Select(reduced => new JsonObject { ["variant"] = reduced.Variant, ["problem"] = reduced.Problem })]),
        ["notes"] = new JsonArray([.. report.Notes.Select(note => JsonValue.Create(note))]),
        ["manifest"] = JsonSerializer.SerializeToNode(report.Manifest, ManifestJson.Default.ModelManifest),
    };

    private static void Show(TrainReport report)
    {
        var figures = report.Evaluation.Figures;
        var table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumn("").AddColumn("");
        var classes = Counted.Of(figures.Classes.Count, "class", "classes");
        table.AddRow("Learnt from", Markup.Escape($"{Counted.Of(report.Facts.Photos, "photo")} of {classes}, on {report.Facts.Base}"));
        table.AddRow("Judged by", Markup.Escape($"{Counted.Of(figures.Labelled.Count, "other photo")}: {report.Evaluation.Source}"));
        table.AddRow("Top-1", figures.CoarseTop1 is { } coarse ? $"{figures.Top1:P1} (group {coarse:P1})" : $"{figures.Top1:P1}");
        table.AddRow("Top-5", $"{figures.Top5:P1}");
        table.AddRow("Calibration error", $"{figures.CalibrationError:P1}");
        if (report.Manifest.Abstain is { } abstain)
        {
            var others = abstain.Measured?.TryGetProperty("others_labelled", out var labelled) == true
                ? $"; {labelled.GetDouble():P1} of other things get a label" : "";
            table.AddRow("Not sure", $"{abstain.Measured?.GetProperty("refused").GetDouble():P1} of these photos{others}");
        }

        if (report.Facts.FineTuned is { } tuned)
        {
            table.AddRow("Every layer",
                $"{Counted.Of(tuned.History[^1].Epoch, "epoch")} from top-1 {tuned.History[0].Top1:P1} on; epoch {tuned.Best} was kept");
        }

        table.AddRow("Regularisation", $"C = {1 / report.Facts.Strength:0.###}, by cross-validation");
        AnsiConsole.Write(table);
        PreprocessingTables.Show(report.Manifest.Preprocessing);
        foreach ((var truth, var taken, var photos) in figures.Confusions.Take(MostListed))
        {
            AnsiConsole.MarkupLineInterpolated($"· {truth.Label} taken for {taken.Label}: {photos}");
        }

        var quality = report.Quality;
        if (quality.Few.Count > 0)
        {
            var few = string.Join(", ", quality.Few.Take(MostListed).Select(entry => $"{entry.Class.Label} ({entry.Photos})"));
            var more = quality.Few.Count > MostListed ? $" and {Counted.Of(quality.Few.Count - MostListed, "class", "classes")} more" : "";
            AnsiConsole.MarkupLineInterpolated($"· Fewer than {DataQuality.FewestPhotos} photos to learn from: {few}{more}.");
        }

        if (quality.Duplicates.Count > 0)
        {
            AnsiConsole.MarkupLineInterpolated(
                $"· {Counted.Of(quality.Duplicates.Count, "photo")} that judged: nearly the same as one that was learnt from ({quality.Duplicates[0].Judged.Name}).");
        }

        if (quality.Suspects.Count > 0)
        {
            var answer = report.Evaluation.Classes[quality.Suspects[0].Answer].Label;
            AnsiConsole.MarkupLineInterpolated(
                $"· {Counted.Of(quality.Suspects.Count, "photo")} may have a wrong label, such as {quality.Suspects[0].Photo.Name}: {answer}?");
        }

        foreach (var note in report.Notes)
        {
            AnsiConsole.MarkupLineInterpolated($"· {note}");
        }

        foreach (var reduced in report.Reduced)
        {
            var what = reduced.Problem ?? $"{reduced.Reduced.Bytes / 1e6:0.00} MB, {reduced.Agreement.SameTop1:P1} the same answer";
            AnsiConsole.MarkupLineInterpolated($"· {reduced.Variant}: {what}");
        }

        AnsiConsole.MarkupLineInterpolated(
            $"[green]{report.Manifest.Name}[/] is in {report.Folder} ({report.Facts.Seconds:0.0} s); tables and pictures are in {report.ReportPage}.");
    }
}
