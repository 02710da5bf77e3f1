using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>
/// The operators, as a table: one small method each. What they mean stands in https://www.tensorflow.org/mlir/tfl_ops, their options in
/// <see cref="LiteSchema"/>.
/// </summary>
internal static class LiteOperators
{
    /// <summary>The code of operators that are not TensorFlow Lite's own.</summary>
    public const int Custom = 32;

    /// <summary>Padding that leaves the size as it is; what is left over goes to the bottom and right. (schema.fbs, Padding; the other is VALID.)</summary>
    private const sbyte SamePadding = 0;

    /// <summary>BuiltinOperator of schema.fbs, by number.</summary>
    public static readonly string[] Names =
    [
        "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "EMBEDDING_LOOKUP", "FLOOR",
        "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION",
        "LSTM", "MAX_POOL_2D", "MUL", "RELU", "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF",
        "TANH", "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD", "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER",
        "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB", "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE",
        "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2", "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU",
        "MAXIMUM", "ARG_MAX", "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN",
        "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT", "SHAPE", "POW", "ARG_MIN",
        "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT", "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN",
        "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL", "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU",
        "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS", "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
        "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE", "NON_MAX_SUPPRESSION_V4",
        "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM", "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM",
        "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D", "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT",
        "HASHTABLE_SIZE", "REDUCE_ALL", "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS",
        "RANDOM_STANDARD_NORMAL", "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU", "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1",
        "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN", "BITCAST", "BITWISE_XOR",
        "RIGHT_SHIFT",
    ];

    private static readonly Dictionary<string, Action<LiteOperation>> Table = new(StringComparer.Ordinal)
    {
        // Convolutions, products, pooling
        ["CONV_2D"] = Conv2D,
        ["DEPTHWISE_CONV_2D"] = DepthwiseConv2D,
        ["TRANSPOSE_CONV"] = TransposeConv,
        ["FULLY_CONNECTED"] = FullyConnected,
        ["BATCH_MATMUL"] = BatchMatMul,
        ["AVERAGE_POOL_2D"] = op => Pool(op, "AveragePool"),
        ["MAX_POOL_2D"] = op => Pool(op, "MaxPool"),
        ["SOFTMAX"] = Softmax,
        ["LOG_SOFTMAX"] = op => Unary(op, "LogSoftmax"),
        ["L2_NORMALIZATION"] = L2Normalization,
        ["LOCAL_RESPONSE_NORMALIZATION"] = LocalResponseNormalization,

        // Element by element
        ["ADD"] = op => Binary(op, "Add"),
        ["SUB"] = op => Binary(op, "Sub"),
        ["MUL"] = op => Binary(op, "Mul"),
        ["DIV"] = op => Binary(op, "Div"),
        ["MAXIMUM"] = op => Binary(op, "Max"),
        ["MINIMUM"] = op => Binary(op, "Min"),
        ["POW"] = op => Binary(op, "Pow"),
        ["ADD_N"] = AddN,
        ["SQUARED_DIFFERENCE"] = op => op.Result(op.TensorFlow.SquaredDifference(op.Name, op[0], op[1])),
        ["SQUARE"] = op => op.Result(op.Builder.AddNode("Mul", op.Name, [op[0], op[0]])),
        ["RELU"] = op => op.Result(op.Activate(op[0], "RELU")),
        ["RELU6"] = op => op.Result(op.Activate(op[0], "RELU6")),
        ["RELU_N1_TO_1"] = op => op.Result(op.Activate(op[0], "RELU_N1_TO_1")),
        ["RELU_0_TO_1"] = op => op.Result(op.Activate(op[0], "RELU_0_TO_1")),
        ["LEAKY_RELU"] = op => op.Result(op.Builder.AddNode("LeakyRelu", op.Name, [op[0]], ("alpha", op.Option<float>(LiteSchema.LeakyReluOptions.Alpha)))),
        ["PRELU"] = op => op.Result(op.Builder.AddNode("PRelu", op.Name, [op[0], op[1]])),
        ["GELU"] = op => op.Result(op.TensorFlow.Gelu(op.Name, op[0], approximate: op.Flag(LiteSchema.GeluOptions.Approximate))),
        ["RSQRT"] = op => op.Result(op.TensorFlow.Rsqrt(op.Name, op[0])),
        ["LOGISTIC"] = op => Unary(op, "Sigmoid"),
        ["TANH"] = op => Unary(op, "Tanh"),
        ["HARD_SWISH"] = op => Unary(op, "HardSwish"),
        ["ELU"] = op => Unary(op, "Elu"),
        ["EXP"] = op => Unary(op, "Exp"),
        ["LOG"] = op => Unary(op, "Log"),
        ["SQRT"] = op => Unary(op, "Sqrt"),
        ["NEG"] = op => Unary(op, "Neg"),
        ["ABS"] = op => Unary(op, "Abs"),
        ["SIN"] = op => Unary(op, "Sin"),
        ["COS"] = op => Unary(op, "Cos"),
        ["FLOOR"] = op => Unary(op, "Floor"),
        ["CEIL"] = op => Unary(op, "Ceil"),
        ["ROUND"] = op => Unary(op, "Round"),
        ["SIGN"] = op => Unary(op, "Sign"),

        // Types and quantization
        ["QUANTIZE"] = op => op.Result(op[0]),
        ["DEQUANTIZE"] = Dequantize,
        ["FAKE_QUANT"] = FakeQuant,
        ["CAST"] = Cast,

        // Shapes and places
        ["CONCATENATION"] = Concatenation,
        ["RESHAPE"] = Reshape,
        ["SQUEEZE"] = Squeeze,
        ["EXPAND_DIMS"] = ExpandDims,
        ["TRANSPOSE"] = Transpose,
        ["SHAPE"] = Shape,
        ["PAD"] = Pad,
        ["PADV2"] = Pad,
        ["MIRROR_PAD"] = MirrorPad,
        ["STRIDED_SLICE"] = StridedSlice,
        ["SLICE"] = Slice,
        ["SPLIT"] = Split,
        ["SPLIT_V"] = SplitV,
        ["PACK"] = Pack,
        ["UNPACK"] = Unpack,
        ["GATHER"] = Gather,
        ["DEPTH_TO_SPACE"] = op => Blocks(op, "DepthToSpace"),
        ["SPACE_TO_DEPTH"] = op => Blocks(op, "SpaceToDepth"),
        ["RESIZE_BILINEAR"] = op =>
            Resize(op, nearest: false, op.Flag(LiteSchema.ResizeBilinearOptions.AlignCorners), op.Flag(LiteSchema.ResizeBilinearOptions.HalfPixelCenters)),
        ["RESIZE_NEAREST_NEIGHBOR"] = op =>
            Resize(op, nearest: true, op.Flag(LiteSchema.ResizeNearestNeighborOptions.AlignCorners),
                op.Flag(LiteSchema.ResizeNearestNeighborOptions.HalfPixelCenters)),

        // Reductions
        ["MEAN"] = op => Reduce(op, "Mean"),
        ["SUM"] = op => Reduce(op, "Sum"),
        ["REDUCE_MAX"] = op => Reduce(op, "Max"),
        ["REDUCE_MIN"] = op => Reduce(op, "Min"),
        ["REDUCE_PROD"] = op => Reduce(op, "Prod"),
        ["ARG_MAX"] = op => ArgBest(op, "ArgMax"),
        ["ARG_MIN"] = op => ArgBest(op, "ArgMin"),
    };

    /// <summary>Appends what an operator does to the graph.</summary>
    /// <exception cref="ModelFormatException">It is not supported, or does not fit its tensors.</exception>
    public static void Convert(LiteOperation op)
    {
        if (op.IsCustom)
        {
            throw op.Refuse("is not one of TensorFlow Lite's own and is not supported");
        }

        if (!Table.TryGetValue(op.Op, out var convert))
        {
            throw op.Refuse("is not supported");
        }

        convert(op);
    }

    // Weights are O H W I.
    private static void Conv2D(LiteOperation op)
    {
        var filter = op.Input(1).Shape;
        var weights = op.Weights(1, 0, 3, 1, 2);
        var channels = Channels(op);
        if (filter[3] == 0 || channels % filter[3] != 0)
        {
            throw op.Refuse($"has weights for {Counted.Of(filter[3], "channel")}; its input has {channels}");
        }

        string[] inputs = op.Has(2) ? [op[0], weights, op[2]] : [op[0], weights];
        var strides = Strides(op, LiteSchema.Conv2DOptions.StrideH, LiteSchema.Conv2DOptions.StrideW);
        var dilations = Dilations(op, LiteSchema.Conv2DOptions.DilationHFactor, LiteSchema.Conv2DOptions.DilationWFactor);
        var padding = AutoPad(op, LiteSchema.Conv2DOptions.Padding);
        var value = op.Builder.AddChannelsLastNode("Conv", op.Name, inputs, ("strides", strides), ("dilations", dilations),
            ("group", (long)(channels / filter[3])), padding);
        op.Result(value, op.Option<sbyte>(LiteSchema.Conv2DOptions.FusedActivationFunction));
    }

    // Weights are 1 H W (C × multiplier).
    private static void DepthwiseConv2D(LiteOperation op)
    {
        var filter = op.Input(1).Shape;
        var weights = op.Weights(1, 3, 0, 1, 2);
        var channels = Channels(op);
        if (filter[0] != 1 || filter[3] % channels != 0)
        {
            throw op.Refuse($"has weights of shape [{string.Join(", ", filter)}]; its input has {Counted.Of(channels, "channel")}");
        }

        string[] inputs = op.Has(2) ? [op[0], weights, op[2]] : [op[0], weights];
        var strides = Strides(op, LiteSchema.DepthwiseConv2DOptions.StrideH, LiteSchema.DepthwiseConv2DOptions.StrideW);
        var dilations = Dilations(op, LiteSchema.DepthwiseConv2DOptions.DilationHFactor, LiteSchema.DepthwiseConv2DOptions.DilationWFactor);
        var padding = AutoPad(op, LiteSchema.DepthwiseConv2DOptions.Padding);
        var value = op.Builder.AddChannelsLastNode("Conv", op.Name, inputs, ("strides", strides), ("dilations", dilations), ("group", (long)channels), padding);
        op.Result(value, op.Option<sbyte>(LiteSchema.DepthwiseConv2DOptions.FusedActivationFunction));
    }

    // Inputs: output_shape, weights (O H W I), input, bias.
    private static void TransposeConv(LiteOperation op)
    {
        var filter = op.Input(1).Shape;
        var weights = op.Weights(1, 3, 0, 1, 2);
        var output = op.Ints(0, "output shape");
        var strides = Strides(op, LiteSchema.TransposeConvOptions.StrideH, LiteSchema.TransposeConvOptions.StrideW);
        if (output.Length != 4 || op.Input(2).Shape is not { Length: 4 } input || input[1] < 0 || input[2] < 0)
        {
            throw op.Refuse("is supported for pictures of a known size only");
        }

        // The padding is that of the convolution whose gradient this is (kernels/padding.h, ComputePaddingHeightWidth): what the smaller side cannot hold.
        var pads = new long[4];
        var extra = new long[2];
        for (var axis = 0; axis < 2; axis++)
        {
            var full = ((input[axis + 1] - 1) * strides[axis]) + filter[axis + 1];
            var padding = op.Option<sbyte>(LiteSchema.TransposeConvOptions.Padding) == SamePadding ? Math.Max(full - output[axis + 1], 0) : 0;
            pads[axis] = padding / 2;
            pads[axis + 2] = padding - pads[axis];
            extra[axis] = output[axis + 1] - full + padding;
            if (extra[axis] < 0 || extra[axis] >= strides[axis])
            {
                throw op.Refuse($"cannot make {output[axis + 1]} of {Counted.Of(input[axis + 1], "element")} in steps of {strides[axis]}");
            }
        }

        string[] inputs = op.Has(3) ? [op[2], weights, op[3]] : [op[2], weights];
        var value = op.Builder.AddChannelsLastNode("ConvTranspose", op.Name, inputs, ("strides", strides), ("pads", pads), ("output_padding", extra));
        op.Result(value, op.Option<sbyte>(LiteSchema.TransposeConvOptions.FusedActivationFunction));
    }

    private static void Pool(LiteOperation op, string kind)
    {
        long[] window = [Positive(op, LiteSchema.Pool2DOptions.FilterHeight, "filter_height"),
            Positive(op, LiteSchema.Pool2DOptions.FilterWidth, "filter_width")];
        var strides = Strides(op, LiteSchema.Pool2DOptions.StrideH, LiteSchema.Pool2DOptions.StrideW);
        var padding = AutoPad(op, LiteSchema.Pool2DOptions.Padding);
        var value = op.Builder.AddChannelsLastNode(kind, op.Name, [op[0]], ("kernel_shape", window), ("strides", strides), padding);
        op.Result(value, op.Option<sbyte>(LiteSchema.Pool2DOptions.FusedActivationFunction));
    }

    // Weights are O I.
    private static void FullyConnected(LiteOperation op)
    {
        var activation = op.Option<sbyte>(LiteSchema.FullyConnectedOptions.FusedActivationFunction);
        if (op.Option<sbyte>(LiteSchema.FullyConnectedOptions.WeightsFormat) != 0)
        {
            throw op.Refuse("has shuffled weights, which are not supported");
        }

        var filter = op.Input(1).Shape;
        if (op.Flag(LiteSchema.FullyConnectedOptions.KeepNumDims) && !op.IsRank(0, 2))
        {
            var product = op.Builder.AddNode("MatMul", op.Name, [op[0], op.Weights(1, 1, 0)]);
            op.Result(op.Has(2) ? op.Builder.AddNode("Add", op.Name, [product, op[2]]) : product, activation);
            return;
        }

        var weights = op.Weights(1, 0, 1);
        var x = op.Input(0).Shape is [_, int features] && features == filter[1]
            ? op[0]
            : op.Builder.AddNode("Reshape", $"{op.Name}/flatten", [op[0], op.Builder.AddInt64Constant($"{op.Name}/shape", -1, filter[1])]);
        op.Result(op.Builder.AddNode("Gemm", op.Name, op.Has(2) ? [x, weights, op[2]] : [x, weights], ("transB", 1L)), activation);
    }

    private static void BatchMatMul(LiteOperation op)
    {
        string Side(int input, int adjoint)
        {
            var rank = op.Input(input).Shape.Length;
            long[] axes = [.. Enumerable.Range(0, rank).Select(axis => (long)(axis < rank - 2 ? axis : (2 * rank) - 3 - axis))];
            return op.Flag(adjoint) ? op.Builder.AddNode("Transpose", $"{op.Name}/transposed", [op[input]], ("perm", axes)) : op[input];
        }

        op.Result(op.Builder.AddNode("MatMul", op.Name, [Side(0, LiteSchema.BatchMatMulOptions.AdjX), Side(1, LiteSchema.BatchMatMulOptions.AdjY)]));
    }

    private static void Softmax(LiteOperation op)
    {
        var beta = op.Option<float>(LiteSchema.SoftmaxOptions.Beta);
        var x = beta == 1 ? op[0] : op.Builder.AddNode("Mul", $"{op.Name}/scaled", [op[0], op.Builder.AddConstant($"{op.Name}/beta", [beta])]);
        op.Result(op.Builder.AddNode("Softmax", op.Name, [x], ("axis", -1L)));
    }

    private static void LocalResponseNormalization(LiteOperation op) => op.Result(op.TensorFlow.LocalResponseNormalization(
        op.Name,
        op[0],
        op.Option<int>(LiteSchema.LocalResponseNormalizationOptions.Radius),
        op.Option<float>(LiteSchema.LocalResponseNormalizationOptions.Bias),
        op.Option<float>(LiteSchema.LocalResponseNormalizationOptions.Alpha),
        op.Option<float>(LiteSchema.LocalResponseNormalizationOptions.Beta)));

    // Along the last axis; the norm is at least 1e-6 (kernels/internal/reference/l2normalization.h).
    private static void L2Normalization(LiteOperation op)
    {
        var norm = op.Builder.AddNode("ReduceL2", $"{op.Name}/norm", [op[0]], ("axes", new long[] { -1 }), ("keepdims", 1L));
        op.Result(op.Builder.AddNode("Div", op.Name,
            [op[0], op.Builder.AddNode("Max", $"{op.Name}/max", [norm, op.Builder.AddConstant($"{op.Name}/epsilon", [1e-6f])])]));
    }

    private static void Unary(LiteOperation op, string onnx) => op.Result(op.Builder.AddNode(onnx, op.Name, [op[0]]));

    // ADD, SUB, MUL and DIV may have a fused activation; the others have none.
    private static void Binary(LiteOperation op, string onnx)
    {
        var value = op.Builder.AddNode(onnx, op.Name, [op[0], op[1]]);
        op.Result(value, op.Op is "ADD" or "SUB" or "MUL" or "DIV" ? op.Option<sbyte>(LiteSchema.ArithmeticOptions.FusedActivationFunction) : (sbyte)0);
    }

    private static void AddN(LiteOperation op) =>
        op.Result(op.Builder.AddNode("Sum", op.Name, Enumerable.Range(0, op.InputCount).Select(i => op[i]).ToArray()));

    private static void Dequantize(LiteOperation op)
    {
        if (!op.TryConstant())
        {
            op.Result(op.Input(0).Type == LiteType.Float16 ? op.Builder.AddNode("Cast", op.Name, [op[0]], ("to", (long)ElementType.Float32)) : op[0]);
        }
    }

    // It imitates the rounding of a quantized model in training; what it does to the result is to clamp it.
    private static void FakeQuant(LiteOperation op) =>
        op.Result(op.TensorFlow.Clip(op.Name, op[0], op.Option<float>(LiteSchema.FakeQuantOptions.Min), op.Option<float>(LiteSchema.FakeQuantOptions.Max)));

    private static void Cast(LiteOperation op)
    {
        var type = LiteModel.ElementTypeOf(op.Output(0).Type) ?? throw op.Refuse($"makes {op.Output(0).Type}, which is not supported");
        op.Result(op.Builder.AddNode("Cast", op.Name, [op[0]], ("to", (long)type)));
    }

    private static void Concatenation(LiteOperation op)
    {
        string[] inputs = [.. Enumerable.Range(0, op.InputCount).Select(i => op[i])];
        var value = op.Builder.AddNode("Concat", op.Name, inputs, ("axis", (long)op.Option<int>(LiteSchema.ConcatenationOptions.Axis)));
        op.Result(value, op.Option<sbyte>(LiteSchema.ConcatenationOptions.FusedActivationFunction));
    }

    // The shape is an option where the second input is left out.
    private static void Reshape(LiteOperation op)
    {
        var shape = op.Has(1)
            ? op.TensorFlow.Int64(op[1])
            : op.Builder.AddInt64Constant($"{op.Name}/shape", Array.ConvertAll(op.OptionInts(LiteSchema.ReshapeOptions.NewShape), side => (long)side));
        op.Result(op.Builder.AddNode("Reshape", op.Name, [op[0], shape]));
    }

    // None means every side of one, but a free batch of one picture stays.
    private static void Squeeze(LiteOperation op)
    {
        var shape = op.Input(0).Shape;
        var axes = op.OptionInts(LiteSchema.SqueezeOptions.SqueezeDims) is { Length: > 0 } given
            ? Array.ConvertAll(given, axis => (long)axis)
            : [.. Enumerable.Range(0, shape.Length).Where(axis => shape[axis] == 1).Select(axis => (long)axis)];
        op.Result(axes.Length == 0 ? op[0] : op.Builder.AddNode("Squeeze", op.Name, [op[0], op.Builder.AddInt64Constant($"{op.Name}/axes", axes)]));
    }

    private static void ExpandDims(LiteOperation op) =>
        op.Result(op.Builder.AddNode("Unsqueeze", op.Name, [op[0], op.Builder.AddInt64Constant($"{op.Name}/axis", op.Int(1, "axis"))]));

    private static void Transpose(LiteOperation op) => op.Result(op.Builder.AddNode("Transpose", op.Name, [op[0]], ("perm", op.Ints(1, "permutation"))));

    private static void Shape(LiteOperation op)
    {
        var shape = op.Builder.AddNode("Shape", op.Name, [op[0]]);
        var type = (LiteType)op.Option(LiteSchema.ShapeOptions.OutType, (sbyte)LiteType.Int32);
        op.Result(type == LiteType.Int64 ? shape : op.Builder.AddNode("Cast", $"{op.Name}/int32", [shape], ("to", (long)ElementType.Int32)));
    }

    private static void Pad(LiteOperation op)
    {
        var paddings = Paddings(op);
        op.Result(op.TensorFlow.Pad(op.Name, op[0], paddings, value: op.Has(2) ? op[2] : null));
    }

    // Mode: 0 REFLECT, 1 SYMMETRIC.
    private static void MirrorPad(LiteOperation op) =>
        op.Result(op.TensorFlow.MirrorPad(op.Name, op[0], Paddings(op), symmetric: op.Option<sbyte>(LiteSchema.MirrorPadOptions.Mode) == 1)
            ?? throw op.Refuse("repeats more than one row at the border, which is not supported"));

    private static void StridedSlice(LiteOperation op)
    {
        if (op.Flag(LiteSchema.StridedSliceOptions.Offset))
        {
            throw op.Refuse("counts its end from its begin, which is not supported");
        }

        var masks = new TensorFlow.StridedSliceMasks(
            op.Option<int>(LiteSchema.StridedSliceOptions.BeginMask),
            op.Option<int>(LiteSchema.StridedSliceOptions.EndMask),
            op.Option<int>(LiteSchema.StridedSliceOptions.EllipsisMask),
            op.Option<int>(LiteSchema.StridedSliceOptions.NewAxisMask),
            op.Option<int>(LiteSchema.StridedSliceOptions.ShrinkAxisMask));
        op.Result(op.TensorFlow.StridedSlice(op.Name, op[0], op.Ints(1, "begin"), op.Ints(2, "end"), op.Ints(3, "strides"), masks)
            ?? throw op.Refuse("has a begin, end and strides that do not go together"));
    }

    private static void Slice(LiteOperation op)
    {
        var begin = op.Ints(1, "begin");
        var size = op.Ints(2, "size");
        op.Result(begin.Length == size.Length ? op.TensorFlow.Slice(op.Name, op[0], begin, size)
            : throw op.Refuse("has a begin and a size of different lengths"));
    }

    // Inputs: axis, value.
    private static void Split(LiteOperation op)
    {
        var axis = op.Int(0, "axis");
        Results(op, op.TensorFlow.Split(op.Name, op[1], PartSizes(op, axis), axis, squeeze: false));
    }

    private static void SplitV(LiteOperation op)
    {
        var axis = op.Int(2, "axis");
        Results(op, op.TensorFlow.Split(op.Name, op[0], PartSizes(op, axis), axis, squeeze: false));
    }

    private static void Pack(LiteOperation op) =>
        op.Result(op.TensorFlow.Pack(op.Name, [.. Enumerable.Range(0, op.InputCount).Select(i => op[i])], op.Option<int>(LiteSchema.PackOptions.Axis)));

    private static void Unpack(LiteOperation op) =>
        Results(op,
            op.TensorFlow.Split(op.Name, op[0], [.. Enumerable.Repeat(1L, op.OutputCount)], op.Option<int>(LiteSchema.UnpackOptions.Axis), squeeze: true));

    private static void Gather(LiteOperation op) =>
        op.Result(op.Option<int>(LiteSchema.GatherOptions.BatchDims) == 0
            ? op.Builder.AddNode("Gather", op.Name, [op[0], op[1]], ("axis", (long)op.Option<int>(LiteSchema.GatherOptions.Axis)))
            : throw op.Refuse("gathers per batch, which is not supported"));

    private static void Blocks(LiteOperation op, string onnx) =>
        op.Result(op.Builder.AddChannelsLastNode(onnx, op.Name, [op[0]], ("blocksize", Positive(op, LiteSchema.DepthToSpaceOptions.BlockSize, "block_size"))));

    private static void Resize(LiteOperation op, bool nearest, bool alignCorners, bool halfPixelCenters)
    {
        if (op.Ints(1, "size") is not [> 0 and var height, > 0 and var width] || op.Input(0).Shape is not [_, > 0, > 0, > 0] shape)
        {
            throw op.Refuse("is supported for pictures of a known size only");
        }

        op.Result(op.TensorFlow.Resize(op.Name, op[0], shape, height, width, nearest, alignCorners, halfPixelCenters));
    }

    private static void Reduce(LiteOperation op, string kind) =>
        op.Result(op.TensorFlow.Reduce(kind, op.Name, op[0], op.Ints(1, "axes"), op.Flag(LiteSchema.ReducerOptions.KeepDims)));

    private static void ArgBest(LiteOperation op, string onnx)
    {
        var index = op.Builder.AddNode(onnx, op.Name, [op[0]], ("axis", op.Int(1, "axis")), ("keepdims", 0L));
        op.Result(op.Output(0).Type == LiteType.Int64 ? index : op.Builder.AddNode("Cast", $"{op.Name}/int32", [index], ("to", (long)ElementType.Int32)));
    }

    private static void Results(LiteOperation op, IReadOnlyList<string> values)
    {
        for (var output = 0; output < values.Count; output++)
        {
            op.Result(values[output], output);
        }
    }

    /// <summary>The sizes of the parts, which the file declares with the parts.</summary>
    private static long[] PartSizes(LiteOperation op, long axis)
    {
        var sizes = new long[op.OutputCount];
        for (var output = 0; output < sizes.Length; output++)
        {
            var shape = op.Output(output).Shape;
            var index = axis < 0 ? axis + shape.Length : axis;
            sizes[output] = index >= 0 && index < shape.Length && shape[index] >= 0 ? shape[index]
                : throw op.Refuse($"has parts of unknown size along axis {axis}");
        }

        return sizes;
    }

    private static long[] Paddings(LiteOperation op)
    {
        var paddings = op.Ints(1, "padding");
        return op.Input(1).Shape is [int rank, 2] && rank == op.Input(0).Shape.Length && Array.TrueForAll(paddings, padding => padding >= 0)
            ? paddings
            : throw op.Refuse($"pads [{string.Join(", ", op.Input(0).Shape)}] by [{string.Join(", ", paddings)}]");
    }

    private static int Channels(LiteOperation op) =>
        op.Input(0).Shape is [_, _, _, > 0 and int channels] ? channels
            : throw op.Refuse($"needs N H W C; its input is [{string.Join(", ", op.Input(0).Shape)}]");

    /// <summary>Height first; the file has the width first.</summary>
    private static long[] Strides(LiteOperation op, int height, int width) => [Positive(op, height, "stride_h"), Positive(op, width, "stride_w")];

    private static long[] Dilations(LiteOperation op, int height, int width) =>
        [Positive(op, height, "dilation_h_factor", 1), Positive(op, width, "dilation_w_factor", 1)];

    private static long Positive(LiteOperation op, int field, string what, int otherwise = 0) =>
        op.Option(field, otherwise) is > 0 and int value ? value : throw op.Refuse($"has the {what} {op.Option(field, otherwise)}");

    private static (string, object) AutoPad(LiteOperation op, int field) => ("auto_pad", op.Option<sbyte>(field) == SamePadding ? "SAME_UPPER" : "VALID");
}
