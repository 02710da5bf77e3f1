using Microsoft.ML.OnnxRuntime;

namespace Whatsit.Inference.Backends;

/// <summary>ONNX Runtime as a whole: started once per process.</summary>
public static class OnnxRuntimeEnvironment
{
    private static readonly Lazy<OrtEnv> Environment = new(Create);

    /// <summary>Starts the library if nobody has. Everything that makes a session calls this first: an environment that exists takes no options.</summary>
    public static OrtEnv EnsureCreated() => Environment.Value;

    /// <summary>
    /// Has signed weights multiplied exactly. Without VNNI, two products of bytes are added in 16 bits, which overflow; the slower way around it is taken on such
    /// processors only (onnxruntime_session_options_config_keys.h, <c>session.x64quantprecision</c>).
    /// </summary>
    public static void AvoidSaturation(SessionOptions options) => options.AddSessionConfigEntry("session.x64quantprecision", "1");

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
