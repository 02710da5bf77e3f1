using System.IO.Compression;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Hdf5;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>Reads whole Keras models: <c>.h5</c> (HDF5 with the attribute <c>model_config</c>) and <c>.keras</c> (a zip with <c>config.json</c>).</summary>
public sealed class KerasReader(ReadingOptions? options = null) : IModelReader
{
    private const string ConfigEntry = "config.json";
    private const string WeightsEntry = "model.weights.h5";

    // A description of a network is text: NASNetLarge's has 1.5 MB.
    private const long LongestConfig = 64 << 20;

    // Weights hardly compress; an archive that grows a hundredfold is made to.
    private const long MostExpansion = 100;

    // Keras nests a layer four deep and a model in a model five deeper.
    private static readonly JsonDocumentOptions Nesting = new() { MaxDepth = 256, CommentHandling = JsonCommentHandling.Skip };

    /// <inheritdoc/>
    public string Format => "Keras";

    /// <inheritdoc/>
    public bool CanRead(string path)
    {
        if (!ModelFile.Exists(path))
        {
            return false;
        }

        using var stream = File.OpenRead(path);
        return IsZip(stream) ? IsKerasArchive(stream) : Hdf5File.IsHdf5(stream);
    }

    /// <inheritdoc/>
    public ImportedModel Read(string path)
    {
        try
        {
            bool archive;
            using (var stream = File.OpenRead(path))
            {
                archive = IsZip(stream);
            }

            var model = archive ? ReadArchive(path) : ReadHdf5(path);
            return WithLabels(model, path);
        }
        catch (OverflowException exception)
        {
            throw new ModelFormatException("The file holds sizes that overflow.", exception);
        }
    }

    private ImportedModel ReadHdf5(string path)
    {
        using var file = Hdf5File.Open(path);
        var root = file.Root;
        if (!root.Attributes.TryGetValue("model_config", out var config))
        {
            var weights = root.Attributes.ContainsKey("layer_names") || root.Attributes.ContainsKey("layer_names0") || root.Group("layers") is not null
                || root.Group("_layer_checkpoint_dependencies") is not null;
            if (weights && options?.Architecture is { } architecture)
            {
                return ReadWeights(root, architecture);
            }

            throw new ModelFormatException(weights
                ? "The file holds weights without the network they belong to: save the whole model (model.save), not only its weights (model.save_weights), " +
                    "or give the network's description (model.to_json()) with --config."
                : "The HDF5 file is not a Keras model: it has no attribute 'model_config'.");
        }

        RefuseArchitecture();
        var stored = root.Group("model_weights")
            ?? throw new ModelFormatException("The file holds a network without its weights: the group 'model_weights' is missing.");
        var version = Version(root) ?? Version(stored);
        using var document = Parse(config.ReadString());
        return Finish(KerasTopology.Parse(document.RootElement),
            topology => KerasNetwork.Import(topology, new Hdf5Weights(stored), version, options: options, backend: Backend(root) ?? Backend(stored)));
    }

    private static string? Version(Hdf5Object owner) => owner.Attributes.TryGetValue("keras_version", out var version) ? version.ReadString() : null;

    private static string? Backend(Hdf5Object owner) => owner.Attributes.TryGetValue("backend", out var backend) ? backend.ReadString() : null;

    /// <summary>Weights alone, as save_weights writes them: by layers' names, or, with Keras 3, by classes and numbers as in a <c>.keras</c> archive.</summary>
    private ImportedModel ReadWeights(Hdf5Group root, string architecture)
    {
        using var document = Parse(architecture);
        var description = document.RootElement;
        var version = KerasConfig.Property(description, "keras_version").Text() ?? Version(root);
        var backend = KerasConfig.Property(description, "backend").Text() ?? Backend(root);
        var byName = root.Attributes.ContainsKey("layer_names") || root.Attributes.ContainsKey("layer_names0");
        return Finish(KerasTopology.Parse(description), topology =>
            KerasNetwork.Import(topology, byName ? new Hdf5Weights(root) : new ArchiveWeights(root, topology), version, options: options, backend: backend));
    }

    private void RefuseArchitecture()
    {
        if (options?.Architecture is not null)
        {
            throw new ModelFormatException("A description of the network (--config) belongs to a file that holds weights alone; this one describes its own.");
        }
    }

    private ImportedModel ReadArchive(string path)
    {
        RefuseArchitecture();
        try
        {
            using var archive = ZipFile.OpenRead(path);
            var config = Extract(archive, ConfigEntry, LongestConfig);
            var version = archive.GetEntry("metadata.json") is null ? null : VersionIn(Extract(archive, "metadata.json", LongestConfig));
            using var document = Parse(config);
            var topology = KerasTopology.Parse(document.RootElement);
            using var file = Hdf5File.Open(new MemoryStream(Extract(archive, WeightsEntry, Array.MaxLength)));
            return Finish(topology, parsed => KerasNetwork.Import(parsed, new ArchiveWeights(file.Root, parsed), version, options: options));
        }
        catch (InvalidDataException exception)
        {
            throw new ModelFormatException($"The .keras archive is malformed: {exception.Message}", exception);
        }

        static string? VersionIn(byte[] metadata)
        {
            using var document = Parse(metadata);
            return KerasConfig.Property(document.RootElement, "keras_version").Text();
        }
    }

    // Whole, since HDF5 is read at random and Keras stores without compression. What the archive says of sizes is not believed.
    private static byte[] Extract(ZipArchive archive, string name, long limit)
    {
        var entry = archive.GetEntry(name) ?? throw new ModelFormatException($"The .keras archive lacks '{name}'.");
        var expected = entry.Length;
        if (expected > limit || expected > (64 << 20) + (MostExpansion * entry.CompressedLength))
        {
            throw new ModelFormatException($"'{name}' in the .keras archive would unpack to {Counted.Of(expected, "byte")}.");
        }

        using var stream = entry.Open();
        var content = new byte[expected];
        var read = stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
        return read == content.Length && stream.ReadByte() < 0 ? content
            : throw new ModelFormatException($"'{name}' in the .keras archive does not have the {Counted.Of(expected, "byte")} that it claims.");
    }

    private static JsonDocument Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonDocument.Parse(json, Nesting);
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException($"The network's description is not valid JSON: {exception.Message}", exception);
        }
    }

    private static JsonDocument Parse(string json) => Parse(System.Text.Encoding.UTF8.GetBytes(json));

    private static ImportedModel Finish(KerasTopology topology, Func<KerasTopology, ImportedModel> import)
    {
        var model = import(topology);
        return !IsTeachableMachine(topology) ? model : model with
        {
            // https://github.com/googlecreativelab/teachablemachine-community, the snippet for Keras: ImageOps.fit with Lanczos, pixels / 127.5 - 1.
            Preprocessing = new PreprocessingSpec
            {
                Crop = Crop.CenterSquare,
                Resample = "pil-lanczos",
                RescaleFactor = 1 / 127.5,
                ImageMean = [1, 1, 1],
                ImageStd = [1, 1, 1]
            },
            Notes = [.. model.Notes, "Teachable Machine: the centre square of the picture, pixels scaled to -1…1."],
        };
    }

    // A Sequential of a MobileNet in a Sequential and of a Sequential with two dense layers, under names of Teachable Machine's own.
    private static bool IsTeachableMachine(KerasTopology topology) =>
        topology.ClassName == "Sequential"
        && topology.Layers.Where(layer => layer.Network is not null).ToArray() is [{ Network: { } features }, { Network: { } head }]
        && features.Layers.Exists(layer => layer.Network is not null) // "model1", "model5", "model16": as many as the session had
        && head.Layers.Exists(layer => layer.Name.StartsWith("dense_Dense", StringComparison.Ordinal));

    private static ImportedModel WithLabels(ImportedModel model, string path) =>
        LabelFile.Beside(path, model.Graph.Outputs[0].Shape[^1]) is { } labels
            ? model with { Labels = labels, Notes = [.. model.Notes, $"{Counted.Of(labels.Count, "label")} from labels.txt beside the model."] }
            : model;

    private static bool IsZip(Stream stream)
    {
        Span<byte> start = stackalloc byte[4];
        stream.Position = 0;
        return stream.ReadAtLeast(start, 4, throwOnEndOfStream: false) == 4 && start.SequenceEqual("PK\u0003\u0004"u8);
    }

    private static bool IsKerasArchive(Stream stream)
    {
        try
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            return archive.GetEntry(ConfigEntry) is not null && archive.GetEntry(WeightsEntry) is not null;
        }
        catch (InvalidDataException)
        {
            return false;
        }
    }
}
