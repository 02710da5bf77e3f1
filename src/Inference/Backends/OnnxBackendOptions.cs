using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Backends;

/// <summary>How ONNX Runtime runs a model. Configuration section <c>OnnxRuntime</c>.</summary>
public sealed class OnnxBackendOptions
{
    /// <summary>
    /// How many sessions each model has. One session runs any number of requests at once with one copy of the weights; more cost memory and were
    /// not faster. The default is 1.
    /// </summary>
    [Range(1, 64)]
    public int Sessions { get; set; } = 1;

    /// <summary>
    /// Threads within one run. More shorten a single answer while nothing else runs, and waste processor time under load. The default is 1.
    /// </summary>
    [Range(1, 256)]
    public int IntraOpThreads { get; set; } = 1;
}
