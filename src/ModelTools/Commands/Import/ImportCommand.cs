using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Fetching;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands.Abstain;
using Whatsit.ModelTools.Commands.Preprocessing;
using Whatsit.ModelTools.Commands.Train;
using Whatsit.ModelTools.Hub;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary><c>whatsit import FILE --name NAME</c>: the file that a training left behind becomes a bundle under <c>models/</c>.</summary>
internal static class ImportCommand
{
    public static Command Create()
    {
        var path = new Argument<string>("model")
        {
            Description =
            "A model file, or the folder or zip that holds it: Keras .h5 or .keras, TensorFlow.js model.json, .tflite, .onnx; a complete bundle, which is " +
            "installed as it is; its https:// address; or hf:OWNER/NAME, with @ and a branch, tag or commit, for a repository on Hugging Face."
        };
        var name = new Option<string>("--name") { Description = "The bundle's name: its folder, and the model's name in URLs.", Required = true };
        var labels = new Option<string?>("--labels") { Description = "A file with the labels: one per line (a coarse group after a tab), or JSON." };
        var preset = new Option<string?>("--preset") { Description = $"How pictures were prepared in training: {string.Join(", ", Presets.ByName.Keys)}." };
        var resample = new Option<string?>("--resample") { Description = $"The resizer of the training: {string.Join(", ", Resizers.Names)}." };
        var models = CommonOptions.Models();
        var size = new Option<int?>("--size") { Description = "The side of the input, for networks that take any (default 224)." };
        var keepInput = new Option<bool>("--keep-input") { Description = "Also keep the network's own float input, as a second file of the bundle." };
        var dequantize = new Option<bool>("--dequantize") { Description = "Make a quantized model float." };
        var output = new Option<string?>("--output") { Description = "The output that holds the scores, where the network has several that may." };
        var file = new Option<string?>("--file") { Description = "Which file is meant, where a folder or zip holds several models." };
        var config = new Option<string?>("--config") { Description = "The network's description as JSON (model.to_json()), for Keras weights alone." };
        var lambda = new Option<string[]>("--lambda")
        {
            Description = "What a Keras layer of Python code computes: NAME=identity, NAME=x/255, NAME=x/127.5-1. May be given for several layers.",
            HelpName = "NAME=EXPRESSION",
        };
        var sha256 = new Option<string?>("--sha256") { Description = "The hash that a file from an address must have." };
        var softmax = new Option<bool>("--softmax") { Description = "End a network that gives logits with a softmax." };
        var title = new Option<string?>("--title") { Description = "The name as people read it." };
        var license = new Option<string?>("--license") { Description = "The weights' licence, as an SPDX identifier." };
        var source = new Option<string?>("--source") { Description = "Where the weights come from." };
        var images = AbstainCommand.Images("Photos of its classes, labelled, that it was not trained on: they tell how pictures were prepared (20 are enough " +
            "to tell most ways apart), how sure it is and when it is \"not sure\".");
        var unlabelled = PreprocessingCommand.Unlabelled();
        var others = AbstainCommand.Others();
        var dryRun = new Option<bool>("--dry-run") { Description = "Read, convert and prove, but install nothing." };
        var json = CommonOptions.Json();
        var command = new Command("import",
            "Import a Keras, TensorFlow.js, TensorFlow Lite or ONNX model as a bundle that the server, the browser and the tools run alike.")
        {
            path, name, labels, preset, resample, models, size, keepInput, dequantize, output, file, config, lambda, sha256, softmax, title, license, source,
            images, unlabelled, others, dryRun, json,
        };
        command.Validators.Add(result => PreprocessingCommand.RequireOne(result, images, unlabelled));
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var request = new ImportRequest(arguments.GetValue(path)!, arguments.GetValue(name)!, Bundle.FindCatalog(arguments.GetValue(models)!))
            {
                Labels = arguments.GetValue(labels),
                Preset = arguments.GetValue(preset),
                Resample = arguments.GetValue(resample),
                Size = arguments.GetValue(size),
                KeepInput = arguments.GetValue(keepInput),
                Dequantize = arguments.GetValue(dequantize),
                Output = arguments.GetValue(output),
                File = arguments.GetValue(file),
                Architecture = arguments.GetValue(config),
                Lambdas = Lambdas(arguments.GetValue(lambda) ?? []),
                Softmax = arguments.GetValue(softmax),
                Title = arguments.GetValue(title),
                License = arguments.GetValue(license),
                Source = arguments.GetValue(source),
                Images = arguments.GetValue(images),
                Unlabelled = arguments.GetValue(unlabelled),
                DryRun = arguments.GetValue(dryRun),
            };
            if ((request.Images ?? request.Unlabelled) is { } missing && !Path.Exists(missing))
            {
                throw new ModelFormatException($"There is no folder or list '{missing}'.");
            }

            var photos = request.DryRun ? null : request.Images;
            var quiet = arguments.GetValue(json);
            request = await FetchAsync(request, arguments.GetValue(sha256), quiet, cancellationToken);
            if (request.File is null && CompleteBundle.Is(request.Path))
            {
                CompleteBundle.Show(request, await CompleteBundle.ImportAsync(request, cancellationToken), quiet);
                return 0;
            }

            var report = quiet ? ModelImporter.Import(request, _ => { }, cancellationToken)
                : AnsiConsole.Status().Start("Starting", status => ModelImporter.Import(request, step => status.Status(Markup.Escape(step)),
                    cancellationToken));
            var variants = quiet ? await MakersVariants.AddAsync(request, report.Folder, _ => { }, cancellationToken)
                : await AnsiConsole.Status().StartAsync("Starting", status => MakersVariants.AddAsync(request, report.Folder,
                    step => status.Status(Markup.Escape(step)), cancellationToken));
            report = variants.Count == 0 ? report
                : report with
                {
                    Model = report.Model with { Notes = [.. report.Model.Notes, .. variants] },
                    Manifest = Bundle.ReadManifest(report.Folder),
                };
            var choice = photos is null ? null : await TrainingProgress.RunAsync(progress => AbstainSetter.SetAsync(report.Folder, new AbstainRequest(photos)
            {
                Others = arguments.GetValue(others),
                Cache = UserCache.Folder,
            }, progress, cancellationToken));
            report = choice is null ? report : report with { Manifest = Bundle.ReadManifest(report.Folder) };
            if (quiet)
            {
                Console.WriteLine(ToJson(report).ToJsonString(Indented));
                return 0;
            }

            Show(request, report);
            PreprocessingTables.Show(report.Manifest.Preprocessing);
            if (choice is not null)
            {
                AbstainCommand.Show(request.Name, choice, report.Manifest);
            }

            return 0;
        });
        return command;
    }

    /// <summary>What lies elsewhere is fetched first.</summary>
    private static async Task<ImportRequest> FetchAsync(ImportRequest request, string? sha256, bool quiet, CancellationToken cancellationToken)
    {
        if (!RemoteModel.IsOne(request.Path))
        {
            return sha256 is null ? request : throw new ModelFormatException($"A hash (--sha256) belongs to an address; '{request.Path}' is none.");
        }

        var model = quiet ? await RemoteModel.FetchAsync(request.Path, request.File, sha256, _ => { }, cancellationToken)
            : await AnsiConsole.Status().StartAsync("Connecting",
                status => RemoteModel.FetchAsync(request.Path, request.File, sha256, step => status.Status(Markup.Escape(step)), cancellationToken));
        return request with { Path = model.Path, Source = request.Source ?? model.Source };
    }

    private static Dictionary<string, string> Lambdas(string[] given)
    {
        var lambdas = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var one in given)
        {
            lambdas[one.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals ? one[..equals]
                : throw new ModelFormatException($"'{one}' does not say what a layer computes: --lambda NAME=x/255.")] = one[(equals + 1)..];
        }

        return lambdas;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static JsonObject ToJson(ImportReport report) => new()
    {
        ["folder"] = report.Folder,
        ["format"] = report.Model.Format,
        ["network"] = report.Model.Network,
        ["parameters"] = report.Model.Parameters,
        ["notes"] = new JsonArray([.. report.Model.Notes.Select(note => JsonValue.Create(note))]),
        ["proof"] = new JsonObject { ["largest_difference"] = report.Model.LargestDifference, ["inputs"] = report.Model.ProofInputs },
        ["seconds"] = Math.Round(report.Elapsed.TotalSeconds, 3),
        ["manifest"] = JsonSerializer.SerializeToNode(report.Manifest, ManifestJson.Default.ModelManifest),
    };

    private static void Show(ImportRequest request, ImportReport report)
    {
        var manifest = report.Manifest;
        var table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumn("").AddColumn("");
        table.AddRow("Format", Markup.Escape(report.Model.Format));
        table.AddRow("Network", Markup.Escape($"{report.Model.Network}, {Counted.Of(report.Model.Parameters, "parameter")}"));
        table.AddRow("Input", $"uint8 pixels, {manifest.Input.Width} × {manifest.Input.Height}, RGB");
        table.AddRow("Preprocessing", Markup.Escape(ModelCard.Describe(manifest.Preprocessing)));
        table.AddRow("Classes", Markup.Escape(Classes(report)));
        table.AddRow("Output",
            Markup.Escape(string.Join(", ", new[] { manifest.Output.Name, manifest.Output.Embedding, manifest.Output.Features }.OfType<string>())));
        table.AddRow("Files", Markup.Escape(string.Join(", ", manifest.Files.Select(file => $"{file.Value.File} {ModelCard.Size(file.Value.Bytes)}"))));
        table.AddRow("Proof", $"at most {report.Model.LargestDifference:0.#######} from the original on {Counted.Of(report.Model.ProofInputs, "picture")}");
        var best = manifest.Sample!.Predictions[0];
        table.AddRow("Sample", Markup.Escape($"{best.Label} {best.Confidence:P1}"));
        AnsiConsole.Write(table);
        foreach (var note in report.Model.Notes)
        {
            AnsiConsole.MarkupLineInterpolated($"· {note}");
        }

        var seconds = report.Elapsed.TotalSeconds;
        if (request.DryRun)
        {
            AnsiConsole.MarkupLineInterpolated(
                $"Nothing was installed: a dry run ({seconds:0.0} s). [green]{request.Name}[/] would be version {manifest.Version} in {report.Folder}.");
        }
        else
        {
            AnsiConsole.MarkupLineInterpolated($"[green]{request.Name}[/] is in {report.Folder} ({seconds:0.0} s).");
        }
    }
    private static string Classes(ImportReport report)
    {
        string[] labels = [.. report.Model.Labels.Take(4).Select(label => label.Split('\t')[0])];
        return $"{report.Model.Labels.Count}: {string.Join(", ", labels)}{(report.Model.Labels.Count > labels.Length ? ", …" : "")}";
    }
}
