using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Backends;

/// <summary>How ONNX Runtime runs a model. Configuration section <c>OnnxRuntime</c>.</summary>
public sealed class OnnxBackendOptions : IValidatableObject
{
    /// <summary>
    /// What computes, in order of preference: <c>cpu</c>, <c>cuda</c>, <c>tensorrt</c>, <c>dml</c>, <c>coreml</c>, <c>openvino</c>, as far as the ONNX Runtime
    /// package that is built in has them. What one cannot compute goes to the next, in the end to the processor. The default, none, is <c>cpu</c>.
    /// </summary>
    public IReadOnlyList<string> ExecutionProviders { get; set; } = [];

    /// <summary>
    /// Whether a provider that is not there is passed over with a warning. Otherwise it stops the process: a server that was paid for its GPU and
    /// computes on its processor is hard to notice. The default is false.
    /// </summary>
    public bool Fallback { get; set; }

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

    /// <inheritdoc/>
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        var problem = Backends.ExecutionProviders.Unknown(this);
        if (problem is null && !Fallback && Backends.ExecutionProviders.Missing(this) is { } missing)
        {
            problem = $"{missing} OnnxRuntime:Fallback=true goes on without it.";
        }

        return problem is null ? [] : [new(problem, [nameof(ExecutionProviders)])];
    }
}
