using System.Text.Json;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.HuggingFace;

public sealed class HubFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("folder").FullName;

    private string Models => Path.Combine(_folder, "models");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("")]
    [InlineData("onnx/model.onnx")]
    public void A_folder_of_Transformers_says_classes_sides_and_preprocessing(string file)
    {
        Write("config.json", HubFolders.Transformers);
        Write("preprocessor_config.json", HubFolders.Processor);
        Network("onnx/model.onnx");
        Write("onnx/model_quantized.onnx", "nothing that could be read");
        Write("model.safetensors", "weights");

        var report = Import(file);

        Assert.Equal(["oak", "elm", "ash"], report.Model.Labels);
        var spec = report.Manifest.Preprocessing;
        Assert.Equal((24, 24, Crop.None, "pil-bilinear", PreprocessingCertainty.Known),
            (report.Manifest.Input.Width, report.Manifest.Input.Height, spec.Crop, spec.Resample, spec.Evidence!.Certainty));
        Assert.Equal((1 / 255d, 0.5, 0.5), (spec.RescaleFactor, spec.ImageMean[0], spec.ImageStd[2]));
        Assert.Equal(OutputKind.Logits, report.Manifest.Output.Kind);

        // Pixels as the processor prepares them, through the graph as it was exported.
        var pixels = new byte[24 * 24 * 3];
        new Random(3).NextBytes(pixels);
        var graph = HubFolders.Vit();
        graph.Inputs[0] = graph.Inputs[0] with { Shape = [1, 3, 24, 24] };
        var planes = Operators.Permute(Tensor.Float32([1, 24, 24, 3], Array.ConvertAll(pixels, pixel => ((pixel / 255f) - 0.5f) / 0.5f)), [0, 3, 1, 2]);
        var expected = new Interpreter(graph).Run(planes).Single().Value;
        Assert.InRange(Numbers.LargestDifference(expected, InferCommand.Run(ModelSource.Find("leaves", Models), pixels)["logits"]), 0, 1e-4f);
    }

    [Fact]
    public void Another_size_may_be_asked_for_where_the_network_takes_it()
    {
        Write("config.json", HubFolders.Transformers);
        Network("model.onnx");

        // Ten positions are nine patches and the class: only the size of the training has them.
        Assert.Throws<ModelFormatException>(() => ModelImporter.Import(new ImportRequest(_folder, "leaves", Models) { Size = 32 }, _ => { }));
        Assert.Equal(24, Import("").Manifest.Input.Width);
    }

    [Fact]
    public void A_folder_of_timm_says_the_same_in_its_own_words()
    {
        Write("config.json", """
            {"architecture": "vit_tiny", "num_classes": 3, "num_features": 12, "label_names": ["n1", "n2", "n3"],
             "label_descriptions": {"n1": "oak", "n3": "ash"},
             "pretrained_cfg": {"input_size": [3, 24, 24], "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center", "mean": [0.485, 0.456, 0.406],
               "std": [0.229, 0.224, 0.225], "num_classes": 3}}
            """);
        Network("model.onnx");

        var report = Import("");

        Assert.Equal(["oak", "n2", "ash"], report.Model.Labels);
        var spec = report.Manifest.Preprocessing;
        Assert.Equal((Crop.ResizeThenCenter, 26, "pil-bicubic"), (spec.Crop, spec.ResizeShortest, spec.Resample));
        Assert.Equal((0.485, 0.225, 1 / 255d), (spec.ImageMean[0], spec.ImageStd[2], spec.RescaleFactor));
    }

    public static TheoryData<string, string> Processors => new()
    {
        { """{"image_processor_type": "ViTImageProcessor", "size": {"height": 224, "width": 224}, "do_resize": true}""",
            "None - pil-bilinear /255 -0.5 ÷0.5 Rgb 224" },
        { """
            {"feature_extractor_type": "ViTFeatureExtractor", "size": 224, "resample": 3, "image_mean": [0.485, 0.456, 0.406],
             "image_std": [0.229, 0.224, 0.225]}
            """,
            "None - pil-bicubic /255 -0.485 ÷0.229 Rgb 224" },
        { """
            {"image_processor_type": "DeiTFeatureExtractor", "size": 256, "crop_size": 224, "do_center_crop": true, "resample": 3,
             "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
            """,
            "ResizeThenCenter 256 pil-bicubic /255 -0.485 ÷0.229 Rgb 224" },
        { """
            {"image_processor_type": "MobileNetV2ImageProcessor", "size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224},
             "do_center_crop": true, "resample": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 0.00392156862745098}
            """,
            "ResizeThenCenter 256 pil-bilinear /255 -0.5 ÷0.5 Rgb 224" },
        { """{"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875, "size": {"shortest_edge": 224}, "resample": 3}""",
            "ResizeThenCenter 256 pil-bicubic /255 -0.485 ÷0.229 Rgb 224" },
        { """{"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 1.0, "size": 384, "resample": 3}""",
            "None - pil-bicubic /255 -0.485 ÷0.229 Rgb 384" },
        { """
            {"image_processor_type": "MobileViTImageProcessor", "size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256},
             "do_center_crop": true, "do_flip_channel_order": true, "resample": 2}
            """,
            "ResizeThenCenter 288 pil-bilinear /255 -0 ÷1 Bgr 256" },
        { """
            {"image_processor_type": "EfficientNetImageProcessor", "size": {"height": 260, "width": 260}, "resample": 0, "include_top": true,
             "image_mean": [0.485, 0.456, 0.406], "image_std": [0.5, 0.5, 0.5], "do_center_crop": false}
            """,
            "None - pil-nearest /255 -0.485 ÷0.25 Rgb 260" },
        { """{"image_processor_type": "LevitImageProcessor", "size": {"shortest_edge": 224}, "resample": 3, "do_center_crop": true}""",
            "ResizeThenCenter 256 pil-bicubic /255 -0.485 ÷0.229 Rgb 224" },
        { """
            {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 448}, "crop_size": 448, "do_center_crop": true, "do_normalize": false,
             "do_rescale": false}
            """,
            "ResizeThenCenter 448 pil-bicubic /1 -0 ÷1 Rgb 448" },
        { """
            {"image_processor_type": "ViTImageProcessor", "size": {"height": 96, "width": 96}, "do_rescale": true, "rescale_factor": 0.00784313725490196,
             "rescale_offset": true, "do_normalize": false}
            """,
            "None - pil-bilinear /127.5 -1 ÷1 Rgb 96" },
    };

    [Theory]
    [MemberData(nameof(Processors))]
    public void Processors_are_read_as_their_kind_works(string json, string expected)
    {
        using var document = JsonDocument.Parse(json);

        (var spec, var sides) = ImageProcessor.Read(document.RootElement, []);

        var shortest = spec.ResizeShortest is { } side ? FormattableString.Invariant($"{side}") : "-";
        var arithmetic = FormattableString.Invariant($"/{1 / spec.RescaleFactor:0.##} -{spec.ImageMean[0]:0.###} ÷{spec.ImageStd[0]:0.###}");
        Assert.Equal(expected, $"{spec.Crop} {shortest} {spec.Resample} {arithmetic} {spec.ChannelOrder} {sides!.Value.Height}");
    }

    [Theory]
    [InlineData("onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model.onnx", "onnx/model_int8.onnx")]
    [InlineData("model.onnx", "model.onnx", "onnx/model_quantized.onnx")]
    [InlineData("onnx/model_fp16.onnx", "onnx/model_fp16.onnx", "onnx/model_q4.onnx")]
    [InlineData("resnet18.onnx", "resnet18.onnx", "resnet18_int8.onnx")]
    public void Of_several_variants_the_one_in_full_precision_is_taken(string chosen, params string[] files) => Assert.Equal(chosen, HubFolder.Choose(files));

    [Theory]
    [InlineData("onnx/model.onnx", "fp16 onnx/model_fp16.onnx, int8 onnx/model_int8.onnx", "model_fp16.onnx", "onnx/model_quantized.onnx",
        "onnx/model_int8.onnx", "onnx/model_fp16.onnx", "onnx/model_q4.onnx")]
    [InlineData("model.onnx", "int8 model_quantized.onnx", "model_quantized.onnx", "onnx/model_fp16.onnx")]
    [InlineData("onnx/model_fp16.onnx", "", "onnx/model_fp16_int8.onnx")]
    [InlineData("model.safetensors", "", "model_fp16.onnx")]
    public void Fewer_bits_are_what_lies_beside_full_precision_under_its_name(string full, string expected, params string[] files) =>
        Assert.Equal(expected, string.Join(", ", HubFolder.FewerBits(full, files).Select(one => $"{one.Variant} {one.File}")));

    [Theory]
    [InlineData("""{"architectures": ["CLIPModel"], "model_type": "clip"}""", "a 'CLIPModel', which is no classifier of pictures")]
    [InlineData("""{"architectures": ["SegformerForSemanticSegmentation"]}""", "a 'SegformerForSemanticSegmentation', which is no classifier of pictures")]
    public void What_is_no_classifier_is_refused(string config, string reason)
    {
        Write("config.json", config);
        Network("onnx/model.onnx");

        Assert.Contains(reason, Assert.Throws<ModelFormatException>(() => Import("")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_a_graph_says_how_to_make_one()
    {
        Write("config.json", HubFolders.Transformers);
        Write("model.safetensors", "weights");

        Assert.Contains("describes a network and holds it in no form that can be read: export it to ONNX",
            Assert.Throws<ModelFormatException>(() => Import("")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Classes_without_names_are_numbered()
    {
        Write("config.json", HubFolders.Transformers.Replace("oak", "LABEL_0", StringComparison.Ordinal).Replace("elm", "LABEL_1", StringComparison.Ordinal)
            .Replace("ash", "LABEL_2", StringComparison.Ordinal));
        Network("model.onnx");

        Assert.Equal("class 0", Import("").Model.Labels[0]);
    }

    private ImportReport Import(string file) => ModelImporter.Import(new ImportRequest(Path.Combine(_folder, file), "leaves", Models), _ => { });

    private void Network(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, path))!);
        OnnxWriter.Write(HubFolders.Vit(), Path.Combine(_folder, path));
    }

    private void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, path))!);
        File.WriteAllText(Path.Combine(_folder, path), text);
    }
}
