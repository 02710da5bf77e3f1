using System.Runtime.InteropServices;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>ONNX Runtime refused or failed a call; the message is its own.</summary>
public sealed class OnnxRuntimeException : Exception
{
    internal OnnxRuntimeException(ErrorCode errorCode, string message)
        : base($"[ErrorCode:{errorCode}] {message}")
    {
    }

    /// <summary>Reads and releases an <c>OrtStatus*</c>; zero is success.</summary>
    internal static void ThrowIfFailed(nint status)
    {
        if (status != 0)
        {
            throw FromStatus(status);
        }
    }

    private static OnnxRuntimeException FromStatus(nint status)
    {
        try
        {
            return new OnnxRuntimeException((ErrorCode)NativeMethods.GetErrorCode(status), Marshal.PtrToStringUTF8(NativeMethods.GetErrorMessage(status))!);
        }
        finally
        {
            NativeMethods.ReleaseStatus(status);
        }
    }
}

/// <summary>OrtErrorCode in onnxruntime_error_code.h, with the names that the official package prints.</summary>
internal enum ErrorCode
{
    Ok = 0,
    Fail = 1,
    InvalidArgument = 2,
    NoSuchFile = 3,
    NoModel = 4,
    EngineError = 5,
    RuntimeException = 6,
    InvalidProtobuf = 7,
    ModelLoaded = 8,
    NotImplemented = 9,
    InvalidGraph = 10,
    ExecutionProviderFailed = 11,
    ModelLoadCanceled = 12,
    ModelRequiresCompilation = 13,
    NotFound = 14,
}
