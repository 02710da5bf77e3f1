using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.OnnxRuntime;

/// <summary>
/// A loaded model. Any number of threads may run it at once. Disposing it is safe at any time: a run that has begun ends first.
/// </summary>
public sealed unsafe class InferenceSession : IDisposable
{
    private readonly OrtHandle _handle;
    private readonly string[] _inputNames;
    private readonly string[] _outputNames;
    private readonly Dictionary<string, NodeMetadata> _inputMetadata;
    private readonly Dictionary<string, NodeMetadata> _outputMetadata;

    // Names as Run takes them: zero-terminated UTF-8 in pinned arrays, so that a run converts and pins nothing.
    private readonly Dictionary<string, byte[]> _inputNamesUtf8;
    private readonly Dictionary<string, byte[]> _outputNamesUtf8;

    /// <summary>Loads an .onnx or .ort file.</summary>
    public InferenceSession(string modelPath)
        : this(NativeText.FilePath(modelPath), isPath: true, options: null, container: null)
    {
    }

    /// <summary>Loads an .onnx or .ort file.</summary>
    public InferenceSession(string modelPath, SessionOptions options)
        : this(NativeText.FilePath(modelPath), isPath: true, options, container: null)
    {
    }

    /// <summary>Loads an .onnx or .ort file and shares packed weights with the other sessions of the container.</summary>
    public InferenceSession(string modelPath, PrePackedWeightsContainer prepackedWeightsContainer)
        : this(NativeText.FilePath(modelPath), isPath: true, options: null, prepackedWeightsContainer)
    {
    }

    /// <summary>Loads an .onnx or .ort file and shares packed weights with the other sessions of the container.</summary>
    public InferenceSession(string modelPath, SessionOptions options, PrePackedWeightsContainer prepackedWeightsContainer)
        : this(NativeText.FilePath(modelPath), isPath: true, options, prepackedWeightsContainer)
    {
    }

    /// <summary>Loads a model from memory, which is not needed afterwards.</summary>
    public InferenceSession(byte[] model)
        : this(model, isPath: false, options: null, container: null)
    {
    }

    /// <summary>Loads a model from memory, which is not needed afterwards.</summary>
    public InferenceSession(byte[] model, SessionOptions options)
        : this(model, isPath: false, options, container: null)
    {
    }

    /// <summary>Loads a model from memory and shares packed weights with the other sessions of the container.</summary>
    public InferenceSession(byte[] model, PrePackedWeightsContainer prepackedWeightsContainer)
        : this(model, isPath: false, options: null, prepackedWeightsContainer)
    {
    }

    /// <summary>Loads a model from memory and shares packed weights with the other sessions of the container.</summary>
    public InferenceSession(byte[] model, SessionOptions options, PrePackedWeightsContainer prepackedWeightsContainer)
        : this(model, isPath: false, options, prepackedWeightsContainer)
    {
    }

    private InferenceSession(byte[] pathOrModel, bool isPath, SessionOptions? options, PrePackedWeightsContainer? container)
    {
        using SessionOptions? defaults = options == null ? new SessionOptions() : null;
        options ??= defaults!;
        _handle = Load(pathOrModel, isPath, options, container);
        try
        {
            nint session = _handle.DangerousGetHandle();
            nuint inputs;
            nuint outputs;
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SessionGetInputCount(session, &inputs));
            OnnxRuntimeException.ThrowIfFailed(NativeMethods.SessionGetOutputCount(session, &outputs));
            _inputMetadata = Describe(
                session, inputs, &NativeMethods.SessionGetInputName, &NativeMethods.SessionGetInputTypeInfo, out _inputNames, out _inputNamesUtf8);
            _outputMetadata = Describe(
                session, outputs, &NativeMethods.SessionGetOutputName, &NativeMethods.SessionGetOutputTypeInfo, out _outputNames, out _outputNamesUtf8);
            ModelMetadata = new ModelMetadata(session);
        }
        catch
        {
            _handle.Dispose();
            throw;
        }
    }

    /// <summary>The inputs by name.</summary>
    public IReadOnlyDictionary<string, NodeMetadata> InputMetadata => _inputMetadata;

    /// <summary>The outputs by name.</summary>
    public IReadOnlyDictionary<string, NodeMetadata> OutputMetadata => _outputMetadata;

    /// <summary>The names of the inputs, in the graph's order.</summary>
    public IReadOnlyList<string> InputNames => _inputNames;

    /// <summary>The names of the outputs, in the graph's order.</summary>
    public IReadOnlyList<string> OutputNames => _outputNames;

    /// <summary>What the model says of itself.</summary>
    public ModelMetadata ModelMetadata { get; }

    /// <summary>
    /// Runs the model and writes into values that were created beforehand. Nothing is allocated on the managed heap when the collections are
    /// arrays or lists.
    /// </summary>
    public void Run(
        RunOptions? runOptions,
        IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputValues,
        IReadOnlyCollection<string> outputNames,
        IReadOnlyCollection<OrtValue> outputValues)
    {
        RequireSameCount(outputNames, outputValues);
        Run(runOptions, inputNames, inputValues, Span(outputNames), Span(outputValues), results: default);
    }

    /// <summary>Runs the model and returns the outputs in memory of ONNX Runtime's.</summary>
    public IDisposableReadOnlyCollection<OrtValue> Run(
        RunOptions runOptions,
        IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputValues,
        IReadOnlyCollection<string> outputNames)
    {
        var results = new nint[outputNames.Count];
        Run(runOptions, inputNames, inputValues, Span(outputNames), outputs: default, results);
        var values = new DisposableList<OrtValue>(results.Length);
        foreach (nint result in results)
        {
            values.Add(new OrtValue(result));
        }

        return values;
    }

    /// <summary>Ends the profile that <see cref="SessionOptions.EnableProfiling"/> began; returns the file's name.</summary>
    public string EndProfiling()
    {
        using var session = new Lease(_handle);
        nint path;
        OnnxRuntimeException.ThrowIfFailed(NativeMethods.SessionEndProfiling(session.Pointer, OrtAllocator.DefaultInstance.Pointer, &path));
        return OrtAllocator.DefaultInstance.TakeString(path);
    }

    /// <summary>Releases the model when the runs that have begun are over.</summary>
    public void Dispose() => _handle.Dispose();

    private void Run(
        RunOptions? runOptions,
        IReadOnlyCollection<string> inputNames,
        IReadOnlyCollection<OrtValue> inputValues,
        ReadOnlySpan<string> outputNames,
        ReadOnlySpan<OrtValue> outputs,
        Span<nint> results)
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        RequireSameCount(inputNames, inputValues);
        ReadOnlySpan<OrtValue> inputs = Span(inputValues);

        // One block for the four arrays that the C function takes: input names, inputs, output names, outputs.
        int n = inputs.Length, m = outputNames.Length, count = 2 * (n + m);
        Span<nint> pointers = count <= 64 ? stackalloc nint[64] : new nint[count];
        CopyNames(_inputNamesUtf8, "input", Span(inputNames), pointers);
        CopyNames(_outputNamesUtf8, "output", outputNames, pointers[(2 * n)..]);

        // Every native object is held until the call returns: another thread may dispose it meanwhile.
        using var session = new Lease(_handle);
        bool holdsOptions = false;
        int heldInputs = 0, heldOutputs = 0;
        try
        {
            runOptions?.DangerousAddRef(ref holdsOptions);
            for (; heldInputs < n; heldInputs++)
            {
                pointers[n + heldInputs] = Hold(inputs[heldInputs]);
            }

            for (; heldOutputs < outputs.Length; heldOutputs++)
            {
                pointers[(2 * n) + m + heldOutputs] = Hold(outputs[heldOutputs]);
            }

            fixed (nint* first = pointers)
            {
                OnnxRuntimeException.ThrowIfFailed(NativeMethods.Run(
                    session.Pointer, holdsOptions ? runOptions!.DangerousGetHandle() : 0,
                    first, first + n, (nuint)n, first + (2 * n), (nuint)m, first + (2 * n) + m));
            }

            // Where no output was given, its pointer was null and the library has put a new value there.
            pointers.Slice((2 * n) + m, results.Length).CopyTo(results);
        }
        finally
        {
            for (int i = 0; i < heldInputs; i++)
            {
                inputs[i].Handle.DangerousRelease();
            }

            for (int i = 0; i < heldOutputs; i++)
            {
                outputs[i].Handle.DangerousRelease();
            }

            if (holdsOptions)
            {
                runOptions!.DangerousRelease();
            }

            GC.KeepAlive(this); // the names
        }
    }

    private static nint Hold(OrtValue value)
    {
        ObjectDisposedException.ThrowIf(value.Handle.IsClosed, value);
        bool held = false;
        value.Handle.DangerousAddRef(ref held);
        return value.Handle.DangerousGetHandle();
    }

    private static void CopyNames(Dictionary<string, byte[]> known, string role, ReadOnlySpan<string> names, Span<nint> pointers)
    {
        for (int i = 0; i < names.Length; i++)
        {
            pointers[i] = known.TryGetValue(names[i], out byte[]? utf8)
                ? Marshal.UnsafeAddrOfPinnedArrayElement(utf8, 0)
                : throw new OnnxRuntimeException(
                    ErrorCode.InvalidArgument, $"The model has no {role} '{names[i]}', only {string.Join(", ", known.Keys.Select(name => $"'{name}'"))}.");
        }
    }

    /// <summary>The elements without an enumerator, which would be garbage.</summary>
    private static ReadOnlySpan<T> Span<T>(IReadOnlyCollection<T> collection) => collection switch
    {
        T[] array => array,
        List<T> list => CollectionsMarshal.AsSpan(list),
        _ => collection.ToArray(),
    };

    private static void RequireSameCount(IReadOnlyCollection<string> names, IReadOnlyCollection<OrtValue> values)
    {
        if (names.Count != values.Count)
        {
            throw new ArgumentException($"There are {names.Count} names and {values.Count} values.", nameof(values));
        }
    }

    private static OrtHandle Load(byte[] pathOrModel, bool isPath, SessionOptions options, PrePackedWeightsContainer? container)
    {
        using var native = new Lease(options);

        // The session refers to these for as long as it lives, even if their owner disposes them.
        List<SafeHandle> dependencies = [.. options.Initializers];
        nint containerPointer = 0;
        if (container != null)
        {
            dependencies.Add(container);
            containerPointer = container.DangerousGetHandle();
        }

        int held = 0;
        try
        {
            for (; held < dependencies.Count; held++)
            {
                bool added = false;
                dependencies[held].DangerousAddRef(ref added);
            }

            nint env = OrtEnv.Instance().Pointer;
            nint session;
            fixed (byte* bytes = pathOrModel)
            {
                OnnxRuntimeException.ThrowIfFailed(isPath
                    ? NativeMethods.CreateSessionWithPrepackedWeightsContainer(env, bytes, native.Pointer, containerPointer, &session)
                    : NativeMethods.CreateSessionFromArrayWithPrepackedWeightsContainer(
                        env, bytes, (nuint)pathOrModel.Length, native.Pointer, containerPointer, &session));
            }

            return new OrtHandle(session, &NativeMethods.ReleaseSession, Release);
        }
        catch
        {
            Release();
            throw;
        }

        void Release() => dependencies.Take(held).ToList().ForEach(dependency => dependency.DangerousRelease());
    }

    private static Dictionary<string, NodeMetadata> Describe(
        nint session,
        nuint count,
        delegate*<nint, nuint, nint, nint*, nint> getName,
        delegate*<nint, nuint, nint*, nint> getTypeInfo,
        out string[] names,
        out Dictionary<string, byte[]> namesUtf8)
    {
        names = new string[(int)count];
        namesUtf8 = new Dictionary<string, byte[]>(names.Length);
        var metadata = new Dictionary<string, NodeMetadata>(names.Length);
        for (int i = 0; i < names.Length; i++)
        {
            nint text;
            OnnxRuntimeException.ThrowIfFailed(getName(session, (nuint)i, OrtAllocator.DefaultInstance.Pointer, &text));
            string name = names[i] = OrtAllocator.DefaultInstance.TakeString(text);

            byte[] utf8 = GC.AllocateArray<byte>(Encoding.UTF8.GetByteCount(name) + 1, pinned: true);
            Encoding.UTF8.GetBytes(name, utf8);
            namesUtf8.Add(name, utf8);

            nint typeInfo;
            OnnxRuntimeException.ThrowIfFailed(getTypeInfo(session, (nuint)i, &typeInfo));
            try
            {
                metadata.Add(name, new NodeMetadata(typeInfo));
            }
            finally
            {
                NativeMethods.ReleaseTypeInfo(typeInfo);
            }
        }

        return metadata;
    }
}
