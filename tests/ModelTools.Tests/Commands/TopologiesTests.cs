using System.Text.Json;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>
/// Networks of full size, from descriptions without weights in shared/models/topologies: scripts give them random weights and compute with PyTorch what they
/// answer. Skipped where the descriptions, Python, PyTorch or h5py are absent.
/// </summary>
public sealed class TopologiesTests
{
    [Theory]
    [InlineData("keras-mobilenet_v2.tfjs-layers", "model.h5")]
    [InlineData("keras-resnet50.tfjs-layers", "model.h5")]
    [InlineData("keras-mobilenet_v2.tfjs-layers", "tfjs")]
    [InlineData("keras-resnet50.tfjs-layers", "tfjs")]
    [InlineData("food101-mobilenet_v2.tfjs-graph", "tfjs")]
    [InlineData("food101-resnet50_v2.tfjs-graph", "tfjs")]
    public async Task A_network_of_full_size_becomes_a_bundle_that_answers_what_PyTorch_answers(string topology, string file)
    {
        var description = KerasFiles.Shared($"topologies/{topology}.json");
        var folder = Directory.CreateTempSubdirectory("topologies").FullName;
        try
        {
            var path = Path.Combine(folder, file);
            await KerasFiles.Python(file == "tfjs" ? "../tfjs/networks.py" : "networks.py", description, path);
            using var answers = JsonDocument.Parse(await File.ReadAllBytesAsync(file == "tfjs" ? Path.Combine(path, "answers.json")
                : $"{path}.json", TestContext.Current.CancellationToken));
            (var input, var outputs) = KerasFiles.Expected(answers.RootElement, "model");
            var expected = outputs.Values.Single().ToFloats();

            var models = Path.Combine(folder, "models");
            var report = ModelImporter.Import(new ImportRequest(path, "network", models), _ => { });
            var fromFile = InferCommand.Run(ModelSource.Find(path, models), input.Data.ToArray(), ElementType.Float32).First().Value.ToFloats();
            var fromBundle = InferCommand.Run(ModelSource.Find("network", models), input.Data.ToArray(), ElementType.Float32).First().Value.ToFloats();

            Assert.InRange(report.Model.LargestDifference, 0, 1e-4f);
            Assert.InRange(KerasFiles.LargestDifference(expected, fromFile), 0, 1e-4f);
            Assert.InRange(KerasFiles.LargestDifference(expected, fromBundle), 0, 1e-4f);
            // Probabilities that all are the same would agree with anything.
            Assert.InRange(expected.Max() / expected.Average(), 2, float.MaxValue);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
