using System.Text;
using Microsoft.ML.OnnxRuntime;

namespace Whatsit.Inference.Tests.OnnxRuntime;

public sealed class SessionOptionsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();

    [Fact]
    public void The_environment_tells_what_runs_models()
    {
        OrtEnv env = OrtEnv.Instance();

        Assert.Same(env, OrtEnv.Instance());
        Assert.True(OrtEnv.IsCreated);
        Assert.StartsWith("1.", env.GetVersionString());
        Assert.Contains("CPUExecutionProvider", env.GetAvailableProviders());
        env.DisableTelemetryEvents();
    }

    [Fact]
    public void An_environment_that_exists_takes_no_options()
    {
        OrtEnv.Instance();
        var options = new EnvironmentCreationOptions { logId = "late", logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_VERBOSE };

        Assert.Throws<OnnxRuntimeException>(() => OrtEnv.CreateInstanceWithOptions(ref options));
    }

    [Fact]
    public void Options_begin_with_ONNX_Runtimes_defaults_and_keep_what_they_are_given()
    {
        using var options = new SessionOptions();
        Assert.Equal(GraphOptimizationLevel.ORT_ENABLE_ALL, options.GraphOptimizationLevel);
        Assert.Equal(ExecutionMode.ORT_SEQUENTIAL, options.ExecutionMode);
        Assert.True(options.EnableMemoryPattern);
        Assert.True(options.EnableCpuMemArena);
        Assert.False(options.EnableProfiling);
        Assert.Equal(0, options.IntraOpNumThreads);
        Assert.Equal(0, options.InterOpNumThreads);

        options.ExecutionMode = ExecutionMode.ORT_PARALLEL;
        options.EnableMemoryPattern = false;
        options.IntraOpNumThreads = 1;
        options.InterOpNumThreads = 2;
        options.LogId = "classifier";
        options.LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL;
        using var session = new InferenceSession(Fixtures.Affine, options);

        Assert.Equal(ExecutionMode.ORT_PARALLEL, options.ExecutionMode);
        Assert.False(options.EnableMemoryPattern);
        Assert.Equal(1, options.IntraOpNumThreads);
        Assert.Equal(2, options.InterOpNumThreads);
        Assert.Equal("classifier", options.LogId);
        Assert.Equal(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL, options.LogSeverityLevel);
        Assert.Equal([101, 202, 303, 404], Run(session, [1, 0, 0]));
    }

    [Theory]
    [InlineData(GraphOptimizationLevel.ORT_DISABLE_ALL, true)]
    [InlineData(GraphOptimizationLevel.ORT_ENABLE_ALL, false)]
    public void The_optimised_model_is_written_and_runs(GraphOptimizationLevel level, bool keepsIdentity)
    {
        string path = Path.Combine(_folder.FullName, "größe.onnx");
        using (var options = new SessionOptions { GraphOptimizationLevel = level, OptimizedModelFilePath = path })
        {
            new InferenceSession(Fixtures.Affine, options).Dispose();
        }

        Assert.Equal(keepsIdentity, Encoding.UTF8.GetString(File.ReadAllBytes(path)).Contains("Identity"));
        using var session = new InferenceSession(path);
        Assert.Equal([101, 202, 303, 404], Run(session, [1, 0, 0]));
    }

    [Fact]
    public void A_configuration_entry_reaches_ONNX_Runtime()
    {
        using var options = new SessionOptions();
        options.AddSessionConfigEntry("session.load_model_format", "ORT");

        // The file is in ONNX's own format, so it is no longer understood.
        Assert.Throws<OnnxRuntimeException>(() => new InferenceSession(Fixtures.Affine, options));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_entry_for_one_run_and_the_arena_reach_ONNX_Runtime(bool arena)
    {
        using var options = new SessionOptions { EnableCpuMemArena = arena };
        using var session = new InferenceSession(Fixtures.Affine, options);
        using var shrinking = new RunOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        shrinking.AddRunConfigEntry("memory.enable_memory_arena_shrinkage", "cpu:0");

        Exception? exception = Record.Exception(() => Run(session, [1, 0, 0], shrinking));

        // Only what exists can be shrunk.
        Assert.Equal(arena, exception == null);
    }

    [Fact]
    public void A_profile_names_every_node()
    {
        using var options = new SessionOptions { ProfileOutputPathPrefix = Path.Combine(_folder.FullName, "profile"), EnableProfiling = true };
        using var session = new InferenceSession(Fixtures.Affine, options);
        Run(session, [1, 0, 0]);

        string path = session.EndProfiling();

        Assert.Equal(_folder.FullName, Path.GetDirectoryName(path));
        Assert.Contains("MatMul", File.ReadAllText(path));
    }

    [Fact]
    public void Sessions_share_the_weights_that_they_are_given()
    {
        float[] weights = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
        using OrtValue value = OrtValue.CreateTensorValueFromMemory(weights, [3, 4]);
        using var container = new PrePackedWeightsContainer();
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        options.AddInitializer("W", value);

        using var first = new InferenceSession(Fixtures.Affine, options, container);
        using var second = new InferenceSession(File.ReadAllBytes(Fixtures.Affine), options, container);

        Assert.Equal([101, 202, 303, 400], Run(first, [1, 2, 3]));
        Assert.Equal([101, 202, 303, 400], Run(second, [1, 2, 3]));
    }

#if !OFFICIAL_PACKAGES // With the package, whoever shares weights must keep them.
    [Fact]
    public void Shared_weights_live_as_long_as_the_last_session()
    {
        InferenceSession session;
        using (OrtValue value = OrtValue.CreateTensorValueFromMemory([1f, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0], [3, 4]))
        using (var container = new PrePackedWeightsContainer())
        using (var options = new SessionOptions())
        {
            options.AddInitializer("W", value);
            session = new InferenceSession(Fixtures.Affine, options, container);
        }

        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

        using (session)
        {
            Assert.Equal([101, 202, 303, 400], Run(session, [1, 2, 3]));
        }
    }
#endif

    public void Dispose() => _folder.Delete(recursive: true);

    private static float[] Run(InferenceSession session, float[] input, RunOptions? options = null)
    {
        using OrtValue x = OrtValue.CreateTensorValueFromMemory(input, [1, 3]);
        using var defaults = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options ?? defaults, ["x"], [x], ["y"]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }
}
