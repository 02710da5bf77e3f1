using System.Text;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Formats.TensorFlowLite;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>What other people's files do differently, and must not be answered wrongly for.</summary>
public sealed class AnyonesModelTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("anyone").FullName;

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(null)]
    [InlineData("Relu")]
    [InlineData("Tanh")]
    [InlineData("HardSigmoid")]
    [InlineData("Sigmoid")]
    public void One_number_is_one_of_two_classes_however_it_ends(string? activation)
    {
        var path = Write(Ending(1, builder => activation is null ? "dense" : builder.AddNode(activation, "last", ["dense"])));
        var labels = Path.Combine(_folder, "names");
        File.WriteAllText(labels, "cat\ndog\n");

        var report = ModelImporter.Import(new ImportRequest(path, "two", Models) { Labels = labels }, _ => { });

        Assert.Equal((OutputKind.Probabilities, "cat", "dog"), (report.Manifest.Output.Kind, report.Model.Labels[0], report.Model.Labels[1]));
        var pictures = Enumerable.Range(1, 4).Select(seed => Pixels(seed)).ToArray();
        var answers = Array.ConvertAll(pictures, pixels => InferCommand.Run(ModelSource.Find("two", Models), pixels)["probabilities"].ToFloats());
        Assert.All(answers, answer => Assert.Equal(1, answer.Sum(), 5));
        Assert.All(answers, answer => Assert.InRange(answer[1], 0, 1));
        Assert.NotEqual(answers[0][0], answers[1][0]);
    }

    [Fact]
    public void A_softmax_of_one_number_is_refused() => Assert.Contains("softmax of a single number",
        Assert.Throws<ModelFormatException>(() =>
            Import(Ending(1, builder => builder.AddNode("Softmax", "last", ["dense"], ("axis", -1L))))).Message, StringComparison.Ordinal);

    public static TheoryData<string, OutputKind> Endings => new()
    {
        { "softmax, cast", OutputKind.Probabilities }, { "softmax, clip", OutputKind.Probabilities }, { "written out", OutputKind.Probabilities },
        { "log-softmax", OutputKind.Probabilities }, { "sigmoid", OutputKind.MultiLabel }, { "none", OutputKind.Logits },
    };

    [Theory]
    [MemberData(nameof(Endings))]
    public void A_softmax_is_one_however_it_is_written(string how, OutputKind kind)
    {
        var graph = Ending(4, builder => how switch
        {
            "softmax, cast" => builder.AddNode("Cast", "last", [Softmax(builder)], ("to", (long)ElementType.Float32)),
            "softmax, clip" => builder.AddNode("Clip", "last", [Softmax(builder), builder.AddConstant("least", [1e-7f]), builder.AddConstant("most", [1f])]),
            "written out" => builder.AddNode("Div", "last", [builder.AddNode("Exp", "exp", ["dense"]),
                builder.AddNode("ReduceSum", "sum", ["exp", builder.AddInt64Constant("axes", -1)], ("keepdims", 1L))]),
            "log-softmax" => builder.AddNode("LogSoftmax", "last", ["dense"], ("axis", -1L)),
            "sigmoid" => builder.AddNode("Sigmoid", "last", ["dense"]),
            _ => "dense",
        });
        var report = Import(graph);

        Assert.Equal(kind, report.Manifest.Output.Kind);
        var pixels = Pixels(3);
        var answer = InferCommand.Run(ModelSource.Find("any", Models), pixels).First().Value.ToFloats();
        if (kind == OutputKind.Probabilities)
        {
            Assert.Equal(1, answer.Sum(), 4);
        }
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void Of_features_and_scores_the_scores_are_found(bool featuresFirst, bool softmax)
    {
        var graph = Ending(4, builder => softmax ? Softmax(builder) : "dense");
        graph.Outputs.Insert(featuresFirst ? 0 : 1, new GraphValue("flat", ElementType.Float32, [-1, 8]));

        Assert.Equal(4, Import(graph).Model.Labels.Count);
    }

    [Fact]
    public void Which_of_two_heads_is_meant_is_asked()
    {
        var graph = Ending(4, Softmax);
        var builder = new GraphBuilder(graph);
        builder.AddNode("Gemm", "age_dense", ["flat", builder.AddConstant("age_w", Numbers.Random(9, 8, 3))]);
        builder.AddOutput(builder.AddNode("Sigmoid", "age", ["age_dense"]), ElementType.Float32, -1, 3);

        Assert.Contains("--output", Assert.Throws<ModelFormatException>(() => Import(graph)).Message, StringComparison.Ordinal);
        Assert.Equal(3, ModelImporter.Import(new ImportRequest(Write(graph), "age", Models) { Output = "age" }, _ => { }).Model.Labels.Count);
    }

    [Theory]
    [InlineData("1 banana\n0 apple\n", "apple", "banana")]
    [InlineData("1: apple\n2: banana\n", "apple", "banana")]
    [InlineData("\napple\n\n\nbanana\n", "apple", "banana")]
    [InlineData("1 cent\n2 cent\n", "1 cent", "2 cent")]
    [InlineData("apple, red\n1 cent", "apple, red", "1 cent")]
    public void Labels_are_in_the_order_of_their_numbers_without_empty_lines(string text, string first, string second)
    {
        var path = Path.Combine(_folder, "labels");
        File.WriteAllText(path, text);

        Assert.Equal([first, second], LabelSource.Read(path));
    }

    [Fact]
    public void Labels_in_other_encodings_are_read_or_refused()
    {
        Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);
        var path = Path.Combine(_folder, "labels");
        foreach ((var encoding, var text) in new[] { (949, "사과\n바나나"), (28591, "Äpfel\ncafé"), (1200, "사과\ncafé"), (1201, "사과\ncafé"), (65001, "사과\ncafé") })
        {
            var bytes = Encoding.GetEncoding(encoding).GetBytes(text);
            File.WriteAllBytes(path, encoding is 1200 or 1201 ? [.. Encoding.GetEncoding(encoding).GetPreamble(), .. bytes] : bytes);
            Assert.Equal(text.Split('\n'), LabelSource.Read(path));
        }

        File.WriteAllBytes(path, []);
        Assert.Equal($"The label file '{path}' is empty.", Assert.Throws<ModelFormatException>(() => LabelSource.Read(path)).Message);
        File.WriteAllBytes(path, [0x61, 0xA4, 0x0A, 0x81, 0x0A]);
        Assert.Contains("encoding", Assert.Throws<ModelFormatException>(() => LabelSource.Read(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_are_no_names()
    {
        File.WriteAllText(Path.Combine(_folder, "labels.txt"), "0\n1\n2\n3\n");

        Assert.Equal("class 0", Import(Ending(4, Softmax)).Model.Labels[0]);
    }

    [Fact]
    public void Nodes_in_any_order_are_sorted()
    {
        var graph = Ending(4, Softmax);
        graph.Nodes.Reverse();

        Assert.Equal(4, Import(graph).Model.Labels.Count);
    }

    [Theory]
    [InlineData("Bgr8", "NominalRange_0_255", "none", ChannelOrder.Bgr)]
    [InlineData("Rgb8", "Normalized_0_1", "zero-to-one", ChannelOrder.Rgb)]
    [InlineData("Bgra8", "Normalized_1_1", "minus-one-to-one", ChannelOrder.Bgr)]
    [InlineData(null, "NominalRange_0_255", "none", ChannelOrder.Rgb)]
    public void Pixels_are_what_the_words_of_WinML_say_in_the_file_or_beside_it(string? format, string range, string scaling, ChannelOrder order)
    {
        var said = new Dictionary<string, string> { ["Image.NominalPixelRange"] = range };
        if (format is not null)
        {
            said["Image.BitmapPixelFormat"] = format;
        }

        var graph = Ending(4, Softmax);
        var inside = Path.Combine(_folder, "inside.onnx");
        OnnxWriter.Write(graph, inside, said);
        Expect(ModelImporter.Import(new ImportRequest(inside, "inside", Models), _ => { }));

        // As Custom Vision packs it; what the file itself says counts more.
        var packed = Directory.CreateDirectory(Path.Combine(_folder, "export")).FullName;
        OnnxWriter.Write(graph, Path.Combine(packed, "model.onnx"));
        WriteProperties(packed, said);
        Expect(ModelImporter.Import(new ImportRequest(packed, "beside", Models), _ => { }));
        OnnxWriter.Write(graph, Path.Combine(packed, "model.onnx"), said);
        WriteProperties(packed, new() { ["Image.NominalPixelRange"] = "NominalRange_16_235" });
        Expect(ModelImporter.Import(new ImportRequest(packed, "both", Models), _ => { }));

        void Expect(ImportReport report)
        {
            var preprocessing = report.Manifest.Preprocessing;
            Assert.Equal((order, Crop.None, PreprocessingCertainty.Known), (preprocessing.ChannelOrder, preprocessing.Crop, preprocessing.Evidence!.Certainty));
            Assert.True(ModelConversion.Preparation.Scalings.ByName[scaling].IsOf(preprocessing with { ChannelOrder = ChannelOrder.Rgb }));
        }
    }

    [Fact]
    public void The_part_of_the_picture_is_that_of_Custom_Vision_and_what_the_network_scales_itself_is_not_scaled_twice()
    {
        var graph = Ending(4, Softmax);
        graph.Constants["by"] = Tensor.Float32([], [255f]);
        graph.Nodes.Insert(0, new Node("Div", "data_preprocess", ["x", "by"], ["scaled"]));
        graph.Nodes.Find(node => node.Op == "Conv")!.Inputs[0] = "scaled";
        var folder = Directory.CreateDirectory(Path.Combine(_folder, "export")).FullName;
        OnnxWriter.Write(graph, Path.Combine(folder, "model.onnx"));
        WriteProperties(folder, new()
        {
            ["CustomVision.Preprocess.CropMethod"] = "OneCropCenter",
            ["CustomVision.Preprocess.CropHeight"] = "16",
            ["CustomVision.Preprocess.CropWidth"] = "16",
            ["CustomVision.Preprocess.ResizeMethod"] = "ByShorterSide",
            ["CustomVision.Preprocess.TargetHeight"] = "18",
            ["CustomVision.Preprocess.TargetWidth"] = "18",
            ["Image.BitmapPixelFormat"] = "Bgr8",
            ["Image.NominalPixelRange"] = "Normalized_0_1",
        });

        var preprocessing = ModelImporter.Import(new ImportRequest(folder, "custom", Models), _ => { }).Manifest.Preprocessing;

        Assert.Equal((Crop.ResizeThenCenter, 18, ChannelOrder.Bgr, 1.0),
            (preprocessing.Crop, preprocessing.ResizeShortest!.Value, preprocessing.ChannelOrder, preprocessing.RescaleFactor));
        Assert.Contains("would scale it twice", preprocessing.Evidence!.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Metadata_of_Ultralytics_and_timm_says_the_preparation_and_the_labels()
    {
        var path = Path.Combine(_folder, "yolo.onnx");
        OnnxWriter.Write(Ending(3, Softmax), path, new Dictionary<string, string>
        {
            ["task"] = "classify",
            ["stride"] = "1",
            ["imgsz"] = "[16, 16]",
            ["names"] = "{0: 'ant', 1: 'bee', 2: \"queen's wasp\"}",
        });
        var yolo = ModelImporter.Import(new ImportRequest(path, "yolo", Models), _ => { });
        Assert.Equal(["ant", "bee", "queen's wasp"], yolo.Model.Labels);
        var preset = Presets.Get("ultralytics");
        Assert.Equal((preset.Crop, preset.RescaleFactor), (yolo.Manifest.Preprocessing.Crop, yolo.Manifest.Preprocessing.RescaleFactor));

        OnnxWriter.Write(Ending(3, Softmax), path, new Dictionary<string, string> { ["task"] = "detect", ["stride"] = "32", ["names"] = "{0: 'ant'}" });
        var refusal = Assert.Throws<ModelFormatException>(() => ModelImporter.Import(new ImportRequest(path, "yolo", Models), _ => { }));
        Assert.Contains("'detect'", refusal.Message, StringComparison.Ordinal);

        OnnxWriter.Write(Ending(3, Softmax), path, new Dictionary<string, string> { ["mean"] = "(0.5, 0.5, 0.5)", ["std"] = "(0.5, 0.5, 0.5)" });
        var timm = ModelImporter.Import(new ImportRequest(path, "timm", Models), _ => { }).Manifest.Preprocessing;
        Assert.True(ModelConversion.Preparation.Scalings.ByName["minus-one-to-one"].IsOf(timm));
    }

    [Theory]
    [InlineData("", "", "zero-to-one", Crop.None)]
    [InlineData("EI_CLASSIFIER_IMAGE_SCALING_NONE", "EI_CLASSIFIER_RESIZE_FIT_SHORTEST", "zero-to-one", Crop.CenterSquare)]
    [InlineData("EI_CLASSIFIER_IMAGE_SCALING_0_255", "EI_CLASSIFIER_RESIZE_FIT_LONGEST", "none", Crop.None)]
    [InlineData("EI_CLASSIFIER_IMAGE_SCALING_TORCH", "EI_CLASSIFIER_RESIZE_SQUASH", "imagenet", Crop.None)]
    [InlineData("EI_CLASSIFIER_IMAGE_SCALING_MIN1_1", "EI_CLASSIFIER_RESIZE_SQUASH", "minus-one-to-one", Crop.None)]
    [InlineData("EI_CLASSIFIER_IMAGE_SCALING_BGR_SUBTRACT_IMAGENET_MEAN", "EI_CLASSIFIER_RESIZE_SQUASH", "caffe", Crop.None)]
    public void What_Edge_Impulse_writes_beside_a_model_says_labels_and_preparation(string scaling, string mode, string expected, Crop crop)
    {
        // As its C++ library unpacks: tflite-model/ and model-parameters/ beside each other.
        var root = Directory.CreateDirectory(Path.Combine(_folder, "ei")).FullName;
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(root, "tflite-model")).FullName, "trained.onnx");
        OnnxWriter.Write(Ending(3, Softmax), path);
        var parameters = Directory.CreateDirectory(Path.Combine(root, "model-parameters")).FullName;
        File.WriteAllText(Path.Combine(parameters, "model_variables.h"),
            $$"""
            #include "model_metadata.h"
            const char* ei_classifier_inferencing_categories_12[] = { "ant", "queen \"bee\"", "wasp, hornet" };
            uint8_t ei_dsp_config_3_axes[] = { 0 };
            const ei_learning_block_t ei_learning_blocks[1] = { { 5, false, &run_nn_inference, (void*)&config, {{(scaling.Length > 0 ? scaling : "0")}}, 0 } };
            """);
        File.WriteAllText(Path.Combine(parameters, "model_metadata.h"),
            $"#define EI_CLASSIFIER_RESIZE_FIT_SHORTEST 1\n#define EI_CLASSIFIER_RESIZE_MODE                {mode}\n");

        var report = ModelImporter.Import(new ImportRequest(root, "ei", Models), _ => { });

        Assert.Equal(["ant", "queen \"bee\"", "wasp, hornet"], report.Model.Labels);
        Assert.True(ModelConversion.Preparation.Scalings.ByName[expected].IsOf(report.Manifest.Preprocessing));
        Assert.Equal(crop, report.Manifest.Preprocessing.Crop);
        Assert.Equal(PreprocessingCertainty.Known, report.Manifest.Preprocessing.Evidence!.Certainty);
    }

    private static void WriteProperties(string folder, Dictionary<string, string> said) =>
        File.WriteAllText(Path.Combine(folder, "metadata_properties.json"), System.Text.Json.JsonSerializer.Serialize(said));

    [Theory]
    [InlineData("keras-v3/BaselYoussef901-cifar10/cifar10.keras", 10, "zero-to-one")]
    [InlineData("keras-h5/mlcommons-tiny/pretrainedResnet.h5", 10, "none")]
    [InlineData("onnx/KonduitAI-dl4j/output_cnn_mnist.onnx", 10, null)]
    [InlineData("onnx/microsoft-winml/mnist.onnx", 10, "none")]
    [InlineData("onnx/wuhanstudio-onnx-parser/mnist-sm.onnx", 10, null)]
    [InlineData("tfjs-graph/FrederickGodiva-rice", 5, "zero-to-one")]
    [InlineData("tflite/FrederickGodiva-rice/model.tflite", 5, "zero-to-one")]
    [InlineData("tflite/Abdulrehmanghani-edge_impulse/trained.tflite", 2, null)]
    [InlineData("tflite/tflite-micro-person_detect/person_detect-bakup.tflite", 2, null)]
    [InlineData("tflite/tflite-micro-person_detect/person_detect.tflite", 3, null)]
    public void Other_people_s_files_import(string file, int classes, string? scaling)
    {
        var path = Golden.Shared(Path.Combine("..", "field", "models", file));

        var report = ModelImporter.Import(new ImportRequest(path, "field", Models), _ => { });

        Assert.Equal(classes, report.Model.Labels.Count);
        Assert.True(scaling is null || ModelConversion.Preparation.Scalings.ByName[scaling].IsOf(report.Manifest.Preprocessing),
            report.Manifest.Preprocessing.Evidence!.Reason);
    }

    [Fact]
    public void What_is_compiled_for_an_accelerator_is_refused_by_name()
    {
        var path = Golden.Shared(Path.Combine("..", "field", "models", "tflite", "tflite-micro-person_detect", "person_detect_vela.tflite"));

        var refusal = Assert.Throws<ModelFormatException>(() => ModelImporter.Import(new ImportRequest(path, "field", Models), _ => { }));
        Assert.Contains("'ethos-u'", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Softmax")]
    [InlineData("LogSoftmax")]
    public void A_softmax_over_the_pictures_of_a_batch_is_taken_over_the_classes(string op)
    {
        var report = Import(Ending(4, builder => builder.AddNode(op, "last", ["dense"], ("axis", 0L))));

        Assert.Contains(report.Model.Notes, note => note.Contains("over the pictures of a batch", StringComparison.Ordinal));
        var answer = InferCommand.Run(ModelSource.Find("any", Models), Pixels(3)).First().Value.ToFloats();
        Assert.Equal(1, answer.Sum(), 4);
        Assert.True(answer.Max() > 0.3f);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public void A_batch_that_only_a_Reshape_fixes_is_freed(int batch)
    {
        var graph = Ending(4, Softmax);
        graph.Inputs[0] = graph.Inputs[0] with { Shape = [batch, .. graph.Inputs[0].Shape[1..]] };
        graph.Constants["ten"] = Tensor.Int64([2], [10, -1]);
        graph.Nodes.Insert(graph.Nodes.FindIndex(node => node.Op == "Gemm"), new Node("Reshape", "rows", ["flat"], ["rows"]) { Inputs = { "ten" } });
        graph.Nodes.Find(node => node.Op == "Gemm")!.Inputs[0] = "rows";

        var report = Import(graph);

        Assert.Contains("The file is made for exactly 10 pictures at a time; the bundle takes any number.", report.Model.Notes);
        Assert.Equal([1, 4], InferCommand.Run(ModelSource.Find("any", Models), Pixels(1)).First().Value.Shape);
    }

    private ImportReport Import(Graph graph) => ModelImporter.Import(new ImportRequest(Write(graph), "any", Models), _ => { });

    private static string Softmax(GraphBuilder builder) => builder.AddNode("Softmax", "softmax", ["dense"], ("axis", -1L));

    private static byte[] Pixels(int seed)
    {
        var pixels = new byte[16 * 16 * 3];
        new Random(seed).NextBytes(pixels);
        return Array.ConvertAll(pixels, pixel => (byte)(pixel / (1 + (seed % 3))));
    }

    private string Write(Graph graph)
    {
        var path = Path.Combine(_folder, "model.onnx");
        OnnxWriter.Write(graph, path);
        return path;
    }

    private static Graph Ending(int classes, Func<GraphBuilder, string> end)
    {
        var builder = new GraphBuilder("any");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 16, 16);
        x = builder.AddNode("Relu", "relu", [builder.AddNode("Conv", "conv", [x, builder.AddConstant("w", Numbers.Random(1, 8, 3, 3, 3))])]);
        builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [x])]);
        builder.AddNode("Gemm", "dense", ["flat", builder.AddConstant("dense_w", Numbers.Random(2, -2, 2, [8, classes]))]);
        builder.AddOutput(end(builder), ElementType.Float32, -1, classes);
        return builder.Graph;
    }
}
