using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.TensorFlow;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>One operator at work: what it reads, its options, and where its results go.</summary>
internal sealed class LiteOperation(LiteConverter converter, LiteOperator op)
{
    public string Op => op.Name;

    public bool IsCustom => op.IsCustom;

    /// <summary>An operator has no name of its own: it goes by its first result.</summary>
    public string Name { get; } = op.Outputs.Length > 0 ? converter.Tensor(op.Outputs[0]).Name : "no output";

    public GraphBuilder Builder => converter.Builder;

    public TensorFlowOperators TensorFlow => converter.TensorFlow;

    public int InputCount => op.Inputs.Length;

    public int OutputCount => op.Outputs.Length;

    /// <summary>An input's value as real numbers (or plain integers).</summary>
    public string this[int input] => converter.Real(Index(input));

    /// <summary>Is the optional input there?</summary>
    public bool Has(int input) => input < op.Inputs.Length && op.Inputs[input] >= 0;

    public LiteTensor Input(int input) => converter.Tensor(Index(input));

    public LiteTensor Output(int output) => output < op.Outputs.Length ? converter.Tensor(op.Outputs[output])
        : throw Refuse($"has {Counted.Of(op.Outputs.Length, "output")}");

    /// <summary>An option by its field number in the operator's table, see <see cref="LiteSchema"/>.</summary>
    public T Option<T>(int field, T otherwise = default) where T : unmanaged => op.Options?.Scalar(field, otherwise) ?? otherwise;

    public bool Flag(int field) => op.Options?.Flag(field) ?? false;

    public int[] OptionInts(int field) => op.Options?.Scalars<int>(field) ?? [];

    /// <summary>A constant input of integers: axes, paddings, sizes.</summary>
    public long[] Ints(int input, string what)
    {
        var tensor = Input(input);
        return tensor.IsConstant && tensor.Type is LiteType.Int32 or LiteType.Int64
            ? new Tensor(LiteModel.ElementTypeOf(tensor.Type)!.Value, tensor.Shape, tensor.Data).ToInts()
            : throw Refuse($"computes its {what}, which is not supported");
    }

    public long Int(int input, string what) => Ints(input, what) is [long value] ? value : throw Refuse($"has more than one {what}");

    public string Weights(int input, params int[] axes) => converter.Weights(Index(input), axes);

    public bool IsRank(int input, int rank) => Input(input).Shape.Length == rank;

    public void Result(string value, int output = 0)
    {
        _ = Output(output);
        converter.Write(op.Outputs[output], value);
    }

    /// <summary>The result after the activation that is fused into the operator (schema.fbs, ActivationFunctionType).</summary>
    public void Result(string value, sbyte activation) => Result(Activate(value, activation switch
    {
        0 => "NONE",
        1 => "RELU",
        2 => "RELU_N1_TO_1",
        3 => "RELU6",
        4 => "TANH",
        _ => throw Refuse($"has the fused activation {activation}, which is not supported"),
    }));

    public string Activate(string value, string activation)
    {
        (var min, var max) = activation switch
        {
            "NONE" => (float.NegativeInfinity, float.PositiveInfinity),
            "RELU" => (0, float.PositiveInfinity),
            "RELU_N1_TO_1" => (-1, 1),
            "RELU_0_TO_1" => (0, 1),
            "RELU6" => (0, 6),
            _ => (float.NaN, float.NaN),
        };
        return float.IsNaN(min) ? Builder.AddNode("Tanh", Name, [value])
            : QuantizationClamps(min, max) ? value
            : max == float.PositiveInfinity ? Builder.AddNode("Relu", Name, [value])
            : TensorFlow.Clip(Name, value, min, max);
    }

    /// <summary>The result is that constant input, as a constant.</summary>
    public bool TryConstant() => converter.TryWriteConstant(op.Outputs.Length > 0 ? op.Outputs[0] : throw Refuse("has no output"), Index(0));

    public ModelFormatException Refuse(string reason) => new($"The operator '{Op}' ({Name}) {reason}.");

    private int Index(int input) => Has(input) ? op.Inputs[input] : throw Refuse($"has no input {input}");

    /// <summary>
    /// Whether a range is one that the result's small integers cannot leave anyway. TensorFlow Lite clamps to the quantized ends of the range
    /// (kernels/kernel_util.cc, CalculateActivationRangeQuantized), so they are compared as it rounds them.
    /// </summary>
    private bool QuantizationClamps(float min, float max)
    {
        if (float.IsInfinity(min))
        {
            return true;
        }

        if (!converter.StaysQuantized
            || Output(0) is not { IsQuantized: true, Quantization: { IsPerChannel: false } quantization, Type: LiteType.UInt8 or LiteType.Int8 } output)
        {
            return false;
        }

        (var least, var most) = output.Type == LiteType.UInt8 ? (0, 255) : (-128, 127);
        double Quantized(float real) => quantization.ZeroPoints[0] + Math.Round(real / (double)quantization.Scales[0], MidpointRounding.AwayFromZero);
        return Quantized(min) <= least && Quantized(max) >= most;
    }
}
