using System.IO.Compression;
using System.Text;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Formats.HuggingFace;

/// <summary>Folders with weights and no graph: what PyTorch answered for each is recorded, and asked again where it is installed.</summary>
public sealed class TransformersNetworksTests : IDisposable
{
    private static readonly string Data = Path.Combine(KerasFiles.Repository, "tests", "data", "safetensors");

    private readonly string _folder = Directory.CreateTempSubdirectory("weights").FullName;

    private string Network => Path.Combine(_folder, "network");

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("resnet")]
    [InlineData("mobilenet_v2")]
    [InlineData("vit")]
    [InlineData("deit")]
    [InlineData("timm-resnet")]
    [InlineData("timm-vit")]
    public void Weights_with_a_configuration_answer_as_PyTorch_did(string name)
    {
        var report = RecordedNetworks.Import(Path.Combine(Data, name), Models);

        Assert.Equal(["leaf 0", "leaf 1", "leaf 2", "leaf 3", "leaf 4"], report.Model.Labels);
        Assert.Equal((PreprocessingCertainty.Known, 0.25, "safetensors"),
            (report.Manifest.Preprocessing.Evidence!.Certainty, report.Manifest.Preprocessing.ImageStd[0], report.Model.Format));
        Assert.DoesNotContain(report.Model.Notes, note => note.Contains("left out", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("resnet-bottleneck")]
    [InlineData("resnet-early")]
    [InlineData("mobilenet_v2-fine")]
    [InlineData("mobilenet_v2-dilated")]
    [InlineData("mobilenet_v2-same")]
    [InlineData("vit-plain")]
    [InlineData("vit-quick")]
    [InlineData("deit-student")]
    [InlineData("timm-resnext")]
    [InlineData("timm-mobilenetv2")]
    [InlineData("timm-deit")]
    public async Task Weights_with_a_configuration_answer_as_PyTorch_does(string name)
    {
        await Python.RunAsync("torch, numpy", Path.Combine(Data, "networks.py"), _folder, name);

        RecordedNetworks.Import(Path.Combine(_folder, name), Models);
    }

    [Fact]
    public void A_graph_in_the_folder_is_taken_before_its_weights()
    {
        Copy("vit");
        File.WriteAllText(Path.Combine(Network, "tf_model.h5"), "\u0089HDF");
        Assert.Equal("safetensors", Import().Model.Format);

        Directory.CreateDirectory(Path.Combine(Network, "onnx"));
        HubFolders.Network(Path.Combine(Network, "onnx", "model.onnx"));
        Change(config => config.Replace("\"id2label\"", "\"labels\"", StringComparison.Ordinal));
        Assert.Equal("ONNX", Import().Model.Format);
        Assert.Equal("ONNX", ModelSource.Find(Network, Models).Reader!.Format);
    }

    [Fact]
    public void Weights_that_have_no_place_are_named()
    {
        Copy("vit");
        Change(config => config.Replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", StringComparison.Ordinal));

        Assert.Contains(Import().Model.Notes, note => note.StartsWith("Warning: 16 tensors have no place in this network and are left out: " +
            "vit.encoder.layer.1.attention.attention.key.bias, ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("\"ViTForImageClassification\"", "\"SwinForImageClassification\"", "says 'SwinForImageClassification'; ResNetForImageClassification, ")]
    [InlineData("\"hidden_size\": 12", "\"hidden_size\": 24", "'vit.embeddings.patch_embeddings.projection.weight' are [12, 3, 8, 8] where")]
    [InlineData("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "The weights have no 'vit.encoder.layer.2.layernorm_before.weight'")]
    [InlineData("\"num_hidden_layers\": 2", "\"num_hidden_layers\": -2", "config.json says -2 for 'num_hidden_layers', which no network has")]
    [InlineData("\"num_hidden_layers\": 2", "\"num_hidden_layers\": \"many\"", "config.json says \"many\" for 'num_hidden_layers'")]
    [InlineData("\"num_attention_heads\": 3", "\"num_attention_heads\": 5", "5 heads that share a width of 12")]
    [InlineData("\"image_size\": 24", "\"image_size\": 48",
        "'vit.embeddings.position_embeddings' are [1, 10, 12] where the network of config.json has [1, 37, 12]")]
    [InlineData("\"patch_size\": 8", "\"patch_size\": [1, 2, 3]", "config.json says [1, 2, 3] for 'patch_size'")]
    [InlineData("\"model_type\"", "\"hidden_act\": \"gelu_of_mine\", \"model_type\"", "the activation is 'gelu_of_mine', which is not supported")]
    public void A_configuration_that_is_another_network_s_is_refused(string written, string instead, string sentence)
    {
        Copy("vit");
        Change(config => config.Replace(written, instead, StringComparison.Ordinal));

        Assert.Contains(sentence, Refusal(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"resnet18\"", "\"resnet18d\"", "says 'resnet18d'; ")]
    [InlineData("\"resnet18\"", "\"resnet50_gn\"", "says 'resnet50_gn'; ")]
    [InlineData("\"num_classes\": 5,", "\"num_classes\": 5, \"model_args\": {\"act_layer\": \"gelu\"},",
        "was made with 'act_layer', whose effect on the graph")]
    [InlineData("\"global_pool\": \"avg\"", "\"global_pool\": \"max\"", "says 'max' for 'global_pool'")]
    [InlineData("\"resnet18\"", "\"mobilenetv2_100\"", "The weights have no 'conv_stem.weight'")]
    public void A_network_of_timm_s_that_is_another_one_is_refused(string written, string instead, string sentence)
    {
        Copy("timm-resnet");
        Change(config => config.Replace(written, instead, StringComparison.Ordinal));

        Assert.Contains(sentence, Refusal(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_of_timm_s_with_parts_of_another_is_refused()
    {
        Copy("timm-vit");
        var path = Path.Combine(Network, "model.safetensors");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(File.ReadAllBytes(path))
            .Replace("\"norm.bias\"", "\"norm.blas\"", StringComparison.Ordinal)));
        Assert.Contains("The weights have no 'norm.bias'", Refusal(), StringComparison.Ordinal);

        Copy("timm-vit");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(File.ReadAllBytes(path))
            .Replace("\"blocks.1.", "\"blocks.2.", StringComparison.Ordinal)));
        Assert.Contains("'vit_tiny_patch16_224' is known as a network without 'blocks.2.attn.proj.bias', which these weights have", Refusal(),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_alone_are_refused()
    {
        Copy("vit");
        File.Delete(Path.Combine(Network, "config.json"));

        Assert.Contains("A safetensors file holds weights and no network, and there is no config.json beside it", Refusal(), StringComparison.Ordinal);
        Assert.Contains("A safetensors file holds weights", Refusal("model.safetensors"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pytorch_model.bin", true)]
    [InlineData("pytorch_model.bin", false)]
    [InlineData("model.pth", true)]
    [InlineData("network.pt", true)]
    [InlineData("network.pkl", false)]
    public void Weights_that_are_code_are_not_opened(string name, bool zip)
    {
        Copy("vit");
        File.Delete(Path.Combine(Network, "model.safetensors"));
        Pickle(Path.Combine(Network, name), zip);

        var sentence = zip ? $"'{name}' is a PyTorch checkpoint, which holds Python code and is not opened: save the weights as safetensors"
            : $"'{name}' is a Python pickle, which holds code and is not opened";
        Assert.Contains(sentence, Refusal(), StringComparison.Ordinal);
        Assert.Contains(sentence, Refusal(name), StringComparison.Ordinal);
    }

    [Fact]
    public void Code_beside_the_weights_is_left_alone_in_a_zip_too()
    {
        Copy("vit");
        Pickle(Path.Combine(Network, "pytorch_model.bin"), zip: true);
        Pickle(Path.Combine(Network, "training_args.bin"), zip: false);
        Assert.Equal("safetensors", Import().Model.Format);

        ZipFile.CreateFromDirectory(Network, Path.Combine(_folder, "network.zip"), CompressionLevel.Fastest, includeBaseDirectory: true);
        Assert.Equal("safetensors", ModelImporter.Import(new ImportRequest(Path.Combine(_folder, "network.zip"), "zipped", Models), _ => { }).Model.Format);
    }

    private void Copy(string name)
    {
        Directory.CreateDirectory(Network);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Data, name)))
        {
            File.Copy(file, Path.Combine(Network, Path.GetFileName(file)), overwrite: true);
        }
    }

    private void Change(Func<string, string> change)
    {
        var path = Path.Combine(Network, "config.json");
        var text = change(File.ReadAllText(path));
        Assert.NotEqual(File.ReadAllText(path), text);
        File.WriteAllText(path, text);
    }

    private static void Pickle(string path, bool zip)
    {
        if (!zip)
        {
            File.WriteAllBytes(path, [0x80, 2, .. Encoding.ASCII.GetBytes("cposix\nsystem\n.")]);
            return;
        }

        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        using var entry = archive.CreateEntry("archive/data.pkl").Open();
        entry.Write([0x80, 2, (byte)'.']);
    }

    private ImportReport Import(string file = "") => ModelImporter.Import(new ImportRequest(Path.Combine(Network, file), "leaves", Models), _ => { });

    private string Refusal(string file = "") => Assert.Throws<ModelFormatException>(() => Import(file)).Message;
}
