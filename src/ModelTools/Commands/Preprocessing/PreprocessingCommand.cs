using System.CommandLine;
using System.Text.Json;
using Spectre.Console;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Import;

namespace Whatsit.ModelTools.Commands.Preprocessing;

/// <summary><c>whatsit preprocessing NAME</c>: how a model's pictures are prepared, how sure that is, and what photos say to it.</summary>
internal static class PreprocessingCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var name = CommonOptions.ModelArgument("name", "The bundle's name.", models);
        var images = AbstainCommand.Images(
            "Photos of its classes with labels, 20 or more, as a folder or list: each way to prepare them is tried, and the best is taken.");
        var unlabelled = Unlabelled();
        var dryRun = new Option<bool>("--dry-run") { Description = "Try and tell, but change nothing." };
        var json = CommonOptions.Json();
        var command = new Command("preprocessing", "Find out by photos how a model's pictures were prepared, and prepare them so.")
        {
            name, images, unlabelled, dryRun, models, json,
        };
        command.Validators.Add(result => RequireOne(result, images, unlabelled));
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var model = arguments.GetValue(name)!;
            var folder = ModelFolder.Open(arguments.GetValue(models)!).Find(model);
            var manifest = Bundle.ReadManifest(folder);
            var request = new PreprocessingRequest(arguments.GetValue(images), arguments.GetValue(unlabelled));
            var quiet = arguments.GetValue(json);
            var report = request is { Images: null, Unlabelled: null } ? null : quiet || Console.IsOutputRedirected
                ? await PreprocessingSetter.SetAsync(folder, request, arguments.GetValue(dryRun), _ => { }, cancellationToken)
                : await AnsiConsole.Status().StartAsync("Starting", status => PreprocessingSetter.SetAsync(folder, request, arguments.GetValue(dryRun),
                    step => status.Status(Markup.Escape(step)), cancellationToken));
            var spec = report?.Manifest.Preprocessing ?? manifest.Preprocessing;
            if (quiet)
            {
                Console.WriteLine(JsonSerializer.Serialize(spec, ManifestJson.Default.PreprocessingSpec));
                return 0;
            }

            PreprocessingTables.Show(spec);
            AnsiConsole.MarkupLineInterpolated($"{model}: {ModelCard.Describe(spec)}.");
            AnsiConsole.MarkupLineInterpolated($"This is {(spec.Evidence is { } evidence ? $"{Presets.Words(evidence.Certainty)}: {evidence.Reason}"
                : "what its manifest says.")}");
            foreach (var sentence in report?.Sentences ?? [])
            {
                AnsiConsole.MarkupLineInterpolated($"· {sentence}");
            }

            return 0;
        });
        return command;
    }

    /// <summary><c>--unlabelled</c>.</summary>
    public static Option<string?> Unlabelled() => new("--unlabelled")
    {
        Description = "Photos without labels, of the kind that it will see: weaker evidence of how pictures were prepared, and only of scaling and order."
    };

    /// <summary>Photos have labels or not.</summary>
    public static void RequireOne(System.CommandLine.Parsing.CommandResult result, Option<string?> images, Option<string?> unlabelled)
    {
        if (result.GetValue(images) is not null && result.GetValue(unlabelled) is not null)
        {
            result.AddError("--images and --unlabelled exclude each other: photos with labels tell all that those without do.");
        }
    }
}
