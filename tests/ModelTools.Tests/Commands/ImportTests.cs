using System.IO.Compression;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;
using Whatsit.Inference.Scheduling;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

public sealed class ImportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("import").FullName;

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task An_imported_model_gives_its_recorded_answer_in_the_server()
    {
        var report = Import(Classifier(), "shapes", labels: ["circle", "square", "star", "cross", "moon"]);

        var folder = Path.Combine(Models, "shapes");
        var manifest = Bundle.ReadManifest(folder);
        Assert.Equal(["README.md", "classifier.f32", "labels.txt", "model.json", "model.onnx", "sample.png"], Directory.EnumerateFiles(folder)
            .Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(("image", InputElementType.UInt8, TensorLayout.Nhwc, 32, 32),
            (manifest.Input.Name, manifest.Input.ElementType, manifest.Input.Layout, manifest.Input.Width, manifest.Input.Height));
        Assert.Equal(("probabilities", "embedding", "features"), (manifest.Output.Name, manifest.Output.Embedding, manifest.Output.Features));
        Assert.InRange(report.Model.LargestDifference, 0, 1e-5f);
        Assert.Equal(2, manifest.Proof!.Value.GetProperty("inputs").GetInt32());
        Assert.Equal(5, manifest.Sample!.Predictions.Count);

        await SelfTestAsync(manifest, folder);
    }

    [Fact]
    public void A_model_imported_again_is_the_next_version()
    {
        Import(Classifier(), "shapes");
        Import(Classifier(), "shapes");

        Assert.Equal("2", Bundle.ReadManifest(Path.Combine(Models, "shapes")).Version);
        Assert.Equal(["shapes"], Directory.EnumerateDirectories(Models).Select(Path.GetFileName));
    }

    [Fact]
    public void What_a_killed_import_left_is_removed_by_the_next_one()
    {
        // Process numbers end at 2²² (man 5 proc_sys_kernel): nobody has this one. The others are at work, or at other work.
        var ended = $".shapes.4194305.{Guid.NewGuid():N}";
        var running = $".shapes.{Environment.ProcessId}.{Guid.NewGuid():N}";
        var other = $".other.4194305.{Guid.NewGuid():N}";
        foreach (var name in (string[])[ended, running, other])
        {
            Directory.CreateDirectory(Path.Combine(Models, name));
            File.WriteAllText(Path.Combine(Models, name, "model.onnx"), "half");
        }

        Import(Classifier(), "shapes");

        Assert.Equal(new[] { running, other, "shapes" }.Order(), Directory.EnumerateDirectories(Models).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void An_import_that_fails_leaves_nothing()
    {
        var exception = Assert.Throws<ModelFormatException>(() => Import(Classifier(), "shapes", labels: ["too", "few"]));

        Assert.EndsWith(" has 2 labels; the model has 5 classes.", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Models));
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(6, false)]
    [InlineData(6, true)]
    public void A_label_too_few_or_too_many_is_refused_but_for_a_background_that_is_named(int labels, bool background)
    {
        string[] lines = [.. Enumerable.Range(0, labels).Select(index => background && index == 0 ? "background" : $"l{index}")];
        if (background)
        {
            Import(Classifier(), "shapes", lines);
            Assert.Equal(["l1", "l2"], File.ReadLines(Path.Combine(Models, "shapes", "labels.txt")).Take(2));
        }
        else
        {
            Assert.EndsWith($" has {labels} labels; the model has 5 classes.",
                Assert.Throws<ModelFormatException>(() => Import(Classifier(), "shapes", lines)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("""["a","b","c","d","e"]""")]
    [InlineData("""{"0":"a","2":"c","1":"b","3":"d","4":"e"}""")]
    [InlineData("""{"0":["n1","a"],"1":["n2","b"],"2":["n3","c"],"3":["n4","d"],"4":["n5","e"]}""")]
    [InlineData("""{"labels":["a","b","c","d","e"]}""")]
    [InlineData("""{"b":1,"a":0,"d":3,"c":2,"e":4}""")]
    [InlineData("0: a\n1: b\n2: c\n3: d\n4: e\n")]
    [InlineData("0 a\n1 b\n2 c\n3 d\n4 e\n")]
    [InlineData("a\r\nb\r\nc\r\nd\r\ne")]
    [InlineData("a\rb\rc\rd\re")]
    [InlineData("id,name\n0,a\n1,b\n2,c\n3,d\n4,e\n")]
    [InlineData("""{"id2label":{"0":"a","1":"b","2":"c","3":"d","4":"e"},"model_type":"vit"}""")]
    public void Labels_come_in_the_forms_that_people_have(string text)
    {
        var path = Path.Combine(_folder, "labels");
        File.WriteAllText(path, text);

        Assert.Equal(["a", "b", "c", "d", "e"], LabelSource.Read(path));
    }

    [Fact]
    public void A_greyscale_network_takes_photos_and_keeps_its_floats()
    {
        var path = Write(Classifier(channels: 1), "grey");
        ModelImporter.Import(new ImportRequest(path, "grey", Models), _ => { });
        var floats = Numbers.Random(5, 1, 1, 32, 32);

        var bundle = ModelSource.Find(Path.Combine(Models, "grey"), Models);
        var fromBundle = InferCommand.Run(bundle, floats.Data.ToArray(), ElementType.Float32, [1, 1, 32, 32]).First().Value;
        var fromFile = InferCommand.Run(ModelSource.Find(path, Models), floats.Data.ToArray()).First().Value;
        var reference = new Interpreter(Classifier(channels: 1)).Run(floats).Values.First();

        Assert.InRange(Numbers.LargestDifference(reference, fromBundle), 0, 1e-5f);
        Assert.InRange(Numbers.LargestDifference(reference, fromFile), 0, 1e-5f);
        Assert.Equal([1, 5], InferCommand.Run(bundle, new byte[32 * 32 * 3]).First().Value.Shape);
    }

    [Theory]
    [InlineData("ONNX", 784, "The network takes rows of 784 numbers; assumed to be pictures of 28 × 28 pixels, grey.")]
    [InlineData("ONNX", 3072, "The network takes rows of 3,072 numbers; assumed to be pictures of 32 × 32 pixels, in three colours, one after the other.")]
    [InlineData("TensorFlow.js", 784, "The network takes rows of 784 numbers; assumed to be pictures of 28 × 28 pixels, grey.")]
    [InlineData("TensorFlow.js", 3072,
        "The network takes rows of 3,072 numbers; assumed to be pictures of 32 × 32 pixels, the three colours of each pixel together.")]
    public void A_network_on_rows_of_numbers_takes_pictures(string format, int length, string note)
    {
        (var side, var coloured) = length == 784 ? (28, false) : (32, true);
        var path = format == "ONNX" ? Write(Dense(length), "rows") : WriteTensorFlowJs(length);

        var report = ModelImporter.Import(new ImportRequest(path, "rows", Models) { Preset = "zero-to-one" }, _ => { });

        Assert.Contains(note, report.Model.Notes);
        Assert.Equal((side, side), (report.Manifest.Input.Width, report.Manifest.Input.Height));
        var pixels = new byte[side * side * 3];
        new Random(4).NextBytes(pixels);
        var row = new float[length];
        for (var i = 0; i < side * side * 3; i++)
        {
            (var pixel, var channel) = (i / 3, i % 3);
            var at = !coloured ? pixel : format == "ONNX" ? (channel * side * side) + pixel : i;
            row[at] = coloured ? pixels[i] / 255f
                : ((0.299f * pixels[pixel * 3]) + (0.587f * pixels[(pixel * 3) + 1]) + (0.114f * pixels[(pixel * 3) + 2])) / 255;
        }

        var fromFile = InferCommand.Run(ModelSource.Find(path, Models), Tensor.Float32([length], row).Data.ToArray(), ElementType.Float32).First().Value;
        var fromBundle = InferCommand.Run(ModelSource.Find("rows", Models), pixels)["logits"];
        Assert.InRange(Numbers.LargestDifference(fromFile, fromBundle), 0, 1e-4f);
    }

    [Theory]
    [InlineData(75)] // 3 · 5 · 5: a table rather than a picture
    [InlineData(1000)]
    public void A_network_on_rows_that_are_no_square_is_refused(int length) => Assert.Equal(
        $"The input 'x' of shape [-1, {length}] is no picture: height, width and one or three channels are expected, or a row of side · side or 3 · side · " +
            $"side numbers.",
        Assert.Throws<ModelFormatException>(() => Import(Dense(length), "rows")).Message);

    [Fact]
    public void Normalised_pixels_are_turned_back_for_a_bundle_that_takes_pixels()
    {
        var path = Write(Classifier(), "shapes");
        ModelImporter.Import(new ImportRequest(path, "shapes", Models) { Preset = "minus-one-to-one" }, _ => { });
        var pixels = new byte[32 * 32 * 3];
        new Random(3).NextBytes(pixels);
        var normalised = Array.ConvertAll(pixels, pixel => (pixel / 127.5f) - 1);

        var bundle = ModelSource.Find(Path.Combine(Models, "shapes"), Models);
        var fromPixels = InferCommand.Run(bundle, pixels)["probabilities"];
        var fromFloats = InferCommand.Run(bundle, Tensor.Float32([1, 32, 32, 3], normalised).Data.ToArray(), ElementType.Float32,
            [1, 32, 32, 3])["probabilities"];

        Assert.Equal(0, Numbers.LargestDifference(fromPixels, fromFloats));
    }

    [Fact]
    public void Floats_that_no_picture_has_run_through_a_bundle_too()
    {
        var path = Write(Classifier(), "shapes");
        ModelImporter.Import(new ImportRequest(path, "shapes", Models) { Preset = "keras-resnet50" }, _ => { }); // blue first
        var planes = Numbers.Random(1, 1, 3, 32, 32);
        var rows = Operators.Permute(planes, [0, 2, 3, 1]);

        var bundle = ModelSource.Find(Path.Combine(Models, "shapes"), Models);
        var fromFile = InferCommand.Run(ModelSource.Find(path, Models), planes.Data.ToArray()).First().Value;

        // The first convolution has weights for values around zero; as bytes they lie around a hundred, with as many digits less.
        Assert.InRange(Numbers.LargestDifference(fromFile, InferCommand.Run(bundle, rows.Data.ToArray())["probabilities"]), 0, 1e-4f);
        Assert.InRange(Numbers.LargestDifference(fromFile,
            InferCommand.Run(bundle, planes.Data.ToArray(), ElementType.Float32, [1, 3, 32, 32])["probabilities"]), 0, 1e-4f);
    }

    [Fact]
    public void A_zip_is_unpacked_and_its_labels_are_found()
    {
        var zip = Path.Combine(_folder, "download.zip");
        using (var archive = ZipFile.Open(zip, ZipArchiveMode.Create))
        {
            archive.CreateEntryFromFile(Write(Classifier(), "model"), "export/model.onnx");
            using var writer = new StreamWriter(archive.CreateEntry("export/labels.txt").Open());
            writer.Write("0 a\n1 b\n2 c\n3 d\n4 e\n");
        }

        ModelImporter.Import(new ImportRequest(zip, "shapes", Models), _ => { });

        Assert.Equal(["a", "b", "c", "d", "e"], File.ReadLines(Path.Combine(Models, "shapes", "labels.txt")));
    }

    [Theory]
    [InlineData("../labels.txt", "would lie outside of it")]
    [InlineData("archive/data.pkl", "is a PyTorch checkpoint")]
    [InlineData("readme.txt", "holds no model that can be read")]
    public void A_zip_that_holds_something_else_is_refused(string entry, string reason)
    {
        var zip = Path.Combine(_folder, "download.zip");
        using (var archive = ZipFile.Open(zip, ZipArchiveMode.Create))
        {
            archive.CreateEntry(entry);
        }

        Assert.Contains(reason, Assert.Throws<ModelFormatException>(() => ModelImporter.Import(new ImportRequest(zip, "x", Models), _ => { })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_whose_input_and_output_have_a_bundles_names_keeps_them_apart()
    {
        var builder = new GraphBuilder("names");
        var image = builder.AddInput("image", ElementType.Float32, 1, 3, 16, 16);
        var features = builder.AddNode("Conv", "probabilities", [image, builder.AddConstant("embedding", Numbers.Random(1, 4, 3, 3, 3))]);
        builder.AddOutput(builder.AddNode("Gemm", "features", [builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [features])]),
            builder.AddConstant("w", Numbers.Random(2, 4, 5))]), ElementType.Float32, 1, 5);
        var path = Write(builder.Graph, "names");

        var report = ModelImporter.Import(new ImportRequest(path, "names", Models), _ => { });

        Assert.Equal(("image", "logits"), (report.Manifest.Input.Name, report.Manifest.Output.Name));
        Assert.Equal(["logits", "embedding", "features"], InferCommand.Run(ModelSource.Find("names", Models), new byte[16 * 16 * 3]).Keys);
    }

    [Fact]
    public void A_file_for_exactly_four_pictures_takes_any_number()
    {
        var graph = Classifier();
        graph.Inputs[0] = graph.Inputs[0] with { Shape = [4, 3, 32, 32] };
        graph.Outputs[0] = graph.Outputs[0] with { Shape = [4, 5] };
        var report = ModelImporter.Import(new ImportRequest(Write(graph, "four"), "four", Models), _ => { });

        Assert.Contains("The file is made for exactly 4 pictures at a time; the bundle takes any number.", report.Model.Notes);
        Assert.Equal([1, 5], InferCommand.Run(ModelSource.Find("four", Models), new byte[32 * 32 * 3])["probabilities"].Shape);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_half_precision_network_becomes_one_of_floats(bool floatsOutside)
    {
        var graph = Classifier();
        foreach ((var name, var constant) in graph.Constants.ToArray())
        {
            graph.Constants[name] = Tensor.FromDoubles(ElementType.Float16, constant.Shape, constant.ToDoubles());
        }

        if (floatsOutside)
        {
            // As onnxconverter_common.convert_float_to_float16(keep_io_types=True) writes it.
            var cast = new Node("Cast", "cast", ["x"], ["x_half"]);
            cast.Attributes["to"] = (long)ElementType.Float16;
            graph.Nodes[0].Inputs[0] = "x_half";
            graph.Nodes.Insert(0, cast);
            var back = new Node("Cast", "back", [graph.Outputs[0].Name], ["scores_float"]);
            back.Attributes["to"] = (long)ElementType.Float32;
            graph.Nodes.Add(back);
            graph.Outputs[0] = graph.Outputs[0] with { Name = "scores_float" };
        }
        else
        {
            graph.Inputs[0] = graph.Inputs[0] with { Type = ElementType.Float16 };
            graph.Outputs[0] = graph.Outputs[0] with { Type = ElementType.Float16 };
        }

        var report = ModelImporter.Import(new ImportRequest(Write(graph, "half"), "half", Models), _ => { });

        Assert.Contains("Half-precision weights and values became 32-bit floats.", report.Model.Notes);
        Assert.InRange(report.Model.LargestDifference, 0, 1e-5f);
        var pictures = Numbers.Random(4, 1, 3, 32, 32);
        var expected = new Interpreter(Classifier()).Run(pictures).Values.Single();
        Assert.InRange(Numbers.LargestDifference(expected,
            InferCommand.Run(ModelSource.Find("half", Models), pictures.Data.ToArray(), ElementType.Float32, [1, 3, 32, 32])["probabilities"]), 0, 5e-3f);
    }

    [Fact]
    public void A_single_sigmoid_answers_two_classes_and_keeps_its_own_number()
    {
        var graph = Classifier(classes: 1, last: "Sigmoid");
        var report = ModelImporter.Import(new ImportRequest(Write(graph, "binary"), "binary", Models), _ => { });

        Assert.Equal(OutputKind.Probabilities, report.Manifest.Output.Kind);
        var answers = InferCommand.Run(ModelSource.Find("binary", Models), new byte[32 * 32 * 3]);
        var both = answers["probabilities"].ToFloats();
        Assert.Equal(both[1], answers["scores"].ToFloats().Single());
        Assert.Equal(1, both.Sum(), 6);
    }

    [Theory]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("")]
    [InlineData(".hidden")]
    public void A_name_that_is_no_folder_is_refused(string name) => Assert.Throws<InferenceException>(() => Import(Classifier(), name));

    [Fact]
    public void What_is_no_model_is_refused_in_one_sentence()
    {
        var path = Path.Combine(_folder, "photo.jpg");
        File.WriteAllBytes(path, [0xFF, 0xD8, 0xFF]);

        Assert.Equal($"'{path}' is no model that can be read: Keras, TensorFlow.js, TensorFlow Lite, ONNX, safetensors.",
            Assert.Throws<ModelFormatException>(() => ModelImporter.Import(new ImportRequest(path, "x", Models), _ => { })).Message);
        Assert.Equal($"There is no file or folder '{path}.missing'.",
            Assert.Throws<ModelFormatException>(() => ModelImporter.Import(new ImportRequest(path + ".missing", "x", Models), _ => { })).Message);
    }

    [Fact]
    public void Presets_say_what_the_networks_were_trained_with()
    {
        // Every preset must be one that the server can apply.
        foreach ((var name, var spec) in Presets.ByName)
        {
            var preprocessor = new Preprocessor(Presets.Choose(new ImportedModel(Classifier()), name, null, []),
                new InputSpec("image", InputElementType.UInt8, TensorLayout.Nhwc, 32, 32));
            Assert.NotNull(preprocessor);
            Assert.Contains(spec.Resample, Resizers.Names);
        }

        var notes = new List<string>();
        Assert.Equal(PreprocessingCertainty.Assumed, Presets.Choose(new ImportedModel(Classifier()), null, null, notes).Evidence!.Certainty);
        Assert.StartsWith("Preprocessing is not in the file; assumed: the preset zero-to-one.", Assert.Single(notes), StringComparison.Ordinal);
        Assert.Throws<ModelFormatException>(() => Presets.Get("keras-unknown"));
    }

    [Fact]
    public void Torchvision_crops_the_same_part_of_the_picture_whatever_the_network_s_side()
    {
        ModelImporter.Import(new ImportRequest(Write(Classifier(), "small"), "small", Models) { Preset = "torchvision" }, _ => { });

        Assert.Equal(37, Bundle.ReadManifest(Path.Combine(Models, "small")).Preprocessing.ResizeShortest); // 32 · 256 ÷ 224
    }

    public static TheoryData<string> SharedModels =>
    [
        "kivy/model.tflite", "digits-tfjs", "teachable/bread-tflite/model_unquant.tflite", "teachable/trash-tfjs", "teachable/waste-keras/keras_model.h5",
        "imagenet/mobilenet_v2_1.0_224_quant.tflite", "imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite",
    ];

    [Theory]
    [MemberData(nameof(SharedModels))]
    public async Task A_real_model_imports_and_answers_as_its_own_runtime_does(string model)
    {
        var path = Golden.Shared(model);
        var report = ModelImporter.Import(new ImportRequest(path, "real", Models), _ => { });
        var folder = Path.Combine(Models, "real");
        await SelfTestAsync(report.Manifest, folder);

        var file = ModelSource.Find(path, Models);
        var bundle = ModelSource.Find(folder, Models);
        var quantized = model.StartsWith("imagenet", StringComparison.Ordinal);
        var cases = 0;
        foreach ((var input, var encoding, var output) in Golden.Cases(model).Concat(Golden.Cases(model + "/model.json")))
        {
            cases++;
            var raw = File.ReadAllBytes(Golden.Shared(Path.Combine("golden", input)));
            var asFloats = encoding.StartsWith("uint8 /", StringComparison.Ordinal);
            var bytes = asFloats ? Tensor.Float32([raw.Length], Array.ConvertAll(raw, pixel => (pixel / 127.5f) - 1)).Data.ToArray() : raw;
            var type = asFloats || encoding == "raw float32" ? ElementType.Float32 : ElementType.UInt8;
            var fromFile = InferCommand.Run(file, bytes, type).First().Value.ToFloats();
            var fromBundle = InferCommand.Run(bundle, bytes, type).First().Value.ToFloats();
            if (quantized)
            {
                Golden.AgreesQuantized(output, fromFile);
                Golden.AgreesQuantized(output, Array.ConvertAll(fromBundle, probability => probability * 256));
            }
            else
            {
                Golden.Agrees(output, fromFile);
                Golden.Agrees(output, fromBundle);
            }
        }

        Assert.True(cases > 0, $"golden.json has no case for {model}.");
    }

    private ImportReport Import(Graph graph, string name, string[]? labels = null)
    {
        string? file = null;
        if (labels is not null)
        {
            file = Path.Combine(_folder, "given-labels.txt");
            File.WriteAllLines(file, labels);
        }

        return ModelImporter.Import(new ImportRequest(Write(graph, "model"), name, Models) { Labels = file }, _ => { });
    }

    private string Write(Graph graph, string name)
    {
        var path = Path.Combine(_folder, name + ".onnx");
        OnnxWriter.Write(graph, path);
        return path;
    }

    /// <summary>The server's own check.</summary>
    private static async Task SelfTestAsync(ModelManifest manifest, string folder)
    {
        var renamed = manifest with { Name = Path.GetFileName(folder) };
        var scheduling = new SchedulingOptions();
        var decoding = new DecodingOptions();
        using var metrics = new InferenceMetrics();
        using var permits = new DecodePermits(decoding, scheduling);
        var classifier = new ImageClassifier(ImageDecoders.Create(decoding), permits, metrics, scheduling);
        var model = Model.Load(renamed, folder, "fp32", new OnnxBackendOptions(), scheduling);
        await SelfTest.RunAsync(model, classifier, TestContext.Current.CancellationToken);
    }

    private static Graph Dense(int length)
    {
        var builder = new GraphBuilder("rows");
        var value = builder.AddInput("x", ElementType.Float32, -1, length);
        builder.AddOutput(builder.AddNode("Gemm", "dense", [value, builder.AddConstant("w", Numbers.Random(1, length, 5))]), ElementType.Float32, -1, 5);
        return builder.Graph;
    }

    /// <summary>The same as a layers model with one dense layer.</summary>
    private string WriteTensorFlowJs(int length)
    {
        File.WriteAllBytes(Path.Combine(_folder, "weights.bin"), Numbers.Random(1, length, 5).Data.ToArray());
        var path = Path.Combine(_folder, "model.json");
        File.WriteAllText(path, """
            {"format":"layers-model","modelTopology":{"keras_version":"2.4.0","model_config":{"class_name":"Sequential","config":{"name":"rows","layers":[
              {"class_name":"Dense","config":{"name":"dense","units":5,"activation":"linear","use_bias":false,"batch_input_shape":[null,LENGTH],"dtype":"float32"}}]}}},
             "weightsManifest":[{"paths":["weights.bin"],"weights":[{"name":"dense/kernel","shape":[LENGTH,5],"dtype":"float32"}]}]}
            """.Replace("LENGTH", $"{length}", StringComparison.Ordinal));
        return path;
    }

    private static Graph Classifier(int channels = 3, int classes = 5, string last = "Softmax")
    {
        var builder = new GraphBuilder("shapes");
        var value = builder.AddInput("x", ElementType.Float32, -1, channels, 32, 32);
        value = builder.AddNode("Conv", "conv", [value, builder.AddConstant("w", Numbers.Random(1, 8, channels, 3, 3)),
            builder.AddConstant("b", Numbers.Random(2, 8))], ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 }));
        value = builder.AddNode("GlobalAveragePool", "pool", [builder.AddNode("Relu", "relu", [value])]);
        value = builder.AddNode("Gemm", "dense",
            [builder.AddNode("Flatten", "flat", [value]), builder.AddConstant("dense_w", Numbers.Random(3, -3, 3, [8, classes]))]);
        builder.AddOutput(last == "Softmax" ? builder.AddNode(last, "scores", [value], ("axis", -1L))
            : builder.AddNode(last, "scores", [value]), ElementType.Float32, -1, classes);
        return builder.Graph;
    }
}
