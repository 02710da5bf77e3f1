using Whatsit.Inference.Catalog;

namespace Whatsit.ModelConversion.Training;

/// <summary>How different a network's answers to several photos are.</summary>
internal static class Divergence
{
    /// <summary>The Kullback–Leibler divergence of each answer from the mean of all, in nats.</summary>
    /// <param name="answers">The probabilities for each photo.</param>
    /// <param name="kind">What they are; several labels at once are a yes or no each.</param>
    public static double[] FromMean(IReadOnlyList<float[]> answers, OutputKind kind)
    {
        var mean = new double[answers[0].Length];
        foreach (var answer in answers)
        {
            for (var index = 0; index < mean.Length; index++)
            {
                mean[index] += answer[index] / (double)answers.Count;
            }
        }

        return [.. answers.Select(answer => answer.Zip(mean, (own, all) =>
            Part(own, all) + (kind == OutputKind.MultiLabel ? Part(1 - own, 1 - all) : 0)).Sum())];

        static double Part(double own, double all) => own > 0 && all > 0 ? own * Math.Log(own / all) : 0;
    }
}
