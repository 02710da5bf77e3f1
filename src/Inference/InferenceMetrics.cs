using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Whatsit.Inference;

/// <summary>All instruments of the core. Durations are seconds; stages have the same names as everywhere.</summary>
public sealed class InferenceMetrics : IDisposable
{
    /// <summary>The meter's name, for listeners.</summary>
    public const string MeterName = "Whatsit";

    // From the preprocessing of a small picture to the request limit.
    private static readonly InstrumentAdvice<double> Stages =
        new() { HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25] };

    // Model and decoder together: nothing is faster than some milliseconds, and around the everyday tenths it is worth to look closely.
    private static readonly InstrumentAdvice<double> Requests =
        new() { HistogramBucketBoundaries = [0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 25] };

    private static readonly InstrumentAdvice<double> Confidences =
        new() { HistogramBucketBoundaries = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99] };

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _stages;
    private readonly Histogram<double> _total;
    private readonly Histogram<double> _confidence;
    private readonly Counter<long> _abstentions;

    /// <summary>Creates the instruments.</summary>
    public InferenceMetrics()
    {
        _requests = _meter.CreateCounter<long>("whatsit.requests", "{request}", "Pictures by model and outcome: ok, or why there was no answer.");
        _stages = _meter.CreateHistogram("whatsit.stage.duration", "s",
            "Time per stage: decode, preprocess, queue, compute; and load, where a request waited for its model.", advice: Stages);
        _total = _meter.CreateHistogram("whatsit.request.duration", "s", "From the whole file in memory to the predictions.", advice: Requests);
        _confidence = _meter.CreateHistogram("whatsit.prediction.confidence", "1",
            "Confidence of the best label. Where it sinks, pictures have become others than the model knows.", advice: Confidences);
        _abstentions = _meter.CreateCounter<long>("whatsit.abstentions", "{picture}",
            "Pictures of which the model was not sure: no label reached its threshold.");
    }

    /// <summary>Reports the number of waiting requests per model whenever somebody asks.</summary>
    public void ObserveQueues(Func<IEnumerable<(string Model, int Length)>> queues) => _meter.CreateObservableGauge(
        "whatsit.queue.length",
        () => queues().Select(queue => new Measurement<int>(queue.Length, new KeyValuePair<string, object?>("model", queue.Model))),
        "{request}",
        "Requests that wait for their turn, or are being prepared.");

    /// <summary>Reports which models are in memory whenever somebody asks.</summary>
    public void ObserveModels(Func<IEnumerable<(string Model, bool IsLoaded)>> models) => _meter.CreateObservableGauge(
        "whatsit.model.loaded",
        () => models().Select(model => new Measurement<int>(model.IsLoaded ? 1 : 0, new KeyValuePair<string, object?>("model", model.Model))),
        description: "1 where the model is in memory, 0 where it is loaded when it is asked, or does not load.");

    /// <summary>A request has waited until its model was loaded.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="waited">How long.</param>
    public void Loaded(string model, TimeSpan waited) =>
        _stages.Record(waited.TotalSeconds, new KeyValuePair<string, object?>("model", model), new("stage", "load"));

    /// <summary>One picture was answered.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="timings">Where the time went.</param>
    public void Succeeded(string model, in Timings timings)
    {
        var tag = new KeyValuePair<string, object?>("model", model);
        _requests.Add(1, tag, new("outcome", "ok"));
        _total.Record(timings.Total.TotalSeconds, tag);
        _stages.Record(timings.Decode.TotalSeconds, tag, new("stage", "decode"));
        _stages.Record(timings.Preprocess.TotalSeconds, tag, new("stage", "preprocess"));
        _stages.Record(timings.Queue.TotalSeconds, tag, new("stage", "queue"));
        _stages.Record(timings.Compute.TotalSeconds, tag, new("stage", "compute"));
    }

    /// <summary>One picture got its labels.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="confidence">The best label's, 0 to 1.</param>
    /// <param name="abstained">Whether that was too little.</param>
    public void Labelled(string model, float confidence, bool abstained)
    {
        var tag = new KeyValuePair<string, object?>("model", model);
        _confidence.Record(confidence, tag);
        // Also where there was none: a rate needs a series that was there before.
        _abstentions.Add(abstained ? 1 : 0, tag);
    }

    /// <summary>One picture was not answered.</summary>
    public void Failed(string model, InferenceError error) => Failed(model, error.ToString());

    /// <summary>The caller did not wait for the answer.</summary>
    public void Left(string model) => Failed(model, "ClientLeft");

    /// <summary>A request for an answer was refused or failed, perhaps before it was known which model was meant.</summary>
    /// <param name="model">The model's name; <see langword="null"/> where none was found. Never what a client made up: every name is a series.</param>
    /// <param name="outcome">Why, one of few.</param>
    public void Failed(string? model, string outcome)
    {
        var tags = new TagList { { "outcome", outcome } };
        if (model is not null)
        {
            tags.Add("model", model);
        }

        _requests.Add(1, tags);
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
