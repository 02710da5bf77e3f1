namespace Whatsit.ModelConversion.Graphs;

internal static partial class Operators
{
    private static Func<Operation, Tensor[]> Unary(Func<float, float> function) => operation => [Map(operation, operation.Floats(0), function)];

    private static Tensor Map(Operation operation, Tensor input, Func<float, float> function)
    {
        if (operation.Skips(input.Shape, out var zeros))
        {
            return zeros;
        }

        var x = input.As<float>();
        var result = NewFloats(input.Shape, out var y);
        for (var i = 0; i < y.Length; i++)
        {
            y[i] = function(x[i]);
        }

        return result;
    }

    /// <summary>Any type but 32-bit float goes through double, which is exact for what shapes and indices hold.</summary>
    private static Tensor MapAny(Operation operation, Tensor input, Func<double, double> function) => input.Type == ElementType.Float32
        ? Map(operation, input, x => (float)function(x))
        : Tensor.FromDoubles(input.Type, input.Shape, Array.ConvertAll(input.ToDoubles(), x => function(x)));

    private static Tensor Abs(Operation operation) => MapAny(operation, operation[0], Math.Abs);

    private static Tensor Neg(Operation operation) => MapAny(operation, operation[0], x => -x);

    private static Tensor Sign(Operation operation) => MapAny(operation, operation[0], x => Math.Sign(x));

    private static Tensor Not(Operation operation) => MapAny(operation, operation[0], x => x == 0 ? 1 : 0);

    private static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));

    private static float Mish(float x) => x * MathF.Tanh(MathF.Log(1 + MathF.Exp(x)));

    /// <summary>Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7, which is what a float holds near 1.</summary>
    private static float Erf(float value)
    {
        var x = Math.Abs((double)value);
        var t = 1 / (1 + (0.3275911 * x));
        var polynomial = t * (0.254829592 + (t * (-0.284496736 + (t * (1.421413741 + (t * (-1.453152027 + (t * 1.061405429))))))));
        return (float)Math.CopySign(1 - (polynomial * Math.Exp(-x * x)), value);
    }

    private static Tensor LeakyRelu(Operation operation)
    {
        var alpha = operation.Node.Float("alpha", 0.01f);
        return Map(operation, operation.Floats(0), x => x < 0 ? alpha * x : x);
    }

    private static Tensor Elu(Operation operation)
    {
        var alpha = operation.Node.Float("alpha", 1);
        return Map(operation, operation.Floats(0), x => x < 0 ? alpha * (MathF.Exp(x) - 1) : x);
    }

    private static Tensor Selu(Operation operation)
    {
        var alpha = operation.Node.Float("alpha", 1.67326319217681884765625f);
        var gamma = operation.Node.Float("gamma", 1.05070102214813232421875f);
        return Map(operation, operation.Floats(0), x => gamma * (x < 0 ? alpha * (MathF.Exp(x) - 1) : x));
    }

    private static Tensor ThresholdedRelu(Operation operation)
    {
        var alpha = operation.Node.Float("alpha", 1);
        return Map(operation, operation.Floats(0), x => x > alpha ? x : 0);
    }

    private static Tensor HardSigmoid(Operation operation)
    {
        var alpha = operation.Node.Float("alpha", 0.2f);
        var beta = operation.Node.Float("beta", 0.5f);
        return Map(operation, operation.Floats(0), x => Math.Clamp((alpha * x) + beta, 0, 1));
    }

    private static Tensor Gelu(Operation operation) => operation.Node.Text("approximate", "none") == "tanh"
        ? Map(operation, operation.Floats(0), x => 0.5f * x * (1 + MathF.Tanh(MathF.Sqrt(2 / MathF.PI) * (x + (0.044715f * x * x * x)))))
        : Map(operation, operation.Floats(0), x => 0.5f * x * (1 + Erf(x / MathF.Sqrt(2))));

    private static Tensor Clip(Operation operation)
    {
        // Opset 11 moved the limits from attributes to inputs.
        var least = operation.Optional(1)?.ToDoubles()[0] ?? operation.Node.Float("min", float.NegativeInfinity);
        var most = operation.Optional(2)?.ToDoubles()[0] ?? operation.Node.Float("max", float.PositiveInfinity);
        if (operation[0].Type == ElementType.Float32)
        {
            var low = (float)least;
            var high = (float)most;
            return Map(operation, operation[0], x => Math.Min(Math.Max(x, low), high));
        }

        return MapAny(operation, operation[0], x => Math.Min(Math.Max(x, least), most));
    }

    private static Func<Operation, Tensor[]> Binary(Func<float, float, float> single, Func<double, double, double> wide) =>
        operation => [Combine(operation, operation[0], operation[1], single, wide)];

    private static Func<Operation, Tensor[]> Comparison(Func<double, double, bool> function) => operation =>
    {
        var shape = Broadcast(operation[0].Shape, operation[1].Shape);
        var a = ExpandTo(operation[0], shape).ToDoubles();
        var b = ExpandTo(operation[1], shape).ToDoubles();
        return [Tensor.FromDoubles(ElementType.Bool, shape, Generate(a.Length, i => function(a[i], b[i]) ? 1 : 0))];
    };

    private static Tensor Div(Operation operation) => operation[0].Type is ElementType.Float32 or ElementType.Float64
        ? Combine(operation, operation[0], operation[1], (a, b) => a / b, (a, b) => a / b)
        : Combine(operation, operation[0], operation[1], (a, b) => a / b, (a, b) => b == 0 ? throw operation.Refuse("divides by zero") : Math.Truncate(a / b));

    private static Tensor Mod(Operation operation) => operation.Node.Int("fmod", 0) == 1
        ? Combine(operation, operation[0], operation[1], (a, b) => a % b, (a, b) => a % b)
        : Combine(operation, operation[0], operation[1], (a, b) => a - (b * MathF.Floor(a / b)), (a, b) => a - (b * Math.Floor(a / b)));

    private static Tensor Max(Operation operation) => Variadic(operation, Math.Max, Math.Max);

    private static Tensor Min(Operation operation) => Variadic(operation, Math.Min, Math.Min);

    private static Tensor Sum(Operation operation) => Variadic(operation, (a, b) => a + b, (a, b) => a + b);

    private static Tensor Mean(Operation operation)
    {
        float count = operation.InputCount;
        return Map(operation, Sum(operation), x => x / count);
    }

    private static Tensor Variadic(Operation operation, Func<float, float, float> single, Func<double, double, double> wide)
    {
        var result = operation[0];
        for (var input = 1; input < operation.InputCount; input++)
        {
            result = Combine(operation, result, operation[input], single, wide);
        }

        return result;
    }

    private static Tensor Where(Operation operation)
    {
        var shape = Broadcast(Broadcast(operation[0].Shape, operation[1].Shape), operation[2].Shape);
        var condition = ExpandTo(operation[0], shape).ToDoubles();
        var yes = ExpandTo(operation[1], shape).ToDoubles();
        var no = ExpandTo(operation[2], shape).ToDoubles();
        return Tensor.FromDoubles(operation[1].Type, shape, Generate(yes.Length, i => condition[i] != 0 ? yes[i] : no[i]));
    }

    /// <summary>Two tensors element by element, broadcast as NumPy does (https://onnx.ai/onnx/repo-docs/Broadcasting.html).</summary>
    private static Tensor Combine(Operation operation, Tensor left, Tensor right, Func<float, float, float> single, Func<double, double, double> wide)
    {
        if (left.Type != right.Type)
        {
            throw new ArgumentException($"{left.Type} and {right.Type} do not mix.");
        }

        var shape = Broadcast(left.Shape, right.Shape);
        if (left.Type != ElementType.Float32)
        {
            var a = ExpandTo(left, shape).ToDoubles();
            var b = ExpandTo(right, shape).ToDoubles();
            return Tensor.FromDoubles(left.Type, shape, Generate(a.Length, i => wide(a[i], b[i])));
        }

        if (operation.Skips(shape, out var zeros))
        {
            return zeros;
        }

        // The innermost axis is a plain loop; an operand that is one wide there steps by 0.
        var result = NewFloats(shape, out var y);
        var x0 = left.As<float>();
        var x1 = right.As<float>();
        var inner = shape.Length == 0 ? 1 : shape[^1];
        var step0 = left.Shape.Length == 0 || left.Shape[^1] == 1 ? 0 : 1;
        var step1 = right.Shape.Length == 0 || right.Shape[^1] == 1 ? 0 : 1;
        var offsets0 = RowOffsets(left.Shape, shape);
        var offsets1 = RowOffsets(right.Shape, shape);
        for (var row = 0; row < offsets0.Length; row++)
        {
            var to = y.Slice(row * inner, inner);
            for (int i = 0, a = offsets0[row], b = offsets1[row]; i < to.Length; i++, a += step0, b += step1)
            {
                to[i] = single(x0[a], x1[b]);
            }
        }

        return result;
    }

    private static double[] Generate(int count, Func<int, double> element)
    {
        var values = new double[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = element(i);
        }

        return values;
    }

    private static int[] Broadcast(int[] left, int[] right)
    {
        var shape = new int[Math.Max(left.Length, right.Length)];
        for (var axis = 1; axis <= shape.Length; axis++)
        {
            var a = axis <= left.Length ? left[^axis] : 1;
            var b = axis <= right.Length ? right[^axis] : 1;
            shape[^axis] = a == b || b == 1 ? a : a == 1 ? b
                : throw new ArgumentException($"[{string.Join(", ", left)}] and [{string.Join(", ", right)}] do not broadcast.");
        }

        return shape;
    }

    /// <summary>For each row (innermost axis) of the broadcast shape, where it begins in the operand.</summary>
    private static int[] RowOffsets(int[] operand, int[] shape)
    {
        var outer = shape.Length == 0 ? [] : shape[..^1];
        var strides = new int[outer.Length];
        var own = StridesOf(operand);
        for (var axis = 0; axis < outer.Length; axis++)
        {
            var ownAxis = axis - (shape.Length - operand.Length);
            strides[axis] = ownAxis < 0 || operand[ownAxis] == 1 ? 0 : own[ownAxis];
        }

        return Offsets(outer, strides);
    }

    /// <summary>The offset of every index of a shape, in row-major order, for any strides.</summary>
    private static int[] Offsets(int[] shape, int[] strides)
    {
        var offsets = new int[Count(shape)];
        var filled = Math.Min(1, offsets.Length);
        for (var axis = shape.Length - 1; axis >= 0; axis--)
        {
            // What is there already covers the axes to the right; repeat it for every index of this one.
            for (var index = 1; index < shape[axis]; index++)
            {
                for (var i = 0; i < filled; i++)
                {
                    offsets[(index * filled) + i] = offsets[i] + (index * strides[axis]);
                }
            }

            filled *= shape[axis];
        }

        return offsets;
    }
}
