using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Evaluate;

/// <summary><c>whatsit evaluate NAME --images FOLDER|LIST</c>: how good a model is on labelled photos, by the server's own way of a picture.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A bundle's name or folder." };
        var images = new Option<string>("--images")
        {
            Description =
                "The photos: a folder, labelled by its folders' names or the files' own, or a list with a line 'path,label' for each (label or index).",
            Required = true,
        };
        var variant = new Option<string>("--variant")
        {
            Description = "fp32, fp16, int8, or auto: what the server would take here.",
            DefaultValueFactory = _ => "auto"
        };
        var compare = new Option<string[]>("--compare")
        {
            Description =
                "Several variants side by side, for example fp32 fp16 int8; without names, all that the bundle has. Details are about the first. " +
                "fp32:exact and fp32:fast name the fidelity of decoding, too.",
            Arity = ArgumentArity.ZeroOrMore,
            AllowMultipleArgumentsPerToken = true,
        };
        var report = new Option<string?>("--report")
        {
            Description =
            "Write a page with tables, confusion matrix, calibration curve and the worst mistakes: one file that needs no network."
        };
        var record = new Option<string?>("--record") { Description = "Write the figures into the bundle's manifest; the text says which photos they are of." };
        var others = new Option<string?>("--others")
        {
            Description = "Photos of other things, as a folder or list: how many of them get a label, and how well the model knows them from its own."
        };
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        var command = new Command("evaluate", "Measure a model on labelled photos: accuracy, mistakes, calibration, doubt, latency.") { model, images, variant,
            compare, others, report, record, models, json };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var source = ModelSource.Find(arguments.GetValue(model)!, arguments.GetValue(models)!);
            var manifest = source.Manifest
                ?? throw new ModelFormatException(
                    $"'{arguments.GetValue(model)}' is not a bundle. Import it first: whatsit import {arguments.GetValue(model)} --name NAME");
            var folder = Path.GetFullPath(source.Path);
            string[] variants = arguments.GetResult(compare) is null ? [Variants.Choose(manifest, arguments.GetValue(variant)!)]
                : arguments.GetValue(compare) is { Length: > 0 } named ? [.. named.Distinct()]
                : [.. manifest.Files.Keys];

            Task<EvaluationResult> Measure(Action<string> progress) =>
                RunAsync(manifest, folder, variants, arguments.GetValue(images)!, arguments.GetValue(others), progress, cancellationToken);
            var quiet = arguments.GetValue(json) || Console.IsOutputRedirected;
            var evaluation = quiet ? await Measure(_ => { })
                : await AnsiConsole.Status().StartAsync("Starting", status => Measure(step => status.Status(Markup.Escape(step))));
            cancellationToken.ThrowIfCancellationRequested();
            if (arguments.GetValue(report) is { } page)
            {
                using var evaluator = new Evaluator();
                WholeFile.Write(page, EvaluationPage.Write(evaluation, evaluator));
            }

            if (arguments.GetValue(record) is { } photos)
            {
                Record(folder, evaluation, photos);
            }

            if (arguments.GetValue(json))
            {
                Console.WriteLine(EvaluationJson.Write(evaluation).ToJsonString(Indented));
            }
            else
            {
                Show(evaluation, arguments.GetResult(compare) is not null);
            }

            return 0;
        });
        return command;
    }

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static async Task<EvaluationResult> RunAsync(ModelManifest bundle, string folder, string[] variants, string images, string? others,
        Action<string> progress, CancellationToken cancellationToken)
    {
        var classes = Labels.Read(Bundle.PathOf(folder, bundle.Labels));
        var photos = LabelledPhotos.Read(images, classes);
        if (photos.All(photo => photo.Label is null))
        {
            throw new ModelFormatException(
                $"None of the {Counted.Of(photos.Count, "photo")} in '{images}' has a label that the model '{bundle.Name}' knows " +
                $"(the first is '{photos[0].Name}'). " +
                "Name their folders after labels, or give a list with a line 'path,label' for each.");
        }

        var strangers = others is null ? null : LabelledPhotos.ReadOthers(others);
        using var evaluator = new Evaluator();
        var rows = new List<VariantRow>();
        foreach (var name in variants)
        {
            (var manifest, var variant) = Choose(bundle, name);
            using var lease = evaluator.Load(manifest, folder, variant);
            var answers = await evaluator.RunAsync(lease.Model, photos, progress, cancellationToken);
            if (answers.Photos.All(answer => answer.Photo.Label is null))
            {
                throw new ModelFormatException($"No photo with a label could be read. '{answers.Failures[0].Photo.Name}': {answers.Failures[0].Problem}");
            }

            var row = Row(manifest, folder, classes, name, variant, answers, rows.FirstOrDefault()?.Figures.Answers);
            rows.Add(strangers is null ? row : row with
            {
                Others = OthersFigures.Of(row.Figures.Labelled, (await evaluator.RunAsync(lease.Model, strangers, progress, cancellationToken)).Photos),
            });
        }

        return new EvaluationResult(bundle, classes, images, Machine(), rows);
    }

    /// <summary>A variant with its answers, counted.</summary>
    /// <param name="manifest">The bundle.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="classes">Its labels.</param>
    /// <param name="name">What the row is called.</param>
    /// <param name="variant">The variant.</param>
    /// <param name="answers">What it answered.</param>
    /// <param name="first">What the first variant answered, for another one.</param>
    public static VariantRow Row(ModelManifest manifest, string folder, IReadOnlyList<ClassLabel> classes, string name, string variant, Answers answers,
        Answers? first = null)
    {
        // Parameters are counted in the weights as they were trained: the scales of a quantized file are no parameters.
        var counted = manifest.Files.ContainsKey("fp32") ? "fp32" : variant;
        var graph = new OnnxReader().Read(Bundle.PathOf(folder, manifest.Files[counted].File)).Graph;
        return new VariantRow(
            name, Network(graph), graph.Constants.Values.Where(constant => constant.Type is not (ElementType.Int64 or ElementType.Bool))
                .Sum(constant => (long)constant.Length),
            manifest.Files[variant].Bytes, new Figures(manifest, classes, answers), first is null ? null : Agreement.Of(first, answers));
    }

    /// <summary><c>fp32</c>, or with the bundle's fidelity replaced <c>fp32:exact</c> and <c>fp32:fast</c>.</summary>
    private static (ModelManifest Manifest, string Variant) Choose(ModelManifest bundle, string name)
    {
        if (name.Split(':') is not [var variant, var fidelity])
        {
            return (bundle, name);
        }

        return Enum.TryParse(fidelity, ignoreCase: true, out Fidelity chosen) && Enum.IsDefined(chosen)
            ? (bundle with { Preprocessing = bundle.Preprocessing with { Fidelity = chosen } }, variant)
            : throw new ModelFormatException($"'{fidelity}' in '{name}' is no fidelity; it may be exact or fast.");
    }

    /// <summary>The name in the file where it says something, and the layers.</summary>
    private static string Network(Graph graph)
    {
        var convolutions = graph.Nodes.Count(node => node.Op == "Conv");
        var dense = graph.Nodes.Count(node => node.Op is "Gemm" or "MatMul");
        var layers = $"{Counted.Of(convolutions, "convolution")}, {dense} dense";
        return graph.Name is "" or "main" or "main_graph" or "model" or "torch_jit" ? layers : $"{graph.Name}: {layers}";
    }

    /// <summary>Speed is a number with a machine next to it.</summary>
    public static string Machine()
    {
        const string CpuInfo = "/proc/cpuinfo";
        var name = File.Exists(CpuInfo)
            ? File.ReadLines(CpuInfo).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim() : null;
        return $"{name ?? $"{RuntimeInformation.ProcessArchitecture}"}, {Counted.Of(Environment.ProcessorCount, "processor")}, " +
            "one picture at a time on one thread";
    }

    private static void Record(string folder, EvaluationResult evaluation, string photos) => ManifestEdit.Apply(folder, manifest =>
    {
        var metrics = ManifestEdit.Member(manifest, "metrics");
        foreach (var row in evaluation.Variants)
        {
            metrics[row.Variant] = Entry(row, photos);
        }
    });

    /// <summary>A variant's figures as the manifest holds them.</summary>
    /// <param name="row">The variant.</param>
    /// <param name="photos">Which photos they are of, for people.</param>
    public static JsonObject Entry(VariantRow row, string photos)
    {
        var figures = row.Figures;
        var entry = new JsonObject
        {
            ["photos"] = figures.Labelled.Count,
            ["top1"] = Math.Round(figures.Top1, 4),
            ["top5"] = Math.Round(figures.Top5, 4),
        };
        if (figures.CoarseTop1 is { } coarse)
        {
            entry["coarse_top1"] = Math.Round(coarse, 4);
        }

        entry["calibration_error"] = Math.Round(figures.CalibrationError, 4);
        if (row.Agreement is { } agreement)
        {
            entry["same_top1"] = Math.Round(agreement.SameTop1, 4);
            entry["largest_difference"] = Math.Round(agreement.LargestDifference, 4);
        }

        entry["data"] = photos;
        return entry;
    }

    private static void Show(EvaluationResult evaluation, bool compared)
    {
        var figures = evaluation.Figures;
        var sizes = Columns(new Table().Border(TableBorder.Rounded)
            .Title(Markup.Escape($"{evaluation.Manifest.Title ?? evaluation.Manifest.Name}, {Counted.Of(figures.Labelled.Count, "photo")}"))
            .AddColumn("Variant").AddColumn("Network"),
            "Parameters", "Size", "Compute", "Photo");
        var accuracies = Columns(new Table().Border(TableBorder.Rounded).AddColumn("Variant"),
            ["Top-1", "Top-5", .. figures.CoarseTop1 is null ? (string[])[] : ["Group"], "Calibration error", .. compared
                ? (string[])["Same answer", "Largest difference"] : []]);
        foreach (var row in evaluation.Variants)
        {
            sizes.AddRow(row.Variant, Markup.Escape(row.Network), $"{row.Parameters / 1e6:0.00} M", $"{row.Bytes / 1e6:0.00} MB",
                $"{row.Median("compute"):0.0} ms", $"{row.Median("total"):0.0} ms");
            accuracies.AddRow([
                row.Variant, $"{row.Figures.Top1:P1}", $"{row.Figures.Top5:P1}",
                .. row.Figures.CoarseTop1 is { } coarse ? (string[])[$"{coarse:P1}"] : [],
                $"{row.Figures.CalibrationError:P1}",
                .. compared ? row.Agreement is { } agreement ? [$"{agreement.SameTop1:P1}", $"{agreement.LargestDifference:0.000}"] : (string[])["", ""] : []]);
        }

        AnsiConsole.Write(sizes);
        AnsiConsole.Write(accuracies);
        var latencies = new Table().Border(TableBorder.Rounded).Title($"Milliseconds, {evaluation.Variants[0].Variant}").AddColumn("Stage");
        Columns(latencies, "Median", "90 %", "99 %", "Mean");

        foreach (var latency in figures.Latencies)
        {
            latencies.AddRow(latency.Stage, $"{latency.P50:0.0}", $"{latency.P90:0.0}", $"{latency.P99:0.0}", $"{latency.Mean:0.0}");
        }

        AnsiConsole.Write(latencies);
        AnsiConsole.MarkupLineInterpolated($"{evaluation.Machine}.");
        foreach ((var truth, var answer, var photos) in figures.Confusions.Take(5))
        {
            AnsiConsole.MarkupLineInterpolated($"· {truth.Label} taken for {answer.Label}: {photos}");
        }

        foreach (var row in evaluation.Variants)
        {
            if (row.Others is { } others)
            {
                var photosOfOthers = Counted.Of(others.Photos, "photo");
                var auroc = others.Auroc is { } area ? $"; AUROC {area:0.000}" : "";
                AnsiConsole.MarkupLineInterpolated(
                    $"· {row.Variant}: {others.Labelled:P1} of {photosOfOthers} of other things get a label, {others.Refused:P1} of its own none{auroc}.");
            }
        }

        var unlabelled = figures.Answers.Photos.Count - figures.Labelled.Count;
        if (unlabelled > 0)
        {
            AnsiConsole.MarkupLineInterpolated($"· {Counted.Of(unlabelled, "photo has", "photos have")} no label that the model knows, and only a latency.");
        }

        foreach ((var photo, var problem) in figures.Answers.Failures)
        {
            AnsiConsole.MarkupLineInterpolated($"[red]{photo.Name}[/]: {problem}");
        }
    }

    private static Table Columns(Table table, params string[] names)
    {
        foreach (var name in names)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        return table;
    }
}
