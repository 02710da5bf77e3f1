using System.Text.Json.Nodes;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Formats.TensorFlowJs;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Tests.Formats.Keras;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowJs;

/// <summary>
/// Each operator stands in a small network on a picture. The network is exported, and answers the same in TensorFlow.js itself (both of its processor
/// backends) and read back by our own reader.
/// </summary>
public sealed class TensorFlowJsWriterTests(TensorFlowJsRuntime tensorFlow) : IClassFixture<TensorFlowJsRuntime>, IDisposable
{
    private const int Channels = 4;
    private const int Height = 8;
    private const int Width = 6;

    private static readonly Dictionary<string, Func<GraphBuilder, string, string>> Cases = new()
    {
        ["a convolution"] = (b, x) => Conv(b, x, 6, 3, pads: [1, 1, 1, 1]),
        ["a convolution padded unevenly, as TensorFlow does"] = (b, x) => Conv(b, x, 6, 3, strides: [2, 2], pads: [0, 0, 1, 1]),
        ["a convolution padded as PyTorch does"] = (b, x) => Conv(b, x, 6, 3, strides: [2, 2], pads: [1, 1, 1, 1]),
        ["a convolution with wide taps"] = (b, x) => Conv(b, x, 6, 3, dilations: [2, 2], pads: [2, 2, 2, 2]),
        ["a convolution padded by name"] = (b, x) =>
            b.AddNode("Conv", "conv", [x, Weight(b, 6, Channels, 3, 3)], ("strides", new long[] { 2, 2 }), ("auto_pad", "SAME_LOWER")),
        ["a convolution of one pixel without bias"] = (b, x) => b.AddNode("Conv", "conv", [x, Weight(b, 6, Channels, 1, 1)]),
        ["a convolution and Relu"] = (b, x) => b.AddNode("Relu", "relu", [Conv(b, x, 6, 3)]),
        ["a convolution and Relu6"] = (b, x) => Clip(b, Conv(b, x, 6, 3), 0, 6),
        ["a convolution and LeakyRelu"] = (b, x) => b.AddNode("LeakyRelu", "leaky", [Conv(b, x, 6, 3)], ("alpha", 0.3f)),
        ["a convolution and Elu"] = (b, x) => b.AddNode("Elu", "elu", [Conv(b, x, 6, 3)]),
        ["a convolution and an activation that is not fused"] = (b, x) => b.AddNode("HardSwish", "swish", [Conv(b, x, 6, 3)]),
        ["an activation whose input something else reads"] = (b, x) => Conv(b, x, 6, 3) is var y
            ? b.AddNode("Add", "sum", [y, b.AddNode("Relu", "relu", [y])]) : y,
        ["a depthwise convolution"] = (b, x) => Conv(b, x, Channels, 3, group: Channels, pads: [1, 1, 1, 1]),
        ["a depthwise convolution padded unevenly, with Relu6"] = (b, x) =>
            Clip(b, Conv(b, x, 2 * Channels, 3, group: Channels, strides: [2, 2], pads: [1, 1, 0, 0]), 0, 6),
        ["a convolution in groups"] = (b, x) => b.AddNode("Relu", "relu", [Conv(b, x, 6, 3, group: 2, pads: [1, 1, 1, 1])]),
        ["batch normalisation"] = (b, x) => b.AddNode("BatchNormalization", "norm",
            [x, Weight(b, Channels), Weight(b, Channels), Weight(b, Channels), b.AddConstant("variance", Numbers.Random(9, 0.1f, 2, [Channels]))]),
        ["the largest of each window"] = (b, x) =>
            b.AddNode("MaxPool", "pool", [x], ("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 })),
        ["the largest of each window, rounded up"] = (b, x) =>
            b.AddNode("MaxPool", "pool", [x], ("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }), ("ceil_mode", 1L)),
        ["the mean of each window"] = (b, x) => b.AddNode("AveragePool", "pool", [x], ("kernel_shape", new long[] { 2, 2 }), ("strides", new long[] { 2, 2 })),
        ["the mean of each window without its padding"] = (b, x) =>
            b.AddNode("AveragePool", "pool", [x], ("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 })),
        ["the mean of each window with its padding"] = (b, x) => b.AddNode("AveragePool", "pool", [x], ("kernel_shape", new long[] { 3, 2 }),
            ("strides", new long[] { 2, 1 }), ("pads", new long[] { 1, 0, 1, 1 }), ("count_include_pad", 1L)),
        ["the mean of each window, padded by name"] = (b, x) =>
            b.AddNode("AveragePool", "pool", [x], ("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }), ("auto_pad", "SAME_UPPER")),
        ["the whole picture's mean"] = (b, x) => b.AddNode("GlobalAveragePool", "pool", [x]),
        ["the whole picture's largest"] = (b, x) => b.AddNode("GlobalMaxPool", "pool", [x]),
        ["a classifier's end"] = (b, x) => b.AddNode("Softmax", "softmax",
            [Dense(b, b.AddNode("Flatten", "flat", [b.AddNode("GlobalAveragePool", "pool", [Conv(b, x, 6, 3)])]), 6)], ("axis", -1L)),
        ["a dense layer and Relu"] = (b, x) =>
            b.AddNode("Relu", "relu", [Dense(b, b.AddNode("ReduceMean", "mean", [x], ("axes", new long[] { 2, 3 }), ("keepdims", 0L)), Channels)]),
        ["a picture flattened whole"] = (b, x) => Dense(b, b.AddNode("Flatten", "flat", [x]), Channels * Height * Width),
        ["a dense layer, transposed and scaled"] = (b, x) =>
            b.AddNode("Gemm", "dense", [b.AddNode("Flatten", "flat", [x]), Weight(b, 5, Channels * Height * Width)], ("transB", 1L), ("alpha", 0.5f)),
        ["a product per pixel"] = (b, x) =>
            b.AddNode("MatMul", "product", [b.AddNode("Transpose", "turn", [x], ("perm", new long[] { 0, 2, 3, 1 })), Weight(b, Channels, 5)]),
        ["a product of two values"] = (b, x) => b.AddNode("MatMul", "product", [x, b.AddNode("Transpose", "turn", [x], ("perm", new long[] { 0, 1, 3, 2 }))]),
        ["normalised neighbouring channels"] = (b, x) => b.AddNode("LRN", "lrn", [x], ("size", 3L), ("alpha", 0.1f)),
        ["softmax over each pixel's channels"] = (b, x) => b.AddNode("Softmax", "softmax", [x], ("axis", 1L)),
        ["log softmax"] = (b, x) => b.AddNode("LogSoftmax", "softmax", [b.AddNode("Flatten", "flat", [x])], ("axis", -1L)),

        ["arithmetic with one number"] = (b, x) => b.AddNode("Div", "div",
            [b.AddNode("Sub", "sub", [b.AddConstant("a", [2f]), b.AddNode("Sqrt", "sqrt", [b.AddNode("Abs", "abs", [x])])]), b.AddConstant("b", [0.7f])]),
        ["arithmetic with a number per channel"] = (b, x) =>
            b.AddNode("Mul", "mul", [b.AddNode("Add", "add", [b.AddNode("Relu", "relu", [x]), Weight(b, Channels, 1, 1)]), Weight(b, 1, Channels, 1, 1)]),
        ["arithmetic with a number per pixel"] = (b, x) => b.AddNode("Add", "add", [Conv(b, x, Channels, 1), Weight(b, Height, Width)]),
        ["arithmetic on the input's channels, put off"] = (b, x) =>
            Conv(b, b.AddNode("Sub", "sub", [b.AddNode("Mul", "mul", [x, Weight(b, 1, Channels, 1, 1)]), Weight(b, Channels, 1, 1)]), 6, 3, pads: [1, 1, 1, 1]),
        ["arithmetic on the input, read twice"] = (b, x) => b.AddNode("Mul", "mul", [x, b.AddConstant("two", [2f])]) is var y
            ? b.AddNode("Add", "add", [Conv(b, y, Channels, 1), y]) : x,
        ["two pictures"] = (b, x) => b.AddNode("Add", "add", [Conv(b, x, Channels, 1), x]),
        ["a gate per channel"] = (b, x) =>
            b.AddNode("Mul", "mul", [x, b.AddNode("Sigmoid", "gate", [Conv(b, b.AddNode("GlobalAveragePool", "squeeze", [x]), Channels, 1)])]),
        ["powers"] = (b, x) => b.AddNode("Pow", "pow", [b.AddNode("Abs", "abs", [x]), b.AddConstant("exponent", [1.5f])]),
        ["the larger and the smaller"] = (b, x) =>
            b.AddNode("Max", "max", [b.AddNode("Min", "min", [x, b.AddConstant("high", [0.5f])]), b.AddConstant("low", [-0.5f])]),
        ["a sum of several"] = (b, x) => b.AddNode("Sum", "sum", [x, Conv(b, x, Channels, 1), b.AddConstant("one", [1f])]),
        ["a slope per channel"] = (b, x) => b.AddNode("PRelu", "prelu", [x, Weight(b, Channels, 1, 1)]),
        ["values between two limits"] = (b, x) => Clip(b, x, -0.25f, 0.5f),
        ["values under a limit"] = (b, x) => b.AddNode("Clip", "clip", [x, "", b.AddConstant("most", [0.5f])]),
        ["hard and soft gates"] = (b, x) =>
            b.AddNode("HardSwish", "swish", [b.AddNode("HardSigmoid", "gate", [b.AddNode("Mish", "mish", [x])], ("alpha", 0.2f), ("beta", 0.4f))]),
        ["Gelu"] = (b, x) => b.AddNode("Gelu", "gelu", [x]),
        ["integers and back"] = (b, x) => b.AddNode("Cast", "back",
            [b.AddNode("Cast", "cut", [b.AddNode("Mul", "wide", [b.AddNode("Relu", "relu", [x]), b.AddConstant("ten", [10f])])], ("to", 6L))], ("to", 1L)),

        ["axes in another order"] = (b, x) => b.AddNode("Transpose", "turn", [b.AddNode("Relu", "relu", [x])], ("perm", new long[] { 0, 2, 1, 3 })),
        ["channels mixed by reshaping"] = (b, x) => Reshape(b, b.AddNode("Transpose", "mix", [Reshape(b, Conv(b, x, Channels, 1), 0, 2, 2, Height, Width)],
            ("perm", new long[] { 0, 2, 1, 3, 4 })), -1, Channels, Height, Width),
        ["axes left out and put in"] = (b, x) =>
            b.AddNode("Unsqueeze", "in", [b.AddNode("Squeeze", "out", [b.AddNode("GlobalAveragePool", "pool", [x]), b.AddInt64Constant("out_axes", 2, 3)]),
            b.AddInt64Constant("in_axes", 2)]),
        ["channels side by side"] = (b, x) => b.AddNode("Concat", "concat", [x, b.AddNode("Relu", "relu", [x]), x], ("axis", 1L)),
        ["rows under one another"] = (b, x) => b.AddNode("Concat", "concat", [Conv(b, x, Channels, 1), x], ("axis", -2L)),
        ["channels apart and changed over"] = (b, x) => b.AddNode("Split", "split", [b.AddNode("Relu", "relu", [x]), b.AddInt64Constant("sizes", 1, 3)],
            2, ("axis", 1L)).Outputs is [var one, var two] ? b.AddNode("Concat", "concat", [two, one], ("axis", 1L)) : x,
        ["a part of the picture"] = (b, x) => b.AddNode("Slice", "slice",
            [x, b.AddInt64Constant("starts", 1, -5), b.AddInt64Constant("ends", 3, 1000), b.AddInt64Constant("axes", 1, 2), b.AddInt64Constant("steps", 1, 2)]),
        ["the picture backwards"] = (b, x) => b.AddNode("Slice", "slice", [b.AddNode("Relu", "relu", [x]), b.AddInt64Constant("starts", -1),
            b.AddInt64Constant("ends", long.MinValue), b.AddInt64Constant("axes", 3), b.AddInt64Constant("steps", -1)]),
        ["chosen channels"] = (b, x) => b.AddNode("Gather", "gather", [Conv(b, x, Channels, 1), b.AddInt64Constant("indices", 2, -1, 0)], ("axis", 1L)),
        ["one channel"] = (b, x) => b.AddNode("Gather", "gather", [x, b.AddConstant("index", Tensor.Int64([], [1]))], ("axis", 1L)),
        ["padding"] = (b, x) => b.AddNode("Pad", "pad", [x, b.AddInt64Constant("pads", 0, 1, 2, 0, 0, 0, 3, 1), b.AddConstant("value", [2f])]),
        ["padding by reflection"] = (b, x) => b.AddNode("Pad", "pad", [x, b.AddInt64Constant("pads", 0, 0, 2, 1, 0, 0, 1, 2)], ("mode", "reflect")),
        ["padding by the edge"] = (b, x) => b.AddNode("Pad", "pad", [x, b.AddInt64Constant("pads", 0, 0, 1, 1, 0, 0, 1, 0)], ("mode", "edge")),
        ["a picture made larger"] = (b, x) => Resize(b, x, 2, "linear", "half_pixel"),
        ["a picture made larger from corner to corner"] = (b, x) => Resize(b, x, 2, "linear", "align_corners"),
        ["a picture made larger as before TensorFlow 2"] = (b, x) => Resize(b, x, 2, "linear", "asymmetric"),
        ["a picture's pixels repeated"] = (b, x) => Resize(b, x, 2, "nearest", "asymmetric"),
        ["blocks to channels and back"] = (b, x) =>
            b.AddNode("DepthToSpace", "depth", [b.AddNode("Relu", "relu", [b.AddNode("SpaceToDepth", "space", [x], ("blocksize", 2L))])], ("blocksize", 2L)),
        ["sums along an axis"] = (b, x) => b.AddNode("ReduceSum", "sum", [Conv(b, x, Channels, 1), b.AddInt64Constant("axes", -1)], ("keepdims", 0L)),
        ["the largest of the channels"] = (b, x) =>
            b.AddNode("ReduceMax", "most", [b.AddNode("ReduceMin", "least", [x], ("axes", new long[] { 2 }))], ("axes", new long[] { 1 })),
        ["the product of the channels"] = (b, x) => b.AddNode("ReduceProd", "product", [x], ("axes", new long[] { 1 })),
        ["the mean of rows, turned"] = (b, x) =>
            b.AddNode("ReduceMean", "mean", [b.AddNode("Relu", "relu", [x])], ("axes", new long[] { 2 }), ("keepdims", 0L)),
        ["operators of one value"] = (b, x) =>
            new[] { "Abs", "Ceil", "Floor", "Round", "Neg", "Sign" }.Aggregate(x, (sum, op) => b.AddNode("Add", $"with_{op}", [sum, b.AddNode(op, op, [x])])),
        ["curves"] = (b, x) => new[] { "Cos", "Sin", "Elu", "Erf", "Exp", "Selu", "Sigmoid", "Softplus", "Tanh" }.Aggregate(x,
            (sum, op) => b.AddNode("Add", $"with_{op}", [sum, b.AddNode(op, op, [x])])),
        ["curves of positive numbers"] = (b, x) => b.AddNode("Exp", "positive", [x]) is var y
            ? new[] { "Log", "Reciprocal", "Softsign", "Sqrt" }.Aggregate(y, (sum, op) => b.AddNode("Add", $"with_{op}", [sum, b.AddNode(op, op, [y])])) : x,
        ["half of the numbers left out"] = (b, x) => b.AddNode("Identity", "same", [b.AddNode("Dropout", "dropout", [x])]),
        ["names that TensorFlow does not allow"] = (b, x) => b.AddNode("Relu", "/relu:0 ☃", [b.AddNode("Relu", "_x", [x])]),
    };

    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-export-").FullName;

    public static TheoryData<string> Names => [.. Cases.Keys];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Names))]
    public void TensorFlow_js_and_our_reader_answer_as_the_graph_did_for(string network)
    {
        var graph = Picture(network);
        var input = Numbers.Random(3, -2, 2, [2, Channels, Height, Width]);
        var expected = Assert.Single(new Interpreter(graph).Run(input)).Value;
        var channelsLast = ChannelsLast(input);
        TensorFlowJsWriter.Write(graph, _folder, Options());

        Close(expected, Assert.Single(new Interpreter(new TensorFlowJsReader().Read(_folder).Graph).Run(channelsLast)).Value, "our reader");
        Close(expected, Assert.Single(tensorFlow.Run(_folder, channelsLast, "cpu")).Value, "TensorFlow.js");
        Close(expected, Assert.Single(tensorFlow.Run(_folder, channelsLast, "wasm")).Value, "TensorFlow.js in WebAssembly");
    }

    [Theory]
    [InlineData("mobilenet_v3_large")]
    [InlineData("resnet50_v2")]
    [InlineData("densenet121")]
    [InlineData("efficientnet_b0")]
    [InlineData("inception_v3")]
    [InlineData("nasnet_mobile")]
    public Task A_network_of_keras_applications_answers_in_TensorFlow_js_what_PyTorch_answers(string name) =>
        KerasNetworksTests.WithModel("h5", name, (path, input, outputs) =>
    {
        var graph = new KerasReader().Read(path).Graph;
        PassOrder.Apply(graph);
        TensorFlowJsWriter.Write(graph, _folder,
            Options() with { Preprocessing = Options().Preprocessing with { ImageMean = [1, 1, 1], ImageStd = [1, 1, 1] }, ChannelsFirst = false });
        Close(Assert.Single(outputs).Value, Assert.Single(tensorFlow.Run(_folder, input)).Value, "TensorFlow.js", 1e-4f);
    });

    [Fact]
    public void The_picture_is_fed_as_TensorFlows_examples_do_whatever_the_network_was_trained_on()
    {
        // What a network takes, in terms of a pixel; the exported one takes pixel / 127.5 - 1.
        var torch = new PreprocessingSpec { RescaleFactor = 1 / 255d, ImageMean = [0.485, 0.456, 0.406], ImageStd = [0.229, 0.224, 0.225] };
        var graph = Picture("a convolution padded as PyTorch does", channels: 3);
        var pixels = Array.ConvertAll(Numbers.Random(4, 0, 255, [Height * Width * 3]).ToFloats(), float.Round);
        var normalised = Tensor.Float32([1, Height, Width, 3],
            [.. pixels.Select((pixel, i) => (float)(((pixel * torch.RescaleFactor) - torch.ImageMean[i % 3]) / torch.ImageStd[i % 3]))]);
        var expected = Assert.Single(new Interpreter(graph).Run(ChannelsFirst(normalised))).Value;

        TensorFlowJsWriter.Write(graph, _folder, Options() with { Preprocessing = torch });

        var input = Tensor.Float32([1, Height, Width, 3], Array.ConvertAll(pixels, pixel => (pixel / 127.5f) - 1));
        Close(expected, Assert.Single(tensorFlow.Run(_folder, input)).Value, "TensorFlow.js");
        var preprocessing = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "metadata.json")))!["preprocessing"]!;
        Assert.Equal(-1, (0 * (double)preprocessing["rescale_factor"]!) - (double)preprocessing["image_mean"]![0]!);
        Assert.Equal(1, (255 * (double)preprocessing["rescale_factor"]!) - (double)preprocessing["image_mean"]![0]!, 1e-12);
    }

    [Fact]
    public void Bias_and_activation_are_part_of_the_convolutions_and_the_product()
    {
        var builder = new GraphBuilder("fused");
        var x = builder.AddInput("x", ElementType.Float32, -1, Channels, Height, Width);
        var value = Clip(builder, Conv(builder, x, 6, 3, strides: [2, 2], pads: [0, 0, 1, 1]), 0, 6);
        value = Clip(builder, builder.AddNode("Conv", "depthwise", [value, Weight(builder, 6, 1, 3, 3), Weight(builder, 6)], ("group", 6L),
            ("pads", new long[] { 1, 1, 1, 1 })), 0, 6);
        value = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [value])]);
        builder.AddOutput(builder.AddNode("Softmax", "softmax", [Dense(builder, value, 6)], ("axis", -1L)), ElementType.Float32, -1, 5);
        TensorFlowJsWriter.Write(builder.Graph, _folder, Options());

        JsonNode[] nodes = [.. Model()["modelTopology"]!["node"]!.AsArray().Where(node => (string)node!["op"]! != "Const").Select(node => node!)];
        Assert.Equal(["Placeholder", "_FusedConv2D", "FusedDepthwiseConv2dNative", "Mean", "Reshape", "_FusedMatMul", "Softmax"],
            nodes.Select(node => (string)node["op"]!));
        Assert.Equal(["BiasAdd", "Relu6"], nodes[1]["attr"]!["fused_ops"]!["list"]!["s"]!.AsArray()
            .Select(text => System.Text.Encoding.UTF8.GetString(Convert.FromBase64String((string)text!))));
    }

    [Fact]
    public void Weights_lie_in_shards_of_four_megabytes_and_take_half_of_that_in_half_precision()
    {
        var builder = new GraphBuilder("large");
        var x = builder.AddInput("x", ElementType.Float32, -1, Channels, Height, Width);
        var value = builder.AddNode("Gemm", "dense",
            [builder.AddNode("Flatten", "flat", [x]), builder.AddConstant("w", Numbers.Random(1, -0.1f, 0.1f, [Channels * Height * Width, 8000]))]);
        builder.AddOutput(builder.AddNode("Gemm", "classes",
            [value, builder.AddConstant("v", Numbers.Random(2, -0.01f, 0.01f, [8000, 3])), Weight(builder, 3)]), ElementType.Float32, -1, 3);
        var input = Numbers.Random(3, [1, Channels, Height, Width]);
        var expected = Assert.Single(new Interpreter(builder.Graph).Run(input)).Value;

        var single = TensorFlowJsWriter.Write(builder.Graph, Path.Combine(_folder, "single"), Options());
        var half = TensorFlowJsWriter.Write(builder.Graph, Path.Combine(_folder, "half"), Options() with { Half = true });

        const int Weights = 8000 * ((Channels * Height * Width) + 3);
        Assert.Equal(["model.json", "group1-shard1of2.bin", "group1-shard2of2.bin", "classes.json", "metadata.json"], single.Select(file => file.File));
        Assert.Equal(4 << 20, single[1].Bytes);
        Assert.InRange(single[1].Bytes + single[2].Bytes, 4 * Weights, (4 * Weights) + 64);
        Assert.Equal("group1-shard1of1.bin", half[1].File);
        Assert.InRange(half[1].Bytes, 2 * Weights, (2 * Weights) + 64);
        Assert.Equal("float16", (string)Model("half")["weightsManifest"]![0]!["weights"]!.AsArray()
            .First(weight => weight!["quantization"] is not null)!["quantization"]!["dtype"]!);
        Close(expected, Assert.Single(tensorFlow.Run(Path.Combine(_folder, "single"), ChannelsLast(input))).Value, "TensorFlow.js");
        Assert.InRange(Numbers.LargestDifference(expected, Assert.Single(tensorFlow.Run(Path.Combine(_folder, "half"), ChannelsLast(input))).Value), 1e-9f,
            5e-3f);
    }

    [Fact]
    public void Labels_size_and_preprocessing_lie_beside_it_and_come_back_with_it()
    {
        var spec = new PreprocessingSpec
        {
            Crop = Crop.ResizeThenCenter,
            ResizeShortest = 9,
            Resample = "pil-bicubic",
            RescaleFactor = 1 / 127.5,
            ImageMean = [1, 1, 1]
        };
        TensorFlowJsWriter.Write(Picture("a classifier's end", channels: 3), _folder,
            Options() with { Preprocessing = spec, Labels = ["Äpfel\tfruit", "pear", "plum", "milk", "juice"] });

        Assert.Equal("""["Äpfel","pear","plum","milk","juice"]""", File.ReadAllText(Path.Combine(_folder, "classes.json")).TrimEnd());
        var back = new TensorFlowJsReader().Read(_folder);
        Assert.Equal(["Äpfel", "pear", "plum", "milk", "juice"], back.Labels!);
        Assert.Equivalent(spec, back.Preprocessing);
    }

    [Fact]
    public void An_operator_without_a_counterpart_is_refused_by_name_and_place_and_nothing_is_written()
    {
        var builder = new GraphBuilder("odd");
        builder.AddOutput(builder.AddNode("ArgMax", "best", [builder.AddInput("x", ElementType.Float32, 1, Channels, Height, Width)]), ElementType.Int64,
            1, 1, Height, Width);

        Assert.Equal("The operator 'ArgMax' (best) cannot be exported to TensorFlow.js.",
            Assert.Throws<ModelFormatException>(() => TensorFlowJsWriter.Write(builder.Graph, _folder, Options())).Message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
    }

    private static void Close(Tensor expected, Tensor actual, string by, float tolerance = 2e-5f)
    {
        var difference = Numbers.LargestDifference(expected, actual);
        Assert.True(difference <= tolerance, $"{by} differs by {difference}.");
    }

    private JsonNode Model(string folder = "") => JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, folder, "model.json")))!;

    /// <summary>A network that takes −1…1 itself, so that nothing stands between the picture and the operator.</summary>
    private static TensorFlowJsOptions Options() => new(
        new PreprocessingSpec { RescaleFactor = 1 / 127.5, ImageMean = [1, 1, 1, 1], ImageStd = [1, 1, 1, 1] }, TakesPixels: false, ChannelsFirst: true,
            ["a", "b", "c", "d", "e"], Half: false);

    private static Graph Picture(string network, int channels = Channels)
    {
        var builder = new GraphBuilder(network);
        var output = Cases[network](builder, builder.AddInput("x", ElementType.Float32, -1, channels, Height, Width));
        builder.AddOutput(output, ElementType.Float32, [-1, .. Shapes.Infer(builder.Graph)[output].Shape[1..]]);
        return builder.Graph;
    }

    private static Tensor ChannelsLast(Tensor tensor) => Turn(tensor, 0, 2, 3, 1);

    private static Tensor ChannelsFirst(Tensor tensor) => Turn(tensor, 0, 3, 1, 2);

    private static Tensor Turn(Tensor tensor, params long[] perm)
    {
        var builder = new GraphBuilder("turn");
        builder.AddOutput(builder.AddNode("Transpose", "turn", [builder.AddInput("x", tensor.Type, tensor.Shape)], ("perm", perm)), tensor.Type,
            [.. perm.Select(axis => tensor.Shape[axis])]);
        return Assert.Single(new Interpreter(builder.Graph).Run(tensor)).Value;
    }

    private static string Weight(GraphBuilder builder, params int[] shape) =>
        builder.AddConstant("w", Numbers.Random(builder.Graph.Constants.Count + 11, -0.5f, 0.5f, shape));

    private static string Conv(GraphBuilder builder, string x, int filters, int size, long group = 1, long[]? strides = null, long[]? pads = null,
        long[]? dilations = null)
    {
        var channels = Shapes.Infer(builder.Graph)[x].Shape[1];
        return builder.AddNode("Conv", "conv", [x, Weight(builder, filters, channels / (int)group, size, size), Weight(builder, filters)],
            ("group", group), ("strides", strides ?? [1, 1]), ("pads", pads ?? [0, 0, 0, 0]), ("dilations", dilations ?? [1, 1]));
    }

    private static string Dense(GraphBuilder builder, string x, int features) =>
        builder.AddNode("Gemm", "dense", [x, Weight(builder, features, 5), Weight(builder, 5)]);

    private static string Clip(GraphBuilder builder, string x, float least, float most) =>
        builder.AddNode("Clip", "clip", [x, builder.AddConstant("least", [least]), builder.AddConstant("most", [most])]);

    private static string Reshape(GraphBuilder builder, string x, params long[] shape) =>
        builder.AddNode("Reshape", "reshape", [x, builder.AddInt64Constant("shape", shape)]);

    private static string Resize(GraphBuilder builder, string x, float times, string mode, string coordinates) =>
        builder.AddNode("Resize", "resize", [x, "", builder.AddConstant("scales", [1f, 1f, times, times], 4)], ("mode", mode),
            ("coordinate_transformation_mode", coordinates), ("nearest_mode", "floor"));
}
