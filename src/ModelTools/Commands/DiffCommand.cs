using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelTools.Commands.Classify;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit diff A B --images DIR</c>: which photos two models, or two variants of one, answer differently.</summary>
internal static class DiffCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var one = CommonOptions.ModelArgument("a", "A bundle's name, or name:variant.", models);
        var other = CommonOptions.ModelArgument("b", "The other one.", models);
        var images = new Option<string>("--images") { Description = "The photos: a folder, or a list with a path per line.", Required = true };
        var json = CommonOptions.Json();
        var command = new Command("diff", "Show which photos two models, or two variants of one, answer differently.") { one, other, images, models, json };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            (string A, string B) names = (arguments.GetValue(one)!, arguments.GetValue(other)!);
            var photos = await Photos.FindAsync([arguments.GetValue(images)!], Stream.Null, static _ => true, cancellationToken).ToListAsync(cancellationToken);
            using var evaluator = new Evaluator();
            using var a = Load(evaluator, catalog, names.A);
            using var b = Load(evaluator, catalog, names.B);
            var differences = new List<(string Photo, Prediction A, Prediction B)>();
            var compared = 0;
            foreach (var photo in photos)
            {
                try
                {
                    var bytes = await photo.ReadAsync(cancellationToken);
                    var ofA = await evaluator.Classifier.ClassifyAsync(a.Model, bytes, new ClassifyOptions(1), cancellationToken);
                    var ofB = await evaluator.Classifier.ClassifyAsync(b.Model, bytes, new ClassifyOptions(1), cancellationToken);
                    compared++;
                    if (!ofA.Predictions[0].Label.Equals(ofB.Predictions[0].Label, StringComparison.OrdinalIgnoreCase))
                    {
                        differences.Add((photo.Name, ofA.Predictions[0], ofB.Predictions[0]));
                    }
                }
                catch (InferenceException exception)
                {
                    await Console.Error.WriteLineAsync($"{photo.Name}: {exception.Message}");
                }
            }

            if (arguments.GetValue(json))
            {
                Console.WriteLine(ToJson(names, compared, differences).ToJsonString(Indented));
            }
            else
            {
                Show(names, compared, differences);
            }

            return compared == photos.Count ? 0 : 1;
        });
        return command;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static ModelLease Load(Evaluator evaluator, ModelFolder catalog, string name)
    {
        var parts = name.Split(':', 2);
        var folder = catalog.Find(parts[0]);
        var manifest = Bundle.ReadManifest(folder);
        return evaluator.Load(manifest, folder, Variants.Choose(manifest, parts.Length > 1 ? parts[1] : "auto"));
    }

    private static JsonObject ToJson((string A, string B) names, int compared, List<(string Photo, Prediction A, Prediction B)> differences)
    {
        return new JsonObject
        {
            ["a"] = names.A,
            ["b"] = names.B,
            ["photos"] = compared,
            ["different"] = new JsonArray([.. differences.Select(difference =>
                new JsonObject { ["file"] = difference.Photo, ["a"] = Answer(difference.A), ["b"] = Answer(difference.B) })]),
        };

        static JsonObject Answer(Prediction prediction) => new() { ["label"] = prediction.Label, ["confidence"] = prediction.Confidence };
    }

    private static void Show((string A, string B) names, int compared, List<(string Photo, Prediction A, Prediction B)> differences)
    {
        if (differences.Count > 0)
        {
            var table = new Table().Border(TableBorder.Rounded).AddColumn("Photo").AddColumn(Markup.Escape(names.A)).AddColumn(Markup.Escape(names.B));
            foreach ((var photo, var a, var b) in differences)
            {
                table.AddRow(Markup.Escape(photo), Markup.Escape($"{a.Label} {a.Confidence:P1}"), Markup.Escape($"{b.Label} {b.Confidence:P1}"));
            }

            AnsiConsole.Write(table);
        }

        Console.WriteLine($"{differences.Count} of {Counted.Of(compared, "photo")} answered differently.");
    }
}
