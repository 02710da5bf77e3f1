using Whatsit.Inference;

namespace Whatsit.ModelConversion.Graphs;

internal static partial class Operators
{
    private static Tensor Constant(Operation operation)
    {
        var node = operation.Node;
        return node.Attributes.TryGetValue("value", out var value) && value is Tensor tensor ? tensor
            : node.Attributes.ContainsKey("value_float") ? Tensor.Float32([], [node.Float("value_float", 0)])
            : node.Attributes.ContainsKey("value_int") ? Tensor.Int64([], [node.Int("value_int", 0)])
            : node.Ints("value_ints") is { } ints ? Tensor.Int64([ints.Length], ints)
            : node.Attributes.TryGetValue("value_floats", out value) && value is float[] floats ? Tensor.Float32([floats.Length], floats)
            : throw operation.Refuse("has no value of a kind that is supported");
    }

    private static Tensor Identity(Operation operation) => operation[0];

    private static Tensor ShapeOf(Operation operation)
    {
        var shape = operation[0].Shape;
        var start = Bound(operation.Node.Int("start", 0));
        var end = Bound(operation.Node.Int("end", shape.Length));
        return Tensor.Int64([Math.Max(end - start, 0)], [.. shape.Skip(start).Take(end - start).Select(side => (long)side)]);

        int Bound(long axis) => (int)Math.Clamp(axis < 0 ? axis + shape.Length : axis, 0, shape.Length);
    }

    private static Tensor SizeOf(Operation operation) => Tensor.Int64([], [operation[0].Length]);

    private static Tensor Reshape(Operation operation)
    {
        var input = operation[0];
        var wanted = operation[1].ToInts();
        var keepZeros = operation.Node.Int("allowzero", 0) == 1;
        int[] shape = [.. wanted.Select((side, axis) => side == 0 && !keepZeros ? input.Shape[axis] : checked((int)side))];
        var free = Array.IndexOf(shape, -1);
        if (free >= 0)
        {
            shape[free] = 1;
            shape[free] = input.Length / Count(shape);
        }

        return Count(shape) == input.Length ? input with { Shape = shape }
            : throw operation.Refuse($"cannot make [{string.Join(", ", wanted)}] of [{string.Join(", ", input.Shape)}]");
    }

    private static Tensor Flatten(Operation operation)
    {
        var input = operation[0];
        var axis = operation.Node.Int("axis", 1);
        var split = axis == input.Shape.Length ? input.Shape.Length : operation.Axis(axis, input.Shape.Length);
        return input with { Shape = [Count(input.Shape.AsSpan(0, split)), Count(input.Shape.AsSpan(split))] };
    }

    private static Tensor Squeeze(Operation operation)
    {
        var input = operation[0];
        var axes = operation.Ints("axes", 1)?.Select(axis => operation.Axis(axis, input.Shape.Length)).ToArray();
        if (axes?.FirstOrDefault(axis => input.Shape[axis] != 1, -1) is int wide and >= 0)
        {
            throw operation.Refuse($"cannot drop axis {wide} of [{string.Join(", ", input.Shape)}]");
        }

        return input with { Shape = [.. input.Shape.Where((side, axis) => axes is null ? side != 1 : !axes.Contains(axis))] };
    }

    private static Tensor Unsqueeze(Operation operation)
    {
        var input = operation[0];
        var given = operation.Ints("axes", 1) ?? throw operation.Refuse("has no axes");
        var rank = input.Shape.Length + given.Length;
        int[] axes = [.. given.Select(axis => operation.Axis(axis, rank)).Distinct()];
        if (axes.Length != given.Length)
        {
            throw operation.Refuse("names an axis twice");
        }

        var sides = new Queue<int>(input.Shape);
        return input with { Shape = [.. Enumerable.Range(0, rank).Select(axis => axes.Contains(axis) ? 1 : sides.Dequeue())] };
    }

    private static Tensor Transpose(Operation operation)
    {
        var rank = operation[0].Shape.Length;
        var permutation = operation.Node.Ints("perm") ?? [.. Enumerable.Range(0, rank).Reverse().Select(axis => (long)axis)];
        return permutation.Order().SequenceEqual(Enumerable.Range(0, rank).Select(axis => (long)axis))
            ? Permute(operation[0], [.. permutation.Select(axis => (int)axis)])
            : throw operation.Refuse($"permutes a tensor of rank {rank} by [{string.Join(", ", permutation)}]");
    }

    /// <summary>A tensor with its axes in another order.</summary>
    internal static Tensor Permute(Tensor tensor, int[] permutation)
    {
        var strides = StridesOf(tensor.Shape);
        return Gather(tensor, [.. permutation.Select(axis => tensor.Shape[axis])], [.. permutation.Select(axis => strides[axis])]);
    }

    private static Tensor ExpandTo(Tensor tensor, int[] shape)
    {
        if (tensor.Shape.AsSpan().SequenceEqual(shape))
        {
            return tensor;
        }

        var own = StridesOf(tensor.Shape);
        var strides = new int[shape.Length];
        for (var axis = 1; axis <= tensor.Shape.Length; axis++)
        {
            strides[^axis] = tensor.Shape[^axis] == 1 ? 0 : own[^axis];
        }

        return Gather(tensor, shape, strides);
    }

    private static Tensor Expand(Operation operation) =>
        ExpandTo(operation[0], Broadcast(operation[0].Shape, Array.ConvertAll(operation[1].ToInts(), side => checked((int)side))));

    private static Tensor Tile(Operation operation)
    {
        var result = operation[0];
        var repeats = operation[1].ToInts();
        for (var axis = 0; axis < repeats.Length; axis++)
        {
            var side = result.Shape[axis];
            result = Take(result, axis, side, checked((int)(side * repeats[axis])), index => index % side);
        }

        return result;
    }

    private static Tensor Slice(Operation operation)
    {
        var result = operation[0];
        var starts = operation.Ints("starts", 1) ?? throw operation.Refuse("has no starts");
        var ends = operation.Ints("ends", 2) ?? throw operation.Refuse("has no ends");
        var axes = operation.Ints("axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(axis => (long)axis)];
        var steps = operation.Optional(4)?.ToInts() ?? [.. Enumerable.Repeat(1L, starts.Length)];
        for (var i = 0; i < starts.Length; i++)
        {
            var axis = operation.Axis(axes[i], result.Shape.Length);
            var side = result.Shape[axis];
            var step = steps[i] != 0 ? steps[i] : throw operation.Refuse("has a step of 0");
            var start = starts[i] < 0 ? starts[i] + side : starts[i];
            var end = ends[i] < 0 ? Math.Max(ends[i], long.MinValue / 2) + side : ends[i];

            // https://onnx.ai/onnx/operators/onnx__Slice.html: clamped to [0, side], or to [0, side-1] and [-1, side-1] when walking back.
            start = step > 0 ? Math.Clamp(start, 0, side) : Math.Clamp(start, 0, Math.Max(side - 1, 0));
            end = step > 0 ? Math.Clamp(end, 0, side) : Math.Clamp(end, -1, side - 1);
            var count = Math.Max(0, step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step);
            result = Take(result, axis, side, checked((int)count), index => checked((int)(start + (index * step))));
        }

        return result;
    }

    private static Tensor Gather(Operation operation)
    {
        var data = operation[0];
        var indices = operation[1];
        var axis = operation.Axis(operation.Node.Int("axis", 0), data.Shape.Length);
        var side = data.Shape[axis];
        var chosen = Array.ConvertAll(indices.ToInts(), index => operation.Axis(index, side));
        var result = Take(data, axis, side, chosen.Length, index => chosen[index]);
        return result with { Shape = [.. data.Shape[..axis], .. indices.Shape, .. data.Shape[(axis + 1)..]] };
    }

    private static Tensor Pad(Operation operation)
    {
        var result = operation[0];
        var rank = result.Shape.Length;
        var pads = operation.Ints("pads", 1) ?? throw operation.Refuse("has no pads");
        int[] axes = operation.Optional(3) is { } given ? [.. given.ToInts().Select(axis => operation.Axis(axis, rank))] : [.. Enumerable.Range(0, rank)];
        var mode = operation.Node.Text("mode", "constant");
        var value = operation.Optional(2)?.ToDoubles() is [double constant, ..] ? constant : operation.Node.Float("value", 0);
        if (pads.Length != 2 * axes.Length)
        {
            throw operation.Refuse($"has {Counted.Of(pads.Length, "pad")} for {Counted.Of(axes.Length, "axis", "axes")}");
        }

        for (var i = 0; i < axes.Length; i++)
        {
            if (pads[i] == 0 && pads[i + axes.Length] == 0)
            {
                continue; // a side of one cannot be mirrored, but need not be either
            }

            var side = result.Shape[axes[i]];
            var begin = checked((int)pads[i]);
            var padded = checked((int)(side + pads[i] + pads[i + axes.Length]));
            result = Take(result, axes[i], side, padded, mode switch
            {
                "constant" => index => index - begin >= 0 && index - begin < side ? index - begin : -1,
                "edge" => index => Math.Clamp(index - begin, 0, side - 1),
                "wrap" => index => (((index - begin) % side) + side) % side,
                "reflect" when side > 1 => index => Reflect(index - begin, side),
                _ => throw operation.Refuse($"with mode '{mode}' is not supported for [{string.Join(", ", result.Shape)}]"),
            }, value);
        }

        return result;

        static int Reflect(int index, int side)
        {
            var period = 2 * (side - 1);
            var within = ((index % period) + period) % period;
            return within < side ? within : period - within;
        }
    }

    private static Tensor Concat(Operation operation)
    {
        var first = operation[0];
        var axis = operation.Axis(operation.Node.Int("axis", 0), first.Shape.Length);
        Tensor[] parts = [.. Enumerable.Range(0, operation.InputCount).Select(input => operation[input])];
        if (parts.FirstOrDefault(part => part.Type != first.Type || part.Shape.Length != first.Shape.Length
            || part.Shape.Where((side, i) => i != axis && side != first.Shape[i]).Any()) is { } misfit)
        {
            throw operation.Refuse(
                $"cannot join {first.Type} [{string.Join(", ", first.Shape)}] and {misfit.Type} [{string.Join(", ", misfit.Shape)}] along axis {axis}");
        }

        int[] shape = [.. first.Shape];
        shape[axis] = parts.Sum(part => part.Shape[axis]);
        var result = Tensor.Allocate(first.Type, shape, out Span<byte> bytes);
        var outer = Count(shape.AsSpan(0, axis));
        var row = outer == 0 ? 0 : bytes.Length / outer;
        var offset = 0;
        foreach (var part in parts)
        {
            var partRow = outer == 0 ? 0 : part.Data.Length / outer;
            for (var i = 0; i < outer; i++)
            {
                part.Data.Span.Slice(i * partRow, partRow).CopyTo(bytes[((i * row) + offset)..]);
            }

            offset += partRow;
        }

        return result;
    }

    private static Tensor[] Split(Operation operation)
    {
        var input = operation[0];
        var axis = operation.Axis(operation.Node.Int("axis", 0), input.Shape.Length);
        var side = input.Shape[axis];
        var outputs = operation.Node.Outputs.Count;
        var even = (side + outputs - 1) / outputs; // opset 18: the last part may be smaller
        var sizes = operation.Ints("split", 1) ?? [.. Enumerable.Range(0, outputs).Select(part => (long)Math.Clamp(side - (part * even), 0, even))];
        if (sizes.Length != outputs || sizes.Any(size => size < 0) || sizes.Sum() != side)
        {
            throw operation.Refuse($"cannot split {side} into [{string.Join(", ", sizes)}] for {Counted.Of(outputs, "output")}");
        }

        var parts = new Tensor[outputs];
        for (int part = 0, start = 0; part < outputs; start += (int)sizes[part++])
        {
            var from = start;
            parts[part] = Take(input, axis, side, (int)sizes[part], index => from + index);
        }

        return parts;
    }

    private static Tensor ConstantOfShape(Operation operation)
    {
        var value = operation.Node.Attributes.TryGetValue("value", out var given) && given is Tensor tensor ? tensor : Tensor.Float32([1], [0]);
        return ExpandTo(value with { Shape = [] }, Array.ConvertAll(operation[0].ToInts(), side => checked((int)side)));
    }

    private static Tensor Range(Operation operation)
    {
        var start = operation[0].ToDoubles()[0];
        var step = operation[2].ToDoubles()[0];
        var count = checked((int)Math.Max(0, Math.Ceiling((operation[1].ToDoubles()[0] - start) / step)));
        return Tensor.FromDoubles(operation[0].Type, [Count([count])], Generate(count, i => start + (i * step)));
    }

    /// <summary>Rebuilds one axis: the result's index <c>i</c> comes from <c>source(i)</c>, or is <paramref name="fill"/> where that is negative.</summary>
    private static Tensor Take(Tensor tensor, int axis, int side, int count, Func<int, int> source, double fill = 0)
    {
        int[] shape = [.. tensor.Shape];
        shape[axis] = count;
        var outer = Count(shape.AsSpan(0, axis));
        var run = Count(shape.AsSpan(axis + 1)) * Tensor.SizeOf(tensor.Type);
        var result = Tensor.Allocate(tensor.Type, shape, out Span<byte> to);
        var from = tensor.Data.Span;
        var filler = fill == 0 ? [] : Tensor.FromDoubles(tensor.Type, [], [fill]).Data.Span;
        for (var index = 0; index < count; index++)
        {
            var taken = source(index);
            for (var i = 0; i < outer; i++)
            {
                var target = to.Slice(((i * count) + index) * run, run);
                if (taken >= 0)
                {
                    from.Slice(((i * side) + taken) * run, run).CopyTo(target);
                }
                else
                {
                    for (var at = 0; filler.Length > 0 && at < target.Length; at += filler.Length)
                    {
                        filler.CopyTo(target[at..]);
                    }
                }
            }
        }

        return result;
    }

    /// <summary>Reads a tensor by any strides: transposes, and repeats where a stride is 0.</summary>
    private static Tensor Gather(Tensor tensor, int[] shape, int[] strides)
    {
        var size = Tensor.SizeOf(tensor.Type);
        return size switch
        {
            1 => Copy<byte>(tensor, shape, strides),
            2 => Copy<short>(tensor, shape, strides),
            4 => Copy<int>(tensor, shape, strides),
            _ => Copy<long>(tensor, shape, strides),
        };

        static Tensor Copy<T>(Tensor tensor, int[] shape, int[] strides) where T : unmanaged
        {
            var result = Tensor.Allocate(tensor.Type, shape, out Span<T> to);
            var from = tensor.As<T>();
            var inner = shape.Length == 0 ? 1 : shape[^1];
            var step = shape.Length == 0 ? 0 : strides[^1];
            var rows = shape.Length == 0 ? [0] : Offsets(shape[..^1], strides[..^1]);
            for (var row = 0; row < rows.Length; row++)
            {
                var line = to.Slice(row * inner, inner);
                for (int i = 0, at = rows[row]; i < line.Length; i++, at += step)
                {
                    line[i] = from[at];
                }
            }

            return result;
        }
    }
}
