using System.Runtime.InteropServices;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>How serious a message must be to reach standard error.</summary>
public enum OrtLoggingLevel
{
    /// <summary>Everything.</summary>
    ORT_LOGGING_LEVEL_VERBOSE = 0,

    /// <summary>Information and above.</summary>
    ORT_LOGGING_LEVEL_INFO = 1,

    /// <summary>Warnings and above.</summary>
    ORT_LOGGING_LEVEL_WARNING = 2,

    /// <summary>Errors and above.</summary>
    ORT_LOGGING_LEVEL_ERROR = 3,

    /// <summary>Only what ends the process.</summary>
    ORT_LOGGING_LEVEL_FATAL = 4,
}

/// <summary>What may be chosen before the first session exists.</summary>
public struct EnvironmentCreationOptions
{
    /// <summary>The name that log lines carry.</summary>
    public string? logId;

    /// <summary>The least serious message that is written to standard error.</summary>
    public OrtLoggingLevel? logLevel;
}

/// <summary>
/// The process-wide environment. It lives as long as the process, because every session refers to it.
/// </summary>
public sealed unsafe class OrtEnv
{
    private static readonly Lock Gate = new();
    private static OrtEnv? _instance;

    private OrtLoggingLevel _logLevel;

    private OrtEnv(EnvironmentCreationOptions options)
    {
        // The package's default is WARNING. Errors only, here: what ORT warns of (an unknown CPU vendor, a PCI bus it cannot read,
        // an initializer that nothing uses) is ordinary in containers and helps nobody who runs a server.
        _logLevel = options.logLevel ?? OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR;
        nint env;
        fixed (byte* logId = NativeText.Utf8(string.IsNullOrEmpty(options.logId) ? "onnxruntime" : options.logId))
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.CreateEnv(_logLevel, logId, &env));
        }

        Pointer = env;
    }

    internal nint Pointer { get; }

    /// <summary>Whether the environment exists already, so that it can no longer be given options.</summary>
    public static bool IsCreated => Volatile.Read(ref _instance) != null;

    /// <summary>The environment; created with default options by the first caller.</summary>
    public static OrtEnv Instance()
    {
        if (Volatile.Read(ref _instance) is { } existing)
        {
            return existing;
        }

        lock (Gate)
        {
            return _instance ??= new OrtEnv(default);
        }
    }

    /// <summary>Creates the environment; it is an error if it exists already.</summary>
    public static OrtEnv CreateInstanceWithOptions(ref EnvironmentCreationOptions options)
    {
        lock (Gate)
        {
            return _instance == null
                ? _instance = new OrtEnv(options)
                : throw new OnnxRuntimeException(ErrorCode.RuntimeException, "The environment exists already; options would have no effect.");
        }
    }

    /// <summary>The least serious message that is written to standard error.</summary>
    public OrtLoggingLevel EnvLogLevel
    {
        get => _logLevel;
        set
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.UpdateEnvWithCustomLogLevel(Pointer, value));
            _logLevel = value;
        }
    }

    /// <summary>The version of the native library, such as "1.30.0".</summary>
    public string GetVersionString() => Marshal.PtrToStringUTF8(NativeMethods.GetVersionString())!;

    /// <summary>The execution providers that the native library was built with.</summary>
    public string[] GetAvailableProviders()
    {
        nint* names;
        int count;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.GetAvailableProviders(&names, &count));
        var providers = new string[count];
        for (int i = 0; i < count; i++)
        {
            providers[i] = Marshal.PtrToStringUTF8(names[i])!;
        }

        OnnxRuntimeException.ThrowIfFailed(NativeMethods.ReleaseAvailableProviders(names, count));
        return providers;
    }

    /// <summary>Turns off the telemetry that official Windows builds send.</summary>
    public void DisableTelemetryEvents() => OnnxRuntimeException.ThrowIfFailed(NativeMethods.DisableTelemetryEvents(Pointer));
}
