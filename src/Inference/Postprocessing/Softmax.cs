using System.Numerics.Tensors;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Postprocessing;

/// <summary>Logits to probabilities.</summary>
public static class Softmax
{
    /// <summary>Replaces a model's main output by the probabilities that are its answer: softmax where it holds logits, and the temperature.</summary>
    public static void ToProbabilities(Span<float> scores, OutputSpec output)
    {
        // Classes that are each for themselves have no softmax that would make them one answer.
        if (output.Kind == OutputKind.MultiLabel)
        {
            return;
        }

        if (output.Temperature is { } temperature and not 1)
        {
            if (output.Kind == OutputKind.Probabilities)
            {
                // Logits but for a constant, which the softmax does not see. What is 0 stays 0.
                TensorPrimitives.Log(scores, scores);
            }

            TensorPrimitives.Divide(scores, temperature, scores);
            Apply(scores);
        }
        else if (output.Kind == OutputKind.Logits)
        {
            Apply(scores);
        }
    }

    /// <summary>Replaces the logits by probabilities; the largest logit is subtracted first, so that no exponential overflows.</summary>
    public static void Apply(Span<float> logits)
    {
        TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
        TensorPrimitives.SoftMax<float>(logits, logits);
    }
}
