using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>How much the graph is rewritten when a session loads it.</summary>
public enum GraphOptimizationLevel
{
    /// <summary>Runs the graph as it stands in the file.</summary>
    ORT_DISABLE_ALL = 0,

    /// <summary>Constant folding, redundant nodes.</summary>
    ORT_ENABLE_BASIC = 1,

    /// <summary>Fusions for the execution provider as well.</summary>
    ORT_ENABLE_EXTENDED = 2,

    /// <summary>Layout changes as well: MobileNets on a CPU need them.</summary>
    ORT_ENABLE_ALL = 99,
}

/// <summary>Whether nodes that do not depend on each other run at the same time.</summary>
public enum ExecutionMode
{
    /// <summary>One node after the other.</summary>
    ORT_SEQUENTIAL = 0,

    /// <summary>Branches in parallel, on the inter-op threads.</summary>
    ORT_PARALLEL = 1,
}

/// <summary>How a session loads and runs its model. A session takes what it needs when it is created; the options may be disposed then.</summary>
public sealed unsafe class SessionOptions : SafeHandleZeroOrMinusOneIsInvalid
{
    private readonly List<SafeHandle> _initializers = [];
    private GraphOptimizationLevel _graphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL;
    private ExecutionMode _executionMode;
    private OrtLoggingLevel? _logSeverityLevel;
    private int _intraOpNumThreads;
    private int _interOpNumThreads;
    private bool _enableMemoryPattern = true;
    private bool _enableCpuMemArena = true;
    private bool _enableProfiling;
    private string _logId = "";
    private string _optimizedModelFilePath = "";

    /// <summary>Options with ONNX Runtime's own defaults.</summary>
    public SessionOptions()
        : base(ownsHandle: true)
    {
        OrtEnv.Instance();
        nint options;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.CreateSessionOptions(&options));
        SetHandle(options);
    }

    /// <summary>The values given to <see cref="AddInitializer"/>, which the native options refer to.</summary>
    internal IReadOnlyCollection<SafeHandle> Initializers => _initializers;

    /// <summary>How much the graph is rewritten. The default is everything.</summary>
    public GraphOptimizationLevel GraphOptimizationLevel
    {
        get => _graphOptimizationLevel;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetSessionGraphOptimizationLevel(options.Pointer, value));
            _graphOptimizationLevel = value;
        }
    }

    /// <summary>Whether independent branches run at the same time. The default is one node after the other.</summary>
    public ExecutionMode ExecutionMode
    {
        get => _executionMode;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetSessionExecutionMode(options.Pointer, value));
            _executionMode = value;
        }
    }

    /// <summary>Threads that share the work of one node, the caller included. 1 uses the caller alone; 0, the default, one per core.</summary>
    public int IntraOpNumThreads
    {
        get => _intraOpNumThreads;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetIntraOpNumThreads(options.Pointer, value));
            _intraOpNumThreads = value;
        }
    }

    /// <summary>Threads that run nodes with <see cref="ExecutionMode.ORT_PARALLEL"/>. 0, the default, is one per core.</summary>
    public int InterOpNumThreads
    {
        get => _interOpNumThreads;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetInterOpNumThreads(options.Pointer, value));
            _interOpNumThreads = value;
        }
    }

    /// <summary>Whether the memory plan of the first run is used again for inputs of the same shape. The default is true.</summary>
    public bool EnableMemoryPattern
    {
        get => _enableMemoryPattern;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(
                value ? NativeMethods.EnableMemPattern(options.Pointer) : NativeMethods.DisableMemPattern(options.Pointer));
            _enableMemoryPattern = value;
        }
    }

    /// <summary>Whether memory is kept in an arena between runs, which is faster and gives nothing back. The default is true.</summary>
    public bool EnableCpuMemArena
    {
        get => _enableCpuMemArena;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(
                value ? NativeMethods.EnableCpuMemArena(options.Pointer) : NativeMethods.DisableCpuMemArena(options.Pointer));
            _enableCpuMemArena = value;
        }
    }

    /// <summary>The least serious message that sessions log. The default is the environment's.</summary>
    public OrtLoggingLevel LogSeverityLevel
    {
        get => _logSeverityLevel ?? OrtEnv.Instance().EnvLogLevel;
        set
        {
            using var options = new Lease(this);
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetSessionLogSeverityLevel(options.Pointer, value));
            _logSeverityLevel = value;
        }
    }

    /// <summary>The name that log lines of sessions carry.</summary>
    public string LogId
    {
        get => _logId;
        set
        {
            using var options = new Lease(this);
            fixed (byte* logId = NativeText.Utf8(value))
            {
                OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetSessionLogId(options.Pointer, logId));
            }

            _logId = value;
        }
    }

    /// <summary>Where the optimised graph is written when a session loads the model. The default, empty, is nowhere.</summary>
    public string OptimizedModelFilePath
    {
        get => _optimizedModelFilePath;
        set
        {
            using var options = new Lease(this);
            fixed (byte* path = NativeText.FilePath(value))
            {
                OnnxRuntimeException.ThrowIfFailed(NativeMethods.SetOptimizedModelFilePath(options.Pointer, path));
            }

            _optimizedModelFilePath = value;
        }
    }

    /// <summary>How the file that <see cref="EnableProfiling"/> writes begins.</summary>
    public string ProfileOutputPathPrefix { get; set; } = "onnxruntime_profile_";

    /// <summary>Whether every node of every run is timed, into a file. Set <see cref="ProfileOutputPathPrefix"/> first.</summary>
    public bool EnableProfiling
    {
        get => _enableProfiling;
        set
        {
            using var options = new Lease(this);
            fixed (byte* prefix = NativeText.FilePath(ProfileOutputPathPrefix))
            {
                OnnxRuntimeException.ThrowIfFailed(
                    value ? NativeMethods.EnableProfiling(options.Pointer, prefix) : NativeMethods.DisableProfiling(options.Pointer));
            }

            _enableProfiling = value;
        }
    }

    /// <summary>Sets an entry of onnxruntime_session_options_config_keys.h, such as "session.intra_op.allow_spinning".</summary>
    public void AddSessionConfigEntry(string configKey, string configValue)
    {
        using var options = new Lease(this);
        fixed (byte* key = NativeText.Utf8(configKey), value = NativeText.Utf8(configValue))
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.AddSessionConfigEntry(options.Pointer, key, value));
        }
    }

    /// <summary>
    /// Gives sessions an initializer to use instead of the model's own of that name. Sessions that are given the same values share them,
    /// and share their packed form too with a <see cref="PrePackedWeightsContainer"/>. The value must be created over caller's memory.
    /// </summary>
    public void AddInitializer(string name, OrtValue ortValue)
    {
        using var options = new Lease(this);
        using var value = new Lease(ortValue.Handle);
        fixed (byte* text = NativeText.Utf8(name))
        {
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.AddInitializer(options.Pointer, text, value.Pointer));
        }

        bool held = false;
        ortValue.Handle.DangerousAddRef(ref held);
        _initializers.Add(ortValue.Handle);
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        NativeMethods.ReleaseSessionOptions(handle);
        _initializers.ForEach(value => value.DangerousRelease());
        return true;
    }
}
