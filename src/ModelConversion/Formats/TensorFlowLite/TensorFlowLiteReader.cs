using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.TensorFlow;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>Reads TensorFlow Lite models (<c>.tflite</c>): float, half precision, 8-bit weights, and fully quantized ones.</summary>
/// <param name="dequantize">
/// A quantized model becomes a float one. It is slower on a CPU with 8-bit instructions, but any runtime runs it alike. By default it stays quantized,
/// with the file's own scales.
/// </param>
public sealed class TensorFlowLiteReader(bool dequantize = false) : IModelReader
{
    /// <inheritdoc/>
    public string Format => "TensorFlow Lite";

    /// <inheritdoc/>
    public bool CanRead(string path)
    {
        if (!ModelFile.Exists(path))
        {
            return false;
        }

        // A FlatBuffer: the offset of the root table, then the file identifier.
        Span<byte> start = stackalloc byte[8];
        using var file = File.OpenRead(path);
        return file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start[4..].SequenceEqual("TFL3"u8);
    }

    /// <inheritdoc/>
    public ImportedModel Read(string path)
    {
        if (new FileInfo(path).Length is var length && length > Array.MaxLength)
        {
            throw new ModelFormatException(
                $"{Path.GetFileName(path)} has {Counted.Of(length, "byte")}; TensorFlow Lite models of up to {Array.MaxLength:N0} are supported.");
        }

        ReadOnlyMemory<byte> file = File.ReadAllBytes(path);
        var model = LiteModel.Parse(file);
        var converter = new LiteConverter(model, file.Length, dequantize);
        var graph = converter.Convert();
        var metadata = LiteMetadata.Read(model, file);
        var notes = new List<string>();
        if (converter.CutAt is { } tensor)
        {
            notes.Add($"The file augments pictures at random, as training does; that is left out, behind '{tensor}'.");
        }

        if (converter.StaysQuantized)
        {
            notes.Add("The model stays quantized, with the file's own scales.");
        }
        else if (dequantize)
        {
            notes.Add("Quantized weights and values became 32-bit floats.");
        }

        // The last side of the first output counts the classes.
        var labels = metadata.Labels;
        var classes = graph.Outputs is [{ Shape: [.., var last] }, ..] ? last : -1;
        classes = classes == 1 ? 2 : classes; // a single number is one of two
        if (labels is not null && labels.Count != classes)
        {
            notes.Add(
                $"The file carries {Counted.Of(labels.Count, "label")}, but its first output has {Counted.Of(classes, "class", "classes")}: they are not used.");
            labels = null;
        }

        return new ImportedModel(graph)
        {
            Labels = labels ?? LabelFile.Beside(path, classes),
            Preprocessing = Preprocessing(model, metadata, notes),
            Notes = notes,
        };
    }

    /// <summary>
    /// How pixels become the model's input: the scale of a quantized input, whose bytes are pixels, says it, or the metadata. Which part of the picture and
    /// which resizer, no file tells.
    /// </summary>
    private static PreprocessingSpec? Preprocessing(LiteModel model, LiteMetadata metadata, List<string> notes)
    {
        if (model.Inputs is not [int input] || !LiteConverter.IsPicture(model.Tensors[input]))
        {
            return null;
        }

        var picture = model.Tensors[input];
        var channels = picture.Shape[^1];
        PreprocessingSpec? spec = null;
        var teachable = TeachableMachine.Wrote(picture.Name, model.Tensors.Select(tensor => tensor.Name));
        if (teachable && !picture.IsQuantized && metadata.Mean is null)
        {
            notes.Add(TeachableMachine.Note);
            return TeachableMachine.Preprocessing;
        }

        if (picture is { IsQuantized: true, Type: LiteType.UInt8 or LiteType.Int8, Quantization: { } quantization })
        {
            // The bytes themselves are the quantized tensor; metadata, which describes the float original, can only repeat what the scale says.
            var scale = quantization.Scales[0];
            var zeroPoint = quantization.ZeroPoints[0] + (picture.Type == LiteType.Int8 ? 128 : 0);
            spec = new PreprocessingSpec { RescaleFactor = scale, ImageMean = PerChannel([scale * zeroPoint], channels) };
            notes.Add($"The input's quantization says: (pixel − {zeroPoint}) × {scale}.");
        }
        else if (metadata.Mean is { } mean && metadata.Std is { } std && (mean.Count == 1 || mean.Count == channels)
            && (std.Count == 1 || std.Count == channels))
        {
            spec = new PreprocessingSpec { ImageMean = PerChannel(mean, channels), ImageStd = PerChannel(std, channels) };
            notes.Add($"The file's metadata says: (pixel − {string.Join(", ", mean)}) ÷ {string.Join(", ", std)}.");
        }

        if (spec is not null && teachable)
        {
            notes.Add("Teachable Machine: the centred square of the picture is resized.");
            spec = spec with { Crop = TeachableMachine.Preprocessing.Crop, Resample = TeachableMachine.Preprocessing.Resample };
        }
        else if (spec is not null)
        {
            notes.Add("Assumed: the whole picture is squashed to the input size, without antialiasing (tf-bilinear).");
            spec = spec with { Crop = Crop.None, Resample = "tf-bilinear" };
        }

        return spec;
    }

    private static double[] PerChannel(IReadOnlyList<float> values, int channels) =>
        [.. Enumerable.Range(0, channels).Select(channel => (double)values[values.Count == 1 ? 0 : channel])];
}
