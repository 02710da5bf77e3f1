using System.Collections.Frozen;

namespace Whatsit.Inference;

/// <summary>
/// The stable codes of refusals and warnings, for programs that say them in words of their own. A code never changes its meaning; the README lists them with
/// their parameters.
/// </summary>
public static class Codes
{
    /// <summary>No parameters.</summary>
    public static IReadOnlyDictionary<string, object> None { get; } = FrozenDictionary<string, object>.Empty;

    /// <summary>The code of a failure that has none of its own: its name with dashes.</summary>
    public static string Of(InferenceError error) => error switch
    {
        InferenceError.InvalidRequest => "invalid-request",
        InferenceError.InvalidImage => "invalid-image",
        InferenceError.UnsupportedImage => "unsupported-image",
        InferenceError.ImageTooLarge => "image-too-large",
        InferenceError.ModelNotFound => "model-not-found",
        InferenceError.ModelNotReady => "model-not-ready",
        InferenceError.QueueFull => "queue-full",
        InferenceError.TimedOut => "timed-out",
        InferenceError.UpstreamFailed => "upstream-failed",
        _ => "backend-failed",
    };

    /// <summary>Parameters by name, in their order.</summary>
    internal static IReadOnlyDictionary<string, object> Named(ReadOnlySpan<(string Name, object Value)> parameters)
    {
        if (parameters.IsEmpty)
        {
            return None;
        }

        var named = new Dictionary<string, object>(parameters.Length);
        foreach (var (name, value) in parameters)
        {
            named[name] = value;
        }

        return named;
    }
}
