using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.Safetensors;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelConversion.Formats.TensorFlowLite;

namespace Whatsit.ModelConversion.Formats;

/// <summary>Every format that can be read.</summary>
public static class ModelReaders
{
    /// <summary>The readers, one per format.</summary>
    /// <param name="options">What the files do not say themselves.</param>
    public static IReadOnlyList<IModelReader> All(ReadingOptions? options = null) =>
    [
        new GuardedReader(new KerasReader(options)),
        new GuardedReader(new TensorFlowJsReader(options)),
        new GuardedReader(new TensorFlowLiteReader(options?.Dequantize == true)),
        new GuardedReader(new OnnxReader()),
        new GuardedReader(new TransformersReader()),
    ];

    /// <summary>The reader for a file or folder, by its content; a folder may hold the one model file that is meant.</summary>
    /// <exception cref="ModelFormatException">There is no such file, or it is of no format that is known.</exception>
    public static (IModelReader Reader, string Path) Find(string path, ReadingOptions? options = null)
    {
        if (!Path.Exists(path))
        {
            throw new ModelFormatException($"There is no file or folder '{path}'.");
        }

        if (File.Exists(path) && !ModelFile.Exists(path))
        {
            throw new ModelFormatException($"'{path}' is empty, or no file that can be read from its start (a pipe, a device).");
        }

        var readers = All(options);
        path = Directory.Exists(path) && HubFolder.Of(path)?.Model() is { } meant ? meant : path;
        string[] candidates = Directory.Exists(path) ? [path, .. Directory.EnumerateFiles(path).Order(StringComparer.Ordinal)] : [path];
        var models = Checkpoint.BehindNetworks([.. candidates.Where(candidate => readers.Any(reader => reader.CanRead(candidate)))]);
        (IModelReader Reader, string Path)[] found = [.. models.Select(model => (readers.First(reader => reader.CanRead(model)), model))];
        return found switch
        {
            [var only] => only,
            [var whole, ..] when whole.Path == path => whole,
            [] when candidates.Any(candidate => Path.GetFileName(candidate) == "saved_model.pb") => throw SavedModel($"'{path}'"),
            [] => throw Unreadable(path)
                ?? new ModelFormatException($"'{path}' is no model that can be read: {string.Join(", ", readers.Select(reader => reader.Format))}."),
            _ => throw new ModelFormatException(
                $"The folder '{path}' holds several models: {string.Join(", ", found.Select(model => Path.GetFileName(model.Path)))}. Name one of them."),
        };
    }

    /// <summary>The refusal of TensorFlow's own format, with the way out of it.</summary>
    internal static ModelFormatException SavedModel(string what) => new(
        $"{what} is a TensorFlow SavedModel: save the model as .h5 or .keras (model.save), or convert it (tf.lite.TFLiteConverter.from_saved_model, " +
        $"tensorflowjs_converter, python -m tf2onnx.convert --saved-model), and import that.");

    private static ModelFormatException? Unreadable(string path)
    {
        try
        {
            Placeholder.Refuse(path);
            return null;
        }
        catch (ModelFormatException placeholder)
        {
            return placeholder;
        }
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
