using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Tests.Imaging;

namespace Whatsit.Inference.Tests.Backends;

/// <summary>What we rely on of ONNX Runtime, whichever package brings it.</summary>
public sealed class OnnxRuntimeTests
{
    // affine.onnx: y = x W + b with W = 1…12 in three rows and b = 100, 200, 300, 400
    private static readonly string Affine = TestData.Path("onnx", "affine.onnx");

    public OnnxRuntimeTests() => OnnxRuntimeEnvironment.EnsureCreated();

    [Fact]
    public void It_says_only_what_went_wrong()
    {
        Assert.Equal(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR, OnnxRuntimeEnvironment.EnsureCreated().EnvLogLevel);
        Assert.Contains("CPUExecutionProvider", OrtEnv.Instance().GetAvailableProviders());
    }

    [Fact]
    public void A_run_writes_into_the_values_it_is_given()
    {
        using var session = new InferenceSession(Affine);
        using var x = OrtValue.CreateTensorValueFromMemory<float>([1, 0, 0, 0, 10, 100], [2, 3]);
        using var y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [2, 4]);
        using var options = new RunOptions();

        session.Run(options, ["x"], [x], ["y"], [y]);

        Assert.Equal([101, 202, 303, 404, 1050, 1260, 1470, 1680], y.GetTensorDataAsSpan<float>());
    }

    [Fact]
    public void One_session_serves_many_threads_at_once()
    {
        using var sessionOptions = new SessionOptions { IntraOpNumThreads = 1 };
        using var session = new InferenceSession(Affine, sessionOptions);
        using var options = new RunOptions();

        Parallel.For(0, 8, new ParallelOptions { MaxDegreeOfParallelism = 8 }, thread =>
        {
            var data = new float[3];
            using var x = OrtValue.CreateTensorValueFromMemory(data, [1, 3]);
            using var y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [1, 4]);
            for (var i = 0; i < 1_000; i++)
            {
                data[0] = (thread * 1_000) + i;
                session.Run(options, ["x"], [x], ["y"], [y]);
                Assert.Equal([data[0] + 100, (2 * data[0]) + 200, (3 * data[0]) + 300, (4 * data[0]) + 400], y.GetTensorDataAsSpan<float>());
            }
        });
    }

    [Fact]
    public void A_path_may_have_any_letters()
    {
        var folder = Directory.CreateTempSubdirectory();
        var path = System.IO.Path.Combine(folder.FullName, "Äpfel 苹果 🍎.onnx");
        File.Copy(Affine, path);

        using (var session = new InferenceSession(path))
        {
            Assert.Equal([-1, 3], session.InputMetadata["x"].Dimensions);
        }

        folder.Delete(recursive: true);
    }

    [Fact]
    public void A_wrong_input_and_a_broken_file_are_exceptions_of_one_kind()
    {
        using var session = new InferenceSession(Affine);
        using var x = OrtValue.CreateTensorValueFromMemory<float>([1, 2, 3, 4, 5, 6], [3, 2]);
        using var options = new RunOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };

        Assert.Contains("Got: 2 Expected: 3", Assert.Throws<OnnxRuntimeException>(() => session.Run(options, ["x"], [x], ["y"])).Message,
            StringComparison.Ordinal);
        Assert.Throws<OnnxRuntimeException>(() => new InferenceSession(File.ReadAllBytes(Affine)[..^20]));
    }
}
