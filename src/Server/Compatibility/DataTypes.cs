using Whatsit.Inference.Backends;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Server.Compatibility;

/// <summary>What the protocols call the types of elements.</summary>
internal static class DataTypes
{
    /// <summary>Text or pictures: elements of any length.</summary>
    public const string Bytes = "BYTES";

    /// <summary>TensorFlow's name (tensorflow/core/framework/types.proto).</summary>
    public static string TensorFlow(TensorType type) => type switch
    {
        TensorType.Float16 => "DT_HALF",
        TensorType.Float32 => "DT_FLOAT",
        TensorType.Float64 => "DT_DOUBLE",
        _ => $"DT_{type.ToString().ToUpperInvariant()}",
    };

    /// <summary>A model's image input, for any number of pictures.</summary>
    public static TensorSpec Describe(InputSpec input) => new(input.Name, TensorTypes.Of(input), [-1, .. input.Shape.Skip(1)]);
}
