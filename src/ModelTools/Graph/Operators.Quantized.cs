namespace Whatsit.ModelTools.Graphs;

internal static partial class Operators
{
    private static Tensor Cast(Operation operation)
    {
        var type = (ElementType)operation.Node.Int("to", 0);
        return type == operation[0].Type ? operation[0] : Tensor.FromDoubles(type, operation[0].Shape, operation[0].ToDoubles());
    }

    private static Tensor QuantizeLinear(Operation operation)
    {
        Tensor input = operation.Floats(0);
        (float[] scales, double[] zeroPoints, int channelStride) = QuantizationOf(operation);
        ElementType type = operation.Optional(2)?.Type ?? ElementType.UInt8;
        (double least, double most) = type switch
        {
            ElementType.UInt8 => (0, 255),
            ElementType.Int8 => (-128, 127),
            ElementType.UInt16 => (0, 65535),
            ElementType.Int16 => (-32768, 32767),
            _ => throw operation.Refuse($"to {type} is not supported"),
        };
        ReadOnlySpan<float> x = input.As<float>();
        var values = new double[x.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int channel = i / channelStride % scales.Length;

            // Halves round to the even neighbour: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
            values[i] = Math.Clamp(Math.Round(x[i] / scales[channel], MidpointRounding.ToEven) + zeroPoints[channel], least, most);
        }

        return Tensor.FromDoubles(type, input.Shape, values);
    }

    private static Tensor DequantizeLinear(Operation operation)
    {
        (float[] scales, double[] zeroPoints, int channelStride) = QuantizationOf(operation);
        double[] x = operation[0].ToDoubles();
        Tensor result = NewFloats(operation[0].Shape, out Span<float> y);
        for (int i = 0; i < y.Length; i++)
        {
            int channel = i / channelStride % scales.Length;
            y[i] = (float)((x[i] - zeroPoints[channel]) * scales[channel]);
        }

        return result;
    }

    /// <summary>One scale and zero point, or one per index of an axis; and how many elements share that index in a row.</summary>
    private static (float[] Scales, double[] ZeroPoints, int ChannelStride) QuantizationOf(Operation operation)
    {
        float[] scales = operation[1].ToFloats();
        double[] zeroPoints = operation.Optional(2)?.ToDoubles() ?? new double[scales.Length];
        if (scales.Length == 1)
        {
            return (scales, zeroPoints, 1);
        }

        int[] shape = operation[0].Shape;
        int axis = operation.Axis(operation.Node.Int("axis", 1), shape.Length);
        return scales.Length == shape[axis] && zeroPoints.Length == scales.Length
            ? (scales, zeroPoints, Count(shape.AsSpan(axis + 1)))
            : throw operation.Refuse($"has {scales.Length} scales and {zeroPoints.Length} zero points for {shape[axis]} channels");
    }
}
