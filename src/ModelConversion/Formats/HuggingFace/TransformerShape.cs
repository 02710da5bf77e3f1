using Whatsit.ModelConversion.Formats.Safetensors;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>What a vision transformer is like, and what its weights are called.</summary>
internal sealed record TransformerShape
{
    /// <summary>The side of the pictures, where nothing else is said.</summary>
    public const int UsualSide = 224;

    public required int Channels { get; init; }

    public required (int Height, int Width) Picture { get; init; }

    public required (int Height, int Width) Patch { get; init; }

    public required int Width { get; init; }

    public required int Hidden { get; init; }

    public required int Heads { get; init; }

    public required int Layers { get; init; }

    public required float Epsilon { get; init; }

    public required string Activation { get; init; }

    /// <summary>Whether query, key and value have biases.</summary>
    public required bool Bias { get; init; }

    /// <summary>Vectors in front of the patches.</summary>
    public required string[] Tokens { get; init; }

    /// <summary>The classifiers: of the first token, or of each, whose mean is the answer.</summary>
    public required string[] Classifiers { get; init; }

    public required string Projection { get; init; }

    public required string Positions { get; init; }

    public required string LastNorm { get; init; }

    /// <summary>Begins the names of each layer's weights; the number follows.</summary>
    public required string Layer { get; init; }

    public required (string Before, string After) Norms { get; init; }

    /// <summary>Query, key and value: three names, or one whose rows hold all of them.</summary>
    public required string[] Attention { get; init; }

    public required string AttentionOut { get; init; }

    public required (string Up, string Down) Dense { get; init; }

    /// <summary>As <c>config.json</c> of Transformers describes it.</summary>
    public static TransformerShape Of(TransformersConfig config, string[] tokens, Checkpoint weights)
    {
        var root = tokens[0].Split('.')[0];
        return new TransformerShape
        {
            Channels = config.Count("num_channels", 3),
            Picture = config.Sides("image_size", UsualSide),
            Patch = config.Sides("patch_size", 16),
            Width = config.Count("hidden_size", 768),
            Hidden = config.Count("intermediate_size", 3072),
            Heads = config.Count("num_attention_heads", 12),
            Layers = config.Count("num_hidden_layers", 12),
            Epsilon = (float)config.Number("layer_norm_eps", 1e-12),
            Activation = config.Text("hidden_act", "gelu"),
            Bias = config.Flag("qkv_bias", true),
            Tokens = tokens,
            Classifiers = tokens.Length > 1 && weights.Has("cls_classifier.weight") ? ["cls_classifier", "distillation_classifier"] : ["classifier"],
            Projection = $"{root}.embeddings.patch_embeddings.projection",
            Positions = $"{root}.embeddings.position_embeddings",
            LastNorm = $"{root}.layernorm",
            Layer = $"{root}.encoder.layer",
            Norms = ("layernorm_before", "layernorm_after"),
            Attention = ["attention.attention.query", "attention.attention.key", "attention.attention.value"],
            AttentionOut = "attention.output.dense",
            Dense = ("intermediate.dense", "output.dense"),
        };
    }
}
