using Microsoft.ML.OnnxRuntime;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelConversion.Quantization;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Quantization;

public sealed class QuantizationTests : IDisposable
{
    private const int Side = 32;

    private readonly string _folder = Directory.CreateTempSubdirectory("quantization").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_network_with_bytes_answers_nearly_as_the_float_one_and_keeps_its_outputs()
    {
        (var quantized, var trials) = StaticQuantizer.Quantize(Network(), new OutputSpec(), Pictures(0, 24), _ => { });

        Assert.Equal(["probabilities", "embedding", "features"], quantized.Outputs.Select(output => output.Name));
        Assert.All(quantized.Outputs, output => Assert.Equal(ElementType.Float32, output.Type));
        Assert.Equal(Enum.GetValues<RangeMethod>().Order(), trials.Where(trial => !trial.DenseLayers).Select(trial => trial.Method).Order());
        using var full = new OnnxRunner(Network());
        using var reduced = new OnnxRunner(quantized);
        foreach (var picture in Pictures(100, 8))
        {
            var input = new Dictionary<string, Tensor> { ["image"] = picture };
            var expected = full.Run(input);
            var actual = reduced.Run(input);
            Assert.InRange(Numbers.LargestDifference(expected["probabilities"], actual["probabilities"]), 0, 0.02f);
            Assert.InRange(Numbers.LargestDifference(expected["embedding"], actual["embedding"]), 0, 0.06f);
            Assert.Equal(expected["features"].Shape, actual["features"].Shape);
        }
    }

    [Fact]
    public void ONNX_Runtime_computes_every_convolution_and_sum_with_bytes_and_takes_the_pixels_as_they_are()
    {
        (var quantized, _) = StaticQuantizer.Quantize(Network(), new OutputSpec(), Pictures(0, 8), _ => { });

        var operators = AsRun(quantized);

        Assert.Equal(5, operators.GetValueOrDefault("QLinearConv"));
        Assert.Equal(1, operators.GetValueOrDefault("QLinearAdd"));
        Assert.DoesNotContain("Conv", operators.Keys);
        Assert.DoesNotContain("FusedConv", operators.Keys);
        Assert.DoesNotContain("Clip", operators.Keys);
        Assert.DoesNotContain("Add", operators.Keys);

        // Nothing is rounded but, where dense layers compute with bytes, the embedding before them.
        Assert.InRange(operators.GetValueOrDefault("QuantizeLinear"), 0, 1);
    }

    [Theory]
    [InlineData("squeeze and excitation")]
    [InlineData("concat and pooling")]
    [InlineData("hard swish")]
    [InlineData("one mean per colour")]
    [InlineData("float input")]
    [InlineData("classifier over one pixel")]
    public void Networks_of_other_kinds_keep_their_answers(string kind)
    {
        var network = Network(kind);
        var floats = network.Inputs[0].Type == ElementType.Float32;
        IReadOnlyList<Tensor> Prepare(int seed, int count) => floats
            ? [.. Enumerable.Range(seed, count).Select(picture => Numbers.Random(picture, 1, 3, Side, Side))] : Pictures(seed, count);

        (var quantized, _) = StaticQuantizer.Quantize(Network(kind), new OutputSpec(), Prepare(0, 24), _ => { });

        Assert.True(AsRun(quantized).GetValueOrDefault("QLinearConv") >= 5);
        using var full = new OnnxRunner(network);
        using var reduced = new OnnxRunner(quantized);
        foreach (var picture in Prepare(100, 8))
        {
            var input = new Dictionary<string, Tensor> { ["image"] = picture };
            Assert.InRange(Numbers.LargestDifference(full.Run(input)["probabilities"], reduced.Run(input)["probabilities"]), 0, 0.04f);
        }
    }

    [Fact]
    public void Correcting_channels_brings_every_layer_nearer_to_the_float_network()
    {
        var graph = Network();
        var plan = new QuantizationPlan(graph);
        IReadOnlyList<Tensor> pictures = Pictures(0, 16);

        // Ranges far too narrow, so that there is something to correct.
        var ranges = plan.Values.ToDictionary(value => value, value => plan.Limit(value, (-1f, 1f)));
        var moments = Moments(graph, plan.Shapes, plan.Convolutions.Select(layer => layer.Outputs[0]), pictures);
        var rough = Int8Graph.Write(graph, plan, ranges, quantizeClassifier: false);
        var corrected = Int8Graph.Write(graph, plan, ranges, quantizeClassifier: false);
        ChannelCorrection.Apply(corrected, moments, pictures);

        var before = Moments(rough.Graph, Shapes.Infer(rough.Graph), rough.Layers.Select(layer => layer.Output), pictures);
        var after = Moments(corrected.Graph, Shapes.Infer(corrected.Graph), corrected.Layers.Select(layer => layer.Output), pictures);
        foreach ((var layer, var raw) in corrected.Layers.Zip(rough.Layers))
        {
            double Off(ChannelMoments actual) =>
                Enumerable.Range(0, layer.Bias.Length).Average(channel => Math.Abs(moments[layer.Source].Mean(channel) - actual.Mean(channel)));
            Assert.InRange(Off(after[layer.Output]), 0, 2e-3);
            Assert.True(Off(after[layer.Output]) <= Off(before[raw.Output]) + 1e-4, $"{layer.Node} went away from the float network.");
        }
    }

    [Theory]
    [InlineData(127.5, 127.5, 127.5, 1 / 127.5)]
    [InlineData(0, 0, 0, 1 / 255d)]
    [InlineData(123, 123.4, 122.7, 1)]
    public void The_arithmetic_on_pixels_disappears_where_one_zero_point_can_say_it(double red, double green, double blue, double factor)
    {
        var graph = Network(mean: [(float)red, (float)green, (float)blue], factor: (float)factor);

        var front = PixelFront.Of(graph, new Wiring(graph), Shapes.Infer(graph));

        Assert.NotNull(front);
        Assert.All(front.Factor, number => Assert.Equal(factor, number, 1e-6));
        Assert.Equal([(float)red, (float)green, (float)blue], front.Centre.Select(number => MathF.Round(number, 2)));
        Assert.All(front.Centre, number => Assert.InRange(Math.Abs(number - front.ZeroPoint), 0, 0.501f));
    }

    [Fact]
    public void Means_per_colour_stay_arithmetic()
    {
        var graph = Network(mean: [123.675f, 116.28f, 103.53f], factor: 1 / 58f);

        Assert.Null(PixelFront.Of(graph, new Wiring(graph), Shapes.Infer(graph)));
    }

    [Fact]
    public void An_outlier_widens_only_the_range_of_min_and_max()
    {
        var range = new ActivationRange();
        float[] values = [.. Enumerable.Range(0, 100_000).Select(i => i / 100_000f), 40];
        range.Extend(values);
        range.Count(values);

        Assert.Equal((0, 40), range.Choose(RangeMethod.MinMax));
        Assert.InRange(range.Choose(RangeMethod.Percentile).Max, 0.99f, 1.1f);
        Assert.InRange(range.Choose(RangeMethod.MeanSquaredError).Max, 1, 39.7f);
    }

    [Fact]
    public void Halved_weights_halve_the_file_and_hardly_move_the_answer()
    {
        var graph = Network("hard swish");
        var picture = new Dictionary<string, Tensor> { ["image"] = Pictures(0, 1)[0] };
        using var full = new OnnxRunner(graph);
        var weights = graph.Constants.Values.Where(constant => constant is { Type: ElementType.Float32, Length: >= 64 }).Sum(constant => constant.Length);

        HalfPrecision.Apply(graph);

        Assert.Equal(weights, graph.Constants.Values.Where(constant => constant.Type == ElementType.Float16).Sum(constant => constant.Length));
        Assert.All(graph.Constants.Values.Where(constant => constant.Type == ElementType.Float32), constant => Assert.InRange(constant.Length, 1, 63));
        using var half = new OnnxRunner(graph);
        var answers = half.Run(picture);
        Assert.Equal(["probabilities", "embedding", "features"], answers.Keys);
        Assert.InRange(Numbers.LargestDifference(full.Run(picture)["probabilities"], answers["probabilities"]), 1e-9f, 5e-3f);

        // Weights are cast when the file is loaded; what is left is the cast of the pixels.
        Assert.Equal(1, AsRun(graph)["Cast"]);
    }

    [Fact]
    public void A_weight_too_large_for_half_precision_stays_what_it_is()
    {
        var graph = Network();
        graph.Constants["dense_w"] = Tensor.Float32([32, 10], [.. Enumerable.Range(0, 320).Select(i => i == 7 ? 70_000f : 1f / (i + 1))]);

        HalfPrecision.Apply(graph);

        Assert.Equal(70_000f, graph.Constants["dense_w"].As<float>()[7]);
    }

    [Fact]
    public void A_network_that_cannot_be_quantized_says_why()
    {
        var builder = new GraphBuilder("dense");
        var value = builder.AddInput("image", ElementType.Float32, -1, 100);
        builder.AddOutput(builder.AddNode("Gemm", "dense", [value, builder.AddConstant("w", Numbers.Random(1, 100, 3))]), ElementType.Float32, -1, 3);
        var output = new OutputSpec { Name = "dense" };

        Assert.Equal("The model has no convolution that could compute with bytes.",
            Assert.Throws<ModelFormatException>(() => StaticQuantizer.Quantize(builder.Graph, output, [Numbers.Random(1, 1, 100)], _ => { })).Message);
        (var quantized, _) = StaticQuantizer.Quantize(Network(), new OutputSpec(), Pictures(0, 2), _ => { });
        Assert.Equal("The model computes with bytes already.",
            Assert.Throws<ModelFormatException>(() => StaticQuantizer.Quantize(quantized, new OutputSpec(), Pictures(0, 2), _ => { })).Message);
    }

    /// <summary>The operators that ONNX Runtime really runs, after its optimisations.</summary>
    private Dictionary<string, int> AsRun(Graph graph)
    {
        var path = Path.Combine(_folder, "model.onnx");
        var optimized = Path.Combine(_folder, "optimized.onnx");
        OnnxWriter.Write(graph, path);
        using (var options = new SessionOptions
        {
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            OptimizedModelFilePath = optimized,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR
        })
        using (new InferenceSession(path, options))
        {
        }

        var operators = new Dictionary<string, int>(StringComparer.Ordinal);
        var model = new ProtobufReader(File.ReadAllBytes(optimized));
        while (model.Next())
        {
            if (model.Field != 7) // graph
            {
                continue;
            }

            var nodes = model.Message();
            while (nodes.Next())
            {
                if (nodes.Field != 1) // node
                {
                    continue;
                }

                var node = nodes.Message();
                while (node.Next())
                {
                    if (node.Field == 4) // op_type
                    {
                        var name = node.Text();
                        operators[name] = operators.GetValueOrDefault(name) + 1;
                    }
                }
            }
        }

        return operators;
    }

    private static Dictionary<string, ChannelMoments> Moments(Graph graph, IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes,
        IEnumerable<string> values, IReadOnlyList<Tensor> pictures)
    {
        string[] names = [.. values];
        var moments = names.ToDictionary(value => value, value => new ChannelMoments(shapes[value].Shape[1]));
        using var runner = new OnnxRunner(Subgraph.Of(graph, shapes, new HashSet<string> { "image" }, names));
        foreach (var picture in pictures)
        {
            var seen = runner.Run(new Dictionary<string, Tensor> { ["image"] = picture });
            foreach (var value in names)
            {
                moments[value].Add(seen[value]);
            }
        }

        return moments;
    }

    /// <summary>Soft blobs of colour: neighbouring pixels are alike, as in photos.</summary>
    private static List<Tensor> Pictures(int seed, int count) =>
    [
        .. Enumerable.Range(seed, count).Select(picture =>
        {
            var random = new Random(picture);
            (var a, var b, var c) = (random.NextDouble() * 6, random.NextDouble() * 6, random.NextDouble() * 255);
            var pixels = new byte[Side * Side * 3];
            for (var i = 0; i < pixels.Length; i++)
            {
                (var x, var y) = (i / 3 % Side / (double)Side, i / 3 / Side / (double)Side);
                pixels[i] = (byte)Math.Clamp(c + (127 * Math.Sin((a * x) + (b * y) + (i % 3 * c))) + random.Next(16), 0, 255);
            }

            return new Tensor(ElementType.UInt8, [1, Side, Side, 3], pixels);
        }),
    ];

    /// <summary>
    /// A MobileNetV2 in small: pixels normalised in the graph, a full and a depthwise convolution, an inverted residual, pooling, a dense layer.
    /// </summary>
    private static Graph Network(string kind = "", float[]? mean = null, float factor = 1 / 127.5f)
    {
        var builder = new GraphBuilder("small");
        string value;
        if (kind == "float input")
        {
            value = builder.AddInput("image", ElementType.Float32, -1, 3, Side, Side);
        }
        else
        {
            var centre = mean ?? (kind == "one mean per colour" ? [123.675f, 116.28f, 103.53f] : [127.5f, 127.5f, 127.5f]);
            value = builder.AddInput("image", ElementType.UInt8, -1, Side, Side, 3);
            value = builder.AddNode("Transpose", "planes", [value], ("perm", new long[] { 0, 3, 1, 2 }));
            value = builder.AddNode("Cast", "floats", [value], ("to", (long)ElementType.Float32));
            value = builder.AddNode("Sub", "centred", [value, builder.AddConstant("mean", centre, 1, 3, 1, 1)]);
            value = builder.AddNode("Mul", "scaled", [value, builder.AddConstant("factor", [factor])]);
        }

        value = Clip(Convolution("first", value, 3, 16, 3, stride: 2));
        value = Clip(Convolution("depthwise", value, 16, 16, 3, group: 16));
        var shortcut = Convolution("project", value, 16, 8, 1);
        value = Convolution("expand", shortcut, 8, 24, 1);
        value = kind switch
        {
            "hard swish" => builder.AddNode("HardSwish", "swish", [value]),
            "squeeze and excitation" => builder.AddNode("Mul", "excited", [value = Clip(value), Gate(value)]),
            "concat and pooling" => Pooled(Clip(value)),
            _ => Clip(value),
        };
        value = Convolution("project_2", value, 24, 8, 1);
        value = builder.AddNode("Add", "residual", [value, shortcut]);
        value = Clip(kind.Length == 0 ? value : Convolution("head", value, 8, 32, 1));
        var channels = kind.Length == 0 ? 8 : 32;
        var features = value;
        var pooled = builder.AddNode("GlobalAveragePool", "pool", [value]);
        var embedding = builder.AddNode("Flatten", "embedding", [pooled]);
        value = kind == "classifier over one pixel"
            ? builder.AddNode("Flatten", "scores", [Convolution("classifier", pooled, channels, 10, 1)])
            : builder.AddNode("Gemm", "dense", [embedding, builder.AddConstant("dense_w", Numbers.Random(9, -1, 1, [channels, 10]))]);
        builder.AddOutput(builder.AddNode("Softmax", "probabilities", [value], ("axis", -1L)), ElementType.Float32, -1, 10);
        builder.AddOutput(embedding, ElementType.Float32, -1, channels);
        var graph = builder.Graph;
        graph.Nodes.Find(node => node.Outputs.Contains(features))!.Outputs[0] = "features";
        graph.Nodes.Find(node => node.Name == "pool")!.Inputs[0] = "features";
        builder.AddOutput("features", ElementType.Float32, -1, channels, Side / 2, Side / 2);
        return graph;

        string Convolution(string name, string input, int from, int to, int kernel, int stride = 1, int group = 1) => builder.AddNode("Conv", name,
            [input, builder.AddConstant(name + "_w", Numbers.Random(name.Length, -1, 1, [to, from / group, kernel, kernel])),
                builder.AddConstant(name + "_b", Numbers.Random(name.Length + 1, to))],
            ("strides", new long[] { stride, stride }), ("pads", new long[] { kernel / 2, kernel / 2, kernel / 2, kernel / 2 }), ("group", (long)group));

        string Clip(string input) => builder.AddNode("Clip", input + "_relu6", [input, builder.AddConstant("zero", [0f]), builder.AddConstant("six", [6f])]);

        string Gate(string input) =>
            builder.AddNode("Sigmoid", "gate", [Convolution("excite", builder.AddNode("GlobalAveragePool", "squeeze", [input]), 24, 24, 1)]);

        string Pooled(string input)
        {
            string[] parts = [Convolution("left", builder.AddNode("MaxPool", "largest", [input], ("kernel_shape", new long[] { 3, 3 }),
                ("pads", new long[] { 1, 1, 1, 1 })), 24, 12, 1), Convolution("right", input, 24, 12, 1)];
            return builder.AddNode("Concat", "joined", parts, ("axis", 1L));
        }
    }
}
