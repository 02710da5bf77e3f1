using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>What kind of value an input, an output or an <see cref="OrtValue"/> is.</summary>
public enum OnnxValueType
{
    /// <summary>Not set.</summary>
    ONNX_TYPE_UNKNOWN = 0,

    /// <summary>A tensor.</summary>
    ONNX_TYPE_TENSOR = 1,

    /// <summary>A sequence of values.</summary>
    ONNX_TYPE_SEQUENCE = 2,

    /// <summary>A map.</summary>
    ONNX_TYPE_MAP = 3,

    /// <summary>Something that only custom operators understand.</summary>
    ONNX_TYPE_OPAQUE = 4,

    /// <summary>A sparse tensor.</summary>
    ONNX_TYPE_SPARSETENSOR = 5,

    /// <summary>A value that may be missing.</summary>
    ONNX_TYPE_OPTIONAL = 6,
}

/// <summary>The element type and the shape of a tensor.</summary>
public readonly struct OrtTensorTypeAndShapeInfo
{
    internal unsafe OrtTensorTypeAndShapeInfo(nint info)
    {
        TensorElementType type;
        nuint rank;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetTensorElementType(info, &type));
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetDimensionsCount(info, &rank));
        ElementDataType = type;
        Shape = new long[(int)rank];
        fixed (long* shape = Shape)
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetDimensions(info, shape, rank));
        }

        // Not GetTensorShapeElementCount: it fails on the open dimensions of a model's inputs.
        ElementCount = Shape.Aggregate(1L, (product, dimension) => product * dimension);
    }

    /// <summary>The type of the elements.</summary>
    public TensorElementType ElementDataType { get; }

    /// <summary>Whether the elements are strings.</summary>
    public bool IsString => ElementDataType == TensorElementType.String;

    /// <summary>How many elements there are.</summary>
    public long ElementCount { get; }

    /// <summary>How many dimensions the shape has.</summary>
    public int DimensionsCount => Shape.Length;

    /// <summary>The dimensions, outermost first.</summary>
    public long[] Shape { get; }
}

/// <summary>
/// An input or output of a run. It owns native memory, or pins the caller's, until it is disposed; spans over its data must not be used after that.
/// </summary>
public sealed unsafe class OrtValue : IDisposable
{
    private readonly OrtTensorTypeAndShapeInfo _tensor;
    private readonly void* _data;

    /// <summary>Takes a native value over.</summary>
    internal OrtValue(nint value, Action? afterRelease = null)
    {
        Handle = new OrtHandle(value, &NativeMethods.ReleaseValue, afterRelease);
        OnnxValueType type;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetValueType(value, &type));
        OnnxType = type;
        if (!IsTensor)
        {
            return;
        }

        // The type, the shape and the place of a tensor never change; reading them once makes every later access free of calls and of garbage.
        nint info;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetTensorTypeAndShape(value, &info));
        try
        {
            _tensor = new OrtTensorTypeAndShapeInfo(info);
        }
        finally
        {
            NativeMethods.ReleaseTensorTypeAndShapeInfo(info);
        }

        if (!_tensor.IsString)
        {
            void* data;
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetTensorMutableData(value, &data));
            _data = data;
        }
    }

    internal OrtHandle Handle { get; }

    /// <summary>What kind of value this is.</summary>
    public OnnxValueType OnnxType { get; }

    /// <summary>Whether this is a (dense) tensor.</summary>
    public bool IsTensor => OnnxType == OnnxValueType.ONNX_TYPE_TENSOR;

    /// <summary>A tensor in memory of the allocator's; its elements are not set.</summary>
    public static OrtValue CreateAllocatedTensorValue(OrtAllocator allocator, TensorElementType elementType, long[] shape)
    {
        nint value;
        fixed (long* dimensions = shape)
        {
            OnnxRuntimeException.ThrowIfFailed(
                NativeMethods.CreateTensorAsOrtValue(allocator.Pointer, dimensions, (nuint)shape.Length, elementType, &value));
        }

        return new OrtValue(value);
    }

    /// <summary>A tensor over the array, which stays pinned until the value is disposed.</summary>
    public static OrtValue CreateTensorValueFromMemory<T>(T[] data, long[] shape)
        where T : unmanaged =>
        CreateTensorValueFromMemory(OrtMemoryInfo.DefaultInstance, data.AsMemory(), shape);

    /// <summary>A tensor over the memory, which stays pinned until the value is disposed. The memory may be larger than the tensor.</summary>
    public static OrtValue CreateTensorValueFromMemory<T>(OrtMemoryInfo memoryInfo, Memory<T> memory, long[] shape)
        where T : unmanaged
    {
        TensorElementType type = TensorElementTypes.Of<T>()
            ?? throw new OnnxRuntimeException(ErrorCode.InvalidArgument, $"No tensor has elements of the type {typeof(T)}.");
        MemoryHandle pin = memory.Pin();
        nint value;
        try
        {
            fixed (long* dimensions = shape)
            {
                // The library compares the length with the shape.
                OnnxRuntimeException.ThrowIfFailed(NativeMethods.CreateTensorWithDataAsOrtValue(
                    memoryInfo.Pointer, pin.Pointer, (nuint)memory.Length * (nuint)sizeof(T), dimensions, (nuint)shape.Length, type, &value));
            }
        }
        catch
        {
            pin.Dispose();
            throw;
        }

        return new OrtValue(value, pin.Dispose);
    }

    /// <summary>The elements, to read. <typeparamref name="T"/> is the element type, or byte for the bytes of any.</summary>
    public ReadOnlySpan<T> GetTensorDataAsSpan<T>()
        where T : unmanaged =>
        GetTensorMutableDataAsSpan<T>();

    /// <summary>The elements, to read and write. <typeparamref name="T"/> is the element type, or byte for the bytes of any.</summary>
    public Span<T> GetTensorMutableDataAsSpan<T>()
        where T : unmanaged
    {
        if (typeof(T) != typeof(byte) && TensorElementTypes.Of<T>() is var type && (type == null || type != _tensor.ElementDataType))
        {
            throw new OnnxRuntimeException(
                ErrorCode.InvalidArgument, $"The tensor holds elements of the type {_tensor.ElementDataType}, not {typeof(T)}.");
        }

        return MemoryMarshal.Cast<byte, T>(GetTensorMutableRawData());
    }

    /// <summary>The bytes of the elements, to read and write.</summary>
    public Span<byte> GetTensorMutableRawData()
    {
        ObjectDisposedException.ThrowIf(Handle.IsClosed, this);
        RequireTensor();
        int size = _tensor.ElementDataType.Size();
        return size != 0
            ? new Span<byte>(_data, checked((int)(_tensor.ElementCount * size)))
            : throw new OnnxRuntimeException(ErrorCode.InvalidArgument, $"Elements of the type {_tensor.ElementDataType} cannot be read as memory.");
    }

    /// <summary>The element type and the shape.</summary>
    public OrtTensorTypeAndShapeInfo GetTensorTypeAndShape()
    {
        ObjectDisposedException.ThrowIf(Handle.IsClosed, this);
        RequireTensor();
        return _tensor;
    }

    /// <summary>Releases the native value and the caller's memory; a run that is using them keeps them until it ends.</summary>
    public void Dispose() => Handle.Dispose();

    private void RequireTensor()
    {
        if (!IsTensor)
        {
            throw new OnnxRuntimeException(ErrorCode.InvalidArgument, $"The value is {OnnxType}, not a tensor.");
        }
    }
}
