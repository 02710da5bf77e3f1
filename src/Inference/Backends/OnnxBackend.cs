using Microsoft.Extensions.ObjectPool;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Backends;

/// <summary>
/// A model in this process, run by ONNX Runtime. The sessions share nothing but the code; one session serves any number of concurrent runs with
/// one copy of the weights, so one is the default.
/// </summary>
public sealed class OnnxBackend : IBackend
{
    private readonly InferenceSession[] _sessions;
    private readonly RunOptions _runOptions = new();
    private readonly ObjectPool<Tensors> _scores;
    private readonly ObjectPool<Tensors>? _scoresAndFeatures;
    private int _next;

    /// <summary>Loads the weights and checks that the graph takes and gives what the manifest says.</summary>
    /// <param name="path">The ONNX file.</param>
    /// <param name="manifest">Says what the graph takes and gives.</param>
    /// <param name="options">How many sessions and threads.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: the file does not load, or is not what the manifest says.</exception>
    public OnnxBackend(string path, ModelManifest manifest, OnnxBackendOptions options)
    {
        OnnxRuntimeEnvironment.EnsureCreated();
        using var sessionOptions = new SessionOptions
        {
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            IntraOpNumThreads = options.IntraOpThreads,
            InterOpNumThreads = 1,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        // A second thread that waits for work by spinning doubles the CPU per image as soon as anything else runs.
        sessionOptions.AddSessionConfigEntry("session.intra_op.allow_spinning", "0");
        var sessions = new List<InferenceSession>();
        try
        {
            for (var session = 0; session < options.Sessions; session++)
            {
                sessions.Add(new InferenceSession(path, sessionOptions));
            }

            _sessions = [.. sessions];
            var shapes = Shapes.Of(_sessions[0], manifest);
            Classes = (int)shapes.Scores[^1];
            FeatureShape = shapes.Features is [_, var channels, var height, var width] ? ((int)channels, (int)height, (int)width) : null;
            _scores = CreatePool(manifest, shapes, withFeatures: false);
            _scoresAndFeatures = shapes.Features is null ? null : CreatePool(manifest, shapes, withFeatures: true);
        }
        catch (OnnxRuntimeException exception)
        {
            sessions.ForEach(session => session.Dispose());
            throw new InferenceException(InferenceError.ModelNotReady, $"The model '{manifest.Name}' does not load: {exception.Message}", exception);
        }
        catch
        {
            sessions.ForEach(session => session.Dispose());
            throw;
        }
    }

    /// <summary>How many scores the main output has.</summary>
    public int Classes { get; }

    /// <summary>The last feature map's shape, where the graph offers it.</summary>
    public (int Channels, int Height, int Width)? FeatureShape { get; }

    /// <inheritdoc/>
    public Instance Lease(bool withFeatures) => (withFeatures ? _scoresAndFeatures ?? _scores : _scores).Get().Instance;

    /// <inheritdoc/>
    public ValueTask RunAsync(IReadOnlyList<Instance> batch, CancellationToken cancellationToken)
    {
        try
        {
            // One after the other: on a CPU a batch gains nothing (see tests/Benchmarks), and a run that started is not worth interrupting.
            foreach (var instance in batch)
            {
                ((OnnxInstance)instance).Run(_sessions[(uint)Interlocked.Increment(ref _next) % _sessions.Length], _runOptions);
            }

            return ValueTask.CompletedTask;
        }
        catch (OnnxRuntimeException exception)
        {
            throw new InferenceException(InferenceError.BackendFailed, "The model failed on this input.", exception);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        (_scores as IDisposable)?.Dispose();
        (_scoresAndFeatures as IDisposable)?.Dispose();
        _runOptions.Dispose();
        foreach (var session in _sessions)
        {
            session.Dispose();
        }
    }

    private static ObjectPool<Tensors> CreatePool(ModelManifest manifest, Shapes shapes, bool withFeatures)
    {
        var policy = new TensorsPolicy(manifest, shapes, withFeatures);
        return policy.Pool = new DefaultObjectPoolProvider { MaximumRetained = 2 * Environment.ProcessorCount }.Create(policy);
    }

    /// <summary>The shapes for one picture, checked against the manifest.</summary>
    private sealed record Shapes(TensorElementType InputType, long[] Input, long[] Scores, long[]? Features)
    {
        public static Shapes Of(InferenceSession session, ModelManifest manifest)
        {
            var (width, height) = (manifest.Input.Width, manifest.Input.Height);
            var type = manifest.Input.ElementType == InputElementType.UInt8 ? TensorElementType.UInt8 : TensorElementType.Float;
            long[] input = manifest.Input.Layout == TensorLayout.Nhwc ? [1, height, width, 3] : [1, 3, height, width];
            var metadata = Find(session.InputMetadata, manifest.Input.Name, "input");
            if (metadata.ElementDataType != type || !Matches(metadata.Dimensions, input))
            {
                throw Mismatch($"Input '{manifest.Input.Name}' is {metadata.ElementDataType} [{string.Join(',', metadata.Dimensions)}], the manifest says {type} [{string.Join(',', input)}].");
            }

            var scores = Fixed(Output(manifest.Output.Name), manifest.Output.Name);
            if (scores.Length < 2 || scores.Aggregate(1L, (product, side) => product * side) != scores[^1])
            {
                throw Mismatch($"Output '{manifest.Output.Name}' has the shape [{string.Join(',', scores)}]; a classifier gives [N, classes].");
            }

            return new(type, input, scores, manifest.Output.Features is { } features ? Fixed(Output(features), features) : null);

            NodeMetadata Output(string name)
            {
                var output = Find(session.OutputMetadata, name, "output");
                return output.ElementDataType == TensorElementType.Float
                    ? output
                    : throw Mismatch($"Output '{name}' is {output.ElementDataType}; the server needs float32.");
            }

            // Only the batch may be free: everything else must be known before the first picture.
            long[] Fixed(NodeMetadata output, string name) => output.Dimensions.Skip(1).All(side => side > 0)
                ? [1, .. output.Dimensions.Skip(1).Select(side => (long)side)]
                : throw Mismatch($"Output '{name}' has free sides: [{string.Join(',', output.Dimensions)}]; only the first, the batch, may be free.");

            InferenceException Mismatch(string message) => new(InferenceError.ModelNotReady, $"The model '{manifest.Name}' is not what its manifest says. {message}");

            NodeMetadata Find(IReadOnlyDictionary<string, NodeMetadata> all, string name, string kind) => all.TryGetValue(name, out var found)
                ? found
                : throw Mismatch($"There is no {kind} '{name}'; there is {string.Join(", ", all.Keys)}.");

            static bool Matches(int[] actual, long[] expected) =>
                actual.Length == expected.Length && actual.Zip(expected).All(pair => pair.First < 0 || pair.First == pair.Second);
        }
    }

    private sealed class TensorsPolicy(ModelManifest manifest, Shapes shapes, bool withFeatures) : PooledObjectPolicy<Tensors>
    {
        public ObjectPool<Tensors>? Pool { get; set; }

        public override Tensors Create() => new(Pool!, manifest, shapes, withFeatures);

        public override bool Return(Tensors obj) => true;
    }

    /// <summary>Input and output values, allocated once by ONNX Runtime; a run writes into them. The pool frees what it has no room for.</summary>
    private sealed class Tensors : IDisposable
    {
        private readonly string[] _inputNames;
        private readonly string[] _outputNames;

        public Tensors(ObjectPool<Tensors> pool, ModelManifest manifest, Shapes shapes, bool withFeatures)
        {
            Instance = new OnnxInstance(pool, this);
            _inputNames = [manifest.Input.Name];
            Inputs = [Allocate(shapes.InputType, shapes.Input)];
            _outputNames = withFeatures ? [manifest.Output.Name, manifest.Output.Features!] : [manifest.Output.Name];
            Outputs = withFeatures
                ? [Allocate(TensorElementType.Float, shapes.Scores), Allocate(TensorElementType.Float, shapes.Features!)]
                : [Allocate(TensorElementType.Float, shapes.Scores)];
        }

        public OnnxInstance Instance { get; }

        public OrtValue[] Inputs { get; }

        public OrtValue[] Outputs { get; }

        public void Run(InferenceSession session, RunOptions options) => session.Run(options, _inputNames, Inputs, _outputNames, Outputs);

        public void Dispose()
        {
            foreach (var value in (OrtValue[])[.. Inputs, .. Outputs])
            {
                value.Dispose();
            }
        }

        private static OrtValue Allocate(TensorElementType type, long[] shape) => OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);
    }

    /// <summary>The lease on a set of tensors.</summary>
    private sealed class OnnxInstance(ObjectPool<Tensors> pool, Tensors tensors) : Instance
    {
        public override Span<byte> Input => tensors.Inputs[0].GetTensorMutableRawData();

        public override Span<float> Scores => tensors.Outputs[0].GetTensorMutableDataAsSpan<float>();

        public override ReadOnlySpan<float> Features => tensors.Outputs.Length > 1 ? tensors.Outputs[1].GetTensorDataAsSpan<float>() : [];

        public void Run(InferenceSession session, RunOptions options) => tensors.Run(session, options);

        public override void Dispose() => pool.Return(tensors);
    }
}
