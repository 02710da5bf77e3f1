using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Passes;

/// <summary>Every pass against the interpreter: the same numbers before and after, and the rewrite that it is for.</summary>
public class PassTests
{
    [Fact]
    public void Channels_first_leaves_one_transpose_of_a_whole_network()
    {
        var graph = Network(channelsLast: true);

        Same(graph, ChannelsFirst.Apply);

        Assert.DoesNotContain(graph.Nodes, node => node.ChannelsLast);
        Assert.Equal("x", Assert.Single(graph.Nodes, node => node.Op == "Transpose").Inputs[0]);
        using var runner = new OnnxRunner(graph);
    }

    [Theory]
    [InlineData("Concat")]
    [InlineData("Pad")]
    [InlineData("ReduceMean")]
    [InlineData("ReduceMean of channels")]
    [InlineData("Softmax")]
    [InlineData("PRelu")]
    [InlineData("Bias per channel and column")]
    [InlineData("Slice")]
    [InlineData("Split")]
    [InlineData("Resize")]
    [InlineData("DepthToSpace")]
    [InlineData("QuantizeLinear per channel")]
    [InlineData("ArgMax")]
    [InlineData("BatchNormalization")]
    [InlineData("Computed vector")]
    [InlineData("Shape")]
    public void Channels_first_moves_through(string operation)
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 6, 5, 3);
        var a = builder.AddChannelsLastNode("Conv", "conv", [x, Weight(builder, 8, 3, 3, 3)]);
        var y = operation switch
        {
            "Concat" => builder.AddNode("Concat", "y", [a, builder.AddNode("Relu", "relu", [a])], ("axis", -1L)),
            "Pad" => builder.AddNode("Pad", "y", [a, builder.AddInt64Constant("pads", 0, 1, 2, 0, 0, 3, 0, 0)]),
            "ReduceMean" => builder.AddNode("ReduceMean", "y", [a], ("axes", Longs(1, 2)), ("keepdims", 0L)),
            "ReduceMean of channels" => builder.AddNode("ReduceMean", "y", [a], ("axes", Longs(-1))),
            "Softmax" => builder.AddNode("Softmax", "y", [a]),
            "PRelu" => builder.AddNode("PRelu", "y", [a, Weight(builder, 1, 1, 8)]),
            "Bias per channel and column" => builder.AddNode("Add", "y", [Weight(builder, 3, 8), a]),
            "Slice" => builder.AddNode("Slice", "y",
                [a, builder.AddInt64Constant("starts", 1, 2), builder.AddInt64Constant("ends", 4, 7), builder.AddInt64Constant("axes", 1, 3)]),
            "Split" => builder.AddNode("Split", "y", [a, builder.AddInt64Constant("sizes", 5, 3)], 2, ("axis", 3L)).Outputs[1],
            "Resize" => builder.AddChannelsLastNode("Resize", "y", [a, "", builder.AddConstant("scales", [1, 2, 3, 1], 4)]),
            "DepthToSpace" => builder.AddChannelsLastNode("DepthToSpace", "y", [a], ("blocksize", 2L)),
            "QuantizeLinear per channel" => builder.AddNode("QuantizeLinear", "y",
                [a, builder.AddConstant("scale", Numbers.Random(1, 0.01f, 0.02f, [8])),
                    builder.AddConstant("zero", new Tensor(ElementType.Int8, [8], new byte[8]))], ("axis", 3L)),
            "ArgMax" => builder.AddNode("ArgMax", "y", [a], ("axis", 3L), ("keepdims", 0L)),
            "BatchNormalization" => Normalised(builder, a, 8, channelsLast: true),
            "Computed vector" => builder.AddNode("Add", "y", [a, builder.AddNode("ReduceMax", "max", [a], ("axes", Longs(0, 1, 2)), ("keepdims", 0L))]),
            _ => builder.AddNode("Shape", "y", [a]),
        };
        var z = operation is "ReduceMean" or "ArgMax" or "Shape" or "QuantizeLinear per channel" or "Computed vector" ? y : builder.AddNode("Neg", "z", [y]);
        AddOutput(builder, z);

        Same(builder.Graph, ChannelsFirst.Apply);

        Assert.DoesNotContain(builder.Graph.Nodes, node => node.ChannelsLast);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_flatten_before_a_dense_layer_permutes_its_weights(bool transposed)
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 6, 5, 3);
        var conv = builder.AddChannelsLastNode("Conv", "conv", [x, Weight(builder, 4, 3, 3, 3)]);
        var flat = builder.AddNode("Reshape", "flat", [builder.AddNode("Relu", "relu", [conv]), builder.AddInt64Constant("shape", -1, 48)]);
        var gemm = builder.AddNode("Gemm", "dense", [builder.AddNode("Dropout", "dropout", [flat]), transposed ? Weight(builder, 7, 48)
            : Weight(builder, 48, 7), Weight(builder, 7)], ("transB", transposed ? 1L : 0L));
        AddOutput(builder, gemm);

        Same(builder.Graph, ChannelsFirst.Apply);

        Assert.Single(builder.Graph.Nodes, node => node.Op == "Transpose");
    }

    [Fact]
    public void Squeeze_and_excitation_needs_no_transpose()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 6, 5, 3);
        var conv = builder.AddChannelsLastNode("Conv", "conv", [x, Weight(builder, 8, 3, 3, 3)]);
        var pool = builder.AddNode("ReduceMean", "pool", [conv], ("axes", Longs(1, 2)), ("keepdims", 0L));
        var squeeze = builder.AddNode("Reshape", "squeeze", [pool, builder.AddInt64Constant("shape", -1, 1, 1, 8)]);
        var excite = builder.AddChannelsLastNode("Conv", "excite", [squeeze, Weight(builder, 8, 8, 1, 1)]);
        AddOutput(builder, builder.AddNode("ReduceMax", "y", [builder.AddNode("Mul", "gated", [conv, builder.AddNode("Sigmoid", "gate", [excite])])],
            ("axes", Longs(1, 2)), ("keepdims", 0L)));

        Same(builder.Graph, graph =>
        {
            GlobalPooling.Apply(graph);
            ChannelsFirst.Apply(graph);
            RemoveIdentity.Apply(graph);
        });

        Assert.Single(builder.Graph.Nodes, node => node.Op == "Transpose");
        Assert.Single(builder.Graph.Nodes, node => node.Op == "GlobalAveragePool");
    }

    [Theory]
    [InlineData("Conv", false)]
    [InlineData("Conv", true)]
    [InlineData("Conv with groups", true)]
    [InlineData("ConvTranspose", false)]
    [InlineData("ConvTranspose with groups", false)]
    [InlineData("Gemm", false)]
    [InlineData("MatMul", false)]
    public void What_scales_channels_is_folded_into(string layer, bool channelsLast)
    {
        var builder = new GraphBuilder("x");
        var dense = layer is "Gemm" or "MatMul";
        var x = dense ? builder.AddInput("x", ElementType.Float32, -1, 6)
            : builder.AddInput("x", ElementType.Float32, [-1, .. channelsLast ? new[] { 6, 5, 6 } : [6, 6, 5]]);
        var value = layer switch
        {
            "Conv" => builder.AddNode("Conv", "layer", [x, Weight(builder, 8, 6, 3, 3), Weight(builder, 8)], ("pads", Longs(1, 1, 1, 1))),
            "Conv with groups" => builder.AddNode("Conv", "layer", [x, Weight(builder, 8, 3, 3, 3)], ("group", 2L)),
            "ConvTranspose" => builder.AddNode("ConvTranspose", "layer", [x, Weight(builder, 6, 8, 3, 3)]),
            "ConvTranspose with groups" => builder.AddNode("ConvTranspose", "layer", [x, Weight(builder, 6, 4, 3, 3)], ("group", 2L)),
            "Gemm" => builder.AddNode("Gemm", "layer", [x, Weight(builder, 8, 6), Weight(builder, 8)], ("transB", 1L)),
            _ => builder.AddNode("MatMul", "layer", [x, Weight(builder, 6, 8)]),
        };
        builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
        int[] perChannel = dense || channelsLast ? [8] : [8, 1, 1];
        value = builder.AddNode("Add", "add", [value, Weight(builder, perChannel)]);
        value = Normalised(builder, value, 8, channelsLast);
        value = builder.AddNode("Mul", "mul", [Weight(builder, perChannel), value]);
        value = builder.AddNode("Sub", "sub", [builder.AddConstant("one", [1f]), value]);
        value = builder.AddNode("Div", "div", [value, builder.AddConstant("two", [2f], 1)]);
        AddOutput(builder, value);

        Same(builder.Graph, FoldBatchNorm.Apply);

        Assert.Single(builder.Graph.Nodes);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    public void A_shift_before_a_convolution_is_folded_only_where_it_does_not_pad(long padding, int nodesLeft)
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 6, 6);
        var shifted = builder.AddNode("Sub", "shift", [x, Weight(builder, 3, 1, 1)]);
        var scaled = builder.AddNode("Mul", "scale", [shifted, Weight(builder, 3, 1, 1)]);
        AddOutput(builder, builder.AddNode("Conv", "conv", [scaled, Weight(builder, 4, 3, 3, 3)], ("pads", Longs(padding, padding, padding, padding))));

        Same(builder.Graph, FoldBatchNorm.Apply);

        Assert.Equal(nodesLeft, builder.Graph.Nodes.Count);
    }

    [Fact]
    public void Weights_that_two_layers_share_are_not_changed_under_the_other()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 6, 6);
        var weights = Weight(builder, 3, 3, 1, 1);
        var first = builder.AddNode("Mul", "scale", [builder.AddNode("Conv", "a", [x, weights]), Weight(builder, 3, 1, 1)]);
        AddOutput(builder, builder.AddNode("Conv", "b", [builder.AddNode("Relu", "relu", [first]), weights]));

        Same(builder.Graph, FoldBatchNorm.Apply);

        Assert.Equal(3, builder.Graph.Nodes.Count);
    }

    [Fact]
    public void A_value_that_someone_else_reads_is_not_folded_away()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 6, 6);
        var conv = builder.AddNode("Conv", "conv", [x, Weight(builder, 3, 3, 1, 1)]);
        AddOutput(builder, builder.AddNode("Add", "add", [conv, builder.AddNode("Mul", "scale", [conv, Weight(builder, 3, 1, 1)])]));

        Same(builder.Graph, FoldBatchNorm.Apply);

        Assert.Equal(3, builder.Graph.Nodes.Count);
    }

    [Fact]
    public void MobileNet_activations_become_one_operator()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 50);
        var relu6 = builder.AddNode("Min", "min",
            [builder.AddNode("Relu", "relu", [builder.AddNode("Add", "plus3", [x, builder.AddConstant("three", [3f])])]), builder.AddConstant("six", [6f])]);
        var gate = builder.AddNode("Mul", "sixth", [relu6, builder.AddConstant("sixth", [1 / 6f])]);
        AddOutput(builder, builder.AddNode("Mul", "swish", [x, gate]));

        Same(builder.Graph, graph =>
        {
            FuseActivations.Apply(graph);
        }, scale: 9);

        Assert.Equal("HardSwish", Assert.Single(builder.Graph.Nodes).Op);
    }

    [Fact]
    public void What_is_called_by_all_of_its_parts_is_called_by_the_first()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("in;put", ElementType.Float32, -1, 50);
        var first = builder.AddNode("Add", "conv/relu;conv/bias", [x, builder.AddConstant("w;conv/relu", [1f])]);
        var second = builder.AddNode("Mul", "conv/relu;other", [first, first]);
        builder.AddOutput(builder.AddNode("Neg", "out;put", [second]), ElementType.Float32, -1, 50);
        var output = builder.Graph.Outputs[0].Name;

        Same(builder.Graph, ShortNames.Apply);

        Assert.Equal((x, output), (builder.Graph.Inputs[0].Name, Assert.Single(builder.Graph.Outputs).Name));
        string[] names = [.. builder.Graph.Nodes.SelectMany(node => node.Inputs.Concat(node.Outputs)).Except([x, output])];
        Assert.DoesNotContain(names, name => name.Contains(';', StringComparison.Ordinal));
        Assert.Equal(3, names.Distinct().Count());
        Assert.Equal(["conv/relu", "conv/relu_2", "out"], builder.Graph.Nodes.Select(node => node.Name));
    }

    [Fact]
    public void ReLU6_becomes_ReLU_to_be_trained_so_and_other_limits_stay()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 50);
        var zero = builder.AddConstant("zero", [0f]);
        var relu6 = builder.AddNode("Clip", "relu6", [x, zero, builder.AddConstant("six", [6f])]);
        AddOutput(builder, builder.AddNode("Clip", "relu1", [relu6, zero, builder.AddConstant("one", [1f])]));

        Assert.Equal(1, FuseActivations.WithoutLimit(builder.Graph));

        Assert.Equal(["Relu", "Clip"], builder.Graph.Nodes.Select(node => node.Op));
        Assert.Equal(["one", "zero"], builder.Graph.Constants.Keys.Order());
    }

    [Theory]
    [InlineData("Conv", "SAME_UPPER", true)]
    [InlineData("Conv", "SAME_LOWER", false)]
    [InlineData("MaxPool", "SAME_UPPER", true)]
    [InlineData("AveragePool", "SAME_UPPER", true)]
    [InlineData("ConvTranspose", "SAME_UPPER", false)]
    [InlineData("ConvTranspose", "SAME_LOWER", true)]
    public void Padding_is_written_out(string op, string autoPad, bool channelsLast)
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, [-1, .. channelsLast ? new[] { 10, 9, 3 } : [3, 10, 9]]);
        string[] inputs = op.StartsWith("Conv", StringComparison.Ordinal) ? [x, Weight(builder, 3, 3, 4, 3)] : [x];
        var value = builder.AddNode(op, "layer", inputs, ("auto_pad", autoPad), ("strides", Longs(2, 2)));
        if (inputs.Length == 1)
        {
            builder.Graph.Nodes[^1].Attributes["kernel_shape"] = Longs(3, 3);
        }

        builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
        AddOutput(builder, value);

        Same(builder.Graph, ExplicitPadding.Apply);

        Assert.False(builder.Graph.Nodes[0].Attributes.ContainsKey("auto_pad"));
    }

    [Theory]
    [InlineData("Conv", true)]
    [InlineData("Conv", false)]
    [InlineData("MaxPool", true)]
    [InlineData("AveragePool", true)]
    public void A_pad_is_folded_into(string op, bool channelsLast)
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, [-1, .. channelsLast ? new[] { 8, 7, 3 } : [3, 8, 7]]);
        var pad = builder.AddNode("Pad", "pad", [builder.AddNode("Relu", "relu", [x]),
            builder.AddInt64Constant("pads", channelsLast ? Longs(0, 1, 0, 0, 0, 1, 1, 0) : Longs(0, 0, 1, 0, 0, 0, 1, 1))]);
        var value = builder.AddNode(op, "layer", op == "Conv" ? [pad, Weight(builder, 4, 3, 3, 3)] : [pad], ("strides", Longs(2, 2)));
        if (op != "Conv")
        {
            builder.Graph.Nodes[^1].Attributes["kernel_shape"] = Longs(3, 3);
        }

        builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
        AddOutput(builder, value);

        Same(builder.Graph, ExplicitPadding.Apply);

        Assert.DoesNotContain(builder.Graph.Nodes, node => node.Op == "Pad");
    }

    [Fact]
    public void A_pad_before_a_maximum_of_negative_numbers_stays()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 8, 7);
        var pad = builder.AddNode("Pad", "pad", [x, builder.AddInt64Constant("pads", 0, 0, 1, 1, 0, 0, 1, 1)]);
        AddOutput(builder, builder.AddNode("MaxPool", "pool", [pad], ("kernel_shape", Longs(3, 3))));

        Same(builder.Graph, ExplicitPadding.Apply);

        Assert.Contains(builder.Graph.Nodes, node => node.Op == "Pad");
    }

    [Fact]
    public void Constants_are_computed_once_and_quantized_weights_stay()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3);
        var sum = builder.AddNode("Add", "sum", [builder.AddConstant("a", [1f]), builder.AddConstant("b", [2f])]);
        var weights = builder.AddNode("DequantizeLinear", "weights",
            [builder.AddConstant("bytes", new Tensor(ElementType.Int8, [3], new byte[] { 1, 2, 3 })), builder.AddConstant("scale", [0.5f])]);
        AddOutput(builder, builder.AddNode("Mul", "mul", [builder.AddNode("Add", "shift", [x, sum]), weights]));

        Same(builder.Graph, graph => FoldConstants.Apply(graph));
        Assert.Equal(["DequantizeLinear", "Add", "Mul"], builder.Graph.Nodes.Select(node => node.Op));

        Same(builder.Graph, graph => FoldConstants.Apply(graph, keepQuantized: false));
        Assert.Equal(["Add", "Mul"], builder.Graph.Nodes.Select(node => node.Op));
    }

    [Fact]
    public void A_zero_point_that_was_left_out_takes_the_name_of_no_other()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 4);
        var (bytes, scale) = (builder.AddConstant("w", Quantized(Numbers.Random(3, 4))), builder.AddConstant("s", [0.5f]));
        var three = builder.AddConstant("s_zero_point", Tensor.FromDoubles(ElementType.Int8, [], [3]));
        var weights = builder.AddNode("Add", "weights",
            [builder.AddNode("DequantizeLinear", "one", [bytes, scale]), builder.AddNode("DequantizeLinear", "other", [bytes, scale, three])]);
        AddOutput(builder, builder.AddNode("Add", "y", [x, weights]));

        Same(builder.Graph, NameZeroPoints.Apply);

        Assert.All(builder.Graph.Nodes.Where(node => node.Op == "DequantizeLinear"), node => Assert.Equal(3, node.Inputs.Count));
    }

    [Fact]
    public void A_model_for_one_picture_takes_many()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, 1, 3, 4, 4);
        var pooled = builder.AddNode("GlobalAveragePool", "pool", [x]);
        var flat = builder.AddNode("Reshape", "flat", [pooled, builder.AddInt64Constant("shape", 1, 3)]);
        builder.AddOutput(builder.AddNode("Softmax", "y", [flat]), ElementType.Float32, 1, 3);

        Same(builder.Graph, FreeBatch.Apply);

        Assert.Equal([-1, 3, 4, 4], builder.Graph.Inputs[0].Shape);
        Assert.Equal([-1, 3], builder.Graph.Outputs[0].Shape);
        using var runner = new OnnxRunner(builder.Graph);
        Assert.Equal([5, 3], runner.Run(new Dictionary<string, Tensor> { ["x"] = Numbers.Random(1, 5, 3, 4, 4) }).Values.Single().Shape);
    }

    [Fact]
    public void A_shape_that_is_computed_at_run_time_becomes_a_constant()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 4, 4);
        var batch = builder.AddNode("Gather", "batch", [builder.AddNode("Shape", "shape", [x]), builder.AddConstant("zero", Tensor.Int64([1], [0]))]);
        var shape = builder.AddNode("Concat", "target", [batch, builder.AddInt64Constant("rest", 12, 4)], ("axis", 0L));
        AddOutput(builder, builder.AddNode("Reshape", "y", [x, shape]));

        Same(builder.Graph, FreeBatch.Apply);

        Assert.Equal("Reshape", Assert.Single(builder.Graph.Nodes).Op);
    }

    [Fact]
    public void A_network_that_fits_one_batch_only_keeps_it()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, 1, 4);
        var shape = builder.AddNode("Concat", "shape", [builder.AddInt64Constant("two", 2), builder.AddInt64Constant("minus", -1)], ("axis", 0L));
        var halves = builder.AddNode("Reshape", "halves", [x, shape]);
        AddOutput(builder, builder.AddNode("ReduceMax", "y", [halves], ("axes", Longs(0))));

        Same(builder.Graph, FreeBatch.Apply);

        Assert.Equal([1, 4], builder.Graph.Inputs[0].Shape);
    }

    [Fact]
    public void What_changes_nothing_is_taken_out()
    {
        var builder = new GraphBuilder("x");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, 4, 4);
        value = builder.AddNode("Relu", "relu", [value]);
        value = builder.AddNode("Identity", "identity", [value]);
        value = builder.AddNode("Reshape", "reshape", [value, builder.AddInt64Constant("shape", -1, 3, 4, 4)]);
        value = builder.AddNode("Transpose", "transpose", [value], ("perm", Longs(0, 1, 2, 3)));
        value = builder.AddNode("Pad", "pad", [value, builder.AddInt64Constant("pads", 0, 0, 0, 0, 0, 0, 0, 0)]);
        value = builder.AddNode("Cast", "cast", [value], ("to", 1L));
        value = builder.AddNode("Mul", "one", [value, builder.AddConstant("one", [1f])]);
        AddOutput(builder, builder.AddNode("Concat", "concat", [value], ("axis", 1L)));

        Same(builder.Graph, RemoveIdentity.Apply);

        Assert.Equal("Relu", Assert.Single(builder.Graph.Nodes).Op);
        Assert.Equal("concat", builder.Graph.Outputs[0].Name);
    }

    [Theory]
    [InlineData("relu6 is explicit", true)]
    [InlineData("relu6 is in the scale", false)]
    public void A_quantized_model_becomes_float_with_its_activations(string where, bool isExplicit)
    {
        var builder = new GraphBuilder(where);
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 6, 6);
        var weights = builder.AddNode("DequantizeLinear", "weights",
            [builder.AddConstant("bytes", Quantized(Numbers.Random(1, 4, 3, 3, 3))), builder.AddConstant("scale", Numbers.Random(2, 0.01f, 0.02f, [4]))],
                ("axis", 0L));
        var conv = builder.AddNode("Conv", "conv", [x, weights]);
        conv = !isExplicit ? conv : builder.AddNode("Clip", "relu6", [conv, builder.AddConstant("least", [0f]), builder.AddConstant("most", [6f])]);
        var scale = builder.AddConstant("scale", [6 / 255f]);
        var zero = builder.AddConstant("zero", new Tensor(ElementType.UInt8, [], new byte[1]));
        var bytes = builder.AddNode("QuantizeLinear", "quantize", [conv, scale, zero]);
        AddOutput(builder, builder.AddNode("GlobalMaxPool", "y", [builder.AddNode("DequantizeLinear", "dequantize", [bytes, scale, zero])]));

        Same(builder.Graph, Dequantize.Apply, tolerance: 6 / 255f);

        Assert.DoesNotContain(builder.Graph.Nodes, node => node.Op.EndsWith("Linear", StringComparison.Ordinal));
        Assert.Single(builder.Graph.Nodes, node => node.Op == "Clip");
    }

    [Theory]
    [InlineData(TensorLayout.Nhwc, 3, ChannelOrder.Rgb)]
    [InlineData(TensorLayout.Nchw, 3, ChannelOrder.Bgr)]
    [InlineData(TensorLayout.Nhwc, 3, ChannelOrder.Bgr)]
    [InlineData(TensorLayout.Nhwc, 1, ChannelOrder.Rgb)]
    [InlineData(TensorLayout.Nchw, 1, ChannelOrder.Rgb)]
    public void Pixels_go_in_as_they_are(TensorLayout layout, int channels, ChannelOrder order)
    {
        var spec = new PreprocessingSpec
        {
            RescaleFactor = 1 / 255d,
            ImageMean = channels == 3 ? [0.485, 0.456, 0.406] : [0.5],
            ImageStd = channels == 3
            ? [0.229, 0.224, 0.225] : [0.25],
            ChannelOrder = order
        };
        var last = layout == TensorLayout.Nhwc;
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, [-1, .. last ? new[] { 8, 7, channels } : [channels, 8, 7]]);
        var conv = builder.AddNode("Conv", "conv", [x, Weight(builder, 4, channels, 3, 3)], ("pads", Longs(1, 1, 1, 1)));
        builder.Graph.Nodes[0].ChannelsLast = last;
        AddOutput(builder, builder.AddNode("Relu", "relu", [conv]));
        var graph = builder.Graph;

        var pixels = new byte[2 * 8 * 7 * 3];
        new Random(5).NextBytes(pixels);
        var expected = new Interpreter(graph).Run(Normalised(pixels, layout, channels, spec)).Values.Single();
        expected = last ? Operators.Permute(expected, [0, 3, 1, 2]) : expected;

        ChannelsFirst.Apply(graph);
        PixelInput.Apply(graph, PictureInput.Of(graph)!, spec);
        FoldBatchNorm.Apply(graph);
        var actual = new Interpreter(graph).Run(new Tensor(ElementType.UInt8, [2, 8, 7, 3], pixels)).Values.Single();
        actual = last ? Operators.Permute(actual, [0, 3, 1, 2]) : actual;

        Assert.Equal(new GraphValue("image", ElementType.UInt8, [-1, 8, 7, 3]).Shape, graph.Inputs[0].Shape);
        Assert.InRange(Numbers.LargestDifference(expected, actual), 0, 1e-4f);
        Assert.DoesNotContain(graph.Nodes, node => node.Op == "Mul");
    }

    [Fact]
    public void A_classifier_answers_with_what_explains_it()
    {
        var graph = Network(channelsLast: false);
        var before = new Interpreter(graph).Run(Numbers.Random(4, 2, 3, 12, 12));

        var description = ClassifierOutputs.Apply(graph);

        Assert.Equal(OutputKind.Probabilities, description.Kind);
        Assert.Equal(["probabilities", "embedding", "features"], graph.Outputs.Select(output => output.Name));
        var after = new Interpreter(graph).Run(Numbers.Random(4, 2, 3, 12, 12));
        Assert.Equal(0, Numbers.LargestDifference(before.Values.Single(), after["probabilities"]));

        // The scores follow from the features by the weights: class activation maps rest on that.
        var features = after["features"].ToFloats();
        var weights = description.ClassifierWeights!.ToFloats();
        var channels = after["features"].Shape[1];
        var area = features.Length / 2 / channels;
        var embedding = after["embedding"].ToFloats();
        Assert.Equal([5, channels], description.ClassifierWeights.Shape);
        Assert.Equal(features.Skip(3 * area).Take(area).Average(), embedding[3], 1e-5f);
        Assert.Equal(5 * channels, weights.Length);
    }

    [Fact]
    public void One_sigmoid_becomes_two_classes()
    {
        var builder = new GraphBuilder("cats and dogs");
        var x = builder.AddInput("x", ElementType.Float32, -1, 4);
        builder.AddOutput(builder.AddNode("Sigmoid", "y", [builder.AddNode("Gemm", "dense", [x, Weight(builder, 4, 1)])]), ElementType.Float32, -1, 1);

        var description = ClassifierOutputs.Apply(builder.Graph);

        Assert.Equal((OutputKind.Probabilities, 2), (description.Kind, description.Classes));
        var answer = new Interpreter(builder.Graph).Run(Numbers.Random(1, 1, 4))["probabilities"].ToFloats();
        Assert.Equal(1, answer.Sum(), 1e-6f);
    }

    [Fact]
    public void Logits_are_called_so_and_get_a_softmax_where_asked()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, -1, 4);
        builder.AddOutput(builder.AddNode("Gemm", "dense", [x, Weight(builder, 4, 3)]), ElementType.Float32, -1, 3);

        Assert.Equal(OutputKind.Logits, ClassifierOutputs.Apply(builder.Graph).Kind);
        Assert.Equal("logits", builder.Graph.Outputs[0].Name);
        Assert.Equal(OutputKind.Probabilities, ClassifierOutputs.Apply(builder.Graph, addSoftmax: true).Kind);
        Assert.Equal("probabilities", builder.Graph.Outputs[0].Name);
    }

    [Fact]
    public void What_answers_no_classes_is_refused()
    {
        var builder = new GraphBuilder("segmentation");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 4, 4);
        builder.AddOutput(builder.AddNode("Conv", "conv", [x, Weight(builder, 2, 3, 1, 1)]), ElementType.Float32, -1, 2, 4, 4);

        Assert.Equal("The output 'conv' has the shape [1, 2, 4, 4]; a classifier answers [N, classes].",
            Assert.Throws<ModelFormatException>(() => ClassifierOutputs.Apply(builder.Graph)).Message);
    }

    /// <summary>A small network with everything that the usual ones have.</summary>
    private static Graph Network(bool channelsLast)
    {
        var builder = new GraphBuilder("network");
        var x = builder.AddInput("x", ElementType.Float32, [-1, .. channelsLast ? new[] { 12, 12, 3 } : [3, 12, 12]]);
        var value = Normalised(builder, Convolution(x, "conv", 8, 3, 3, ("strides", Longs(2, 2)), ("auto_pad", "SAME_UPPER")), 8, channelsLast);
        value = builder.AddNode("Clip", "relu6", [value, builder.AddConstant("zero", [0f]), builder.AddConstant("six", [6f])]);
        var depthwise = builder.AddNode("Relu", "relu", [Convolution(value, "depthwise", 8, 1, 3, ("group", 8L), ("pads", Longs(1, 1, 1, 1)))]);
        value = builder.AddNode("Add", "residual", [value, Convolution(depthwise, "project", 8, 8, 1)]);
        value = builder.AddNode("Concat", "concat", [value, depthwise], ("axis", channelsLast ? 3L : 1L));
        value = builder.AddNode("MaxPool", "pool", [value], ("kernel_shape", Longs(2, 2)), ("strides", Longs(2, 2)));
        builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
        value = builder.AddNode("GlobalAveragePool", "mean", [value]);
        builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
        value = builder.AddNode("Reshape", "flat", [value, builder.AddInt64Constant("flat_shape", -1, 16)]);
        value = builder.AddNode("Gemm", "dense", [value, Weight(builder, 16, 5), Weight(builder, 5)]);
        AddOutput(builder, builder.AddNode("Softmax", "softmax", [value]));
        return builder.Graph;

        string Convolution(string input, string name, int filters, int channels, int kernel, params (string, object)[] attributes)
        {
            var result = builder.AddNode("Conv", name, [input, Weight(builder, filters, channels, kernel, kernel), Weight(builder, filters)], attributes);
            builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
            return result;
        }
    }

    /// <summary>The graph answers the same before and after, for a batch that no constant in it has.</summary>
    private static void Same(Graph graph, Action<Graph> pass, float scale = 1, float tolerance = 1e-5f)
    {
        var input = graph.Inputs[0];
        var tensor = Numbers.Random(11, -scale, scale, [input.Shape[0] < 0 ? 2 : input.Shape[0], .. input.Shape[1..]]);
        var before = new Interpreter(graph).Run(tensor).Values.Single();
        pass(graph);
        var after = new Interpreter(graph).Run(tensor).Values.Single();
        Assert.InRange(Numbers.LargestDifference(before, after), 0, tolerance);
    }

    private static Tensor Normalised(byte[] pixels, TensorLayout layout, int channels, PreprocessingSpec spec)
    {
        var values = new float[2 * 8 * 7 * channels];
        for (var pixel = 0; pixel < 2 * 8 * 7; pixel++)
        {
            for (var channel = 0; channel < channels; channel++)
            {
                var value = channels == 1 ? (0.299 * pixels[pixel * 3]) + (0.587 * pixels[(pixel * 3) + 1]) + (0.114 * pixels[(pixel * 3) + 2])
                    : pixels[(pixel * 3) + (spec.ChannelOrder == ChannelOrder.Bgr ? 2 - channel : channel)];
                values[(pixel * channels) + channel] = (float)(((value * spec.RescaleFactor) - spec.ImageMean[channel]) / spec.ImageStd[channel]);
            }
        }

        var tensor = Tensor.Float32([2, 8, 7, channels], values);
        return layout == TensorLayout.Nhwc ? tensor : Operators.Permute(tensor, [0, 3, 1, 2]);
    }

    private static string Normalised(GraphBuilder builder, string value, int channels, bool channelsLast)
    {
        var result = builder.AddNode("BatchNormalization", "norm",
            [value, Weight(builder, channels), Weight(builder, channels), Weight(builder, channels),
                builder.AddConstant("variance", Numbers.Random(7, 0.1f, 2, [channels]))], ("epsilon", 0.001f));
        builder.Graph.Nodes[^1].ChannelsLast = channelsLast;
        return result;
    }

    private static Tensor Quantized(Tensor tensor) =>
        Tensor.FromDoubles(ElementType.Int8, tensor.Shape, Array.ConvertAll(tensor.ToDoubles(), value => Math.Round(value * 127)));

    private static string Weight(GraphBuilder builder, params int[] shape) =>
        builder.AddConstant("weight", Numbers.Random(builder.Graph.Constants.Count + 10, shape));

    private static long[] Longs(params long[] values) => values;

    private static void AddOutput(GraphBuilder builder, string value)
    {
        builder.AddOutput(value, ElementType.Float32);
        (var type, var shape) = Shapes.Infer(builder.Graph)[value];
        builder.Graph.Outputs[^1] = new GraphValue(value, type, [builder.Graph.Inputs[0].Shape[0], .. shape.Skip(1)]);
    }
}
