using System.IO.Compression;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Formats.Hdf5;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

/// <summary>Keras files as Windows, Keras 1, Theano and save_weights left them: one network, computed here by hand.</summary>
public sealed class KerasFilesOfOthersTests : IDisposable
{
    private const string Keras2 = """
        {"class_name": "Sequential", "keras_version": "2.15.0", "backend": "tensorflow", "config": {"name": "net", "layers": [
          {"class_name": "Conv2D", "config": {"name": "first", "batch_input_shape": [null, 6, 5, 2], "filters": 3, "kernel_size": [3, 2], "strides": [2, 1],
            "padding": "valid", "activation": "relu"}},
          {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool"}},
          {"class_name": "Dense", "config": {"name": "last", "units": 4, "activation": "linear"}}]}}
        """;

    private const string Keras1Th = """
        {"class_name": "Sequential", "config": [
          {"class_name": "Convolution2D", "config": {"name": "first", "batch_input_shape": [null, 2, 6, 5], "nb_filter": 3, "nb_row": 3, "nb_col": 2,
            "subsample": [2, 1], "border_mode": "valid", "dim_ordering": "th", "bias": true, "activation": "relu", "init": "glorot_uniform"}},
          {"class_name": "GlobalAveragePooling2D", "config": {"name": "pool", "dim_ordering": "th"}},
          {"class_name": "Dropout", "config": {"name": "drop", "p": 0.5}},
          {"class_name": "Dense", "config": {"name": "last", "output_dim": 4, "bias": true, "activation": "linear"}}]}
        """;

    private static readonly Tensor Kernel = Numbers.Random(1, 3, 2, 2, 3);
    private static readonly Tensor Bias = Numbers.Random(2, 3);
    private static readonly Tensor Dense = Numbers.Random(3, 3, 4);
    private static readonly Tensor DenseBias = Numbers.Random(4, 4);
    private static readonly Tensor Picture = Numbers.Random(5, 1, 6, 5, 2);

    private readonly string _folder = Directory.CreateTempSubdirectory("others").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData('|')]
    [InlineData('\\')]
    public void An_archive_that_Windows_wrote_has_its_groups_at_the_top(char joined)
    {
        // h5py makes groups of slashes alone: "layers\\conv2d" is one name; versions differ in how they joined "vars" to it.
        var weights = new Hdf5Writer()
            .Dataset($"layers\\conv2d{joined}vars|0", Kernel, '|').Dataset($"layers\\conv2d{joined}vars|1", Bias, '|')
            .Dataset($"layers\\dense{joined}vars|0", Dense, '|').Dataset($"layers\\dense{joined}vars|1", DenseBias, '|');
        var path = Path.Combine(_folder, "windows.keras");
        using (var archive = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            Add(archive, "config.json", System.Text.Encoding.UTF8.GetBytes(Keras2));
            Add(archive, "metadata.json", """{"keras_version": "2.15.0"}"""u8.ToArray());
            Add(archive, "model.weights.h5", weights.ToArray());
        }

        Agrees(new KerasReader().Read(path), Picture);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Keras_1_is_read_with_channels_first(bool filtersFirst)
    {
        // Keras 1 kept [filters, channels, rows, columns] where pictures have their channels first.
        var kernel = filtersFirst ? Operators.Permute(Kernel, [3, 2, 0, 1]) : Kernel;
        var path = Path.Combine(_folder, "keras1.h5");
        File.WriteAllBytes(path, new Hdf5Writer()
            .Attribute("", "model_config", Keras1Th).Attribute("", "keras_version", "1.2.2")
            .Attribute("model_weights", "layer_names", "first", "pool", "drop", "last")
            .Attribute("model_weights/first", "weight_names", "first_W", "first_b").Attribute("model_weights/last", "weight_names", "last_W", "last_b")
            .Dataset("model_weights/first/first_W", kernel).Dataset("model_weights/first/first_b", Bias)
            .Dataset("model_weights/last/last_W", Dense).Dataset("model_weights/last/last_b", DenseBias).ToArray());

        var model = new KerasReader().Read(path);

        Agrees(model, Operators.Permute(Picture, [0, 3, 1, 2]));
        Assert.Contains(model.Notes, note => note.Contains("Theano", StringComparison.Ordinal));
    }

    [Fact]
    public void Theano_s_kernels_are_turned_back()
    {
        var turned = Tensor.Float32(Kernel.Shape,
            [.. Enumerable.Range(0, 6).Reverse().SelectMany(place => Kernel.ToFloats().Skip(place * 6).Take(6))]);
        var path = Path.Combine(_folder, "theano.h5");
        File.WriteAllBytes(path, Whole(turned).Attribute("", "backend", "theano").ToArray());

        Agrees(new KerasReader().Read(path), Picture);
    }

    [Theory]
    [InlineData("by name")]
    [InlineData("by class")]
    public void Weights_alone_are_read_with_a_description(string how)
    {
        var path = Path.Combine(_folder, "weights.h5");
        File.WriteAllBytes(path, (how == "by name" ? Stored(new Hdf5Writer(), "", Kernel)
            : new Hdf5Writer().Dataset("layers/conv2d/vars/0", Kernel).Dataset("layers/conv2d/vars/1", Bias)
                .Dataset("layers/dense/vars/0", Dense).Dataset("layers/dense/vars/1", DenseBias)).ToArray());

        Agrees(new KerasReader(new ReadingOptions { Architecture = Keras2 }).Read(path), Picture);
        Assert.Contains("--config", Assert.Throws<ModelFormatException>(() => new KerasReader().Read(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_description_beside_a_whole_model_is_refused()
    {
        var path = Path.Combine(_folder, "whole.h5");
        File.WriteAllBytes(path, Whole(Kernel).ToArray());

        Agrees(new KerasReader().Read(path), Picture);
        var reader = new KerasReader(new ReadingOptions { Architecture = Keras2 });
        Assert.Contains("this one describes its own", Assert.Throws<ModelFormatException>(() => reader.Read(path)).Message, StringComparison.Ordinal);
    }

    private static Hdf5Writer Whole(Tensor kernel) =>
        Stored(new Hdf5Writer().Attribute("", "model_config", Keras2).Attribute("", "keras_version", "2.1.6"), "model_weights/", kernel);

    private static Hdf5Writer Stored(Hdf5Writer writer, string root, Tensor kernel) => writer
        .Attribute(root, "layer_names", "first", "pool", "last")
        .Attribute($"{root}first", "weight_names", "first/kernel:0", "first/bias:0").Attribute($"{root}last", "weight_names", "last/kernel:0", "last/bias:0")
        .Dataset($"{root}first/first/kernel:0", kernel).Dataset($"{root}first/first/bias:0", Bias)
        .Dataset($"{root}last/last/kernel:0", Dense).Dataset($"{root}last/last/bias:0", DenseBias);

    private static void Add(ZipArchive archive, string name, byte[] content)
    {
        using var entry = archive.CreateEntry(name, CompressionLevel.NoCompression).Open();
        entry.Write(content);
    }

    private static void Agrees(ImportedModel model, Tensor picture)
    {
        var x = Picture.ToFloats();
        var kernel = Kernel.ToFloats();
        var means = new double[3];
        for (var filter = 0; filter < 3; filter++)
        {
            for (var row = 0; row < 2; row++)
            {
                for (var column = 0; column < 4; column++)
                {
                    double sum = Bias.ToFloats()[filter];
                    for (var place = 0; place < 12; place++)
                    {
                        (var down, var right, var channel) = (place / 4, place / 2 % 2, place % 2);
                        sum += x[(((((row * 2) + down) * 5) + column + right) * 2) + channel] * kernel[(((((down * 2) + right) * 2) + channel) * 3) + filter];
                    }

                    means[filter] += Math.Max(0, sum) / 8;
                }
            }
        }

        double[] expected = [.. Enumerable.Range(0, 4)
            .Select(unit => DenseBias.ToFloats()[unit] + Enumerable.Range(0, 3).Sum(filter => means[filter] * Dense.ToFloats()[(filter * 4) + unit]))];
        var answer = new Interpreter(model.Graph).Run(picture).Single().Value.ToFloats();
        Assert.All(expected.Zip(answer), pair => Assert.Equal(pair.First, pair.Second, 5));
    }
}
