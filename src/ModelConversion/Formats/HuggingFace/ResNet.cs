using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>Transformers' <c>ResNetForImageClassification</c>, with layers of two convolutions ("basic") or of three ("bottleneck").</summary>
internal static class ResNet
{
    // A bottleneck computes with a quarter of the channels.
    private const int Reduction = 4;

    public static (string Logits, int Classes) Build(TorchModules modules, string pixels, TransformersConfig config)
    {
        var act = config.Text("hidden_act", "relu");
        var type = config.Text("layer_type", "bottleneck");
        var depths = config.Counts("depths", 3, 4, 6, 3);
        var widths = config.Counts("hidden_sizes", 256, 512, 1024, 2048);
        if (type is not ("basic" or "bottleneck") || depths.Length != widths.Length)
        {
            throw new ModelFormatException(
                $"{HubFolder.Config} describes {Counted.Of(depths.Length, "stage")} of {Counted.Of(widths.Length, "width")} with layers '{type}'; " +
                $"'basic' and 'bottleneck' are known.");
        }

        var channels = config.Count("embedding_size", 64);
        var x = Layer(pixels, "resnet.embedder.embedder",
            new ConvolutionShape(config.Count("num_channels", 3), channels, 7) { Stride = (2, 2), Padding = 3 }, act);
        x = modules.StemPool(x);
        for (var stage = 0; stage < depths.Length; stage++)
        {
            for (var layer = 0; layer < depths[stage]; layer++)
            {
                var stride = layer == 0 && (stage > 0 || config.Flag("downsample_in_first_stage", false)) ? 2 : 1;
                x = Residual(x, $"resnet.encoder.stages.{stage}.layers.{layer}", channels, widths[stage], stride);
                channels = widths[stage];
            }
        }

        return (modules.Classifier(modules.Pooled(x), "classifier.1", channels, out var classes), classes);

        string Residual(string value, string name, int from, int to, int stride)
        {
            var own = value;
            if (type == "basic")
            {
                value = Layer(value, $"{name}.layer.0", new ConvolutionShape(from, to, 3) { Stride = (stride, stride), Padding = 1 }, "relu");
                value = Layer(value, $"{name}.layer.1", new ConvolutionShape(to, to, 3) { Padding = 1 }, "linear");
            }
            else
            {
                var reduced = to / Reduction;
                var early = config.Flag("downsample_in_bottleneck", false) ? stride : 1;
                value = Layer(value, $"{name}.layer.0", new ConvolutionShape(from, reduced, 1) { Stride = (early, early) }, "relu");
                value = Layer(value, $"{name}.layer.1",
                    new ConvolutionShape(reduced, reduced, 3) { Stride = (stride / early, stride / early), Padding = 1 }, "relu");
                value = Layer(value, $"{name}.layer.2", new ConvolutionShape(reduced, to, 1), "linear");
            }

            own = from == to && stride == 1 ? own
                : Layer(own, $"{name}.shortcut", new ConvolutionShape(from, to, 1) { Stride = (stride, stride) }, "linear");
            return modules.Activation(modules.Add("Add", name, [value, own]), name, act);
        }

        string Layer(string value, string name, ConvolutionShape shape, string activation) => modules.Activation(modules.BatchNorm(
            modules.Convolution(value, $"{name}.convolution", shape), $"{name}.normalization", shape.Out), $"{name}.activation", activation);
    }
}
