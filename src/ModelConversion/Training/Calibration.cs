using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;

namespace Whatsit.ModelConversion.Training;

/// <summary>
/// Finds the temperature with which a model's confidence is the share of its answers that are right. Guo et al. 2017, "On Calibration of Modern Neural
/// Networks", section 4.2 (https://arxiv.org/abs/1706.04599): the one with the least −log p(class) over labelled photos that it was not trained on. As if of two
/// photos more one were mistaken (Platt 1999, "Probabilistic Outputs for Support Vector Machines", section 2.2): photos that are all answered rightly would
/// else make it sure of everything.
/// </summary>
public static class Calibration
{
    private const double Coldest = 0.05;
    private const double Hottest = 20;

    /// <summary>The best temperature; 1, which changes nothing, where each class is for itself.</summary>
    /// <param name="scores">The main output for each photo, as the model gave it.</param>
    /// <param name="labels">The class of each.</param>
    /// <param name="kind">What the scores hold.</param>
    public static float Temperature(IReadOnlyList<float[]> scores, IReadOnlyList<int> labels, OutputKind kind)
    {
        if (kind == OutputKind.MultiLabel)
        {
            return 1;
        }

        // The loss has one valley over the logarithm: golden section search, to a thousandth.
        var ratio = (Math.Sqrt(5) - 1) / 2;
        var share = (scores.Count + 1d) / (scores.Count + 2);
        var (low, high) = (Math.Log(Coldest), Math.Log(Hottest));
        var (left, right) = (high - (ratio * (high - low)), low + (ratio * (high - low)));
        var (atLeft, atRight) = (Loss(left), Loss(right));
        while (high - low > 1e-3)
        {
            if (atLeft < atRight)
            {
                (high, right, atRight) = (right, left, atLeft);
                left = high - (ratio * (high - low));
                atLeft = Loss(left);
            }
            else
            {
                (low, left, atLeft) = (left, right, atRight);
                right = low + (ratio * (high - low));
                atRight = Loss(right);
            }
        }

        return MathF.Round((float)Math.Exp((low + high) / 2), 3);

        double Loss(double logarithm)
        {
            var output = new OutputSpec { Kind = kind, Temperature = (float)Math.Exp(logarithm) };
            var losses = new double[scores.Count];
            Parallel.For(0, scores.Count, photo =>
            {
                float[] probabilities = [.. scores[photo]];
                Softmax.ToProbabilities(probabilities, output);
                var right = Logarithm(probabilities[labels[photo]]);
                var wrong = (probabilities.Sum(Logarithm) - right) / Math.Max(1, probabilities.Length - 1);
                losses[photo] = -((share * right) + ((1 - share) * wrong));
            });
            return losses.Sum();
        }

        static double Logarithm(float probability) => Math.Log(Math.Max(probability, 1e-30f));
    }
}
