using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion;

/// <summary>How the well-known networks were trained to see pictures, and how to tell which one a file holds.</summary>
internal static class Presets
{
    // keras/src/applications/imagenet_utils.py, preprocess_input: the modes "tf", "caffe" and "torch". Keras' own loaders resize the whole picture
    // with tf.image.resize, bilinear and without antialiasing (image_dataset_from_directory).
    private static readonly PreprocessingSpec KerasTf = new() { Resample = "tf-bilinear", RescaleFactor = 1 / 127.5, ImageMean = [1, 1, 1] };
    private static readonly PreprocessingSpec KerasCaffe = new()
    {
        Resample = "tf-bilinear",
        ImageMean = [103.939, 116.779, 123.68],
        ChannelOrder = ChannelOrder.Bgr
    };
    private static readonly PreprocessingSpec KerasTorch = new()
    {
        Resample = "tf-bilinear",
        RescaleFactor = 1 / 255d,
        ImageMean = [0.485, 0.456, 0.406],
        ImageStd = [0.229, 0.224, 0.225]
    };
    private static readonly PreprocessingSpec Raw = new() { Resample = "tf-bilinear" };

    // torchvision/transforms/_presets.py, ImageClassification: the shorter side to 256, the centre 224 of it.
    private static readonly PreprocessingSpec Torchvision = KerasTorch with { Resample = "pil-bilinear", Crop = Crop.ResizeThenCenter, ResizeShortest = 256 };

    /// <summary>By the name that <c>--preset</c> takes.</summary>
    public static readonly IReadOnlyDictionary<string, PreprocessingSpec> ByName = new SortedDictionary<string, PreprocessingSpec>(StringComparer.Ordinal)
    {
        ["keras-mobilenet"] = KerasTf,
        ["keras-mobilenet_v2"] = KerasTf,
        ["keras-mobilenet_v3"] = Raw, // rescales inside the network, as EfficientNet does
        ["keras-resnet50"] = KerasCaffe,
        ["keras-resnet"] = KerasCaffe,
        ["keras-resnet_v2"] = KerasTf,
        ["keras-vgg16"] = KerasCaffe,
        ["keras-vgg19"] = KerasCaffe,
        ["keras-densenet"] = KerasTorch,
        ["keras-efficientnet"] = Raw,
        ["keras-inception"] = KerasTf,
        ["keras-xception"] = KerasTf,
        ["keras-nasnet"] = KerasTf,
        ["torchvision"] = Torchvision,
        ["teachable-machine"] = KerasTf with { Crop = Crop.CenterSquare, Resample = "pil-lanczos" },
        ["tflite"] = KerasTf,
        ["zero-to-one"] = Raw with { RescaleFactor = 1 / 255d },
        ["minus-one-to-one"] = KerasTf,
        ["none"] = Raw,
    };

    // Layer names that only one of keras.applications' networks has.
    private static readonly (string Layer, string Preset, string Network)[] Fingerprints =
    [
        ("expanded_conv_project_BN", "keras-mobilenet_v2", "MobileNetV2"),
        ("Conv_1_bn", "keras-mobilenet_v2", "MobileNetV2"),
        ("conv_dw_1", "keras-mobilenet", "MobileNet"),
        ("conv2_block1_preact_bn", "keras-resnet_v2", "ResNetV2"),
        ("conv2_block1_1_conv", "keras-resnet", "ResNet"),
        ("res2a_branch2a", "keras-resnet", "ResNet"),
        ("block2_sepconv1", "keras-xception", "Xception"),
        ("block5_conv3", "keras-vgg16", "VGG"),
        ("conv2_block1_0_bn", "keras-densenet", "DenseNet"),
        ("block1a_dwconv", "keras-efficientnet", "EfficientNet"),
        ("mixed10", "keras-inception", "InceptionV3"),
        ("block35_1_ac", "keras-inception", "InceptionResNetV2"),
    ];

    /// <summary>The preset that was asked for.</summary>
    public static PreprocessingSpec Get(string name) => ByName.TryGetValue(name, out var preset) ? preset
        : throw new ModelFormatException($"There is no preset '{name}'. There is {string.Join(", ", ByName.Keys)}.");

    /// <summary>Asked for, known by the file, recognised by the network's layers, or assumed; what was assumed is said.</summary>
    public static PreprocessingSpec Choose(ImportedModel model, string format, string? preset, string? resample, List<string> notes)
    {
        PreprocessingSpec spec;
        if (preset is not null)
        {
            spec = Get(preset);
            notes.Add($"Preprocessing: the preset {preset}.");
        }
        else if (model.Preprocessing is { } known)
        {
            spec = known; // the reader's notes say where from
        }
        else if (RescalesItself(model.Graph))
        {
            spec = Raw;
            notes.Add("Preprocessing: the network rescales pixels itself.");
        }
        else if (Recognise(model.Graph) is (string name, string network))
        {
            spec = Get(name);
            notes.Add($"Preprocessing assumed from the layers' names ({network}): the preset {name}. Say --preset if it was trained otherwise.");
        }
        else
        {
            var assumed = format == "ONNX" && model.Graph.Inputs is [{ Shape: [_, 3, _, _] }] ? "torchvision" : format == "TensorFlow Lite"
                ? "tflite" : "zero-to-one";
            spec = Get(assumed);
            notes.Add($"Preprocessing is not in the file; assumed: the preset {assumed}. Say --preset if it was trained otherwise (--help lists them).");
        }

        if (resample is not null)
        {
            spec = Resizers.Names.Contains(resample) ? spec with { Resample = resample }
                : throw new ModelFormatException($"There is no resizer '{resample}'. There is {string.Join(", ", Resizers.Names)}.");
        }

        if (spec.Crop == Crop.ResizeThenCenter && PictureInput.Of(model.Graph) is { } input && Math.Max(input.Width, input.Height) is > 0 and var side
            && (model.Preprocessing != spec || spec.ResizeShortest < side))
        {
            // 256 for 224, and 342 for Inception's 299, as torchvision has it (torchvision/models/inception.py); a 32 of 256 would be a tenth of the picture.
            spec = spec with { ResizeShortest = (int)Math.Round(side * 8 / 7d) };
        }

        // Greyscale networks have one mean; a manifest has three.
        return spec with { ImageMean = Three(spec.ImageMean), ImageStd = Three(spec.ImageStd) };

        static IReadOnlyList<double> Three(IReadOnlyList<double> values) => values is [var one] ? [one, one, one] : values;
    }

    private static (string Preset, string Network)? Recognise(Graph graph)
    {
        foreach ((var layer, var preset, var network) in Fingerprints)
        {
            if (graph.Nodes.Exists(node => node.Name.Split('/').Any(part => part == layer)))
            {
                return (preset, network);
            }
        }

        return null;
    }

    /// <summary>Whether the first thing that happens to the input is a multiplication that takes 0…255 to about 1.</summary>
    private static bool RescalesItself(Graph graph)
    {
        var value = graph.Inputs[0].Name;
        for (var steps = 0; steps < 6; steps++)
        {
            Node[] readers = [.. graph.Nodes.Where(node => node.Inputs.Contains(value)).Take(2)];
            if (readers is not [{ Op: "Mul" or "Div" or "Sub" or "Add" or "Cast" or "Transpose" or "Identity" } node])
            {
                return false;
            }

            var constant = node.Inputs.Select(input => graph.Constants.GetValueOrDefault(input)).OfType<Tensor>().FirstOrDefault()?.ToFloats() ?? [];
            if (constant.Length > 0 && ((node.Op == "Mul" && constant.All(factor => Math.Abs(factor) is > 0 and < 0.05f))
                || (node.Op == "Div" && constant.All(divisor => Math.Abs(divisor) > 20))))
            {
                return true;
            }

            value = node.Outputs[0];
        }

        return false;
    }
}
