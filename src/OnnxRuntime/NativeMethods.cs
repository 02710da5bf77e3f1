using System.Reflection;
using System.Runtime.InteropServices;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>
/// onnxruntime_c_api.h: the functions of <c>struct OrtApi</c> that we call, under their own names. The number is the position in that
/// struct. The header keeps positions forever (static_asserts in onnxruntime_c_api.cc pin them per version) and only appends.
/// A <c>nint</c> return is an <c>OrtStatus*</c>: zero is success, anything else goes to <see cref="OnnxRuntimeException.ThrowIfFailed"/>.
/// </summary>
internal static unsafe partial class NativeMethods
{
    /// <summary>The version that has every function below; later libraries still offer it.</summary>
    private const uint OrtApiVersion = 14;

    private static readonly nint* Api = LoadApi();

    private static nint* LoadApi()
    {
        NativeLibrary.SetDllImportResolver(typeof(NativeMethods).Assembly, Resolve);
        OrtApiBase* apiBase = OrtGetApiBase();
        nint* api = apiBase->GetApi(OrtApiVersion);
        return api != null
            ? api
            : throw new DllNotFoundException(
                $"ONNX Runtime {Marshal.PtrToStringUTF8(apiBase->GetVersionString())} does not offer version {OrtApiVersion} of its API.");
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (name != "onnxruntime")
        {
            return 0;
        }

        string file = OperatingSystem.IsWindows() ? "onnxruntime.dll"
            : OperatingSystem.IsMacOS() ? "libonnxruntime.1.dylib"
            : "libonnxruntime.so.1";

        // Beside the application first, so that a system-wide copy of another version is not taken (Windows has one in System32).
        return NativeLibrary.TryLoad(Path.Combine(AppContext.BaseDirectory, file), out nint library)
            ? library
            : NativeLibrary.Load(file, assembly, DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories);
    }

    [LibraryImport("onnxruntime")]
    private static partial OrtApiBase* OrtGetApiBase();

    [StructLayout(LayoutKind.Sequential)]
    private struct OrtApiBase
    {
        public delegate* unmanaged<uint, nint*> GetApi;
        public delegate* unmanaged<nint> GetVersionString;
    }

    // Status

    public static int GetErrorCode(nint status) => ((delegate* unmanaged<nint, int>)Api[1])(status);

    public static nint GetErrorMessage(nint status) => ((delegate* unmanaged<nint, nint>)Api[2])(status);

    public static void ReleaseStatus(nint status) => ((delegate* unmanaged<nint, void>)Api[93])(status);

    // Environment

    public static nint GetVersionString() => OrtGetApiBase()->GetVersionString();

    public static nint CreateEnv(OrtLoggingLevel level, byte* logId, nint* env) =>
        ((delegate* unmanaged<OrtLoggingLevel, byte*, nint*, nint>)Api[3])(level, logId, env);

    public static nint DisableTelemetryEvents(nint env) => ((delegate* unmanaged<nint, nint>)Api[6])(env);

    public static nint UpdateEnvWithCustomLogLevel(nint env, OrtLoggingLevel level) =>
        ((delegate* unmanaged<nint, OrtLoggingLevel, nint>)Api[226])(env, level);

    public static nint GetAvailableProviders(nint** names, int* count) => ((delegate* unmanaged<nint**, int*, nint>)Api[125])(names, count);

    public static nint ReleaseAvailableProviders(nint* names, int count) => ((delegate* unmanaged<nint*, int, nint>)Api[126])(names, count);

    // Memory

    public static nint CreateCpuMemoryInfo(int allocatorType, int memoryType, nint* info) =>
        ((delegate* unmanaged<int, int, nint*, nint>)Api[69])(allocatorType, memoryType, info);

    public static nint GetAllocatorWithDefaultOptions(nint* allocator) => ((delegate* unmanaged<nint*, nint>)Api[78])(allocator);

    public static nint AllocatorFree(nint allocator, nint memory) => ((delegate* unmanaged<nint, nint, nint>)Api[76])(allocator, memory);

    // Session options. Paths are ORTCHAR_T*: wchar_t on Windows, UTF-8 elsewhere.

    public static nint CreateSessionOptions(nint* options) => ((delegate* unmanaged<nint*, nint>)Api[10])(options);

    public static nint SetOptimizedModelFilePath(nint options, byte* path) => ((delegate* unmanaged<nint, byte*, nint>)Api[11])(options, path);

    public static nint SetSessionExecutionMode(nint options, ExecutionMode mode) =>
        ((delegate* unmanaged<nint, ExecutionMode, nint>)Api[13])(options, mode);

    public static nint EnableProfiling(nint options, byte* pathPrefix) => ((delegate* unmanaged<nint, byte*, nint>)Api[14])(options, pathPrefix);

    public static nint DisableProfiling(nint options) => ((delegate* unmanaged<nint, nint>)Api[15])(options);

    public static nint EnableMemPattern(nint options) => ((delegate* unmanaged<nint, nint>)Api[16])(options);

    public static nint DisableMemPattern(nint options) => ((delegate* unmanaged<nint, nint>)Api[17])(options);

    public static nint EnableCpuMemArena(nint options) => ((delegate* unmanaged<nint, nint>)Api[18])(options);

    public static nint DisableCpuMemArena(nint options) => ((delegate* unmanaged<nint, nint>)Api[19])(options);

    public static nint SetSessionLogId(nint options, byte* logId) => ((delegate* unmanaged<nint, byte*, nint>)Api[20])(options, logId);

    public static nint SetSessionLogSeverityLevel(nint options, OrtLoggingLevel level) =>
        ((delegate* unmanaged<nint, OrtLoggingLevel, nint>)Api[22])(options, level);

    public static nint SetSessionGraphOptimizationLevel(nint options, GraphOptimizationLevel level) =>
        ((delegate* unmanaged<nint, GraphOptimizationLevel, nint>)Api[23])(options, level);

    public static nint SetIntraOpNumThreads(nint options, int count) => ((delegate* unmanaged<nint, int, nint>)Api[24])(options, count);

    public static nint SetInterOpNumThreads(nint options, int count) => ((delegate* unmanaged<nint, int, nint>)Api[25])(options, count);

    public static nint AddSessionConfigEntry(nint options, byte* key, byte* value) =>
        ((delegate* unmanaged<nint, byte*, byte*, nint>)Api[130])(options, key, value);

    public static nint AddInitializer(nint options, byte* name, nint value) =>
        ((delegate* unmanaged<nint, byte*, nint, nint>)Api[150])(options, name, value);

    public static void ReleaseSessionOptions(nint options) => ((delegate* unmanaged<nint, void>)Api[100])(options);

    // Session. The container may be null.

    public static nint CreateSessionWithPrepackedWeightsContainer(nint env, byte* path, nint options, nint container, nint* session) =>
        ((delegate* unmanaged<nint, byte*, nint, nint, nint*, nint>)Api[168])(env, path, options, container, session);

    public static nint CreateSessionFromArrayWithPrepackedWeightsContainer(
        nint env, byte* model, nuint length, nint options, nint container, nint* session) =>
        ((delegate* unmanaged<nint, byte*, nuint, nint, nint, nint*, nint>)Api[169])(env, model, length, options, container, session);

    public static nint Run(
        nint session, nint runOptions, nint* inputNames, nint* inputs, nuint inputCount, nint* outputNames, nuint outputCount, nint* outputs) =>
        ((delegate* unmanaged<nint, nint, nint*, nint*, nuint, nint*, nuint, nint*, nint>)Api[9])(
            session, runOptions, inputNames, inputs, inputCount, outputNames, outputCount, outputs);

    public static nint SessionGetInputCount(nint session, nuint* count) => ((delegate* unmanaged<nint, nuint*, nint>)Api[30])(session, count);

    public static nint SessionGetOutputCount(nint session, nuint* count) => ((delegate* unmanaged<nint, nuint*, nint>)Api[31])(session, count);

    public static nint SessionGetInputTypeInfo(nint session, nuint index, nint* typeInfo) =>
        ((delegate* unmanaged<nint, nuint, nint*, nint>)Api[33])(session, index, typeInfo);

    public static nint SessionGetOutputTypeInfo(nint session, nuint index, nint* typeInfo) =>
        ((delegate* unmanaged<nint, nuint, nint*, nint>)Api[34])(session, index, typeInfo);

    public static nint SessionGetInputName(nint session, nuint index, nint allocator, nint* name) =>
        ((delegate* unmanaged<nint, nuint, nint, nint*, nint>)Api[36])(session, index, allocator, name);

    public static nint SessionGetOutputName(nint session, nuint index, nint allocator, nint* name) =>
        ((delegate* unmanaged<nint, nuint, nint, nint*, nint>)Api[37])(session, index, allocator, name);

    public static nint SessionEndProfiling(nint session, nint allocator, nint* path) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)Api[110])(session, allocator, path);

    public static void ReleaseSession(nint session) => ((delegate* unmanaged<nint, void>)Api[95])(session);

    // Model metadata

    public static nint SessionGetModelMetadata(nint session, nint* metadata) => ((delegate* unmanaged<nint, nint*, nint>)Api[111])(session, metadata);

    public static nint ModelMetadataGetProducerName(nint metadata, nint allocator, nint* value) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)Api[112])(metadata, allocator, value);

    public static nint ModelMetadataGetGraphName(nint metadata, nint allocator, nint* value) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)Api[113])(metadata, allocator, value);

    public static nint ModelMetadataGetDomain(nint metadata, nint allocator, nint* value) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)Api[114])(metadata, allocator, value);

    public static nint ModelMetadataGetDescription(nint metadata, nint allocator, nint* value) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)Api[115])(metadata, allocator, value);

    public static nint ModelMetadataGetGraphDescription(nint metadata, nint allocator, nint* value) =>
        ((delegate* unmanaged<nint, nint, nint*, nint>)Api[158])(metadata, allocator, value);

    public static nint ModelMetadataGetVersion(nint metadata, long* version) => ((delegate* unmanaged<nint, long*, nint>)Api[117])(metadata, version);

    public static nint ModelMetadataGetCustomMetadataMapKeys(nint metadata, nint allocator, nint** keys, long* count) =>
        ((delegate* unmanaged<nint, nint, nint**, long*, nint>)Api[123])(metadata, allocator, keys, count);

    public static nint ModelMetadataLookupCustomMetadataMap(nint metadata, nint allocator, nint key, nint* value) =>
        ((delegate* unmanaged<nint, nint, nint, nint*, nint>)Api[116])(metadata, allocator, key, value);

    public static void ReleaseModelMetadata(nint metadata) => ((delegate* unmanaged<nint, void>)Api[118])(metadata);

    // Types and shapes

    public static nint GetOnnxTypeFromTypeInfo(nint typeInfo, OnnxValueType* type) =>
        ((delegate* unmanaged<nint, OnnxValueType*, nint>)Api[56])(typeInfo, type);

    public static nint CastTypeInfoToTensorInfo(nint typeInfo, nint* tensorInfo) =>
        ((delegate* unmanaged<nint, nint*, nint>)Api[55])(typeInfo, tensorInfo);

    public static nint GetTensorElementType(nint info, Tensors.TensorElementType* type) =>
        ((delegate* unmanaged<nint, Tensors.TensorElementType*, nint>)Api[60])(info, type);

    public static nint GetDimensionsCount(nint info, nuint* count) => ((delegate* unmanaged<nint, nuint*, nint>)Api[61])(info, count);

    public static nint GetDimensions(nint info, long* dimensions, nuint count) =>
        ((delegate* unmanaged<nint, long*, nuint, nint>)Api[62])(info, dimensions, count);

    public static nint GetSymbolicDimensions(nint info, nint* names, nuint count) =>
        ((delegate* unmanaged<nint, nint*, nuint, nint>)Api[63])(info, names, count);

    public static void ReleaseTensorTypeAndShapeInfo(nint info) => ((delegate* unmanaged<nint, void>)Api[99])(info);

    public static void ReleaseTypeInfo(nint typeInfo) => ((delegate* unmanaged<nint, void>)Api[98])(typeInfo);

    // Values

    public static nint CreateTensorAsOrtValue(nint allocator, long* shape, nuint rank, Tensors.TensorElementType type, nint* value) =>
        ((delegate* unmanaged<nint, long*, nuint, Tensors.TensorElementType, nint*, nint>)Api[48])(allocator, shape, rank, type, value);

    public static nint CreateTensorWithDataAsOrtValue(
        nint info, void* data, nuint length, long* shape, nuint rank, Tensors.TensorElementType type, nint* value) =>
        ((delegate* unmanaged<nint, void*, nuint, long*, nuint, Tensors.TensorElementType, nint*, nint>)Api[49])(
            info, data, length, shape, rank, type, value);

    public static nint GetTensorMutableData(nint value, void** data) => ((delegate* unmanaged<nint, void**, nint>)Api[51])(value, data);

    public static nint GetTensorTypeAndShape(nint value, nint* info) => ((delegate* unmanaged<nint, nint*, nint>)Api[65])(value, info);

    public static nint GetValueType(nint value, OnnxValueType* type) => ((delegate* unmanaged<nint, OnnxValueType*, nint>)Api[67])(value, type);

    public static void ReleaseValue(nint value) => ((delegate* unmanaged<nint, void>)Api[96])(value);

    // Run options

    public static nint CreateRunOptions(nint* options) => ((delegate* unmanaged<nint*, nint>)Api[39])(options);

    public static nint RunOptionsSetRunLogSeverityLevel(nint options, OrtLoggingLevel level) =>
        ((delegate* unmanaged<nint, OrtLoggingLevel, nint>)Api[41])(options, level);

    public static nint RunOptionsSetTerminate(nint options) => ((delegate* unmanaged<nint, nint>)Api[46])(options);

    public static nint RunOptionsUnsetTerminate(nint options) => ((delegate* unmanaged<nint, nint>)Api[47])(options);

    public static nint AddRunConfigEntry(nint options, byte* key, byte* value) =>
        ((delegate* unmanaged<nint, byte*, byte*, nint>)Api[165])(options, key, value);

    public static void ReleaseRunOptions(nint options) => ((delegate* unmanaged<nint, void>)Api[97])(options);

    // Pre-packed weights

    public static nint CreatePrepackedWeightsContainer(nint* container) => ((delegate* unmanaged<nint*, nint>)Api[166])(container);

    public static void ReleasePrepackedWeightsContainer(nint container) => ((delegate* unmanaged<nint, void>)Api[167])(container);
}
