using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// The layers, as a table: one small method each, along https://keras.io/api/layers/. What only acts in training (dropout, noise, augmentation)
/// passes its input on.
/// </summary>
internal static class KerasLayers
{
    private static readonly Dictionary<string, Func<LayerCall, KerasTensor>> Table = new(StringComparer.Ordinal)
    {
        // Convolutions and products
        ["Conv2D"] = Conv2D,
        ["Convolution2D"] = Conv2D,
        ["DepthwiseConv2D"] = DepthwiseConv2D,
        ["SeparableConv2D"] = SeparableConv2D,
        ["SeparableConvolution2D"] = SeparableConv2D,
        ["Conv2DTranspose"] = Conv2DTranspose,
        ["Convolution2DTranspose"] = Conv2DTranspose,
        ["Dense"] = Dense,

        // Pooling
        ["MaxPooling2D"] = call => Pool(call, "MaxPool"),
        ["MaxPool2D"] = call => Pool(call, "MaxPool"),
        ["AveragePooling2D"] = call => Pool(call, "AveragePool"),
        ["AvgPool2D"] = call => Pool(call, "AveragePool"),
        ["GlobalAveragePooling2D"] = call => GlobalPool(call, "GlobalAveragePool"),
        ["GlobalAvgPool2D"] = call => GlobalPool(call, "GlobalAveragePool"),
        ["GlobalMaxPooling2D"] = call => GlobalPool(call, "GlobalMaxPool"),
        ["GlobalMaxPool2D"] = call => GlobalPool(call, "GlobalMaxPool"),

        // Normalisation and scaling
        ["BatchNormalization"] = BatchNormalization,
        ["BatchNormalizationV1"] = BatchNormalization,
        ["BatchNormalizationV2"] = BatchNormalization,
        ["SyncBatchNormalization"] = BatchNormalization,
        ["LayerNormalization"] = LayerNormalization,
        ["Rescaling"] = Rescaling,
        ["Normalization"] = Normalization,
        ["LayerScale"] = LayerScale,
        ["CustomScaleLayer"] = call => ScaledSum(call, call.Config.Number("scale")),
        ["GroupNormalization"] = KerasNormalizations.Group,
        ["UnitNormalization"] = KerasNormalizations.Unit,
        ["MultiHeadAttention"] = KerasAttention.Convert,
        ["Lambda"] = Lambda,

        // Activations
        ["Activation"] = call => KerasActivations.Apply(call, call.Input),
        ["ReLU"] = Relu,
        ["LeakyReLU"] = LeakyRelu,
        ["PReLU"] = ParametricRelu,
        ["ELU"] = Elu,
        ["Softmax"] = Softmax,
        ["ThresholdedReLU"] = ThresholdedRelu,

        // Places and shapes
        ["ZeroPadding2D"] = ZeroPadding2D,
        ["Cropping2D"] = Cropping2D,
        ["CenterCrop"] = CenterCrop,
        ["Resizing"] = Resizing,
        ["RandomCrop"] = RandomCrop,
        ["UpSampling2D"] = UpSampling2D,
        ["Flatten"] = Flatten,
        ["Reshape"] = Reshape,
        ["Permute"] = Permute,
        ["RepeatVector"] = RepeatVector,
        ["CastToFloat32"] = call => call.Input, // AutoKeras': the graph computes with floats anyway
        ["ExpandLastDim"] = call => call.Add("Unsqueeze", [call.Input.Value, call.Ints(call.Input.Rank)], [.. call.Input.Shape, 1]),

        // Several inputs
        ["Add"] = call => Merge(call, "Add"),
        ["Subtract"] = Subtract,
        ["Multiply"] = call => Merge(call, "Mul"),
        ["Maximum"] = call => Merge(call, "Max"),
        ["Minimum"] = call => Merge(call, "Min"),
        ["Average"] = Average,
        ["Concatenate"] = Concatenate,
    };

    private static readonly HashSet<string> TrainingOnly = new(StringComparer.Ordinal)
    {
        "Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization",
            "StochasticDepth", "FixedDropout",
        "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomShear", "RandomPerspective", "RandomElasticTransform",
            "RandomContrast", "RandomBrightness",
        "RandomHue", "RandomSaturation", "RandomSharpness", "RandomColorJitter", "RandomColorDegeneration", "RandomGrayscale", "RandomInvert",
            "RandomPosterization",
        "RandomGaussianBlur", "RandomErasing", "RandomHeight", "RandomWidth", "Solarization", "AugMix", "RandAugment", "MixUp", "CutMix",
    };

    /// <summary>The method of a layer; <see langword="null"/> where it is not supported.</summary>
    public static Func<LayerCall, KerasTensor>? Find(KerasConfig layer) =>
        Table.TryGetValue(layer.ClassName, out var method) ? method
        : TrainingOnly.Contains(layer.ClassName) || layer.ClassName is "InputLayer" ? call => call.Input
        : null;

    /// <summary>The method of a layer that is used as an activation.</summary>
    public static Func<LayerCall, KerasTensor>? FindActivation(KerasConfig layer) =>
        layer.ClassName is "ReLU" or "LeakyReLU" or "ELU" or "Softmax" or "ThresholdedReLU" or "Activation" ? Table[layer.ClassName] : null;

    private static KerasTensor Conv2D(LayerCall call)
    {
        (var _, var channelAxis) = call.ImageAxes;
        var channels = call.Image.Shape[channelAxis];
        var groups = call.Config.Integer("groups", 1);
        var filters = call.Config.Integer("filters");
        var kernel = call.Config.Pair("kernel_size");
        if (groups < 1 || filters < 1 || filters % groups != 0 || (channels >= 0 && channels % groups != 0))
        {
            throw call.Config.Refuse($"has {Counted.Of(filters, "filter")} in {Counted.Of(groups, "group")} over {Counted.Of(channels, "channel")}");
        }

        // H W I O to O I H W
        var weights = call.Constant("kernel", () => LayerCall.SidesLast(call.Kernel(kernel, channels < 0 ? -1 : channels / groups, filters)));
        return KerasActivations.Apply(call, Convolve(call, call.Image, weights, kernel, call.Config.Pair("strides", 1), call.Config.Pair("dilation_rate", 1),
            groups, filters, Bias(call, 1, filters)));
    }

    private static KerasTensor DepthwiseConv2D(LayerCall call)
    {
        var kernel = call.Config.Pair("kernel_size");
        (var weights, var channels, var filters) = DepthwiseKernel(call, kernel);
        return KerasActivations.Apply(call, Convolve(call, call.Image, weights, kernel, call.Config.Pair("strides", 1), call.Config.Pair("dilation_rate", 1),
            channels, filters, Bias(call, 1, filters)));
    }

    private static KerasTensor SeparableConv2D(LayerCall call)
    {
        var kernel = call.Config.Pair("kernel_size");
        var filters = call.Config.Integer("filters");
        (var depthwise, var channels, var between) = DepthwiseKernel(call, kernel);
        var x = Convolve(call, call.Image, depthwise, kernel, call.Config.Pair("strides", 1), call.Config.Pair("dilation_rate", 1), channels,
            between, bias: null);
        var pointwise = call.Constant("pointwise_kernel", () => LayerCall.SidesLast(call.Weight("pointwise_kernel", 1, 1, 1, between, filters)));
        return KerasActivations.Apply(call, Convolve(call, x, pointwise, [1, 1], [1, 1], [1, 1], 1, filters, Bias(call, 2, filters)));
    }

    // H W C M to (C M) 1 H W, one group for each channel.
    private static (string Weights, int Channels, int Filters) DepthwiseKernel(LayerCall call, int[] kernel)
    {
        var channels = call.Image.Shape[call.ImageAxes.Channels];
        var multiplier = call.Config.Integer("depth_multiplier", 1);
        if (channels < 0 || multiplier < 1)
        {
            throw call.Config.Refuse($"multiplies {Counted.Of(channels, "channel")} by {multiplier}");
        }

        var filters = checked(channels * multiplier);
        // Keras 3 calls the kernel of a DepthwiseConv2D just that.
        var name = call.Conversion.Keras3 && call.Config.ClassName == "DepthwiseConv2D" ? "kernel" : "depthwise_kernel";
        var weights = call.Constant(
            "depthwise_kernel",
            () => LayerCall.SidesLast(call.Weight(name, 0, kernel[0], kernel[1], channels, multiplier),
                keepOrder: true) with
            { Shape = [filters, 1, kernel[0], kernel[1]] });
        return (weights, channels, filters);
    }

    private static string? Bias(LayerCall call, int index, int filters) => call.Config.Flag("use_bias", true)
        ? call.Constant("bias", () => call.Weight("bias", index, filters)) : null;

    private static KerasTensor Convolve(LayerCall call, KerasTensor x, string weights, int[] kernel, int[] strides, int[] dilations, int groups,
        int filters, string? bias)
    {
        (var window, var height, var width) = Window(call, x, kernel, strides, dilations);
        return call.AddSpatial("Conv", bias is null ? [x.Value, weights]
            : [x.Value, weights, bias], call.ImageShape(height, width, filters), [.. window, ("dilations", Longs(dilations)), ("group", (long)groups)]);
    }

    // Kernel, strides and padding, and the sides that come out. Where the sides are known, TensorFlow's SAME is written out (it adds the odd
    // pixel at the end, as SAME_UPPER does).
    private static ((string, object)[] Attributes, int Height, int Width) Window(LayerCall call, KerasTensor x, int[] kernel, int[] strides, int[] dilations)
    {
        var padding = call.Config.Text("padding")?.ToLowerInvariant() ?? "valid";
        if (padding is not ("same" or "valid"))
        {
            throw call.Config.Refuse($"has the padding '{padding}', which is not supported");
        }

        var first = call.ImageAxes.Height;
        Span<int> sides = [x.Shape[first], x.Shape[first + 1]];
        var pads = new long[4];
        for (var axis = 0; axis < 2; axis++)
        {
            var reach = checked(((kernel[axis] - 1) * dilations[axis]) + 1);
            var side = sides[axis];
            if (side < 0)
            {
                continue;
            }

            sides[axis] = padding == "same" ? ((side - 1) / strides[axis]) + 1 : ((side - reach) / strides[axis]) + 1;
            if (padding == "same")
            {
                var total = Math.Max(0, checked(((sides[axis] - 1) * strides[axis]) + reach) - side);
                pads[axis] = total / 2;
                pads[axis + 2] = total - (total / 2);
            }
            else if (side < reach)
            {
                throw call.Config.Refuse($"reaches over {reach} pixels of an input of {x}");
            }
        }

        (string, object)[] shared = [("kernel_shape", Longs(kernel)), ("strides", Longs(strides))];
        var known = x.Shape[first] >= 0 && x.Shape[first + 1] >= 0;
        return (padding == "valid" ? shared : [.. shared, known ? ("pads", pads) : ("auto_pad", "SAME_UPPER")], sides[0], sides[1]);
    }

    private static KerasTensor Conv2DTranspose(LayerCall call)
    {
        (var first, var channelAxis) = call.ImageAxes;
        var x = call.Image;
        var filters = call.Config.Integer("filters");
        var kernel = call.Config.Pair("kernel_size");
        var strides = call.Config.Pair("strides", 1);
        var dilations = call.Config.Pair("dilation_rate", 1);
        var outputPadding = call.Config.Integers("output_padding");
        var same = call.Config.Text("padding") switch
        {
            "same" => true,
            null or "valid" => false,
            var other => throw call.Config.Refuse($"has the padding '{other}', which is not supported")
        };
        if (call.Config.Integer("groups", 1) != 1)
        {
            throw call.Config.Refuse("has groups, which are not supported");
        }

        // Keras fixes the side that comes out (keras/src/backend/common/backend_utils.py), and TensorFlow pads as the convolution that would lead
        // back from it; ONNX asks for the pads, and for what the last window leaves open.
        var pads = new long[4];
        var open = new long[2];
        Span<int> sides = [x.Shape[first], x.Shape[first + 1]];
        for (var axis = 0; axis < 2; axis++)
        {
            var reach = checked(((kernel[axis] - 1) * dilations[axis]) + 1);
            int? extra = outputPadding is null ? null : outputPadding.Length == 1 ? outputPadding[0] : outputPadding[axis];
            // What comes out beyond (side - 1) × stride.
            var beyond = (extra, same) switch
            {
                (null, true) => strides[axis],
                (null, false) => strides[axis] + Math.Max(reach - strides[axis], 0),
                ({ } more, true) => reach - (2 * (reach / 2)) + more,
                ({ } more, false) => reach + more,
            };
            var total = same ? Math.Max(0, reach - beyond) : 0;
            pads[axis] = total / 2;
            pads[axis + 2] = total - (total / 2);
            open[axis] = beyond - reach + total;
            sides[axis] = sides[axis] < 0 ? -1 : checked(((sides[axis] - 1) * strides[axis]) + beyond);
            if (sides[axis] == 0 || open[axis] >= Math.Max(strides[axis], dilations[axis]))
            {
                throw call.Config.Refuse("has an output_padding that is not supported");
            }
        }

        // H W O I to I O H W
        var channels = x.Shape[channelAxis];
        var weights = call.Constant("kernel", () => LayerCall.SidesLast(call.Kernel(kernel, filters, channels)));
        var bias = Bias(call, 1, filters);
        return KerasActivations.Apply(call, call.AddSpatial(
            "ConvTranspose",
            bias is null ? [x.Value, weights] : [x.Value, weights, bias],
            call.ImageShape(sides[0], sides[1], filters),
            ("kernel_shape", Longs(kernel)), ("strides", Longs(strides)), ("dilations", Longs(dilations)), ("pads", pads), ("output_padding", open)));
    }

    private static KerasTensor Dense(LayerCall call)
    {
        var x = call.Input;
        var units = call.Config.Integer("units");
        int[] shape = [.. x.Shape[..^1], units];
        var weights = call.Constant("kernel", () => call.Weight("kernel", 0, x.Shape[^1], units));
        var bias = Bias(call, 1, units);
        return KerasActivations.Apply(call, x.Rank == 2
            ? call.Add("Gemm", bias is null ? [x.Value, weights] : [x.Value, weights, bias], shape)
            : call.Add("MatMul", [x.Value, weights], shape) is var product && bias is null ? product : call.Map("Add", product, bias));
    }

    private static KerasTensor Pool(LayerCall call, string op)
    {
        var kernel = call.Config.Pair("pool_size", 2);
        var strides = call.Config["strides"] is null ? kernel : call.Config.Pair("strides");
        (var window, var height, var width) = Window(call, call.Image, kernel, strides, [1, 1]);
        // ONNX leaves padding out of averages by default, as TensorFlow does.
        return call.AddSpatial(op, [call.Image.Value], call.ImageShape(height, width, call.Image.Shape[call.ImageAxes.Channels]), window);
    }

    private static KerasTensor GlobalPool(LayerCall call, string op)
    {
        var channels = call.Image.Shape[call.ImageAxes.Channels];
        var pooled = call.AddSpatial(op, [call.Image.Value], call.ImageShape(1, 1, channels));
        return call.Config.Flag("keepdims", false) ? pooled : call.Add("Flatten", [pooled.Value], [pooled.Shape[0], channels], ("axis", 1L));
    }

    private static KerasTensor BatchNormalization(LayerCall call)
    {
        var x = call.Input;
        var axis = call.Axis(call.Config.Integers("axis") switch
        {
            null => -1,
            [var one] => one,
            _ => throw call.Config.Refuse("has several axes, which is not supported")
        }, x.Rank);
        var channels = x.Shape[axis];
        var scale = call.Config.Flag("scale", true);
        var center = call.Config.Flag("center", true);
        var epsilon = call.Config.Number("epsilon", 1e-3);
        return call.Affine(x, axis, () =>
        {
            var index = 0;
            var gamma = scale ? LayerCall.Doubles(call.Weight("gamma", index++, channels)) : null;
            var beta = center ? LayerCall.Doubles(call.Weight("beta", index++, channels)) : null;
            var mean = LayerCall.Doubles(call.Weight("moving_mean", index, channels));
            var variance = LayerCall.Doubles(call.Weight("moving_variance", index + 1, channels));
            if (mean.Length != variance.Length || (gamma ?? mean).Length != mean.Length || (beta ?? mean).Length != mean.Length)
            {
                throw call.Config.Refuse("has weights of different lengths");
            }

            call.Conversion.Builder.Graph.Statistics[x.Value] = (mean, variance);
            double[] factor = [.. variance.Select((value, channel) => (gamma?[channel] ?? 1) / Math.Sqrt(value + epsilon))];
            return (factor, [.. factor.Select((value, channel) => (beta?[channel] ?? 0) - (mean[channel] * value))]);
        });
    }

    private static KerasTensor LayerNormalization(LayerCall call)
    {
        var x = call.Input;
        var axis = call.Axis(call.Config.Integers("axis") switch
        {
            null => -1,
            [var one] => one,
            _ => throw call.Config.Refuse("has several axes, which is not supported")
        }, x.Rank);
        var channels = x.Shape[^1];
        if (axis != x.Rank - 1 || channels < 0 || call.Config.Flag("rms_scaling", false))
        {
            throw call.Config.Refuse("normalises something other than the last axis, which is not supported");
        }

        var scale = call.Config.Flag("scale", true);
        var gamma = call.Constant("gamma", () => scale ? call.Weight("gamma", 0, channels) : Tensor.Float32([channels], [.. Enumerable.Repeat(1f, channels)]));
        List<string> inputs = [x.Value, gamma];
        if (call.Config.Flag("center", true))
        {
            inputs.Add(call.Constant("beta", () => call.Weight("beta", scale ? 1 : 0, channels)));
        }

        return call.Add("LayerNormalization", inputs, x.Shape, ("axis", -1L), ("epsilon", (float)call.Config.Number("epsilon", 1e-3)));
    }

    private static KerasTensor Rescaling(LayerCall call)
    {
        var scale = call.Config.Numbers("scale") ?? throw call.Config.Refuse("has no scale");
        var offset = call.Config.Numbers("offset") ?? [0];
        return ScaleLastAxis(call, scale, offset);
    }

    private static KerasTensor Normalization(LayerCall call)
    {
        var mean = call.Config.Numbers("mean") ?? Adapted("mean", 0);
        var variance = call.Config.Numbers("variance") ?? Adapted("variance", 1);
        if (call.Config.Integers("axis") is [var axis] && call.Axis(axis, call.Input.Rank) != call.Input.Rank - 1)
        {
            throw call.Config.Refuse("normalises something other than the last axis, which is not supported");
        }

        // Keras: (x - mean) / max(√variance, 1e-7), or the inverse.
        var count = Math.Max(mean.Length, variance.Length);
        if ((mean.Length != count && mean.Length != 1) || (variance.Length != count && variance.Length != 1) || count == 0)
        {
            throw call.Config.Refuse($"has {Counted.Of(mean.Length, "mean")} and {Counted.Of(variance.Length, "variance")}");
        }

        double[] means = [.. Enumerable.Range(0, count).Select(channel => mean[mean.Length == 1 ? 0 : channel])];
        double[] deviations = [.. Enumerable.Range(0, count).Select(channel => Math.Max(Math.Sqrt(variance[variance.Length == 1 ? 0 : channel]), 1e-7))];
        return call.Config.Flag("invert", false)
            ? ScaleLastAxis(call, deviations, means)
            : ScaleLastAxis(call, [.. deviations.Select(deviation => 1 / deviation)], [.. means.Zip(deviations, (value, deviation) => -value / deviation)]);

        double[] Adapted(string name, int index)
        {
            var channels = call.Input.Shape[^1];
            return call.Config.Integers("axis") is { Length: 0 } ? LayerCall.Doubles(call.Weight(name, index))
                : LayerCall.Doubles(call.Weight(name, index, channels));
        }
    }

    private static KerasTensor ScaleLastAxis(LayerCall call, double[] scale, double[] offset)
    {
        var x = call.Input;
        if ((scale.Length != 1 && scale.Length != x.Shape[^1]) || (offset.Length != 1 && offset.Length != x.Shape[^1]))
        {
            throw call.Config.Refuse($"has {Counted.Of(scale.Length, "factor")} and {Counted.Of(offset.Length, "offset")} for an input of {x}");
        }

        call.Conversion.SeeScaling(x, scale[0], offset[0], call.Config.Name);
        var scaled = call.Map("Mul", x, call.Constant("scale", () => LayerCall.Along(x.Rank - 1, x.Rank, scale)));
        return Array.TrueForAll(offset, value => value == 0) ? scaled
            : call.Map("Add", scaled, call.Constant("offset", () => LayerCall.Along(x.Rank - 1, x.Rank, offset)));
    }

    // ConvNeXt's own layer: one factor for each channel.
    private static KerasTensor LayerScale(LayerCall call) =>
        call.Map("Mul", call.Input, call.Constant("gamma", () => call.Weight("gamma", 0, call.Input.Shape[^1])));

    // InceptionResNetV2's own layer: the shortcut plus the scaled residual.
    private static KerasTensor ScaledSum(LayerCall call, double scale) =>
        call.Inputs is [var shortcut, var residual] && shortcut.Rank == residual.Rank
            ? call.Add("Add", [shortcut.Value, call.Map("Mul", residual, call.Scalar(scale)).Value], Broadcast(call, shortcut, residual))
            : throw call.Config.Refuse($"is called with {Counted.Of(call.Inputs.Count, "input")} where it takes a shortcut and a residual");

    // A Lambda holds compiled Python, which nothing but Python can read. Somebody may say what it computes; the one that keras.applications used is known
    // by its argument.
    private static KerasTensor Lambda(LayerCall call)
    {
        if (call.Conversion.Lambda(call.Config.Name) is { } said)
        {
            (var times, var plus) = LinearExpression.Parse(said);
            var x = call.Input;
            call.Conversion.SeeScaling(x, times, plus, call.Config.Name);
            x = times == 1 ? x : call.Map("Mul", x, call.Scalar(times));
            return plus == 0 ? x : call.Map("Add", x, call.Scalar(plus));
        }

        if (call.Inputs.Count != 2 || call.Config["arguments"] is not { } arguments || KerasConfig.Property(arguments, "scale") is not { } scale
            || KerasConfig.Numbers(scale) is not [var factor])
        {
            throw call.Config.Refuse($"holds Python code, which cannot be imported; if it only scales, say how: --lambda {call.Config.Name}=x/255");
        }

        const string Note = "Layers 'Lambda' with an argument 'scale' are taken for InceptionResNetV2's: the first input plus so many times the second.";
        if (!call.Conversion.Notes.Contains(Note))
        {
            call.Conversion.Notes.Add(Note);
        }

        return ScaledSum(call, factor);
    }

    // max_value for x ≥ max_value, x for threshold ≤ x < max_value, negative_slope × (x - threshold) below.
    private static KerasTensor Relu(LayerCall call)
    {
        var x = call.Input;
        var slope = call.Config.Number("negative_slope", call.Config.Numbers("alpha") is [var alpha] ? alpha : 0);
        var threshold = call.Config.Number("threshold", 0);
        double? most = call.Config["max_value"] is null ? null : call.Config.Number("max_value");
        if (threshold != 0)
        {
            var passes = call.Map("GreaterOrEqual", x, call.Scalar(threshold));
            var below = call.Map("Mul", call.Map("Sub", x, call.Scalar(threshold)), call.Scalar(slope));
            x = call.Add("Where", [passes.Value, x.Value, below.Value], x.Shape);
        }
        else if (slope != 0)
        {
            x = call.Map("LeakyRelu", x, ("alpha", (float)slope));
        }
        else
        {
            return most is { } limit ? KerasActivations.Clip(call, x, 0, limit) : call.Map("Relu", x);
        }

        return most is { } top ? call.Map("Min", x, call.Scalar(top)) : x;
    }

    // Keras 2 calls the slope alpha, Keras 3 negative_slope.
    private static KerasTensor LeakyRelu(LayerCall call) =>
        call.Map("LeakyRelu", call.Input, ("alpha", (float)(call.Config.Numbers("negative_slope") ?? call.Config.Numbers("alpha") ?? [0.3])[0]));

    private static KerasTensor ParametricRelu(LayerCall call)
    {
        var x = call.Input;
        var shape = x.Shape[1..];
        foreach (var axis in call.Config.Integers("shared_axes") ?? [])
        {
            shape[call.Axis(axis, x.Rank) - 1 is >= 0 and var shared ? shared : throw call.Config.Refuse("shares its slopes over the batch")] = 1;
        }

        return call.Map("PRelu", x, call.Constant("alpha", () => call.Weight("alpha", 0, shape)));
    }

    private static KerasTensor Elu(LayerCall call) => call.Map("Elu", call.Input, ("alpha", (float)(call.Config.Numbers("alpha") ?? [1])[0]));

    private static KerasTensor ThresholdedRelu(LayerCall call) =>
        call.Map("ThresholdedRelu", call.Input, ("alpha", (float)(call.Config.Numbers("theta") ?? [1])[0]));

    private static KerasTensor Softmax(LayerCall call) =>
        KerasActivations.Softmax(call, call.Input,
            call.Config.Integers("axis") switch { null => -1, [var one] => one, _ => throw call.Config.Refuse("has several axes, which is not supported") });

    private static KerasTensor ZeroPadding2D(LayerCall call)
    {
        var sides = Margins(call, "padding");
        var x = call.Image;
        var first = call.ImageAxes.Height;
        var pads = new long[8];
        int[] shape = [.. x.Shape];
        for (var axis = 0; axis < 2; axis++)
        {
            pads[first + axis] = sides[2 * axis];
            pads[4 + first + axis] = sides[(2 * axis) + 1];
            shape[first + axis] = shape[first + axis] < 0 ? -1 : checked(shape[first + axis] + sides[2 * axis] + sides[(2 * axis) + 1]);
        }

        return call.Add("Pad", [x.Value, call.Ints(pads)], shape, ("mode", "constant"));
    }

    private static KerasTensor Cropping2D(LayerCall call) => Crop(call, call.Image, Margins(call, "cropping"));

    // p, [height, width] or [[top, bottom], [left, right]]
    private static int[] Margins(LayerCall call, string key)
    {
        var margins = call.Config.Numbers(key) is { } numbers ? Array.ConvertAll(numbers, number => checked((int)number)) : null;
        margins = margins switch
        {
            null => [1, 1, 1, 1],
            [var all] => [all, all, all, all],
            [var vertical, var horizontal] => [vertical, vertical, horizontal, horizontal],
            _ => margins,
        };
        return margins.Length == 4 && Array.TrueForAll(margins, margin => margin is >= 0 and < 1 << 20) ? margins
            : throw call.Config.Refuse($"has a '{key}' that is not supported");
    }

    private static KerasTensor Crop(LayerCall call, KerasTensor x, int[] margins)
    {
        call.Conversion.KeepRaw(x);
        var first = call.ImageAxes.Height;
        int[] shape = [.. x.Shape];
        for (var axis = 0; axis < 2; axis++)
        {
            var side = shape[first + axis];
            shape[first + axis] = side < 0 ? -1 : side - margins[2 * axis] - margins[(2 * axis) + 1];
            if (side >= 0 && shape[first + axis] <= 0)
            {
                throw call.Config.Refuse($"cuts away all of an input of {x}");
            }
        }

        // An end of 0 would mean the beginning; the end of what is left open is as far as it goes.
        return call.Add(
            "Slice",
            [
                x.Value, call.Ints(margins[0], margins[2]), call.Ints(margins[1] == 0 ? long.MaxValue : -margins[1], margins[3] == 0
                    ? long.MaxValue : -margins[3]),
                call.Ints(first, first + 1),
            ],
            shape);
    }

    private static KerasTensor CenterCrop(LayerCall call)
    {
        var x = call.Image;
        var first = call.ImageAxes.Height;
        var bottom = x.Shape[first] - call.Config.Integer("height");
        var right = x.Shape[first + 1] - call.Config.Integer("width");
        return x.Shape[first] < 0 || x.Shape[first + 1] < 0 || bottom < 0 || right < 0
            ? throw call.Config.Refuse($"cuts more out of an input of {x} than there is, which is not supported")
            : (bottom, right) is (0, 0) ? x : Crop(call, x, [bottom / 2, bottom - (bottom / 2), right / 2, right - (right / 2)]);
    }

    private static KerasTensor Resizing(LayerCall call)
    {
        var x = call.Image;
        var height = call.Config.Integer("height");
        var width = call.Config.Integer("width");
        if (call.Config.Flag("pad_to_aspect_ratio", false) || call.Config.Flag("antialias", false))
        {
            throw call.Config.Refuse("pads or antialiases, which is not supported");
        }

        return ResizeTo(call, call.Config.Flag("crop_to_aspect_ratio", false) ? CropToAspect(call, x, height, width) : x, height, width);
    }

    // In training a random part of the picture; otherwise the largest part of its middle that has the wanted sides' ratio, resized
    // (keras/src/layers/preprocessing/image_preprocessing/random_crop.py).
    private static KerasTensor RandomCrop(LayerCall call)
    {
        var height = call.Config.Integer("height");
        var width = call.Config.Integer("width");
        return ResizeTo(call, CropToAspect(call, call.Image, height, width), height, width);
    }

    // smart_resize of keras/src/utils/image_utils.py, with its roundings.
    private static KerasTensor CropToAspect(LayerCall call, KerasTensor x, int height, int width)
    {
        var first = call.ImageAxes.Height;
        (var rows, var columns) = (x.Shape[first], x.Shape[first + 1]);
        if (rows < 1 || columns < 1 || height < 1 || width < 1)
        {
            throw call.Config.Refuse($"crops an input of {x} to {height} × {width}, which is not supported");
        }

        var keptRows = Math.Clamp((int)((float)((long)columns * height) / width), 1, rows);
        var keptColumns = Math.Clamp((int)((float)((long)rows * width) / height), 1, columns);
        (var top, var left) = ((rows - keptRows) / 2, (columns - keptColumns) / 2);
        return (keptRows, keptColumns) == (rows, columns) ? x : Crop(call, x, [top, rows - keptRows - top, left, columns - keptColumns - left]);
    }

    private static KerasTensor ResizeTo(LayerCall call, KerasTensor x, int height, int width)
    {
        var first = call.ImageAxes.Height;
        if (x.Shape[first] == height && x.Shape[first + 1] == width)
        {
            return x;
        }

        var shape = call.ImageShape(height, width, x.Shape[call.ImageAxes.Channels]);
        if (x.Shape.AsSpan(1).Contains(-1) || height < 1 || width < 1)
        {
            throw call.Config.Refuse($"resizes an input of {x}, whose sides are not fixed, which is not supported");
        }

        // Scales, not sizes: the batch is free.
        call.Conversion.KeepRaw(x);
        return Resize(call, x, [.. x.Shape.Zip(shape, (from, to) => from < 0 ? 1 : Scale(from, to))], shape, "round_prefer_ceil");

        // Rounded so that the side times the scale is not a hair less than what must come out: it is cut off.
        static float Scale(int from, int to) => (int)((float)to / from * from) == to ? (float)to / from : MathF.BitIncrement((float)to / from);
    }

    private static KerasTensor UpSampling2D(LayerCall call)
    {
        var x = call.Image;
        var size = call.Config.Pair("size", 2);
        var first = call.ImageAxes.Height;
        int[] shape = [.. x.Shape];
        float[] scales = [1, 1, 1, 1];
        for (var axis = 0; axis < 2; axis++)
        {
            scales[first + axis] = size[axis];
            shape[first + axis] = shape[first + axis] < 0 ? -1 : checked(shape[first + axis] * size[axis]);
        }

        return Resize(call, x, scales, shape, "floor");
    }

    // TensorFlow 2 resizes by half pixels and without antialiasing.
    private static KerasTensor Resize(LayerCall call, KerasTensor x, float[] scales, int[] shape, string nearest)
    {
        var scale = call.Constant("scales", () => Tensor.Float32([4], scales));
        return (call.Config.Text("interpolation") ?? (call.Config.ClassName == "UpSampling2D" ? "nearest" : "bilinear")) switch
        {
            // Whole factors repeat each pixel.
            "nearest" when nearest == "floor" => call.AddSpatial("Resize", [x.Value, "", scale], shape, ("mode", "nearest"),
                ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")),
            "nearest" => call.AddSpatial("Resize", [x.Value, "", scale], shape, ("mode", "nearest"), ("coordinate_transformation_mode", "half_pixel"),
                ("nearest_mode", nearest)),
            // UpSampling2D of TensorFlow.js: image.resizeBilinear(x, size) with alignCorners and halfPixelCenters left at false.
            // https://github.com/tensorflow/tfjs/blob/master/tfjs-layers/src/layers/convolutional.ts
            "bilinear" => call.AddSpatial("Resize", [x.Value, "", scale], shape, ("mode", "linear"),
                ("coordinate_transformation_mode", call.Conversion.TensorFlowJs ? "asymmetric" : "half_pixel")),
            var other => throw call.Config.Refuse($"has the interpolation '{other}', which is not supported"),
        };
    }

    private static KerasTensor Flatten(LayerCall call)
    {
        var x = call.Input;
        if (call.ChannelsFirst && x.Rank > 2)
        {
            // Keras flattens in the order of channels last, whatever came in.
            int[] order = [0, .. Enumerable.Range(2, x.Rank - 2), 1];
            x = call.Add("Transpose", [x.Value], [.. order.Select(axis => call.Input.Shape[axis])], ("perm", Longs(order)));
        }

        return call.Add("Flatten", [x.Value], [x.Shape[0], Product(x.Shape.AsSpan(1))], ("axis", 1L));
    }

    private static KerasTensor Reshape(LayerCall call)
    {
        var target = call.Config.Integers("target_shape") ?? throw call.Config.Refuse("has no target_shape");
        return ReshapeTo(call, call.Input, target);
    }

    /// <summary>Reshapes all but the batch; one side may be -1.</summary>
    public static KerasTensor ReshapeTo(LayerCall call, KerasTensor x, int[] target)
    {
        var elements = Product(x.Shape.AsSpan(1));
        var open = Array.IndexOf(target, -1);
        var known = Product([.. target.Where(side => side != -1)]);
        if (target.Any(side => side is < -1 or 0) || Array.LastIndexOf(target, -1) != open
            || (elements >= 0 && (open < 0 ? known != elements : elements % known != 0)))
        {
            throw call.Config.Refuse($"reshapes {x} to [{string.Join(", ", target)}]");
        }

        int[] shape = [x.Shape[0], .. target];
        if (open >= 0)
        {
            shape[open + 1] = elements < 0 ? -1 : elements / known;
        }

        // The batch is what is left over, or, where a side is left over, copied (0).
        var fixedSides = !shape.AsSpan(1).Contains(-1);
        return call.Add("Reshape", [x.Value, call.Ints([fixedSides ? -1 : 0, .. shape.Skip(1).Select(side => (long)side)])], shape);
    }

    private static KerasTensor Permute(LayerCall call)
    {
        var x = call.Input;
        var dims = call.Config.Integers("dims") ?? throw call.Config.Refuse("has no dims");
        int[] order = [0, .. dims];
        if (!order.Order().SequenceEqual(Enumerable.Range(0, x.Rank)))
        {
            throw call.Config.Refuse($"permutes {x} to ({string.Join(", ", dims)})");
        }

        return call.Add("Transpose", [x.Value], [.. order.Select(axis => x.Shape[axis])], ("perm", Longs(order)));
    }

    private static KerasTensor RepeatVector(LayerCall call)
    {
        var x = call.Input;
        var count = call.Config.Integer("n");
        if (x.Rank != 2 || count < 1)
        {
            throw call.Config.Refuse($"repeats {x} {Counted.Of(count, "time")}");
        }

        var row = call.Add("Unsqueeze", [x.Value, call.Ints(1)], [x.Shape[0], 1, x.Shape[1]]);
        return call.Add("Tile", [row.Value, call.Ints(1, count, 1)], [x.Shape[0], count, x.Shape[1]]);
    }

    private static KerasTensor Merge(LayerCall call, string op) =>
        Aligned(call).Aggregate((sum, x) => call.Add(op, [sum.Value, x.Value], Broadcast(call, sum, x)));

    private static KerasTensor Subtract(LayerCall call) => call.Inputs.Count == 2 ? Merge(call, "Sub")
        : throw call.Config.Refuse($"is called with {Counted.Of(call.Inputs.Count, "input")} where it takes two");

    private static KerasTensor Average(LayerCall call) => call.Map("Mul", Merge(call, "Add"), call.Scalar(1.0 / call.Inputs.Count));

    // Inputs of fewer axes get ones behind the batch (keras/src/layers/merging/base_merge.py).
    private static IEnumerable<KerasTensor> Aligned(LayerCall call)
    {
        var rank = call.Inputs.Max(input => input.Rank);
        return call.Inputs.Select(input => input.Rank == rank ? input : call.Add(
            "Unsqueeze",
            [input.Value, call.Ints([.. Enumerable.Range(1, rank - input.Rank).Select(axis => (long)axis)])],
            [input.Shape[0], .. Enumerable.Repeat(1, rank - input.Rank), .. input.Shape[1..]]));
    }

    /// <summary>The shape of two values that are broadcast to each other.</summary>
    public static int[] Broadcast(LayerCall call, KerasTensor first, KerasTensor second)
    {
        var rank = Math.Max(first.Rank, second.Rank);
        int[] one = [.. Enumerable.Repeat(1, rank - first.Rank), .. first.Shape];
        int[] other = [.. Enumerable.Repeat(1, rank - second.Rank), .. second.Shape];
        return [.. one.Zip(other, (a, b) => a == b || b == 1 ? a : a == 1 ? b : a < 0 ? b : b < 0 ? a
            : throw call.Config.Refuse($"joins {first} and {second}, which do not fit"))];
    }

    private static KerasTensor Concatenate(LayerCall call) => ConcatenateOn(call, call.Inputs, call.Config.Integer("axis", -1));

    /// <summary>Lays values behind each other on one axis.</summary>
    public static KerasTensor ConcatenateOn(LayerCall call, IReadOnlyList<KerasTensor> inputs, int along)
    {
        var first = inputs[0];
        var axis = call.Axis(along, first.Rank);
        int[] shape = [.. first.Shape];
        foreach (var input in inputs.Skip(1))
        {
            if (input.Rank != first.Rank
                || input.Shape.Where((side, index) => index != axis && side >= 0 && first.Shape[index] >= 0 && side != first.Shape[index]).Any())
            {
                throw call.Config.Refuse($"joins {first} and {input}, which do not fit");
            }

            shape[axis] = shape[axis] < 0 || input.Shape[axis] < 0 ? -1 : checked(shape[axis] + input.Shape[axis]);
        }

        return inputs.Count == 1 ? first : call.Add("Concat", inputs.Select(input => input.Value), shape, ("axis", (long)axis));
    }

    private static int Product(ReadOnlySpan<int> sides)
    {
        var product = 1;
        foreach (var side in sides)
        {
            product = product < 0 || side < 0 ? -1 : checked(product * side);
        }

        return product;
    }

    private static long[] Longs(int[] values) => Array.ConvertAll(values, value => (long)value);
}
