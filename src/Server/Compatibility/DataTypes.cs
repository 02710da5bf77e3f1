using Whatsit.Inference.Backends;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Server.Compatibility;

/// <summary>What the protocols call the types of elements.</summary>
internal static class DataTypes
{
    /// <summary>Text or pictures: elements of any length.</summary>
    public const string Bytes = "BYTES";

    /// <summary>The Open Inference Protocol's name (https://github.com/kserve/open-inference-protocol, "Tensor Data Types").</summary>
    public static string OpenInference(TensorType type) => type switch
    {
        TensorType.Float16 => "FP16",
        TensorType.Float32 => "FP32",
        TensorType.Float64 => "FP64",
        _ => type.ToString().ToUpperInvariant(),
    };

    /// <summary>TensorFlow's name (tensorflow/core/framework/types.proto).</summary>
    public static string TensorFlow(TensorType type) => type switch
    {
        TensorType.Float16 => "DT_HALF",
        TensorType.Float32 => "DT_FLOAT",
        TensorType.Float64 => "DT_DOUBLE",
        _ => $"DT_{type.ToString().ToUpperInvariant()}",
    };

    /// <summary>Bytes of one element.</summary>
    public static int Size(TensorType type) => type switch
    {
        TensorType.Bool or TensorType.UInt8 or TensorType.Int8 => 1,
        TensorType.UInt16 or TensorType.Int16 or TensorType.Float16 => 2,
        TensorType.UInt32 or TensorType.Int32 or TensorType.Float32 => 4,
        _ => 8,
    };

    /// <summary>The type of a model's image input.</summary>
    public static TensorType Of(InputSpec input) => input.ElementType == InputElementType.UInt8 ? TensorType.UInt8 : TensorType.Float32;

    /// <summary>A model's image input, for any number of pictures.</summary>
    public static TensorSpec Describe(InputSpec input) => new(input.Name, Of(input), [-1, .. input.Shape.Skip(1)]);
}
