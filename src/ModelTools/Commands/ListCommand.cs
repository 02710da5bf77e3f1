using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit list</c>: the models of a folder.</summary>
internal static class ListCommand
{
    public static Command Create()
    {
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        var command = new Command("list", "List the models of a folder: versions, classes, variants.") { models, json };
        command.SetAction(arguments =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            List<Entry> entries = [.. catalog.Names.Select(name => Read(catalog.Find(name), name))];
            if (arguments.GetValue(json))
            {
                Console.WriteLine(new JsonArray([.. entries.Select(ToJson)]).ToJsonString(Indented));
                return;
            }

            if (entries.Count == 0)
            {
                Console.WriteLine($"There is no model in the folder '{catalog.Path}'. Import one: whatsit import FILE --name NAME");
                return;
            }

            var table = new Table().Border(TableBorder.Rounded).AddColumn("Name").AddColumn(new TableColumn("Version").RightAligned())
                .AddColumn(new TableColumn("Classes").RightAligned()).AddColumn("Input").AddColumn("Variants").AddColumn("Title");
            foreach ((var name, var manifest, var classes, var problem) in entries)
            {
                table.AddRow(
                    Markup.Escape(name),
                    Markup.Escape(manifest?.Version ?? ""),
                    classes is null ? "" : $"{classes}",
                    manifest is null ? "" : $"{manifest.Input.Width} × {manifest.Input.Height}",
                    Markup.Escape(string.Join(", ", manifest?.Files.Select(file => $"{file.Key} {file.Value.Bytes / 1e6:0.0} MB") ?? [])),
                    problem is null ? Markup.Escape(manifest?.Title ?? "") : $"[red]{Markup.Escape(problem)}[/]");
            }

            AnsiConsole.Write(table);
        });
        return command;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static Entry Read(string folder, string name)
    {
        ModelManifest? manifest = null;
        try
        {
            manifest = Bundle.ReadManifest(folder);
            using var labels = Bundle.Open(name, folder, manifest.Labels);
            using var reader = new StreamReader(labels);
            return new(name, manifest, Labels.Parse(reader.ReadToEnd()).Count, null);
        }
        catch (InferenceException exception)
        {
            return new(name, manifest, null, exception.Message);
        }
    }

    private static JsonObject ToJson(Entry entry) => new()
    {
        ["name"] = entry.Name,
        ["version"] = entry.Manifest?.Version,
        ["title"] = entry.Manifest?.Title,
        ["classes"] = entry.Classes,
        ["variants"] = new JsonArray([.. entry.Manifest?.Files.Keys.Select(variant => JsonValue.Create(variant)) ?? []]),
        ["problem"] = entry.Problem,
    };

    private sealed record Entry(string Name, ModelManifest? Manifest, int? Classes, string? Problem);
}
