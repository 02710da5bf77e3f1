using Microsoft.Extensions.ObjectPool;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Backends;

/// <summary>
/// A model in this process, run by ONNX Runtime. The sessions share nothing but the code; one session serves any number of concurrent runs with
/// one copy of the weights, so one is the default. (DirectML allows one run at a time on each.)
/// </summary>
public sealed class OnnxBackend : IBackend, IPooledObjectPolicy<OnnxBackend.OnnxTensors>
{
    private readonly InferenceSession[] _sessions;
    private readonly RunOptions _runOptions = new();
    private readonly bool _oneRunPerSession;
    private readonly Shapes _shapes;
    private readonly ObjectPool<OnnxTensors> _pool;
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
        var providers = ExecutionProviders.Choose(options);
        ExecutionProviders.Append(sessionOptions, providers);
        _oneRunPerSession = providers.Contains("dml", StringComparer.OrdinalIgnoreCase);
        var sessions = new List<InferenceSession>();
        try
        {
            for (var session = 0; session < options.Sessions; session++)
            {
                sessions.Add(OnnxRuntimeEnvironment.Load(exact => new InferenceSession(path, exact), sessionOptions));
            }

            _sessions = [.. sessions];
            _shapes = Shapes.Of(_sessions[0], manifest);
            Outputs = [.. _sessions[0].OutputMetadata.Where(output => TypeOf(output.Value) is not null)
                .OrderByDescending(output => output.Key == manifest.Output.Name).Select(output =>
                new TensorSpec(output.Key, TypeOf(output.Value)!.Value, [.. output.Value.Dimensions.Select(side => (long)side)]))];
            _pool = new DefaultObjectPoolProvider { MaximumRetained = 2 * Environment.ProcessorCount }.Create(this);
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

    /// <inheritdoc/>
    public IReadOnlyList<TensorSpec> Outputs { get; }

    /// <inheritdoc/>
    public Tensors Lease(IReadOnlyList<string> others) => _pool.Get().Leased(others);

    /// <inheritdoc/>
    public ValueTask RunAsync(IReadOnlyList<Tensors> batch, CancellationToken cancellationToken)
    {
        try
        {
            // One after the other: on a CPU a batch gains nothing (see tests/Benchmarks), and a run that started is not worth interrupting.
            foreach (var tensors in batch)
            {
                var session = _sessions[(uint)Interlocked.Increment(ref _next) % _sessions.Length];
                if (_oneRunPerSession)
                {
                    lock (session)
                    {
                        ((OnnxTensors)tensors).Run(session, _runOptions);
                    }
                }
                else
                {
                    ((OnnxTensors)tensors).Run(session, _runOptions);
                }
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
        (_pool as IDisposable)?.Dispose();
        _runOptions.Dispose();
        foreach (var session in _sessions)
        {
            session.Dispose();
        }
    }

    /// <summary>The type of an output's elements; nothing where it is no tensor, or one of text or of numbers that .NET lacks.</summary>
    private static TensorType? TypeOf(NodeMetadata output) => !output.IsTensor ? null : output.ElementDataType switch
    {
        TensorElementType.Bool => TensorType.Bool,
        TensorElementType.UInt8 => TensorType.UInt8,
        TensorElementType.UInt16 => TensorType.UInt16,
        TensorElementType.UInt32 => TensorType.UInt32,
        TensorElementType.UInt64 => TensorType.UInt64,
        TensorElementType.Int8 => TensorType.Int8,
        TensorElementType.Int16 => TensorType.Int16,
        TensorElementType.Int32 => TensorType.Int32,
        TensorElementType.Int64 => TensorType.Int64,
        TensorElementType.Float16 => TensorType.Float16,
        TensorElementType.Float => TensorType.Float32,
        TensorElementType.Double => TensorType.Float64,
        _ => null,
    };

    OnnxTensors IPooledObjectPolicy<OnnxTensors>.Create() => new(_pool, _shapes);

    bool IPooledObjectPolicy<OnnxTensors>.Return(OnnxTensors obj) => true;

    /// <summary>The shapes for one picture, checked against the manifest.</summary>
    private sealed record Shapes(Value Input, Value Scores, Value? Evidence, long[]? Features)
    {
        public string[] InputNames { get; } = [Input.Name];

        public string[] ScoresNames { get; } = Evidence is null ? [Scores.Name] : [Scores.Name, Evidence.Name];

        public static Shapes Of(InferenceSession session, ModelManifest manifest)
        {
            var (width, height) = (manifest.Input.Width, manifest.Input.Height);
            var type = manifest.Input.ElementType == InputElementType.UInt8 ? TensorElementType.UInt8 : TensorElementType.Float;
            long[] input = manifest.Input.Layout == TensorLayout.Nhwc ? [1, height, width, 3] : [1, 3, height, width];
            var metadata = Find(session.InputMetadata, manifest.Input.Name, "input");
            if (metadata.ElementDataType != type || !Matches(metadata.Dimensions, input))
            {
                throw Mismatch(
                    $"Input '{manifest.Input.Name}' is {metadata.ElementDataType} [{string.Join(',', metadata.Dimensions)}], the manifest says {type} " +
                    $"[{string.Join(',', input)}].");
            }

            var scores = Output(manifest.Output.Name);
            if (scores.Sides.Length < 2 || scores.Sides.Aggregate(1L, (product, side) => product * side) != scores.Sides[^1])
            {
                throw Mismatch($"Output '{manifest.Output.Name}' has the shape [{string.Join(',', scores.Sides)}]; a classifier gives [N, classes].");
            }

            var evidence = Certainty.EvidenceOf(manifest) is { } name ? Output(name) : null;
            if (evidence is { Sides.Length: not 2 })
            {
                throw Mismatch($"Output '{evidence.Name}' has the shape [{string.Join(',', evidence.Sides)}]; an embedding is [N, features].");
            }

            return new(new(manifest.Input.Name, type, input), scores, evidence, manifest.Output.Features is { } features ? Output(features).Sides : null);

            Value Output(string name)
            {
                var output = Find(session.OutputMetadata, name, "output");
                if (output.ElementDataType != TensorElementType.Float)
                {
                    throw Mismatch($"Output '{name}' is {output.ElementDataType}; the server needs float32.");
                }

                // Only the batch may be free: everything else must be known before the first picture.
                return output.Dimensions.Skip(1).All(side => side > 0)
                    ? new(name, TensorElementType.Float, [1, .. output.Dimensions.Skip(1).Select(side => (long)side)])
                    : throw Mismatch($"Output '{name}' has free sides: [{string.Join(',', output.Dimensions)}]; only the first, the batch, may be free.");
            }

            InferenceException Mismatch(string message) =>
                new(InferenceError.ModelNotReady, $"The model '{manifest.Name}' is not what its manifest says. {message}");

            NodeMetadata Find(IReadOnlyDictionary<string, NodeMetadata> all, string name, string kind) => all.TryGetValue(name, out var found)
                ? found
                : throw Mismatch($"There is no {kind} '{name}'; there is {string.Join(", ", all.Keys)}.");

            static bool Matches(int[] actual, long[] expected) =>
                actual.Length == expected.Length && actual.Zip(expected).All(pair => pair.First < 0 || pair.First == pair.Second);
        }
    }

    /// <summary>One value of the graph.</summary>
    private sealed record Value(string Name, TensorElementType Type, long[] Sides)
    {
        /// <summary>In the processor's memory, whatever runs the model: ONNX Runtime copies to a device and back itself.</summary>
        public OrtValue Allocate() => OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, Type, Sides);
    }

    /// <summary>Values that ONNX Runtime allocated once; a run writes into them. What few ask for, it allocates for the run.</summary>
    private sealed class OnnxTensors : Tensors
    {
        private readonly ObjectPool<OnnxTensors> _pool;
        private readonly Shapes _shapes;
        private readonly OrtValue[] _input;
        private readonly OrtValue[] _scores;
        private string[] _names;
        private IReadOnlyList<OrtValue> _outputs;
        private bool _leased;

        public OnnxTensors(ObjectPool<OnnxTensors> pool, Shapes shapes)
        {
            (_pool, _shapes) = (pool, shapes);
            _input = [shapes.Input.Allocate()];
            _outputs = _scores = shapes.Evidence is null ? [shapes.Scores.Allocate()] : [shapes.Scores.Allocate(), shapes.Evidence.Allocate()];
            _names = shapes.ScoresNames;
        }

        public override Span<byte> Input => _input[0].GetTensorMutableRawData();

        public override Span<float> Scores => _outputs[0].GetTensorMutableDataAsSpan<float>();

        public override ReadOnlySpan<float> Evidence => _scores.Length > 1 ? _outputs[1].GetTensorDataAsSpan<float>() : [];

        public override OutputView Output(string name)
        {
            var output = _outputs[Array.IndexOf(_names, name)];
            return new(output.GetTensorTypeAndShape().Shape, output.GetTensorMutableRawData());
        }

        public OnnxTensors Leased(IReadOnlyList<string> others)
        {
            _leased = true;
            if (others.Count > 0)
            {
                _names = [.. _shapes.ScoresNames.Concat(others).Distinct()];
            }

            return this;
        }

        public void Run(InferenceSession session, RunOptions options)
        {
            if (_names.Length == _scores.Length)
            {
                session.Run(options, _shapes.InputNames, _input, _names, _scores);
            }
            else
            {
                _outputs = session.Run(options, _shapes.InputNames, _input, _names);
            }
        }

        /// <summary>
        /// Ends the lease. The pool disposes what it has no room for, and all that it holds when the model goes: nobody leases that any more, and it is freed.
        /// </summary>
        public override void Dispose()
        {
            if (_outputs != _scores)
            {
                ((IDisposable)_outputs).Dispose();
            }

            (_names, _outputs) = (_shapes.ScoresNames, _scores);
            if (Interlocked.Exchange(ref _leased, false))
            {
                _pool.Return(this);
                return;
            }

            foreach (var value in (OrtValue[])[.. _input, .. _scores])
            {
                value.Dispose();
            }
        }
    }
}
