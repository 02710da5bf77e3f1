namespace Whatsit.ModelTools.Graphs;

internal static partial class Operators
{
    private static Tensor Constant(Operation operation)
    {
        Node node = operation.Node;
        return node.Attributes.TryGetValue("value", out object? value) && value is Tensor tensor ? tensor
            : node.Attributes.ContainsKey("value_float") ? Tensor.Float32([], [node.Float("value_float", 0)])
            : node.Attributes.ContainsKey("value_int") ? Tensor.Int64([], [node.Int("value_int", 0)])
            : node.Ints("value_ints") is { } ints ? Tensor.Int64([ints.Length], ints)
            : node.Attributes.TryGetValue("value_floats", out value) && value is float[] floats ? Tensor.Float32([floats.Length], floats)
            : throw operation.Refuse("has no value of a kind that is supported");
    }

    private static Tensor Identity(Operation operation) => operation[0];

    private static Tensor ShapeOf(Operation operation)
    {
        int[] shape = operation[0].Shape;
        int start = Bound(operation.Node.Int("start", 0));
        int end = Bound(operation.Node.Int("end", shape.Length));
        return Tensor.Int64([Math.Max(end - start, 0)], [.. shape.Skip(start).Take(end - start).Select(side => (long)side)]);

        int Bound(long axis) => (int)Math.Clamp(axis < 0 ? axis + shape.Length : axis, 0, shape.Length);
    }

    private static Tensor SizeOf(Operation operation) => Tensor.Int64([], [operation[0].Length]);

    private static Tensor Reshape(Operation operation)
    {
        Tensor input = operation[0];
        long[] wanted = operation[1].ToInts();
        bool keepZeros = operation.Node.Int("allowzero", 0) == 1;
        int[] shape = [.. wanted.Select((side, axis) => side == 0 && !keepZeros ? input.Shape[axis] : checked((int)side))];
        int free = Array.IndexOf(shape, -1);
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
        Tensor input = operation[0];
        long axis = operation.Node.Int("axis", 1);
        int split = axis == input.Shape.Length ? input.Shape.Length : operation.Axis(axis, input.Shape.Length);
        return input with { Shape = [Count(input.Shape.AsSpan(0, split)), Count(input.Shape.AsSpan(split))] };
    }

    private static Tensor Squeeze(Operation operation)
    {
        Tensor input = operation[0];
        int[]? axes = operation.Ints("axes", 1)?.Select(axis => operation.Axis(axis, input.Shape.Length)).ToArray();
        if (axes?.FirstOrDefault(axis => input.Shape[axis] != 1, -1) is int wide and >= 0)
        {
            throw operation.Refuse($"cannot drop axis {wide} of [{string.Join(", ", input.Shape)}]");
        }

        return input with { Shape = [.. input.Shape.Where((side, axis) => axes is null ? side != 1 : !axes.Contains(axis))] };
    }

    private static Tensor Unsqueeze(Operation operation)
    {
        Tensor input = operation[0];
        long[] given = operation.Ints("axes", 1) ?? throw operation.Refuse("has no axes");
        int rank = input.Shape.Length + given.Length;
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
        int rank = operation[0].Shape.Length;
        long[] permutation = operation.Node.Ints("perm") ?? [.. Enumerable.Range(0, rank).Reverse().Select(axis => (long)axis)];
        return permutation.Order().SequenceEqual(Enumerable.Range(0, rank).Select(axis => (long)axis))
            ? Permute(operation[0], [.. permutation.Select(axis => (int)axis)])
            : throw operation.Refuse($"permutes a tensor of rank {rank} by [{string.Join(", ", permutation)}]");
    }

    /// <summary>A tensor with its axes in another order.</summary>
    internal static Tensor Permute(Tensor tensor, int[] permutation)
    {
        int[] strides = StridesOf(tensor.Shape);
        return Gather(tensor, [.. permutation.Select(axis => tensor.Shape[axis])], [.. permutation.Select(axis => strides[axis])]);
    }

    private static Tensor ExpandTo(Tensor tensor, int[] shape)
    {
        if (tensor.Shape.AsSpan().SequenceEqual(shape))
        {
            return tensor;
        }

        int[] own = StridesOf(tensor.Shape);
        int[] strides = new int[shape.Length];
        for (int axis = 1; axis <= tensor.Shape.Length; axis++)
        {
            strides[^axis] = tensor.Shape[^axis] == 1 ? 0 : own[^axis];
        }

        return Gather(tensor, shape, strides);
    }

    private static Tensor Expand(Operation operation) =>
        ExpandTo(operation[0], Broadcast(operation[0].Shape, Array.ConvertAll(operation[1].ToInts(), side => checked((int)side))));

    private static Tensor Tile(Operation operation)
    {
        Tensor result = operation[0];
        long[] repeats = operation[1].ToInts();
        for (int axis = 0; axis < repeats.Length; axis++)
        {
            int side = result.Shape[axis];
            result = Take(result, axis, side, checked((int)(side * repeats[axis])), index => index % side);
        }

        return result;
    }

    private static Tensor Slice(Operation operation)
    {
        Tensor result = operation[0];
        long[] starts = operation.Ints("starts", 1) ?? throw operation.Refuse("has no starts");
        long[] ends = operation.Ints("ends", 2) ?? throw operation.Refuse("has no ends");
        long[] axes = operation.Ints("axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(axis => (long)axis)];
        long[] steps = operation.Optional(4)?.ToInts() ?? [.. Enumerable.Repeat(1L, starts.Length)];
        for (int i = 0; i < starts.Length; i++)
        {
            int axis = operation.Axis(axes[i], result.Shape.Length);
            int side = result.Shape[axis];
            long step = steps[i] != 0 ? steps[i] : throw operation.Refuse("has a step of 0");
            long start = starts[i] < 0 ? starts[i] + side : starts[i];
            long end = ends[i] < 0 ? Math.Max(ends[i], long.MinValue / 2) + side : ends[i];

            // https://onnx.ai/onnx/operators/onnx__Slice.html: clamped to [0, side], or to [0, side-1] and [-1, side-1] when walking back.
            start = step > 0 ? Math.Clamp(start, 0, side) : Math.Clamp(start, 0, Math.Max(side - 1, 0));
            end = step > 0 ? Math.Clamp(end, 0, side) : Math.Clamp(end, -1, side - 1);
            long count = Math.Max(0, step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step);
            result = Take(result, axis, side, checked((int)count), index => checked((int)(start + (index * step))));
        }

        return result;
    }

    private static Tensor Gather(Operation operation)
    {
        Tensor data = operation[0];
        Tensor indices = operation[1];
        int axis = operation.Axis(operation.Node.Int("axis", 0), data.Shape.Length);
        int side = data.Shape[axis];
        int[] chosen = Array.ConvertAll(indices.ToInts(), index => operation.Axis(index, side));
        Tensor result = Take(data, axis, side, chosen.Length, index => chosen[index]);
        return result with { Shape = [.. data.Shape[..axis], .. indices.Shape, .. data.Shape[(axis + 1)..]] };
    }

    private static Tensor Pad(Operation operation)
    {
        Tensor result = operation[0];
        int rank = result.Shape.Length;
        long[] pads = operation.Ints("pads", 1) ?? throw operation.Refuse("has no pads");
        int[] axes = operation.Optional(3) is { } given ? [.. given.ToInts().Select(axis => operation.Axis(axis, rank))] : [.. Enumerable.Range(0, rank)];
        string mode = operation.Node.Text("mode", "constant");
        double value = operation.Optional(2)?.ToDoubles() is [double constant, ..] ? constant : operation.Node.Float("value", 0);
        if (pads.Length != 2 * axes.Length)
        {
            throw operation.Refuse($"has {pads.Length} pads for {axes.Length} axes");
        }

        for (int i = 0; i < axes.Length; i++)
        {
            if (pads[i] == 0 && pads[i + axes.Length] == 0)
            {
                continue; // a side of one cannot be mirrored, but need not be either
            }

            int side = result.Shape[axes[i]];
            int begin = checked((int)pads[i]);
            int padded = checked((int)(side + pads[i] + pads[i + axes.Length]));
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
            int period = 2 * (side - 1);
            int within = ((index % period) + period) % period;
            return within < side ? within : period - within;
        }
    }

    private static Tensor Concat(Operation operation)
    {
        Tensor first = operation[0];
        int axis = operation.Axis(operation.Node.Int("axis", 0), first.Shape.Length);
        Tensor[] parts = [.. Enumerable.Range(0, operation.InputCount).Select(input => operation[input])];
        if (parts.FirstOrDefault(part => part.Type != first.Type || part.Shape.Length != first.Shape.Length || part.Shape.Where((side, i) => i != axis && side != first.Shape[i]).Any()) is { } misfit)
        {
            throw operation.Refuse($"cannot join {first.Type} [{string.Join(", ", first.Shape)}] and {misfit.Type} [{string.Join(", ", misfit.Shape)}] along axis {axis}");
        }

        int[] shape = [.. first.Shape];
        shape[axis] = parts.Sum(part => part.Shape[axis]);
        Tensor result = Tensor.Allocate(first.Type, shape, out Span<byte> bytes);
        int outer = Count(shape.AsSpan(0, axis));
        int row = outer == 0 ? 0 : bytes.Length / outer;
        int offset = 0;
        foreach (Tensor part in parts)
        {
            int partRow = outer == 0 ? 0 : part.Data.Length / outer;
            for (int i = 0; i < outer; i++)
            {
                part.Data.Span.Slice(i * partRow, partRow).CopyTo(bytes[((i * row) + offset)..]);
            }

            offset += partRow;
        }

        return result;
    }

    private static Tensor[] Split(Operation operation)
    {
        Tensor input = operation[0];
        int axis = operation.Axis(operation.Node.Int("axis", 0), input.Shape.Length);
        int side = input.Shape[axis];
        int outputs = operation.Node.Outputs.Count;
        int even = (side + outputs - 1) / outputs; // opset 18: the last part may be smaller
        long[] sizes = operation.Ints("split", 1) ?? [.. Enumerable.Range(0, outputs).Select(part => (long)Math.Clamp(side - (part * even), 0, even))];
        if (sizes.Length != outputs || sizes.Any(size => size < 0) || sizes.Sum() != side)
        {
            throw operation.Refuse($"cannot split {side} into [{string.Join(", ", sizes)}] for {outputs} outputs");
        }

        var parts = new Tensor[outputs];
        for (int part = 0, start = 0; part < outputs; start += (int)sizes[part++])
        {
            int from = start;
            parts[part] = Take(input, axis, side, (int)sizes[part], index => from + index);
        }

        return parts;
    }

    private static Tensor ConstantOfShape(Operation operation)
    {
        Tensor value = operation.Node.Attributes.TryGetValue("value", out object? given) && given is Tensor tensor ? tensor : Tensor.Float32([1], [0]);
        return ExpandTo(value with { Shape = [] }, Array.ConvertAll(operation[0].ToInts(), side => checked((int)side)));
    }

    private static Tensor Range(Operation operation)
    {
        double start = operation[0].ToDoubles()[0];
        double step = operation[2].ToDoubles()[0];
        int count = checked((int)Math.Max(0, Math.Ceiling((operation[1].ToDoubles()[0] - start) / step)));
        return Tensor.FromDoubles(operation[0].Type, [Count([count])], Generate(count, i => start + (i * step)));
    }

    /// <summary>Rebuilds one axis: the result's index <c>i</c> comes from <c>source(i)</c>, or is <paramref name="fill"/> where that is negative.</summary>
    private static Tensor Take(Tensor tensor, int axis, int side, int count, Func<int, int> source, double fill = 0)
    {
        int[] shape = [.. tensor.Shape];
        shape[axis] = count;
        int outer = Count(shape.AsSpan(0, axis));
        int run = Count(shape.AsSpan(axis + 1)) * Tensor.SizeOf(tensor.Type);
        Tensor result = Tensor.Allocate(tensor.Type, shape, out Span<byte> to);
        ReadOnlySpan<byte> from = tensor.Data.Span;
        ReadOnlySpan<byte> filler = fill == 0 ? [] : Tensor.FromDoubles(tensor.Type, [], [fill]).Data.Span;
        for (int index = 0; index < count; index++)
        {
            int taken = source(index);
            for (int i = 0; i < outer; i++)
            {
                Span<byte> target = to.Slice(((i * count) + index) * run, run);
                if (taken >= 0)
                {
                    from.Slice(((i * side) + taken) * run, run).CopyTo(target);
                }
                else
                {
                    for (int at = 0; filler.Length > 0 && at < target.Length; at += filler.Length)
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
        int size = Tensor.SizeOf(tensor.Type);
        return size switch
        {
            1 => Copy<byte>(tensor, shape, strides),
            2 => Copy<short>(tensor, shape, strides),
            4 => Copy<int>(tensor, shape, strides),
            _ => Copy<long>(tensor, shape, strides),
        };

        static Tensor Copy<T>(Tensor tensor, int[] shape, int[] strides) where T : unmanaged
        {
            Tensor result = Tensor.Allocate(tensor.Type, shape, out Span<T> to);
            ReadOnlySpan<T> from = tensor.As<T>();
            int inner = shape.Length == 0 ? 1 : shape[^1];
            int step = shape.Length == 0 ? 0 : strides[^1];
            int[] rows = shape.Length == 0 ? [0] : Offsets(shape[..^1], strides[..^1]);
            for (int row = 0; row < rows.Length; row++)
            {
                Span<T> line = to.Slice(row * inner, inner);
                for (int i = 0, at = rows[row]; i < line.Length; i++, at += step)
                {
                    line[i] = from[at];
                }
            }

            return result;
        }
    }
}
