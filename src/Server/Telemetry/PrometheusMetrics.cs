using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using Whatsit.Inference;

namespace Whatsit.Server.Telemetry;

/// <summary>
/// <c>GET /metrics</c>: our own instruments, ASP.NET Core's and the runtime's, in the Prometheus text format 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/). The feed has no exporter for it.
/// </summary>
internal sealed class PrometheusMetrics : IDisposable
{
    // Seconds; from the preprocessing of a small picture to the request limit.
    private static readonly double[] Buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
    private static readonly string[] Meters = [InferenceMetrics.MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<Instrument, List<Series>> _series = [];

    public PrometheusMetrics()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (Meters.Contains(instrument.Meter.Name))
            {
                lock (_lock)
                {
                    _series.TryAdd(instrument, []);
                }

                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Record(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>Everything measured so far, as text.</summary>
    public string Write()
    {
        var text = new StringBuilder();
        lock (_lock)
        {
            // Observable instruments report totals: what the last scrape heard is replaced.
            foreach (var (instrument, series) in _series.Where(pair => pair.Key.IsObservable))
            {
                series.Clear();
            }
        }

        _listener.RecordObservableInstruments();
        lock (_lock)
        {
            foreach (var (instrument, series) in _series.Where(pair => pair.Value.Count > 0).OrderBy(pair => pair.Key.Name, StringComparer.Ordinal))
            {
                Write(text, instrument, series);
            }
        }

        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    private void Record(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_lock)
        {
            if (!_series.TryGetValue(instrument, out var all))
            {
                return;
            }

            var series = Find(all, tags);
            if (IsHistogram(instrument))
            {
                series.Observe(value);
            }
            else if (instrument.IsObservable)
            {
                series.Sum = value;
            }
            else
            {
                series.Sum += value;
            }
        }
    }

    // An instrument has few series, and comparing tags allocates nothing.
    private static Series Find(List<Series> all, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        foreach (var series in all)
        {
            if (series.Matches(tags))
            {
                return series;
            }
        }

        var created = new Series(tags.ToArray());
        all.Add(created);
        return created;
    }

    private static bool IsHistogram(Instrument instrument) => instrument is Histogram<double> or Histogram<long> or Histogram<int>;

    private static void Write(StringBuilder text, Instrument instrument, List<Series> all)
    {
        var isHistogram = IsHistogram(instrument);
        var isCounter = instrument.GetType().Name is var type && type.Contains("Counter", StringComparison.Ordinal) && !type.Contains("UpDown", StringComparison.Ordinal);
        var name = NameOf(instrument) + (isCounter ? "_total" : "");
        if (!string.IsNullOrEmpty(instrument.Description))
        {
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {instrument.Description.ReplaceLineEndings(" ")}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"# TYPE {name} {(isHistogram ? "histogram" : isCounter ? "counter" : "gauge")}\n");
        foreach (var series in all)
        {
            if (!isHistogram)
            {
                Line(text, name, series.Labels, null, series.Sum);
                continue;
            }

            var count = 0L;
            for (var bucket = 0; bucket < Buckets.Length; bucket++)
            {
                count += series.Counts[bucket];
                Line(text, name + "_bucket", series.Labels, Buckets[bucket].ToString(CultureInfo.InvariantCulture), count);
            }

            Line(text, name + "_bucket", series.Labels, "+Inf", series.Count);
            Line(text, name + "_sum", series.Labels, null, series.Sum);
            Line(text, name + "_count", series.Labels, null, series.Count);
        }
    }

    private static void Line(StringBuilder text, string name, string labels, string? limit, double value)
    {
        text.Append(name);
        var all = limit is null ? labels : labels.Length == 0 ? $"le=\"{limit}\"" : $"{labels},le=\"{limit}\"";
        if (all.Length > 0)
        {
            text.Append('{').Append(all).Append('}');
        }

        text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
    }

    // OpenTelemetry's rule for Prometheus: dots become underscores, the unit is appended in full.
    private static string NameOf(Instrument instrument)
    {
        var name = instrument.Name.Replace('.', '_');
        var unit = instrument.Unit switch { "s" => "seconds", "By" => "bytes", _ => null };
        return unit is null || name.EndsWith(unit, StringComparison.Ordinal) ? name : $"{name}_{unit}";
    }

    private sealed class Series(KeyValuePair<string, object?>[] tags)
    {
        public string Labels { get; } = string.Join(',', tags.Where(tag => tag.Value is not null).Select(tag => $"{tag.Key.Replace('.', '_')}=\"{Escape(tag.Value!)}\""));

        public double Sum { get; set; }

        public long Count { get; private set; }

        public long[] Counts { get; } = new long[Buckets.Length];

        public bool Matches(ReadOnlySpan<KeyValuePair<string, object?>> others)
        {
            if (others.Length != tags.Length)
            {
                return false;
            }

            for (var tag = 0; tag < tags.Length; tag++)
            {
                if (tags[tag].Key != others[tag].Key || !Equals(tags[tag].Value, others[tag].Value))
                {
                    return false;
                }
            }

            return true;
        }

        public void Observe(double value)
        {
            Sum += value;
            Count++;
            var bucket = Array.BinarySearch(Buckets, value);
            bucket = bucket < 0 ? ~bucket : bucket;
            if (bucket < Buckets.Length)
            {
                Counts[bucket]++;
            }
        }

        private static string Escape(object value) => (Convert.ToString(value, CultureInfo.InvariantCulture) ?? "").Replace("\\", @"\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
    }
}
