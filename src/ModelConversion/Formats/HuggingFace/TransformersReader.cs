using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.Safetensors;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>
/// Weights of Transformers' or timm's (<c>model.safetensors</c>) with the <c>config.json</c> beside them, of families whose graph is known. Checkpoints of
/// other kinds (<c>pytorch_model.bin</c>) are pickles, which is code, and not opened.
/// </summary>
internal sealed class TransformersReader : IModelReader
{
    private const string FormatName = "safetensors";

    // What a network keeps beside its weights: counters, a token for pretraining, a layer that classifiers do not use.
    private static readonly string[] Idle = [".num_batches_tracked", ".mask_token", ".position_ids", ".pooler.dense.weight", ".pooler.dense.bias"];

    private static readonly Dictionary<string, NetworkFamily> Families = new(StringComparer.Ordinal)
    {
        ["ResNetForImageClassification"] = Convolutions((modules, pixels, config) => ResNet.Build(modules, pixels, config)),
        ["MobileNetV2ForImageClassification"] = Convolutions((modules, pixels, config) => MobileNetV2.Build(modules, pixels, config)),
        ["ViTForImageClassification"] = Transformer(["vit.embeddings.cls_token"]),
        ["DeiTForImageClassification"] = Transformer(["deit.embeddings.cls_token", "deit.embeddings.distillation_token"]),
        ["DeiTForImageClassificationWithTeacher"] = Transformer(["deit.embeddings.cls_token", "deit.embeddings.distillation_token"]),
    };

    private static NetworkFamily Convolutions(Func<TorchModules, string, TransformersConfig, (string Logits, int Classes)> build) =>
        new((modules, pixels, config, _) => build(modules, pixels, new TransformersConfig(config)),
            config => (new TransformersConfig(config).Count("num_channels", 3), -1, -1));

    private static NetworkFamily Transformer(string[] tokens) => new(
        (modules, pixels, config, weights) => VisionTransformer.Build(modules, pixels, TransformerShape.Of(new TransformersConfig(config), tokens, weights),
            weights),
        config => new TransformersConfig(config) is var settings && settings.Sides("image_size", TransformerShape.UsualSide) is var sides
            ? (settings.Count("num_channels", 3), sides.Height, sides.Width) : default);

    /// <inheritdoc/>
    public string Format => FormatName;

    /// <inheritdoc/>
    public bool CanRead(string path) => Checkpoint.Is(path);

    /// <summary>Whether a network's graph is known.</summary>
    public static bool Knows(JsonElement config) => NameOf(config) is { } name && Of(name) is not null;

    /// <summary>Refuses a network whose graph is not known, before its weights are fetched.</summary>
    /// <param name="folder">Where <c>config.json</c> is.</param>
    /// <exception cref="ModelFormatException">It is one of these, or there is none.</exception>
    public static void Check(string folder) => Find(folder);

    /// <inheritdoc/>
    public ImportedModel Read(string path)
    {
        (var name, var config) = Find(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var weights = Checkpoint.Open(path);
        var builder = new GraphBuilder(config.Member("model_type").Text() ?? name);
        var family = Of(name)!;
        (var channels, var height, var width) = family.Input(config);
        var pixels = builder.AddInput("pixel_values", ElementType.Float32, -1, channels, height, width);
        (var logits, var classes) = family.Build(new TorchModules(weights, builder), pixels, config, weights);
        builder.AddOutput(logits, ElementType.Float32, -1, classes);
        var notes = new List<string> { $"{name}, made of {HubFolder.Config} and {Path.GetFileName(path)}." };
        string[] unread = [.. weights.Unread.Where(tensor => !Array.Exists(Idle, idle => tensor.EndsWith(idle, StringComparison.Ordinal)))];
        if (unread.Length > 0 && family.IsToldByNames)
        {
            throw new ModelFormatException($"'{name}' is known as a network without '{unread[0]}', which these weights have; its graph cannot be told. " +
                $"Export it to ONNX (torch.onnx.export), and import that.");
        }

        if (unread.Length > 0)
        {
            notes.Add($"Warning: {Counted.Of(unread.Length, "tensor")} have no place in this network and are left out: {string.Join(", ", unread.Take(4))}" +
                $"{(unread.Length > 4 ? ", …" : "")}.");
        }

        return new ImportedModel(builder.Graph) { Notes = notes };
    }

    private static (string Name, JsonElement Config) Find(string folder)
    {
        if (HubFolder.Read(Path.Combine(folder, HubFolder.Config)) is not { ValueKind: JsonValueKind.Object } config)
        {
            throw new ModelFormatException($"A safetensors file holds weights and no network, and there is no {HubFolder.Config} beside it that says " +
                $"of what: import the whole folder, or export the network to ONNX.");
        }

        return NameOf(config) is { } name && Of(name) is not null ? (name, config) : throw new ModelFormatException(
            $"A safetensors file holds weights and no network. {HubFolder.Config} says '{NameOf(config)}'; {string.Join(", ", Families.Keys)} are known, and " +
            $"timm's resnet50, mobilenetv2_100, vit_base_patch16_224 and their like. Export others to ONNX (optimum-cli export onnx --model … …, or torch.onnx.export), and import the folder that comes of it.");
    }

    private static NetworkFamily? Of(string name) => Families.GetValueOrDefault(name) ?? TimmNetworks.Find(name);

    private static string? NameOf(JsonElement config) =>
        config.Member("architectures").Items().Select(name => name.Text()).FirstOrDefault(name => name is not null)
        ?? config.Member("model_type").Text() switch
        {
            "resnet" => "ResNetForImageClassification",
            "mobilenet_v2" => "MobileNetV2ForImageClassification",
            "vit" => "ViTForImageClassification",
            "deit" => "DeiTForImageClassification",
            var other => other ?? config.Member("architecture").Text(),
        };
}
