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
public sealed class ImageClassifier(IImageDecoder decoder, DecodePermits permits, InferenceMetrics metrics, SchedulingOptions scheduling,
    TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly TimeSpan _timeout = TimeSpan.FromSeconds(scheduling.TimeoutSeconds);

    /// <summary>
    /// Why a request is refused that would find no place in the queue, before its upload is read; otherwise <see langword="null"/>. It takes no place: a slow
    /// upload must not keep others waiting. Nothing is thrown: in an overload most requests end here, and an exception costs more than the rest of such a
    /// request.
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
    public Task<Classification> ClassifyAsync(Model model, ReadOnlyMemory<byte> file, ClassifyOptions options, CancellationToken cancellationToken) =>
        ClassifyAsync(model, file, options, _timeout, cancellationToken);

    /// <summary>The same within a time of its own: what nobody waits for, such as a self-test, may take as long as it needs.</summary>
    internal async Task<Classification> ClassifyAsync(Model model, ReadOnlyMemory<byte> file, ClassifyOptions options, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        var arrived = _time.GetTimestamp();
        using var deadline = new Deadline(_time, timeout, cancellationToken);
        try
        {
            model.Postprocessor.Check(options);
            using var place = model.Scheduler.Enter();
            using var tensors = model.Backend.Lease(options.Explain);

            // 1. Decode, and 2. preprocess straight into the input tensor. Both on one permit: they are one processor's work.
            var picture = decoder.Open(file, model.Preprocessor.ShrinkTo);
            long started;
            ImageDescription description;
            IReadOnlyList<Warning> warnings;
            TimeSpan decode, preprocess;
            using (await permits.AcquireAsync(picture.Cost, deadline.Token).ConfigureAwait(false))
            {
                started = _time.GetTimestamp();
                using var decoding = InferenceTracing.Start("decode");
                using var image = picture.Decode(deadline.Token);
                decoding.Stop();
                decode = _time.GetElapsedTime(started);
                (description, warnings) = (new(image.OriginalWidth, image.OriginalHeight, image.Format, file.Length), image.Warnings);
                using var preprocessing = InferenceTracing.Start("preprocess");
                model.Preprocessor.Process(image, tensors.Input);
                preprocessing.Stop();
                preprocess = _time.GetElapsedTime(started) - decode;
            }

            // 3. Wait for the turn, and 4. compute.
            deadline.ThrowIfPassed();
            var (queue, compute) = await model.Scheduler.RunAsync(place, tensors, deadline.Token).ConfigureAwait(false);

            // 5. Select the best labels.
            var (predictions, certainty) = model.Postprocessor.Select(tensors, options);
            var abstained = model.Postprocessor.Abstains(certainty);
            var timings = new Timings
            {
                Decode = decode,
                Preprocess = preprocess,
                Queue = queue + _time.GetElapsedTime(arrived, started),
                Compute = compute,
                Total = _time.GetElapsedTime(arrived),
            };
            model.Succeeded();
            metrics.Succeeded(model.Manifest.Name, timings, predictions[0].Confidence, abstained);
            return new()
            {
                Model = model.Manifest.Name,
                Version = model.Manifest.Version,
                Variant = model.Variant,
                Predictions = predictions,
                Abstained = abstained,
                Certainty = certainty,
                Image = description,
                Warnings = warnings,
                Timings = timings,
            };
        }
        catch (InferenceException exception)
        {
            if (exception.Error == InferenceError.BackendFailed)
            {
                model.Failed();
            }

            metrics.Failed(model.Manifest.Name, exception.Error);
            throw;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            metrics.Left(model.Manifest.Name);
            throw;
        }
        catch (OperationCanceledException)
        {
            metrics.Failed(model.Manifest.Name, InferenceError.TimedOut);
            throw new InferenceException(InferenceError.TimedOut, $"The answer took longer than {timeout.TotalSeconds:0.###} seconds and was given up.");
        }
        catch (Exception exception)
        {
            // What nobody foresaw: a library that does not load, no memory, no descriptors.
            model.Failed();
            metrics.Failed(model.Manifest.Name, InferenceError.BackendFailed);
            throw new InferenceException(InferenceError.BackendFailed, "The server failed on this picture. The cause has been logged.", exception);
        }
    }

    /// <summary>The caller's token and the time limit as one token.</summary>
    private sealed class Deadline : IDisposable
    {
        private readonly CancellationTokenSource _source;
        private readonly CancellationTokenRegistration _caller;
        private readonly TimeProvider _time;
        private readonly TimeSpan _timeout;
        private readonly long _started;

        public Deadline(TimeProvider time, TimeSpan timeout, CancellationToken cancellationToken)
        {
            (_time, _timeout, _started) = (time, timeout, time.GetTimestamp());
            _source = new CancellationTokenSource(timeout, time);
            _caller = cancellationToken.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
        }

        public CancellationToken Token => _source.Token;

        /// <summary>Timers run late on a busy machine. What is late is not started, whether its timer has noticed or not.</summary>
        public void ThrowIfPassed()
        {
            if (_timeout != Timeout.InfiniteTimeSpan && _time.GetElapsedTime(_started) > _timeout)
            {
                _source.Cancel();
            }

            _source.Token.ThrowIfCancellationRequested();
        }

        public void Dispose()
        {
            _caller.Dispose();
            _source.Dispose();
        }
    }
}
