using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Backends;

/// <summary>The type of a tensor's elements.</summary>
public enum TensorType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>8 bits, unsigned.</summary>
    UInt8,

    /// <summary>16 bits, unsigned.</summary>
    UInt16,

    /// <summary>32 bits, unsigned.</summary>
    UInt32,

    /// <summary>64 bits, unsigned.</summary>
    UInt64,

    /// <summary>8 bits, signed.</summary>
    Int8,

    /// <summary>16 bits, signed.</summary>
    Int16,

    /// <summary>32 bits, signed.</summary>
    Int32,

    /// <summary>64 bits, signed.</summary>
    Int64,

    /// <summary>IEEE 754 binary16.</summary>
    Float16,

    /// <summary>IEEE 754 binary32.</summary>
    Float32,

    /// <summary>IEEE 754 binary64.</summary>
    Float64,
}

/// <summary>What there is to know of the types of elements.</summary>
public static class TensorTypes
{
    /// <summary>The Open Inference Protocol's name (https://github.com/kserve/open-inference-protocol, "Tensor Data Types").</summary>
    public static string OpenInference(TensorType type) => type switch
    {
        TensorType.Float16 => "FP16",
        TensorType.Float32 => "FP32",
        TensorType.Float64 => "FP64",
        _ => type.ToString().ToUpperInvariant(),
    };

    /// <summary>The type of that name; nothing where it is none of numbers.</summary>
    public static TensorType? OfOpenInference(string name) =>
        Enum.GetValues<TensorType>().Cast<TensorType?>().FirstOrDefault(type => OpenInference(type!.Value) == name);

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
}

/// <summary>An input or output of a model.</summary>
/// <param name="Name">Its name in the graph.</param>
/// <param name="Type">The type of its elements.</param>
/// <param name="Shape">Its sides; the first is the batch, and -1 is one that is free.</param>
public sealed record TensorSpec(string Name, TensorType Type, IReadOnlyList<long> Shape);

/// <summary>What a run has put into an output; only valid while its tensors are leased.</summary>
/// <param name="shape">Its sides.</param>
/// <param name="bytes">Its elements, row-major, in the processor's byte order.</param>
public readonly ref struct OutputView(ReadOnlySpan<long> shape, ReadOnlySpan<byte> bytes)
{
    /// <summary>Its sides.</summary>
    public ReadOnlySpan<long> Shape { get; } = shape;

    /// <summary>Its elements, row-major, in the processor's byte order.</summary>
    public ReadOnlySpan<byte> Bytes { get; } = bytes;
}
