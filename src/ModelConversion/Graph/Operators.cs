using System.Runtime.InteropServices;

namespace Whatsit.ModelConversion.Graphs;

/// <summary>
/// The operators of the <see cref="Interpreter"/>, as a table: one small method each, along https://onnx.ai/onnx/operators/ (opset 17, and 18 and
/// later where they only moved an attribute to an input). Both forms are read.
/// </summary>
internal static partial class Operators
{
    private static readonly Dictionary<string, Func<Operation, Tensor[]>> Table = new(StringComparer.Ordinal)
    {
        // Spatial
        ["Conv"] = RowsToo(Conv),
        ["ConvTranspose"] = RowsToo(ConvTranspose),
        ["MaxPool"] = RowsToo(MaxPool),
        ["AveragePool"] = RowsToo(AveragePool),
        ["GlobalAveragePool"] = RowsToo(GlobalAveragePool),
        ["GlobalMaxPool"] = RowsToo(GlobalMaxPool),
        ["Resize"] = One(Resize),
        ["DepthToSpace"] = One(DepthToSpace),
        ["SpaceToDepth"] = One(SpaceToDepth),
        ["LRN"] = One(LocalResponseNormalization),

        // Products and normalisation
        ["Gemm"] = One(Gemm),
        ["MatMul"] = One(MatMul),
        ["MatMulInteger"] = One(MatMulInteger),
        ["ConvInteger"] = One(ConvInteger),
        ["Einsum"] = One(Einsum),
        ["BatchNormalization"] = One(BatchNormalization),
        ["LayerNormalization"] = One(LayerNormalization),
        ["InstanceNormalization"] = One(InstanceNormalization),
        ["Softmax"] = One(Softmax),
        ["LogSoftmax"] = One(LogSoftmax),

        // Element by element
        ["Relu"] = Unary(x => x < 0 ? 0 : x),
        ["Sigmoid"] = Unary(Sigmoid),
        ["Tanh"] = Unary(MathF.Tanh),
        ["Exp"] = Unary(MathF.Exp),
        ["Log"] = Unary(MathF.Log),
        ["Sqrt"] = Unary(MathF.Sqrt),
        ["Erf"] = Unary(Erf),
        ["Softplus"] = Unary(x => Math.Max(x, 0) + (float)Math.Log(1 + Math.Exp(-Math.Abs(x)))),
        ["Softsign"] = Unary(x => x / (1 + Math.Abs(x))),
        ["HardSwish"] = Unary(x => x * Math.Clamp((x / 6) + 0.5f, 0, 1)),
        ["Mish"] = Unary(Mish),
        ["Reciprocal"] = Unary(x => 1 / x),
        ["Floor"] = Unary(MathF.Floor),
        ["Ceil"] = Unary(MathF.Ceiling),
        ["Round"] = Unary(MathF.Round),
        ["Sin"] = Unary(MathF.Sin),
        ["Cos"] = Unary(MathF.Cos),
        ["Abs"] = One(Abs),
        ["Neg"] = One(Neg),
        ["Sign"] = One(Sign),
        ["Not"] = One(Not),
        ["LeakyRelu"] = One(LeakyRelu),
        ["PRelu"] = Binary((x, slope) => x < 0 ? x * slope : x, (x, slope) => x < 0 ? x * slope : x),
        ["Elu"] = One(Elu),
        ["Selu"] = One(Selu),
        ["ThresholdedRelu"] = One(ThresholdedRelu),
        ["HardSigmoid"] = One(HardSigmoid),
        ["Gelu"] = One(Gelu),
        ["Clip"] = One(Clip),
        ["Add"] = Binary((a, b) => a + b, (a, b) => a + b),
        ["Sub"] = Binary((a, b) => a - b, (a, b) => a - b),
        ["Mul"] = Binary((a, b) => a * b, (a, b) => a * b),
        ["Div"] = One(Div),
        ["Pow"] = Binary(MathF.Pow, Math.Pow),
        ["Mod"] = One(Mod),
        ["Max"] = One(Max),
        ["Min"] = One(Min),
        ["Sum"] = One(Sum),
        ["Mean"] = One(Mean),
        ["Equal"] = Comparison((a, b) => a == b),
        ["Greater"] = Comparison((a, b) => a > b),
        ["Less"] = Comparison((a, b) => a < b),
        ["GreaterOrEqual"] = Comparison((a, b) => a >= b),
        ["LessOrEqual"] = Comparison((a, b) => a <= b),
        ["And"] = Comparison((a, b) => a != 0 && b != 0),
        ["Or"] = Comparison((a, b) => a != 0 || b != 0),
        ["Xor"] = Comparison((a, b) => (a != 0) != (b != 0)),
        ["IsNaN"] = Test(double.IsNaN),
        ["IsInf"] = Test(double.IsInfinity),
        ["Where"] = One(Where),

        // Types and quantization
        ["Cast"] = One(Cast),
        ["CastLike"] = One(CastLike),
        ["QuantizeLinear"] = One(QuantizeLinear),
        ["DequantizeLinear"] = One(DequantizeLinear),
        ["DynamicQuantizeLinear"] = DynamicQuantizeLinear,

        // Shapes and places
        ["Constant"] = One(Constant),
        ["Identity"] = One(Identity),
        ["Dropout"] = One(Identity),
        ["Shape"] = One(ShapeOf),
        ["Size"] = One(SizeOf),
        ["Reshape"] = One(Reshape),
        ["Flatten"] = One(Flatten),
        ["Squeeze"] = One(Squeeze),
        ["Unsqueeze"] = One(Unsqueeze),
        ["Transpose"] = One(Transpose),
        ["Concat"] = One(Concat),
        ["Split"] = Split,
        ["Slice"] = One(Slice),
        ["Pad"] = One(Pad),
        ["Expand"] = One(Expand),
        ["Tile"] = One(Tile),
        ["Gather"] = One(Gather),
        ["ConstantOfShape"] = One(ConstantOfShape),
        ["Range"] = One(Range),
        ["GatherND"] = One(GatherND),
        ["GatherElements"] = One(GatherElements),
        ["ScatterND"] = One(ScatterND),
        ["ScatterElements"] = One(ScatterElements),
        ["Trilu"] = One(Trilu),
        ["CumSum"] = One(CumSum),

        // Reductions
        ["ReduceMean"] = Reduction((sum, x) => sum + x, 0, (sum, count) => sum / count),
        ["ReduceSum"] = Reduction((sum, x) => sum + x, 0),
        ["ReduceMax"] = Reduction(Math.Max, double.NegativeInfinity),
        ["ReduceMin"] = Reduction(Math.Min, double.PositiveInfinity),
        ["ReduceProd"] = Reduction((product, x) => product * x, 1),
        ["ReduceSumSquare"] = Reduction((sum, x) => sum + (x * x), 0),
        ["ReduceL2"] = Reduction((sum, x) => sum + (x * x), 0, (sum, _) => Math.Sqrt(sum)),
        ["ReduceL1"] = Reduction((sum, x) => sum + Math.Abs(x), 0),
        ["ArgMax"] = One(operation => ArgBest(operation, (x, best) => x > best)),
        ["ArgMin"] = One(operation => ArgBest(operation, (x, best) => x < best)),
    };

    // What computes in 32-bit float alone; half-precision inputs are widened for it and the result is rounded back.
    private static readonly HashSet<string> AnyType = new(StringComparer.Ordinal)
    {
        "Constant", "Identity", "Dropout", "Shape", "Size", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Concat", "Split", "Slice", "Pad",
            "Expand", "Tile", "Gather",
        "ConstantOfShape", "Range", "Cast", "QuantizeLinear", "DequantizeLinear", "Where", "Equal", "Greater", "Less", "GreaterOrEqual",
            "LessOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf", "CastLike", "GatherND", "GatherElements", "ScatterND", "ScatterElements", "Trilu",
            "CumSum",
    };

    /// <summary>Whether the interpreter, and with it the whole tool, knows an operator.</summary>
    public static bool Supports(string op) => Table.ContainsKey(op);

    /// <summary>Runs one node.</summary>
    /// <exception cref="ModelFormatException">It is not supported, or does not fit its inputs.</exception>
    public static Tensor[] Run(Node node, Tensor?[] inputs, bool shapesOnly = false)
    {
        if (!Table.TryGetValue(node.Op, out var method))
        {
            throw new ModelFormatException($"{node} is not supported.");
        }

        var half = !AnyType.Contains(node.Op) && inputs.Any(input => input?.Type == ElementType.Float16);
        try
        {
            var results = method(new Operation(node, half ? [.. inputs.Select(Widened)] : inputs, shapesOnly));
            return half ? [.. results.Select(result => result.Type == ElementType.Float32
                ? Tensor.FromDoubles(ElementType.Float16, result.Shape, result.ToDoubles()) : result)] : results;
        }
        catch (Exception exception)
            when (exception is IndexOutOfRangeException or ArgumentException or OverflowException or DivideByZeroException or InvalidCastException)
        {
            // Shapes come from files: whatever an operator trips over is the file's fault, and one sentence says where.
            var shapes = string.Join(", ", inputs.Select(input => input is null ? "nothing" : $"{input.Type} [{string.Join(", ", input.Shape)}]"));
            throw new ModelFormatException($"{node} does not fit its inputs: {shapes}.", exception);
        }

        static Tensor? Widened(Tensor? tensor) => tensor?.Type == ElementType.Float16
            ? Tensor.FromDoubles(ElementType.Float32, tensor.Shape, tensor.ToDoubles()) : tensor;
    }

    private static Func<Operation, Tensor[]> One(Func<Operation, Tensor> method) => operation => [method(operation)];

    /// <summary>One node at work: its attributes and what its inputs hold.</summary>
    private sealed class Operation(Node node, Tensor?[] inputs, bool shapesOnly)
    {
        public Node Node { get; } = node;

        public bool ShapesOnly { get; } = shapesOnly;

        public int InputCount => inputs.Length;

        /// <summary>A required input.</summary>
        public Tensor this[int index] => Optional(index) ?? throw Refuse($"has no input {index}");

        public Tensor? Optional(int index) => index < inputs.Length ? inputs[index] : null;

        /// <summary>A required input of 32-bit floats.</summary>
        public Tensor Floats(int index) => this[index].Type == ElementType.Float32 ? this[index]
            : throw Refuse($"is supported for 32-bit floats only; input {index} is {this[index].Type}");

        /// <summary>Integers that stood in an attribute in one opset and in an input in another.</summary>
        public long[]? Ints(string attribute, int input) => Optional(input)?.ToInts() ?? Node.Ints(attribute);

        /// <summary>An axis counted from the front.</summary>
        public int Axis(long axis, int rank) => axis >= -rank && axis < rank ? (int)(axis < 0 ? axis + rank : axis)
            : throw Refuse($"names axis {axis} of a tensor of rank {rank}");

        /// <summary>When only shapes are asked for, large results are not computed: whether that is so, and the zeros in their place.</summary>
        public bool Skips(int[] shape, out Tensor zeros)
        {
            zeros = ShapesOnly && Count(shape) > LargestShape ? Zeros(ElementType.Float32, shape) : Nothing;
            return zeros != Nothing;
        }

        public ModelFormatException Refuse(string reason) => new($"{Node} {reason}.");
    }

    // What is no larger may be a shape on its way, and is computed always.
    private const int LargestShape = 1024;

    private static readonly Tensor Nothing = new(ElementType.Float32, [0], default);

    // One zero for everyone: the memory is never written, and pinned, so that the collector does not copy it; the operating system then never provides it.
    private static byte[] _zeros = [];

    private static Tensor Zeros(ElementType type, int[] shape)
    {
        var bytes = checked(Count(shape) * Tensor.SizeOf(type));
        var zeros = _zeros;
        if (zeros.Length < bytes)
        {
            _zeros = zeros = GC.AllocateArray<byte>(bytes, pinned: true);
        }

        return new Tensor(type, shape, zeros.AsMemory(0, bytes));
    }

    private static Tensor NewFloats(int[] shape, out Span<float> elements) => Tensor.Allocate(ElementType.Float32, shape, out elements);

    /// <summary>The elements of a tensor made by <see cref="NewFloats"/>, to be filled from several threads.</summary>
    private static Span<float> Writable(Tensor tensor) =>
        MemoryMarshal.TryGetArray(tensor.Data, out var array) ? MemoryMarshal.Cast<byte, float>(array.AsSpan())
            : throw new InvalidOperationException("The tensor is read-only.");

    /// <summary>How many elements one step along each axis skips.</summary>
    private static int[] StridesOf(ReadOnlySpan<int> shape)
    {
        var strides = new int[shape.Length];
        for (int axis = shape.Length - 1, stride = 1; axis >= 0; axis--)
        {
            strides[axis] = stride;
            stride *= shape[axis];
        }

        return strides;
    }

    /// <summary>The product of some sides.</summary>
    private static int Count(ReadOnlySpan<int> sides) => Tensor.ElementsOf(sides);
}
