using System.Text.Json;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

/// <summary>The files of tests/data/keras, what <c>make.py</c> computed for them, and Python where it is installed.</summary>
internal static class KerasFiles
{
    public static string Repository { get; } = Above(AppContext.BaseDirectory);

    public static string Path(string name) => System.IO.Path.Combine(Repository, "tests", "data", "keras", name);

    /// <summary>Every committed file, for the fuzz tests.</summary>
    public static IEnumerable<string> Names => Directory.EnumerateFiles(Path("")).Select(path => System.IO.Path.GetFileName(path)!)
        .Where(name => name.EndsWith(".h5", StringComparison.Ordinal) || name.EndsWith(".keras", StringComparison.Ordinal)).Order();

    /// <summary>A file of <c>shared/models</c>; the test is skipped where there is none.</summary>
    public static string Shared(string path)
    {
        var full = System.IO.Path.Combine(Repository, "..", "shared", "models", path);
        Assert.SkipUnless(File.Exists(full), $"shared/models/{path} is not beside the repository.");
        return full;
    }

    /// <summary>The input and the outputs that PyTorch computed for a file.</summary>
    public static (Tensor Input, IReadOnlyDictionary<string, Tensor> Outputs) Expected(string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path("expected.json")));
        return Expected(document.RootElement, file);
    }

    public static (Tensor Input, IReadOnlyDictionary<string, Tensor> Outputs) Expected(JsonElement answers, string file)
    {
        var answer = answers.GetProperty("files").GetProperty(file);
        return (Read(answer.GetProperty("input")), answer.GetProperty("outputs").EnumerateObject()
            .ToDictionary(output => output.Name, output => Read(output.Value)));

        Tensor Read(JsonElement array) => new(
            ElementType.Float32,
            [.. array.GetProperty("shape").EnumerateArray().Select(side => side.GetInt32())],
            answers.GetProperty("arrays")[array.GetProperty("values").GetInt32()].GetBytesFromBase64());
    }

    /// <summary>Runs an imported model and compares every output: its shape, and its numbers within 1e-4 of the largest.</summary>
    public static void Agrees(ImportedModel model, Tensor input, IReadOnlyDictionary<string, Tensor> outputs)
    {
        var answers = new Interpreter(model.Graph).Run(input);
        Assert.Equal(outputs.Count, model.Graph.Outputs.Count);
        foreach ((var output, (var name, var expected)) in model.Graph.Outputs.Zip(outputs))
        {
            var actual = answers[output.Name];
            Assert.True(expected.Shape.SequenceEqual(actual.Shape),
                $"'{name}' is [{string.Join(", ", actual.Shape)}] instead of [{string.Join(", ", expected.Shape)}].");
            Assert.True(output.Shape.Skip(1).SequenceEqual(expected.Shape.Skip(1)), $"'{name}' is described as [{string.Join(", ", output.Shape)}].");
            var difference = LargestDifference(expected.As<float>(), actual.As<float>());
            var largest = LargestDifference(expected.As<float>(), new float[expected.Length]);
            Assert.True(difference <= 1e-4f * largest, $"'{name}' differs by {difference} where the largest is {largest}.");
        }
    }

    public static float LargestDifference(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        float largest = 0;
        for (var index = 0; index < expected.Length; index++)
        {
            var difference = Math.Abs(expected[index] - actual[index]);
            largest = float.IsNaN(difference) ? float.PositiveInfinity : Math.Max(largest, difference);
        }

        return largest;
    }

    /// <summary>Runs a script of tests/data/keras; the test is skipped where Python, PyTorch or h5py is absent.</summary>
    public static Task Python(string script, params string[] arguments) => Tests.Python.RunAsync("h5py, torch", Path(script), arguments);

    private static string Above(string folder) =>
        File.Exists(System.IO.Path.Combine(folder, "Server.sln")) ? folder
            : Above(System.IO.Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("No Server.sln above the tests."));
}
