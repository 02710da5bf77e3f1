using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>
/// What is a bundle already, as the page hands out what was taught there: nothing is converted. It gets its name here, each of its variants must give its
/// recorded answer, and it is installed as it is.
/// </summary>
internal static class CompleteBundle
{
    // As much as a model may unpack to.
    private const long Largest = 4L << 30;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Whether a path is the zip or the folder of one.</summary>
    public static bool Is(string path) => Directory.Exists(path) ? ModelSource.IsBundle(path) : ModelFile.Exists(path) && BundleArchive.IsOne(path);

    /// <summary>Checks and installs it.</summary>
    public static async Task<ModelManifest> ImportAsync(ImportRequest request, CancellationToken cancellationToken)
    {
        RefuseConversion(request);
        var bundle = new BundleFolder(request.Models, request.Name);
        var around = request.DryRun ? Directory.CreateTempSubdirectory("whatsit-").FullName : null;
        var temporary = around is null ? bundle.NewTemporary() : Path.Combine(around, request.Name);
        try
        {
            var manifest = Directory.Exists(request.Path) ? Copy(request, temporary)
                : BundleArchive.Unpack(request.Path, Path.GetFileName(request.Path), request.Name, temporary, Largest);
            if (request.Title is not null || request.License is not null || request.Source is not null)
            {
                ManifestEdit.Apply(temporary, edited =>
                {
                    foreach ((var key, var value) in (ValueTuple<string, string?>[])
                        [("title", request.Title), ("license", request.License), ("source", request.Source)])
                    {
                        edited[key] = value ?? edited[key]?.DeepClone();
                    }
                });
                manifest = Bundle.ReadManifest(temporary, request.Name);
            }

            using (var evaluator = new Evaluator())
            {
                foreach (var variant in manifest.Files.Keys)
                {
                    using var model = evaluator.Load(manifest, temporary, variant);
                    await evaluator.SelfTestAsync(model.Model, cancellationToken);
                }
            }

            if (!request.DryRun)
            {
                bundle.Install(temporary);
            }

            return manifest;
        }
        finally
        {
            if (Directory.Exists(around ?? temporary))
            {
                Directory.Delete(around ?? temporary, recursive: true);
            }
        }
    }

    /// <summary>Says what was installed.</summary>
    public static void Show(ImportRequest request, ModelManifest manifest, bool json)
    {
        var folder = new BundleFolder(request.Models, request.Name).Path;
        if (json)
        {
            Console.WriteLine(new JsonObject
            {
                ["folder"] = folder,
                ["format"] = "bundle",
                ["manifest"] = JsonSerializer.SerializeToNode(manifest, ManifestJson.Default.ModelManifest),
            }.ToJsonString(Indented));
            return;
        }

        var files = string.Join(", ", manifest.Files.Select(file => $"{file.Key} {ModelCard.Size(file.Value.Bytes)}"));
        AnsiConsole.MarkupLineInterpolated($"A complete bundle: {manifest.Title ?? manifest.Name}, version {manifest.Version}, {files}.");
        Console.WriteLine(manifest.Sample is not { Predictions: [var best, ..] } ? "It has no sample, so it could not be asked for a recorded answer."
            : $"Each variant gave its recorded answer: {best.Label} {best.Confidence:P1}.");
        AnsiConsole.MarkupLine(request.DryRun ? $"Nothing was installed: a dry run. It would be in {Markup.Escape(folder)}."
            : $"[green]{Markup.Escape(request.Name)}[/] is in {Markup.Escape(folder)}.");
    }

    private static void RefuseConversion(ImportRequest request)
    {
        (string Option, bool Given)[] options =
        [
            ("--labels", request.Labels is not null), ("--preset", request.Preset is not null), ("--resample", request.Resample is not null),
            ("--size", request.Size is not null), ("--keep-input", request.KeepInput), ("--dequantize", request.Dequantize),
            ("--output", request.Output is not null), ("--config", request.Architecture is not null), ("--lambda", request.Lambdas.Count > 0),
            ("--softmax", request.Softmax), ("--images", request.Images is not null), ("--unlabelled", request.Unlabelled is not null),
        ];
        if (Array.Find(options, option => option.Given) is { Option: { } given })
        {
            throw new ModelFormatException($"'{request.Path}' is a complete bundle, which is installed as it is; {given} is for networks that are converted. " +
                "What may be changed of it afterwards: whatsit labels, set, preprocessing, abstain.");
        }
    }

    /// <summary>The files that the manifest names, its card, and nothing else of the folder.</summary>
    private static ModelManifest Copy(ImportRequest request, string folder)
    {
        var from = Path.GetFullPath(request.Path);
        var manifest = Bundle.ReadManifest(from);
        var files = new BundleFiles(manifest, from);
        Directory.CreateDirectory(folder);
        foreach (var file in files.All)
        {
            var to = Bundle.PathOf(folder, file);
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            using var source = files.Open(file).Stream;
            using var target = File.Create(to);
            source.CopyTo(target);
        }

        foreach (var file in (string[])[Bundle.ManifestFile, "README.md"])
        {
            if (File.Exists(Bundle.PathOf(from, file)))
            {
                File.Copy(Bundle.PathOf(from, file), Path.Combine(folder, file));
            }
        }

        ManifestEdit.Apply(folder, edited => edited["name"] = request.Name);
        return Bundle.ReadManifest(folder, request.Name);
    }
}
