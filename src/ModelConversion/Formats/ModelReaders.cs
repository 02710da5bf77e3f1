using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelConversion.Formats.TensorFlowLite;

namespace Whatsit.ModelConversion.Formats;

/// <summary>Every format that can be read.</summary>
public static class ModelReaders
{
    /// <summary>The readers, one per format.</summary>
    /// <param name="dequantize">Makes quantized models float.</param>
    public static IReadOnlyList<IModelReader> All(bool dequantize = false) =>
    [
        new GuardedReader(new KerasReader()),
        new GuardedReader(new TensorFlowJsReader()),
        new GuardedReader(new TensorFlowLiteReader(dequantize)),
        new GuardedReader(new OnnxReader()),
    ];

    /// <summary>The reader for a file or folder, by its content; a folder may hold the one model file that is meant.</summary>
    /// <exception cref="ModelFormatException">There is no such file, or it is of no format that is known.</exception>
    public static (IModelReader Reader, string Path) Find(string path, bool dequantize = false)
    {
        if (!Path.Exists(path))
        {
            throw new ModelFormatException($"There is no file or folder '{path}'.");
        }

        if (File.Exists(path) && !ModelFile.Exists(path))
        {
            throw new ModelFormatException($"'{path}' is empty, or no file that can be read from its start (a pipe, a device).");
        }

        var readers = All(dequantize);
        if (File.Exists(Path.Combine(path, "saved_model.pb")))
        {
            throw new ModelFormatException(
                $"'{path}' is a TensorFlow SavedModel: save the model as .h5 or .keras (model.save), or convert it to TensorFlow Lite or TensorFlow.js, " +
                $"and import that.");
        }

        string[] candidates = Directory.Exists(path) ? [path, .. Directory.EnumerateFiles(path).Order(StringComparer.Ordinal)] : [path];
        (IModelReader Reader, string Path)[] found =
            [.. candidates.SelectMany(candidate => readers.Where(reader => reader.CanRead(candidate)).Take(1).Select(reader => (reader, candidate)))];
        return found switch
        {
            [var only] => only,
            [var whole, ..] when whole.Path == path => whole,
            [] => throw new ModelFormatException($"'{path}' is no model that can be read: {string.Join(", ", readers.Select(reader => reader.Format))}."),
            _ => throw new ModelFormatException(
                $"The folder '{path}' holds several models: {string.Join(", ", found.Select(model => Path.GetFileName(model.Path)))}. Name one of them."),
        };
    }

    /// <summary>Whatever a damaged file leads a reader to, its caller gets a sentence.</summary>
    private sealed class GuardedReader(IModelReader reader) : IModelReader
    {
        public string Format => reader.Format;

        public bool CanRead(string path) => reader.CanRead(path);

        public ImportedModel Read(string path)
        {
            try
            {
                return reader.Read(path);
            }
            catch (Exception exception) when (ModelFormatException.IsDamage(exception))
            {
                throw ModelFormatException.Of(path, exception);
            }
        }
    }
}
