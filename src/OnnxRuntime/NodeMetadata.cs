using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>What a model says of one of its inputs or outputs.</summary>
public sealed unsafe class NodeMetadata
{
    private readonly TensorElementType _elementDataType;
    private readonly int[] _dimensions = [];
    private readonly string[] _symbolicDimensions = [];

    internal NodeMetadata(nint typeInfo)
    {
        OnnxValueType type;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetOnnxTypeFromTypeInfo(typeInfo, &type));
        OnnxValueType = type;
        if (!IsTensor)
        {
            return;
        }

        nint tensorInfo; // belongs to the type info
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.CastTypeInfoToTensorInfo(typeInfo, &tensorInfo));
        var tensor = new OrtTensorTypeAndShapeInfo(tensorInfo);
        _elementDataType = tensor.ElementDataType;
        _dimensions = Array.ConvertAll(tensor.Shape, dimension => dimension <= int.MaxValue
            ? (int)dimension
            : throw new OnnxRuntimeException(ErrorCode.InvalidGraph, $"A dimension of {dimension} is beyond the limit of {int.MaxValue}."));
        var names = new nint[_dimensions.Length];
        fixed (nint* first = names)
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetSymbolicDimensions(tensorInfo, first, (nuint)names.Length));
        }

        _symbolicDimensions = Array.ConvertAll(names, name => Marshal.PtrToStringUTF8(name) ?? "");
    }

    /// <summary>What kind of value it is.</summary>
    public OnnxValueType OnnxValueType { get; }

    /// <summary>Whether it is a tensor, dense or sparse; the properties below are for tensors only.</summary>
    public bool IsTensor => OnnxValueType is OnnxValueType.ONNX_TYPE_TENSOR or OnnxValueType.ONNX_TYPE_SPARSETENSOR;

    /// <summary>The type of the elements.</summary>
    public TensorElementType ElementDataType => OfTensor(_elementDataType);

    /// <summary>The .NET type that the elements are read and written as.</summary>
    public Type ElementType => OfTensor(_elementDataType).ToType()
        ?? throw new OnnxRuntimeException(ErrorCode.InvalidArgument, $"No .NET type stands for elements of the type {_elementDataType}.");

    /// <summary>Whether the elements are strings.</summary>
    public bool IsString => ElementDataType == TensorElementType.String;

    /// <summary>The dimensions, outermost first; -1 where the model leaves one open.</summary>
    public int[] Dimensions => OfTensor(_dimensions);

    /// <summary>The names of the open dimensions, such as "N"; empty for the others.</summary>
    public string[] SymbolicDimensions => OfTensor(_symbolicDimensions);

    private T OfTensor<T>(T property) =>
        IsTensor ? property : throw new OnnxRuntimeException(ErrorCode.Fail, $"The value is {OnnxValueType}, not a tensor.");
}
