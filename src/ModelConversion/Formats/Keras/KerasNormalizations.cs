using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>Layers that normalise by each picture's own numbers, which no constant can stand for.</summary>
internal static class KerasNormalizations
{
    /// <summary>
    /// Mean and variance over all places and a group of channels (keras/src/layers/normalization/group_normalization.py): as ONNX's InstanceNormalization
    /// of the groups, laid out as channels.
    /// </summary>
    public static KerasTensor Group(LayerCall call)
    {
        var x = call.Input;
        var axis = call.Axis(call.Config.Integers("axis") switch
        {
            null => -1,
            [var one] => one,
            _ => throw call.Config.Refuse("has several axes, which is not supported"),
        }, x.Rank);
        var channels = x.Shape[axis];
        var groups = call.Config.Integer("groups", 32);
        groups = groups == -1 ? channels : groups;
        if (axis == 0 || channels < 1 || groups < 1 || channels % groups != 0)
        {
            throw call.Config.Refuse($"divides {Counted.Of(channels, "channel")} of {x} into {Counted.Of(groups, "group")}");
        }

        int[] order = [0, axis, .. Enumerable.Range(1, x.Rank - 1).Where(other => other != axis)];
        var first = Transpose(call, x, order);
        var rows = call.Add("Reshape", [first.Value, call.Ints(0, groups, -1)], [x.Shape[0], groups, -1]);
        var normal = call.Add("InstanceNormalization",
        [
            rows.Value,
            call.Constant("groups_scale", () => Graphs.Tensor.Float32([groups], [.. Enumerable.Repeat(1f, groups)])),
            call.Constant("groups_offset", () => Graphs.Tensor.Float32([groups], new float[groups])),
        ], rows.Shape, ("epsilon", (float)call.Config.Number("epsilon", 1e-3)));
        var sides = call.Add("Shape", [first.Value], [x.Rank]);
        int[] back = [.. Enumerable.Range(0, x.Rank).Select(place => Array.IndexOf(order, place))];
        var result = Transpose(call, call.Add("Reshape", [normal.Value, sides.Value], first.Shape), back);

        var scale = call.Config.Flag("scale", true);
        result = !scale ? result : call.Map("Mul", result,
            call.Constant("gamma", () => LayerCall.Along(axis, x.Rank, LayerCall.Doubles(call.Weight("gamma", 0, channels)))));
        return !call.Config.Flag("center", true) ? result : call.Map("Add", result,
            call.Constant("beta", () => LayerCall.Along(axis, x.Rank, LayerCall.Doubles(call.Weight("beta", scale ? 1 : 0, channels)))));
    }

    /// <summary>Each vector by its length. Keras 2 bounds the square from below (tf.linalg.l2_normalize), Keras 3 the length (keras.ops.normalize).</summary>
    public static KerasTensor Unit(LayerCall call)
    {
        const double Least = 1e-12;
        var x = call.Input;
        int[] axes = [.. (call.Config.Integers("axis") ?? [-1]).Select(axis => call.Axis(axis, x.Rank)).Distinct().Order()];
        int[] shape = [.. x.Shape.Select((side, axis) => axes.Contains(axis) ? 1 : side)];
        var along = call.Ints(Array.ConvertAll(axes, axis => (long)axis));
        var squares = call.Add("ReduceSum", [call.Map("Mul", x, x.Value).Value, along], shape, ("keepdims", 1L));
        var length = call.Conversion.Keras3 ? call.Map("Max", call.Map("Sqrt", squares), call.Scalar(Least))
            : call.Map("Sqrt", call.Map("Max", squares, call.Scalar(Least)));
        return call.Map("Div", x, length.Value);
    }

    private static KerasTensor Transpose(LayerCall call, KerasTensor x, int[] order) => order.SequenceEqual(Enumerable.Range(0, x.Rank)) ? x
        : call.Add("Transpose", [x.Value], [.. order.Select(axis => x.Shape[axis])], ("perm", Array.ConvertAll(order, axis => (long)axis)));
}
