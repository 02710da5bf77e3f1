using System.Numerics;
using System.Runtime.InteropServices;

namespace Whatsit.ModelConversion.Graphs;

/// <summary>A constant: element type, shape (empty for a scalar) and its little-endian, row-major bytes.</summary>
public sealed record Tensor(ElementType Type, int[] Shape, ReadOnlyMemory<byte> Data)
{
    /// <summary>How many elements the shape holds.</summary>
    public int Length => Shape.Aggregate(1, (product, side) => checked(product * side));

    /// <summary>The elements, without a copy. <typeparamref name="T"/> must be the .NET type of <see cref="Type"/>.</summary>
    public ReadOnlySpan<T> As<T>() where T : unmanaged => MemoryMarshal.Cast<byte, T>(Data.Span);

    /// <summary>Bytes per element.</summary>
    public static int SizeOf(ElementType type) => type switch
    {
        ElementType.UInt8 or ElementType.Int8 or ElementType.Bool => 1,
        ElementType.UInt16 or ElementType.Int16 or ElementType.Float16 => 2,
        ElementType.Float32 or ElementType.Int32 => 4,
        ElementType.Float64 or ElementType.Int64 => 8,
        _ => throw new ModelFormatException($"Tensors of {type} are not supported."),
    };

    /// <summary>The elements as floats, converted where they are of another type.</summary>
    public float[] ToFloats()
    {
        var floats = new float[Length];
        if (Type == ElementType.Float32)
        {
            As<float>().CopyTo(floats);
        }
        else
        {
            var values = ToDoubles();
            for (var i = 0; i < floats.Length; i++)
            {
                floats[i] = (float)values[i];
            }
        }

        return floats;
    }

    /// <summary>The elements as 64-bit integers: shapes, axes, pads.</summary>
    public long[] ToInts() => Type switch
    {
        // Not by way of double: the ends of a Slice are often long.MaxValue.
        ElementType.Int64 => As<long>().ToArray(),
        _ => Array.ConvertAll(ToDoubles(), value => checked((long)value)),
    };

    /// <summary>The elements as 64-bit floats, which hold every other type but large 64-bit integers exactly.</summary>
    public double[] ToDoubles()
    {
        var values = new double[Length];
        switch (Type)
        {
            case ElementType.Float32: Convert<float>(values, this); break;
            case ElementType.Float64: Convert<double>(values, this); break;
            case ElementType.Float16: Convert<Half>(values, this); break;
            case ElementType.UInt8 or ElementType.Bool: Convert<byte>(values, this); break;
            case ElementType.Int8: Convert<sbyte>(values, this); break;
            case ElementType.UInt16: Convert<ushort>(values, this); break;
            case ElementType.Int16: Convert<short>(values, this); break;
            case ElementType.Int32: Convert<int>(values, this); break;
            case ElementType.Int64: Convert<long>(values, this); break;
            default: throw new ModelFormatException($"Tensors of {Type} are not supported.");
        }

        return values;

        static void Convert<T>(double[] values, Tensor tensor) where T : unmanaged, INumber<T>
        {
            var elements = tensor.As<T>();
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = double.CreateTruncating(elements[i]);
            }
        }
    }

    /// <summary>A tensor of any type from 64-bit floats: fractions are cut off and integers saturate.</summary>
    public static Tensor FromDoubles(ElementType type, int[] shape, ReadOnlySpan<double> values)
    {
        return type switch
        {
            ElementType.Float32 => Convert<float>(type, shape, values),
            ElementType.Float64 => Convert<double>(type, shape, values),
            ElementType.Float16 => Convert<Half>(type, shape, values),
            ElementType.UInt8 => Convert<byte>(type, shape, values),
            ElementType.Int8 => Convert<sbyte>(type, shape, values),
            ElementType.UInt16 => Convert<ushort>(type, shape, values),
            ElementType.Int16 => Convert<short>(type, shape, values),
            ElementType.Int32 => Convert<int>(type, shape, values),
            ElementType.Int64 => Convert<long>(type, shape, values),
            ElementType.Bool => Convert<byte>(type, shape, values),
            _ => throw new ModelFormatException($"Tensors of {type} are not supported."),
        };

        static Tensor Convert<T>(ElementType type, int[] shape, ReadOnlySpan<double> values) where T : unmanaged, INumber<T>
        {
            var tensor = Allocate(type, shape, out Span<T> elements);
            for (var i = 0; i < elements.Length; i++)
            {
                elements[i] = type == ElementType.Bool ? (values[i] != 0 ? T.One : T.Zero) : T.CreateSaturating(values[i]);
            }

            return tensor;
        }
    }

    /// <summary>A tensor whose elements the caller fills at once; <typeparamref name="T"/> must be the .NET type of <paramref name="type"/>.</summary>
    /// <exception cref="ModelFormatException">It would have more than <see cref="MaxElements"/>.</exception>
    internal static Tensor Allocate<T>(ElementType type, int[] shape, out Span<T> elements) where T : unmanaged
    {
        var data = new byte[checked(ElementsOf(shape) * SizeOf(type))];
        elements = MemoryMarshal.Cast<byte, T>(data.AsSpan());
        return new Tensor(type, shape, data);
    }

    /// <summary>
    /// How many elements a computed tensor may have: far above any activation of an image classifier (ResNet50's largest has 0.8 million),
    /// and a bound for files whose Expand, Tile or Pad asks for terabytes.
    /// </summary>
    internal const int MaxElements = 1 << 27;

    /// <summary>The product of the sides, refused above <see cref="MaxElements"/> and below zero.</summary>
    internal static int ElementsOf(ReadOnlySpan<int> shape)
    {
        long elements = 1;
        foreach (var side in shape)
        {
            elements = side < 0 ? -1 : elements * side;
            if (elements is < 0 or > MaxElements)
            {
                throw new ModelFormatException(
                    $"A tensor of shape [{string.Join(", ", shape.ToArray())}] has more than {MaxElements:N0} elements, or a negative side.");
            }
        }

        return (int)elements;
    }

    /// <summary>A tensor of 32-bit floats.</summary>
    public static Tensor Float32(int[] shape, ReadOnlySpan<float> values) => new(ElementType.Float32, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A tensor of 64-bit integers: shapes, axes, pads.</summary>
    public static Tensor Int64(int[] shape, ReadOnlySpan<long> values) => new(ElementType.Int64, shape, MemoryMarshal.AsBytes(values).ToArray());
}
