using System.Runtime.InteropServices;

namespace Whatsit.ModelTools.Graphs;

/// <summary>A constant: element type, shape (empty for a scalar) and its little-endian, row-major bytes.</summary>
public sealed record Tensor(ElementType Type, int[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>How many elements the shape holds.</summary>
    public int Length => Shape.Aggregate(1, (product, side) => checked(product * side));

    /// <summary>The elements, without a copy. <typeparamref name="T"/> must be the .NET type of <see cref="Type"/>.</summary>
    public ReadOnlySpan<T> As<T>() where T : unmanaged => MemoryMarshal.Cast<byte, T>(Data.Span);

    /// <summary>A tensor of 32-bit floats.</summary>
    public static Tensor Float32(int[] shape, ReadOnlySpan<float> values) => new(ElementType.Float32, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A tensor of 64-bit integers: shapes, axes, pads.</summary>
    public static Tensor Int64(int[] shape, ReadOnlySpan<long> values) => new(ElementType.Int64, shape, MemoryMarshal.AsBytes(values).ToArray());
}
