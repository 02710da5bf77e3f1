using System.Numerics;
using Whatsit.Inference;

namespace Whatsit.ModelConversion.Graphs;

internal static partial class Operators
{
    private static Tensor Cast(Operation operation)
    {
        var type = (ElementType)operation.Node.Int("to", 0);
        if (operation.Skips(operation[0].Shape, out _))
        {
            return Zeros(type, operation[0].Shape);
        }

        return type == operation[0].Type ? operation[0] : Tensor.FromDoubles(type, operation[0].Shape, operation[0].ToDoubles());
    }

    private static Tensor QuantizeLinear(Operation operation)
    {
        var input = operation.Floats(0);
        (var scales, var zeroPoints, var channelStride) = QuantizationOf(operation);
        var type = operation.Optional(2)?.Type ?? ElementType.UInt8;
        (float least, float most) = type switch
        {
            ElementType.UInt8 => (0, 255),
            ElementType.Int8 => (-128, 127),
            ElementType.UInt16 => (0, 65535),
            ElementType.Int16 => (-32768, 32767),
            _ => throw operation.Refuse($"to {type} is not supported"),
        };
        if (operation.Skips(input.Shape, out _))
        {
            return Zeros(type, input.Shape);
        }

        return type switch
        {
            ElementType.UInt8 => Round<byte>(),
            ElementType.Int8 => Round<sbyte>(),
            ElementType.UInt16 => Round<ushort>(),
            _ => Round<short>(),
        };

        Tensor Round<T>() where T : unmanaged, INumber<T>
        {
            var x = input.As<float>();
            var result = Tensor.Allocate(type, input.Shape, out Span<T> y);
            for (int start = 0, channel = 0; start < y.Length; start += channelStride, channel = (channel + 1) % scales.Length)
            {
                var scale = scales[channel];
                var zeroPoint = (float)zeroPoints[channel];
                for (var i = start; i < start + channelStride; i++)
                {
                    // Halves round to the even neighbour: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
                    y[i] = T.CreateTruncating(Math.Clamp(MathF.Round(x[i] / scale, MidpointRounding.ToEven) + zeroPoint, least, most));
                }
            }

            return result;
        }
    }

    private static Tensor DequantizeLinear(Operation operation)
    {
        (var scales, var zeroPoints, var channelStride) = QuantizationOf(operation);
        var input = operation[0];
        if (operation.Skips(input.Shape, out var zeros))
        {
            return zeros;
        }

        return input.Type switch
        {
            ElementType.UInt8 => Scale<byte>(),
            ElementType.Int8 => Scale<sbyte>(),
            ElementType.UInt16 => Scale<ushort>(),
            ElementType.Int16 => Scale<short>(),
            ElementType.Int32 => Scale<int>(),
            _ => throw operation.Refuse($"of {input.Type} is not supported"),
        };

        Tensor Scale<T>() where T : unmanaged, INumber<T>
        {
            var x = input.As<T>();
            var result = NewFloats(input.Shape, out var y);
            for (int start = 0, channel = 0; start < y.Length; start += channelStride, channel = (channel + 1) % scales.Length)
            {
                double scale = scales[channel];
                var zeroPoint = zeroPoints[channel];
                for (var i = start; i < start + channelStride; i++)
                {
                    y[i] = (float)((double.CreateTruncating(x[i]) - zeroPoint) * scale);
                }
            }

            return result;
        }
    }

    /// <summary>Bytes by the range that the values have, zero included: https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html.</summary>
    private static Tensor[] DynamicQuantizeLinear(Operation operation)
    {
        var input = operation.Floats(0);
        if (operation.Skips(input.Shape, out _))
        {
            return [Zeros(ElementType.UInt8, input.Shape), Zeros(ElementType.Float32, []), Zeros(ElementType.UInt8, [])];
        }

        var x = input.As<float>();
        (float least, float most) = (0, 0);
        foreach (var value in x)
        {
            (least, most) = (Math.Min(least, value), Math.Max(most, value));
        }

        // ONNX Runtime's way out where all are 0.
        var scale = most == least ? 1 : (most - least) / 255;
        var zeroPoint = Math.Clamp(MathF.Round(-least / scale, MidpointRounding.ToEven), 0, 255);
        var result = Tensor.Allocate(ElementType.UInt8, input.Shape, out Span<byte> y);
        for (var i = 0; i < y.Length; i++)
        {
            y[i] = (byte)Math.Clamp(MathF.Round(x[i] / scale, MidpointRounding.ToEven) + zeroPoint, 0, 255);
        }

        return [result, Tensor.Float32([], [scale]), Tensor.FromDoubles(ElementType.UInt8, [], [zeroPoint])];
    }

    private static Tensor MatMulInteger(Operation operation) => OfBytes(operation, MatMul, perColumn: true);

    private static Tensor ConvInteger(Operation operation) => OfBytes(operation, Conv, perColumn: false);

    /// <summary>A product of bytes less their zero points, as whole numbers.</summary>
    private static Tensor OfBytes(Operation operation, Func<Operation, Tensor> product, bool perColumn)
    {
        var result = product(new Operation(operation.Node, [Centred(0), Centred(1)], operation.ShapesOnly));
        return operation.Skips(result.Shape, out _) ? Zeros(ElementType.Int32, result.Shape)
            : Tensor.FromDoubles(ElementType.Int32, result.Shape, Array.ConvertAll(result.ToDoubles(), Math.Round));

        // The zero point of weights may be one for each of their columns or filters.
        Tensor Centred(int index)
        {
            var bytes = operation[index];
            if (operation.Skips(bytes.Shape, out var zeros))
            {
                return zeros;
            }

            var zeroPoints = operation.Optional(index + 2)?.ToFloats() ?? [0];
            var stride = zeroPoints.Length == 1 || perColumn ? 1 : bytes.Length / bytes.Shape[0];
            if (zeroPoints.Length > 1 && (index == 0 || zeroPoints.Length != bytes.Shape[perColumn ? ^1 : 0]))
            {
                throw operation.Refuse($"has {zeroPoints.Length} zero points for [{string.Join(", ", bytes.Shape)}]");
            }

            return Tensor.Float32(bytes.Shape, [.. bytes.ToFloats().Select((value, place) => value - zeroPoints[place / stride % zeroPoints.Length])]);
        }
    }

    /// <summary>One scale and zero point, or one per index of an axis; and how many elements share that index in a row.</summary>
    private static (float[] Scales, double[] ZeroPoints, int ChannelStride) QuantizationOf(Operation operation)
    {
        var scales = operation[1].ToFloats();
        var zeroPoints = operation.Optional(2)?.ToDoubles() ?? new double[scales.Length];
        if (scales.Length == 1)
        {
            return (scales, zeroPoints, Math.Max(1, operation[0].Length));
        }

        var shape = operation[0].Shape;
        var axis = operation.Axis(operation.Node.Int("axis", 1), shape.Length);
        return scales.Length == shape[axis] && zeroPoints.Length == scales.Length
            ? (scales, zeroPoints, Count(shape.AsSpan(axis + 1)))
            : throw operation.Refuse(
                $"has {Counted.Of(scales.Length, "scale")} and {Counted.Of(zeroPoints.Length, "zero point")} for {Counted.Of(shape[axis], "channel")}");
    }
}
