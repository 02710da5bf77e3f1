using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using Perfolizer.Horology;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Benchmarks;

/// <summary>One layer's figures.</summary>
/// <param name="Layer">The method of <see cref="Layers"/>.</param>
/// <param name="Size">The picture.</param>
/// <param name="Milliseconds">The median of one call.</param>
/// <param name="Bytes">Managed bytes that one call allocates.</param>
internal sealed record LayerRow(string Layer, string Size, double Milliseconds, long Bytes);

/// <summary>
/// The layers of one request, each alone and one call after the other: decode, preprocess, schedule, run, select, the web around them, and then all of
/// them as one. What the sum leaves of <see cref="Request"/> is what nobody accounts for.
/// </summary>
public class Layers : IDisposable
{
    /// <summary>The layers that together make <see cref="Classify"/>.</summary>
    public static readonly string[] OfClassify = [nameof(Decode), nameof(Preprocess), nameof(Schedule), nameof(Run), nameof(Select)];

    private static IReadOnlyList<Photo> _photos = [];
    private static string _server = "", _model = "";

    private readonly SchedulingOptions _scheduling = new();
    private readonly DecodingOptions _decoding = new();
    private readonly InferenceMetrics _metrics = new();
    private readonly NoBackend _nothing = new();
    private readonly int[] _best = new int[5];
    private IImageDecoder _decoder = null!;
    private ImageClassifier _classifier = null!;
    private DecodePermits _permits = null!;
    private ModelLease _lease;
    private Tensors _tensors = null!;
    private Scheduler _scheduler = null!;
    private RgbImage _image = null!;
    private byte[] _tensor = [];
    private byte[] _file = [];
    private Contestant _running = null!;
    private HttpConnection _connection = null!;
    private byte[] _post = [], _get = [];

    [ParamsSource(nameof(Sizes))]
    public string Size { get; set; } = "";

    public static IEnumerable<string> Sizes => _photos.Select(photo => photo.Name);

    /// <summary>Measures all layers in this process, and the request against the published server.</summary>
    internal static IReadOnlyList<LayerRow> Measure(IReadOnlyList<Photo> photos, string server, string model)
    {
        (_photos, _server, _model) = (photos, server, model);
        var config = ManualConfig.CreateEmpty()
            .AddJob(Job.Default.WithToolchain(new InProcessNoEmitToolchain(TimeSpan.FromMinutes(10), logOutput: false))
                .WithIterationTime(TimeInterval.FromMilliseconds(250)).WithWarmupCount(4).WithIterationCount(12))
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddLogger(NullLogger.Instance)
            .WithArtifactsPath(Repository.PathOf("artifacts", "benchmarks"));
        return [.. BenchmarkRunner.Run<Layers>(config).Reports.Select(report => new LayerRow(
            report.BenchmarkCase.Descriptor.WorkloadMethod.Name,
            (string)report.BenchmarkCase.Parameters[nameof(Size)],
            (report.ResultStatistics?.Median ?? double.NaN) / 1e6,
            report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase) ?? 0))];
    }

    [GlobalSetup]
    public void Setup()
    {
        var photo = _photos.Single(photo => photo.Name == Size);
        var folder = Repository.BundleOf(_model);
        var manifest = Bundle.ReadManifest(folder);
        _file = photo.Files[0];
        _decoder = ImageDecoders.Create(_decoding);
        _permits = new(_decoding, _scheduling);
        _classifier = new(_decoder, _permits, _metrics, _scheduling);
        _lease = new(Model.Load(manifest, folder, "fp32", new OnnxBackendOptions(), _scheduling));
        _scheduler = new(_nothing, _scheduling);
        _image = _decoder.Decode(_file, _lease.Model.Preprocessor.ShrinkTo);
        _tensor = new byte[manifest.Input.ByteLength];
        _tensors = _lease.Model.Backend.Lease([]);
        _lease.Model.Preprocessor.Process(_image, _tensors.Input);
        Run().AsTask().GetAwaiter().GetResult();
        _running = Starter.WhatsitAsync(_server, "Whatsit", _model, "fp32").GetAwaiter().GetResult();
        _connection = new(_running.Port);
        (_post, _get) = (HttpConnection.Post(_running.Path, _file), HttpConnection.Get("/health/live"));
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _connection.Dispose();
        _running.Dispose();
        _tensors.Dispose();
        _image.Dispose();
        _scheduler.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _lease.Dispose();
        _permits.Dispose();
        _metrics.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>File to pixels.</summary>
    [Benchmark]
    public void Decode() => _decoder.Decode(_file, _lease.Model.Preprocessor.ShrinkTo).Dispose();

    /// <summary>Pixels to input tensor.</summary>
    [Benchmark]
    public void Preprocess() => _lease.Model.Preprocessor.Process(_image, _tensor);

    /// <summary>The way through the queue to a backend that does nothing, and back.</summary>
    [Benchmark]
    public async Task Schedule() => await _scheduler.RunAsync(_nothing.Tensors, CancellationToken.None);

    /// <summary>The model.</summary>
    [Benchmark]
    public ValueTask Run() => _lease.Model.Backend.RunAsync([_tensors], CancellationToken.None);

    /// <summary>The best labels of all scores.</summary>
    [Benchmark]
    public void Select() => TopK.Select(_tensors.Scores, _best);

    /// <summary>All of the above in one, as the server calls it.</summary>
    [Benchmark]
    public Task<Classification> Classify() => _classifier.ClassifyAsync(_lease.Model, _file, new ClassifyOptions(TopK: 5), CancellationToken.None);

    /// <summary>The web alone: a request that asks for nothing.</summary>
    [Benchmark]
    public Task<int> Http() => _connection.SendAsync(_get);

    /// <summary>A whole request to the published server.</summary>
    [Benchmark]
    public Task<int> Request() => _connection.SendAsync(_post);

    private sealed class NoBackend : IBackend
    {
        public Tensors Tensors { get; } = new NoTensors();

        public IReadOnlyList<TensorSpec> Outputs => [];

        public Tensors Lease(IReadOnlyList<string> others) => Tensors;

        public ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public void Dispose()
        {
        }

        private sealed class NoTensors : Tensors
        {
            public override Span<byte> Input => [];

            public override Span<float> Scores => [];

            public override OutputView Output(string name) => default;

            public override void Dispose()
            {
            }
        }
    }
}
