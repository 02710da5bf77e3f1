using System.Diagnostics;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Scheduling;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Bench;

/// <summary>One way to serve a model.</summary>
/// <param name="Variant">The variant of the weights.</param>
/// <param name="Concurrency">How many requests run at once.</param>
/// <param name="IntraOpThreads">Threads within one run.</param>
internal sealed record ServingSettings(string Variant, int Concurrency, int IntraOpThreads)
{
    /// <summary>What is worth trying: each processor an own request, all processors on one request, and where there are enough of them, halves.</summary>
    public static IEnumerable<ServingSettings> Of(string variant, int processors)
    {
        yield return new(variant, processors, 1);
        if (processors > 1)
        {
            yield return new(variant, 1, processors);
        }

        if (processors >= 4)
        {
            yield return new(variant, processors / 2, 2);
        }
    }
}

/// <summary>How one of them did: medians over the rounds, in milliseconds where nothing else is said.</summary>
/// <param name="Settings">Which.</param>
/// <param name="Decode">Reading one picture.</param>
/// <param name="Preprocess">Resizing it into the model's input.</param>
/// <param name="Compute">Running the model, while nothing else runs.</param>
/// <param name="Idle50">Half of the answers took at most so long while there was one request at a time.</param>
/// <param name="Idle99">And 99 of 100.</param>
/// <param name="PerSecond">Answers per second with <see cref="ModelBenchmark.Clients"/> requests at a time.</param>
/// <param name="CpuMs">Processor time of each of them.</param>
/// <param name="Loaded50">Half of those took at most so long.</param>
/// <param name="Loaded99">And 99 of 100.</param>
/// <param name="MemoryMb">Memory that the model added, in MB.</param>
internal sealed record ServingFigures(
    ServingSettings Settings, double Decode, double Preprocess, double Compute, double Idle50, double Idle99, double PerSecond, double CpuMs, double Loaded50,
        double Loaded99, double MemoryMb);

/// <summary>
/// Serves a bundle's photos as the server does, without the network, in every way that is worth trying. All ways take turns, round after round, so that a busy
/// moment of the machine meets all alike.
/// </summary>
internal sealed class ModelBenchmark : IDisposable
{
    // Two waiting for each one that runs: as much as it takes to keep every processor busy.
    public static readonly int Clients = 2 * Environment.ProcessorCount;

    private static readonly ClassifyOptions BestOnly = new(TopK: 1);

    private readonly DecodingOptions _decoding = new();
    private readonly IImageDecoder _decoder;
    private readonly IReadOnlyList<byte[]> _photos;
    private readonly List<Contender> _contenders = [];

    private ModelBenchmark(IReadOnlyList<byte[]> photos)
    {
        _decoder = ImageDecoders.Create(_decoding);
        _photos = photos;
    }

    /// <summary>Measures every setting.</summary>
    /// <param name="manifest">The bundle.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="settings">The ways to try.</param>
    /// <param name="photos">The files to send.</param>
    /// <param name="rounds">How often each takes its turn; medians count.</param>
    /// <param name="seconds">How long a turn lasts, under each of the two loads.</param>
    /// <param name="progress">Hears what is going on.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<IReadOnlyList<ServingFigures>> RunAsync(
        ModelManifest manifest, string folder, IReadOnlyList<ServingSettings> settings, IReadOnlyList<byte[]> photos, int rounds, double seconds,
            Action<string> progress, CancellationToken cancellationToken)
    {
        using var benchmark = new ModelBenchmark(photos);
        foreach (var setting in settings)
        {
            progress($"Loading {setting.Variant}, {setting.Concurrency} × {setting.IntraOpThreads}");
            benchmark._contenders.Add(await benchmark.LoadAsync(manifest, folder, setting, cancellationToken));
        }

        for (var round = 1; round <= rounds; round++)
        {
            foreach (var contender in benchmark._contenders)
            {
                progress($"Round {round} of {rounds}: {contender.Settings.Variant}, {contender.Settings.Concurrency} × {contender.Settings.IntraOpThreads}");
                contender.Idle.Add(await benchmark.DriveAsync(contender, 1, seconds, cancellationToken));
                contender.Loaded.Add(await benchmark.DriveAsync(contender, Clients, seconds, cancellationToken));
            }
        }

        return [.. benchmark._contenders.Select(contender => contender.Figures())];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var contender in _contenders)
        {
            contender.Dispose();
        }
    }

    private async Task<Contender> LoadAsync(ModelManifest manifest, string folder, ServingSettings settings, CancellationToken cancellationToken)
    {
        var before = WorkingSet();
        var scheduling = new SchedulingOptions { Concurrency = settings.Concurrency, MaxQueueLength = 4 * Clients };
        var contender = new Contender(settings, Model.Load(manifest, folder, settings.Variant,
            new OnnxBackendOptions { IntraOpThreads = settings.IntraOpThreads }, scheduling), _decoder, _decoding, scheduling);
        try
        {
            // Every photo once: that warms up, and says now which of them cannot be used.
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
            {
                for (var photo = client; photo < Math.Max(_photos.Count, Clients); photo += Clients)
                {
                    await contender.Classifier.ClassifyAsync(contender.Model, _photos[photo % _photos.Count], BestOnly, cancellationToken);
                }
            }));
        }
        catch
        {
            contender.Dispose();
            throw;
        }

        contender.MemoryMb = Math.Max(0, WorkingSet() - before) / 1e6;
        return contender;
    }

    private static long WorkingSet()
    {
        GC.Collect();
        ResidentMemory.Trim();
        return Environment.WorkingSet;
    }

    /// <summary>So many clients, each with its next photo as soon as it has the answer to the last one.</summary>
    private async Task<Turn> DriveAsync(Contender contender, int clients, double seconds, CancellationToken cancellationToken)
    {
        var answers = new List<(double Ms, Timings Timings)>[clients];
        var cpu = Environment.CpuUsage.TotalTime;
        var started = Stopwatch.GetTimestamp();
        var next = 0;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(
            async () =>
            {
                answers[client] = [];
                do
                {
                    var photo = _photos[Interlocked.Increment(ref next) % _photos.Count];
                    var asked = Stopwatch.GetTimestamp();
                    var answer = await contender.Classifier.ClassifyAsync(contender.Model, photo, BestOnly, cancellationToken);
                    answers[client].Add((Stopwatch.GetElapsedTime(asked).TotalMilliseconds, answer.Timings));
                }
                while (Stopwatch.GetElapsedTime(started).TotalSeconds < seconds);
            },
            cancellationToken)));
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var cpuMs = (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds;
        List<(double Ms, Timings Timings)> all = [.. answers.SelectMany(list => list)];
        var sorted = Percentiles.Sort(all.Select(answer => answer.Ms));
        return new Turn(
            Percentiles.Of(sorted, 0.5),
            Percentiles.Of(sorted, 0.99),
            all.Count / elapsed,
            cpuMs / all.Count,
            Median(all, answer => answer.Timings.Decode.TotalMilliseconds),
            Median(all, answer => answer.Timings.Preprocess.TotalMilliseconds),
            Median(all, answer => answer.Timings.Compute.TotalMilliseconds));
    }

    private static double Median<T>(IEnumerable<T> items, Func<T, double> value) => Percentiles.Median(items.Select(value));

    private sealed record Turn(double P50, double P99, double PerSecond, double CpuMs, double Decode, double Preprocess, double Compute);

    /// <summary>A loaded model with a queue and a classifier of its own.</summary>
    private sealed class Contender : IDisposable
    {
        private readonly InferenceMetrics _metrics = new();
        private readonly DecodePermits _permits;
        private readonly ModelLease _lease;

        public Contender(ServingSettings settings, Model model, IImageDecoder decoder, DecodingOptions decoding, SchedulingOptions scheduling)
        {
            Settings = settings;
            _lease = new ModelLease(model);
            _permits = new DecodePermits(decoding, scheduling);
            Classifier = new ImageClassifier(decoder, _permits, _metrics, scheduling);
        }

        public ServingSettings Settings { get; }

        public Model Model => _lease.Model;

        public ImageClassifier Classifier { get; }

        public double MemoryMb { get; set; }

        public List<Turn> Idle { get; } = [];

        public List<Turn> Loaded { get; } = [];

        public ServingFigures Figures() => new(
            Settings,
            Median(Idle, turn => turn.Decode),
            Median(Idle, turn => turn.Preprocess),
            Median(Idle, turn => turn.Compute),
            Median(Idle, turn => turn.P50),
            Median(Idle, turn => turn.P99),
            Median(Loaded, turn => turn.PerSecond),
            Median(Loaded, turn => turn.CpuMs),
            Median(Loaded, turn => turn.P50),
            Median(Loaded, turn => turn.P99),
            MemoryMb);

        public void Dispose()
        {
            _lease.Dispose();
            _permits.Dispose();
            _metrics.Dispose();
        }
    }
}
