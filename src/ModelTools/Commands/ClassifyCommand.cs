using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit classify PHOTO…</c>: the server's own code path, without the server.</summary>
internal static class ClassifyCommand
{
    public static Command Create()
    {
        var photos = new Argument<string[]>("photo") { Description = "Picture files.", Arity = ArgumentArity.OneOrMore };
        var models = CommonOptions.Models();
        var model = CommonOptions.Model("--model", "The bundle's name (default: the only one there is).", models);
        var variant = new Option<string>("--variant") { Description = "fp32, fp16, int8, or auto: what the server would take here.", DefaultValueFactory = _ => "auto" };
        var topK = new Option<int>("--top-k") { Description = "How many labels per picture.", DefaultValueFactory = _ => 5 };
        var json = CommonOptions.Json();
        var command = new Command("classify", "Classify photos: labels out, as the server would answer.") { photos, model, models, variant, topK, json };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            var folder = catalog.Find(arguments.GetValue(model) ?? catalog.Default("--model"));
            return await ClassifyAsync(arguments.GetValue(photos)!, folder, arguments.GetValue(variant)!, arguments.GetValue(topK), arguments.GetValue(json), cancellationToken);
        });
        return command;
    }

    /// <summary>Answers every photo; one that fails is said, and makes the exit code 1.</summary>
    private static async Task<int> ClassifyAsync(string[] photos, string folder, string variant, int topK, bool json, CancellationToken cancellationToken)
    {
        using var evaluator = new Evaluator();
        var manifest = Bundle.ReadManifest(folder);
        using var lease = evaluator.Load(manifest, folder, Variants.Choose(manifest, variant));
        var options = new ClassifyOptions(topK);
        lease.Model.Postprocessor.Check(options);

        var results = new JsonArray();
        var failures = 0;
        foreach (var photo in photos)
        {
            try
            {
                var answer = await evaluator.Classifier.ClassifyAsync(lease.Model, await ReadAsync(photo, cancellationToken), options, cancellationToken);
                if (json)
                {
                    results.Add(ToJson(photo, answer));
                }
                else
                {
                    Show(photo, answer);
                }
            }
            catch (InferenceException exception)
            {
                failures++;
                if (json)
                {
                    results.Add(new JsonObject { ["file"] = photo, ["error"] = exception.Message });
                }
                else
                {
                    AnsiConsole.MarkupLineInterpolated($"[red]{photo}[/]: {exception.Message}");
                }
            }
        }

        if (json)
        {
            Console.WriteLine(results.ToJsonString(Indented));
        }

        return failures == 0 ? 0 : 1;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static async Task<byte[]> ReadAsync(string photo, CancellationToken cancellationToken)
    {
        try
        {
            return await File.ReadAllBytesAsync(photo, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, File.Exists(photo) ? "The file cannot be read." : "There is no such file.", exception);
        }
    }

    private static JsonObject ToJson(string photo, Classification answer) => new()
    {
        ["file"] = photo,
        ["model"] = answer.Model,
        ["version"] = answer.Version,
        ["variant"] = answer.Variant,
        ["predictions"] = new JsonArray([.. answer.Predictions.Select(prediction => new JsonObject
        {
            ["label"] = prediction.Label,
            ["index"] = prediction.Index,
            ["confidence"] = prediction.Confidence,
        })]),
        ["abstained"] = answer.Abstained,
        ["image"] = new JsonObject { ["width"] = answer.Image.Width, ["height"] = answer.Image.Height, ["format"] = answer.Image.Format, ["bytes"] = answer.Image.Bytes },
        ["timing"] = new JsonObject
        {
            ["decodeMs"] = Math.Round(answer.Timings.Decode.TotalMilliseconds, 3),
            ["preprocessMs"] = Math.Round(answer.Timings.Preprocess.TotalMilliseconds, 3),
            ["queueMs"] = Math.Round(answer.Timings.Queue.TotalMilliseconds, 3),
            ["computeMs"] = Math.Round(answer.Timings.Compute.TotalMilliseconds, 3),
            ["totalMs"] = Math.Round(answer.Timings.Total.TotalMilliseconds, 3),
        },
    };

    private static void Show(string photo, Classification answer)
    {
        var table = new Table().Border(TableBorder.Rounded).Title(Markup.Escape(Path.GetFileName(photo)));
        table.AddColumn("Label").AddColumn(new TableColumn("Confidence").RightAligned()).AddColumn("");
        foreach (var prediction in answer.Predictions)
        {
            table.AddRow(Markup.Escape(prediction.Label), $"{prediction.Confidence:P1}", new string('█', (int)Math.Round(prediction.Confidence * 24)));
        }

        table.Caption($"{answer.Image.Width} × {answer.Image.Height} {answer.Image.Format} · {answer.Timings.Total.TotalMilliseconds:0.0} ms{(answer.Abstained ? " · not sure" : "")}");
        AnsiConsole.Write(table);
    }
}
