using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.TensorFlow;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>
/// From the file's tensors and operators to the common graph. The operators (<see cref="LiteOperators"/>) see real numbers only; what is quantized in
/// the file stays so between them:
/// <code>
///   q ─ DequantizeLinear ─ operator ─ QuantizeLinear ─ q      activations: the file's scale and zero point, scalars of rank 0
///   constant ─ DequantizeLinear ─┘                            weights (per tensor or per channel) and 32-bit biases
/// </code>
/// ONNX Runtime runs such a group as one integer operator. With <c>dequantize</c> the Q/DQ pairs are left out and the constants become floats.
/// </summary>
internal sealed class LiteConverter
{
    // Constants are copied where they are transposed or widened. Each byte of an honest file becomes at most four; one whose tensors all share
    // the same buffer could ask for any amount.
    private const int MaxGrowth = 8;

    private readonly LiteModel _model;
    private readonly bool _dequantize;
    private readonly bool _isQuantized;
    private readonly string?[] _real;
    private readonly string?[] _quantized;
    private readonly Dictionary<(int Tensor, string Axes), string> _constants = [];
    private readonly LiteTensor[] _tensors;
    private long _constantBytes;

    public LiteConverter(LiteModel model, long fileLength, bool dequantize)
    {
        _model = model;
        _dequantize = dequantize;
        _tensors = [.. model.Tensors];
        _real = new string?[_tensors.Length];
        _quantized = new string?[_tensors.Length];
        _constantBytes = (MaxGrowth * fileLength) + (1 << 20);
        Builder = new GraphBuilder(model.Description);
        TensorFlow = new TensorFlowOperators(Builder);

        // Weights alone may be small integers in a model that otherwise computes with floats ("dynamic range"): such weights become floats, since
        // dequantizing them anew for each picture would cost more than it saves.
        _isQuantized = !dequantize && model.Operators.SelectMany(op => op.Inputs.Concat(op.Outputs))
            .Any(tensor => tensor >= 0 && _tensors[tensor] is { IsConstant: false, IsQuantized: true });
    }

    public GraphBuilder Builder { get; }

    public TensorFlowOperators TensorFlow { get; }

    /// <summary>Whether activations stay quantized.</summary>
    public bool StaysQuantized => _isQuantized;

    /// <summary>Where random augmentation was cut out: the tensor before it.</summary>
    public string? CutAt { get; private set; }

    public Graph Convert()
    {
        foreach (var input in _model.Inputs)
        {
            AddInput(input);
        }

        (var operators, CutAt) = LiteAugmentation.Without(_model);
        foreach (var op in operators)
        {
            LiteOperators.Convert(new LiteOperation(this, op));
        }

        foreach (var output in _model.Outputs)
        {
            AddOutput(output);
        }

        return Builder.Graph;
    }

    public LiteTensor Tensor(int index) => _tensors[index];

    /// <summary>What an operator reads: the value, dequantized where the file has it quantized.</summary>
    public string Real(int index)
    {
        var tensor = _tensors[index];
        return _real[index] ??= tensor.IsConstant ? Constant(index, tensor, [])
            : _quantized[index] is string quantized ? Dequantize(quantized, tensor, tensor.Quantization!, axis: 0)
            : throw new ModelFormatException($"{tensor} is read before anything writes it.");
    }

    /// <summary>A constant with its axes in ONNX's order; the axis of its scales moves along.</summary>
    public string Weights(int index, params int[] axes)
    {
        var tensor = _tensors[index];
        if (!tensor.IsConstant || tensor.Shape.Length != axes.Length)
        {
            throw new ModelFormatException(
                $"{tensor} of shape [{string.Join(", ", tensor.Shape)}] cannot be used as weights: a constant of {Counted.Of(axes.Length, "dimension")} is expected.");
        }

        return Constant(index, tensor, axes);
    }

    /// <summary>An operator's result; where the file has it quantized, it is.</summary>
    public void Write(int index, string real)
    {
        var tensor = _tensors[index];
        if (_isQuantized && tensor.IsQuantized)
        {
            (var scale, var zeroPoint) = Parameters(tensor, tensor.Quantization!);
            _quantized[index] = Builder.AddNode("QuantizeLinear", $"{tensor.Name}/quantized", [real, scale, zeroPoint]);
            _real[index] = null;
        }
        else
        {
            _real[index] = real;
        }
    }

    /// <summary>DEQUANTIZE of a constant is how a file keeps half-precision or 8-bit weights: the result is a constant too.</summary>
    public bool TryWriteConstant(int index, int source)
    {
        if (_tensors[source] is not { IsConstant: true } tensor || (_isQuantized && tensor.IsQuantized))
        {
            return false;
        }

        var floats = Floats(tensor);
        Spend(floats.Data.Length);
        _tensors[index] = _tensors[index] with { Type = LiteType.Float32, Shape = tensor.Shape, Data = floats.Data, Quantization = null };
        return true;
    }

    private void AddInput(int index)
    {
        var tensor = _tensors[index];
        if (!tensor.IsQuantized)
        {
            _real[index] = Builder.AddInput(tensor.Name, ElementTypeOf(tensor), tensor.Shape);
        }
        else if (!_isQuantized)
        {
            _real[index] = Builder.AddInput(tensor.Name, ElementType.Float32, tensor.Shape);
        }
        else
        {
            _quantized[index] = Builder.AddInput(tensor.Name, ElementTypeOf(tensor), tensor.Shape);
        }
    }

    /// <summary>N H W C with one, three or four channels.</summary>
    public static bool IsPicture(LiteTensor tensor) => tensor.Shape is [_, _, _, 1 or 3 or 4];

    private void AddOutput(int index)
    {
        var tensor = _tensors[index];
        var value = _quantized[index] ?? Real(index);
        var graph = Builder.Graph;
        if (graph.Constants.ContainsKey(value) || graph.Inputs.Concat(graph.Outputs).Any(other => other.Name == value))
        {
            value = Builder.AddNode("Identity", tensor.Name, [value]); // each output has a name and a producer of its own
        }

        Builder.AddOutput(value, _quantized[index] is null && tensor.IsQuantized ? ElementType.Float32 : ElementTypeOf(tensor), tensor.Shape);
    }

    private string Constant(int index, LiteTensor tensor, int[] axes)
    {
        (int, string) key = (index, string.Join(' ', axes));
        if (_constants.TryGetValue(key, out var known))
        {
            return known;
        }

        var quantized = tensor.IsQuantized && _isQuantized;
        var constant = quantized || (!tensor.IsQuantized && tensor.Type != LiteType.Float16)
            ? new Tensor(ElementTypeOf(tensor), tensor.Shape, tensor.Data) : Floats(tensor);
        if (!axes.SequenceEqual(Enumerable.Range(0, axes.Length)))
        {
            constant = TensorFlowOperators.Transpose(constant, axes);
        }

        Spend(constant.Data.Length);
        var value = Builder.AddConstant(tensor.Name, constant);
        if (quantized)
        {
            var axis = tensor.Quantization!.IsPerChannel && axes.Length > 0 ? Array.IndexOf(axes, tensor.Quantization.Axis) : tensor.Quantization.Axis;
            value = Dequantize(value, tensor, tensor.Quantization, axis);
        }

        return _constants[key] = value;
    }

    private string Dequantize(string quantized, LiteTensor tensor, LiteQuantization quantization, int axis)
    {
        (var scale, var zeroPoint) = Parameters(tensor, quantization);

        // A 32-bit integer has no zero point: https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
        string[] inputs = tensor.Type == LiteType.Int32 ? [quantized, scale] : [quantized, scale, zeroPoint];
        return quantization.IsPerChannel
            ? Builder.AddNode("DequantizeLinear", $"{tensor.Name}/dequantized", inputs, ("axis", (long)axis))
            : Builder.AddNode("DequantizeLinear", $"{tensor.Name}/dequantized", inputs);
    }

    private (string Scale, string ZeroPoint) Parameters(LiteTensor tensor, LiteQuantization quantization)
    {
        // ONNX Runtime fuses Q/DQ groups whose scales are scalars, not vectors of one.
        int[] shape = quantization.IsPerChannel ? [quantization.Scales.Length] : [];
        var type = ElementTypeOf(tensor);
        var zeroPoints = Array.ConvertAll(quantization.ZeroPoints, zeroPoint => (double)zeroPoint);
        (double least, double most) = type switch
        {
            ElementType.UInt8 => (0, 255),
            ElementType.Int8 => (-128, 127),
            ElementType.Int32 => (0, 0),
            _ => throw new ModelFormatException($"{tensor} is quantized to {type}, which is supported with --dequantize only."),
        };
        if (Array.Exists(zeroPoints, zeroPoint => zeroPoint < least || zeroPoint > most))
        {
            throw new ModelFormatException($"{tensor} of {type} has a zero point outside {least}…{most}.");
        }

        var scale = Builder.AddConstant($"{tensor.Name}/scale", quantization.Scales, shape);
        return (scale, type == ElementType.Int32 ? "" : Builder.AddConstant($"{tensor.Name}/zero_point", Graphs.Tensor.FromDoubles(type, shape, zeroPoints)));
    }

    private static Tensor Floats(LiteTensor tensor)
    {
        var values = new Tensor(ElementTypeOf(tensor), tensor.Shape, tensor.Data).ToFloats();
        if (tensor.Quantization is { } quantization)
        {
            var stride = quantization.IsPerChannel ? tensor.Shape.Skip(quantization.Axis + 1).Aggregate(1, (product, side) => product * side) : values.Length;
            for (var i = 0; i < values.Length; i++)
            {
                var channel = i / stride % quantization.Scales.Length;
                values[i] = (values[i] - quantization.ZeroPoints[channel]) * quantization.Scales[channel];
            }
        }

        return Graphs.Tensor.Float32(tensor.Shape, values);
    }

    private void Spend(long bytes)
    {
        _constantBytes -= bytes;
        if (_constantBytes < 0)
        {
            throw new ModelFormatException($"The file is malformed: its tensors share so many bytes that they come to more than {MaxGrowth} times its size.");
        }
    }

    private static ElementType ElementTypeOf(LiteTensor tensor) =>
        LiteModel.ElementTypeOf(tensor.Type) ?? throw new ModelFormatException($"{tensor} has the type {tensor.Type}, which is not supported.");
}
