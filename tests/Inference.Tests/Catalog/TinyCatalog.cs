using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Inference.Tests.Catalog;

/// <summary>A models folder whose one model, <c>colors</c>, loads in milliseconds, and the catalog that serves it. It looks when it is told to.</summary>
internal sealed class TinyCatalog : IAsyncDisposable
{
    private readonly InferenceMetrics _metrics = new();
    private readonly DecodePermits _permits;

    public TinyCatalog(OnnxBackendOptions? backend = null, TimeProvider? time = null, IImageDecoder? decoder = null,
        Action<CatalogOptions>? configure = null)
    {
        var scheduling = new SchedulingOptions { Concurrency = 1 };
        var decoding = new DecodingOptions();
        _permits = new DecodePermits(decoding, scheduling);
        Classifier = new ImageClassifier(decoder ?? ImageDecoders.Create(decoding), _permits, _metrics, scheduling);
        var options = new CatalogOptions { Models = Folder, DefaultModel = "colors", WatchSeconds = 0 };
        configure?.Invoke(options);
        Catalog = new ModelCatalog(options, backend ?? new OnnxBackendOptions(), scheduling, Classifier, _metrics, new ListLogger(Log), time);
        Write(PathOf("colors"), "1");
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("whatsit-models-").FullName;

    public ModelCatalog Catalog { get; }

    public ImageClassifier Classifier { get; }

    /// <summary>What the catalog logged, each with its level.</summary>
    public List<string> Log { get; } = [];

    /// <summary>The version that answers now.</summary>
    public string Version
    {
        get
        {
            using var lease = Catalog.Lease(null);
            return lease.Model.Manifest.Version;
        }
    }

    public string PathOf(string name) => Path.Combine(Folder, name);

    public Task LookAsync() => Catalog.LookAsync(firstLook: false, TestContext.Current.CancellationToken);

    /// <summary>Writes a bundle that calls itself <c>colors</c>.</summary>
    public static void Write(string folder, string version, Func<ModelManifest, ModelManifest>? edit = null)
    {
        Directory.CreateDirectory(folder);
        File.Copy(TestData.Path("onnx", "classifier.onnx"), Path.Combine(folder, "model.onnx"));
        File.WriteAllLines(Path.Combine(folder, "labels.txt"), ["red", "green", "blue"]);
        var manifest = Manifest(version);
        File.WriteAllText(Path.Combine(folder, Bundle.ManifestFile),
            JsonSerializer.Serialize(edit?.Invoke(manifest) ?? manifest, ManifestJson.Default.ModelManifest));
    }

    public static ModelManifest Manifest(string version)
    {
        var weights = File.ReadAllBytes(TestData.Path("onnx", "classifier.onnx"));
        return new()
        {
            Name = "colors",
            Version = version,
            Files = new Dictionary<string, BundleFile> { ["fp32"] = new("model.onnx", weights.Length, Convert.ToHexStringLower(SHA256.HashData(weights))) },
            Input = new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, 2, 2),
            Output = new OutputSpec { Name = "scores", Kind = OutputKind.Logits },
        };
    }

    public async ValueTask DisposeAsync()
    {
        await Catalog.DisposeAsync();
        _permits.Dispose();
        _metrics.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private sealed class ListLogger(List<string> log) : ILogger<ModelCatalog>
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (log)
            {
                log.Add($"{logLevel}: {formatter(state, exception)}");
            }
        }
    }
}
