using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Graphs;

/// <summary>
/// Every operator of the interpreter against an independent implementation of the same specification, ONNX Runtime, on random numbers.
/// </summary>
public class OperatorTests
{
    private static readonly Dictionary<string, Action<GraphBuilder>> Cases = new()
    {
        ["Conv"] = Spatial("Conv", [2, 3, 9, 8], [4, 3, 3, 3], [4], ("strides", Longs(2, 1)), ("pads", Longs(1, 0, 0, 2))),
        ["Conv with groups"] = Spatial("Conv", [1, 6, 7, 7], [4, 3, 3, 3], [4], ("group", 2L), ("pads", Longs(1, 1, 1, 1))),
        ["Conv with dilations"] = Spatial("Conv", [1, 3, 11, 11], [5, 3, 3, 3], null, ("dilations", Longs(2, 3))),
        ["Conv padded SAME_UPPER"] = Spatial("Conv", [1, 3, 10, 9], [20, 3, 3, 2], [20], ("strides", Longs(2, 2)), ("auto_pad", "SAME_UPPER")),
        ["Conv padded SAME_LOWER"] = Spatial("Conv", [1, 3, 10, 9], [5, 3, 4, 2], [5], ("strides", Longs(2, 2)), ("auto_pad", "SAME_LOWER")),
        ["Conv VALID"] = Spatial("Conv", [1, 3, 10, 9], [5, 3, 3, 3], [5], ("auto_pad", "VALID")),
        ["Conv depthwise"] = Spatial("Conv", [2, 6, 9, 8], [12, 1, 3, 3], [12], ("group", 6L), ("strides", Longs(2, 2)), ("pads", Longs(0, 0, 1, 1))),
        ["Conv 1x1 with many filters"] = Spatial("Conv", [2, 37, 5, 7], [50, 37, 1, 1], [50]),
        ["ConvTranspose"] = Spatial("ConvTranspose", [1, 4, 5, 6], [4, 3, 3, 3], [3], ("strides", Longs(2, 2)), ("pads", Longs(1, 0, 1, 2)),
            ("output_padding", Longs(1, 0))),
        ["ConvTranspose with groups"] = Spatial("ConvTranspose", [1, 4, 5, 6], [4, 2, 2, 3], null, ("group", 2L), ("dilations", Longs(2, 1))),
        ["ConvTranspose padded SAME_UPPER"] = Spatial("ConvTranspose", [1, 2, 5, 6], [2, 3, 3, 3], [3], ("strides", Longs(2, 2)), ("auto_pad", "SAME_UPPER")),
        ["ConvTranspose padded SAME_LOWER"] = Spatial("ConvTranspose", [1, 2, 5, 6], [2, 3, 3, 3], [3], ("strides", Longs(2, 2)), ("auto_pad", "SAME_LOWER")),
        ["MaxPool"] = One("MaxPool", [1, 3, 9, 8], ("kernel_shape", Longs(3, 2)), ("strides", Longs(2, 2)), ("pads", Longs(1, 0, 1, 1))),
        ["MaxPool rounded up"] = One("MaxPool", [1, 3, 10, 9], ("kernel_shape", Longs(3, 3)), ("strides", Longs(2, 2)), ("ceil_mode", 1L)),
        ["MaxPool padded SAME_UPPER"] = One("MaxPool", [1, 3, 10, 9], ("kernel_shape", Longs(3, 3)), ("strides", Longs(2, 2)), ("auto_pad", "SAME_UPPER")),
        ["AveragePool"] = One("AveragePool", [1, 3, 9, 8], ("kernel_shape", Longs(3, 2)), ("strides", Longs(2, 2)), ("pads", Longs(1, 0, 1, 1))),
        ["AveragePool that counts padding"] = One("AveragePool", [1, 3, 9, 8], ("kernel_shape", Longs(3, 2)), ("strides", Longs(2, 2)),
            ("pads", Longs(1, 0, 1, 1)), ("count_include_pad", 1L)),
        ["AveragePool padded SAME_UPPER"] = One("AveragePool", [1, 3, 10, 9], ("kernel_shape", Longs(3, 3)), ("strides", Longs(2, 2)),
            ("auto_pad", "SAME_UPPER")),
        ["AveragePool rounded up"] = One("AveragePool", [1, 3, 10, 9], ("kernel_shape", Longs(3, 3)), ("strides", Longs(2, 2)), ("ceil_mode", 1L)),
        ["Conv of rows"] = Spatial("Conv", [2, 4, 9], [6, 2, 3], [6], ("group", 2L), ("pads", Longs(1, 0)), ("strides", Longs(2))),
        ["ConvTranspose of rows"] = Spatial("ConvTranspose", [1, 4, 5], [4, 3, 3], [3], ("strides", Longs(2)), ("output_padding", Longs(1))),
        ["MaxPool of rows"] = One("MaxPool", [1, 3, 9], ("kernel_shape", Longs(3)), ("strides", Longs(2))),
        ["AveragePool of rows"] = One("AveragePool", [1, 3, 9], ("kernel_shape", Longs(3)), ("pads", Longs(1, 1))),
        ["GlobalAveragePool of rows"] = One("GlobalAveragePool", [2, 3, 5]),
        ["GlobalMaxPool of rows"] = One("GlobalMaxPool", [2, 3, 5]),
        ["GlobalAveragePool"] = One("GlobalAveragePool", [2, 3, 5, 4]),
        ["GlobalMaxPool"] = One("GlobalMaxPool", [2, 3, 5, 4]),
        ["LRN"] = One("LRN", [1, 7, 3, 3], ("size", 5L), ("alpha", 0.1f)),
        ["DepthToSpace"] = One("DepthToSpace", [2, 12, 3, 4], ("blocksize", 2L)),
        ["DepthToSpace columns first"] = One("DepthToSpace", [2, 12, 3, 4], ("blocksize", 2L), ("mode", "CRD")),
        ["SpaceToDepth"] = One("SpaceToDepth", [2, 3, 4, 6], ("blocksize", 2L)),
        ["Resize nearest by asymmetric scales"] = ResizeBy([1, 1, 2.5f, 1.7f], ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")),
        ["Resize nearest"] = ResizeBy([1, 1, 2, 3]),
        ["Resize nearest to half"] = ResizeBy([1, 1, 0.5f, 0.6f], ("nearest_mode", "round_prefer_ceil")),
        ["Resize linear"] = ResizeBy([1, 1, 2, 1.5f], ("mode", "linear")),
        ["Resize linear, corners aligned"] = ResizeTo([1, 2, 9, 5], ("mode", "linear"), ("coordinate_transformation_mode", "align_corners")),
        ["Resize linear, asymmetric"] = ResizeTo([1, 2, 3, 9], ("mode", "linear"), ("coordinate_transformation_mode", "asymmetric")),
        ["Resize cubic"] = ResizeBy([1, 1, 2, 1.5f], ("mode", "cubic")),
        ["Resize cubic to less"] = ResizeTo([1, 2, 4, 5], ("mode", "cubic"), ("cubic_coeff_a", -0.5f)),
        ["Resize cubic, without what is outside"] = ResizeTo([1, 2, 9, 5], ("mode", "cubic"), ("exclude_outside", 1L)),
        ["Resize linear, antialiased"] = ResizeTo([1, 2, 3, 2], ("mode", "linear"), ("antialias", 1L)),
        ["Resize linear, antialiased, without what is outside"] = ResizeTo([1, 2, 4, 3], ("mode", "linear"), ("antialias", 1L), ("exclude_outside", 1L)),
        ["Resize linear, antialiased to more"] = ResizeTo([1, 2, 9, 11], ("mode", "linear"), ("antialias", 1L)),
        ["Resize cubic, antialiased"] = ResizeTo([1, 2, 4, 3], ("mode", "cubic"), ("antialias", 1L)),
        ["Resize linear as PyTorch"] = ResizeTo([1, 2, 1, 9], ("mode", "linear"), ("coordinate_transformation_mode", "pytorch_half_pixel")),

        ["Gemm"] = builder => Output(builder, "Gemm", [Input(builder, 3, 5), Weight(builder, 5, 7), Weight(builder, 7)], ("alpha", 0.5f), ("beta", 2f)),
        ["Gemm, both transposed"] = builder =>
            Output(builder, "Gemm", [Input(builder, 5, 3), Weight(builder, 19, 5), Weight(builder, 1)], ("transA", 1L), ("transB", 1L)),
        ["MatMul"] = builder => Output(builder, "MatMul", [Input(builder, 2, 6, 5), Weight(builder, 5, 18)]),
        ["MatMul of batches"] = builder => Output(builder, "MatMul", [Input(builder, 2, 3, 4, 5), Weight(builder, 3, 5, 2)]),
        ["MatMul of a vector"] = builder => Output(builder, "MatMul", [Input(builder, 5), Weight(builder, 5, 2)]),
        ["Einsum of heads"] = builder =>
            Output(builder, "Einsum", [Input(builder, 2, 3, 4, 5), Weight(builder, 2, 3, 6, 5)], ("equation", "bhid,bhjd->bhij")),
        ["Einsum that turns"] = builder => Output(builder, "Einsum", [Input(builder, 2, 3, 4), Weight(builder, 4, 5)], ("equation", "b c d, d e -> e b c")),
        ["Einsum of any rank"] = builder => Output(builder, "Einsum", [Input(builder, 2, 3, 4, 5), Weight(builder, 5, 6)], ("equation", "...ij,jk->...ik")),
        ["Einsum without an arrow"] = builder => Output(builder, "Einsum", [Input(builder, 3, 4), Weight(builder, 4, 2)], ("equation", "zb,ba")),
        ["Einsum of a diagonal"] = builder => Output(builder, "Einsum", [Input(builder, 4, 4), Weight(builder, 4)], ("equation", "ii,i->i")),
        ["Einsum of one"] = builder => Output(builder, "Einsum", [Input(builder, 2, 3, 4)], ("equation", "bij->bj")),
        ["Einsum of three"] = builder =>
            Output(builder, "Einsum", [Input(builder, 2, 3), Weight(builder, 3, 4), Weight(builder, 4, 5)], ("equation", "ab,bc,cd->ad")),
        ["BatchNormalization"] = builder => Output(
            builder, "BatchNormalization", [Input(builder, 2, 3, 4, 4), Weight(builder, 3), Weight(builder, 3), Weight(builder, 3),
                builder.AddConstant("variance", Numbers.Random(9, 0.1f, 2, [3]))], ("epsilon", 0.01f)),
        ["LayerNormalization"] = builder => Output(builder, "LayerNormalization", [Input(builder, 2, 3, 4), Weight(builder, 4), Weight(builder, 4)]),
        ["Softmax"] = One("Softmax", [2, 3, 4]),
        ["Softmax along axis 1"] = One("Softmax", [2, 3, 4], ("axis", 1L)),
        ["LogSoftmax"] = One("LogSoftmax", [2, 5], ("axis", -1L)),

        ["Relu"] = One("Relu", [100]),
        ["Sigmoid"] = Wide("Sigmoid"),
        ["Tanh"] = Wide("Tanh"),
        ["Exp"] = One("Exp", [100]),
        ["Log"] = Positive("Log"),
        ["Sqrt"] = Positive("Sqrt"),
        ["Erf"] = Wide("Erf"),
        ["Softplus"] = Wide("Softplus"),
        ["Softsign"] = Wide("Softsign"),
        ["HardSwish"] = Wide("HardSwish"),
        ["Mish"] = One("Mish", [100]),
        ["Reciprocal"] = Positive("Reciprocal"),
        ["Floor"] = Wide("Floor"),
        ["Ceil"] = Wide("Ceil"),
        ["Round"] = Wide("Round"),
        ["Sin"] = Wide("Sin"),
        ["Cos"] = Wide("Cos"),
        ["Abs"] = Wide("Abs"),
        ["Neg"] = Wide("Neg"),
        ["Sign"] = Wide("Sign"),
        ["LeakyRelu"] = One("LeakyRelu", [100], ("alpha", 0.3f)),
        ["Elu"] = One("Elu", [100], ("alpha", 0.7f)),
        ["Selu"] = One("Selu", [100]),
        ["ThresholdedRelu"] = One("ThresholdedRelu", [100], ("alpha", 0.5f)),
        ["HardSigmoid"] = Wide("HardSigmoid", ("alpha", 0.1f), ("beta", 0.4f)),
        ["Gelu"] = Wide("Gelu"),
        ["Gelu by tanh"] = Wide("Gelu", ("approximate", "tanh")),
        ["PRelu"] = builder => Output(builder, "PRelu", [Input(builder, 2, 3, 4, 4), Weight(builder, 3, 1, 1)]),
        ["Clip"] = builder => Output(builder, "Clip", [Input(builder, 100), builder.AddConstant("min", [-0.3f]), builder.AddConstant("max", [0.4f])]),
        ["Clip from above"] = builder => Output(builder, "Clip", [Input(builder, 100), "", builder.AddConstant("max", [0.4f])]),
        ["Add"] = Two("Add", [2, 3, 4], [3, 1]),
        ["Sub"] = Two("Sub", [4], [2, 3, 4]),
        ["Mul"] = Two("Mul", [2, 3, 4], []),
        ["Div"] = Two("Div", [2, 1, 4], [3, 1]),
        ["Pow"] = builder => Output(builder, "Pow", [Input(builder, 20), builder.AddConstant("exponent", [2f])]),
        ["Max"] = Two("Max", [2, 3], [3]),
        ["Min"] = Two("Min", [2, 3], [3]),
        ["Sum"] = Two("Sum", [2, 3], [3]),
        ["Mean"] = Two("Mean", [2, 3], [3]),
        ["Equal"] = Two("Equal", [2, 3], [3]),
        ["Greater"] = Two("Greater", [2, 3], [3]),
        ["Less"] = Two("Less", [2, 3], [2, 1]),
        ["GreaterOrEqual"] = Two("GreaterOrEqual", [2, 3], [3]),
        ["LessOrEqual"] = Two("LessOrEqual", [2, 3], [3]),
        ["Where"] = builder => Output(builder, "Where",
            [builder.AddNode("Greater", "greater", [Input(builder, 4, 3), Weight(builder, 3)]), Weight(builder, 4, 1), Weight(builder, 3)]),
        ["And, Or, Not"] = builder =>
        {
            var x = Input(builder, 9);
            var high = builder.AddNode("Greater", "high", [x, builder.AddConstant("a", [0.3f])]);
            var low = builder.AddNode("Less", "low", [x, builder.AddConstant("b", [-0.1f])]);
            Output(builder, "Not", [builder.AddNode("And", "and", [builder.AddNode("Or", "or", [high, low]), high])]);
        },
        ["Mod"] = builder => Output(builder, "Mod", [Wide(builder, 20), builder.AddConstant("divisor", [0.7f])], ("fmod", 1L)),

        ["Cast to bytes"] = builder => Output(builder, "Cast", [builder.AddNode("Abs", "abs", [Wide(builder, 20)])], ("to", 2L)),
        ["Cast to integers and back"] = builder => Output(builder, "Cast", [builder.AddNode("Cast", "cast", [Wide(builder, 20)], ("to", 6L))], ("to", 1L)),
        ["Cast to half and back"] = builder => Output(builder, "Cast", [builder.AddNode("Cast", "cast", [Wide(builder, 20)], ("to", 10L))], ("to", 1L)),
        ["QuantizeLinear to bytes"] = builder =>
            Output(builder, "QuantizeLinear", [Wide(builder, 50), builder.AddConstant("scale", [0.05f]), Bytes(builder, 128)]),
        ["QuantizeLinear per channel"] = builder => Output(
            builder, "QuantizeLinear",
                [Wide(builder, 2, 3, 4), builder.AddConstant("scale", [0.05f, 0.1f, 0.02f], 3), SignedBytes(builder, 0, 3, -5)], ("axis", 1L)),
        ["DequantizeLinear"] = builder =>
        {
            var bytes = builder.AddNode("QuantizeLinear", "quantize", [Wide(builder, 50), builder.AddConstant("scale", [0.05f]), Bytes(builder, 3)]);
            Output(builder, "DequantizeLinear", [bytes, builder.AddConstant("scale", [0.07f]), Bytes(builder, 7)]);
        },
        ["DequantizeLinear per channel"] = builder =>
        {
            var weights = builder.AddConstant("weights", new Tensor(ElementType.Int8, [3, 2], new byte[] { 1, 255, 3, 128, 5, 127 }));
            var floats = builder.AddNode("DequantizeLinear", "dequantize", [weights, builder.AddConstant("scale", [0.5f, 0.25f, 2f], 3)], ("axis", 0L));
            Output(builder, "Add", [Input(builder, 3, 2), floats]);
        },
        ["DequantizeLinear of 32-bit integers"] = builder =>
        {
            var bias = builder.AddConstant("bias", Tensor.FromDoubles(ElementType.Int32, [2], [123456789, -7]));
            Output(builder, "Add", [Input(builder, 2), builder.AddNode("DequantizeLinear", "dequantize", [bias, builder.AddConstant("scale", [1e-6f])])]);
        },

        ["Identity"] = One("Identity", [2, 3]),
        ["Shape"] = One("Shape", [2, 3, 4], ("start", 1L)),
        ["Size"] = One("Size", [2, 3, 4]),
        ["Reshape"] = builder => Output(builder, "Reshape", [Input(builder, 2, 3, 4), builder.AddInt64Constant("shape", 0, -1, 2)]),
        ["Flatten"] = One("Flatten", [2, 3, 4], ("axis", 2L)),
        ["Squeeze"] = builder => Output(builder, "Squeeze", [Input(builder, 2, 1, 4, 1), builder.AddInt64Constant("axes", -1)]),
        ["Squeeze everything"] = One("Squeeze", [2, 1, 4, 1]),
        ["Unsqueeze"] = builder => Output(builder, "Unsqueeze", [Input(builder, 2, 4), builder.AddInt64Constant("axes", 0, -1)]),
        ["Transpose"] = One("Transpose", [2, 3, 4, 5], ("perm", Longs(2, 0, 3, 1))),
        ["Concat"] = builder => Output(builder, "Concat", [Input(builder, 2, 3, 4), Weight(builder, 2, 1, 4), Weight(builder, 2, 5, 4)], ("axis", -2L)),
        ["Split"] = builder =>
        {
            var split = builder.AddNode("Split", "split", [Input(builder, 2, 7), builder.AddInt64Constant("sizes", 3, 4)], 2, ("axis", 1L));
            Output(builder, "Concat", [split.Outputs[1], split.Outputs[0]], ("axis", 1L));
        },
        ["Slice"] = builder => Output(builder, "Slice", [Input(builder, 7, 8), .. Parts(builder, [1, -2], [long.MaxValue, 0], [0, 1], [2, -3])]),
        ["Slice backwards"] = builder => Output(builder, "Slice", [Input(builder, 5), .. Parts(builder, [-1], [long.MinValue], [0], [-1])]),
        ["Pad"] = builder => Output(builder, "Pad", [Input(builder, 2, 3), builder.AddInt64Constant("pads", 0, 1, 2, 1), builder.AddConstant("value", [7f])]),
        ["Pad that crops"] = builder => Output(builder, "Pad", [Input(builder, 4, 6), builder.AddInt64Constant("pads", -1, 1, 2, -2)]),
        ["Pad by reflection"] = builder => Output(builder, "Pad", [Input(builder, 4, 5), builder.AddInt64Constant("pads", 1, 2, 2, 1)], ("mode", "reflect")),
        ["Pad by the edge"] = builder => Output(builder, "Pad", [Input(builder, 4, 5), builder.AddInt64Constant("pads", 1, 2, 2, 1)], ("mode", "edge")),
        ["Expand"] = builder => Output(builder, "Expand", [Input(builder, 3, 1), builder.AddInt64Constant("shape", 2, 1, 4)]),
        ["Tile"] = builder => Output(builder, "Tile", [Input(builder, 2, 3), builder.AddInt64Constant("repeats", 2, 3)]),
        ["Gather"] = builder =>
            Output(builder, "Gather", [Input(builder, 4, 5), builder.AddConstant("indices", Tensor.Int64([2, 2], [0, -1, 3, 3]))], ("axis", 1L)),
        ["GatherND"] = builder =>
            Output(builder, "GatherND", [Input(builder, 3, 4, 5), builder.AddConstant("places", Tensor.Int64([2, 2], [0, -1, 2, 1]))]),
        ["GatherND in batches"] = builder =>
            Output(builder, "GatherND", [Input(builder, 2, 4, 5), builder.AddConstant("places", Tensor.Int64([2, 3, 1], [0, 3, 1, 2, 2, -1]))],
                ("batch_dims", 1L)),
        ["GatherElements"] = builder =>
            Output(builder, "GatherElements", [Input(builder, 3, 4), builder.AddConstant("places", Tensor.Int64([2, 3], [0, -1, 2, 1, 1, 0]))], ("axis", 1L)),
        ["ScatterND"] = builder => Output(builder, "ScatterND",
            [Input(builder, 3, 4, 2), builder.AddConstant("places", Tensor.Int64([2, 2], [0, -1, 2, 1])), Weight(builder, 2, 2)]),
        ["ScatterND of single numbers"] = builder => Output(builder, "ScatterND",
            [Input(builder, 5), builder.AddConstant("places", Tensor.Int64([3, 1], [4, 0, 2])), Weight(builder, 3)]),
        ["ScatterND that adds"] = builder => Output(builder, "ScatterND",
            [Input(builder, 5, 2), builder.AddConstant("places", Tensor.Int64([3, 1], [4, 0, 4])), Weight(builder, 3, 2)], ("reduction", "add")),
        ["ScatterElements"] = builder => Output(builder, "ScatterElements",
            [Input(builder, 3, 4), builder.AddConstant("places", Tensor.Int64([2, 3], [0, -1, 2, 1, 2, 0])), Weight(builder, 2, 3)], ("axis", 1L)),
        ["ScatterElements, the largest"] = builder => Output(builder, "ScatterElements",
            [Input(builder, 3, 4), builder.AddConstant("places", Tensor.Int64([2, 3], [0, 0, 2, 1, 2, 0])), Weight(builder, 2, 3)],
                ("axis", 0L), ("reduction", "max")),
        ["Trilu"] = builder => Output(builder, "Trilu", [Input(builder, 2, 4, 5), builder.AddConstant("k", Tensor.Int64([], [1]))]),
        ["Trilu below"] = builder => Output(builder, "Trilu", [Input(builder, 2, 4, 5)], ("upper", 0L)),
        ["CumSum"] = builder => Output(builder, "CumSum", [Input(builder, 2, 4, 3), builder.AddConstant("axis", Tensor.Int64([], [1]))]),
        ["CumSum backwards, without itself"] = builder =>
            Output(builder, "CumSum", [Input(builder, 2, 4), builder.AddConstant("axis", Tensor.Int64([], [-1]))], ("reverse", 1L), ("exclusive", 1L)),
        ["CastLike"] = builder => Output(builder, "CastLike", [Input(builder, 4), builder.AddConstant("like", Tensor.Int64([1], [1]))]),
        ["Xor"] = builder =>
        {
            var x = Input(builder, 9);
            Output(builder, "Xor", [builder.AddNode("Greater", "high", [x, builder.AddConstant("a", [-0.3f])]),
                builder.AddNode("Less", "low", [x, builder.AddConstant("b", [0.4f])])]);
        },
        ["IsNaN"] = builder => Output(builder, "IsNaN", [builder.AddNode("Log", "log", [Input(builder, 20)])]),
        ["IsInf"] = builder => Output(builder, "IsInf", [builder.AddNode("Div", "div", [Input(builder, 4), builder.AddConstant("d", [0, 1, 0, 2], 4)])]),
        ["ConstantOfShape"] = builder =>
        {
            var fill = builder.AddNode("ConstantOfShape", "fill", [builder.AddInt64Constant("shape", 2, 3)], ("value", Tensor.Float32([1], [5])));
            Output(builder, "Add", [Input(builder, 3), fill]);
        },
        ["Range"] = builder =>
        {
            var range = builder.AddNode("Range", "range",
                [builder.AddConstant("start", [1f]), builder.AddConstant("limit", [3f]), builder.AddConstant("delta", [0.5f])]);
            Output(builder, "Add", [Input(builder, 4), range]);
        },
        ["Constant"] = builder => Output(builder, "Add", [Input(builder, 4), builder.AddNode("Constant", "constant", [], ("value", Tensor.Float32([1], [5])))]),

        ["ReduceMean"] = One("ReduceMean", [2, 3, 4, 5], ("axes", Longs(2, -1)), ("keepdims", 0L)),
        ["ReduceMean of everything"] = One("ReduceMean", [2, 3]),
        ["ReduceSum"] = builder => Output(builder, "ReduceSum", [Input(builder, 2, 3, 4), builder.AddInt64Constant("axes", 0, 2)]),
        ["ReduceMax"] = One("ReduceMax", [2, 3, 4], ("axes", Longs(1))),
        ["ReduceMin"] = One("ReduceMin", [2, 3, 4], ("axes", Longs(1))),
        ["ReduceProd"] = One("ReduceProd", [2, 3, 4], ("axes", Longs(1))),
        ["ReduceL1"] = One("ReduceL1", [2, 3, 4], ("axes", Longs(1))),
        ["ReduceL2"] = One("ReduceL2", [2, 3, 4], ("axes", Longs(1))),
        ["ReduceSumSquare"] = One("ReduceSumSquare", [2, 3, 4], ("axes", Longs(1))),
        ["ReduceMean beside a newer operator"] = builder =>
            Output(builder, "Gelu", [builder.AddNode("ReduceMean", "mean", [Input(builder, 2, 3, 4)], ("axes", Longs(1)))]),
        ["ArgMax"] = One("ArgMax", [2, 5, 3], ("axis", 1L)),
        ["ArgMin"] = One("ArgMin", [2, 5, 3], ("axis", -1L), ("keepdims", 0L)),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_interpreter_and_ONNX_Runtime_agree_on(string operation)
    {
        var builder = new GraphBuilder(operation);
        Cases[operation](builder);
        var graph = builder.Graph;
        var inputs = graph.Inputs.ToDictionary(
            input => input.Name,
            input => input.Name switch
            {
                "positive" => Numbers.Random(1, 0.01f, 5, input.Shape),
                "wide" => Numbers.Random(2, -9, 9, input.Shape),
                _ => Numbers.Random(3, input.Shape),
            });

        var ours = Assert.Single(new Interpreter(graph).Run(inputs)).Value;
        using var runner = new OnnxRunner(graph);
        var theirs = Assert.Single(runner.Run(inputs)).Value;

        var difference = Numbers.LargestDifference(theirs, ours);
        Assert.True(difference <= 1e-5, $"{operation}: the largest difference is {difference}.");
    }

    [Fact]
    public void Half_precision_is_computed_in_single_and_rounded()
    {
        var builder = new GraphBuilder("half");
        var x = builder.AddInput("x", ElementType.Float16, 4);
        builder.AddOutput(builder.AddNode("Mul", "mul", [x, builder.AddConstant("y", Tensor.FromDoubles(ElementType.Float16, [], [3]))]),
            ElementType.Float16, 4);

        var result = new Interpreter(builder.Graph).Run(Tensor.FromDoubles(ElementType.Float16, [4], [0.1, 1, -2, 1000])).Values.Single();

        Assert.Equal(ElementType.Float16, result.Type);
        Assert.Equal([(double)(Half)((float)(Half)0.1 * 3), 3, -6, 3000], result.ToDoubles());
    }

    [Fact]
    public void An_unknown_operator_is_refused_by_its_name_and_place()
    {
        var builder = new GraphBuilder("lstm");
        builder.AddOutput(builder.AddNode("LSTM", "lstm_1", [builder.AddInput("x", ElementType.Float32, 1)]), ElementType.Float32, 1);

        var exception = Assert.Throws<ModelFormatException>(() => new Interpreter(builder.Graph).Run(Numbers.Random(1, 1)));

        Assert.Equal("The operator 'LSTM' (lstm_1) is not supported.", exception.Message);
    }

    [Fact]
    public void An_operator_that_does_not_fit_its_inputs_is_named()
    {
        var builder = new GraphBuilder("add");
        builder.AddOutput(builder.AddNode("Add", "sum", [builder.AddInput("x", ElementType.Float32, 2), builder.AddConstant("y", [1, 2, 3], 3)]),
            ElementType.Float32, 2);

        var exception = Assert.Throws<ModelFormatException>(() => new Interpreter(builder.Graph).Run(Numbers.Random(1, 2)));

        Assert.Equal("The operator 'Add' (sum) does not fit its inputs: Float32 [2], Float32 [3].", exception.Message);
    }

    [Fact]
    public void An_operator_that_asks_for_terabytes_is_refused()
    {
        var builder = new GraphBuilder("expand");
        builder.AddOutput(builder.AddNode("Expand", "huge",
            [builder.AddInput("x", ElementType.Float32, 1), builder.AddInt64Constant("shape", 1 << 20, 1 << 20)]), ElementType.Float32, 1);

        Assert.Throws<ModelFormatException>(() => new Interpreter(builder.Graph).Run(Numbers.Random(1, 1)));
    }

    private static long[] Longs(params long[] values) => values;

    private static string Input(GraphBuilder builder, params int[] shape) => builder.AddInput("x", ElementType.Float32, shape);

    private static string Wide(GraphBuilder builder, params int[] shape) => builder.AddInput("wide", ElementType.Float32, shape);

    private static string Weight(GraphBuilder builder, params int[] shape) =>
        builder.AddConstant("weight", Numbers.Random(builder.Graph.Constants.Count + 10, shape));

    private static string Bytes(GraphBuilder builder, byte value) => builder.AddConstant("zero_point", new Tensor(ElementType.UInt8, [], new[] { value }));

    private static string SignedBytes(GraphBuilder builder, params sbyte[] values) =>
        builder.AddConstant("zero_point", new Tensor(ElementType.Int8, [values.Length], Array.ConvertAll(values, value => (byte)value)));

    private static string[] Parts(GraphBuilder builder, long[] starts, long[] ends, long[] axes, long[] steps) =>
        [builder.AddInt64Constant("starts", starts), builder.AddInt64Constant("ends", ends), builder.AddInt64Constant("axes", axes),
            builder.AddInt64Constant("steps", steps)];

    private static void Output(GraphBuilder builder, string op, string[] inputs, params (string, object)[] attributes)
    {
        var output = builder.AddNode(op, op.ToLowerInvariant(), inputs, attributes);

        // The declared type and shape are the interpreter's; ONNX Runtime infers its own and refuses a file that claims another.
        builder.AddOutput(output, ElementType.Float32);
        (var type, var shape) = Shapes.Infer(builder.Graph)[output];
        builder.Graph.Outputs[0] = new GraphValue(output, type, shape);
    }

    private static Action<GraphBuilder> One(string op, int[] shape, params (string, object)[] attributes) => builder =>
        Output(builder, op, [Input(builder, shape)], attributes);

    private static Action<GraphBuilder> Wide(string op, params (string, object)[] attributes) => builder =>
        Output(builder, op, [Wide(builder, 200)], attributes);

    private static Action<GraphBuilder> Positive(string op) => builder => Output(builder, op, [builder.AddInput("positive", ElementType.Float32, 100)]);

    private static Action<GraphBuilder> Two(string op, int[] left, int[] right) => builder =>
        Output(builder, op, [Input(builder, left), Weight(builder, right)]);

    private static Action<GraphBuilder> Spatial(string op, int[] shape, int[] weights, int[]? bias, params (string, object)[] attributes) => builder =>
        Output(builder, op, [Input(builder, shape), Weight(builder, weights), .. bias is null ? Array.Empty<string>() : [Weight(builder, bias)]], attributes);

    private static Action<GraphBuilder> ResizeBy(float[] scales, params (string, object)[] attributes) => builder =>
        Output(builder, "Resize", [Input(builder, 1, 2, 6, 7), "", builder.AddConstant("scales", scales, 4)], attributes);

    private static Action<GraphBuilder> ResizeTo(long[] sizes, params (string, object)[] attributes) => builder =>
        Output(builder, "Resize", [Input(builder, 1, 2, 6, 7), "", "", builder.AddInt64Constant("sizes", sizes)], attributes);
}
