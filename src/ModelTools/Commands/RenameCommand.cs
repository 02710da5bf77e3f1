using System.CommandLine;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit rename NAME NEW</c>: the folder, and the name in the manifest.</summary>
internal static class RenameCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var name = CommonOptions.ModelArgument("name", "The bundle's name.", models);
        var next = new Argument<string>("new-name") { Description = "What it is called from now on, in URLs, too." };
        var command = new Command("rename", "Give a model another name.") { name, next, models };
        command.SetAction(arguments =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            var from = catalog.Find(arguments.GetValue(name)!);
            var to = new BundleFolder(catalog.Path, arguments.GetValue(next)!);
            if (Directory.Exists(to.Path))
            {
                throw new InferenceException(InferenceError.InvalidRequest, $"There is a model '{arguments.GetValue(next)}' already; remove it first.");
            }

            // Under a name that no server looks at while folder and manifest disagree.
            var hidden = to.NewTemporary();
            Directory.Move(from, hidden);
            var file = Path.Combine(hidden, Bundle.ManifestFile);
            try
            {
                var before = File.ReadAllBytes(file);
                ManifestEdit.Apply(hidden, manifest => manifest["name"] = arguments.GetValue(next));
                try
                {
                    Directory.Move(hidden, to.Path);
                }
                catch
                {
                    File.WriteAllBytes(file, before);
                    throw;
                }
            }
            catch
            {
                Directory.Move(hidden, from);
                throw;
            }

            Console.WriteLine($"{arguments.GetValue(name)} is now {arguments.GetValue(next)}.");
        });
        return command;
    }
}
