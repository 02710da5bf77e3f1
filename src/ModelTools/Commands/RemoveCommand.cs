using System.CommandLine;
using Spectre.Console;
using Whatsit.Inference;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit remove NAME</c>.</summary>
internal static class RemoveCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var name = CommonOptions.ModelArgument("name", "The bundle's name.", models);
        var yes = new Option<bool>("--yes") { Description = "Do not ask." };
        var command = new Command("remove", "Delete a model with everything in its folder.") { name, models, yes };
        command.SetAction(arguments =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            var folder = catalog.Find(arguments.GetValue(name)!);
            if (!arguments.GetValue(yes))
            {
                if (Console.IsInputRedirected)
                {
                    throw new InferenceException(InferenceError.InvalidRequest, $"Nobody is there to be asked whether '{folder}' is to be deleted: say --yes.");
                }

                if (!AnsiConsole.Confirm($"Delete {Markup.Escape(folder)}?", defaultValue: false))
                {
                    return 1;
                }
            }

            // Out of sight at once: a server never sees half of it.
            var hidden = new BundleFolder(catalog.Path, arguments.GetValue(name)!).NewTemporary();
            Directory.Move(folder, hidden);
            Directory.Delete(hidden, recursive: true);
            Console.WriteLine($"{arguments.GetValue(name)} is removed.");
            return 0;
        });
        return command;
    }
}
