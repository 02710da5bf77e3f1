using System.CommandLine;
using System.Text.Json.Nodes;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit labels NAME [FILE]</c>: shows a model's labels, or gives it others.</summary>
internal static class LabelsCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var name = CommonOptions.ModelArgument("name", "The bundle's name.", models);
        var file = new Argument<string?>("file")
        {
            Description =
            "The new labels: one per line (a coarse group after a tab), or JSON. Without it, the labels are printed.",
            Arity = ArgumentArity.ZeroOrOne
        };
        var command = new Command("labels", "Show a model's labels, or give it others.") { name, file, models };
        command.SetAction(arguments =>
        {
            var folder = ModelFolder.Open(arguments.GetValue(models)!).Find(arguments.GetValue(name)!);
            var manifest = Bundle.ReadManifest(folder);
            var path = Bundle.PathOf(folder, manifest.Labels);
            if (arguments.GetValue(file) is not { } given)
            {
                Console.Write(File.ReadAllText(path));
                return;
            }

            var labels = LabelSource.Read(given);
            var classes = Labels.Read(path).Count;
            if (labels.Length != classes)
            {
                throw new InferenceException(InferenceError.InvalidRequest,
                    $"'{given}' has {Counted.Of(labels.Length, "label")}; the model has {Counted.Of(classes, "class", "classes")}.");
            }

            WholeFile.Write(path, string.Join('\n', labels) + "\n");
            ManifestEdit.Apply(folder, edited =>
            {
                ManifestEdit.RaiseVersion(edited);
                foreach (var prediction in Recorded(edited))
                {
                    prediction["label"] = labels[(int)prediction["index"]!].Split('\t')[0];
                }
            });
            Console.WriteLine(
                $"{manifest.Name} has new labels: {string.Join(", ", labels.Take(4).Select(label => label.Split('\t')[0]))}{(labels.Length > 4 ? ", …" : "")}.");
            if (manifest.Tfjs is not null)
            {
                Console.WriteLine($"Its TensorFlow.js export still has the old ones: whatsit export {manifest.Name}");
            }
        });
        return command;
    }

    /// <summary>The recorded answers, of the sample and of each variant.</summary>
    private static IEnumerable<JsonNode> Recorded(JsonObject manifest) =>
        new[] { manifest["sample"] }.Concat(manifest["files"]?.AsObject().Select(file => file.Value) ?? [])
            .SelectMany(entry => (entry as JsonObject)?["predictions"] as JsonArray ?? []).OfType<JsonNode>();
}
