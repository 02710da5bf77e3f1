using System.CommandLine;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit serve</c>: the server and its page on a folder of models.</summary>
internal static class ServeCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var port = new Option<int?>("--port") { Description = "Where to listen (default: the variable PORT, or 8080)." };
        port.Require(value => value is null or (>= 0 and <= ushort.MaxValue), $"--port must be a number from 0 to {ushort.MaxValue}.");
        var @default = CommonOptions.Model("--default", "The model that answers where a request names none (default: the only one there is).", models);
        var settings = new Option<string[]>("--set")
        {
            Description = "Another setting of the server, for example --set Limits:MaxImageBytes=5000000.",
            HelpName = "Section:Name=value"
        };
        settings.Validators.Add(result =>
        {
            if (Array.Find(result.GetValueOrDefault<string[]>(), setting => setting.IndexOf('=', StringComparison.Ordinal) < 1) is { } wrong)
            {
                result.AddError($"--set takes Section:Name=value; '{wrong}' is none.");
            }
        });
        var command = new Command("serve", "Serve a folder of models: the page at /, and POST /predict.") { models, port, @default, settings };
        command.SetAction(arguments =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            var model = arguments.GetValue(@default) ?? catalog.Default("--default");
            catalog.Find(model);
            List<string> server = [$"--Catalog:Models={catalog.Path}", $"--Catalog:DefaultModel={model}"];
            if (arguments.GetValue(port) is { } number)
            {
                server.Add($"--PORT={number}");
            }

            return Server.Program.Main([.. server, .. arguments.GetValue(settings)!.Select(setting => $"--{setting}")]);
        });
        return command;
    }
}
