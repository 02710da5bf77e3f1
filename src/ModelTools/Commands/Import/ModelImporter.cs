using System.Runtime;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelTools.Formats;
using Whatsit.ModelTools.Formats.Onnx;
using Whatsit.ModelTools.Graphs;
using Whatsit.ModelTools.Passes;

namespace Whatsit.ModelTools.Commands.Import;

/// <summary>What to import, and how.</summary>
internal sealed record ImportRequest(string Path, string Name, string Models)
{
    public string? Labels { get; init; }

    public string? Preset { get; init; }

    public string? Resample { get; init; }

    public int? Size { get; init; }

    public bool KeepInput { get; init; }

    public bool Dequantize { get; init; }

    public bool Softmax { get; init; }

    public string? Title { get; init; }

    public string? License { get; init; }

    public string? Source { get; init; }
}

/// <summary>What was imported.</summary>
internal sealed record ImportReport(
    string Folder, string Format, string Network, long Parameters, ModelManifest Manifest, IReadOnlyList<string> Labels, float LargestDifference, int ProofInputs, IReadOnlyList<string> Notes, TimeSpan Elapsed);

/// <summary>
/// From a file to a bundle, in steps that leave nothing behind where one fails:
/// <code>
///   read ─► preprocessing ─► answers of the original ─► passes ─► model.onnx ─► same answers? ─► manifest, card, sample ─► move into place
/// </code>
/// </summary>
internal static partial class ModelImporter
{
    /// <summary>The variant whose input is the network's own: floats instead of pixels.</summary>
    public const string FloatInput = "float_input";

    private const int LargestSide = 4096;

    public static ImportReport Import(ImportRequest request, Action<string> progress)
    {
        var started = TimeProvider.System.GetTimestamp();
        CheckName(request.Name);
        if (request.Size is <= 0 or > LargestSide)
        {
            throw new ModelFormatException($"A picture cannot be {request.Size} pixels wide; 1 to {LargestSide} are possible.");
        }

        var temporary = Path.Combine(Path.GetFullPath(request.Models), $".{request.Name}.{Guid.NewGuid():N}");
        try
        {
            // 1 to 5. A method of its own: what it held is let go of, for what follows needs room for more copies of the weights.
            using var sample = SamplePicture.Draw();
            var network = ConvertNetwork(request, sample, temporary, progress);
            GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

            // 6. Prove.
            progress("Comparing with the original");
            var classifier = network.Classifier;
            var answers = Answers(Path.Combine(temporary, "model.onnx"), network.Proof.Pictures, network.Input, OutputName(classifier));
            var difference = network.Proof.Check(answers, classifier.Kind, network.AddedSoftmax, network.Quantized);

            // 7. The bundle's papers.
            File.WriteAllBytes(Path.Combine(temporary, "sample.png"), ImageDecoders.CreateEncoder(new DecodingOptions()).ToPng(sample.Pixels.ToArray(), sample.Width, sample.Height));
            File.WriteAllLines(Path.Combine(temporary, "labels.txt"), network.Labels);
            var folder = Path.Combine(request.Models, request.Name);
            var manifest = new ModelManifest
            {
                Name = request.Name,
                Version = NextVersion(folder),
                Title = request.Title ?? Title(request.Name),
                Description = $"An image classifier with {classifier.Classes} classes.",
                License = request.License,
                Source = request.Source ?? $"{Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(request.Path)))} ({network.Format})",
                Files = network.Files,
                Input = network.Input,
                Preprocessing = network.Preprocessing,
                Output = new OutputSpec
                {
                    Name = OutputName(classifier),
                    Kind = classifier.Kind,
                    Embedding = classifier.HasEmbedding ? ClassifierOutputs.Embedding : null,
                    Features = classifier.HasFeatures ? ClassifierOutputs.Features : null,
                    ClassifierWeights = network.ClassifierWeights,
                },
                Sample = new SampleSpec("sample.png", Best(answers[0], classifier.Kind, network.Labels)),
                Proof = JsonSerializer.SerializeToElement(new JsonObject { ["largest_difference"] = difference, ["inputs"] = answers.Length }, ProofJson),
            };
            File.WriteAllText(Path.Combine(temporary, Bundle.ManifestFile), JsonSerializer.Serialize(manifest, ManifestJson.Default.ModelManifest) + "\n");
            var report = new ImportReport(
                folder, network.Format, network.Name, network.Parameters, manifest, network.Labels, difference, answers.Length, network.Notes, TimeProvider.System.GetElapsedTime(started));
            File.WriteAllText(Path.Combine(temporary, "README.md"), ModelCard.Write(report));

            // 8. In place, at once.
            Install(temporary, folder);
            return report;
        }
        catch when (Directory.Exists(temporary))
        {
            Directory.Delete(temporary, recursive: true);
            throw;
        }
    }

    /// <summary>What is known of a network whose <c>model.onnx</c> is written.</summary>
    private sealed record Converted(
        string Format, string Name, long Parameters, InputSpec Input, PreprocessingSpec Preprocessing, bool Quantized, bool AddedSoftmax, ClassifierDescription Classifier,
        string[] Labels, Proof Proof, Dictionary<string, BundleFile> Files, BundleFile? ClassifierWeights, List<string> Notes);

    private static Converted ConvertNetwork(ImportRequest request, RgbImage sample, string temporary, Action<string> progress)
    {
        // 1. Read.
        using var archive = ModelArchive.Open(request.Path);
        (var reader, var path) = ModelReaders.Find(archive.Path, request.Dequantize);
        progress($"Reading {reader.Format}");
        var model = reader.Read(path);
        var graph = model.Graph;
        var notes = new List<string>(model.Notes);
        var name = graph.Name;
        Conversion.FixSize(graph, request.Size, notes);
        if (WidenHalf.Apply(graph))
        {
            notes.Add("Half-precision weights and values became 32-bit floats.");
        }

        if (request.Dequantize)
        {
            Passes.Dequantize.Apply(graph);
        }

        // PyTorch, from where most ONNX files come, flattens whole channels; TensorFlow has the channels last.
        Conversion.Unflatten(graph, channelsFirst: reader is OnnxReader, notes);

        // 2. What the network sees, and what its classes are called.
        var onlyInput = Conversion.OnlyInput(graph);
        var input = PictureInput.Of(graph)
            ?? throw new ModelFormatException($"The input '{onlyInput.Name}' of shape [{string.Join(", ", onlyInput.Shape)}] is no picture: height, width and one or three channels are expected, or a row of side · side or 3 · side · side numbers.");
        var preprocessing = Presets.Choose(model, reader.Format, request.Preset, request.Resample, notes);
        if (input.Channels <= 1)
        {
            notes.Add("The network sees greyscale; the graph computes it from the colours.");
        }

        var spec = new InputSpec(PixelInput.Name, InputElementType.UInt8, TensorLayout.Nhwc, input.Width, input.Height);
        var pixels = new byte[spec.ByteLength];
        new Preprocessor(preprocessing, spec).Process(sample, pixels);

        // 3. What the original answers, while its weights are still as they were read.
        var quantized = graph.Nodes.Exists(node => node.Op == "QuantizeLinear");
        var proof = Proof.Record(graph, input, preprocessing, pixels, progress);

        // 4. Convert; the code that read and ran the original is not needed for that.
        progress("Converting");
        ResidentMemory.Trim();
        Conversion.Optimize(graph);
        Directory.CreateDirectory(temporary);
        var files = new Dictionary<string, BundleFile>();
        if (request.KeepInput || input.Channels <= 1)
        {
            OnnxWriter.Write(graph, Path.Combine(temporary, "model.float.onnx"));
            files[FloatInput] = Describe(temporary, "model.float.onnx");
        }

        PixelInput.Apply(graph, input, preprocessing);
        FoldBatchNorm.Apply(graph);
        var classifier = ClassifierOutputs.Apply(graph, request.Softmax);
        var addedSoftmax = request.Softmax && graph.Nodes[^1].Name == "softmax";
        var labels = Labels(request, path, model, classifier.Classes, notes);

        // 5. Write.
        progress("Writing model.onnx");
        OnnxWriter.Write(graph, Path.Combine(temporary, "model.onnx"), new Dictionary<string, string> { ["source_format"] = reader.Format });
        files["fp32"] = Describe(temporary, "model.onnx");
        var weights = WriteWeights(temporary, classifier);
        return new Converted(
            reader.Format, name, Parameters(graph), spec, preprocessing, quantized, addedSoftmax, classifier with { ClassifierWeights = null }, labels, proof, files, weights, notes);
    }

    private static JsonSerializerOptions ProofJson { get; } = new();

    private static void CheckName(string name)
    {
        if (!NamePattern().IsMatch(name))
        {
            throw new InferenceException(InferenceError.InvalidRequest, $"'{name}' cannot be a model's name: it stands in URLs and is a folder. Use letters, digits, '-', '_' and '.', at most 64.");
        }
    }

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    private static partial Regex NamePattern();

    private static string OutputName(ClassifierDescription classifier) => classifier.Kind == OutputKind.Logits ? "logits" : "probabilities";

    /// <summary>Given, found in or beside the file, or numbers; as many as there are classes.</summary>
    private static string[] Labels(ImportRequest request, string path, ImportedModel model, int classes, List<string> notes)
    {
        if (request.Labels is { } file)
        {
            var given = LabelSource.Read(file);
            return LabelSource.Fit(given, classes, notes) ?? throw new ModelFormatException($"There are {given.Length} labels for {classes} classes.");
        }

        if (model.Labels is { } known && LabelSource.Fit([.. known], classes, notes) is { } fitting)
        {
            return fitting;
        }

        if (LabelSource.Beside(path, classes, notes) is { } found)
        {
            return found;
        }

        notes.Add($"No labels were found: the {classes} classes are numbered. Give them with --labels.");
        return [.. Enumerable.Range(0, classes).Select(index => $"class {index}")];
    }

    private static long Parameters(Graph graph) => graph.Constants.Values.Where(constant => constant.Type is not (ElementType.Int64 or ElementType.Bool)).Sum(constant => (long)constant.Length);

    /// <summary>A file of a bundle, as its manifest lists it.</summary>
    public static BundleFile Describe(string folder, string file)
    {
        using var stream = File.OpenRead(Path.Combine(folder, file));
        return new BundleFile(file, stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
    }

    private static BundleFile? WriteWeights(string folder, ClassifierDescription classifier)
    {
        if (classifier.ClassifierWeights is null)
        {
            return null;
        }

        File.WriteAllBytes(Path.Combine(folder, "classifier.f32"), classifier.ClassifierWeights.Data.ToArray());
        return Describe(folder, "classifier.f32");
    }

    private static float[][] Answers(string path, IReadOnlyList<byte[]> pictures, InputSpec input, string output)
    {
        using var runner = new OnnxRunner(path, fewRuns: true);
        return [.. pictures.Select(pixels => runner.Run(
            new Dictionary<string, Tensor> { [input.Name] = new Tensor(ElementType.UInt8, [1, input.Height, input.Width, 3], pixels) }, output)[output].ToFloats())];
    }

    private static Prediction[] Best(float[] scores, OutputKind kind, string[] labels)
    {
        float[] probabilities = [.. scores];
        if (kind == OutputKind.Logits)
        {
            Softmax.Apply(probabilities);
        }

        var best = new int[Math.Min(5, probabilities.Length)];
        TopK.Select(probabilities, best);
        return [.. best.Select(index => new Prediction(labels[index].Split('\t')[0], index, probabilities[index]))];
    }

    private static string Title(string name) => name.Length == 0 ? name : char.ToUpperInvariant(name[0]) + name[1..].Replace('_', ' ').Replace('-', ' ');

    private static string NextVersion(string folder) =>
        File.Exists(Path.Combine(folder, Bundle.ManifestFile)) && int.TryParse(Bundle.ReadManifest(folder).Version, out var version) ? $"{version + 1}" : "1";

    /// <summary>Renames are atomic: the server sees the old bundle or the new one.</summary>
    private static void Install(string temporary, string folder)
    {
        if (!Directory.Exists(folder))
        {
            Directory.Move(temporary, folder);
            return;
        }

        var old = temporary + ".old";
        Directory.Move(folder, old);
        try
        {
            Directory.Move(temporary, folder);
        }
        catch
        {
            Directory.Move(old, folder);
            throw;
        }

        Directory.Delete(old, recursive: true);
    }
}
