using System.Text.Json.Serialization;

namespace Whatsit.Inference.Preprocessing;

/// <summary>The type of one element of a model's image input.</summary>
public enum InputElementType
{
    /// <summary>Pixels as they are; the graph does the arithmetic. Every bundle that our tools write.</summary>
    UInt8,

    /// <summary>Pixels rescaled and normalised by us.</summary>
    Float32,
}

/// <summary>The order of an image tensor's dimensions.</summary>
public enum TensorLayout
{
    /// <summary>Batch, height, width, channel (TensorFlow).</summary>
    Nhwc,

    /// <summary>Batch, channel, height, width (PyTorch).</summary>
    Nchw,
}

/// <summary>A model's image input.</summary>
/// <param name="Name">The name of the input in the graph.</param>
/// <param name="ElementType">The type of one element.</param>
/// <param name="Layout">The order of the dimensions.</param>
/// <param name="Width">Pixels per row.</param>
/// <param name="Height">Rows.</param>
public sealed record InputSpec(string Name, [property: JsonPropertyName("type")] InputElementType ElementType, TensorLayout Layout, int Width, int Height)
{
    /// <summary>Bytes that one picture takes in the input tensor.</summary>
    [JsonIgnore]
    public int ByteLength => checked(Width * Height * 3 * (ElementType == InputElementType.Float32 ? sizeof(float) : sizeof(byte)));

    /// <summary>The tensor's shape for one picture.</summary>
    [JsonIgnore]
    public IReadOnlyList<long> Shape => Layout == TensorLayout.Nhwc ? [1, Height, Width, 3] : [1, 3, Height, Width];
}
