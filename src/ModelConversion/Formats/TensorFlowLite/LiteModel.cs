using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.FlatBuffers;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>What TensorFlow Lite calls <c>TensorType</c>; the numbers are the schema's.</summary>
internal enum LiteType : sbyte
{
    Float32 = 0,
    Float16 = 1,
    Int32 = 2,
    UInt8 = 3,
    Int64 = 4,
    String = 5,
    Bool = 6,
    Int16 = 7,
    Int8 = 9,
    Float64 = 10,
    UInt16 = 16,
    Int4 = 17,
}

/// <summary>real = scale × (quantized − zero point): one of each for the whole tensor, or one per index of an axis.</summary>
internal sealed record LiteQuantization(float[] Scales, long[] ZeroPoints, int Axis)
{
    public bool IsPerChannel => Scales.Length > 1;
}

/// <summary>A tensor of the file: a constant if it has data, otherwise what an operator or the caller writes.</summary>
internal sealed record LiteTensor(string Name, LiteType Type, int[] Shape, ReadOnlyMemory<byte> Data, LiteQuantization? Quantization, bool IsVariable)
{
    public bool IsConstant => !Data.IsEmpty;

    /// <summary>Small integers that stand for real numbers. (Integers without a scale are what they are: pixels, shapes, indices.)</summary>
    public bool IsQuantized => Quantization is not null && Type is LiteType.UInt8 or LiteType.Int8 or LiteType.Int16 or LiteType.Int32 or LiteType.Int64;

    /// <summary>The name and place in an error message.</summary>
    public override string ToString() => $"The tensor '{Name}'";
}

/// <summary>
/// One operator of the file: its name in the schema (<c>CONV_2D</c>; a custom one has its own), its tensors by number (−1: left out), its options.
/// </summary>
internal sealed record LiteOperator(string Name, bool IsCustom, int[] Inputs, int[] Outputs, FlatTable? Options);

/// <summary>
/// The file as the schema describes it, checked: every number that points at a tensor, buffer or operator does.
/// </summary>
internal sealed class LiteModel
{
    // TensorFlow Lite's own limit is 8 (kMaxDims); a few kernels stop at 5.
    private const int MaxRank = 8;

    private LiteModel(FlatTable model, string description, List<LiteTensor> tensors, List<LiteOperator> operators, int[] inputs, int[] outputs)
    {
        Model = model;
        Description = description;
        Tensors = tensors;
        Operators = operators;
        Inputs = inputs;
        Outputs = outputs;
    }

    public string Description { get; }

    public List<LiteTensor> Tensors { get; }

    public List<LiteOperator> Operators { get; }

    public int[] Inputs { get; }

    public int[] Outputs { get; }

    private FlatTable Model { get; }

    public static LiteModel Parse(ReadOnlyMemory<byte> file)
    {
        var model = new FlatBuffer(file).Root;

        var version = model.Scalar<uint>(LiteSchema.Model.Version);
        if (version != 3)
        {
            throw new ModelFormatException($"The TensorFlow Lite schema version {version} is not supported (3 is).");
        }

        // The first subgraph is the model; others are the bodies of IF and WHILE, which are refused where they are called.
        var subgraphs = model.Tables(LiteSchema.Model.Subgraphs);
        if (subgraphs.Length == 0)
        {
            throw new ModelFormatException("The file is malformed: it holds no graph.");
        }

        var buffers = model.Tables(LiteSchema.Model.Buffers);
        var codes = Array.ConvertAll(model.Tables(LiteSchema.Model.OperatorCodes), OperatorCode);

        var graph = subgraphs[0];
        List<LiteTensor> tensors = [.. graph.Tables(LiteSchema.SubGraph.Tensors).Select((tensor, index) => ReadTensor(tensor, index, buffers, file))];
        List<LiteOperator> operators = [.. graph.Tables(LiteSchema.SubGraph.Operators)
            .Select((table, index) => ReadOperator(table, index, codes, tensors.Count))];
        var inputs = Indices(graph.Scalars<int>(LiteSchema.SubGraph.Inputs), tensors.Count, "The graph's inputs");
        var outputs = Indices(graph.Scalars<int>(LiteSchema.SubGraph.Outputs), tensors.Count, "The graph's outputs");
        return new LiteModel(model, graph.Text(LiteSchema.SubGraph.Name) is { Length: > 0 } name ? name : "model", tensors, operators, inputs, outputs);
    }

    /// <summary>A named block of metadata, for example <c>TFLITE_METADATA</c>.</summary>
    public ReadOnlyMemory<byte>? Metadata(string name)
    {
        var buffers = Model.Tables(LiteSchema.Model.Buffers);
        foreach (var entry in Model.Tables(LiteSchema.Model.Metadata))
        {
            if (entry.Text(LiteSchema.Metadata.Name) == name && entry.Scalar<uint>(LiteSchema.Metadata.Buffer) is uint buffer && buffer < buffers.Length)
            {
                return buffers[(int)buffer].Blob(LiteSchema.Buffer.Data);
            }
        }

        return null;
    }

    private static (string Name, bool IsCustom) OperatorCode(FlatTable code)
    {
        // The deprecated code is a byte, 127 where the code does not fit.
        var builtin = Math.Max(code.Scalar<sbyte>(LiteSchema.OperatorCode.DeprecatedBuiltinCode), code.Scalar<int>(LiteSchema.OperatorCode.BuiltinCode));
        return builtin == LiteOperators.Custom ? (code.Text(LiteSchema.OperatorCode.CustomCode) ?? "CUSTOM", true)
            : builtin >= 0 && builtin < LiteOperators.Names.Length ? (LiteOperators.Names[builtin], false)
            : ($"{builtin}", false);
    }

    private static LiteTensor ReadTensor(FlatTable table, int index, FlatTable[] buffers, ReadOnlyMemory<byte> file)
    {
        var name = table.Text(LiteSchema.Tensor.Name) is { Length: > 0 } text ? text : $"tensor_{index}";
        var shape = table.Scalars<int>(LiteSchema.Tensor.Shape);
        var signature = table.Scalars<int>(LiteSchema.Tensor.ShapeSignature);
        var type = (LiteType)table.Scalar<sbyte>(LiteSchema.Tensor.Type);
        var buffer = table.Scalar<uint>(LiteSchema.Tensor.Buffer);
        if (buffer >= buffers.Length)
        {
            throw new ModelFormatException($"The tensor '{name}' names the buffer {buffer} of {buffers.Length}.");
        }

        if (shape.Length > MaxRank || (signature.Length != 0 && signature.Length != shape.Length))
        {
            throw new ModelFormatException(
                $"The tensor '{name}' has {Counted.Of(shape.Length, "dimension")} (and {signature.Length} in its signature); at most {MaxRank} are allowed.");
        }

        // Sparse weights keep only the values that are not zero; DENSIFY would unpack them.
        if (table.Has(LiteSchema.Tensor.Sparsity))
        {
            throw new ModelFormatException($"The tensor '{name}' is sparse, which is not supported.");
        }

        // Offset and size are only in files over 2 GB, whose data lies behind the FlatBuffer.
        var content = buffers[(int)buffer];
        var data = content.Blob(LiteSchema.Buffer.Data);
        if (content.Scalar<ulong>(LiteSchema.Buffer.Offset) is > 1 and ulong offset)
        {
            var size = content.Scalar<ulong>(LiteSchema.Buffer.Size);
            data = offset < (ulong)file.Length && size <= (ulong)file.Length - offset ? file.Slice((int)offset, (int)size)
                : throw new ModelFormatException($"The tensor '{name}' lies at {offset}, outside the file's {Counted.Of(file.Length, "byte")}.");
        }

        if (!data.IsEmpty)
        {
            if (ElementTypeOf(type) is ElementType known && (long)Tensor.ElementsOf(shape) * Tensor.SizeOf(known) != data.Length)
            {
                throw new ModelFormatException(
                    $"The tensor '{name}' of {type} [{string.Join(", ", shape)}] does not match its {Counted.Of(data.Length, "byte")}.");
            }
        }

        int[] declared = [.. shape.Select((side, axis) => signature.Length > 0 && signature[axis] < 0 ? -1 : side)];
        var quantization = ReadQuantization(table.Table(LiteSchema.Tensor.Quantization), name, shape);
        return new LiteTensor(name, type, data.IsEmpty ? declared : shape, data, quantization, table.Flag(LiteSchema.Tensor.IsVariable));
    }

    private static LiteQuantization? ReadQuantization(FlatTable? table, string name, int[] shape)
    {
        if (table is not { } quantization || quantization.Scalars<float>(LiteSchema.QuantizationParameters.Scale) is not { Length: > 0 } scales)
        {
            return null; // min and max alone are left over from training
        }

        if (quantization.Scalar<byte>(LiteSchema.QuantizationParameters.DetailsType) != 0)
        {
            throw new ModelFormatException($"The tensor '{name}' has a custom quantization, which is not supported.");
        }

        var zeroPoints = quantization.Scalars<long>(LiteSchema.QuantizationParameters.ZeroPoint) is { Length: > 0 } given ? given : [0];
        if (zeroPoints.Length == 1 && scales.Length > 1)
        {
            zeroPoints = [.. Enumerable.Repeat(zeroPoints[0], scales.Length)];
        }

        // A bias has one axis, and its file may name its weights'.
        var axis = shape.Length == 1 ? 0 : quantization.Scalar<int>(LiteSchema.QuantizationParameters.QuantizedDimension);
        if (zeroPoints.Length != scales.Length || (scales.Length > 1 && (axis < 0 || axis >= shape.Length || shape[axis] != scales.Length)))
        {
            throw new ModelFormatException(
                $"The tensor '{name}' of shape [{string.Join(", ", shape)}] has {Counted.Of(scales.Length, "scale")} and {Counted.Of(zeroPoints.Length, "zero point")} on axis {axis}.");
        }

        return scales.All(scale => float.IsFinite(scale) && scale >= 0)
            ? new LiteQuantization(scales, zeroPoints, scales.Length > 1 ? axis : 0)
            : throw new ModelFormatException($"The tensor '{name}' has a scale that is not a positive number.");
    }

    private static LiteOperator ReadOperator(FlatTable table, int index, (string Name, bool IsCustom)[] codes, int tensors)
    {
        var code = table.Scalar<uint>(LiteSchema.Operator.OpcodeIndex);
        if (code >= codes.Length)
        {
            throw new ModelFormatException($"The operator {index} names the code {code} of {codes.Length}.");
        }

        var place = $"The operator '{codes[code].Name}' ({index})";
        var outputs = Indices(table.Scalars<int>(LiteSchema.Operator.Outputs), tensors, place);
        var inputs = Indices(table.Scalars<int>(LiteSchema.Operator.Inputs), tensors, place, optional: true);
        return new LiteOperator(codes[code].Name, codes[code].IsCustom, inputs, outputs, table.Table(LiteSchema.Operator.BuiltinOptions));
    }

    private static int[] Indices(int[] indices, int tensors, string place, bool optional = false) =>
        Array.TrueForAll(indices, index => index < tensors && index >= (optional ? -1 : 0))
            ? indices
            : throw new ModelFormatException($"{place} name the tensors {string.Join(", ", indices)} of {tensors}.");

    /// <summary>The same type in the common graph; <see langword="null"/> where it has none.</summary>
    internal static ElementType? ElementTypeOf(LiteType type) => type switch
    {
        LiteType.Float32 => ElementType.Float32,
        LiteType.Float16 => ElementType.Float16,
        LiteType.Float64 => ElementType.Float64,
        LiteType.Int32 => ElementType.Int32,
        LiteType.Int64 => ElementType.Int64,
        LiteType.Int16 => ElementType.Int16,
        LiteType.UInt16 => ElementType.UInt16,
        LiteType.Int8 => ElementType.Int8,
        LiteType.UInt8 => ElementType.UInt8,
        LiteType.Bool => ElementType.Bool,
        _ => null,
    };
}
