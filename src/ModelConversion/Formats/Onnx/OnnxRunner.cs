using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Whatsit.Inference.Backends;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Tensor = Whatsit.ModelConversion.Graphs.Tensor;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>ONNX Runtime behind the same face as the <see cref="Interpreter"/>: tensors in, tensors out.</summary>
public sealed class OnnxRunner : IDisposable
{
    private readonly InferenceSession _session;
    private readonly bool _fewRuns;

    /// <summary>Loads an ONNX file as the server does: every optimisation.</summary>
    /// <param name="path">The file.</param>
    /// <param name="fewRuns">
    /// Goes without what only pays over many runs and costs a second copy of the weights, and a pool as large as all activations together.
    /// </param>
    /// <param name="threads">How many threads share a run; all processors by default. Runs may go on at once.</param>
    public OnnxRunner(string path, bool fewRuns = false, int? threads = null)
    {
        if (fewRuns)
        {
            // The first session of a process registers every operator; what that read of the library, 30 MB, is given back before the weights come.
            new OnnxRunner(Nothing()).Dispose();
            ResidentMemory.Trim();
        }

        _session = Load(options => new InferenceSession(path, options), fewRuns, threads);
        _fewRuns = fewRuns;
        TrimIfFewRuns();
    }

    /// <summary>Loads a graph.</summary>
    public OnnxRunner(Graph graph)
    {
        NameZeroPoints.Apply(graph);
        using var stream = new MemoryStream();
        OnnxWriter.Write(graph, stream);
        _session = Load(options => new InferenceSession(stream.ToArray(), options));
    }

    /// <summary>The inputs, as the file describes them.</summary>
    public IReadOnlyList<GraphValue> Inputs =>
        [.. _session.InputMetadata.Select(input => new GraphValue(input.Key, (ElementType)input.Value.ElementDataType, input.Value.Dimensions))];

    /// <summary>The outputs, as the file describes them.</summary>
    public IReadOnlyList<GraphValue> Outputs =>
        [.. _session.OutputMetadata.Select(output => new GraphValue(output.Key, (ElementType)output.Value.ElementDataType, output.Value.Dimensions))];

    /// <summary>Computes the named outputs, or all, from every input.</summary>
    public IReadOnlyDictionary<string, Tensor> Run(IReadOnlyDictionary<string, Tensor> inputs, params string[] outputs)
    {
        string[] names = [.. inputs.Keys];
        OrtValue[] values = [.. inputs.Values.Select(ToValue)];
        try
        {
            outputs = outputs.Length > 0 ? outputs : [.. _session.OutputNames];
            using var options = new RunOptions();
            using var results = _session.Run(options, names, values, outputs);
            return outputs.Zip(results).ToDictionary(output => output.First, output => FromValue(output.Second), StringComparer.Ordinal);
        }
        catch (OnnxRuntimeException exception)
        {
            throw new ModelFormatException($"ONNX Runtime could not run the model: {exception.Message}", exception);
        }
        finally
        {
            Array.ForEach(values, value => value.Dispose());
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _session.Dispose();
        TrimIfFewRuns();
    }

    private void TrimIfFewRuns()
    {
        if (_fewRuns)
        {
            ResidentMemory.Trim();
        }
    }

    private static InferenceSession Load(Func<SessionOptions, InferenceSession> load, bool fewRuns = false, int? threads = null)
    {
        OnnxRuntimeEnvironment.EnsureCreated();
        using var options = new SessionOptions
        {
            // The last level, other layouts of the weights for the processor at hand, is one of the copies.
            GraphOptimizationLevel = fewRuns ? GraphOptimizationLevel.ORT_ENABLE_EXTENDED : GraphOptimizationLevel.ORT_ENABLE_ALL,
            IntraOpNumThreads = threads ?? Environment.ProcessorCount,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            EnableCpuMemArena = !fewRuns,
            EnableMemoryPattern = !fewRuns,
        };
        if (fewRuns)
        {
            options.AddSessionConfigEntry("session.disable_prepacking", "1");
        }

        try
        {
            return OnnxRuntimeEnvironment.Load(load, options);
        }
        catch (OnnxRuntimeException exception)
        {
            throw new ModelFormatException($"ONNX Runtime refuses the model: {exception.Message}", exception);
        }
    }

    private static Graph Nothing()
    {
        var builder = new GraphBuilder("nothing");
        builder.AddOutput(builder.AddNode("Identity", "y", [builder.AddInput("x", ElementType.Float32, 1)]), ElementType.Float32, 1);
        return builder.Graph;
    }

    private static OrtValue ToValue(Tensor tensor)
    {
        var shape = Array.ConvertAll(tensor.Shape, side => (long)side);
        var value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, (TensorElementType)tensor.Type, shape);
        tensor.Data.Span.CopyTo(value.GetTensorMutableRawData());
        return value;
    }

    private static Tensor FromValue(OrtValue value)
    {
        var info = value.GetTensorTypeAndShape();
        return new Tensor((ElementType)info.ElementDataType, Array.ConvertAll(info.Shape, side => (int)side), value.GetTensorMutableRawData().ToArray());
    }
}
