using System.Diagnostics;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference;

/// <summary>
/// The map of the server: one picture's way from file to labels, top to bottom.
/// <code>
///   file ──1──► pixels ──2──► tensor ──3──► waiting ──4──► scores ──5──► labels
///       decode      preprocess     queue         compute       select
/// </code>
/// </summary>
public sealed class ImageClassifier(IImageDecoder decoder, DecodePermits permits, InferenceMetrics metrics, SchedulingOptions scheduling)
{
    private readonly TimeSpan _timeout = TimeSpan.FromSeconds(scheduling.TimeoutSeconds);

    /// <summary>
    /// Why a request is refused that would find no place in the queue, before its upload is read; otherwise <see langword="null"/>. It takes no place: a slow
    /// upload must not keep others waiting. Nothing is thrown: in an overload most requests end here, and an exception costs more than the rest of such a request.
    /// </summary>
    public InferenceException? Refuse(Model model)
    {
        var refusal = model.Scheduler.Refusal;
        if (refusal is not null)
        {
            metrics.Failed(model.Manifest.Name, refusal.Error);
        }

        return refusal;
    }

    /// <summary>Classifies one picture.</summary>
    /// <param name="model">A leased model.</param>
    /// <param name="file">The picture's file, whole.</param>
    /// <param name="options">What the caller wants to know.</param>
    /// <param name="cancellationToken">The caller left.</param>
    /// <exception cref="InferenceException">Every failure that is not the caller's leaving.</exception>
    public async Task<Classification> ClassifyAsync(Model model, ReadOnlyMemory<byte> file, ClassifyOptions options, CancellationToken cancellationToken)
    {
        var arrived = Stopwatch.GetTimestamp();
        using var deadline = Deadline.Start(_timeout, cancellationToken);
        try
        {
            model.Check(options);
            using var place = model.Scheduler.Enter();
            using var instance = model.Backend.Lease(options.Explain);

            // 1. Decode, and 2. preprocess straight into the instance's input tensor. Both on one permit: they are one processor's work.
            await permits.AcquireAsync(deadline.Token).ConfigureAwait(false);
            var started = Stopwatch.GetTimestamp();
            ImageDescription description;
            TimeSpan decode, preprocess;
            try
            {
                using var image = decoder.Decode(file, model.Preprocessor.ShrinkTo, deadline.Token);
                decode = Stopwatch.GetElapsedTime(started);
                description = new(image.OriginalWidth, image.OriginalHeight, image.Format, file.Length);
                model.Preprocessor.Process(image, instance.Input);
                preprocess = Stopwatch.GetElapsedTime(started) - decode;
            }
            finally
            {
                permits.Release();
            }

            // 3. Wait for an instance, and 4. compute there.
            var (queue, compute) = await model.Scheduler.RunAsync(place, instance, deadline.Token).ConfigureAwait(false);

            // 5. Select the best labels.
            var (predictions, abstained) = model.Select(instance, options);
            var timings = new Timings
            {
                Decode = decode,
                Preprocess = preprocess,
                Queue = queue + Stopwatch.GetElapsedTime(arrived, started),
                Compute = compute,
                Total = Stopwatch.GetElapsedTime(arrived),
            };
            metrics.Succeeded(model.Manifest.Name, timings);
            return new()
            {
                Model = model.Manifest.Name,
                Version = model.Manifest.Version,
                Variant = model.Variant,
                Predictions = predictions,
                Abstained = abstained,
                Image = description,
                Timings = timings,
            };
        }
        catch (InferenceException exception)
        {
            metrics.Failed(model.Manifest.Name, exception.Error);
            throw;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            metrics.Failed(model.Manifest.Name, InferenceError.TimedOut);
            throw new InferenceException(InferenceError.TimedOut, $"The answer took longer than {_timeout.TotalSeconds:0.###} seconds and was given up.");
        }
    }

    /// <summary>The caller's token and the time limit as one token.</summary>
    private readonly struct Deadline(CancellationTokenSource source) : IDisposable
    {
        public CancellationToken Token => source.Token;

        public static Deadline Start(TimeSpan timeout, CancellationToken cancellationToken)
        {
            var source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            source.CancelAfter(timeout);
            return new(source);
        }

        public void Dispose() => source.Dispose();
    }
}
