namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>Transformers' <c>MobileNetV2ForImageClassification</c>: a stem, sixteen inverted residuals, a last convolution.</summary>
internal static class MobileNetV2
{
    private const int Stem = 32;
    private const int Last = 1280;

    // Channels behind the stem and behind each residual, and the strides of the residuals.
    private static readonly int[] Channels = [16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320];
    private static readonly int[] Strides = [2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1];

    public static (string Logits, int Classes) Build(TorchModules modules, string pixels, TransformersConfig config)
    {
        var act = config.Text("hidden_act", "relu6");
        var same = config.Flag("tf_padding", true);
        var multiplier = config.Number("depth_multiplier", 1);
        var divisor = config.Count("depth_divisible_by", 8);
        var least = config.Count("min_depth", 8);
        var epsilon = (float)config.Number("layer_norm_eps", 0.001);
        var ratio = config.Number("expand_ratio", 6);
        var stem = Scaled(Stem);
        int[] channels = [.. Channels.Select(Scaled)];

        const string Root = "mobilenet_v2.conv_stem";
        var x = Layer(pixels, $"{Root}.first_conv", new ConvolutionShape(config.Count("num_channels", 3), stem, 3) { Stride = (2, 2), Padding = 1 }, act);
        x = config.Flag("first_layer_is_expansion", true) ? x : Layer(x, $"{Root}.expand_1x1", new ConvolutionShape(stem, stem, 1), act);
        x = Layer(x, $"{Root}.conv_3x3", new ConvolutionShape(stem, stem, 3) { Groups = stem, Padding = 1 }, act);
        x = Layer(x, $"{Root}.reduce_1x1", new ConvolutionShape(stem, channels[0], 1), "linear");

        // What was reduced as far as wanted is not reduced further: convolutions behind it look at every second pixel instead.
        (var reduced, var dilation) = (2, 1);
        for (var block = 0; block < Strides.Length; block++)
        {
            var whole = reduced == config.Count("output_stride", 32);
            x = Residual(x, $"mobilenet_v2.layer.{block}", channels[block], channels[block + 1], whole ? 1 : Strides[block], whole ? dilation : 1);
            dilation *= whole ? Strides[block] : 1;
            reduced *= whole ? 1 : Strides[block];
        }

        var wide = config.Flag("finegrained_output", true) && multiplier < 1 ? Last : Scaled(Last);
        x = Layer(x, "mobilenet_v2.conv_1x1", new ConvolutionShape(channels[^1], wide, 1), act);
        return (modules.Classifier(modules.Pooled(x), "classifier", wide, out var classes), classes);

        string Residual(string value, string name, int from, int to, int stride, int dilated)
        {
            var expanded = Divisible(Rounded(from * ratio));
            var y = Layer(value, $"{name}.expand_1x1", new ConvolutionShape(from, expanded, 1), act);
            y = Layer(y, $"{name}.conv_3x3",
                new ConvolutionShape(expanded, expanded, 3) { Stride = (stride, stride), Groups = expanded, Padding = dilated, Dilation = dilated }, act);
            y = Layer(y, $"{name}.reduce_1x1", new ConvolutionShape(expanded, to, 1), "linear");
            return stride == 1 && from == to ? modules.Add("Add", name, [value, y]) : y;
        }

        string Layer(string value, string name, ConvolutionShape shape, string activation) => modules.Activation(modules.BatchNorm(
            modules.Convolution(value, $"{name}.convolution", shape with { Same = same }), $"{name}.normalization", shape.Out, epsilon),
            $"{name}.activation", activation);

        int Scaled(int count) => Divisible(Rounded(count * multiplier));

        // https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/mobilenet.py, _make_divisible
        int Divisible(int value)
        {
            var result = Math.Max(least, (int)(value + (divisor / 2d)) / divisor * divisor);
            return result < 0.9 * value ? result + divisor : result;
        }

        static int Rounded(double value) => checked((int)Math.Round(value, MidpointRounding.ToEven)); // as Python does
    }
}
