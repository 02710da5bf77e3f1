using System.Runtime.ExceptionServices;
using Whatsit.Inference;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Evaluation;

/// <summary>The same work on many photos, on all processors.</summary>
internal static class EachPhoto
{
    /// <summary>Does it; a photo that cannot be read is left out.</summary>
    /// <param name="photos">The photos.</param>
    /// <param name="work">What to do with the photo at a place.</param>
    /// <param name="progress">Told after each photo how many are done.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    /// <returns>For each photo why it could not be read.</returns>
    /// <exception cref="ModelFormatException">None of them could be read.</exception>
    public static string?[] Run(IReadOnlyList<LabelledPhoto> photos, Action<int> work, Action<int> progress, CancellationToken cancellationToken)
    {
        var problems = new string?[photos.Count];
        var done = 0;
        var options = new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount };
        try
        {
            Parallel.For(0, photos.Count, options, photo =>
            {
                try
                {
                    work(photo);
                }
                catch (Exception exception) when (exception is InferenceException or IOException or UnauthorizedAccessException)
                {
                    problems[photo] = exception is InferenceException ? exception.Message : "The file cannot be read.";
                }

                progress(Interlocked.Increment(ref done));
            });
        }
        catch (AggregateException exception)
        {
            // What is wrong with the network is the same for every photo.
            ExceptionDispatchInfo.Throw(exception.InnerExceptions[0]);
        }

        return Array.TrueForAll(problems, problem => problem is not null)
            ? throw new ModelFormatException($"None of the {Counted.Of(photos.Count, "photo")} could be read. '{photos[0].Name}': {problems[0]}") : problems;
    }
}
