using Whatsit.Inference;

namespace Whatsit.ModelConversion.Graphs;

/// <summary>Operators that read or write single places of a tensor, and sums over named axes.</summary>
internal static partial class Operators
{
    /// <summary>https://onnx.ai/onnx/operators/onnx__ScatterND.html: the last axis of the indices names places, or rows, of the data.</summary>
    private static Tensor ScatterND(Operation operation)
    {
        (var data, var indices, var updates) = (operation[0], operation[1], operation[2]);
        var places = Rows(operation, data.Shape, indices, 0);
        var run = places.Run;
        if (updates.Length != places.Starts.Length * run || updates.Type != data.Type)
        {
            throw operation.Refuse(
                $"writes {updates.Type} [{string.Join(", ", updates.Shape)}] in {Counted.Of(places.Starts.Length, "place")} of {Counted.Of(run, "number")}");
        }

        return Write(operation, data, updates, place => places.Starts[place / run] + (place % run));
    }

    /// <summary>https://onnx.ai/onnx/operators/onnx__GatherND.html</summary>
    private static Tensor GatherND(Operation operation)
    {
        (var data, var indices) = (operation[0], operation[1]);
        var batch = (int)operation.Node.Int("batch_dims", 0);
        if (batch < 0 || batch >= Math.Min(data.Shape.Length, indices.Shape.Length))
        {
            throw operation.Refuse($"has {Counted.Of(batch, "axis", "axes")} of batches");
        }

        var places = Rows(operation, data.Shape, indices, batch);
        int[] shape = [.. indices.Shape[..^1], .. data.Shape[(batch + indices.Shape[^1])..]];
        return Read(data, shape, place => places.Starts[place / places.Run] + (place % places.Run));
    }

    /// <summary>https://onnx.ai/onnx/operators/onnx__GatherElements.html</summary>
    private static Tensor GatherElements(Operation operation)
    {
        var places = Elements(operation, operation[0], operation[1]);
        return Read(operation[0], operation[1].Shape, place => places[place]);
    }

    /// <summary>https://onnx.ai/onnx/operators/onnx__ScatterElements.html</summary>
    private static Tensor ScatterElements(Operation operation)
    {
        var places = Elements(operation, operation[0], operation[1]);
        return operation[2].Shape.AsSpan().SequenceEqual(operation[1].Shape) && operation[2].Type == operation[0].Type
            ? Write(operation, operation[0], operation[2], place => places[place])
            : throw operation.Refuse($"writes [{string.Join(", ", operation[2].Shape)}] to as many places as [{string.Join(", ", operation[1].Shape)}] has");
    }

    /// <summary>Where each row that the indices name begins, and how long it is.</summary>
    private static (int[] Starts, int Run) Rows(Operation operation, int[] shape, Tensor indices, int batch)
    {
        var depth = indices.Shape.Length == 0 ? 0 : indices.Shape[^1];
        if (depth < 1 || batch + depth > shape.Length || !indices.Shape.AsSpan(0, batch).SequenceEqual(shape.AsSpan(0, batch)))
        {
            throw operation.Refuse($"names places of [{string.Join(", ", shape)}] by [{string.Join(", ", indices.Shape)}]");
        }

        var strides = StridesOf(shape);
        var values = indices.ToInts();
        var starts = new int[values.Length / depth];
        var inBatch = Count(indices.Shape.AsSpan(batch)) / depth;
        for (var row = 0; row < starts.Length; row++)
        {
            starts[row] = batch == 0 ? 0 : row / inBatch * strides[batch - 1];
            for (var at = 0; at < depth; at++)
            {
                starts[row] += operation.Axis(values[(row * depth) + at], shape[batch + at]) * strides[batch + at];
            }
        }

        return (starts, Count(shape.AsSpan(batch + depth)));
    }

    private static int[] Elements(Operation operation, Tensor data, Tensor indices)
    {
        var axis = operation.Axis(operation.Node.Int("axis", 0), data.Shape.Length);
        if (indices.Shape.Length != data.Shape.Length || indices.Shape.Where((side, at) => at != axis && side > data.Shape[at]).Any())
        {
            throw operation.Refuse($"names places of [{string.Join(", ", data.Shape)}] by [{string.Join(", ", indices.Shape)}]");
        }

        var strides = StridesOf(data.Shape);
        var places = Offsets(indices.Shape, [.. strides.Select((stride, at) => at == axis ? 0 : stride)]);
        var values = indices.ToInts();
        for (var place = 0; place < places.Length; place++)
        {
            places[place] += operation.Axis(values[place], data.Shape[axis]) * strides[axis];
        }

        return places;
    }

    private static Tensor Read(Tensor data, int[] shape, Func<int, int> source)
    {
        var size = Tensor.SizeOf(data.Type);
        var result = Tensor.Allocate(data.Type, shape, out Span<byte> to);
        for (var place = 0; place < to.Length / size; place++)
        {
            data.Data.Span.Slice(source(place) * size, size).CopyTo(to[(place * size)..]);
        }

        return result;
    }

    private static Tensor Write(Operation operation, Tensor data, Tensor updates, Func<int, int> target)
    {
        var reduction = operation.Node.Text("reduction", "none");
        if (reduction == "none")
        {
            var size = Tensor.SizeOf(data.Type);
            var result = Tensor.Allocate(data.Type, data.Shape, out Span<byte> to);
            data.Data.Span.CopyTo(to);
            for (var place = 0; place < updates.Length; place++)
            {
                updates.Data.Span.Slice(place * size, size).CopyTo(to[(target(place) * size)..]);
            }

            return result;
        }

        var values = data.ToDoubles();
        var changes = updates.ToDoubles();
        for (var place = 0; place < changes.Length; place++)
        {
            ref var value = ref values[target(place)];
            value = reduction switch
            {
                "add" => value + changes[place],
                "mul" => value * changes[place],
                "max" => Math.Max(value, changes[place]),
                "min" => Math.Min(value, changes[place]),
                _ => throw operation.Refuse($"with the reduction '{reduction}' is not supported"),
            };
        }

        return Tensor.FromDoubles(data.Type, data.Shape, values);
    }

    /// <summary>
    /// "bhid,bhjd->bhij": products, summed over the letters that the result does not have (https://onnx.ai/onnx/operators/onnx__Einsum.html). "..." stands for
    /// the axes in front, which broadcast.
    /// </summary>
    private static Tensor Einsum(Operation operation)
    {
        var equation = operation.Node.Text("equation", "").Replace(" ", "", StringComparison.Ordinal);
        var sides = equation.Split("->");
        var terms = sides[0].Split(',');
        if (terms.Length != operation.InputCount || sides.Length > 2 || terms.Length is 0 or > 4)
        {
            throw operation.Refuse($"has the equation '{equation}' for {Counted.Of(operation.InputCount, "input")}");
        }

        var lengths = new Dictionary<char, int>();
        var letters = new char[terms.Length][];
        for (var input = 0; input < terms.Length; input++)
        {
            var shape = operation.Floats(input).Shape;
            letters[input] = Letters(terms[input], shape.Length);
            for (var axis = 0; axis < shape.Length; axis++)
            {
                var known = lengths.GetValueOrDefault(letters[input][axis], 1);
                lengths[letters[input][axis]] = known == 1 ? shape[axis] : shape[axis] == 1 || shape[axis] == known ? known
                    : throw operation.Refuse($"has sides {known} and {shape[axis]} for '{letters[input][axis]}' of '{equation}'");
            }
        }

        // Without an arrow: the broadcast axes, then the letters that stand alone, in their order.
        var front = letters.SelectMany(term => term).Where(letter => letter < 'A').Distinct().Order().ToArray();
        var result = sides.Length == 2 ? Letters(sides[1], sides[1].Replace("...", "", StringComparison.Ordinal).Length + front.Length)
            : [.. front, .. letters.SelectMany(term => term).Where(letter => letter >= 'A').GroupBy(letter => letter).Where(uses => uses.Count() == 1)
                .Select(uses => uses.Key).Order()];
        char[] summed = [.. lengths.Keys.Except(result)];
        if (result.Distinct().Count() != result.Length || !Array.TrueForAll(result, lengths.ContainsKey))
        {
            throw operation.Refuse($"has the equation '{equation}', whose result cannot be told");
        }

        int[] target = [.. result.Select(letter => lengths[letter])];
        if (operation.Skips(target, out var zeros))
        {
            return zeros;
        }

        // Where each result's and each term's factors begin, by input.
        int[][] starts = [.. letters.Select((_, input) => Places(input, result))];
        int[][] steps = [.. letters.Select((_, input) => Places(input, summed))];
        float[][] factors = [.. letters.Select((_, input) => operation.Floats(input).ToFloats())];
        var tensor = NewFloats(target, out _);
        Parallel.For(0, Count(target), at =>
        {
            double sum = 0;
            for (var term = 0; term < steps[0].Length; term++)
            {
                double product = 1;
                for (var input = 0; input < factors.Length; input++)
                {
                    product *= factors[input][starts[input][at] + steps[input][term]];
                }

                sum += product;
            }

            Writable(tensor)[at] = (float)sum;
        });
        return tensor;

        // Digits stand for the axes of "...", counted from its end, so that terms of different ranks agree.
        char[] Letters(string term, int rank)
        {
            var dots = term.IndexOf("...", StringComparison.Ordinal);
            var named = dots < 0 ? term : term.Remove(dots, 3);
            var open = rank - named.Length;
            if (!named.All(char.IsAsciiLetter) || open < 0 || open > 10 || (open > 0 && dots < 0))
            {
                throw operation.Refuse($"has the equation '{equation}' for a tensor of rank {rank}");
            }

            return dots < 0 ? [.. named] : [.. named[..dots], .. Enumerable.Range(0, open).Select(axis => (char)('9' - (open - 1 - axis))), .. named[dots..]];
        }

        int[] Places(int input, char[] over)
        {
            var shape = operation[input].Shape;
            var own = StridesOf(shape);
            return Offsets([.. over.Select(letter => lengths[letter])], [.. over.Select(letter =>
                letters[input].Select((one, axis) => one == letter && shape[axis] != 1 ? own[axis] : 0).Sum())]);
        }
    }

    /// <summary>The part of each matrix above or below a diagonal.</summary>
    private static Tensor Trilu(Operation operation)
    {
        var input = operation[0];
        var shift = operation.Optional(1)?.ToInts()[0] ?? 0;
        var upper = operation.Node.Int("upper", 1) == 1;
        (var rows, var columns) = (input.Shape[^2], input.Shape[^1]);
        var values = input.ToDoubles();
        for (var i = 0; i < values.Length; i++)
        {
            var beyond = (i % columns) - (i / columns % rows) - shift;
            values[i] = upper ? beyond >= 0 ? values[i] : 0 : beyond <= 0 ? values[i] : 0;
        }

        return Tensor.FromDoubles(input.Type, input.Shape, values);
    }

    /// <summary>Sums of what comes before, along an axis.</summary>
    private static Tensor CumSum(Operation operation)
    {
        var input = operation[0];
        var axis = operation.Axis(operation[1].ToInts()[0], input.Shape.Length);
        (var exclusive, var reverse) = (operation.Node.Int("exclusive", 0) == 1, operation.Node.Int("reverse", 0) == 1);
        var step = Count(input.Shape.AsSpan(axis + 1));
        var side = input.Shape[axis];
        var values = input.ToDoubles();
        var sums = new double[values.Length];
        for (var line = 0; line < (side == 0 ? 0 : values.Length / side); line++)
        {
            var start = (line / step * step * side) + (line % step);
            double sum = 0;
            for (var i = 0; i < side; i++)
            {
                var at = start + ((reverse ? side - 1 - i : i) * step);
                sums[at] = exclusive ? sum : sum + values[at];
                sum += values[at];
            }
        }

        return Tensor.FromDoubles(input.Type, input.Shape, sums);
    }

    private static Tensor CastLike(Operation operation) => operation[0].Type == operation[1].Type ? operation[0]
        : operation.Skips(operation[0].Shape, out _) ? Zeros(operation[1].Type, operation[0].Shape)
        : Tensor.FromDoubles(operation[1].Type, operation[0].Shape, operation[0].ToDoubles());

    private static Func<Operation, Tensor[]> Test(Func<double, bool> function) => One(operation => Tensor.FromDoubles(ElementType.Bool, operation[0].Shape,
        Array.ConvertAll(operation[0].ToDoubles(), value => function(value) ? 1d : 0)));
}
