using Microsoft.ML.OnnxRuntime;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Backends;

/// <summary>ONNX Runtime as a whole: started once per process.</summary>
public static class OnnxRuntimeEnvironment
{
    private static readonly Lazy<OrtEnv> Environment = new(Create);

    /// <summary>Starts the library if nobody has. Everything that makes a session calls this first: an environment that exists takes no options.</summary>
    public static OrtEnv EnsureCreated() => Environment.Value;

    /// <summary>
    /// Loads a model, and has its signed weights multiplied exactly. Without VNNI, two products of bytes are added in 16 bits, which overflow; ONNX Runtime takes
    /// the slower way around it where it is asked (onnxruntime_session_options_config_keys.h, <c>session.x64quantprecision</c>). It is not asked where there is
    /// VNNI: it would take that way there, too, and twice the time.
    /// </summary>
    public static InferenceSession Load(Func<SessionOptions, InferenceSession> load, SessionOptions options)
    {
        if (Variants.HasFastInt8)
        {
            return load(options);
        }

        const string Exact = "session.x64quantprecision";
        options.AddSessionConfigEntry(Exact, "1");
        try
        {
            return load(options);
        }
        catch (OnnxRuntimeException exception) when (exception.Message.Contains("NotImplemented", StringComparison.Ordinal))
        {
            // It rewrites signed weights without looking whether an operator takes the others: those that compute on signed bytes throughout do not.
            options.AddSessionConfigEntry(Exact, "0");
            return load(options);
        }
    }

    private static OrtEnv Create()
    {
        if (OrtEnv.IsCreated)
        {
            // A program that uses Inference as a library may have an environment of its own.
            return OrtEnv.Instance();
        }

        // The default is WARNING. What ONNX Runtime warns of (an unknown CPU vendor, a PCI bus it cannot read, an initializer that nothing uses) is
        // ordinary in containers and helps nobody who runs a server.
        var options = new EnvironmentCreationOptions { logId = "whatsit", logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR };
        var environment = OrtEnv.CreateInstanceWithOptions(ref options);
        environment.DisableTelemetryEvents();
        return environment;
    }
}
