using System.Globalization;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Preparation;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.TensorFlow;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion;

/// <summary>How the well-known networks were trained to see pictures, and how to tell which one a file holds.</summary>
internal static class Presets
{
    // keras/src/applications/imagenet_utils.py, preprocess_input: the modes "tf", "caffe" and "torch". Keras' own loaders resize the whole picture
    // with tf.image.resize, bilinear and without antialiasing (image_dataset_from_directory).
    private static readonly PreprocessingSpec Raw = new() { Resample = "tf-bilinear" };
    private static readonly PreprocessingSpec KerasTf = Scaled("minus-one-to-one");
    private static readonly PreprocessingSpec KerasCaffe = Scaled("caffe");
    private static readonly PreprocessingSpec KerasTorch = Scaled("imagenet");

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
        ["zero-to-one"] = Scaled("zero-to-one"),
        ["zero-to-one-center"] = Scaled("zero-to-one") with { Crop = Crop.CenterSquare },
        ["zero-to-one-bgr"] = Scaled("zero-to-one-bgr"), // OpenCV's imread
        ["inverted"] = Scaled("inverted"), // dark ink on light paper, for networks that saw light on dark
        ["ultralytics"] = Scaled("zero-to-one") with { Resample = "pil-bilinear", Crop = Crop.CenterSquare },
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

    /// <summary>How the sentence on preprocessing begins.</summary>
    public const string Note = "Preprocessing ";

    /// <summary>The sentence on preprocessing.</summary>
    public static string Sentence(PreprocessingEvidence evidence) => Note +
        $"{(evidence.Certainty == PreprocessingCertainty.Assumed ? "is not in the file; assumed" : $"is {Words(evidence.Certainty)}")}: {evidence.Reason}";

    /// <summary>How sure it is, in words.</summary>
    public static string Words(PreprocessingCertainty certainty) => certainty switch
    {
        PreprocessingCertainty.Known => "known",
        PreprocessingCertainty.ShownByTheNetwork => "shown by the network",
        PreprocessingCertainty.ShownByPhotos => "shown by photos",
        _ => "assumed",
    };

    private static PreprocessingSpec Scaled(string scaling) => Scalings.ByName[scaling].With(Raw);

    /// <summary>The preset that was asked for.</summary>
    public static PreprocessingSpec Get(string name) => ByName.TryGetValue(name, out var preset) ? preset
        : throw new ModelFormatException($"There is no preset '{name}'. There is {string.Join(", ", ByName.Keys)}.");

    /// <summary>
    /// Asked for, known by the file, done by the network itself, shown by its records of training, recognised by its layers' names, or assumed: the same for
    /// one network in every format.
    /// </summary>
    public static PreprocessingSpec Choose(ImportedModel model, string? preset, string? resample, List<string> notes)
    {
        var stem = PictureInput.Of(model.Graph) is { } picture ? Stem.Of(model.Graph, picture) : null;
        (var spec, var certainty, var reason) = Choose(model, stem, preset);
        var evidence = new PreprocessingEvidence(certainty, reason)
        {
            CropAssumed = preset is null && resample is null && AssumesCrop(spec, certainty) ? true : null,
        };
        notes.Add(Sentence(evidence));
        if (preset is not null && stem is { Scales: true, ScaledBy: { } by } && !IsUnscaled(spec) && InputOf(stem) == "none")
        {
            notes.Add($"Warning: the network scales its input itself ('{by}'), and the preset {preset} scales it before: twice.");
        }

        if (resample is not null)
        {
            spec = Resizers.Names.Contains(resample) ? spec with { Resample = resample }
                : throw new ModelFormatException($"There is no resizer '{resample}'. There is {string.Join(", ", Resizers.Names)}.");
        }

        if (spec.Crop == Crop.ResizeThenCenter && PictureInput.Of(model.Graph) is { } input && Math.Max(input.Width, input.Height) is > 0 and var side
            && (spec.ResizeShortest is null || preset is not null || certainty == PreprocessingCertainty.Assumed || spec.ResizeShortest < side))
        {
            // 256 for 224, and 342 for Inception's 299, as torchvision has it (torchvision/models/inception.py); a 32 of 256 would be a tenth of the picture.
            spec = spec with { ResizeShortest = (int)Math.Round(side * 8 / 7d) };
        }

        // Greyscale networks have one mean; a manifest has three.
        return spec with
        {
            ImageMean = Three(spec.ImageMean),
            ImageStd = Three(spec.ImageStd),
            Evidence = evidence,
        };

        static IReadOnlyList<double> Three(IReadOnlyList<double> values) => values is [var one] ? [one, one, one] : values;
    }

    private static (PreprocessingSpec Spec, PreprocessingCertainty Certainty, string Reason) Choose(ImportedModel model, Stem? stem, string? preset)
    {
        const string Otherwise = "Say --preset if it was trained otherwise (--help lists them).";
        if (preset is not null && model.Graph.Inputs[0].Type is ElementType.UInt8 or ElementType.Int8)
        {
            var asked = Get(preset);
            return ((model.Preprocessing ?? Raw) with { Crop = asked.Crop, ResizeShortest = asked.ResizeShortest, Resample = asked.Resample },
                PreprocessingCertainty.Known, $"the preset {preset}, as asked for, but for the scaling: the network takes bytes, whose scale is its own.");
        }

        if (preset is not null)
        {
            return (Get(preset), PreprocessingCertainty.Known, $"the preset {preset}, as asked for.");
        }

        if (model.Preprocessing is { } said && stem is { Scales: true, ScaledBy: { } layer } && InputOf(stem) == "none" && !IsUnscaled(said))
        {
            // Custom Vision says so of networks that divide by 255 themselves.
            return (said with { RescaleFactor = 1, ImageMean = [0, 0, 0], ImageStd = [1, 1, 1] }, PreprocessingCertainty.Known,
                $"the network scales its input itself ('{layer}'), from 0 to 255; what is said beside it would scale it twice.");
        }

        if (model.Preprocessing is { } known)
        {
            return (known, PreprocessingCertainty.Known, "the file says it.");
        }

        if (TeachableMachine.Built(model.Graph))
        {
            return (TeachableMachine.Preprocessing, PreprocessingCertainty.ShownByTheNetwork,
                "it is built as Teachable Machine's are: the centred square of the picture, scaled to −1…1.");
        }

        if (model.Graph.Inputs[0].Type is ElementType.UInt8 or ElementType.Int8)
        {
            return (Raw, PreprocessingCertainty.Known, "the network takes pixels as bytes.");
        }

        if (stem is { Scales: true })
        {
            // Means that stand in the order of blue, green, red tell which colour comes first.
            var scaling = InputOf(stem);
            var bgr = stem is { Channels: 3, Reverses: false } && -stem.Shift[0] / stem.Scale[0] is > 98 and < 109
                && -stem.Shift[2] / stem.Scale[2] is > 118 and < 129;
            return (Scaled(scaling + (bgr && scaling == "none" ? "-bgr" : "")), PreprocessingCertainty.Known,
                $"the network scales its input itself ('{stem.ScaledBy}'), {(scaling == "none" ? "from 0 to 255"
                    : $"from what is {Words(scaling)} already")}.");
        }

        var recognised = Recognise(model.Graph);
        if (stem is not null && StemEvidence.Best(stem) is { } best)
        {
            // The part of the picture and the resizer are those that usually go with the scaling.
            var usual = recognised is (string own, _) && Scalings.ByName[best.Scaling].IsOf(ByName[own]) ? ByName[own] : best.Scaling switch
            {
                "imagenet" => Torchvision,
                var scaling => Scaled(scaling),
            };
            return (usual, PreprocessingCertainty.ShownByTheNetwork, string.Create(CultureInfo.InvariantCulture,
                $"the first batch normalisation's records fit pixels scaled to {Words(best.Scaling)} (off by {best.Distance:0.00}, the next " +
                $"by {best.Next:0.00})."));
        }

        if (recognised is (string name, string network))
        {
            return (Get(name), PreprocessingCertainty.Assumed, $"the preset {name}, from the layers' names ({network}). {Otherwise}");
        }

        // ImageNet's 1,000 classes are torchvision's; 1,001 of them TensorFlow's. Everyone else divides by 255.
        var assumed = model.Graph.Outputs is [{ Shape: [.., var classes] }] && stem is { Channels: 3, Sides.Width: >= 128 } ? classes switch
        {
            1000 => "torchvision",
            1001 => "minus-one-to-one",
            _ => "zero-to-one",
        }
        : "zero-to-one";
        return (Get(assumed), PreprocessingCertainty.Assumed, $"the preset {assumed}. {Otherwise}");
    }

    /// <summary>Bytes, a layer that scales and records of training say nothing of crop and resizer, nor does most metadata: these are the usual ones then.</summary>
    private static bool AssumesCrop(PreprocessingSpec spec, PreprocessingCertainty certainty) => (spec.Crop, spec.Resample) == (Raw.Crop, Raw.Resample)
        || (certainty != PreprocessingCertainty.Known && spec.Crop == Torchvision.Crop);

    /// <summary>What a network that scales its input itself is fed with: that of which it makes numbers around one.</summary>
    private static string InputOf(Stem stem)
    {
        // More than 2 is subtracted from nothing but pixels, and divided by 50 neither.
        if (Enumerable.Range(0, stem.Channels)
            .All(channel => Math.Abs(stem.Scale[channel]) <= 1 / 50d || Math.Abs(stem.Shift[channel] / stem.Scale[channel]) > 2))
        {
            return "none";
        }

        string[] inputs = ["zero-to-one", "minus-one-to-one", "none"];
        return inputs.MinBy(input => Math.Abs(Math.Log(Size(Scalings.ByName[input].Channels(stem.Channels)) / 0.6)))!;

        double Size((int Colour, double Scale, double Shift)[] channels)
        {
            (var mean, var variance) = NaturalPictures.Of([.. channels.Select((channel, at) =>
                (channel.Colour, channel.Scale * stem.Scale[at], (channel.Shift * stem.Scale[at]) + stem.Shift[at]))]);
            return Math.Sqrt(mean.Zip(variance, (own, spread) => (own * own) + spread).Average());
        }
    }

    private static bool IsUnscaled(PreprocessingSpec spec) => Scalings.ByName["none"].IsOf(spec with { ChannelOrder = ChannelOrder.Rgb });

    private static string Words(string scaling) =>
        PicturePreparation.WordsOf(scaling.Replace("-bgr", "", StringComparison.Ordinal), Scalings.ByName[scaling].Order);

    private static (string Preset, string Network)? Recognise(Graph graph)
    {
        foreach ((var layer, var preset, var network) in Fingerprints)
        {
            // "mobilenetv2_1.00_224/expanded_conv_project_BN/FusedBatchNormV3;mobilenetv2_…"
            if (graph.Nodes.Exists(node => node.Name.Contains(layer, StringComparison.Ordinal) && node.Name.Split('/', ';').Contains(layer)))
            {
                return (preset, network);
            }
        }

        return null;
    }
}
