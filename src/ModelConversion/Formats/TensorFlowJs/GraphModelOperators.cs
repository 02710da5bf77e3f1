using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.TensorFlow;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>
/// The operators of graph models, as a table: one small method each. What they mean stands in https://www.tensorflow.org/api_docs/python/tf/raw_ops; which
/// of them TensorFlow.js has, and its fused ones, in tfjs-converter/src/operations/op_list.
/// </summary>
internal static class GraphModelOperators
{
    private static readonly Dictionary<string, Action<GraphModelOperation>> Table = new(StringComparer.Ordinal)
    {
        // Convolutions, products, pooling
        ["Conv2D"] = op => op.Result(Conv(op)),
        ["_FusedConv2D"] = op => Fused(op, bias => Conv(op, bias)),
        ["DepthwiseConv2dNative"] = op => op.Result(DepthwiseConv(op)),
        ["FusedDepthwiseConv2dNative"] = op => Fused(op, bias => DepthwiseConv(op, bias)),
        ["MatMul"] = op => op.Result(MatMul(op)),
        ["_FusedMatMul"] = op => Fused(op, bias => MatMul(op, bias)),
        ["BatchMatMul"] = BatchMatMul,
        ["BatchMatMulV2"] = BatchMatMul,
        ["BatchMatMulV3"] = BatchMatMul,
        ["BiasAdd"] = op => op.Result(AddBias(op, op[0], 1)),
        ["FusedBatchNorm"] = BatchNorm,
        ["FusedBatchNormV2"] = BatchNorm,
        ["FusedBatchNormV3"] = BatchNorm,
        ["MaxPool"] = op => Pool(op, "MaxPool"),
        ["AvgPool"] = op => Pool(op, "AveragePool"),
        // tensorflow/core/ops/nn_ops.cc: depth_radius 5, bias 1, alpha 1, beta 0.5.
        ["LRN"] = op => op.Result(op.TensorFlow.LocalResponseNormalization(op.Name, op[0], op.Node.Int("depth_radius", 5), op.Node.Float("bias", 1),
            op.Node.Float("alpha", 1), op.Node.Float("beta", 0.5f))),
        ["Softmax"] = op => op.Result(op.Builder.AddNode("Softmax", op.Name, [op[0]], ("axis", -1L))),
        ["LogSoftmax"] = op => op.Result(op.Builder.AddNode("LogSoftmax", op.Name, [op[0]], ("axis", -1L))),

        // Element by element
        ["Add"] = op => Binary(op, "Add"),
        ["AddV2"] = op => Binary(op, "Add"),
        ["Sub"] = op => Binary(op, "Sub"),
        ["Mul"] = op => Binary(op, "Mul"),
        ["RealDiv"] = op => Binary(op, "Div"),
        ["Div"] = op => Binary(op, "Div"),
        ["DivNoNan"] = DivNoNan,
        ["Maximum"] = op => Binary(op, "Max"),
        ["Minimum"] = op => Binary(op, "Min"),
        ["Pow"] = op => Binary(op, "Pow"),
        ["AddN"] = op => op.Result(op.Builder.AddNode("Sum", op.Name, Enumerable.Range(0, op.InputCount).Select(i => op[i]).ToArray())),
        ["SquaredDifference"] = op => op.Result(op.TensorFlow.SquaredDifference(op.Name, op[0], op[1])),
        ["Square"] = op => op.Result(op.Builder.AddNode("Mul", op.Name, [op[0], op[0]])),
        ["Rsqrt"] = op => op.Result(op.TensorFlow.Rsqrt(op.Name, op[0])),
        ["Relu6"] = op => op.Result(op.TensorFlow.Clip(op.Name, op[0], 0, 6)),
        ["LeakyRelu"] = op => op.Result(op.Builder.AddNode("LeakyRelu", op.Name, [op[0]], ("alpha", op.Node.Float("alpha", 0.2f)))),
        ["Prelu"] = op => op.Result(op.Builder.AddNode("PRelu", op.Name, [op[0], op[1]])),
        ["ClipByValue"] = op => op.Result(op.Builder.AddNode("Clip", op.Name, [op[0], op[1], op[2]])),

        // Shapes and places
        ["Identity"] = Identity,
        ["Snapshot"] = Identity,
        ["StopGradient"] = Identity,
        ["PreventGradient"] = Identity,
        ["CheckNumerics"] = Identity,
        ["Cast"] = Cast,
        ["Reshape"] = op => op.Result(op.Builder.AddNode("Reshape", op.Name, [op[0], op.TensorFlow.Int64(op[1])])),
        ["Squeeze"] = Squeeze,
        ["ExpandDims"] = op => op.Result(op.Builder.AddNode("Unsqueeze", op.Name, [op[0], op.Builder.AddInt64Constant($"{op.Name}/axis", op.Int(1, "axis"))])),
        ["Transpose"] = op => op.Result(op.Builder.AddNode("Transpose", op.Name, [op[0]], ("perm", op.Ints(1, "permutation")))),
        ["Shape"] = op =>
            op.Result(op.Builder.AddNode("Cast", $"{op.Name}/int32", [op.Builder.AddNode("Shape", op.Name, [op[0]])], ("to", (long)ElementType.Int32))),
        ["ConcatV2"] = op => Concat(op, first: 0, axis: op.InputCount - 1),
        ["Concat"] = op => Concat(op, first: 1, axis: 0),
        ["Pack"] = op => op.Result(op.TensorFlow.Pack(op.Name, [.. Enumerable.Range(0, op.InputCount).Select(i => op[i])], op.Node.Int("axis", 0))),
        ["Unpack"] = Unpack,
        ["Split"] = Split,
        ["SplitV"] = SplitV,
        ["Slice"] = Slice,
        ["StridedSlice"] = StridedSlice,
        ["Gather"] = op => op.Result(op.Builder.AddNode("Gather", op.Name, [op[0], op[1]], ("axis", 0L))),
        ["GatherV2"] = op => op.Result(op.Builder.AddNode("Gather", op.Name, [op[0], op[1]], ("axis", op.Int(2, "axis")))),
        ["Pad"] = op => op.Result(op.TensorFlow.Pad(op.Name, op[0], Paddings(op))),
        ["PadV2"] = op => op.Result(op.TensorFlow.Pad(op.Name, op[0], Paddings(op), value: op[2])),
        ["MirrorPad"] = MirrorPad,
        ["Tile"] = op => op.Result(op.Builder.AddNode("Tile", op.Name, [op[0], op.TensorFlow.Int64(op[1])])),
        ["Fill"] = op => op.Result(op.Builder.AddNode("Expand", op.Name, [op[1], op.TensorFlow.Int64(op[0])])),
        ["DepthToSpace"] = op => Blocks(op, "DepthToSpace"),
        ["SpaceToDepth"] = op => Blocks(op, "SpaceToDepth"),
        ["ResizeBilinear"] = op => Resize(op, nearest: false),
        ["ResizeNearestNeighbor"] = op => Resize(op, nearest: true),

        // Reductions
        ["Mean"] = op => Reduce(op, "Mean"),
        ["Sum"] = op => Reduce(op, "Sum"),
        ["Max"] = op => Reduce(op, "Max"),
        ["Min"] = op => Reduce(op, "Min"),
        ["Prod"] = op => Reduce(op, "Prod"),
        ["ArgMax"] = ArgMax,
    };

    /// <summary>Appends what a node does to the graph.</summary>
    /// <exception cref="ModelFormatException">It is not supported, or does not fit its inputs.</exception>
    public static void Convert(GraphModelOperation op)
    {
        if (Table.TryGetValue(op.Node.Op, out var convert))
        {
            convert(op);
        }
        else if (TensorFlowOperators.Unary.Contains(op.Node.Op))
        {
            op.Result(op.Builder.AddNode(op.Node.Op, op.Name, [op[0]]));
        }
        else
        {
            throw op.Refuse("is not supported");
        }
    }

    /// <summary>TensorFlow.js computes with one float, one integer type and truth values; wider and narrower ones become those.</summary>
    public static ElementType? ElementTypeOf(string? type) => type switch
    {
        "DT_FLOAT" or "DT_DOUBLE" or "DT_HALF" => ElementType.Float32,
        "DT_INT32" or "DT_INT64" or "DT_UINT8" or "DT_INT8" or "DT_INT16" => ElementType.Int32,
        "DT_BOOL" => ElementType.Bool,
        _ => null,
    };

    // Weights are H W I O.
    private static string Conv(GraphModelOperation op, string? bias = null) => Spatial(op, "Conv", op.Weights(1, [3, 2, 0, 1]), bias);

    // Weights are H W I M: M results from each of I channels.
    private static string DepthwiseConv(GraphModelOperation op, string? bias = null)
    {
        var weights = op.Weights(1, [2, 3, 0, 1], moved => moved with { Shape = [moved.Shape[0] * moved.Shape[1], 1, moved.Shape[2], moved.Shape[3]] });
        return Spatial(op, "Conv", weights, bias, ("group", (long)op.RequiredConstant(1, "weights").Shape[2]));
    }

    private static void Pool(GraphModelOperation op, string onnx) => op.Result(Spatial(op, onnx, null, null, ("kernel_shape", HeightWidth(op, "ksize"))));

    private static string Spatial(GraphModelOperation op, string onnx, string? weights, string? bias, params ReadOnlySpan<(string, object)> more)
    {
        List<(string, object)> attributes = [("strides", HeightWidth(op, "strides")), .. more];
        if (onnx == "Conv" && op.Node.Ints("dilations").Length > 0)
        {
            attributes.Add(("dilations", HeightWidth(op, "dilations")));
        }

        switch (op.Node.Text("padding"))
        {
            case "SAME":
                attributes.Add(("auto_pad", "SAME_UPPER"));
                break;
            case "EXPLICIT":
                // Before and after for each axis in the data's own order.
                var height = IsChannelsLast(op) ? 2 : 4;
                attributes.Add(op.Node.Ints("explicit_paddings") is { Length: 8 } pads
                    ? ("pads", new[] { pads[height], pads[height + 2], pads[height + 1], pads[height + 3] })
                    : throw op.Refuse("has explicit padding, but not for four axes"));
                break;
            case "VALID":
                break;
            case var padding:
                throw op.Refuse($"has the padding '{padding}', which is not supported");
        }

        string[] inputs = weights is null ? [op[0]] : bias is null ? [op[0], weights] : [op[0], weights, bias];
        var node = op.Builder.AddNode(onnx, op.Name, inputs, outputs: 1, [.. attributes]);
        node.ChannelsLast = IsChannelsLast(op);
        return node.Outputs[0];
    }

    private static string MatMul(GraphModelOperation op, string? bias = null)
    {
        bool transposeA = op.Node.Flag("transpose_a"), transposeB = op.Node.Flag("transpose_b");
        return bias is null && !transposeA && !transposeB
            ? op.Builder.AddNode("MatMul", op.Name, [op[0], op[1]])
            : op.Builder.AddNode("Gemm", op.Name, bias is null ? [op[0], op[1]]
                : [op[0], op[1], bias], ("transA", transposeA ? 1L : 0), ("transB", transposeB ? 1L : 0));
    }

    private static void BatchMatMul(GraphModelOperation op)
    {
        string Side(int input)
        {
            if (!op.Node.Flag(input == 0 ? "adj_x" : "adj_y"))
            {
                return op[input];
            }

            var rank = op.ShapeOf(input).Length;
            long[] axes = [.. Enumerable.Range(0, rank).Select(axis => (long)(axis < rank - 2 ? axis : (2 * rank) - 3 - axis))];
            return op.Builder.AddNode("Transpose", $"{op.Name}/transposed", [op[input]], ("perm", axes));
        }

        op.Result(op.Builder.AddNode("MatMul", op.Name, [Side(0), Side(1)]));
    }

    /// <summary>
    /// A convolution or product with what follows fused into it: a bias, then perhaps an activation (fused_ops; its constants are inputs after the bias).
    /// TensorFlow.js refuses a fused batch norm too (tfjs-converter/src/operations/executors/convolution_executor.ts).
    /// </summary>
    private static void Fused(GraphModelOperation op, Func<string?, string> product)
    {
        var fused = op.Node.Texts("fused_ops");
        var hasBias = fused is ["BiasAdd", ..];
        var value = hasBias && op.Constant(2) is { Shape.Length: 1 } ? product(op[2])
            : hasBias ? AddBias(op, product(null), 2)
            : product(null);
        var slope = hasBias ? 3 : 2;
        foreach (var activation in fused.Skip(hasBias ? 1 : 0))
        {
            value = activation switch
            {
                "Relu6" => op.TensorFlow.Clip(op.Name, value, 0, 6),
                "LeakyRelu" => op.Builder.AddNode("LeakyRelu", op.Name, [value], ("alpha", op.Node.Float("leakyrelu_alpha", 0.2f))),
                "Prelu" => op.Builder.AddNode("PRelu", op.Name, [value, op[slope]]),
                "Relu" or "Elu" or "Sigmoid" or "Tanh" => op.Builder.AddNode(activation, op.Name, [value]),
                _ => throw op.Refuse($"has '{activation}' fused into it, which is not supported"),
            };
        }

        op.Result(value);
    }

    private static string AddBias(GraphModelOperation op, string value, int input)
    {
        var bias = IsChannelsLast(op)
            ? op[input]
            : op.Builder.AddNode("Reshape", $"{op.Name}/bias", [op[input], op.Builder.AddInt64Constant($"{op.Name}/shape", -1, 1, 1)]);
        return op.Builder.AddNode("Add", op.Name, [value, bias]);
    }

    // Scale, offset, mean and variance are constants at inference: one product and one sum, along the last axis or per picture plane.
    private static void BatchNorm(GraphModelOperation op)
    {
        float[] scale = op.Floats(1, "scale"), offset = op.Floats(2, "offset"), mean = op.Floats(3, "mean"), variance = op.Floats(4, "variance");
        if (op.Node.Flag("is_training") || offset.Length != scale.Length || mean.Length != scale.Length || variance.Length != scale.Length)
        {
            throw op.Refuse("takes its mean and variance from the batch, which is not supported");
        }

        op.Builder.Graph.Statistics[op[0]] = (Array.ConvertAll(mean, value => (double)value), Array.ConvertAll(variance, value => (double)value));
        var epsilon = op.Node.Float("epsilon", 1e-4f);
        for (var i = 0; i < scale.Length; i++)
        {
            scale[i] /= float.Sqrt(variance[i] + epsilon);
            offset[i] -= mean[i] * scale[i];
        }

        int[] shape = IsChannelsLast(op) ? [scale.Length] : [scale.Length, 1, 1];
        var scaled = op.Builder.AddNode("Mul", $"{op.Name}/scaled", [op[0], op.Builder.AddConstant($"{op.Name}/scale", scale, shape)]);
        op.Result(op.Builder.AddNode("Add", op.Name, [scaled, op.Builder.AddConstant($"{op.Name}/offset", offset, shape)]));
    }

    private static void Binary(GraphModelOperation op, string onnx) => op.Result(op.Builder.AddNode(onnx, op.Name, [op[0], op[1]]));

    // x ÷ y, and 0 where y is 0.
    private static void DivNoNan(GraphModelOperation op)
    {
        var zero = op.Builder.AddConstant($"{op.Name}/zero", [0f]);
        var isZero = op.Builder.AddNode("Equal", $"{op.Name}/is_zero", [op[1], zero]);
        var divisor = op.Builder.AddNode("Where", $"{op.Name}/divisor", [isZero, op.Builder.AddConstant($"{op.Name}/one", [1f]), op[1]]);
        op.Result(op.Builder.AddNode("Where", op.Name, [isZero, zero, op.Builder.AddNode("Div", $"{op.Name}/quotient", [op[0], divisor])]));
    }

    private static void Identity(GraphModelOperation op)
    {
        if (op.Constant(0) is { } constant)
        {
            op.Constant(constant);
        }
        else
        {
            op.Result(op[0]);
        }
    }

    private static void Cast(GraphModelOperation op)
    {
        var type = ElementTypeOf(op.Node.Type("DstT")) ?? throw op.Refuse($"makes {op.Node.Type("DstT")}, which is not supported");
        op.Result(op.Builder.AddNode("Cast", op.Name, [op[0]], ("to", (long)type)));
    }

    private static void Squeeze(GraphModelOperation op)
    {
        var axes = op.Node.Ints("squeeze_dims") is { Length: > 0 } given ? given : op.Node.Ints("axis");
        if (axes.Length == 0)
        {
            // Every side of one but the batch, which is one here by chance.
            var shape = op.ShapeOf(0);
            axes = [.. Enumerable.Range(1, Math.Max(0, shape.Length - 1)).Where(axis => shape[axis] == 1).Select(axis => (long)axis)];
        }

        op.Result(axes.Length == 0 ? op[0] : op.Builder.AddNode("Squeeze", op.Name, [op[0], op.Builder.AddInt64Constant($"{op.Name}/axes", axes)]));
    }

    private static void Concat(GraphModelOperation op, int first, int axis)
    {
        string[] values = [.. Enumerable.Range(first, Math.Max(0, op.InputCount - 1)).Select(i => op[i])];
        op.Result(op.Builder.AddNode("Concat", op.Name, values, ("axis", op.Int(axis, "axis"))));
    }

    private static void Unpack(GraphModelOperation op)
    {
        var count = op.Node.Int("num", 0);
        Results(op, count is > 0 and < 1024
            ? op.TensorFlow.Split(op.Name, op[0], [.. Enumerable.Repeat(1L, (int)count)], op.Node.Int("axis", 0), squeeze: true)
            : throw op.Refuse($"unpacks {Counted.Of(count, "value")}"));
    }

    // Inputs: axis, value.
    private static void Split(GraphModelOperation op)
    {
        var axis = op.Int(0, "axis");
        var count = op.Node.Int("num_split", 0);
        var shape = op.ShapeOf(1);
        var index = axis < 0 ? axis + shape.Length : axis;
        if (index < 0 || index >= shape.Length || count <= 0 || shape[index] % count != 0)
        {
            throw op.Refuse($"splits [{string.Join(", ", shape)}] into {Counted.Of(count, "part")} along axis {axis}");
        }

        Results(op, op.TensorFlow.Split(op.Name, op[1], [.. Enumerable.Repeat(shape[index] / count, (int)count)], axis, squeeze: false));
    }

    // Inputs: value, sizes, axis.
    private static void SplitV(GraphModelOperation op) =>
        Results(op, op.TensorFlow.Split(op.Name, op[0], op.Ints(1, "sizes"), op.Int(2, "axis"), squeeze: false));

    private static void Slice(GraphModelOperation op)
    {
        long[] begin = op.Ints(1, "begin"), size = op.Ints(2, "size");
        op.Result(begin.Length == size.Length ? op.TensorFlow.Slice(op.Name, op[0], begin, size)
            : throw op.Refuse("has a begin and a size of different lengths"));
    }

    private static void StridedSlice(GraphModelOperation op)
    {
        int Mask(string name) => unchecked((int)op.Node.Int(name, 0));
        var masks = new StridedSliceMasks(Mask("begin_mask"), Mask("end_mask"), Mask("ellipsis_mask"), Mask("new_axis_mask"), Mask("shrink_axis_mask"));
        op.Result(op.TensorFlow.StridedSlice(op.Name, op[0], op.Ints(1, "begin"), op.Ints(2, "end"), op.Ints(3, "strides"), masks)
            ?? throw op.Refuse("has a begin, end and strides that do not go together"));
    }

    private static long[] Paddings(GraphModelOperation op)
    {
        var paddings = op.Ints(1, "padding");
        return op.RequiredConstant(1, "padding").Shape is [_, 2] && Array.TrueForAll(paddings, padding => padding >= 0) ? paddings
            : throw op.Refuse($"pads by [{string.Join(", ", paddings)}]");
    }

    private static void MirrorPad(GraphModelOperation op) =>
        op.Result(op.TensorFlow.MirrorPad(op.Name, op[0], Paddings(op), symmetric: op.Node.Text("mode") == "SYMMETRIC")
            ?? throw op.Refuse("repeats more than one row at the border, which is not supported"));

    private static void Blocks(GraphModelOperation op, string onnx)
    {
        var node = op.Builder.AddNode(onnx, op.Name, [op[0]], outputs: 1, ("blocksize", op.Node.Int("block_size", 0) is > 0 and long size ? size
            : throw op.Refuse("has no block_size")));
        node.ChannelsLast = IsChannelsLast(op);
        op.Result(node.Outputs[0]);
    }

    private static void Resize(GraphModelOperation op, bool nearest)
    {
        if (op.Ints(1, "size") is not [> 0 and var height, > 0 and var width] || op.ShapeOf(0) is not [_, > 0, > 0, _] shape)
        {
            throw op.Refuse("does not resize N H W C to a height and a width");
        }

        op.Result(op.TensorFlow.Resize(op.Name, op[0], [-1, .. shape[1..]], height, width, nearest, op.Node.Flag("align_corners"),
            op.Node.Flag("half_pixel_centers")));
    }

    private static void Reduce(GraphModelOperation op, string kind) =>
        op.Result(op.TensorFlow.Reduce(kind, op.Name, op[0], op.Ints(1, "axes"), op.Node.Flag("keep_dims")));

    private static void ArgMax(GraphModelOperation op)
    {
        var index = op.Builder.AddNode("ArgMax", op.Name, [op[0]], ("axis", op.Int(1, "axis")), ("keepdims", 0L));
        op.Result(op.Builder.AddNode("Cast", $"{op.Name}/int32", [index], ("to", (long)ElementType.Int32)));
    }

    private static void Results(GraphModelOperation op, IReadOnlyList<string> values)
    {
        for (var output = 0; output < values.Count; output++)
        {
            op.Result(values[output], output);
        }
    }

    private static bool IsChannelsLast(GraphModelOperation op) => op.Node.Text("data_format") is not "NCHW";

    private static long[] HeightWidth(GraphModelOperation op, string attribute)
    {
        var values = op.Node.Ints(attribute);
        var height = IsChannelsLast(op) ? 1 : 2;
        return values.Length == 4 && values[height] > 0 && values[height + 1] > 0 ? [values[height], values[height + 1]]
            : throw op.Refuse($"has the {attribute} [{string.Join(", ", values)}]");
    }
}
