using System.Runtime.InteropServices;
using TorchSharp;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Graphs;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using HostTensor = Whatsit.ModelConversion.Graphs.Tensor;
using Tensor = TorchSharp.torch.Tensor;

namespace Whatsit.Training;

/// <summary>One node at work: its attributes and what its inputs hold, <see cref="Tensor"/> where a derivative goes through, else <see cref="HostTensor"/>.</summary>
/// <param name="Node">The node.</param>
/// <param name="Inputs">Its inputs; nothing where one is left out.</param>
/// <param name="Training">Whether batch normalisations go by the batch and record it.</param>
/// <param name="Device">What computes.</param>
internal sealed record TorchOperation(Node Node, object?[] Inputs, bool Training, Device Device)
{
    /// <summary>A required input.</summary>
    public Tensor this[int index] => Optional(index) ?? throw Refuse($"has no input {index}");

    /// <summary>An input, if it is there.</summary>
    public Tensor? Optional(int index) => index >= Inputs.Length ? null : Inputs[index] switch
    {
        null => null,
        Tensor tensor => tensor,
        HostTensor host => tensor(host.ToFloats(), [.. host.Shape.Select(side => (long)side)], device: Device),
        _ => throw Refuse("has an unknown input"),
    };

    /// <summary>Integers that stood in an attribute in one opset and in an input in another.</summary>
    public long[]? Ints(string attribute, int input) => Host(input) is { } host ? host.ToInts() : Node.Ints(attribute);

    /// <summary>One number, of an input or else of an attribute.</summary>
    public double? Number(string attribute, int input) => input < Inputs.Length && Inputs[input] is { } given
        ? given is Tensor tensor ? tensor.cpu().item<float>() : ((HostTensor)given).ToDoubles()[0]
        : Node.Attributes.ContainsKey(attribute) ? Node.Float(attribute, 0) : null;

    /// <summary>An axis counted from the front.</summary>
    public long Axis(string attribute, long otherwise, long rank) => Node.Int(attribute, otherwise) is var axis && axis < 0 ? axis + rank : axis;

    public ModelFormatException Refuse(string reason) => new($"{Node} {reason}.");

    private HostTensor? Host(int input) => input < Inputs.Length && Inputs[input] is { } given
        ? given as HostTensor ?? throw Refuse($"takes input {input} from what is computed of the picture, which cannot be trained") : null;
}

/// <summary>
/// The operators that can be trained, as a table: one small method each, along https://onnx.ai/onnx/operators/. What is computed of shapes alone, the
/// interpreter's own operators compute.
/// </summary>
internal static class TorchOperators
{
    private static readonly Dictionary<string, Func<TorchOperation, Tensor[]>> Table = new(StringComparer.Ordinal)
    {
        // Spatial
        ["Conv"] = One(Conv),
        ["MaxPool"] = One(MaxPool),
        ["AveragePool"] = One(AveragePool),
        ["GlobalAveragePool"] = One(operation => operation[0].mean(Spatial(operation[0]), keepdim: true)),
        ["GlobalMaxPool"] = One(operation => operation[0].amax(Spatial(operation[0]), keepdim: true)),

        // Products and normalisation
        ["Gemm"] = One(Gemm),
        ["MatMul"] = One(operation => operation[0].matmul(operation[1])),
        ["BatchNormalization"] = One(operation => functional.batch_norm(operation[0], operation[3], operation[4], operation[1], operation[2],
            operation.Training, 1 - operation.Node.Float("momentum", 0.9f), operation.Node.Float("epsilon", 1e-5f))),
        ["LayerNormalization"] = One(LayerNormalization),
        ["InstanceNormalization"] = One(InstanceNormalization),
        ["Softmax"] = One(operation => operation[0].softmax(operation.Axis("axis", -1, operation[0].dim()))),
        ["LogSoftmax"] = One(operation => functional.log_softmax(operation[0], operation.Axis("axis", -1, operation[0].dim()))),

        // Element by element
        ["Relu"] = One(operation => operation[0].relu()),
        ["Sigmoid"] = One(operation => operation[0].sigmoid()),
        ["Tanh"] = One(operation => operation[0].tanh()),
        ["Exp"] = One(operation => operation[0].exp()),
        ["Log"] = One(operation => operation[0].log()),
        ["Sqrt"] = One(operation => operation[0].sqrt()),
        ["Erf"] = One(operation => operation[0].erf()),
        ["Abs"] = One(operation => operation[0].abs()),
        ["Neg"] = One(operation => operation[0].neg()),
        ["Reciprocal"] = One(operation => operation[0].reciprocal()),
        ["Softplus"] = One(operation => operation[0].softplus()),
        ["Softsign"] = One(operation => operation[0].div(operation[0].abs().add(1))),
        ["Mish"] = One(operation => functional.mish(operation[0])),
        ["HardSwish"] = One(operation => operation[0].hardswish()),
        ["HardSigmoid"] = One(operation => operation[0].mul(operation.Node.Float("alpha", 0.2f)).add(operation.Node.Float("beta", 0.5f)).clamp(0, 1)),
        ["LeakyRelu"] = One(operation => operation[0].leaky_relu(operation.Node.Float("alpha", 0.01f))),
        ["PRelu"] = One(operation => operation[0].relu().sub(operation[0].neg().relu().mul(operation[1]))),
        ["Elu"] = One(operation => operation[0].elu(operation.Node.Float("alpha", 1))),
        ["Selu"] = One(operation => operation[0].selu()),
        ["Gelu"] = One(operation => operation.Node.Text("approximate", "none") == "tanh"
            ? operation[0].gelu(TorchSharp.Modules.GELU.Approximate.tanh) : operation[0].gelu()),
        ["Clip"] = One(Clip),
        ["Add"] = One(operation => operation[0].add(operation[1])),
        ["Sub"] = One(operation => operation[0].sub(operation[1])),
        ["Mul"] = One(operation => operation[0].mul(operation[1])),
        ["Div"] = One(operation => operation[0].div(operation[1])),
        ["Pow"] = One(operation => operation[0].pow(operation[1])),
        ["Max"] = One(operation => All(operation).Aggregate((a, b) => a.maximum(b))),
        ["Min"] = One(operation => All(operation).Aggregate((a, b) => a.minimum(b))),
        ["Sum"] = One(operation => All(operation).Aggregate((a, b) => a.add(b))),
        ["Mean"] = One(operation => All(operation).Aggregate((a, b) => a.add(b)).div(operation.Inputs.Length)),

        // Shapes and places
        ["Identity"] = One(operation => operation[0]),
        ["Dropout"] = One(operation => operation[0]),
        ["Cast"] = One(operation => operation.Node.Int("to", 0) == (long)ElementType.Float32 ? operation[0].to_type(ScalarType.Float32)
            : throw operation.Refuse("makes other numbers than 32-bit floats of the picture, which cannot be trained")),
        ["Flatten"] = One(Flatten),
        ["Reshape"] = One(Reshape),
        ["Squeeze"] = One(Squeeze),
        ["Unsqueeze"] = One(Unsqueeze),
        ["Transpose"] = One(operation => operation[0].permute(operation.Node.Ints("perm")
            ?? [.. Enumerable.Range(0, (int)operation[0].dim()).Reverse().Select(axis => (long)axis)])),
        ["Concat"] = One(operation => cat([.. All(operation)], operation.Axis("axis", 1, operation[0].dim()))),
        ["Split"] = Split,
        ["Slice"] = One(Slice),
        ["Pad"] = One(Pad),
        ["Gather"] = One(Gather),
        ["Expand"] = One(operation => operation[0].mul(ones(operation.Ints("shape", 1)!, device: operation.Device))),
        ["ReduceMean"] = One(operation => operation[0].mean(Axes(operation), operation.Node.Int("keepdims", 1) == 1)),
        ["ReduceSum"] = One(operation => operation[0].sum(Axes(operation), operation.Node.Int("keepdims", 1) == 1)),
        ["ReduceMax"] = One(operation => operation[0].amax(Axes(operation), operation.Node.Int("keepdims", 1) == 1)),
        ["ReduceL2"] = One(operation => operation[0].pow(2).sum(Axes(operation), operation.Node.Int("keepdims", 1) == 1).sqrt()),
        ["Shape"] = One(operation => operation[0]),
        ["Constant"] = One(operation => operation[0]),
    };

    /// <summary>Whether a node of a trained network may be such an operator: it is in the table, or is computed of shapes alone.</summary>
    public static bool Supports(string op) => Table.ContainsKey(op) || op is "ConstantOfShape" or "Range" or "Size" or "Equal" or "Where" or "Floor" or "Ceil";

    /// <summary>Runs one node.</summary>
    /// <exception cref="ModelFormatException">It cannot be trained, or does not fit its inputs.</exception>
    public static object[] Run(TorchOperation operation)
    {
        if (operation.Node.Op == "Shape")
        {
            var shape = operation[0].shape;
            return [HostTensor.Int64([shape.Length], shape)];
        }

        if (Array.TrueForAll(operation.Inputs, input => input is null or HostTensor))
        {
            return [.. Operators.Run(operation.Node, [.. operation.Inputs.Select(input => (HostTensor?)input)])];
        }

        try
        {
            return Table.TryGetValue(operation.Node.Op, out var method) ? [.. method(operation)]
                : throw operation.Refuse("is computed of the picture and cannot be trained");
        }
        catch (ExternalException exception)
        {
            var shapes = string.Join(", ", operation.Inputs.OfType<Tensor>().Select(input => $"[{string.Join(", ", input.shape)}]"));
            throw new ModelFormatException($"{operation.Node} does not fit its inputs: {shapes}.", exception);
        }
    }

    private static Func<TorchOperation, Tensor[]> One(Func<TorchOperation, Tensor> method) => operation => [method(operation)];

    private static IEnumerable<Tensor> All(TorchOperation operation) => Enumerable.Range(0, operation.Inputs.Length).Select(input => operation[input]);

    private static long[] Spatial(Tensor input) => [.. Enumerable.Range(2, (int)input.dim() - 2).Select(axis => (long)axis)];

    private static Tensor Conv(TorchOperation operation)
    {
        var kernel = operation[1];
        if (kernel.dim() != 4)
        {
            throw operation.Refuse($"with weights [{string.Join(", ", kernel.shape)}] cannot be trained; pictures have two sides");
        }

        var strides = operation.Node.Ints("strides") ?? [1, 1];
        var dilations = operation.Node.Ints("dilations") ?? [1, 1];
        var (top, left, bottom, right) = Padding(operation, kernel.shape.AsSpan(2), strides, dilations);
        var (input, padding) = top == bottom && left == right ? (operation[0], [top, left])
            : (functional.pad(operation[0], (left, right, top, bottom)), new long[] { 0, 0 });
        return functional.conv2d(input, kernel, operation.Optional(2), strides, padding, dilations, operation.Node.Int("group", 1));
    }

    private static Tensor MaxPool(TorchOperation operation)
    {
        var (kernel, strides, dilations) = Window(operation);
        var (top, left, bottom, right) = Padding(operation, kernel, strides, dilations);
        var even = top == bottom && left == right && top <= kernel[0] / 2 && left <= kernel[1] / 2;
        var input = even ? operation[0] : functional.pad(operation[0], (left, right, top, bottom), PaddingModes.Constant, double.NegativeInfinity);
        return functional.max_pool2d(input, kernel, strides, even ? [top, left] : [0, 0], dilations, operation.Node.Int("ceil_mode", 0) == 1);
    }

    private static Tensor AveragePool(TorchOperation operation)
    {
        var (kernel, strides, dilations) = Window(operation);
        var (top, left, bottom, right) = Padding(operation, kernel, strides, dilations);
        var (ceiling, counted) = (operation.Node.Int("ceil_mode", 0) == 1, operation.Node.Int("count_include_pad", 0) == 1);
        if (dilations.Any(dilation => dilation != 1))
        {
            throw operation.Refuse("with dilations cannot be trained");
        }

        if (top == bottom && left == right && top <= kernel[0] / 2 && left <= kernel[1] / 2)
        {
            return functional.avg_pool2d(operation[0], kernel, strides, [top, left], ceiling, counted);
        }

        var mean = functional.avg_pool2d(functional.pad(operation[0], (left, right, top, bottom)), kernel, strides, [0, 0], ceiling);
        if (counted)
        {
            return mean;
        }

        // What is beside the picture counts neither as pixels nor in their number.
        using var inside = functional.pad(ones([1, 1, .. operation[0].shape[2..]], device: operation.Device), (left, right, top, bottom));
        return mean.div(functional.avg_pool2d(inside, kernel, strides, [0, 0], ceiling));
    }

    private static (long[] Kernel, long[] Strides, long[] Dilations) Window(TorchOperation operation) =>
        (operation.Node.Ints("kernel_shape") is [_, _] kernel ? kernel : throw operation.Refuse("has no kernel_shape of two sides"),
            operation.Node.Ints("strides") ?? [1, 1], operation.Node.Ints("dilations") ?? [1, 1]);

    private static (long Top, long Left, long Bottom, long Right) Padding(TorchOperation operation, ReadOnlySpan<long> kernel, long[] strides, long[] dilations)
    {
        var how = operation.Node.Text("auto_pad", "NOTSET");
        if (how is not ("SAME_UPPER" or "SAME_LOWER"))
        {
            return how == "VALID" || operation.Node.Ints("pads") is not [var top, var left, var bottom, var right] ? default : (top, left, bottom, right);
        }

        var (vertical, horizontal) = (Along(0, kernel[0]), Along(1, kernel[1]));
        return (vertical.Before, horizontal.Before, vertical.After, horizontal.After);

        (long Before, long After) Along(int axis, long size)
        {
            var side = operation[0].shape[2 + axis];
            var outputs = (side + strides[axis] - 1) / strides[axis];
            var total = Math.Max(0, ((outputs - 1) * strides[axis]) + ((size - 1) * dilations[axis]) + 1 - side);
            return how == "SAME_UPPER" ? (total / 2, total - (total / 2)) : (total - (total / 2), total / 2);
        }
    }

    private static Tensor Gemm(TorchOperation operation)
    {
        var a = operation.Node.Int("transA", 0) == 1 ? operation[0].t() : operation[0];
        var b = operation.Node.Int("transB", 0) == 1 ? operation[1].t() : operation[1];
        var (alpha, beta) = (operation.Node.Float("alpha", 1), operation.Node.Float("beta", 1));
        return operation.Optional(2) is { } c ? addmm(c, a, b, beta, alpha) : alpha == 1 ? a.mm(b) : a.mm(b).mul(alpha);
    }

    private static Tensor LayerNormalization(TorchOperation operation)
    {
        var shape = operation[0].shape;
        var axis = (int)operation.Axis("axis", -1, shape.Length);
        return functional.layer_norm(operation[0], shape[axis..], operation[1], operation.Optional(2), operation.Node.Float("epsilon", 1e-5f));
    }

    private static Tensor InstanceNormalization(TorchOperation operation)
    {
        var axes = Spatial(operation[0]);
        var centred = operation[0].sub(operation[0].mean(axes, keepdim: true));
        var deviation = centred.pow(2).mean(axes, keepdim: true).add(operation.Node.Float("epsilon", 1e-5f)).sqrt();
        return centred.div(deviation).mul(operation[1].reshape(1, -1, 1, 1)).add(operation[2].reshape(1, -1, 1, 1));
    }

    private static Tensor Clip(TorchOperation operation) => (operation.Number("min", 1), operation.Number("max", 2)) switch
    {
        // TorchSharp's hardtanh, which would serve for all, answers with its input (0.107.0).
        (0, 6) => operation[0].relu6(),
        ({ } min, { } max) => operation[0].clamp(min, max),
        ({ } min, null) => operation[0].clamp_min(min),
        (null, { } max) => operation[0].clamp_max(max),
        _ => operation[0],
    };

    private static Tensor Flatten(TorchOperation operation)
    {
        var shape = operation[0].shape;
        var axis = (int)operation.Axis("axis", 1, shape.Length);
        // The batch's side is free, so that it is found by what follows.
        return operation[0].reshape(shape[..axis].Aggregate(1L, (product, side) => product * side), -1);
    }

    private static Tensor Reshape(TorchOperation operation)
    {
        var shape = operation[0].shape;
        var wanted = operation.Ints("shape", 1) ?? throw operation.Refuse("has no shape");
        return operation[0].reshape([.. wanted.Select((side, axis) => side == 0 && operation.Node.Int("allowzero", 0) == 0 ? shape[axis] : side)]);
    }

    private static Tensor Squeeze(TorchOperation operation)
    {
        var rank = operation[0].dim();
        var axes = operation.Ints("axes", 1)?.Select(axis => axis < 0 ? axis + rank : axis).ToHashSet();
        return operation[0].reshape([.. operation[0].shape.Where((side, axis) => axes is null ? side != 1 : !axes.Contains(axis))]);
    }

    private static Tensor Unsqueeze(TorchOperation operation)
    {
        var axes = operation.Ints("axes", 1) ?? throw operation.Refuse("has no axes");
        var rank = operation[0].dim() + axes.Length;
        return axes.Select(axis => axis < 0 ? axis + rank : axis).Order().Aggregate(operation[0], (value, axis) => value.unsqueeze(axis));
    }

    private static Tensor[] Split(TorchOperation operation)
    {
        var axis = operation.Axis("axis", 0, operation[0].dim());
        var (side, parts) = (operation[0].shape[axis], operation.Node.Outputs.Count);
        var each = (side + parts - 1) / parts;
        var sizes = operation.Ints("split", 1) ?? [.. Enumerable.Range(0, parts).Select(part => Math.Min(each, side - (part * each)))];
        return operation[0].split(sizes, axis);
    }

    private static Tensor Slice(TorchOperation operation)
    {
        var (starts, ends) = (operation.Ints("starts", 1)!, operation.Ints("ends", 2)!);
        var axes = operation.Ints("axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(axis => (long)axis)];
        var steps = operation.Ints("steps", 4) ?? [.. starts.Select(_ => 1L)];
        var value = operation[0];
        for (var place = 0; place < axes.Length; place++)
        {
            var axis = axes[place] < 0 ? axes[place] + value.dim() : axes[place];
            var side = value.shape[axis];
            if (steps[place] <= 0)
            {
                throw operation.Refuse("goes backwards, which cannot be trained");
            }

            value = value.slice(axis, Place(starts[place], side), Place(ends[place], side), steps[place]);
        }

        return value;

        static long Place(long place, long side) => Math.Clamp(place < 0 ? place + side : place, 0, side);
    }

    private static Tensor Pad(TorchOperation operation)
    {
        var pads = operation.Ints("pads", 1) ?? throw operation.Refuse("has no pads");
        var rank = pads.Length / 2;
        var mode = operation.Node.Text("mode", "constant");
        // From the last axis to the first, before and after.
        long[] sides = [.. Enumerable.Range(0, rank).Reverse().SelectMany(axis => new[] { pads[axis], pads[axis + rank] })];
        while (mode != "constant" && sides is [.., 0, 0])
        {
            sides = sides[..^2];
        }

        return mode switch
        {
            "constant" => functional.pad(operation[0], sides, PaddingModes.Constant, operation.Number("value", 2) ?? 0),
            "reflect" => functional.pad(operation[0], sides, PaddingModes.Reflect),
            "edge" => functional.pad(operation[0], sides, PaddingModes.Replicate),
            _ => throw operation.Refuse($"in mode '{mode}' cannot be trained"),
        };
    }

    private static Tensor Gather(TorchOperation operation)
    {
        var axis = operation.Axis("axis", 0, operation[0].dim());
        var host = operation.Inputs[1] as HostTensor ?? throw operation.Refuse("takes its places from the picture, which cannot be trained");
        long[] places = [.. host.ToInts().Select(place => place < 0 ? place + operation[0].shape[axis] : place)];
        return host.Shape.Length switch
        {
            0 => operation[0].select(axis, places[0]),
            1 => operation[0].index_select(axis, tensor(places, device: operation.Device)),
            _ => throw operation.Refuse("with places of several axes cannot be trained"),
        };
    }

    private static long[] Axes(TorchOperation operation) => operation.Ints("axes", 1)
        ?? [.. Enumerable.Range(0, (int)operation[0].dim()).Select(axis => (long)axis)];
}
