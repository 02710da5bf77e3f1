using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Bench;

/// <summary><c>whatsit bench NAME</c>: what to expect of a model on this machine, and how to serve it.</summary>
internal static class BenchCommand
{
    private const int MostPhotos = 200;
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A bundle's name or folder." };
        var variant = new Option<string[]>("--variant")
        {
            Description = "Only these variants of the weights. The default is all that the bundle has.",
            AllowMultipleArgumentsPerToken = true
        };
        var images = new Option<string?>("--images")
        {
            Description =
            "A folder of photos to send, or a list of them. The default is the bundle's own samples, which may be smaller than what people send."
        };
        var rounds = new Option<int>("--rounds") { Description = "Rounds, of which the medians count. The default is 5.", DefaultValueFactory = _ => 5 };
        var seconds = new Option<double>("--seconds") { Description = "Seconds for each measurement. The default is 2.", DefaultValueFactory = _ => 2 };
        var write = new Option<string?>("--write")
        {
            Description =
            "Write the recommended settings into this configuration file, such as appsettings.json; what else it holds stays."
        };
        var models = CommonOptions.Models();
        var json = CommonOptions.Json();
        rounds.Require(value => value is >= 1 and <= 1000, "--rounds must be from 1 to 1000.");
        seconds.Require(value => value is > 0 and <= 600, "--seconds must be above 0 and at most 600.");
        var command = new Command("bench", "Measure a model on this machine: which variant, how many at once, what to expect.") { model, variant, images,
            rounds, seconds, write, models, json };
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var source = ModelSource.Find(arguments.GetValue(model)!, arguments.GetValue(models)!);
            if (source.Manifest is not { } manifest)
            {
                throw new ModelFormatException($"'{arguments.GetValue(model)}' is no bundle. Import it first: whatsit import.");
            }

            var folder = Path.GetFullPath(source.Path);
            var variants = arguments.GetValue(variant) is { Length: > 0 } chosen ? chosen : [.. manifest.Files.Keys];
            List<ServingSettings> settings = [.. variants.SelectMany(name => ServingSettings.Of(name, Environment.ProcessorCount))];
            var photos = Photos(manifest, folder, arguments.GetValue(images));
            Task<IReadOnlyList<ServingFigures>> MeasureAsync(Action<string> progress) =>
                ModelBenchmark.RunAsync(manifest, folder, settings, photos, arguments.GetValue(rounds), arguments.GetValue(seconds),
                    progress, cancellationToken);

            var asJson = arguments.GetValue(json);
            var figures = asJson
                ? await MeasureAsync(_ => { })
                : await AnsiConsole.Status().StartAsync("Starting", status => MeasureAsync(step => status.Status(Markup.Escape(step))));
            // A variant that was asked for by name is its owner's choice.
            var best = Recommend(figures, name => arguments.GetValue(variant) is { Length: > 0 } || name == "fp32" || manifest.Files[name].Approved == true);
            if (arguments.GetValue(write) is { } file)
            {
                Write(file, best.Settings);
            }

            if (asJson)
            {
                Console.WriteLine(ToJson(manifest, photos.Count, figures, best).ToJsonString(Indented));
            }
            else
            {
                Show(manifest, photos, figures, best, arguments.GetValue(write));
            }

            return 0;
        });
        return command;
    }

    /// <summary>
    /// The most answers per second; of those within 3 % of it, which is less than a busy machine makes of nothing, the quickest single answer.
    /// Only variants that lose no accuracy worth naming are recommended.
    /// </summary>
    internal static ServingFigures Recommend(IReadOnlyList<ServingFigures> figures, Func<string, bool> mayServe)
    {
        List<ServingFigures> candidates = [.. figures.Where(figure => mayServe(figure.Settings.Variant))];
        candidates = candidates.Count > 0 ? candidates : [.. figures];
        var most = candidates.Max(figure => figure.PerSecond);
        return candidates.Where(figure => figure.PerSecond >= 0.97 * most).MinBy(figure => figure.Idle50)!;
    }

    /// <summary>Puts the settings into a configuration file, beside what it holds.</summary>
    internal static void Write(string file, ServingSettings settings)
    {
        JsonObject root;
        try
        {
            root = File.Exists(file)
                ? JsonNode.Parse(File.ReadAllText(file),
                    documentOptions: new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }) as JsonObject
                    ?? throw new ModelFormatException($"'{file}' is no configuration file: it must hold a JSON object.")
                : [];
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException($"'{file}' is no configuration file: {exception.Message}", exception);
        }

        ManifestEdit.Member(root, "Catalog")["Variant"] = settings.Variant;
        ManifestEdit.Member(root, "Scheduling")["Concurrency"] = settings.Concurrency;
        ManifestEdit.Member(root, "OnnxRuntime")["IntraOpThreads"] = settings.IntraOpThreads;
        File.WriteAllText(file, root.ToJsonString(Indented) + Environment.NewLine);
    }

    private static List<byte[]> Photos(ModelManifest manifest, string folder, string? images)
    {
        var files = manifest.Samples is { Count: > 0 } samples ? samples.Select(entry => entry.File)
            : manifest.Sample is { } sample ? [sample.File] : [];
        var photos = (images is null ? files.Select(file => File.ReadAllBytes(Bundle.PathOf(folder, file)))
            : LabelledPhotos.Spread(LabelledPhotos.ReadOthers(images), MostPhotos).Select(photo => photo.Read())).ToList();
        return photos.Count > 0 ? photos
            : throw new ModelFormatException($"The model '{manifest.Name}' has no sample picture; name a folder of photos with --images.");
    }

    private static void Show(ModelManifest manifest, List<byte[]> photos, IReadOnlyList<ServingFigures> figures, ServingFigures best, string? written)
    {
        var table = new Table().Border(TableBorder.Rounded)
            .Title(Markup.Escape(
            $"{manifest.Title ?? manifest.Name}: {Counted.Of(photos.Count, "photo")} of {photos.Average(photo => photo.Length) / 1000:0} kB, " +
            Counted.Of(Environment.ProcessorCount, "processor")));
        table.AddColumn("Concurrency × threads");
        foreach (var figure in figures)
        {
            table.AddColumn(
                new TableColumn(
                $"{(figure == best ? "[green]" : "[default]")}{Markup.Escape(figure.Settings.Variant)} {figure.Settings.Concurrency} × " +
                $"{figure.Settings.IntraOpThreads}[/]").RightAligned());
        }

        Row("One at a time, p50 ms", figure => $"{figure.Idle50:0.0}");
        Row("  decode", figure => $"{figure.Decode:0.0}");
        Row("  preprocess", figure => $"{figure.Preprocess:0.0}");
        Row("  compute", figure => $"{figure.Compute:0.0}");
        Row("  p99", figure => $"{figure.Idle99:0.0}");
        Row($"{ModelBenchmark.Clients} at a time, answers/s", figure => $"{figure.PerSecond:0}");
        Row("  CPU ms each", figure => $"{figure.CpuMs:0.0}");
        Row("  p50 ms", figure => $"{figure.Loaded50:0.0}");
        Row("  p99 ms", figure => $"{figure.Loaded99:0.0}");
        Row("Memory MB", figure => $"{figure.MemoryMb:0}");
        AnsiConsole.Write(table);
        AnsiConsole.MarkupInterpolated(
            $"Recommended here: [green]{best.Settings.Variant}[/], {best.Settings.Concurrency} at once with {Counted.Of(best.Settings.IntraOpThreads, "thread")} each. ");
        AnsiConsole.MarkupLineInterpolated(
            $"Expect at most {Counted.Of(Math.Round(best.PerSecond), "answer")} per second, {best.Idle50:0.0} ms each while there is one at a time.");
        if (written is not null)
        {
            AnsiConsole.MarkupLineInterpolated($"Written to {written}.");
        }
        else
        {
            AnsiConsole.WriteLine(
                $"Set it with Catalog__Variant={best.Settings.Variant} Scheduling__Concurrency={best.Settings.Concurrency} " +
                $"OnnxRuntime__IntraOpThreads={best.Settings.IntraOpThreads}, or with --write appsettings.json.");
        }

        void Row(string name, Func<ServingFigures, string> value) => table.AddRow([name, .. figures.Select(value)]);
    }

    private static JsonObject ToJson(ModelManifest manifest, int photos, IReadOnlyList<ServingFigures> figures, ServingFigures best)
    {
        return new()
        {
            ["model"] = manifest.Name,
            ["version"] = manifest.Version,
            ["processors"] = Environment.ProcessorCount,
            ["photos"] = photos,
            ["clients"] = ModelBenchmark.Clients,
            ["measured"] = new JsonArray([.. figures.Select(figure => (JsonNode)new JsonObject
            {
                ["variant"] = figure.Settings.Variant,
                ["concurrency"] = figure.Settings.Concurrency,
                ["intra_op_threads"] = figure.Settings.IntraOpThreads,
                ["decode_ms"] = figure.Decode,
                ["preprocess_ms"] = figure.Preprocess,
                ["compute_ms"] = figure.Compute,
                ["idle_p50_ms"] = figure.Idle50,
                ["idle_p99_ms"] = figure.Idle99,
                ["loaded_p50_ms"] = figure.Loaded50,
                ["loaded_p99_ms"] = figure.Loaded99,
                ["per_second"] = figure.PerSecond,
                ["cpu_ms"] = figure.CpuMs,
                ["memory_mb"] = figure.MemoryMb,
            })]),
            ["recommended"] = new JsonObject
            {
                ["Catalog:Variant"] = best.Settings.Variant,
                ["Scheduling:Concurrency"] = best.Settings.Concurrency,
                ["OnnxRuntime:IntraOpThreads"] = best.Settings.IntraOpThreads,
            },
        };
    }
}
