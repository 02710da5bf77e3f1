using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>Options of single runs; one object may serve several runs at once.</summary>
public sealed unsafe class RunOptions : SafeHandleZeroOrMinusOneIsInvalid
{
    private OrtLoggingLevel? _logSeverityLevel;
    private bool _terminate;

    /// <summary>Options with ONNX Runtime's own defaults.</summary>
    public RunOptions()
        : base(ownsHandle: true)
    {
        nint options;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.CreateRunOptions(&options));
        SetHandle(options);
    }

    /// <summary>
    /// While true, every run that uses this object ends with an <see cref="OnnxRuntimeException"/>: those that have begun, before their next
    /// node; those that begin, at once.
    /// </summary>
    public bool Terminate
    {
        get => _terminate;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(
                value ? NativeMethods.RunOptionsSetTerminate(options.Pointer) : NativeMethods.RunOptionsUnsetTerminate(options.Pointer));
            _terminate = value;
        }
    }

    /// <summary>The least serious message that runs log. The default is the environment's.</summary>
    public OrtLoggingLevel LogSeverityLevel
    {
        get => _logSeverityLevel ?? OrtEnv.Instance().EnvLogLevel;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.RunOptionsSetRunLogSeverityLevel(options.Pointer, value));
            _logSeverityLevel = value;
        }
    }

    /// <summary>Sets an entry of onnxruntime_run_options_config_keys.h, such as "memory.enable_memory_arena_shrinkage".</summary>
    public void AddRunConfigEntry(string configKey, string configValue)
    {
        using var options = new Lease(this);
        fixed (byte* key = NativeText.Utf8(configKey), value = NativeText.Utf8(configValue))
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.AddRunConfigEntry(options.Pointer, key, value));
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        NativeMethods.ReleaseRunOptions(handle);
        return true;
    }
}
