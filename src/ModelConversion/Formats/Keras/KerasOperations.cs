using System.Text.Json;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// Operations that a network calls outside of layers (<c>x / 127.5 - 1</c>, <c>tf.nn.relu6(x)</c>), as a table. Keras 2 wraps TensorFlow's functions
/// (TFOpLambda, SlicingOpLambda, before 2.4 TensorFlowOpLayer), Keras 3 has classes of its own in <c>keras.ops</c>; all go by the same short names.
/// </summary>
internal static class KerasOperations
{
    private static readonly Dictionary<string, Func<OperationCall, KerasTensor>> Table = Aliases(new()
    {
        ["add add_v2 __add__ __radd__ bias_add"] = call => Binary(call, "Add"),
        ["subtract sub __sub__ __rsub__"] = call => Binary(call, "Sub"),
        ["multiply mul __mul__ __rmul__ scalar_mul"] = call => Binary(call, "Mul"),
        ["divide truediv true_divide real_div div div_no_nan __truediv__ __rtruediv__"] = call => Binary(call, "Div"),
        ["maximum"] = call => Binary(call, "Max"),
        ["minimum"] = call => Binary(call, "Min"),
        ["relu relu6 sigmoid tanh elu selu softplus softsign silu swish hard_sigmoid hard_silu hard_swish hard_tanh mish"] = call =>
            KerasActivations.Find(call.Function)!(call, call.X),
        ["gelu"] = call => KerasActivations.Gelu(call, call.X, call.Flag("approximate", call.IsKerasOp)),
        ["softmax"] = call => KerasActivations.Softmax(call, call.X, call.Axes("axis", 1)?[0] ?? -1),
        ["leaky_relu"] = call => call.Map("LeakyRelu", call.X, ("alpha", (float)(call.Number("alpha", 1) ?? call.Number("negative_slope", 1) ?? 0.2))),
        ["exp"] = call => call.Map("Exp", call.X),
        ["sqrt"] = call => call.Map("Sqrt", call.X),
        ["rsqrt"] = call => call.Map("Reciprocal", call.Map("Sqrt", call.X)),
        ["square"] = call => call.Map("Mul", call.X, call.X.Value),
        ["negative neg"] = call => call.Map("Neg", call.X),
        ["absolute abs"] = call => call.Map("Abs", call.X),
        ["clip clip_by_value"] = call => KerasActivations.Clip(call, call.X, call.Number("clip_value_min", 1) ?? call.Number("x_min", 1)
            ?? 0, call.Number("clip_value_max", 2) ?? call.Number("x_max", 2) ?? 0),
        ["identity stop_gradient convert_to_tensor"] = call => call.X,
        ["cast"] = Cast,
        ["mean reduce_mean"] = call => Reduce(call, "ReduceMean"),
        ["sum reduce_sum"] = call => Reduce(call, "ReduceSum"),
        ["max reduce_max amax"] = call => Reduce(call, "ReduceMax"),
        ["reshape"] = Reshape,
        ["transpose"] = Transpose,
        ["expand_dims"] = ExpandDims,
        ["squeeze"] = Squeeze,
        ["concat concatenate concat_v2"] = call => KerasLayers.ConcatenateOn(call, call.Inputs, call.Axes("axis", 1)?[0] ?? 0),
        ["stack"] = Stack,
        ["reverse reverse_v2 flip"] = Reverse,
        ["getitem get_item"] = Slice,
    });

    /// <summary>The method of an operation; <see langword="null"/> for what is a layer.</summary>
    /// <exception cref="ModelFormatException">It is an operation, but an unknown one.</exception>
    public static Func<OperationCall, KerasTensor>? Find(KerasLayer layer)
    {
        if (Function(layer) is not { } function)
        {
            return null;
        }

        return Table.TryGetValue(function, out var method) ? method
            : layer.Config.Text("function") is { } python ? throw new ModelFormatException($"The operation '{python}' ({layer.Name}) is not supported.")
            : throw layer.Config.Unsupported();
    }

    /// <summary>An operation's short name, <c>tf.math.truediv</c>: <c>truediv</c>; <see langword="null"/> for a layer.</summary>
    public static string? Function(KerasLayer layer)
    {
        var config = layer.Config;
        switch (config.ClassName)
        {
            case "TFOpLambda" or "SlicingOpLambda" or "ClassMethod" or "InstanceMethod" or "InstanceProperty":
                return Snake((config.Text("function") ?? config.Name).Split('.')[^1]);
            case "TensorFlowOpLayer":
                return Snake(OpOf(config["node_def"]) ?? config.Name);
            default:
                // Keras 3: a class of keras.ops. Files in HDF5 leave the module out, and Add is an operation as well as a layer; but only
                // layers say what they are trained in.
                var name = Snake(config.ClassName);
                return layer.Module is { } module
                    ? module.Contains(".ops", StringComparison.Ordinal) ? name : null
                    : config["trainable"] is null && config["dtype"] is null && layer.Calls.Exists(call => call.IsKeras3)
                        && Table.ContainsKey(name) ? name : null;
        }
    }

    // {"op": "AddV2", …}, as an object or as text
    private static string? OpOf(JsonElement? definition)
    {
        switch (definition)
        {
            case { ValueKind: JsonValueKind.Object } node:
                return KerasConfig.Property(node, "op")?.ToString();
            case { ValueKind: JsonValueKind.String } text:
                try
                {
                    using var document = JsonDocument.Parse(text.Text()!);
                    return KerasConfig.Property(document.RootElement, "op")?.ToString();
                }
                catch (JsonException)
                {
                    return null;
                }

            default:
                return null;
        }
    }

    // TrueDivide and AddV2 to true_divide and add_v2; names that are in lower case stay.
    private static string Snake(string name) =>
        string.Concat(name.Select((letter, index) => char.IsUpper(letter) && index > 0 && !char.IsUpper(name[index - 1]) && name[index - 1] != '_'
            ? $"_{letter}" : $"{letter}")).ToLowerInvariant();

    private static KerasTensor Binary(OperationCall call, string op)
    {
        var first = call.Argument(0, "x", "x1", "value", "a") ?? throw call.Config.Refuse("lacks its first argument");
        var second = call.Argument(1, "y", "x2", "bias", "b") ?? throw call.Config.Refuse("lacks its second argument");
        if (first is KerasArgument.Constant && second is KerasArgument.Constant)
        {
            throw call.Config.Refuse("has two constants as its arguments");
        }

        var a = call.Operand(first, "first");
        var b = call.Operand(second, "second");
        if (first is KerasArgument.Result && second is KerasArgument.Constant && OperationCall.Constants(second) is [var value, ..])
        {
            (var factor, var offset) = op switch
            {
                "Div" => (1 / value, 0.0),
                "Mul" => (value, 0.0),
                "Sub" => (1.0, -value),
                "Add" => (1.0, value),
                _ => (1.0, 0.0)
            };
            call.Conversion.SeeScaling(a, factor, offset, call.Config.Name);
        }

        return call.Add(op, [a.Value, b.Value], KerasLayers.Broadcast(call, a, b));
    }

    // Pictures are converted to floats before anything else; the graph's values all are.
    private static KerasTensor Cast(OperationCall call)
    {
        var type = call.Text("dtype", 1) ?? call.Text("DstT", 1);
        call.Conversion.KeepRaw(call.X);
        return type is null or "float32" or "float16" or "bfloat16" or "float64" or "DT_FLOAT" ? call.X
            : throw call.Config.Refuse($"casts to '{type}', which is not supported");
    }

    private static KerasTensor Reduce(OperationCall call, string op)
    {
        var x = call.X;
        var keep = call.Flag("keepdims", false) || call.Flag("keep_dims", false);
        int[] axes = [.. (call.Axes("axis", 1) ?? throw call.Config.Refuse("reduces all axes, the batch too")).Select(axis => call.Axis(axis, x.Rank))
            .Distinct().Order()];
        int[] shape = [.. x.Shape.Select((side, axis) => axes.Contains(axis) ? 1 : side)];
        if (axes is [1, 2] && x.Rank == 4 && op is "ReduceMean" or "ReduceMax")
        {
            // What GlobalAveragePooling2D is: one form for all that read the graph.
            var pooled = call.AddSpatial(op == "ReduceMean" ? "GlobalAveragePool" : "GlobalMaxPool", [x.Value], shape);
            return keep ? pooled : call.Add("Flatten", [pooled.Value], [shape[0], shape[3]], ("axis", 1L));
        }

        // As opset 17 has it, with the axes as an attribute, except for ReduceSum.
        var reduced = keep ? shape : [.. x.Shape.Where((_, axis) => !axes.Contains(axis))];
        var along = Array.ConvertAll(axes, axis => (long)axis);
        return op == "ReduceSum"
            ? call.Add(op, [x.Value, call.Ints(along)], reduced, ("keepdims", keep ? 1L : 0L))
            : call.Add(op, [x.Value], reduced, ("axes", along), ("keepdims", keep ? 1L : 0L));
    }

    private static KerasTensor Reshape(OperationCall call)
    {
        var target = call.Axes("shape", 1) ?? call.Axes("newshape", 1) ?? throw call.Config.Refuse("has no shape that is a constant");
        return target.Length > 1 && target[0] is -1 or 1 ? KerasLayers.ReshapeTo(call, call.X, target[1..])
            : throw call.Config.Refuse("reshapes the batch, which is not supported");
    }

    private static KerasTensor Transpose(OperationCall call)
    {
        var x = call.X;
        int[] order = [.. (call.Axes("perm", 1) ?? call.Axes("axes", 1) ?? throw call.Config.Refuse("has no axes")).Select(axis => call.Axis(axis, x.Rank))];
        return order.Length == x.Rank && order.Distinct().Count() == x.Rank && order[0] == 0
            ? call.Add("Transpose", [x.Value], [.. order.Select(axis => x.Shape[axis])], ("perm", Array.ConvertAll(order, axis => (long)axis)))
            : throw call.Config.Refuse("moves the batch, which is not supported");
    }

    private static KerasTensor ExpandDims(OperationCall call)
    {
        var x = call.X;
        var axis = call.Axis(call.Axes("axis", 1) is [var given] ? given : throw call.Config.Refuse("has no single axis"), x.Rank + 1);
        return call.Add("Unsqueeze", [x.Value, call.Ints(axis)], [.. x.Shape[..axis], 1, .. x.Shape[axis..]]);
    }

    private static KerasTensor Squeeze(OperationCall call)
    {
        var x = call.X;
        int[] axes = [.. (call.Axes("axis", 1) ?? [.. Enumerable.Range(1, x.Rank - 1).Where(axis => x.Shape[axis] == 1)])
            .Select(axis => call.Axis(axis, x.Rank))];
        return axes.All(axis => x.Shape[axis] == 1)
            ? call.Add("Squeeze", [x.Value, call.Ints(Array.ConvertAll(axes, axis => (long)axis))], [.. x.Shape.Where((_, axis) => !axes.Contains(axis))])
            : throw call.Config.Refuse($"squeezes sides of {x} that are not 1");
    }

    // The channels of a picture in another order, or values side by side on an axis of their own.
    private static KerasTensor Stack(OperationCall call)
    {
        var axis = call.Axis(call.Axes("axis", 1) is [var given] ? given : 0, call.X.Rank + 1);
        (KerasTensor Picture, int Channel)[] channels = [.. call.Inputs.Select(input => call.Conversion.Channels.GetValueOrDefault(input.Value, (input, -1)))];
        (var picture, var _) = channels[0];
        if (axis == picture.Rank - 1 && Array.TrueForAll(channels, channel => channel.Channel >= 0 && channel.Picture.Value == picture.Value))
        {
            call.Conversion.KeepRaw(picture);
            long[] order = [.. channels.Select(channel => (long)channel.Channel)];
            return order.SequenceEqual(Enumerable.Range(0, picture.Shape[^1]).Reverse().Select(channel => (long)channel))
                ? Reverse(call, picture, [axis])
                : call.Add("Gather", [picture.Value, call.Ints(order)], [.. picture.Shape[..^1], order.Length], ("axis", (long)axis));
        }

        return KerasLayers.ConcatenateOn(
            call,
            [.. call.Inputs.Select(input => call.Add("Unsqueeze", [input.Value, call.Ints(axis)], [.. input.Shape[..axis], 1, .. input.Shape[axis..]]))],
            axis);
    }

    private static KerasTensor Reverse(OperationCall call)
    {
        int[] axes = [.. (call.Axes("axis", 1) ?? throw call.Config.Refuse("reverses all axes, the batch too")).Select(axis => call.Axis(axis, call.X.Rank))];
        call.Conversion.KeepRaw(call.X);
        return axes.Contains(0) ? throw call.Config.Refuse("reverses the batch, which is not supported") : Reverse(call, call.X, axes);
    }

    private static KerasTensor Reverse(OperationCall call, KerasTensor x, int[] axes)
    {
        string All(long value) => call.Ints([.. Enumerable.Repeat(value, axes.Length)]);
        return call.Add("Slice", [x.Value, All(-1), All(long.MinValue), call.Ints([.. axes.Select(axis => (long)axis)]), All(-1)], x.Shape);
    }

    // x[..., ::-1], which turns RGB into BGR, and the like.
    private static KerasTensor Slice(OperationCall call)
    {
        var x = call.X;
        JsonElement[] items = call.Argument(1, "slice_spec", "key") is KerasArgument.Constant { Value: { ValueKind: JsonValueKind.Array } list }
            ? [.. list.EnumerateArray()] : throw call.Config.Refuse("slices by something that is not a constant");
        var skipped = Array.FindIndex(items, IsEllipsis);
        int[] shape = [.. x.Shape];
        var starts = new List<long>();
        var ends = new List<long>();
        var axes = new List<long>();
        var steps = new List<long>();
        var single = new List<long>();
        for (var index = 0; index < items.Length; index++)
        {
            if (index == skipped)
            {
                continue;
            }

            var axis = call.Axis(skipped >= 0 && index > skipped ? index - items.Length : index, x.Rank);
            (var start, var stop, var step) = Item(items[index], axis);
            if ((start, stop, step) is (null, null, 1))
            {
                continue;
            }

            if (axis == 0 || axes.Contains(axis) || step == 0)
            {
                throw call.Config.Refuse("slices the batch, twice along one axis or in steps of 0, which is not supported");
            }

            starts.Add(start ?? (step > 0 ? 0 : -1));
            ends.Add(stop ?? (step > 0 ? long.MaxValue : long.MinValue));
            axes.Add(axis);
            steps.Add(step);
            shape[axis] = shape[axis] < 0 ? -1 : Taken(shape[axis], starts[^1], ends[^1], step);
            if (shape[axis] == 0)
            {
                throw call.Config.Refuse($"takes nothing out of {x}");
            }
        }

        if (axes.Count == 0)
        {
            call.Conversion.KeepRaw(x);
            return x;
        }

        var taken = call.Add("Slice", [x.Value, call.Ints([.. starts]), call.Ints([.. ends]), call.Ints([.. axes]), call.Ints([.. steps])], shape);
        if (single.Count == 0)
        {
            call.Conversion.KeepRaw(x);
            return taken;
        }

        if (axes is [var only] && only == x.Rank - 1 && x.Shape[^1] is > 0 and var channels)
        {
            var channel = (int)((starts[0] + channels) % channels);
            call.Conversion.Remember(result => call.Conversion.Channels[result.Value] = (x, channel));
        }

        return call.Add("Squeeze", [taken.Value, call.Ints([.. single])], [.. shape.Where((_, axis) => !single.Contains(axis))]);

        // A single place is a slice of one that loses its axis.
        (long? Start, long? Stop, long Step) Item(JsonElement item, int axis)
        {
            if (item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var place))
            {
                single.Add(axis);
                return (place, place == -1 ? null : place + 1L, 1);
            }

            var slice = item.ValueKind == JsonValueKind.Object ? KerasConfig.Property(item, "config") ?? item
                : throw call.Config.Refuse($"slices by '{item}', which is not supported");
            return (Whole(slice, "start"), Whole(slice, "stop"), Whole(slice, "step") ?? 1);
        }

        static bool IsEllipsis(JsonElement item) =>
            item.ValueKind == JsonValueKind.String ? item.Text() is "..." or "Ellipsis"
                : KerasConfig.Property(item, "class_name")?.ToString() == "__ellipsis__";

        long? Whole(JsonElement slice, string key) => KerasConfig.Property(slice, key) is not { } value ? null
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var whole) ? whole
            : throw call.Config.Refuse("slices by something that is not a whole number");

        static int Taken(int side, long start, long stop, long step)
        {
            // As Python's slices: what counts from the end is moved, then both are cut to where the slice can begin and end.
            long Place(long place) => Math.Clamp(place is < 0 and > long.MinValue ? place + side : place, step > 0 ? 0 : -1, step > 0 ? side : side - 1);
            var span = step > 0 ? Place(stop) - Place(start) : Place(start) - Place(stop);
            return span <= 0 ? 0 : (int)(((span - 1) / Math.Abs(step)) + 1);
        }
    }

    private static Dictionary<string, Func<OperationCall, KerasTensor>> Aliases(Dictionary<string, Func<OperationCall, KerasTensor>> table) =>
        table.SelectMany(entry => entry.Key.Split(' ').Select(name => (name, entry.Value)))
            .ToDictionary(entry => entry.name, entry => entry.Value, StringComparer.Ordinal);
}

/// <summary>One call of an operation: arguments by place and by name, of which some are constants.</summary>
internal sealed class OperationCall(KerasConversion conversion, KerasLayer layer, IReadOnlyList<string> path, KerasCall call, Func<KerasReference,
    KerasTensor> resolve)
    : LayerCall(conversion, layer.Config, path, [.. call.References.Select(resolve)])
{
    /// <summary>Its short name.</summary>
    public string Function { get; } = KerasOperations.Function(layer)!;

    /// <summary>Keras 3's own operation, whose defaults differ from TensorFlow's.</summary>
    public bool IsKerasOp { get; } = call.IsKeras3;

    /// <summary>The first argument, a value.</summary>
    public KerasTensor X => Inputs.Count > 0 ? Inputs[0] : throw Config.Refuse("is connected to nothing");

    /// <summary>An argument by place or by one of its names.</summary>
    public KerasArgument? Argument(int place, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (call.Named.TryGetValue(name, out var named))
            {
                return named;
            }
        }

        // TensorFlowOpLayer keeps constants by their places and lists the values without them.
        if (place < call.Arguments.Count + 16 && Config["constants"] is { ValueKind: JsonValueKind.Object } constants)
        {
            if (KerasConfig.Property(constants, $"{place}") is { } constant)
            {
                return new KerasArgument.Constant(constant);
            }

            place -= Enumerable.Range(0, place).Count(before => KerasConfig.Property(constants, $"{before}") is not null);
        }

        var places = call.Arguments is [KerasArgument.List list] && Config.ClassName == "TensorFlowOpLayer" ? list.Items : call.Arguments;
        if (place < places.Count)
        {
            return places[place] is KerasArgument.List { Items: [var only] } ? only : places[place];
        }

        // Keras 3 keeps what an operation was made with, apart from what it is called with, as settings.
        foreach (var name in names)
        {
            if (Config[name] is { } setting)
            {
                return new KerasArgument.Constant(setting);
            }
        }

        return null;
    }

    /// <summary>An argument as a value; a constant becomes one.</summary>
    public KerasTensor Operand(KerasArgument argument, string name)
    {
        switch (argument)
        {
            case KerasArgument.Result result:
                return resolve(result.Reference);
            case KerasArgument.Constant constant when Constants(constant) is { } values && ShapeOf(constant.Value) is var shape
                && shape.Aggregate(1, (product, side) => product * side) == values.Length:
                return new KerasTensor(Constant($"{name}_constant", () => Tensor.Float32(shape, Array.ConvertAll(values, value => (float)value))), shape);
            default:
                throw Config.Refuse($"has a {name} argument that is neither a value nor a number");
        }
    }

    /// <summary>The numbers of a constant.</summary>
    public static double[]? Constants(KerasArgument argument) => argument is KerasArgument.Constant constant ? KerasConfig.Numbers(constant.Value) : null;

    public double? Number(string name, int place) =>
        Argument(place, name) is KerasArgument.Constant constant && KerasConfig.Numbers(constant.Value) is [var number] ? number : null;

    public bool Flag(string name, bool fallback) => Argument(int.MaxValue, name)
        is KerasArgument.Constant { Value.ValueKind: JsonValueKind.True or JsonValueKind.False } flag ? flag.Value.GetBoolean() : fallback;

    public string? Text(string name, int place) => Argument(place, name) is KerasArgument.Constant constant
        ? constant.Value.ValueKind == JsonValueKind.String ? constant.Value.Text() : throw Config.Refuse($"has a '{name}' that is not text")
        : null;

    /// <summary>Whole numbers; a single one stands for itself.</summary>
    public int[]? Axes(string name, int place) => Argument(place, name) switch
    {
        null => null,
        KerasArgument.Constant constant when KerasConfig.Numbers(constant.Value) is { } numbers
            && Array.TrueForAll(numbers, number => Math.Abs(number) < 1 << 30 && Math.Truncate(number) == number)
            => Array.ConvertAll(numbers, number => (int)number),
        _ => throw Config.Refuse($"has a '{name}' that is not made of whole numbers"),
    };

    // Nested lists are rectangular arrays.
    private static int[] ShapeOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => [value.GetArrayLength(), .. value.GetArrayLength() == 0 ? [] : ShapeOf(value[0])],
        JsonValueKind.Object when KerasConfig.Unwrap(value) is { } inner => ShapeOf(inner),
        _ => [],
    };
}
