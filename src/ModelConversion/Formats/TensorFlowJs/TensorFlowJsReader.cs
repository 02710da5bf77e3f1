using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Formats.TensorFlow;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>
/// Reads TensorFlow.js models: <c>model.json</c>, or the folder that holds it, with the weight shards beside it. Layers models describe a Keras network,
/// graph models a TensorFlow graph.
/// </summary>
public sealed class TensorFlowJsReader(ReadingOptions? options = null) : IModelReader
{
    private const int MaxJson = 256 << 20;

    /// <inheritdoc/>
    public string Format => "TensorFlow.js";

    /// <inheritdoc/>
    public bool CanRead(string path) => FindModel(path) is not null;

    /// <inheritdoc/>
    public ImportedModel Read(string path)
    {
        var file = FindModel(path) ?? throw new ModelFormatException($"{Path.GetFileName(path)} is not a TensorFlow.js model.");
        var folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        using var document = Parse(file);
        var model = document.RootElement;
        var topology = model.Member("modelTopology") ?? throw new ModelFormatException("The model has no 'modelTopology'.");
        var weights = WeightsManifest.Read(model.Member("weightsManifest"), folder);

        ImportedModel imported;
        if (topology.Member("node") is not null)
        {
            var signature = model.Member("signature") ?? model.Member("userDefinedMetadata").Member("signature");
            imported = new ImportedModel(new GraphModelConverter(GraphModel.Parse(topology, signature), weights, Path.GetFileName(folder)).Convert());
        }
        else
        {
            imported = KerasNetwork.Import(topology, new LayersWeights(weights), topology.Member("keras_version").Text() ?? model.Member("generatedBy")
                .Text(), tensorFlowJs: true, options: options);
        }

        return WithMetadata(imported, file, folder);
    }

    /// <summary>The <c>metadata.json</c> of Teachable Machine or of our own export, or a <c>labels.txt</c>, beside the model.</summary>
    private static ImportedModel WithMetadata(ImportedModel imported, string file, string folder)
    {
        var classes = imported.Graph.Outputs is [{ Shape: [.., var last] }, ..] ? last : -1;
        imported = imported with { Labels = imported.Labels ?? LabelFile.Beside(file, classes) };
        var path = Path.Combine(folder, "metadata.json");
        if (!File.Exists(path))
        {
            return imported;
        }

        using var document = Parse(path);
        var metadata = document.RootElement;
        List<string> labels = [.. metadata.Member("labels").Items().Select(label => label.Text() ?? "")];
        List<string> notes = [.. imported.Notes];
        if (labels.Count > 0 && labels.Count != classes)
        {
            notes.Add(
                $"metadata.json has {Counted.Of(labels.Count, "label")}, but the model has {Counted.Of(classes, "class", "classes")}: they are not used.");
            labels.Clear();
        }

        var preprocessing = imported.Preprocessing;
        if (metadata.Member("packageName").Text() == "@teachablemachine/image")
        {
            preprocessing = TeachableMachine.Preprocessing;
            notes.Add(TeachableMachine.Note);
            if (metadata.Member("imageSize").Integer() is long size && imported.Graph.Inputs is [{ Shape: [_, var height, var width, _] }]
                && (height != size || width != size))
            {
                notes.Add($"metadata.json says {size}×{size} pixels; the network takes {height}×{width}, which is what counts.");
            }
        }

        else if (metadata.Member("preprocessing") is { } written)
        {
            preprocessing = Specification(written);
        }

        return imported with { Labels = labels.Count > 0 ? labels : imported.Labels, Preprocessing = preprocessing, Notes = notes };
    }

    private static PreprocessingSpec? Specification(JsonElement written)
    {
        try
        {
            return written.Deserialize(ManifestJson.Default.PreprocessingSpec);
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException($"The 'preprocessing' of metadata.json is not understood: {exception.Message}", exception);
        }
    }

    /// <summary>The file itself, or the one in the folder that is a TensorFlow.js model.</summary>
    private static string? FindModel(string path)
    {
        if (!Directory.Exists(path))
        {
            return ModelFile.Exists(path) && LooksRight(path) ? path : null;
        }

        var usual = Path.Combine(path, "model.json");
        return ModelFile.Exists(usual) && LooksRight(usual) ? usual
            : Directory.EnumerateFiles(path, "*.json").Where(ModelFile.Exists).Order(StringComparer.Ordinal).FirstOrDefault(LooksRight);
    }

    /// <summary>JSON with a member 'modelTopology' at the top; it is read no further than that.</summary>
    private static bool LooksRight(string path)
    {
        using var file = File.OpenRead(path);
        if (file.Length > MaxJson || !StartsAsObject(file))
        {
            return false;
        }

        var json = File.ReadAllBytes(path);
        var reader = new Utf8JsonReader(json.AsSpan(json.AsSpan().IndexOf((byte)'{')));
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    if (reader.ValueTextEquals("modelTopology"u8))
                    {
                        return true;
                    }

                    reader.Skip();
                }
            }
        }
        catch (JsonException)
        {
            return false;
        }

        return false;
    }

    private static bool StartsAsObject(FileStream file)
    {
        Span<byte> start = stackalloc byte[64];
        ReadOnlySpan<byte> read = start[..file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)];
        read = read.StartsWith("\uFEFF"u8) ? read[3..] : read;
        return read.TrimStart(" \t\r\n"u8) is [(byte)'{', ..];
    }

    private static JsonDocument Parse(string path)
    {
        using var file = File.OpenRead(path);
        try
        {
            return file.Length <= MaxJson
                ? JsonDocument.Parse(file)
                : throw new ModelFormatException($"{Path.GetFileName(path)} has {Counted.Of(file.Length, "byte")}; at most {MaxJson:N0} are read.");
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException($"{Path.GetFileName(path)} is not well-formed JSON: {exception.Message}", exception);
        }
    }
}
