using System.Runtime;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelConversion.Preparation;

namespace Whatsit.ModelConversion;

/// <summary>What to convert, and how.</summary>
/// <param name="Path">A model file of any format, the folder that holds it, or a zip with either.</param>
public record ConversionRequest(string Path)
{
    /// <summary>A file with the labels; by default those in the file or beside it.</summary>
    public string? Labels { get; init; }

    /// <summary>How pictures were prepared in training, by a name of <see cref="Presets.ByName"/>; by default what the file says or shows.</summary>
    public string? Preset { get; init; }

    /// <summary>The resizer of the training, by a name of <see cref="Resizers.Names"/>.</summary>
    public string? Resample { get; init; }

    /// <summary>How pictures were prepared, where that is known from elsewhere: nothing else is asked.</summary>
    internal PreprocessingSpec? Preprocessing { get; init; }

    /// <summary>Keeps <see cref="ConvertedModel.Stem"/>.</summary>
    internal bool LooksAtStem { get; init; }

    /// <summary>The side of the input in pixels, for networks that take any.</summary>
    public int? Size { get; init; }

    /// <summary>Also writes the network with its own float input.</summary>
    public bool KeepInput { get; init; }

    /// <summary>Makes a quantized model float.</summary>
    public bool Dequantize { get; init; }

    /// <summary>The output that holds the scores, where a network has several that may.</summary>
    public string? Output { get; init; }

    /// <summary>Ends a network that gives logits with a softmax.</summary>
    public bool Softmax { get; init; }

    /// <summary>Which file of a folder or zip is meant, where it holds several models.</summary>
    public string? File { get; init; }

    /// <summary>What Keras' layers of Python code compute: <see cref="ReadingOptions.Lambdas"/>.</summary>
    public IReadOnlyDictionary<string, string> Lambdas { get; init; } = new Dictionary<string, string>();

    /// <summary>A file with the network's description, for Keras weights alone: <see cref="ReadingOptions.Architecture"/>.</summary>
    public string? Architecture { get; init; }
}

/// <summary>A network that was converted and gave the original's answers.</summary>
/// <param name="Format">The original's format, for people.</param>
/// <param name="Network">The name that the file gives it.</param>
/// <param name="Parameters">How many numbers were trained.</param>
/// <param name="Files">What was written, by variant.</param>
/// <param name="Input">What the graph takes.</param>
/// <param name="Preprocessing">How a picture becomes that.</param>
/// <param name="Output">What the graph answers with.</param>
/// <param name="Labels">As many as there are classes; a coarse group may follow a tab.</param>
/// <param name="SampleScores">The converted network's answer to the sample picture.</param>
/// <param name="LargestDifference">By how much an answer differed from the original's, at most.</param>
/// <param name="ProofInputs">On how many pictures.</param>
/// <param name="Notes">What was found and assumed, a sentence each.</param>
public sealed record ConvertedModel(
    string Format, string Network, long Parameters, IReadOnlyDictionary<string, BundleFile> Files, InputSpec Input,
        PreprocessingSpec Preprocessing, OutputSpec Output,
    IReadOnlyList<string> Labels, IReadOnlyList<float> SampleScores, float LargestDifference, int ProofInputs, IReadOnlyList<string> Notes)
{
    /// <summary>The beginning of the original, where training recorded what comes of it.</summary>
    internal StemNetwork? Stem { get; init; }
}

/// <summary>
/// The map of this library: from a file of any format to an ONNX file that takes pixels and answers as the original does.
/// <code>
///   read ─1─► picture input, labels ─2─► answers of the original ─3─► passes ─4─► model.onnx ─5─► same answers? ─6─►
/// </code>
/// </summary>
public static class ModelConverter
{
    /// <summary>The variant whose input is the network's own: floats instead of pixels.</summary>
    public const string FloatInput = "float_input";

    private const string ModelFile = "model.onnx";
    private const string OnnxFormat = "ONNX";
    private const string KerasFormat = "Keras";

    // Twice the largest that classifiers are trained for (EfficientNet-L2: 800), and small enough to hold the first layer's answer to it.
    private const int LargestSide = 2048;

    /// <summary>Converts, and proves it.</summary>
    /// <param name="request">What and how.</param>
    /// <param name="sample">A picture to compare both networks' answers on, beside noise.</param>
    /// <param name="folder">Where to write; it is made. What is in it after a failure is the caller's to remove.</param>
    /// <param name="progress">Told what begins.</param>
    /// <exception cref="ModelFormatException">It is malformed, not supported, or does not answer as the original does.</exception>
    public static ConvertedModel Convert(ConversionRequest request, RgbImage sample, string folder, Action<string> progress)
    {
        if (request.Size is <= 0 or > LargestSide)
        {
            throw new ModelFormatException($"A picture cannot be {request.Size} pixels wide; 1 to {LargestSide} are possible.");
        }

        try
        {
            return Prove(request, sample, folder, progress);
        }
        catch (Exception exception) when (ModelFormatException.IsDamage(exception))
        {
            throw ModelFormatException.Of(request.Path, exception);
        }
    }

    private static ConvertedModel Prove(ConversionRequest request, RgbImage sample, string folder, Action<string> progress)
    {
        // 1 to 5. A method of its own: what it held is let go of, for what follows needs room for more copies of the weights.
        (var model, var proof, var quantized, var classifier) = Write(request, sample, folder, progress);
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

        // 6. Prove.
        progress("Comparing with the original");
        var answers = Answers(Path.Combine(folder, ModelFile), proof.Pictures, model.Input, model.Output.Name);
        var difference = proof.Check(answers, classifier, quantized);
        return model with { SampleScores = answers[0], LargestDifference = difference, ProofInputs = answers.Length };
    }

    private static (ConvertedModel Model, Proof Proof, bool Quantized, ClassifierDescription Classifier) Write(ConversionRequest request, RgbImage sample,
        string folder, Action<string> progress)
    {
        // 1. Read.
        using var archive = ModelArchive.Open(request.Path, request.File);
        (var reader, var path) = ModelReaders.Find(archive.Path, new ReadingOptions
        {
            Dequantize = request.Dequantize,
            Lambdas = request.Lambdas,
            Architecture = request.Architecture is { } description ? ReadingOptions.ReadArchitecture(description) : null,
        });
        if (request.Architecture is not null && reader.Format != KerasFormat)
        {
            throw new ModelFormatException($"A description of the network (--config) belongs to Keras weights; this is {reader.Format}.");
        }

        if (request.Lambdas.Count > 0 && reader.Format is not (KerasFormat or "TensorFlow.js"))
        {
            throw new ModelFormatException($"Layers of Python code (--lambda) are Keras'; this is {reader.Format}.");
        }

        progress($"Reading {reader.Format}");
        var model = reader.Read(path);
        model = HubFolder.Around(path, archive.Root)?.Apply(model, request.Size) ?? model;
        model = EdgeImpulse.Apply(PixelMetadata.Apply(model, path, archive.Root), path, archive.Root);
        var graph = model.Graph;
        var notes = new List<string>(model.Notes);
        var name = graph.Name;
        InputShape.Fix(graph, request.Size ?? model.Side, notes);
        if (WidenHalf.Apply(graph))
        {
            notes.Add("Half-precision weights and values became 32-bit floats.");
        }

        if (request.Dequantize)
        {
            Dequantize.Apply(graph);
        }

        // PyTorch, from where most ONNX files come, flattens whole channels; TensorFlow has the channels last.
        InputShape.Unflatten(graph, channelsFirst: reader.Format == OnnxFormat, notes);
        ClassifierOutputs.Choose(graph, request.Output, notes);
        ClassifierOutputs.AlongClasses(graph, notes);

        // 2. What the network sees.
        var onlyInput = InputShape.Only(graph);
        var input = PictureInput.Of(graph)
            ?? throw new ModelFormatException(
                $"The input '{onlyInput.Name}' of shape [{string.Join(", ", onlyInput.Shape)}] is no picture: height, width and one or three channels are " +
                $"expected, or a row of side · side or 3 · side · side numbers.");
        if (Math.Max(input.Width, input.Height) > LargestSide)
        {
            throw new ModelFormatException(
                $"The input '{onlyInput.Name}' is {input.Width} × {input.Height} pixels; up to {LargestSide} on a side are supported.");
        }

        var stem = request.LooksAtStem ? StemNetwork.Of(graph, input) : null;
        var preprocessing = request.Preprocessing ?? Presets.Choose(model, request.Preset, request.Resample, notes);
        if (input.Channels <= 1)
        {
            notes.Add("The network sees greyscale; the graph computes it from the colours.");
        }

        var spec = new InputSpec(PixelInput.Name, InputElementType.UInt8, TensorLayout.Nhwc, input.Width, input.Height);
        var pixels = new byte[spec.ByteLength];
        new Preprocessor(preprocessing, spec).Process(sample, pixels);

        // 3. What the original answers, while its weights are still as they were read.
        var quantized = graph.Nodes.Exists(node => node.Op is "QuantizeLinear" or "DynamicQuantizeLinear");
        var proof = Proof.Record(graph, input, preprocessing, pixels, progress);

        // 4. Convert; the code that read and ran the original is not needed for that.
        progress("Converting");
        ResidentMemory.Trim();
        PassOrder.Apply(graph);
        Directory.CreateDirectory(folder);
        var files = new Dictionary<string, BundleFile>();
        if (request.KeepInput || input.Channels <= 1)
        {
            OnnxWriter.Write(graph, Path.Combine(folder, "model.float.onnx"));
            files[FloatInput] = Bundle.Describe(folder, "model.float.onnx");
        }

        PixelInput.Apply(graph, input, preprocessing);
        FoldBatchNorm.Apply(graph);
        var classifier = ClassifierOutputs.Apply(graph, request.Softmax, proof.Scores);
        notes.AddRange(classifier.Note is { } note ? [note] : []);
        var labels = LabelSource.Choose(request.Labels, path, archive.Root, model, classifier.Classes, notes);

        // 5. Write.
        progress($"Writing {ModelFile}");
        ShortNames.Apply(graph);
        OnnxWriter.Write(graph, Path.Combine(folder, ModelFile), new Dictionary<string, string> { ["source_format"] = reader.Format });
        files["fp32"] = Bundle.Describe(folder, ModelFile);
        var output = new OutputSpec
        {
            Name = classifier.Kind == OutputKind.Logits ? "logits" : "probabilities",
            Kind = classifier.Kind,
            Embedding = classifier.HasEmbedding ? ClassifierOutputs.Embedding : null,
            Features = classifier.HasFeatures ? ClassifierOutputs.Features : null,
            ClassifierWeights = WriteWeights(folder, classifier),
        };
        return (new ConvertedModel(reader.Format, name, Parameters(graph), files, spec, preprocessing, output, labels, [], 0, 0, notes)
        {
            Stem = stem,
        }, proof, quantized, classifier);
    }

    private static long Parameters(Graph graph) =>
        graph.Constants.Values.Where(constant => constant.Type is not (ElementType.Int64 or ElementType.Bool)).Sum(constant => (long)constant.Length);

    private static BundleFile? WriteWeights(string folder, ClassifierDescription classifier)
    {
        if (classifier.ClassifierWeights is null)
        {
            return null;
        }

        File.WriteAllBytes(Path.Combine(folder, "classifier.f32"), classifier.ClassifierWeights.Data.ToArray());
        return Bundle.Describe(folder, "classifier.f32");
    }

    private static float[][] Answers(string path, IReadOnlyList<byte[]> pictures, InputSpec input, string output)
    {
        using var runner = new OnnxRunner(path, fewRuns: true);
        return [.. pictures.Select(pixels => runner.Run(
            new Dictionary<string, Tensor> { [input.Name] = new Tensor(ElementType.UInt8, [1, input.Height, input.Width, 3], pixels) },
                output)[output].ToFloats())];
    }
}
