using System.Text.Json;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

/// <summary>Whole networks, written by a script and computed by PyTorch there; skipped where Python, PyTorch or h5py is absent.</summary>
public sealed class KerasNetworksTests
{
    public static TheoryData<string> Networks =>
    [
        "vgg16", "mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "resnet50", "resnet50_v2", "densenet121", "efficientnet_b0",
            "efficientnet_v2_b0",
        "xception", "inception_v3", "inception_resnet_v2", "nasnet_mobile",
    ];

    [Theory]
    [MemberData(nameof(Networks))]
    public async Task A_network_of_keras_applications_answers_what_PyTorch_answers_from_h5(string name) => await Imports(name, "h5");

    [Theory]
    [MemberData(nameof(Networks))]
    public async Task A_network_of_keras_applications_answers_what_PyTorch_answers_from_keras(string name) => await Imports(name, "keras");

    [Theory]
    [InlineData("keras-mobilenet_v2")]
    [InlineData("keras-resnet50")]
    public async Task A_network_of_full_size_imports_in_little_memory(string topology)
    {
        var description = KerasFiles.Shared($"topologies/{topology}.tfjs-layers.json");
        await WithModel("h5", description, (path, input, outputs) =>
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var model = new KerasReader().Read(path);
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            KerasFiles.Agrees(model, input, outputs);
            // All that was ever allocated, much of it garbage by then: peak memory is below.
            Assert.True(allocated < 6 * new FileInfo(path).Length, $"It took {allocated} bytes for a file of {new FileInfo(path).Length}.");
        });
    }

    private static Task Imports(string name, string extension) =>
        WithModel(extension, name, (path, input, outputs) => KerasFiles.Agrees(new KerasReader().Read(path), input, outputs));

    /// <summary>A network as the script writes it, and what PyTorch answers.</summary>
    internal static async Task WithModel(string extension, string network, Action<string, Tensor, IReadOnlyDictionary<string, Tensor>> test)
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            var path = Path.Combine(folder, $"model.{extension}");
            await KerasFiles.Python("networks.py", network, path);
            using var answers = JsonDocument.Parse(await File.ReadAllBytesAsync($"{path}.json", TestContext.Current.CancellationToken));
            (var input, var outputs) = KerasFiles.Expected(answers.RootElement, "model");
            test(path, input, outputs);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
