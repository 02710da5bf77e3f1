using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Benchmarks;

/// <summary>
/// What no server can do without: the bare <c>Run</c>, and decoding with preprocessing. Measured on one thread per processor, because a server under load
/// keeps all of them busy too, and they share caches and memory.
/// </summary>
internal sealed class Floor : IDisposable
{
    private readonly ModelManifest _manifest;
    private readonly InferenceSession _session;
    private readonly Preprocessor _preprocessor;
    private readonly IImageDecoder _decoder = ImageDecoders.Create(new DecodingOptions());

    public Floor(string model, string variant)
    {
        var folder = Repository.BundleOf(model);
        _manifest = Bundle.ReadManifest(folder);
        _preprocessor = new(_manifest.Preprocessing, _manifest.Input);
        using var options = new SessionOptions { GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL, IntraOpNumThreads = 1, InterOpNumThreads = 1 };
        _session = new(Bundle.PathOf(folder, _manifest.Files[variant].File), options);
    }

    /// <summary>CPU milliseconds of one bare <c>Run</c>.</summary>
    public double Run(Photo photo, int count) => Measure(count, thread =>
    {
        var (name, output) = (_manifest.Input.Name, _manifest.Output.Name);
        OrtValue[] inputs = [Allocate(_session.InputMetadata[name].ElementDataType, [.. _manifest.Input.Shape])];
        OrtValue[] outputs = [Allocate(TensorElementType.Float, [1, _session.OutputMetadata[output].Dimensions[^1]])];
        Prepare(photo, thread, inputs[0].GetTensorMutableRawData());
        var options = new RunOptions();
        string[] inputNames = [name], outputNames = [output];
        return _ => _session.Run(options, inputNames, inputs, outputNames, outputs);
    });

    /// <summary>CPU milliseconds of decoding and preprocessing one picture.</summary>
    public double Decode(Photo photo, int count) => Measure(count, thread =>
    {
        var tensor = new byte[_manifest.Input.ByteLength];
        return number => Prepare(photo, number, tensor);
    });

    /// <inheritdoc/>
    public void Dispose() => _session.Dispose();

    private static OrtValue Allocate(TensorElementType type, long[] shape) => OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);

    private static double Measure(int count, Func<int, Action<int>> prepare)
    {
        var started = 0;
        using var ready = new Barrier(Environment.ProcessorCount + 1);
        var threads = Enumerable.Range(0, Environment.ProcessorCount).Select(thread => new Thread(() =>
        {
            var work = prepare(thread);
            work(thread);
            ready.SignalAndWait();
            ready.SignalAndWait();
            for (var number = Interlocked.Increment(ref started) - 1; number < count; number = Interlocked.Increment(ref started) - 1)
            {
                work(number);
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        ready.SignalAndWait();
        var cpu = Environment.CpuUsage.TotalTime;
        ready.SignalAndWait();
        threads.ForEach(thread => thread.Join());
        return (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds / count;
    }

    private void Prepare(Photo photo, int number, Span<byte> tensor)
    {
        using var image = _decoder.Decode(photo.Files[number % photo.Files.Count], _preprocessor.ShrinkTo);
        _preprocessor.Process(image, tensor);
    }
}
