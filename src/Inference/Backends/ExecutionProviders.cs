using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;

namespace Whatsit.Inference.Backends;

/// <summary>
/// What ONNX Runtime computes on: the processor, or a device. Which there are is decided by the package that is built in and by the machine
/// (https://onnxruntime.ai/docs/execution-providers/).
/// </summary>
public static class ExecutionProviders
{
    /// <summary>The processor, which every package has and which computes what a device cannot.</summary>
    public const string Cpu = "cpu";

    // Relu(x), a model of 61 bytes: a provider is there when it starts a session, which needs driver, libraries and device.
    private static readonly byte[] Probe = Convert.FromBase64String("CAg6MwoMCgF4EgF5IgRSZWx1EgFnWg8KAXgSCgoICAESBAoCCAFiDwoBeRIKCggIARIECgIIAUIECgAQEQ==");

    private static readonly Dictionary<string, (string Name, Action<SessionOptions>? Append)> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        [Cpu] = ("CPUExecutionProvider", null),
        ["cuda"] = ("CUDAExecutionProvider", options => options.AppendExecutionProvider_CUDA()),
        ["tensorrt"] = ("TensorrtExecutionProvider", options => options.AppendExecutionProvider_Tensorrt()),
        ["dml"] = ("DmlExecutionProvider", AppendDirectMl),
        ["coreml"] = ("CoreMLExecutionProvider", options => options.AppendExecutionProvider("CoreML")),
        ["openvino"] = ("OpenVINOExecutionProvider", options => options.AppendExecutionProvider_OpenVINO()),
    };

    private static readonly ConcurrentDictionary<string, string?> Problems = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Those that the package has, by the names that the settings use. Whether their devices are there is another matter.</summary>
    public static IReadOnlyList<string> Available
    {
        get
        {
            OnnxRuntimeEnvironment.EnsureCreated();
            var available = OrtEnv.Instance().GetAvailableProviders();
            return [.. Known.Where(provider => available.Contains(provider.Value.Name)).Select(provider => provider.Key)];
        }
    }

    /// <summary>Those that were asked for and work here, in that order, down to the processor, which comes last and always works.</summary>
    public static IReadOnlyList<string> Choose(OnnxBackendOptions options) => [.. Devices(options).Where(name => ProblemOf(name) is null), Cpu];

    /// <summary>What is missing of what was asked for, in one sentence; <see langword="null"/> where all works.</summary>
    public static string? Missing(OnnxBackendOptions options) => Devices(options).Select(ProblemOf).FirstOrDefault(problem => problem is not null);

    /// <summary>The first name that no provider has, in one sentence.</summary>
    internal static string? Unknown(OnnxBackendOptions options) => options.ExecutionProviders.FirstOrDefault(name => !Known.ContainsKey(name)) is { } unknown
        ? $"There is no execution provider '{unknown}'; the names are {string.Join(", ", Known.Keys)}."
        : null;

    internal static void Append(SessionOptions options, IEnumerable<string> providers)
    {
        foreach (var provider in providers)
        {
            Known[provider].Append?.Invoke(options);
        }
    }

    // The processor takes every operator, so nothing after it would ever be used.
    private static IEnumerable<string> Devices(OnnxBackendOptions options) =>
        options.ExecutionProviders.TakeWhile(name => !name.Equals(Cpu, StringComparison.OrdinalIgnoreCase));

    private static string? ProblemOf(string provider) => Problems.GetOrAdd(provider, static provider =>
    {
        if (!Available.Contains(provider, StringComparer.OrdinalIgnoreCase))
        {
            return $"This build of ONNX Runtime has no '{provider}'; it has {string.Join(", ", Available)}.";
        }

        try
        {
            using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
            Append(options, [provider]);
            using var session = new InferenceSession(Probe, options);
            return null;
        }
        catch (OnnxRuntimeException exception)
        {
            return $"'{provider}' does not start on this machine: {exception.Message.ReplaceLineEndings(" ").Trim().TrimEnd('.')}.";
        }
    });

    /// <summary>https://onnxruntime.ai/docs/execution-providers/DirectML-ExecutionProvider.html#configuration-options</summary>
    private static void AppendDirectMl(SessionOptions options)
    {
        options.EnableMemoryPattern = false;
        options.ExecutionMode = ExecutionMode.ORT_SEQUENTIAL;
        options.AppendExecutionProvider_DML();
    }
}
