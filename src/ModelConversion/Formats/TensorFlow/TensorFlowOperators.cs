using System.Runtime.InteropServices;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlow;

/// <summary>
/// TensorFlow's operators in ONNX's words, where the two differ: what TensorFlow Lite and TensorFlow.js graph models have in common.
/// Each method appends to the graph and answers the result's value name; <c>name</c> is the operator's name in the file.
/// </summary>
internal sealed class TensorFlowOperators(GraphBuilder builder)
{
    private readonly Dictionary<string, string> _int64 = new(StringComparer.Ordinal);

    /// <summary>TensorFlow's operators on one value that ONNX has under the same name.</summary>
    public static readonly IReadOnlySet<string> Unary = new HashSet<string>(StringComparer.Ordinal)
    {
        "Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "Log", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus",
            "Softsign", "Sqrt", "Tanh",
    };

    /// <summary>Relu6 (0…6), TensorFlow Lite's RELU_N1_TO_1 (−1…1) and their like.</summary>
    public string Clip(string name, string x, float min, float max) =>
        builder.AddNode("Clip", name, [x, builder.AddConstant($"{name}/min", [min]), builder.AddConstant($"{name}/max", [max])]);

    /// <summary>1 ÷ √x.</summary>
    public string Rsqrt(string name, string x) => builder.AddNode("Reciprocal", name, [builder.AddNode("Sqrt", $"{name}/sqrt", [x])]);

    /// <summary>(a − b)².</summary>
    public string SquaredDifference(string name, string a, string b)
    {
        var difference = builder.AddNode("Sub", $"{name}/difference", [a, b]);
        return builder.AddNode("Mul", name, [difference, difference]);
    }

    /// <summary>
    /// x·Φ(x), exactly by erf or approximately by tanh (https://arxiv.org/abs/1606.08415, section 2), from operators of opset 17: ONNX has Gelu only since 20.
    /// ONNX Runtime fuses either form.
    /// </summary>
    public string Gelu(string name, string x, bool approximate)
    {
        string inner;
        if (approximate)
        {
            var cube = builder.AddNode("Mul", $"{name}/cube", [builder.AddNode("Mul", $"{name}/square", [x, x]), x]);
            var sum = builder.AddNode("Add", $"{name}/sum",
                [x, builder.AddNode("Mul", $"{name}/term", [cube, builder.AddConstant($"{name}/0.044715", [0.044715f])])]);
            inner = builder.AddNode("Tanh", $"{name}/tanh",
                [builder.AddNode("Mul", $"{name}/scaled", [sum, builder.AddConstant($"{name}/sqrt_2_over_pi", [float.Sqrt(2 / float.Pi)])])]);
        }
        else
        {
            inner = builder.AddNode("Erf", $"{name}/erf",
                [builder.AddNode("Div", $"{name}/scaled", [x, builder.AddConstant($"{name}/sqrt_2", [float.Sqrt(2)])])]);
        }

        var gate = builder.AddNode("Add", $"{name}/gate", [inner, builder.AddConstant($"{name}/one", [1f])]);
        return builder.AddNode("Mul", name, [builder.AddNode("Mul", $"{name}/product", [x, gate]), builder.AddConstant($"{name}/half", [0.5f])]);
    }

    /// <summary>
    /// Over 2 × radius + 1 neighbouring channels, which are last. ONNX counts the whole window and divides alpha by it, and has channels first.
    /// </summary>
    public string LocalResponseNormalization(string name, string x, long radius, float bias, float alpha, float beta)
    {
        var size = (2 * radius) + 1;
        x = builder.AddNode("Transpose", $"{name}/channels_first", [x], ("perm", new long[] { 0, 3, 1, 2 }));
        x = builder.AddNode("LRN", name, [x], ("size", size), ("bias", bias), ("alpha", alpha * size), ("beta", beta));
        return builder.AddNode("Transpose", $"{name}/channels_last", [x], ("perm", new long[] { 0, 2, 3, 1 }));
    }

    /// <summary>Mean, Sum, Max, Min, Prod over some axes.</summary>
    public string Reduce(string op, string name, string x, long[] axes, bool keepDims)
    {
        if (axes.Length == 0)
        {
            return builder.AddNode("Identity", name, [x]); // ONNX would reduce all axes
        }

        // Up to opset 17 only ReduceSum takes the axes as an input.
        long keep = keepDims ? 1 : 0;
        return op == "Sum"
            ? builder.AddNode("ReduceSum", name, [x, builder.AddInt64Constant($"{name}/axes", axes)], ("keepdims", keep))
            : builder.AddNode($"Reduce{op}", name, [x], ("axes", axes), ("keepdims", keep));
    }

    /// <summary>Stacks values along a new axis.</summary>
    public string Pack(string name, IReadOnlyList<string> values, long axis)
    {
        var axes = builder.AddInt64Constant($"{name}/axis", axis);
        return builder.AddNode("Concat", name, values.Select(value => builder.AddNode("Unsqueeze", $"{name}/unsqueeze", [value, axes]))
            .ToArray(), ("axis", axis));
    }

    /// <summary>The parts of a value along an axis; with <paramref name="squeeze"/> that axis, of one element each, goes.</summary>
    public IReadOnlyList<string> Split(string name, string x, long[] sizes, long axis, bool squeeze)
    {
        var split = builder.AddNode("Split", name, [x, builder.AddInt64Constant($"{name}/sizes", sizes)], outputs: sizes.Length, ("axis", axis));
        if (!squeeze)
        {
            return split.Outputs;
        }

        var axes = builder.AddInt64Constant($"{name}/axis", axis);
        return [.. split.Outputs.Select(part => builder.AddNode("Squeeze", $"{name}/squeeze", [part, axes]))];
    }

    /// <summary>Padding given as TensorFlow gives it: before and after for each axis in turn; the mode is ONNX's (constant, reflect, edge).</summary>
    public string Pad(string name, string x, long[] paddings, string mode = "constant", string? value = null)
    {
        var pads = builder.AddInt64Constant($"{name}/pads", [.. paddings.Where((_, i) => i % 2 == 0), .. paddings.Where((_, i) => i % 2 == 1)]);
        return builder.AddNode("Pad", name, value is null ? [x, pads] : [x, pads, value], ("mode", mode));
    }

    /// <summary>
    /// MirrorPad: ONNX mirrors without the border only. With the border (SYMMETRIC), one element of padding repeats the edge; more is not in ONNX.
    /// </summary>
    public string? MirrorPad(string name, string x, long[] paddings, bool symmetric) =>
        symmetric && paddings.Any(padding => padding > 1) ? null : Pad(name, x, paddings, symmetric ? "edge" : "reflect");

    /// <summary>
    /// Resizes N H W C pictures. TensorFlow's three ways to place the samples are ONNX's; its nearest neighbour rounds down between two corners and to the
    /// nearest otherwise (tensorflow/core/kernels/image/resize_nearest_neighbor_op.cc and sampling_kernels: floor((i + ½)·s) is round-half-up of (i + ½)·s −
    /// ½).
    /// </summary>
    public string Resize(string name, string x, int[] shape, long height, long width, bool nearest, bool alignCorners, bool halfPixelCenters)
    {
        var coordinates = alignCorners ? "align_corners" : halfPixelCenters ? "half_pixel" : "asymmetric";
        var attributes = new List<(string, object)> { ("mode", nearest ? "nearest" : "linear"), ("coordinate_transformation_mode", coordinates) };
        if (nearest)
        {
            attributes.Add(("nearest_mode", alignCorners || halfPixelCenters ? "round_prefer_ceil" : "floor"));
        }

        // With a free batch the sizes are not all known; scales are.
        string[] target = shape[0] < 0
            ? [x, "", builder.AddConstant($"{name}/scales", [1, Scale(shape[1], height), Scale(shape[2], width), 1], 4)]
            : [x, "", "", builder.AddInt64Constant($"{name}/sizes", shape[0], height, width, shape[3])];
        return builder.AddChannelsLastNode("Resize", name, target, CollectionsMarshal.AsSpan(attributes));

        // ONNX: size = floor(input × scale), and the quotient may have been rounded down.
        static float Scale(int from, long to)
        {
            var scale = (float)to / from;
            return (double)from * scale < to ? MathF.BitIncrement(scale) : scale;
        }
    }

    /// <summary>Slice: a start and a size for each axis; −1 is all that is left.</summary>
    public string Slice(string name, string x, long[] begin, long[] size) => builder.AddNode("Slice", name,
    [
        x, builder.AddInt64Constant($"{name}/starts", begin),
        builder.AddInt64Constant($"{name}/ends", [.. begin.Zip(size, (start, length) => length < 0 ? long.MaxValue : start + length)]),
        builder.AddInt64Constant($"{name}/axes", [.. Enumerable.Range(0, begin.Length).Select(axis => (long)axis)]),
    ]);

    /// <summary>
    /// StridedSlice: Python's x[a:b:c, …, newaxis, d]. Each position of begin, end and strides is one of those, as bits of the masks tell.
    /// https://www.tensorflow.org/api_docs/python/tf/strided_slice
    /// </summary>
    /// <returns><see langword="null"/> where the lengths contradict each other.</returns>
    public string? StridedSlice(string name, string x, long[] begin, long[] end, long[] strides, StridedSliceMasks masks)
    {
        if (end.Length != begin.Length || strides.Length != begin.Length || begin.Length > 32 || strides.Contains(0) || int.PopCount(masks.Ellipsis) > 1)
        {
            return null;
        }

        // Axes after an ellipsis are counted from the back, so that the rank need not be known: in the input, and in the output for those that come or go.
        var ellipsis = masks.Ellipsis == 0 ? begin.Length : int.TrailingZeroCount(masks.Ellipsis);
        bool IsNew(int i) => (masks.NewAxis >> i & 1) != 0;
        bool IsShrunk(int i) => (masks.ShrinkAxis >> i & 1) != 0 && !IsNew(i);
        long AxisOf(int position, Func<int, bool> takesAxis) => position < ellipsis
            ? Enumerable.Range(0, position).Count(takesAxis)
            : -Enumerable.Range(position, begin.Length - position).Count(takesAxis);

        List<long> starts = [], ends = [], axes = [], steps = [], shrunk = [], added = [];
        for (var i = 0; i < begin.Length; i++)
        {
            if (i == ellipsis)
            {
                continue;
            }

            if (IsNew(i))
            {
                added.Add(AxisOf(i, j => j != ellipsis && !IsShrunk(j)));
                continue;
            }

            var axis = AxisOf(i, j => j != ellipsis && !IsNew(j));
            var all = !IsShrunk(i) && (masks.Begin >> i & 1) != 0 && (masks.End >> i & 1) != 0 && strides[i] == 1;
            if (IsShrunk(i))
            {
                shrunk.Add(axis);
            }

            if (!all)
            {
                var backwards = strides[i] < 0;
                starts.Add(!IsShrunk(i) && (masks.Begin >> i & 1) != 0 ? (backwards ? long.MaxValue : 0) : begin[i]);
                ends.Add(IsShrunk(i) ? (begin[i] == -1 ? long.MaxValue : begin[i] + 1) : (masks.End >> i & 1) != 0
                    ? (backwards ? long.MinValue : long.MaxValue) : end[i]);
                axes.Add(axis);
                steps.Add(IsShrunk(i) ? 1 : strides[i]);
            }
        }

        var result = x;
        if (axes.Count > 0)
        {
            result = builder.AddNode("Slice", name,
            [
                result, builder.AddInt64Constant($"{name}/starts", [.. starts]), builder.AddInt64Constant($"{name}/ends", [.. ends]),
                builder.AddInt64Constant($"{name}/axes", [.. axes]), builder.AddInt64Constant($"{name}/steps", [.. steps]),
            ]);
        }

        if (shrunk.Count > 0)
        {
            result = builder.AddNode("Squeeze", $"{name}/squeeze", [result, builder.AddInt64Constant($"{name}/shrunk", [.. shrunk])]);
        }

        return added.Count > 0 ? builder.AddNode("Unsqueeze", $"{name}/unsqueeze", [result, builder.AddInt64Constant($"{name}/added", [.. added])])
            : result == x ? builder.AddNode("Identity", name, [x])
            : result;
    }

    /// <summary>A shape, axis or size as ONNX wants it, in 64 bits; TensorFlow computes with 32.</summary>
    public string Int64(string value)
    {
        if (_int64.TryGetValue(value, out var known))
        {
            return known;
        }

        var wide = builder.Graph.Constants.TryGetValue(value, out var constant)
            ? constant.Type == ElementType.Int64 ? value : builder.AddConstant($"{value}/int64", Tensor.Int64(constant.Shape, constant.ToInts()))
            : builder.AddNode("Cast", $"{value}/int64", [value], ("to", (long)ElementType.Int64));
        return _int64[value] = wide;
    }

    /// <summary>A constant with its axes in another order: TensorFlow's weights in ONNX's layout.</summary>
    public static Tensor Transpose(Tensor tensor, params ReadOnlySpan<int> axes)
    {
        var rank = axes.Length;
        var elementSize = Tensor.SizeOf(tensor.Type);
        var shape = new int[rank];
        var strides = new int[rank]; // how far one step along each new axis moves in the old tensor
        for (var axis = 0; axis < rank; axis++)
        {
            shape[axis] = tensor.Shape[axes[axis]];
            strides[axis] = tensor.Shape.AsSpan(axes[axis] + 1).ToArray().Aggregate(elementSize, (product, side) => product * side);
        }

        var from = tensor.Data.Span;
        var to = new byte[from.Length];
        var index = new int[rank];
        var source = 0;
        for (var target = 0; target < to.Length; target += elementSize)
        {
            from.Slice(source, elementSize).CopyTo(to.AsSpan(target, elementSize));
            for (var axis = rank - 1; axis >= 0; axis--)
            {
                source += strides[axis];
                if (++index[axis] < shape[axis])
                {
                    break;
                }

                source -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }

        return new Tensor(tensor.Type, shape, to);
    }
}

/// <summary>The bits of StridedSlice: which positions ignore their begin or end, stand for all axes left over, add an axis, or take one away.</summary>
internal readonly record struct StridedSliceMasks(int Begin, int End, int Ellipsis, int NewAxis, int ShrinkAxis);
