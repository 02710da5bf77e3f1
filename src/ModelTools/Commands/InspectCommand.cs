using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Commands.Import;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit inspect MODEL</c>: what a file holds, layer by layer.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A bundle's name or folder, or a model file of any format." };
        var models = CommonOptions.Models();
        var variant = new Option<string>("--variant") { Description = "Of a bundle: fp32, fp16, int8.", DefaultValueFactory = _ => "fp32" };
        var json = CommonOptions.Json();
        var command = new Command("inspect", "Show a model's layers, parameters, sizes, operators and preprocessing.") { model, models, variant, json };
        command.SetAction(arguments =>
        {
            var source = ModelSource.Find(arguments.GetValue(model)!, arguments.GetValue(models)!);
            var reader = source.Reader ?? new OnnxReader();
            var path = source.Manifest is null ? source.Path : source.File(arguments.GetValue(variant)!);
            var read = reader.Read(path);
            var description = new Description(source, reader.Format, Size(path), read);
            if (arguments.GetValue(json))
            {
                Console.WriteLine(ToJson(description).ToJsonString(Indented));
            }
            else
            {
                Show(description);
            }

            return 0;
        });
        return command;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>A node, what it gives, and how many weights only it reads.</summary>
    private sealed record Layer(string Name, string Op, string Shape, long Parameters);

    private sealed class Description
    {
        public Description(ModelSource source, string format, long bytes, ImportedModel model)
        {
            (Manifest, Format, Bytes, Model) = (source.Manifest, format, bytes, model);
            Graph = model.Graph;
            Notes = [.. model.Notes];
            Preprocessing = Manifest?.Preprocessing ?? Presets.Choose(model, null, null, Notes);
            InputShape.Fix(Graph, null, Notes);
            var shapes = Shapes.Infer(Graph);
            var counted = new HashSet<string>(StringComparer.Ordinal);
            Layers = [.. Graph.Nodes.Select(node => new Layer(
                node.Name,
                node.Op,
                string.Join(" × ", shapes[node.Outputs[0]].Shape),
                node.Inputs.Where(input => IsWeight(input) && counted.Add(input)).Sum(input => (long)Graph.Constants[input].Length)))];
            Parameters = Layers.Sum(layer => layer.Parameters);
        }

        public ModelManifest? Manifest { get; }

        public string Format { get; }

        public long Bytes { get; }

        public ImportedModel Model { get; }

        public Graph Graph { get; }

        public List<string> Notes { get; }

        public PreprocessingSpec Preprocessing { get; }

        public IReadOnlyList<Layer> Layers { get; }

        public long Parameters { get; }

        // Shapes and axes are no parameters.
        private bool IsWeight(string value) =>
            Graph.Constants.TryGetValue(value, out var constant) && constant.Type is not (ElementType.Int64 or ElementType.Bool);
    }

    private static long Size(string path) => File.Exists(path) ? new FileInfo(path).Length
        : Directory.EnumerateFiles(path).Sum(file => new FileInfo(file).Length);

    private static JsonObject ToJson(Description description) => new()
    {
        ["format"] = description.Format,
        ["name"] = description.Manifest?.Name ?? description.Graph.Name,
        ["bytes"] = description.Bytes,
        ["parameters"] = description.Parameters,
        ["inputs"] = new JsonArray([.. description.Graph.Inputs.Select(Value)]),
        ["outputs"] = new JsonArray([.. description.Graph.Outputs.Select(Value)]),
        ["labels"] = description.Model.Labels is { } labels ? new JsonArray([.. labels.Select(label => JsonValue.Create(label))]) : null,
        ["preprocessing"] = Preprocessing(description.Preprocessing),
        ["operators"] = new JsonObject(Operators(description.Graph).Select(count => KeyValuePair.Create<string, JsonNode?>(count.Op, count.Count))),
        ["layers"] = new JsonArray([.. description.Layers.Select(layer =>
            new JsonObject { ["name"] = layer.Name, ["op"] = layer.Op, ["shape"] = layer.Shape, ["parameters"] = layer.Parameters })]),
        ["notes"] = new JsonArray([.. description.Notes.Select(note => JsonValue.Create(note))]),
    };

    private static JsonObject Value(GraphValue value) => new()
    {
        ["name"] = value.Name,
        ["type"] = value.Type.ToString().ToLowerInvariant(),
        ["shape"] = new JsonArray([.. value.Shape.Select(side => JsonValue.Create(side))]),
    };

    /// <summary>As a manifest writes it.</summary>
    private static JsonNode Preprocessing(PreprocessingSpec spec) =>
        JsonSerializer.SerializeToNode(
            new ModelManifest
            {
                Name = "",
                Files = new Dictionary<string, BundleFile>(),
                Input = new InputSpec("", InputElementType.UInt8, TensorLayout.Nhwc, 1, 1),
                Preprocessing = spec
            },
            ManifestJson.Default.ModelManifest)!["preprocessing"]!.DeepClone();

    private static IEnumerable<(string Op, int Count)> Operators(Graph graph) =>
        graph.Nodes.GroupBy(node => node.Op).Select(group => (group.Key, group.Count())).OrderByDescending(count => count.Item2)
            .ThenBy(count => count.Key, StringComparer.Ordinal);

    private static void Show(Description description)
    {
        var layers = new Table().Border(TableBorder.Rounded).Title(Markup.Escape(description.Manifest?.Title ?? description.Graph.Name));
        layers.AddColumn("Layer").AddColumn("Operator").AddColumn("Shape").AddColumn(new TableColumn("Parameters").RightAligned());
        foreach (var layer in description.Layers)
        {
            layers.AddRow(Markup.Escape(layer.Name), layer.Op, layer.Shape, layer.Parameters == 0 ? "" : $"{layer.Parameters:N0}");
        }

        AnsiConsole.Write(layers);
        var summary = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumn("").AddColumn("");
        summary.AddRow("Format", Markup.Escape($"{description.Format}, {ModelCard.Size(description.Bytes)}"));
        summary.AddRow("Parameters", $"{description.Parameters:N0}");
        summary.AddRow("Operators", string.Join(", ", Operators(description.Graph).Select(count => $"{count.Count} {count.Op}")));
        foreach ((var kind, var value) in description.Graph.Inputs.Select(value => ("Input", value))
            .Concat(description.Graph.Outputs.Select(value => ("Output", value))))
        {
            summary.AddRow(kind, Markup.Escape(
                $"{value.Name}: {value.Type.ToString().ToLowerInvariant()} [{string.Join(", ", value.Shape.Select(side => side < 0 ? "N" : $"{side}"))}]"));
        }

        summary.AddRow("Preprocessing", Markup.Escape(ModelCard.Describe(description.Preprocessing)));
        if (description.Model.Labels is { } labels)
        {
            summary.AddRow("Labels", Markup.Escape($"{labels.Count}: {string.Join(", ", labels.Take(5))}{(labels.Count > 5 ? ", …" : "")}"));
        }

        AnsiConsole.Write(summary);
        foreach (var note in description.Notes)
        {
            AnsiConsole.MarkupLineInterpolated($"· {note}");
        }
    }
}
