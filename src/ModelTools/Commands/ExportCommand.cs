using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit export NAME --to tfjs</c>: a bundle for runtimes that do not read ONNX.</summary>
internal static class ExportCommand
{
    /// <summary>Where the export lies in the bundle, unless <c>--output</c> says otherwise.</summary>
    public const string Folder = "tfjs";

    // A thousand requests for a model are no use to anybody.
    private const int SmallestShard = 65_536;

    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A bundle's name or folder." };
        var to = new Option<string>("--to") { Description = "The format: tfjs.", DefaultValueFactory = _ => "tfjs" };
        to.AcceptOnlyFromAmong("tfjs");
        var half = new Option<bool>("--fp16") { Description = "Weights of half precision: half the bytes to load." };
        var shardSize = new Option<int?>("--shard-size")
        {
            Description =
            "Bytes of each file of weights; 0 for one file, as apps expect that name group1-shard1of1.bin (default 4194304)."
        };
        shardSize.Require(value => value is null or 0 or >= SmallestShard, $"--shard-size must be 0, for one file, or {SmallestShard} bytes and more.");
        var output = new Option<string?>("--output") { Description = $"The folder to write; by default '{Folder}' in the bundle." };
        var models = CommonOptions.Models();
        var variant = new Option<string>("--variant") { Description = "The weights to start from.", DefaultValueFactory = _ => "fp32" };
        var json = CommonOptions.Json();
        var command = new Command("export", "Export a bundle as a TensorFlow.js graph model.") { model, to, half, shardSize, output, models, variant, json };
        command.SetAction(arguments =>
        {
            var source = ModelSource.Find(arguments.GetValue(model)!, arguments.GetValue(models)!);
            if (source.Manifest is not { } manifest)
            {
                throw new ModelFormatException(
                    $"'{arguments.GetValue(model)}' is not a bundle. Import it first: whatsit import {arguments.GetValue(model)} --name NAME");
            }

            var folder = arguments.GetValue(output) ?? Path.Combine(source.Path, Folder);
            var files = Export(manifest, Path.GetFullPath(source.Path), source.File(arguments.GetValue(variant)!), folder, arguments.GetValue(half),
                arguments.GetValue(shardSize));
            if (arguments.GetValue(output) is null)
            {
                BundleFile[] listed = [.. files.Select(file => Bundle.Describe(source.Path, $"{Folder}/{file.File}"))];
                ManifestEdit.Apply(source.Path,
                    edited => edited["tfjs"] = JsonSerializer.SerializeToNode(listed, ManifestJson.Default.IReadOnlyListBundleFile));
            }

            if (arguments.GetValue(json))
            {
                Console.WriteLine(new JsonObject
                {
                    ["folder"] = folder,
                    ["files"] = new JsonArray([.. files.Select(file => new JsonObject { ["file"] = file.File, ["bytes"] = file.Bytes })]),
                }.ToJsonString(Indented));
                return 0;
            }

            var table = new Table().Border(TableBorder.Rounded).AddColumn("File").AddColumn(new TableColumn("Bytes").RightAligned());
            foreach ((var file, var bytes) in files)
            {
                table.AddRow(Markup.Escape(file), bytes.ToString("N0", CultureInfo.InvariantCulture));
            }

            AnsiConsole.Write(table);
            Console.WriteLine(
                $"Written to {Path.GetRelativePath(Environment.CurrentDirectory, folder)}. It takes float32 [N, {manifest.Input.Height}, " +
                $"{manifest.Input.Width}, 3], RGB, pixel / 127.5 - 1.");
            return 0;
        });
        return command;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes one variant of a bundle as a TensorFlow.js graph model whose only answer is the probabilities.</summary>
    internal static IReadOnlyList<(string File, long Bytes)> Export(ModelManifest manifest, string bundle, string onnx, string folder, bool half,
        int? shardBytes = null)
    {
        var graph = new OnnxReader().Read(onnx).Graph;
        var answer = graph.Outputs.Find(output => output.Name == manifest.Output.Name)
            ?? throw new ModelFormatException($"{Path.GetFileName(onnx)} has no output '{manifest.Output.Name}', which the manifest names.");
        graph.Outputs.Clear();
        graph.Outputs.Add(answer);
        if (manifest.Output.Kind == OutputKind.Logits)
        {
            var probabilities = new GraphBuilder(graph).AddNode("Softmax", "probabilities", [answer.Name], ("axis", -1L));
            graph.Outputs[0] = answer with { Name = probabilities };
        }

        if (graph.Nodes.Exists(node => node.Op is "QuantizeLinear" or "DequantizeLinear"))
        {
            Dequantize.Apply(graph);
        }

        PassOrder.Apply(graph);
        if (Directory.Exists(folder))
        {
            foreach (var shard in Directory.EnumerateFiles(folder, "group1-shard*of*.bin"))
            {
                File.Delete(shard); // of an earlier export, cut otherwise
            }
        }

        var options = new TensorFlowJsOptions(
            manifest.Preprocessing,
            TakesPixels: manifest.Input.ElementType == InputElementType.UInt8,
            ChannelsFirst: manifest.Input.Layout == TensorLayout.Nchw,
            File.ReadAllLines(Path.Combine(bundle, manifest.Labels)),
            half);
        return TensorFlowJsWriter.Write(graph, folder, shardBytes is { } bytes ? options with { ShardBytes = bytes } : options);
    }
}
