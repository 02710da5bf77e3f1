namespace Whatsit.ModelConversion.Graphs;

/// <summary>What a tensor is made of. The numbers are those of ONNX (onnx.proto, <c>TensorProto.DataType</c>).</summary>
public enum ElementType
{
    /// <summary>32-bit IEEE float.</summary>
    Float32 = 1,

    /// <summary>Unsigned byte.</summary>
    UInt8 = 2,

    /// <summary>Signed byte.</summary>
    Int8 = 3,

    /// <summary>Unsigned 16-bit integer.</summary>
    UInt16 = 4,

    /// <summary>Signed 16-bit integer.</summary>
    Int16 = 5,

    /// <summary>Signed 32-bit integer.</summary>
    Int32 = 6,

    /// <summary>Signed 64-bit integer.</summary>
    Int64 = 7,

    /// <summary>UTF-8 text.</summary>
    String = 8,

    /// <summary>One byte, 0 or 1.</summary>
    Bool = 9,

    /// <summary>16-bit IEEE float.</summary>
    Float16 = 10,

    /// <summary>64-bit IEEE float.</summary>
    Float64 = 11,
}
