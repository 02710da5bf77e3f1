using System.Numerics.Tensors;

namespace Whatsit.Inference.Postprocessing;

/// <summary>Logits to probabilities.</summary>
public static class Softmax
{
    /// <summary>Replaces the logits by probabilities; the largest logit is subtracted first, so that no exponential overflows.</summary>
    public static void Apply(Span<float> logits)
    {
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
        TensorPrimitives.SoftMax<float>(logits, logits);
    }
}
