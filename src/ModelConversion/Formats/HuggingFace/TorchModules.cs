using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.Safetensors;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>PyTorch's modules as operators, with their weights from a checkpoint by PyTorch's names (<c>NAME.weight</c>, <c>NAME.bias</c>, …).</summary>
internal sealed class TorchModules(Checkpoint weights, GraphBuilder builder)
{
    // torch.nn.BatchNorm2d, torch.nn.LayerNorm
    public const float UsualEpsilon = 1e-5f;

    private static readonly Dictionary<string, Func<TorchModules, string, string, string>> Activations = new(StringComparer.Ordinal)
    {
        // transformers/activations.py, ACT2FN
        ["relu"] = (modules, x, name) => modules.Add("Relu", name, [x]),
        ["relu6"] = (modules, x, name) => modules.Add("Clip", name, [x, modules.Scalar(name, 0), modules.Scalar(name, 6)]),
        ["gelu"] = (modules, x, name) => modules.Gelu(x, name, modules.Add("Erf", name, [modules.Times(x, name, Math.Sqrt(0.5))])),
        ["gelu_python"] = (modules, x, name) => Activations!["gelu"](modules, x, name),
        ["gelu_new"] = (modules, x, name) => modules.Gelu(x, name, modules.Add("Tanh", name, [modules.Times(modules.Add("Add", name,
            [x, modules.Times(modules.Add("Mul", name, [modules.Add("Mul", name, [x, x]), x]), name, 0.044715)]), name, Math.Sqrt(2 / Math.PI))])),
        ["gelu_fast"] = (modules, x, name) => Activations!["gelu_new"](modules, x, name),
        ["gelu_pytorch_tanh"] = (modules, x, name) => Activations!["gelu_new"](modules, x, name),
        ["quick_gelu"] = (modules, x, name) => modules.Add("Mul", name, [x, modules.Add("Sigmoid", name, [modules.Times(x, name, 1.702)])]),
        ["silu"] = (modules, x, name) => modules.Add("Mul", name, [x, modules.Add("Sigmoid", name, [x])]),
        ["swish"] = (modules, x, name) => Activations!["silu"](modules, x, name),
        ["sigmoid"] = (modules, x, name) => modules.Add("Sigmoid", name, [x]),
        ["tanh"] = (modules, x, name) => modules.Add("Tanh", name, [x]),
        ["leaky_relu"] = (modules, x, name) => modules.Add("LeakyRelu", name, [x], ("alpha", 0.01f)),
        ["mish"] = (modules, x, name) => modules.Add("Mul", name, [x, modules.Add("Tanh", name, [modules.Add("Softplus", name, [x])])]),
        ["linear"] = (_, x, _) => x,
    };

    /// <summary>Any operator with one result.</summary>
    public string Add(string op, string name, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        builder.AddNode(op, name, inputs, attributes);

    /// <summary>A constant.</summary>
    public string Constant(string name, Tensor tensor) => builder.AddConstant(name, tensor);

    /// <summary>A shape, axes or pads.</summary>
    public string Ints(string name, params ReadOnlySpan<long> values) => builder.AddInt64Constant(name, values);

    /// <summary>Conv2d without a bias, as before a batch normalisation, or with one.</summary>
    public string Convolution(string x, string name, ConvolutionShape shape)
    {
        List<string> inputs = [x, Weight($"{name}.weight", shape.Out, shape.In / shape.Groups, shape.Kernel.Height, shape.Kernel.Width)];
        if (shape.Bias)
        {
            inputs.Add(Weight($"{name}.bias", shape.Out));
        }

        (var height, var width) = ((long)shape.Kernel.Height, (long)shape.Kernel.Width);
        (var down, var right) = ((long)shape.Stride.Height, (long)shape.Stride.Width);
        var node = builder.AddNode("Conv", name, inputs, outputs: 1, ("kernel_shape", new[] { height, width }), ("strides", new[] { down, right }),
            ("group", (long)shape.Groups), ("dilations", new long[] { shape.Dilation, shape.Dilation }));
        if (shape.Same)
        {
            node.Attributes["auto_pad"] = "SAME_UPPER";
        }
        else
        {
            node.Attributes["pads"] = new long[] { shape.Padding, shape.Padding, shape.Padding, shape.Padding };
        }

        return node.Outputs[0];
    }

    /// <summary>A convolution of the shape that its weights have, padded to keep the sides, its normalisation, and an activation.</summary>
    public (string Value, int Channels) Unit((string Value, int Channels) x, string convolution, string normalization, int stride, string activation)
    {
        if (weights.Shape($"{convolution}.weight") is not [> 0 and var to, > 0 and var share, > 0 and var side, _] || x.Channels % share != 0)
        {
            throw new ModelFormatException($"The weights '{convolution}.weight' are no convolution of {Counted.Of(x.Channels, "channel")}.");
        }

        var shape = new ConvolutionShape(x.Channels, to, side) { Stride = (stride, stride), Padding = side / 2, Groups = x.Channels / share };
        return (Activation(BatchNorm(Convolution(x.Value, convolution, shape), normalization, to), $"{normalization}.activation", activation), to);
    }

    /// <summary>MaxPool2d as behind the stem of a ResNet.</summary>
    public string StemPool(string x) => Add("MaxPool", "stem_pool", [x], ("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }),
        ("pads", new long[] { 1, 1, 1, 1 }));

    /// <summary>The mean of each channel.</summary>
    public string Pooled(string x) => Add("Flatten", "features", [Add("GlobalAveragePool", "pooled", [x])], ("axis", 1L));

    /// <summary>BatchNorm2d in evaluation.</summary>
    public string BatchNorm(string x, string name, int channels, float epsilon = UsualEpsilon) => Add("BatchNormalization", name,
        [x, Weight($"{name}.weight", channels), Weight($"{name}.bias", channels), Weight($"{name}.running_mean", channels),
            Weight($"{name}.running_var", channels)], ("epsilon", epsilon));

    /// <summary>LayerNorm over the last axis.</summary>
    public string LayerNorm(string x, string name, int width, float epsilon) => Add("LayerNormalization", name,
        [x, Weight($"{name}.weight", width), Weight($"{name}.bias", width)], ("axis", -1L), ("epsilon", epsilon));

    /// <summary>Linear over the last axis of rows of vectors.</summary>
    /// <param name="x">The rows.</param>
    /// <param name="name">Begins the names of the weights.</param>
    /// <param name="from">How wide the rows are.</param>
    /// <param name="to">How wide they become.</param>
    /// <param name="bias">Whether there is one.</param>
    /// <param name="share">Where the weights are those of several layers, one below the other: which, and of how many.</param>
    public string Linear(string x, string name, int from, int to, bool bias = true, (int Which, int Of)? share = null)
    {
        (var which, var of) = share ?? (0, 1);
        var rows = weights.Read($"{name}.weight", checked(to * of), from);
        var own = rows with { Shape = [to, from], Data = rows.Data.Slice(which * to * from * sizeof(float), to * from * sizeof(float)) };
        var y = Add("MatMul", name, [x, Constant($"{name}.weight", Operators.Permute(own, [1, 0]))]);
        if (!bias)
        {
            return y;
        }

        var all = weights.Read($"{name}.bias", to * of);
        all = all with { Shape = [to], Data = all.Data.Slice(which * to * sizeof(float), to * sizeof(float)) };
        return Add("Add", name, [y, Constant($"{name}.bias", all)]);
    }

    /// <summary>The last layer; it says how many classes there are.</summary>
    public string Classifier(string x, string name, int width, out int classes)
    {
        classes = weights.Shape($"{name}.weight") is [> 0 and var rows, _] ? rows
            : throw new ModelFormatException($"The weights '{name}.weight' are no matrix of classes and features.");
        return Add("Gemm", name, [x, Weight($"{name}.weight", classes, width), Weight($"{name}.bias", classes)], ("transB", 1L));
    }

    /// <summary>A function by Transformers' name for it.</summary>
    /// <exception cref="ModelFormatException">It is not supported.</exception>
    public string Activation(string x, string name, string function) => Activations.TryGetValue(function, out var method) ? method(this, x, name)
        : throw new ModelFormatException($"{HubFolder.Config} says that the activation is '{function}', which is not supported.");

    private string Weight(string name, params int[] shape) => Constant(name, weights.Read(name, shape));

    private string Gelu(string x, string name, string inner) =>
        Add("Mul", name, [Times(x, name, 0.5), Add("Add", name, [inner, Scalar(name, 1)])]);

    private string Times(string x, string name, double factor) => Add("Mul", name, [x, Scalar(name, factor)]);

    private string Scalar(string name, double value) => builder.AddConstant($"{name}_number", [(float)value]);
}

/// <summary>What a Conv2d is like; its weights must be so.</summary>
internal sealed record ConvolutionShape(int In, int Out, int Side)
{
    public (int Height, int Width) Kernel { get; init; } = (Side, Side);

    public (int Height, int Width) Stride { get; init; } = (1, 1);

    public int Padding { get; init; }

    public int Groups { get; init; } = 1;

    public int Dilation { get; init; } = 1;

    public bool Bias { get; init; }

    /// <summary>Padded as TensorFlow does, by the picture's size.</summary>
    public bool Same { get; init; }
}
