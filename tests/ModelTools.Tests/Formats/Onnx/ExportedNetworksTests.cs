using Whatsit.ModelTools.Tests.Formats.HuggingFace;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Formats.Onnx;

/// <summary>
/// Networks as torch.onnx.export writes them, with every side open: windows that are rolled and masked (ScatterND), patches that are unfolded, einsums,
/// gates, pictures that are resized on the way. What PyTorch answered is recorded, and asked again where it is installed.
/// </summary>
public sealed class ExportedNetworksTests : IDisposable
{
    private static readonly string Data = Path.Combine(KerasFiles.Repository, "tests", "data", "exporters");

    private readonly string _folder = Directory.CreateTempSubdirectory("exported").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("convnext")]
    [InlineData("efficientnet")]
    [InlineData("swin-12")]
    [InlineData("mobilevit")]
    [InlineData("vit-resized")]
    public void A_network_of_an_exporter_answers_as_PyTorch_did(string name)
    {
        var report = RecordedNetworks.Import(Path.Combine(Data, name), Path.Combine(_folder, "models"));

        Assert.Equal(["leaf 0", "leaf 1", "leaf 2", "leaf 3", "leaf 4"], report.Model.Labels);
    }

    [Theory]
    [InlineData("convnext")]
    [InlineData("efficientnet")]
    [InlineData("swin")]
    [InlineData("mobilevit-even")]
    [InlineData("vit-resized")]
    public async Task A_network_of_an_exporter_answers_as_PyTorch_does(string name)
    {
        await Python.RunAsync("torch", Path.Combine(Data, "networks.py"), _folder, name);

        RecordedNetworks.Import(Path.Combine(_folder, name), Path.Combine(_folder, "models"));
    }
}
