using System.Globalization;
using System.Runtime.InteropServices;
using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>A value on its way through the network; sides that the file leaves open are -1, the batch always.</summary>
internal readonly record struct KerasTensor(string Value, int[] Shape)
{
    public int Rank => Shape.Length;

    public override string ToString() => $"[{string.Join(", ", Shape.Select(side => side < 0 ? "?" : side.ToString(CultureInfo.InvariantCulture)))}]";
}

/// <summary>What the conversion of one network shares between its layers.</summary>
internal sealed class KerasConversion(GraphBuilder builder, IKerasWeights weights, bool keras3)
{
    private readonly List<Action<KerasTensor>> _afterwards = [];

    public GraphBuilder Builder { get; } = builder;

    public IKerasWeights Weights { get; } = weights;

    /// <summary>Keras 3 changed the arithmetic of a few names.</summary>
    public bool Keras3 { get; } = keras3;

    /// <summary>TensorFlow.js resizes from corner to corner of the first pixels where TensorFlow 2 resizes from centre to centre.</summary>
    public bool TensorFlowJs { get; init; }

    /// <summary>Constants of layers by layer and name: a layer that is called twice has one set of weights.</summary>
    public Dictionary<string, string> Constants { get; } = new(StringComparer.Ordinal);

    /// <summary>Values that still are the input, but for its size and the order of its channels.</summary>
    public HashSet<string> Raw { get; } = new(StringComparer.Ordinal);

    /// <summary>Values that are one channel of another: Keras 3 turns RGB into BGR by taking channels out and stacking them.</summary>
    public Dictionary<string, (KerasTensor Picture, int Channel)> Channels { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether the first thing done to the input is scaling it as pixels from 0 to 255 are scaled.</summary>
    public bool TakesPixels { get; private set; }

    public List<string> Notes { get; } = [];

    /// <summary>
    /// Kernels are stored turned by half a turn: Theano convolves where everyone else correlates (keras/utils/conv_utils.py, convert_kernel).
    /// </summary>
    public bool TurnedKernels { get; init; }

    /// <summary>What layers of Python code compute, by their names.</summary>
    public IReadOnlyDictionary<string, string> Lambdas { get; init; } = new Dictionary<string, string>();

    /// <summary>Those of them that the network has.</summary>
    public HashSet<string> LambdasUsed { get; } = new(StringComparer.Ordinal);

    /// <summary>What is said of a layer of Python code.</summary>
    public string? Lambda(string layer)
    {
        LambdasUsed.Add(layer);
        return Lambdas.GetValueOrDefault(layer);
    }

    /// <summary>Converts one call of a layer that is not a model itself.</summary>
    public KerasTensor Convert(KerasLayer layer, KerasCall call, IReadOnlyList<string> path, Func<KerasReference, KerasTensor> resolve)
    {
        var before = Builder.Graph.Nodes.Count;
        KerasTensor result;
        if (KerasOperations.Find(layer) is { } operation)
        {
            result = operation(new OperationCall(this, layer, path, call, resolve));
        }
        else
        {
            var references = layer.Config.ClassName == "MultiHeadAttention" ? KerasAttention.Inputs(call, layer.Config) : call.Inputs;
            KerasTensor[] inputs = [.. references.Select(resolve)];
            var context = new LayerCall(this, layer.Config, path, inputs) { Wrapped = layer.Wrapped };
            result = KerasLayers.Find(layer.Config) is not { } method ? throw layer.Config.Unsupported()
                : inputs.Length == 0 ? throw layer.Config.Refuse("is connected to nothing")
                : method(context);
        }

        // The layer's result carries the layer's name, so that outputs and reports can be found again.
        if (Builder.Graph.Nodes.Count > before && Builder.Graph.Nodes[^1] is var last && last.Outputs[0] == result.Value)
        {
            var name = Builder.Unique(string.Join('/', path));
            last.Outputs[0] = name;
            result = result with { Value = name };
        }

        _afterwards.ForEach(remember => remember(result));
        _afterwards.Clear();
        return result;
    }

    /// <summary>Remembers something about the result of the layer that is being converted, once it has its name.</summary>
    public void Remember(Action<KerasTensor> about) => _afterwards.Add(about);

    /// <summary>Said by layers whose result still is the picture, if what they were given is.</summary>
    public void KeepRaw(KerasTensor input)
    {
        if (Raw.Contains(input.Value))
        {
            Remember(result => Raw.Add(result.Value));
        }
    }

    /// <summary>
    /// Sees each scaling of a value. What scales the input itself as only 0–255 needs it, tells that the network takes pixels: a factor of at most
    /// 1/50 (1/255, 1/127.5, 1/128), or a mean of more than 2 (Caffe's 103.939, a Normalization adapted to photos).
    /// </summary>
    public void SeeScaling(KerasTensor input, double factor, double offset, string by)
    {
        if (!TakesPixels && Raw.Contains(input.Value) && (Math.Abs(factor) <= 1 / 50.0 || (factor != 0 && Math.Abs(offset / factor) > 2)))
        {
            TakesPixels = true;
            Notes.Add($"The network scales its input itself (layer '{by}'): it takes pixels from 0 to 255.");
        }
    }
}

/// <summary>One call of a layer: its settings, its inputs, and what it emits.</summary>
internal class LayerCall(KerasConversion conversion, KerasConfig config, IReadOnlyList<string> path, IReadOnlyList<KerasTensor> inputs)
{
    private readonly string _path = string.Join('/', path);

    public KerasConfig Config { get; } = config;

    public KerasConversion Conversion { get; } = conversion;

    public IReadOnlyList<KerasTensor> Inputs { get; } = inputs;

    /// <summary>The name of the layer within this one whose weights are meant.</summary>
    public string? Wrapped { get; init; }

    /// <summary>The same call as seen by a layer that is its activation.</summary>
    public LayerCall As(KerasConfig activation, KerasTensor x) => new(Conversion, activation, path, [x]);

    /// <summary>The input of a layer that takes one.</summary>
    public KerasTensor Input => Inputs.Count == 1 ? Inputs[0] : throw Config.Refuse($"is called with {Counted.Of(Inputs.Count, "input")} where it takes one");

    public bool ChannelsFirst => Config.Text("data_format") switch
    {
        null or "channels_last" => false,
        "channels_first" => true,
        var other => throw Config.Refuse($"has the data format '{other}', which is not supported"),
    };

    /// <summary>The input of a layer for pictures, [batch, height, width, channels] or, with channels first, [batch, channels, height, width].</summary>
    public KerasTensor Image => Input.Rank == 4 ? Input : throw Config.Refuse($"takes pictures and is fed with {Input}");

    /// <summary>Where the height (the width follows) and the channels stand in <see cref="Image"/>.</summary>
    public (int Height, int Channels) ImageAxes => ChannelsFirst ? (2, 1) : (1, 3);

    /// <summary>The shape of a picture with other sides and channels.</summary>
    public int[] ImageShape(int height, int width, int channels) => ChannelsFirst ? [Input.Shape[0], channels, height, width]
        : [Input.Shape[0], height, width, channels];

    /// <summary>An axis counted from the front.</summary>
    public int Axis(int axis, int rank) => axis >= -rank && axis < rank ? (axis + rank) % rank
        : throw Config.Refuse($"names axis {axis} of an input of rank {rank}");

    /// <summary>Adds an operator; the shape is its result's.</summary>
    public KerasTensor Add(string op, IEnumerable<string> inputs, int[] shape, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        new(Conversion.Builder.AddNode(op, $"{_path}/{op}", inputs, attributes), shape);

    /// <summary>Adds an operator that works element by element on one value.</summary>
    public KerasTensor Map(string op, KerasTensor x, params ReadOnlySpan<(string Name, object Value)> attributes) => Add(op, [x.Value], x.Shape, attributes);

    /// <summary>Adds an operator on two values, of which the second is broadcast to the first.</summary>
    public KerasTensor Map(string op, KerasTensor x, string second) => Add(op, [x.Value, second], x.Shape);

    /// <summary>Adds a spatial operator in the order of the picture's axes.</summary>
    public KerasTensor AddSpatial(string op, IEnumerable<string> inputs, int[] shape, params ReadOnlySpan<(string Name, object Value)> attributes) =>
        new(ChannelsFirst ? Conversion.Builder.AddNode(op, $"{_path}/{op}", inputs, attributes)
            : Conversion.Builder.AddChannelsLastNode(op, $"{_path}/{op}", inputs, attributes), shape);

    /// <summary>A constant of this layer, made once however often the layer is called.</summary>
    public string Constant(string name, Func<Tensor> make)
    {
        var key = $"{_path}/{name}";
        if (!Conversion.Constants.TryGetValue(key, out var value))
        {
            value = Conversion.Builder.AddConstant(key, make());
            Conversion.Constants.Add(key, value);
        }

        return value;
    }

    /// <summary>A number as a constant; equal numbers of a layer are one.</summary>
    public string Scalar(double value) => Constant(value.ToString("R", CultureInfo.InvariantCulture), () => Tensor.Float32([], [(float)value]));

    /// <summary>Whole numbers as a constant: a shape, axes, pads.</summary>
    public string Ints(params long[] sides) => Constant($"ints_{string.Join('_', sides)}", () => Tensor.Int64([sides.Length], sides));

    /// <summary>A weight in Keras' own layout as 32-bit floats, checked against the shape it must have; -1 fits any side.</summary>
    public Tensor Weight(string name, int index, params int[] shape) =>
        Checked(Found(name, index), name, shape);

    /// <summary>A weight of a layer that this one is made of.</summary>
    public Tensor PartWeight(string part, string name, int index, params int[] shape) =>
        Checked(Conversion.Weights.Find([.. path, part], name, index), $"{part}/{name}", shape);

    /// <summary>A convolution's kernel, rows and columns first; Keras 1 kept filters and channels first where the picture has them so.</summary>
    public Tensor Kernel(int[] sides, int inner, int outer)
    {
        var kernel = Found("kernel", 0);
        if (kernel is not null && Config.Flag("keras1", false) && ChannelsFirst && kernel.Shape is [var first, var second, var rows, var columns]
            && (first, rows, columns) == (outer, sides[0], sides[1]) && (inner < 0 || second == inner))
        {
            kernel = Operators.Permute(Checked(kernel, "kernel", kernel.Shape), [2, 3, 1, 0]);
        }
        else
        {
            kernel = Weight("kernel", 0, sides[0], sides[1], inner, outer);
        }

        return Conversion.TurnedKernels ? Turned(kernel) : kernel;
    }

    private static Tensor Turned(Tensor kernel)
    {
        var from = kernel.As<float>();
        var size = kernel.Shape[2] * kernel.Shape[3];
        var places = kernel.Length / size;
        var to = new float[from.Length];
        for (var place = 0; place < places; place++)
        {
            from.Slice(place * size, size).CopyTo(to.AsSpan((places - 1 - place) * size));
        }

        return Tensor.Float32(kernel.Shape, to);
    }

    private Tensor? Found(string name, int index) =>
        (Wrapped is { } inner ? Conversion.Weights.Find([.. path, inner], name, index) : null) ?? Conversion.Weights.Find(path, name, index);

    private Tensor Checked(Tensor? found, string name, int[] shape)
    {
        var weight = found
            ?? throw new ModelFormatException($"The weight '{name}' of the layer '{Config.ClassName}' ({Config.Name}) is missing.");
        if (weight.Shape.Length != shape.Length || weight.Shape.Zip(shape).Any(side => side.Second >= 0 && side.First != side.Second))
        {
            throw Config.Refuse(
                $"has a weight '{name}' of shape [{string.Join(", ", weight.Shape)}] where " +
                $"[{string.Join(", ", shape.Select(side => side < 0 ? "?" : $"{side}"))}] is needed");
        }

        return weight.Type switch
        {
            ElementType.Float32 => weight,
            ElementType.Float16 or ElementType.Float64 => Tensor.Float32(weight.Shape, Floats(weight)),
            var other => throw Config.Refuse($"has a weight '{name}' of {other}, which is not supported"),
        };
    }

    /// <summary>Scales and shifts along one axis: <c>x × scale + offset</c>.</summary>
    public KerasTensor Affine(KerasTensor x, int axis, Func<(double[] Scale, double[] Offset)> make)
    {
        // Computed in 64-bit floats: the difference between the largest and the smallest variance of one layer can exceed 32-bit's digits.
        (double[] Scale, double[] Offset)? made = null;
        var scale = Constant("scale", () => Along(axis, x.Rank, (made ??= make()).Scale));
        var offset = Constant("offset", () => Along(axis, x.Rank, (made ??= make()).Offset));
        return Map("Add", Map("Mul", x, scale), offset);
    }

    /// <summary>Numbers as a constant that broadcasts along one axis; a single one along all.</summary>
    public static Tensor Along(int axis, int rank, double[] values)
    {
        var floats = Array.ConvertAll(values, value => (float)value);
        return values.Length == 1 ? Tensor.Float32([], floats) : Tensor.Float32([values.Length, .. Enumerable.Repeat(1, rank - 1 - axis)], floats);
    }

    /// <summary>The numbers of a weight in 64 bits.</summary>
    public static double[] Doubles(Tensor weight)
    {
        var floats = weight.As<float>();
        var doubles = new double[floats.Length];
        for (var index = 0; index < doubles.Length; index++)
        {
            doubles[index] = floats[index];
        }

        return doubles;
    }

    /// <summary>
    /// A kernel H W A B as B A H W, or with <paramref name="keepOrder"/> as A B H W: written straight to its final place, in blocks whose rows stay
    /// in the cache.
    /// </summary>
    public static Tensor SidesLast(Tensor weight, bool keepOrder = false)
    {
        const int Block = 16;
        var shape = weight.Shape;
        (var sides, var first, var second) = (shape[0] * shape[1], shape[2], shape[3]);
        var bytes = GC.AllocateUninitializedArray<byte>(weight.Data.Length);
        var to = MemoryMarshal.Cast<byte, float>(bytes.AsSpan());
        var from = weight.As<float>();
        for (var blockA = 0; blockA < first; blockA += Block)
        {
            for (var blockB = 0; blockB < second; blockB += Block)
            {
                for (var b = blockB; b < Math.Min(second, blockB + Block); b++)
                {
                    for (var a = blockA; a < Math.Min(first, blockA + Block); a++)
                    {
                        var start = (keepOrder ? (a * second) + b : (b * first) + a) * sides;
                        for (var side = 0; side < sides; side++)
                        {
                            to[start + side] = from[(((side * first) + a) * second) + b];
                        }
                    }
                }
            }
        }

        return new Tensor(ElementType.Float32, keepOrder ? [first, second, shape[0], shape[1]] : [second, first, shape[0], shape[1]], bytes);
    }

    private static float[] Floats(Tensor weight) => weight.Type == ElementType.Float16
        ? Array.ConvertAll(weight.As<Half>().ToArray(), half => (float)half)
        : Array.ConvertAll(weight.As<double>().ToArray(), wide => (float)wide);
}
