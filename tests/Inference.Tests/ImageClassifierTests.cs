using System.Diagnostics.Metrics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Time.Testing;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;

namespace Whatsit.Inference.Tests;

/// <summary>The whole way of a picture, with a decoder, a model and a clock that do as they are told.</summary>
public sealed class ImageClassifierTests : IAsyncDisposable
{
    private static readonly byte[] File = new byte[1234];

    private readonly FakeTimeProvider _time = new();
    private readonly ToldDecoder _decoder = new();
    private readonly ToldBackend _backend = new();
    private readonly InferenceMetrics _metrics = new();
    private readonly SchedulingOptions _scheduling = new() { Concurrency = 1, MaxQueueLength = 2, TimeoutSeconds = 25 };
    private readonly DecodePermits _permits;
    private readonly ImageClassifier _classifier;
    private readonly Model _model;

    public ImageClassifierTests()
    {
        _permits = new DecodePermits(new DecodingOptions { MaxConcurrency = 1 }, _scheduling);
        _classifier = new ImageClassifier(_decoder, _permits, _metrics, _scheduling, _time);
        var manifest = new ModelManifest
        {
            Name = "fruit",
            Version = "7",
            Files = new Dictionary<string, BundleFile>(),
            Input = new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 2, 1),
            Preprocessing = new PreprocessingSpec { Crop = Crop.None },
            Output = new OutputSpec { Name = "scores", Kind = OutputKind.Logits, Features = "features" },
            Abstain = new AbstainSpec(0.6f),
        };
        ClassLabel[] classes = [new(0, "apple", null), new(1, "pear", null), new(2, "plum", null)];
        _model = new Model(manifest, new BundleFiles(manifest, Path.GetTempPath()), "fp32", classes, _backend,
            new Postprocessor(manifest, classes, [3, 2, 1], (1, 1, 1)), _scheduling, _time);
    }

    [Fact]
    public async Task A_picture_becomes_labels_and_every_stage_its_time()
    {
        _decoder.Does = () => _time.Advance(TimeSpan.FromMilliseconds(5));
        _backend.Does = tensors =>
        {
            Assert.Equal<byte>([1, 2, 3, 4, 5, 6], tensors.Input.ToArray());
            ((ReadOnlySpan<float>)[0, MathF.Log(8), 0]).CopyTo(tensors.Scores);
            _time.Advance(TimeSpan.FromMilliseconds(7));
        };

        var answer = await ClassifyAsync(new ClassifyOptions(TopK: 2));

        Assert.Equal(("fruit", "7", "fp32", false), (answer.Model, answer.Version, answer.Variant, answer.Abstained));
        Assert.Equal([("pear", 1, 0.8f), ("apple", 0, 0.1f)],
            answer.Predictions.Select(prediction => (prediction.Label, prediction.Index, MathF.Round(prediction.Confidence, 5))));
        Assert.Equal(new ImageDescription(20, 10, "png", 1234), answer.Image);
        Assert.Equal(
            new Timings { Decode = TimeSpan.FromMilliseconds(5), Compute = TimeSpan.FromMilliseconds(7), Total = TimeSpan.FromMilliseconds(12) },
            answer.Timings);
    }

    [Fact]
    public async Task An_unsure_answer_says_so_and_a_map_comes_where_it_was_asked_for()
    {
        var answer = await ClassifyAsync(new ClassifyOptions(TopK: 1, Explain: true));
        Assert.True(answer.Abstained);
        Assert.Equal([[1f]], answer.Predictions[0].Map!);
        Assert.Null((await ClassifyAsync(new ClassifyOptions(TopK: 1))).Predictions[0].Map);
    }

    [Fact]
    public async Task A_tensor_goes_to_the_model_as_it_is_and_any_output_can_be_asked_for()
    {
        byte[] tensor = [9, 8, 7, 6, 5, 4];
        _backend.Does = tensors =>
        {
            Assert.Equal(tensor, tensors.Input.ToArray());
            ((ReadOnlySpan<float>)[3, 2, 1]).CopyTo(tensors.Scores);
        };

        var answer = await InferAsync(tensor, "features", "scores");

        Assert.Equal(0, _decoder.Decoded);
        Assert.Equal(["features", "scores"], answer.Outputs.Select(output => output.Name));
        // Logits stay logits.
        Assert.Equal([1, 3, 2, 1], answer.Outputs.SelectMany(output => MemoryMarshal.Cast<byte, float>(output.Data).ToArray()));
        Assert.Equal((1, 0), (_model.Statistics.Totals.Answered, _model.Statistics.Totals.Failed));
        Assert.Equal("The tensor has 5 bytes; the input 'pixels' takes 6.",
            (await Assert.ThrowsAsync<InferenceException>(() => InferAsync(tensor[1..], "scores"))).Message);
        Assert.Equal("unexpected inference output 'x' for model 'fruit'; it has scores, features",
            (await Assert.ThrowsAsync<InferenceException>(() => InferAsync(tensor, "x"))).Message);
        Assert.Equal((1, 2), (_model.Statistics.Totals.Answered, _model.Statistics.Totals.Failed));
        Assert.Equal(0, _backend.Leased);
    }

    [Fact]
    public async Task A_model_without_maps_is_asked_again_with_parts_covered_on_one_place_in_the_queue()
    {
        var manifest = _model.Manifest with { Input = new InputSpec("pixels", InputElementType.UInt8, TensorLayout.Nhwc, 3, 3), Abstain = null };
        _backend.InputBytes = manifest.Input.ByteLength;
        var model = new Model(manifest, _model.Files, "fp32", _model.Classes, _backend, new Postprocessor(manifest, _model.Classes), _scheduling, _time);
        var waiting = new List<int>();
        _backend.Does = tensors =>
        {
            waiting.Add(model.Scheduler.QueueLength);
            // The first pixel of the first row decides.
            ((ReadOnlySpan<float>)[tensors.Input[0] < 2 ? 3 : 1, 0, 0]).CopyTo(tensors.Scores);
            _time.Advance(TimeSpan.FromMilliseconds(7));
        };

        var answer = await _classifier.ClassifyAsync(model, File, new ClassifyOptions(1, Explain: true), TestContext.Current.CancellationToken);

        Assert.Equal(new Explanation(Explanation.Occlusion, 4), answer.Explanation);
        Assert.Equal([1, 1, 1, 1, 1], waiting);
        Assert.Equal(35, answer.Timings.Compute.TotalMilliseconds);
        Assert.Equal([1f, 0.5f, 0], answer.Predictions[0].Map![0]);
        Assert.Equal((0, 0, 1), (_backend.Leased, model.Scheduler.QueueLength, model.Statistics.Totals.Answered));

        // The time limit holds for all runs together.
        _backend.Does = _ => _time.Advance(TimeSpan.FromSeconds(10));
        var late = await Assert.ThrowsAsync<InferenceException>(
            () => _classifier.ClassifyAsync(model, File, new ClassifyOptions(1, Explain: true), TestContext.Current.CancellationToken));
        Assert.Equal((InferenceError.TimedOut, 8), (late.Error, _backend.Runs));
        Assert.Equal((0, 0), (_backend.Leased, model.Scheduler.QueueLength));
        await model.Scheduler.DisposeAsync();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    public async Task What_the_model_cannot_answer_is_refused_before_anything_is_done(int topK)
    {
        var refusal = await Assert.ThrowsAsync<InferenceException>(() => ClassifyAsync(new ClassifyOptions(topK)));
        Assert.Equal($"topK is {topK}; it must be from 1 to 3, the number of classes.", refusal.Message);
        Assert.Equal((0, 0), (_decoder.Decoded, _backend.Leased));
    }

    [Fact]
    public async Task Whoever_finds_the_queue_full_is_refused_without_a_decode()
    {
        using var first = _model.Scheduler.Enter();
        using var second = _model.Scheduler.Enter();
        Assert.Equal(InferenceError.QueueFull, _classifier.Refuse(_model)!.Error);
        Assert.Equal(InferenceError.QueueFull, (await Assert.ThrowsAsync<InferenceException>(() => ClassifyAsync())).Error);
        Assert.Equal(0, _decoder.Decoded);
        Assert.Equal(2, _model.Statistics.Totals.Failed);
    }

    [Fact]
    public async Task A_request_that_waits_longer_than_the_limit_is_given_up()
    {
        _backend.Gate = new TaskCompletionSource();
        var running = ClassifyAsync();
        await _backend.Started.WaitAsync(TestContext.Current.CancellationToken);
        var waiting = ClassifyAsync();
        _time.Advance(TimeSpan.FromSeconds(24.9));
        Assert.False(waiting.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(0.2));

        var late = await Assert.ThrowsAsync<InferenceException>(() => waiting);
        Assert.Equal((InferenceError.TimedOut, "The answer took longer than 25 seconds and was given up."), (late.Error, late.Message));
        // The one that runs cannot be stopped, and is not thrown away.
        _backend.Gate.SetResult();
        Assert.Equal(3, (await running).Predictions.Count);
        Assert.Equal((0, 1), (_backend.Leased, _backend.Runs));
    }

    [Fact]
    public async Task A_request_that_waits_for_a_permit_longer_than_the_limit_is_given_up()
    {
        var permit = await _permits.AcquireAsync(new DecodeCost(1, IsLong: false), TestContext.Current.CancellationToken);
        var waiting = ClassifyAsync();
        _time.Advance(TimeSpan.FromSeconds(25));

        Assert.Equal(InferenceError.TimedOut, (await Assert.ThrowsAsync<InferenceException>(() => waiting)).Error);
        Assert.Equal((0, 0, 0), (_decoder.Decoded, _backend.Leased, _model.Scheduler.QueueLength));
        permit.Dispose();
        await ClassifyAsync();
    }

    [Fact]
    public async Task What_took_too_long_to_decode_is_not_run()
    {
        _decoder.Does = () => _time.Advance(TimeSpan.FromSeconds(26));
        Assert.Equal(InferenceError.TimedOut, (await Assert.ThrowsAsync<InferenceException>(() => ClassifyAsync())).Error);
        Assert.Equal((1, 0, 0), (_decoder.Decoded, _backend.Leased, _backend.Runs));
    }

    [Fact]
    public async Task Whoever_leaves_while_waiting_gives_back_place_and_tensors_and_is_counted_as_gone()
    {
        var outcomes = new List<string>();
        using var listener = Listen(outcomes);
        _backend.Gate = new TaskCompletionSource();
        var running = ClassifyAsync();
        await _backend.Started.WaitAsync(TestContext.Current.CancellationToken);
        using var leaving = new CancellationTokenSource();
        var waiting = _classifier.ClassifyAsync(_model, File, new ClassifyOptions(3), leaving.Token);
        Assert.Equal(2, _backend.Leased);

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(1, _backend.Leased);
        _backend.Gate.SetResult();
        await running;
        Assert.Equal((0, 1, 0), (_backend.Leased, _backend.Runs, _model.Scheduler.QueueLength));
        Assert.Equal(["ClientLeft", "ok"], outcomes);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failure_gives_back_permit_place_and_tensors_and_is_counted(bool decoding)
    {
        var outcomes = new List<string>();
        using var listener = Listen(outcomes);
        var failure = new InferenceException(decoding ? InferenceError.InvalidImage : InferenceError.BackendFailed, "broken");
        if (decoding)
        {
            _decoder.Does = () => throw failure;
        }
        else
        {
            _backend.Does = _ => throw failure;
        }

        Assert.Same(failure, await Assert.ThrowsAsync<InferenceException>(() => ClassifyAsync()));
        Assert.Equal((0, 0), (_backend.Leased, _model.Scheduler.QueueLength));

        (_decoder.Does, _backend.Does) = (() => { }, _ => { });
        await ClassifyAsync();
        Assert.Equal([failure.Error.ToString(), "ok"], outcomes);
    }

    public async ValueTask DisposeAsync()
    {
        await _model.Scheduler.DisposeAsync();
        _permits.Dispose();
        _metrics.Dispose();
    }

    private Task<TensorAnswer> InferAsync(byte[] tensor, params string[] outputs) =>
        _classifier.InferAsync(_model, new ModelInput(tensor, IsTensor: true), outputs, within: null, TestContext.Current.CancellationToken);

    private Task<Classification> ClassifyAsync(ClassifyOptions? options = null) =>
        _classifier.ClassifyAsync(_model, File, options ?? new ClassifyOptions(3), TestContext.Current.CancellationToken);

    /// <summary>Collects the outcomes that are counted for this model; other tests have others.</summary>
    private static MeterListener Listen(List<string> outcomes)
    {
        var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, own) =>
        {
            if (instrument.Name == "whatsit.requests")
            {
                own.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, _, tags, _) =>
        {
            var named = new Dictionary<string, object?>(tags.ToArray());
            if (named["model"] is "fruit")
            {
                outcomes.Add((string)named["outcome"]!);
            }
        });
        listener.Start();
        return listener;
    }

    private sealed class ToldDecoder : IImageDecoder
    {
        public Action Does { get; set; } = () => { };

        public int Decoded { get; private set; }

        public EncodedImage Open(ReadOnlyMemory<byte> file, (int Width, int Height)? shrinkTo = null) => new(new(1, false), _ => Decode());

        private RgbImage Decode()
        {
            Decoded++;
            Does();
            var image = new RgbImage(2, 1) { OriginalWidth = 20, OriginalHeight = 10, Format = "png" };
            ((ReadOnlySpan<byte>)[1, 2, 3, 4, 5, 6]).CopyTo(image.Pixels);
            return image;
        }
    }

    private sealed class ToldBackend : IBackend
    {
        private int _leased;

        public Action<Tensors> Does { get; set; } = _ => { };

        public TaskCompletionSource? Gate { get; set; }

        public SemaphoreSlim Started { get; } = new(0);

        public int Runs { get; private set; }

        public int InputBytes { get; set; } = 6;

        public int Leased => Volatile.Read(ref _leased);

        public IReadOnlyList<TensorSpec> Outputs { get; } = [new("scores", TensorType.Float32, [1, 3]), new("features", TensorType.Float32, [1, 1, 1, 1])];

        public Tensors Lease(IReadOnlyList<string> others)
        {
            Interlocked.Increment(ref _leased);
            return new ToldTensors(this);
        }

        public async ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken)
        {
            Runs++;
            Started.Release();
            if (Gate is { } gate)
            {
                await gate.Task;
            }

            Does(batch.Single());
        }

        public void Dispose()
        {
        }

        private sealed class ToldTensors(ToldBackend backend) : Tensors
        {
            private readonly byte[] _input = new byte[backend.InputBytes];
            private readonly float[] _scores = new float[3];

            public override Span<byte> Input => _input;

            public override Span<float> Scores => _scores;

            public override OutputView Output(string name)
            {
                var values = name == "features" ? [1] : _scores;
                return new(new long[] { 1, values.Length }, MemoryMarshal.AsBytes(values.AsSpan()));
            }

            public override void Dispose() => Interlocked.Decrement(ref backend._leased);
        }
    }
}
