using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

public sealed class KerasReaderTests
{
    private readonly KerasReader _reader = new();

    [Theory]
    [InlineData("layers-keras2.keras")] // every layer by itself, with Keras 2's settings and calls
    [InlineData("layers-keras3.keras")] // …and with Keras 3's
    [InlineData("classifier-keras2.h5")] // a network in a network, called twice; a layer called twice
    [InlineData("classifier-keras2.keras")] // layers counted twice, as Keras 2.12 and 2.13 do
    [InlineData("classifier-keras3.h5")]
    [InlineData("classifier-keras3.keras")]
    [InlineData("sequential-keras2.h5")] // lists of names in pieces
    [InlineData("sequential-keras3.keras")]
    public void A_model_answers_what_PyTorch_computes_for_it(string file)
    {
        (var input, var outputs) = KerasFiles.Expected(file);

        Assert.True(_reader.CanRead(KerasFiles.Path(file)));
        KerasFiles.Agrees(_reader.Read(KerasFiles.Path(file)), input, outputs);
    }

    [Theory]
    [InlineData("electric_ray-224.rgb")]
    [InlineData("tench-224.rgb")]
    [InlineData("brambling-224.rgb")]
    public void A_Teachable_Machine_export_answers_what_TensorFlow_answers(string photo)
    {
        var model = KerasFiles.Shared("teachable/waste-keras/keras_model.h5");
        using var golden = JsonDocument.Parse(File.ReadAllText(KerasFiles.Shared("golden/golden.json")));
        float[] expected = [.. golden.RootElement.GetProperty("cases").EnumerateArray()
            .Single(one => one.GetProperty("model").GetString() == "teachable/waste-keras/keras_model.h5" && one.GetProperty("input").GetString() == photo)
            .GetProperty("output").EnumerateArray().Select(value => value.GetSingle())];
        float[] pixels = [.. File.ReadAllBytes(KerasFiles.Shared($"golden/{photo}")).Select(pixel => (pixel / 127.5f) - 1)];

        var imported = _reader.Read(model);
        var answer = new Interpreter(imported.Graph).Run(Tensor.Float32([1, 224, 224, 3], pixels)).Single().Value;

        Assert.True(KerasFiles.LargestDifference(expected, answer.As<float>()) <= 1e-4f);
        Assert.Equal(["cardboard", "plastic", "glass", "metal"], imported.Labels!);
        Assert.Equal(Crop.CenterSquare, imported.Preprocessing!.Crop);
        Assert.Equal(1 / 127.5, imported.Preprocessing.RescaleFactor);
        Assert.Contains(imported.Notes, note => note.StartsWith("Teachable Machine", StringComparison.Ordinal));
    }

    [Fact]
    public void A_network_that_scales_its_input_itself_takes_pixels()
    {
        var scaled = _reader.Read(KerasFiles.Path("classifier-keras3.keras"));
        var plain = _reader.Read(KerasFiles.Path("sequential-keras2.h5"));

        Assert.Equal(1, scaled.Preprocessing!.RescaleFactor);
        Assert.Equal([0, 0, 0], scaled.Preprocessing.ImageMean);
        Assert.Contains("The network scales its input itself (layer 'rescaling'): it takes pixels from 0 to 255.", scaled.Notes);
        Assert.Null(plain.Preprocessing);
    }

    [Fact]
    public void Values_carry_the_names_of_their_layers()
    {
        var graph = _reader.Read(KerasFiles.Path("classifier-keras2.h5")).Graph;

        Assert.Equal("classifier", graph.Name);
        Assert.Equal(["image"], graph.Inputs.Select(input => input.Name));
        Assert.Equal([-1, 8, 8, 3], graph.Inputs[0].Shape);
        Assert.Equal(["head/dense"], graph.Outputs.Select(output => output.Name));
        Assert.Contains("features/conv/kernel", graph.Constants.Keys);
        Assert.Single(graph.Constants.Keys, name => name.StartsWith("features/shared/kernel", StringComparison.Ordinal)); // four calls, one set of weights
    }

    [Fact]
    public void Labels_are_read_from_the_file_beside_the_model()
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            File.Copy(KerasFiles.Path("sequential-keras2.h5"), Path.Combine(folder, "model.h5"));
            File.WriteAllText(Path.Combine(folder, "labels.txt"), "0 cat\n1 7 dwarfs\n");

            Assert.Equal(["cat", "7 dwarfs"], _reader.Read(Path.Combine(folder, "model.h5")).Labels!);

            // Of no encoding that is known.
            File.WriteAllBytes(Path.Combine(folder, "labels.txt"), [0x61, 0xA4, 0x0A, 0x81, 0x0A]);
            Assert.Null(_reader.Read(Path.Combine(folder, "model.h5")).Labels);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Other_files_are_not_taken_for_Keras_models()
    {
        Assert.False(_reader.CanRead(KerasFiles.Path("make.py")));
        Assert.False(_reader.CanRead(KerasFiles.Path("")));
        Assert.False(_reader.CanRead(KerasFiles.Path("missing.h5")));
        Assert.True(_reader.CanRead(KerasFiles.Path("latest.h5"))); // HDF5; what kind, Read says
    }

    [Fact]
    public void Weights_without_their_network_are_refused()
    {
        Assert.Equal(
            "The HDF5 file is not a Keras model: it has no attribute 'model_config'.",
            Assert.Throws<ModelFormatException>(() => _reader.Read(KerasFiles.Path("latest.h5"))).Message);
        Assert.Equal(
            "The file holds weights without the network they belong to: save the whole model (model.save), not only its weights (model.save_weights), " +
                "or give the network's description (model.to_json()) with --config.",
            Read(Archive(KerasFiles.Path("classifier-keras3.keras"), "model.weights.h5")));
    }

    [Fact]
    public void An_archive_that_claims_other_sizes_than_it_has_is_refused()
    {
        var archive = File.ReadAllBytes(KerasFiles.Path("classifier-keras3.keras"));
        var central = archive.AsSpan().LastIndexOf("PK\u0001\u0002"u8); // the entry of the weights in the central directory
        archive.AsSpan(central + 24, 4).Fill(0x7F); // its uncompressed size

        Assert.StartsWith("'model.weights.h5' in the .keras archive would unpack to 2,139,062,143 bytes.", Read(archive), StringComparison.Ordinal);
    }

    [Fact]
    public void An_archive_without_weights_is_refused()
    {
        var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            using var entry = archive.CreateEntry("config.json").Open();
            entry.Write(Encoding.UTF8.GetBytes(
                "{\"class_name\": \"Sequential\", \"config\": {\"layers\": [{\"class_name\": \"Flatten\", \"config\": {\"name\": \"f\"}}]}}"));
        }

        Assert.Equal("The .keras archive lacks 'model.weights.h5'.", Read(stream.ToArray()));
    }

    private static byte[] Archive(string path, string entry)
    {
        using var archive = ZipFile.OpenRead(path);
        using var stream = archive.GetEntry(entry)!.Open();
        var content = new MemoryStream();
        stream.CopyTo(content);
        return content.ToArray();
    }

    private string Read(byte[] file)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, file);
            return Assert.Throws<ModelFormatException>(() => _reader.Read(path)).Message;
        }
        finally
        {
            File.Delete(path);
        }
    }
}
