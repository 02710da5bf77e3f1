using System.Text.Json;
using System.Text.RegularExpressions;
using Whatsit.ModelConversion.Formats.Safetensors;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>
/// timm's plain ResNets, MobileNetV2 and vision transformers by its names of them (<c>architecture</c>); widths and depths are those of the weights.
/// </summary>
internal static partial class TimmNetworks
{
    private static readonly string[] Arguments = ["num_classes", "in_chans"];
    private static readonly string[] TransformerArguments =
        [.. Arguments, "img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias"];

    // The first block of each stage: ds_r1_s1, ir_r2_s2, ir_r3_s2, ir_r4_s2, ir_r3_s1, ir_r3_s2, ir_r1_s1 (timm/models/efficientnet.py).
    private static readonly int[] MobileStrides = [1, 2, 2, 2, 1, 2, 1];

    public static NetworkFamily? Find(string architecture)
    {
        var size = Transformers().Match(architecture).Groups["size"];
        return ResNets().IsMatch(architecture) ? new NetworkFamily(ResNet, Input) { IsToldByNames = true }
            : MobileNets().IsMatch(architecture) ? new NetworkFamily(MobileNetV2, Input) { IsToldByNames = true }
            : size.Success ? new NetworkFamily(Vit, Picture) { IsToldByNames = true } : null;

        (string Logits, int Classes) Vit(TorchModules modules, string pixels, JsonElement config, Checkpoint weights) =>
            Transformer(modules, pixels, config, weights, size.Value);
    }

    private static (string Logits, int Classes) ResNet(TorchModules modules, string pixels, JsonElement config, Checkpoint weights)
    {
        Check(config, "avg", Arguments);
        var x = modules.Unit((pixels, Input(config).Channels), "conv1", "bn1", 2, "relu");
        x.Value = modules.StemPool(x.Value);
        for (var stage = 1; weights.Has($"layer{stage}.0.conv1.weight"); stage++)
        {
            for (var block = 0; weights.Has($"layer{stage}.{block}.conv1.weight"); block++)
            {
                var name = $"layer{stage}.{block}";
                var stride = block == 0 && stage > 1 ? 2 : 1;
                var bottleneck = weights.Has($"{name}.conv3.weight");
                var y = modules.Unit(x, $"{name}.conv1", $"{name}.bn1", bottleneck ? 1 : stride, "relu");
                y = modules.Unit(y, $"{name}.conv2", $"{name}.bn2", bottleneck ? stride : 1, bottleneck ? "relu" : "linear");
                y = bottleneck ? modules.Unit(y, $"{name}.conv3", $"{name}.bn3", 1, "linear") : y;
                x = weights.Has($"{name}.downsample.0.weight") ? modules.Unit(x, $"{name}.downsample.0", $"{name}.downsample.1", stride, "linear") : x;
                x = (modules.Activation(modules.Add("Add", name, [y.Value, x.Value]), name, "relu"), y.Channels);
            }
        }

        return (modules.Classifier(modules.Pooled(x.Value), "fc", x.Channels, out var classes), classes);
    }

    private static (string Logits, int Classes) MobileNetV2(TorchModules modules, string pixels, JsonElement config, Checkpoint weights)
    {
        Check(config, "avg", Arguments);
        var x = modules.Unit((pixels, Input(config).Channels), "conv_stem", "bn1", 2, "relu6");
        for (var stage = 0; stage < MobileStrides.Length; stage++)
        {
            for (var block = 0; weights.Has($"blocks.{stage}.{block}.conv_dw.weight"); block++)
            {
                var name = $"blocks.{stage}.{block}";
                var stride = block == 0 ? MobileStrides[stage] : 1;
                var expands = weights.Has($"{name}.conv_pwl.weight");
                var y = expands ? modules.Unit(x, $"{name}.conv_pw", $"{name}.bn1", 1, "relu6") : x;
                y = modules.Unit(y, $"{name}.conv_dw", $"{name}.bn{(expands ? 2 : 1)}", stride, "relu6");
                y = modules.Unit(y, $"{name}.conv_pw{(expands ? "l" : "")}", $"{name}.bn{(expands ? 3 : 2)}", 1, "linear");
                x = stride == 1 && x.Channels == y.Channels ? (modules.Add("Add", name, [x.Value, y.Value]), y.Channels) : y;
            }
        }

        x = modules.Unit(x, "conv_head", "bn2", 1, "relu6");
        return (modules.Classifier(modules.Pooled(x.Value), "classifier", x.Channels, out var classes), classes);
    }

    private static (string Logits, int Classes) Transformer(TorchModules modules, string pixels, JsonElement config, Checkpoint weights, string size)
    {
        Check(config, "token", TransformerArguments);
        var settings = new TransformersConfig(config.Member("model_args") ?? default);
        var picture = Picture(config);
        var patches = weights.Shape("patch_embed.proj.weight") is [> 0 and var width, _, > 0 and var height, > 0 and var across] ? (height, across)
            : throw new ModelFormatException("The weights 'patch_embed.proj.weight' are no convolution.");
        var layers = 0;
        while (weights.Has($"blocks.{layers}.norm1.weight"))
        {
            layers++;
        }

        return VisionTransformer.Build(modules, pixels, new TransformerShape
        {
            Channels = picture.Channels,
            Picture = (picture.Height, picture.Width),
            Patch = patches,
            Width = width,
            Hidden = layers == 0 ? width : weights.Shape("blocks.0.mlp.fc1.weight")[0],
            Heads = settings.Count("num_heads", size switch { "tiny" => 3, "small" => 6, "base" => 12, _ => 16 }),
            Layers = layers,
            Epsilon = 1e-6f,
            Activation = "gelu",
            Bias = weights.Has("blocks.0.attn.qkv.bias"),
            Tokens = weights.Has("dist_token") ? ["cls_token", "dist_token"] : ["cls_token"],
            Classifiers = weights.Has("dist_token") ? ["head", "head_dist"] : ["head"],
            Projection = "patch_embed.proj",
            Positions = "pos_embed",
            LastNorm = "norm",
            Layer = "blocks",
            Norms = ("norm1", "norm2"),
            Attention = ["attn.qkv"],
            AttentionOut = "attn.proj",
            Dense = ("mlp.fc1", "mlp.fc2"),
        }, weights);
    }

    /// <summary>Refuses what was made otherwise than its name says.</summary>
    private static void Check(JsonElement config, string pool, string[] known)
    {
        var pooled = config.Member("global_pool").Text();
        if (pooled is not null && pooled != pool)
        {
            throw new ModelFormatException($"{HubFolder.Config} says '{pooled}' for 'global_pool'; '{pool}' is known of these networks.");
        }

        if (config.Member("model_args").Members().Select(argument => argument.Name).FirstOrDefault(name => !known.Contains(name)) is { } other)
        {
            throw new ModelFormatException($"{HubFolder.Config} says that the network was made with '{other}', whose effect on the graph is not known here. " +
                $"Export it to ONNX (torch.onnx.export), and import that.");
        }
    }

    private static (int Channels, int Height, int Width) Input(JsonElement config) => Picture(config) with { Height = -1, Width = -1 };

    // "input_size": [3, 224, 224]
    private static (int Channels, int Height, int Width) Picture(JsonElement config)
    {
        var cfg = config.Member("pretrained_cfg") ?? config;
        var input = new TransformersConfig(cfg).Counts("input_size", 3, TransformerShape.UsualSide, TransformerShape.UsualSide);
        var settings = new TransformersConfig(config.Member("model_args") ?? default);
        (var height, var width) = input is [_, var high, var wide] ? (high, wide) : (TransformerShape.UsualSide, TransformerShape.UsualSide);
        return config.Member("model_args").Member("img_size") is null ? (settings.Count("in_chans", input[0]), height, width)
            : settings.Sides("img_size", height) is var given ? (settings.Count("in_chans", input[0]), given.Height, given.Width) : default;
    }

    [GeneratedRegex("^(tv_)?(resnet(18|26|34|50|101|152|200)|wide_resnet(50|101)_2|resnext(50_32x4d|101_32x4d|101_32x8d|101_64x4d))$")]
    private static partial Regex ResNets();

    [GeneratedRegex(@"^mobilenetv2_\d{3}d?$")]
    private static partial Regex MobileNets();

    [GeneratedRegex(@"^(vit|deit)_(?<size>tiny|small|base|large|huge)(_distilled)?_patch\d+_\d+(_in21k)?$")]
    private static partial Regex Transformers();
}
