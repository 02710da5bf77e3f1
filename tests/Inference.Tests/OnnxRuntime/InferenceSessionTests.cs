using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Whatsit.Inference.Tests.OnnxRuntime;

public sealed class InferenceSessionTests
{
    // affine.onnx: y = x W + b with W = 1…12 in three rows and b = 100, 200, 300, 400
    private static readonly float[] Input = [1, 0, 0, 0, 10, 100];
    private static readonly float[] Output = [101, 202, 303, 404, 1050, 1260, 1470, 1680];

    [Fact]
    public void A_model_tells_its_inputs_and_outputs()
    {
        using var session = new InferenceSession(Fixtures.Affine);

        Assert.Equal(["x"], session.InputNames);
        Assert.Equal(["y"], session.OutputNames);
        NodeMetadata input = session.InputMetadata["x"];
        Assert.True(input.IsTensor);
        Assert.False(input.IsString);
        Assert.Equal(OnnxValueType.ONNX_TYPE_TENSOR, input.OnnxValueType);
        Assert.Equal(TensorElementType.Float, input.ElementDataType);
        Assert.Equal(typeof(float), input.ElementType);
        Assert.Equal([-1, 3], input.Dimensions);
        Assert.Equal(["N", ""], input.SymbolicDimensions);
        Assert.Equal([-1, 4], session.OutputMetadata["y"].Dimensions);
    }

    [Fact]
    public void A_model_tells_who_made_it()
    {
        using var session = new InferenceSession(Fixtures.Affine);

        ModelMetadata metadata = session.ModelMetadata;
        Assert.Equal("make.py", metadata.ProducerName);
        Assert.Equal("affine", metadata.GraphName);
        Assert.Equal("One matrix product.", metadata.GraphDescription);
        Assert.Equal("whatsit.tests", metadata.Domain);
        Assert.Equal("y = x W + b", metadata.Description);
        Assert.Equal(7, metadata.Version);
        Assert.Equal(2, metadata.CustomMetadataMap.Count);
        Assert.Equal("Whatsit", metadata.CustomMetadataMap["author"]);
        Assert.Equal("klein", metadata.CustomMetadataMap["größe"]);
    }

    [Fact]
    public void Strings_and_sequences_are_told_from_tensors_of_numbers()
    {
        using var session = new InferenceSession(Fixtures.Strings);

        Assert.True(session.InputMetadata["words"].IsString);
        NodeMetadata output = session.OutputMetadata["twice"];
        Assert.Equal(OnnxValueType.ONNX_TYPE_SEQUENCE, output.OnnxValueType);
        Assert.False(output.IsTensor);
        Assert.Throws<OnnxRuntimeException>(() => output.Dimensions);
    }

    [Fact]
    public void A_run_writes_into_the_values_it_is_given()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using OrtValue y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [2, 4]);
        using var options = new RunOptions();

        session.Run(options, ["x"], [x], ["y"], [y]);

        Assert.Equal(Output, y.GetTensorDataAsSpan<float>());
    }

    [Fact]
    public void A_run_returns_values_of_the_shape_that_came_out()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using var options = new RunOptions();

        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, session.InputNames, [x], session.OutputNames);

        OrtValue y = Assert.Single(results);
        OrtTensorTypeAndShapeInfo tensor = y.GetTensorTypeAndShape();
        Assert.Equal([2, 4], tensor.Shape);
        Assert.Equal(8, tensor.ElementCount);
        Assert.Equal(Output, y.GetTensorDataAsSpan<float>());
    }

    [Fact]
    public void A_model_runs_from_memory_too()
    {
        using var session = new InferenceSession(File.ReadAllBytes(Fixtures.Affine));
        Assert.Equal(Output, Run(session));
    }

    [Fact]
    public void A_path_may_have_any_letters()
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory().FullName, "Äpfel 苹果 🍎.onnx");
        File.Copy(Fixtures.Affine, path);

        using var session = new InferenceSession(path);

        Assert.Equal(Output, Run(session));
    }

    [Fact]
    public void An_empty_batch_gives_an_empty_result()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Array.Empty<float>(), [0, 3]);
        using var options = new RunOptions();

        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, ["x"], [x], ["y"]);

        Assert.Equal([0, 4], results[0].GetTensorTypeAndShape().Shape);
        Assert.True(results[0].GetTensorDataAsSpan<float>().IsEmpty);
    }

    [Fact]
    public void A_model_may_have_any_number_of_inputs()
    {
        using var session = new InferenceSession(Fixtures.Many);
        OrtValue[] inputs = [.. Enumerable.Range(1, 40).Select(i => OrtValue.CreateTensorValueFromMemory([(float)i], [1]))];
        using var options = new RunOptions();

        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, session.InputNames, inputs, session.OutputNames);

        Assert.Equal(40 * 41 / 2, results[0].GetTensorDataAsSpan<float>()[0]);
        Array.ForEach(inputs, input => input.Dispose());
    }

    [Fact]
    public void One_session_serves_many_threads_at_once()
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        using var session = new InferenceSession(Fixtures.Affine, options);

        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, thread =>
        {
            float[] data = new float[3];
            using OrtValue x = OrtValue.CreateTensorValueFromMemory(data, [1, 3]);
            using OrtValue y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [1, 4]);
            for (int i = 0; i < 1_000; i++)
            {
                data[0] = (thread * 1_000) + i;
                session.Run(null!, ["x"], [x], ["y"], [y]);
                Assert.Equal([data[0] + 100, (2 * data[0]) + 200, (3 * data[0]) + 300, (4 * data[0]) + 400], y.GetTensorDataAsSpan<float>());
            }
        });
    }

    [Fact]
    public void A_wrong_input_name_is_refused_by_name()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using var options = new RunOptions();

        var exception = Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["picture"], [x], ["y"]));

        Assert.StartsWith("[ErrorCode:InvalidArgument]", exception.Message);
        Assert.Contains("'picture'", exception.Message);
    }

    [Fact]
    public void A_wrong_output_name_is_refused_by_name()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using var options = new RunOptions();

        Assert.Contains("'labels'", Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["x"], [x], ["labels"])).Message);
    }

    [Fact]
    public void A_wrong_input_shape_is_refused_with_ONNX_Runtimes_words()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [3, 2]);
        using var options = new RunOptions();

        string message = Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["x"], [x], ["y"])).Message;

        Assert.StartsWith("[ErrorCode:InvalidArgument]", message);
        Assert.Contains("Got: 2 Expected: 3", message);
    }

    [Fact]
    public void A_wrong_input_type_is_refused_with_ONNX_Runtimes_words()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(new int[6], [2, 3]);
        using var options = new RunOptions();

        string message = Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["x"], [x], ["y"])).Message;

        Assert.Contains("Unexpected input data type", message);
        Assert.Contains("int32", message);
    }

    [Fact]
    public void A_wrong_output_shape_is_refused()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using OrtValue y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [1, 4]);
        using var options = new RunOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };

        Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["x"], [x], ["y"], [y]));
    }

    [Fact]
    public void Every_name_needs_its_value()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using var options = new RunOptions();

        Assert.Throws<ArgumentException>(() => session.Run(options, ["x", "x"], [x], ["y"]));
        Assert.Throws<ArgumentException>(() => session.Run(options, ["x"], [x], ["y"], []));
    }

    [Fact]
    public void A_file_that_is_not_a_model_is_refused()
    {
        byte[] model = File.ReadAllBytes(Fixtures.Affine);

        Assert.StartsWith("[ErrorCode:InvalidProtobuf]", Assert.Throws<OnnxRuntimeException>(() => new InferenceSession("not a model"u8.ToArray())).Message);
        Assert.StartsWith("[ErrorCode:InvalidProtobuf]", Assert.Throws<OnnxRuntimeException>(() => new InferenceSession(model[..^20])).Message);
        Assert.Throws<OnnxRuntimeException>(() => new InferenceSession([]));
    }

    [Fact]
    public void A_file_that_is_not_there_is_refused_by_its_path()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

        string message = Assert.Throws<OnnxRuntimeException>(() => new InferenceSession(path)).Message;

        Assert.StartsWith("[ErrorCode:NoSuchFile]", message);
        Assert.Contains(path, message);
    }

    [Fact]
    public void Terminating_ends_a_run_that_has_no_end()
    {
        using var session = new InferenceSession(Fixtures.Loop);
        using OrtValue times = OrtValue.CreateTensorValueFromMemory([long.MaxValue], []);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory([1f], [1]);
        using var options = new RunOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        using var begins = new ManualResetEventSlim();
        var run = Task.Factory.StartNew(
            () =>
            {
                begins.Set();
                session.Run(options, ["times", "x"], [times, x], ["y"]).Dispose();
            },
            TaskCreationOptions.LongRunning);

        begins.Wait(TestContext.Current.CancellationToken);
        Assert.False(run.IsCompleted);
        options.Terminate = true;

        Assert.Contains("terminate", Assert.Throws<OnnxRuntimeException>(run.GetAwaiter().GetResult).Message);
    }

    [Fact]
    public void Terminated_options_refuse_runs_until_they_are_reset()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using var options = new RunOptions { Terminate = true, LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        Assert.True(options.Terminate);
        Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["x"], [x], ["y"]));

        options.Terminate = false;

        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, ["x"], [x], ["y"]);
        Assert.Equal(Output, results[0].GetTensorDataAsSpan<float>());
    }

    [Fact]
    public void Disposing_twice_does_no_harm()
    {
        var session = new InferenceSession(Fixtures.Affine);

        session.Dispose();
        session.Dispose();
    }

#if !OFFICIAL_PACKAGES // The package promises none of these.
    [Fact]
    public void A_run_allocates_nothing()
    {
        using var session = new InferenceSession(Fixtures.Affine);
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using OrtValue y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [2, 4]);
        using var options = new RunOptions();
        string[] names = ["x"];
        OrtValue[] inputs = [x];
        List<OrtValue> outputs = [y];
        Run(); // loads and compiles what is needed once

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1_000; i++)
        {
            Run();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Run()
        {
            x.GetTensorMutableDataAsSpan<float>()[0] = 1;
            session.Run(options, names, inputs, session.OutputNames, outputs);
            Assert.True(y.GetTensorDataAsSpan<float>()[0] == 101);
        }
    }

    [Fact]
    public void After_Dispose_everything_says_so()
    {
        var session = new InferenceSession(Fixtures.Affine);
        OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        var options = new RunOptions();
        var sessionOptions = new SessionOptions();

        sessionOptions.Dispose();
        Assert.Throws<ObjectDisposedException>(() => sessionOptions.IntraOpNumThreads = 1);
        Assert.Throws<ObjectDisposedException>(() => new InferenceSession(Fixtures.Affine, sessionOptions));
        options.Dispose();
        Assert.Throws<ObjectDisposedException>(() => options.Terminate = true);
        Assert.Throws<ObjectDisposedException>(() => session.Run(options, ["x"], [x], ["y"]));
        x.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.Run(null, ["x"], [x], ["y"], [x]));
        Assert.Throws<ObjectDisposedException>(() => x.GetTensorMutableRawData());
        Assert.Throws<ObjectDisposedException>(() => x.GetTensorTypeAndShape());
        session.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.Run(null, ["x"], [x], ["y"], [x]));
    }

    [Fact]
    public void A_path_with_a_zero_in_it_is_refused_instead_of_cut()
    {
        Assert.Throws<ArgumentException>(() => new InferenceSession(Fixtures.Affine + "\0.png"));
    }

    [Fact]
    public void Disposing_during_a_run_waits_for_its_end()
    {
        var session = new InferenceSession(Fixtures.Loop);
        OrtValue times = OrtValue.CreateTensorValueFromMemory([long.MaxValue], []);
        OrtValue x = OrtValue.CreateTensorValueFromMemory([1f], [1]);
        using var options = new RunOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        using var begins = new ManualResetEventSlim();
        var run = Task.Factory.StartNew(
            () =>
            {
                begins.Set();
                session.Run(options, ["times", "x"], [times, x], ["y"]).Dispose();
            },
            TaskCreationOptions.LongRunning);

        begins.Wait(TestContext.Current.CancellationToken);
        x.Dispose();
        times.Dispose();
        session.Dispose();
        options.Terminate = true;

        // Either the run was ended, or it had not held its values yet and was told that they are gone.
        Exception exception = Assert.ThrowsAny<Exception>(run.GetAwaiter().GetResult);
        Assert.True(exception is OnnxRuntimeException or ObjectDisposedException, exception.ToString());
    }
#endif

    private static float[] Run(InferenceSession session)
    {
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(Input, [2, 3]);
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, session.InputNames, [x], session.OutputNames);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }
}
