using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
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
    TimeProvider? time = null, ExplainOptions? explain = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly ExplainOptions _explain = explain ?? new();
    private readonly TimeSpan _timeout = TimeSpan.FromSeconds(scheduling.TimeoutSeconds);

    /// <summary>
    /// Why a request is refused that would find no place in the queue, before its upload is read; otherwise <see langword="null"/>. It takes no place: a slow
    /// upload must not keep others waiting. Nothing is thrown: in an overload most requests end here, and an exception costs more than the rest of such a
    /// request.
    /// </summary>
    public InferenceException? Refuse(Model model)
    {
        var refusal = model.Scheduler.Refusal
            ?? (model.Backend.Problem is { } problem ? new InferenceException(InferenceError.ModelNotReady, problem) : null);
        if (refusal is not null)
        {
            metrics.Failed(model.Manifest.Name, refusal.Error);
            model.Statistics.Failed(TimeSpan.Zero);
        }

        return refusal;
    }

    /// <summary>Refuses what the model cannot answer.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>, naming the value and the limit.</exception>
    public void Check(Model model, ClassifyOptions options)
    {
        model.Postprocessor.Check(options);
        if (options.Explain && !model.Postprocessor.HasMaps && OcclusionRuns(model) == 0)
        {
            throw new InferenceException(
                InferenceError.InvalidRequest,
                $"The model '{model.Manifest.Name}' cannot explain its answers: its bundle has no feature map or no classifier weights, and covering parts of the "
                + $"picture would take more runs than are allowed ({_explain.OcclusionRuns}).");
        }
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
        var occludes = options.Explain && !model.Postprocessor.HasMaps;
        var ((predictions, certainty, explanation), way) = await RunAsync(
            model,
            new(file, IsTensor: false),
            (Classifier: this, Options: options),
            static (model, wanted) =>
            {
                wanted.Classifier.Check(model, wanted.Options);
                return wanted.Options.Explain && model.Postprocessor.HasMaps ? [model.Manifest.Output.Features!] : [];
            },
            static (model, wanted, tensors) => Select(model, wanted.Options, tensors),
            timeout,
            cancellationToken,
            occludes ? OccludeAsync : null).ConfigureAwait(false);
        var abstained = model.Postprocessor.Abstains(certainty);
        metrics.Labelled(model.Manifest.Name, predictions[0].Confidence, abstained);
        return new()
        {
            Model = model.Manifest.Name,
            Version = model.Manifest.Version,
            Variant = model.Variant,
            Predictions = predictions,
            Abstained = abstained,
            Certainty = certainty,
            Explanation = explanation,
            Image = way.Image!,
            Warnings = way.Warnings,
            Timings = way.Timings,
        };
    }

    /// <summary>Computes outputs of the model's graph, as they are, from a picture or from a tensor.</summary>
    /// <param name="model">A leased model.</param>
    /// <param name="input">A picture, which goes the whole way, or a tensor, which begins at its queue.</param>
    /// <param name="outputs">Their names.</param>
    /// <param name="within">How long the caller will wait, if less than others.</param>
    /// <param name="cancellationToken">The caller left.</param>
    /// <exception cref="InferenceException">Every failure that is not the caller's leaving.</exception>
    public async Task<TensorAnswer> InferAsync(Model model, ModelInput input, IReadOnlyList<string> outputs, TimeSpan? within,
        CancellationToken cancellationToken)
    {
        var (tensors, way) = await RunAsync(
            model,
            input,
            outputs,
            static (model, outputs) =>
            {
                var known = model.Backend.Outputs.Select(output => output.Name);
                return outputs.Except(known).FirstOrDefault() is { } unknown
                    ? throw new InferenceException(InferenceError.InvalidRequest,
                        $"unexpected inference output '{unknown}' for model '{model.Manifest.Name}'; it has {string.Join(", ", known)}")
                    : outputs;
            },
            static (model, outputs, tensors) => outputs.Select(name => Copy(model.Backend, tensors, name)).ToArray(),
            within < _timeout ? within.Value : _timeout,
            cancellationToken).ConfigureAwait(false);
        return new(input.Bytes.Length, tensors)
        {
            Model = model.Manifest.Name,
            Version = model.Manifest.Version,
            Variant = model.Variant,
            Warnings = way.Warnings,
            Timings = way.Timings,
        };
    }

    /// <summary>The way of one picture, or of one tensor, which has no first step.</summary>
    /// <param name="model">A leased model.</param>
    /// <param name="input">What came.</param>
    /// <param name="wanted">What the caller wants to know. It is handed to the two that follow, which hold nothing themselves: no request makes them anew.</param>
    /// <param name="ask">Refuses what the model cannot answer; names the outputs that are needed beside the main one.</param>
    /// <param name="select">What is wanted of the outputs.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="cancellationToken">The caller left.</param>
    /// <param name="further">Runs that the answer needs beside the first, if it does.</param>
    private async Task<(TAnswer Answer, Way Way)> RunAsync<TWanted, TAnswer>(Model model, ModelInput input, TWanted wanted,
        Func<Model, TWanted, IReadOnlyList<string>> ask, Func<Model, TWanted, Tensors, TAnswer> select, TimeSpan timeout,
        CancellationToken cancellationToken, Func<Model, TAnswer, Tensors, Deadline, Task<Further<TAnswer>>>? further = null)
    {
        var arrived = _time.GetTimestamp();
        using var deadline = new Deadline(_time, timeout, cancellationToken);
        try
        {
            var others = ask(model, wanted);
            using var place = model.Scheduler.Enter();
            using var tensors = model.Backend.Lease(others);
            tensors.Deadline = deadline.Timestamp;
            var way = input.IsTensor
                ? Take(model, input.Bytes, tensors)
                : await PrepareAsync(model, input.Bytes, tensors, deadline.Token).ConfigureAwait(false);

            // 3. Wait for the turn, and 4. compute.
            deadline.ThrowIfPassed();
            // Where it takes further runs, the place is kept until the last: they are no further requests, and others must not come in between without end.
            var (queue, compute) = await model.Scheduler.RunAsync(further is null ? place : null, tensors, deadline.Token).ConfigureAwait(false);

            // 5. Select what is wanted.
            var answer = select(model, wanted, tensors);
            if (further is not null)
            {
                var more = await further(model, answer, tensors, deadline).ConfigureAwait(false);
                (answer, queue, compute) = (more.Answer, queue + more.Queue, compute + more.Compute);
            }

            var timings = way.Timings with { Queue = way.Timings.Queue + queue, Compute = compute, Total = _time.GetElapsedTime(arrived) };
            model.Succeeded(timings);
            metrics.Succeeded(model.Manifest.Name, timings);
            return (answer, way with { Timings = timings });
        }
        catch (InferenceException exception)
        {
            if (exception.Error is InferenceError.BackendFailed or InferenceError.UpstreamFailed)
            {
                model.Failed();
            }

            metrics.Failed(model.Manifest.Name, exception.Error);
            model.Statistics.Failed(_time.GetElapsedTime(arrived));
            throw;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            metrics.Left(model.Manifest.Name);
            model.Statistics.Failed(_time.GetElapsedTime(arrived));
            throw;
        }
        catch (OperationCanceledException)
        {
            metrics.Failed(model.Manifest.Name, InferenceError.TimedOut);
            model.Statistics.Failed(_time.GetElapsedTime(arrived));
            throw deadline.Passed();
        }
        catch (Exception exception)
        {
            // What nobody foresaw: a library that does not load, no memory, no descriptors.
            model.Failed();
            metrics.Failed(model.Manifest.Name, InferenceError.BackendFailed);
            model.Statistics.Failed(_time.GetElapsedTime(arrived));
            throw new InferenceException(InferenceError.BackendFailed, "The server failed on this picture. The cause has been logged.", exception);
        }
    }

    /// <summary>1. Decode, and 2. preprocess straight into the input tensor. Both on one permit: they are one processor's work.</summary>
    private async ValueTask<Way> PrepareAsync(Model model, ReadOnlyMemory<byte> file, Tensors tensors, CancellationToken cancellationToken)
    {
        var arrived = _time.GetTimestamp();
        var picture = decoder.Open(file, model.Preprocessor.ShrinkTo);
        using (await permits.AcquireAsync(picture.Cost, cancellationToken).ConfigureAwait(false))
        {
            var started = _time.GetTimestamp();
            using var decoding = InferenceTracing.Start("decode");
            using var image = picture.Decode(cancellationToken);
            decoding.Stop();
            var decode = _time.GetElapsedTime(started);
            using var preprocessing = InferenceTracing.Start("preprocess");
            model.Preprocessor.Process(image, tensors.Input);
            preprocessing.Stop();
            return new(
                new(image.OriginalWidth, image.OriginalHeight, image.Format, file.Length),
                image.Warnings,
                new() { Decode = decode, Preprocess = _time.GetElapsedTime(started) - decode, Queue = _time.GetElapsedTime(arrived, started) });
        }
    }

    private static Selection Select(Model model, ClassifyOptions options, Tensors tensors)
    {
        var isOccluded = options.Explain && !model.Postprocessor.HasMaps;
        var scores = isOccluded ? tensors.Scores.ToArray() : null;
        var (predictions, certainty) = model.Postprocessor.Select(tensors, options);
        return new(predictions, certainty, options.Explain && !isOccluded ? new(Explanation.ClassActivation, 0) : null) { Scores = scores };
    }

    private int OcclusionRuns(Model model) => OcclusionMap.RunsWithin(_explain.OcclusionRuns, model.Manifest.Input);

    /// <summary>Asks again with each part of the picture covered, one run after the other: one request must not have all processors.</summary>
    private async Task<Further<Selection>> OccludeAsync(Model model, Selection first, Tensors tensors, Deadline deadline)
    {
        var (queue, compute) = (TimeSpan.Zero, TimeSpan.Zero);
        var runs = OcclusionRuns(model);
        var map = new OcclusionMap(model.Manifest.Input, model.Manifest.Output.Kind, runs, tensors.Input, first.Scores,
            [.. first.Predictions.Select(prediction => prediction.Index)]);
        for (var run = 0; run < runs; run++)
        {
            deadline.ThrowIfPassed();
            map.Cover(run, tensors.Input);
            var (waited, ran) = await model.Scheduler.RunAsync(place: null, tensors, deadline.Token).ConfigureAwait(false);
            map.Take(run, tensors.Scores);
            (queue, compute) = (queue + waited, compute + ran);
        }

        Prediction[] explained = [.. first.Predictions.Select((prediction, place) => prediction with { Map = map.Of(place) })];
        return new(first with { Predictions = explained, Explanation = new(Explanation.Occlusion, runs) }, queue, compute);
    }

    /// <summary>A tensor is taken as it is.</summary>
    private static Way Take(Model model, ReadOnlyMemory<byte> tensor, Tensors tensors)
    {
        if (tensor.Length != tensors.Input.Length)
        {
            throw new InferenceException(InferenceError.InvalidRequest,
                $"The tensor has {Counted.Of(tensor.Length, "byte")}; the input '{model.Manifest.Input.Name}' takes {tensors.Input.Length:N0}.");
        }

        tensor.Span.CopyTo(tensors.Input);
        return new(null, [], default);
    }

    private static OutputTensor Copy(IBackend backend, Tensors tensors, string name)
    {
        var output = tensors.Output(name);
        return new(name, backend.Outputs.First(spec => spec.Name == name).Type, output.Shape.ToArray(), output.Bytes.ToArray());
    }

    /// <summary>What is answered to a picture.</summary>
    private readonly record struct Selection(IReadOnlyList<Prediction> Predictions, float? Certainty, Explanation? Explanation)
    {
        /// <summary>The main output as it was, where further runs are compared with it.</summary>
        public float[]? Scores { get; init; }
    }

    /// <summary>An answer after further runs, and what they took.</summary>
    private readonly record struct Further<TAnswer>(TAnswer Answer, TimeSpan Queue, TimeSpan Compute);

    /// <summary>What is known of an input besides its answer.</summary>
    private readonly record struct Way(ImageDescription? Image, IReadOnlyList<Warning> Warnings, Timings Timings);
}
