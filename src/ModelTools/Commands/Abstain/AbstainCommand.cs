using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Training;
using Whatsit.ModelTools.Commands.Train;

namespace Whatsit.ModelTools.Commands.Abstain;

/// <summary><c>whatsit abstain NAME</c>: when a model says "not sure", and how sure it says that it is.</summary>
internal static class AbstainCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var name = CommonOptions.ModelArgument("name", "The bundle's name.", models);
        var refuse = Refuse();
        var images = Images("Photos of its classes that it was not trained on, labelled: they choose temperature and threshold.");
        var known = new Option<string?>("--known") { Description = "Other photos of its classes to compare with: those that it was trained on, say." };
        var others = Others();
        var off = new Option<bool>("--off") { Description = "It always answers." };
        var command = new Command("abstain",
            "Set when a model says \"not sure\": by the photos of --images, or another threshold by what was measured with them.")
        {
            name, refuse, images, known, others, off, models,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(images) is null && (result.GetValue(known) ?? result.GetValue(others)) is not null)
            {
                result.AddError("--known and --others need --images: photos of the model's classes, labelled.");
            }
        });
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var model = arguments.GetValue(name)!;
            var folder = ModelFolder.Open(arguments.GetValue(models)!).Find(model);
            var share = Shares.Parse(arguments.GetValue(refuse)!);
            if (arguments.GetValue(off))
            {
                Change(folder, null);
                Console.WriteLine($"{model} always answers.");
            }
            else if (arguments.GetValue(images) is { } photos)
            {
                Show(model, await TrainingProgress.RunAsync(progress => AbstainSetter.SetAsync(folder, new AbstainRequest(photos)
                {
                    Known = arguments.GetValue(known),
                    Others = arguments.GetValue(others),
                    Refuse = share,
                    Cache = UserCache.Folder,
                }, progress, cancellationToken)), Bundle.ReadManifest(folder));
            }
            else
            {
                var threshold = ThresholdOf(Bundle.ReadManifest(folder), share);
                Change(folder, (threshold, share));
                Console.WriteLine($"{model} is not sure under {threshold:0.####}: {share:0.#%} of the photos of its classes that it was measured with.");
            }

            return 0;
        });
        return command;
    }

    /// <summary><c>--refuse</c>, for the verbs that set a threshold.</summary>
    public static Option<string> Refuse()
    {
        var refuse = new Option<string>("--refuse")
        {
            Description = "The share of photos of the classes that may become \"not sure\".",
            DefaultValueFactory = _ => "5%",
        };
        refuse.Require(value => Shares.TryParse(value, out _), "--refuse must be a share: 5%, or 0.05.");
        return refuse;
    }

    /// <summary><c>--images</c>.</summary>
    public static Option<string?> Images(string description) => new("--images") { Description = description };

    /// <summary><c>--others</c>.</summary>
    public static Option<string?> Others() => new("--others")
    {
        Description = "Photos of other things, as a folder or list: they choose by what the model tells that it does not know."
    };

    /// <summary>What was chosen, as a table.</summary>
    public static void Show(string name, AbstainChoice choice, ModelManifest manifest)
    {
        var table = new Table().Border(TableBorder.Rounded).Title("By what it knows that it does not know").AddColumn("Score")
            .AddColumn(new TableColumn("AUROC").RightAligned()).AddColumn(new TableColumn("Threshold").RightAligned())
            .AddColumn(new TableColumn("Others labelled").RightAligned());
        foreach (var candidate in choice.Candidates)
        {
            var chosen = candidate == choice.Chosen ? "[green]" : "[default]";
            table.AddRow($"{chosen}{AbstainWriter.Name(candidate.Score)}[/]", $"{candidate.Auroc:0.000}", $"{candidate.Threshold:0.####}",
                $"{candidate.OthersLabelled:P1}");
        }

        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated(
            $"{name} is not sure under {choice.Chosen.Threshold:0.####} ({AbstainWriter.Describe(choice.Chosen.Score)}), which refuses {choice.Refused:P1} of its own.");
        AnsiConsole.MarkupLineInterpolated($"Its confidences are calibrated: temperature {manifest.Output.Temperature:0.###}.");
    }

    /// <summary>The threshold for a share, between those of the whole percents beside it.</summary>
    private static float ThresholdOf(ModelManifest manifest, double share)
    {
        if (manifest.Abstain?.Percentiles is not { Count: 101 } percentiles)
        {
            throw new ModelFormatException($"The model '{manifest.Name}' was never measured for this. Give photos of its classes with --images FOLDER|LIST.");
        }

        var below = (int)Math.Floor(100 * share);
        var part = (float)((100 * share) - below);
        return below >= 100 ? percentiles[100] : percentiles[below] + (part * (percentiles[below + 1] - percentiles[below]));
    }

    private static void Change(string folder, (float Threshold, double Share)? change)
    {
        ManifestEdit.Apply(folder, json =>
        {
            if (change is { } to)
            {
                var abstain = ManifestEdit.Member(json, "abstain");
                abstain["threshold"] = to.Threshold;
                AbstainWriter.ForgetThreshold(json);
                if (abstain["measured"] is JsonObject measured)
                {
                    measured["refused"] = to.Share;
                }
            }
            else
            {
                json.Remove("abstain");
            }

            ManifestEdit.RaiseVersion(json);
        });
        AbstainWriter.UpdateCard(folder, Bundle.ReadManifest(folder));
    }
}
