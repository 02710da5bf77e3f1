using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Whatsit.Inference;

/// <summary>All instruments of the core. Durations are seconds; stages have the same names as everywhere.</summary>
public sealed class InferenceMetrics : IDisposable
{
    /// <summary>The meter's name, for listeners.</summary>
    public const string MeterName = "Whatsit";

    private readonly Meter _meter = new(MeterName);
    private readonly Counter<long> _requests;
    private readonly Histogram<double> _stages;
    private readonly Histogram<double> _total;

    /// <summary>Creates the instruments.</summary>
    public InferenceMetrics()
    {
        _requests = _meter.CreateCounter<long>("whatsit.requests", description: "Pictures and tensors by model and outcome: ok, or the error's name.");
        _stages = _meter.CreateHistogram<double>("whatsit.stage.duration", "s", "Time per stage: decode, preprocess, queue, compute.");
        _total = _meter.CreateHistogram<double>("whatsit.request.duration", "s", "From the whole file in memory to the predictions.");
    }

    /// <summary>Reports the number of waiting requests per model whenever somebody asks.</summary>
    public void ObserveQueues(Func<IEnumerable<(string Model, int Length)>> queues) => _meter.CreateObservableGauge(
        "whatsit.queue.length",
        () => queues().Select(queue => new Measurement<int>(queue.Length, new KeyValuePair<string, object?>("model", queue.Model))),
        description: "Requests that wait for their turn, or are being prepared.");

    /// <summary>One picture was answered.</summary>
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

    /// <summary>One picture was not answered.</summary>
    public void Failed(string model, InferenceError error)
    {
        var tags = new TagList { { "model", model }, { "outcome", error.ToString() } };
        _requests.Add(1, tags);
    }

    /// <inheritdoc/>
    public void Dispose() => _meter.Dispose();
}
