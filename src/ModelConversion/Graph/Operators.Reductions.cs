using Whatsit.Inference;

namespace Whatsit.ModelConversion.Graphs;

internal static partial class Operators
{
    private static Func<Operation, Tensor[]> Reduction(Func<double, double, double> combine, double start, Func<double, int, double>? finish = null) =>
        operation =>
    {
        var input = operation[0];
        var rank = input.Shape.Length;
        var axes = operation.Ints("axes", 1) ?? [];
        if (axes.Length == 0 && operation.Node.Int("noop_with_empty_axes", 0) == 1)
        {
            return [input];
        }

        HashSet<int> reduced = axes.Length == 0 ? [.. Enumerable.Range(0, rank)] : [.. axes.Select(axis => operation.Axis(axis, rank))];
        int[] kept = [.. input.Shape.Select((side, axis) => reduced.Contains(axis) ? 1 : side)];
        var keep = operation.Node.Int("keepdims", 1) == 1;
        var shape = keep ? kept : [.. input.Shape.Where((_, axis) => !reduced.Contains(axis))];
        if (operation.Skips(input.Shape, out _))
        {
            return [Zeros(input.Type, shape)];
        }

        var keptStrides = StridesOf(kept);
        var targets = Offsets(input.Shape, [.. keptStrides.Select((stride, axis) => reduced.Contains(axis) ? 0 : stride)]);
        var results = new double[Count(kept)];
        Array.Fill(results, start);
        var x = input.ToDoubles();
        for (var i = 0; i < x.Length; i++)
        {
            results[targets[i]] = combine(results[targets[i]], x[i]);
        }

        if (finish is not null)
        {
            var count = results.Length == 0 ? 0 : x.Length / results.Length;
            results = Array.ConvertAll(results, result => finish(result, count));
        }

        return [Tensor.FromDoubles(input.Type, shape, results)];
    };

    private static Tensor ArgBest(Operation operation, Func<double, double, bool> better)
    {
        var axis = operation.Axis(operation.Node.Int("axis", 0), operation[0].Shape.Length);
        var last = operation.Node.Int("select_last_index", 0) == 1;
        var indices = new List<long>();
        foreach (var line in Lines(operation[0], axis))
        {
            var best = 0;
            for (var i = 1; i < line.Length; i++)
            {
                best = better(line[i], line[best]) || (last && line[i] == line[best]) ? i : best;
            }

            indices.Add(best);
        }

        int[] shape = [.. operation[0].Shape];
        shape[axis] = 1;
        var result = Tensor.Int64(shape, [.. indices]);
        return operation.Node.Int("keepdims", 1) == 1 ? result : result with { Shape = [.. shape.Where((_, i) => i != axis)] };
    }

    private static Tensor Softmax(Operation operation) => AlongAxis(operation, line =>
    {
        var max = line.Max();
        var sum = line.Sum(x => Math.Exp(x - max));
        return Array.ConvertAll(line, x => Math.Exp(x - max) / sum);
    });

    private static Tensor LogSoftmax(Operation operation) => AlongAxis(operation, line =>
    {
        var max = line.Max();
        var logSum = Math.Log(line.Sum(x => Math.Exp(x - max)));
        return Array.ConvertAll(line, x => x - max - logSum);
    });

    private static Tensor AlongAxis(Operation operation, Func<double[], double[]> function)
    {
        var input = operation.Floats(0);
        var axis = operation.Axis(operation.Node.Int("axis", -1), input.Shape.Length);
        if (operation.Skips(input.Shape, out var zeros))
        {
            return zeros;
        }

        var result = NewFloats(input.Shape, out var y);
        var stride = Count(input.Shape.AsSpan(axis + 1));
        var side = input.Shape[axis];
        var number = 0;
        foreach (var line in Lines(input, axis))
        {
            var changed = function(line);
            var start = (number / stride * side * stride) + (number % stride);
            for (var i = 0; i < side; i++)
            {
                y[start + (i * stride)] = (float)changed[i];
            }

            number++;
        }

        return result;
    }

    /// <summary>Every line of elements along an axis, in the row-major order of the other axes.</summary>
    private static IEnumerable<double[]> Lines(Tensor tensor, int axis)
    {
        var x = tensor.ToDoubles();
        var side = tensor.Shape[axis];
        var stride = Count(tensor.Shape.AsSpan(axis + 1));
        for (var line = 0; side > 0 && line < x.Length / side; line++)
        {
            var start = (line / stride * side * stride) + (line % stride);
            yield return Generate(side, i => x[start + (i * stride)]);
        }
    }

    private static Tensor BatchNormalization(Operation operation)
    {
        if (operation.Node.Int("training_mode", 0) == 1)
        {
            throw operation.Refuse("in training mode is not supported");
        }

        // y = (x - mean) / sqrt(variance + epsilon) * scale + bias, per channel
        var input = operation.Floats(0);
        double epsilon = operation.Node.Float("epsilon", 1e-5f);
        double[][] parameters = [.. Enumerable.Range(1, 4).Select(i => operation[i].ToDoubles())];
        var axis = operation.Node.ChannelsLast ? input.Shape.Length - 1 : Math.Min(1, input.Shape.Length - 1);
        var channels = input.Shape[axis];
        if (parameters.Any(parameter => parameter.Length != channels))
        {
            throw operation.Refuse($"has {Counted.Of(parameters[0].Length, "channel")} for an input of {channels}");
        }

        if (operation.Skips(input.Shape, out var zeros))
        {
            return zeros;
        }

        var run = Count(input.Shape.AsSpan(axis + 1));
        var x = input.As<float>();
        var result = NewFloats(input.Shape, out var y);
        for (int start = 0, channel = 0; start < y.Length; start += run, channel = (channel + 1) % channels)
        {
            var factor = parameters[0][channel] / Math.Sqrt(parameters[3][channel] + epsilon);
            var offset = parameters[1][channel] - (parameters[2][channel] * factor);
            for (var i = start; i < start + run; i++)
            {
                y[i] = (float)((x[i] * factor) + offset);
            }
        }

        return result;
    }

    private static Tensor LayerNormalization(Operation operation)
    {
        var input = operation.Floats(0);
        double epsilon = operation.Node.Float("epsilon", 1e-5f);
        var axis = operation.Axis(operation.Node.Int("axis", -1), input.Shape.Length);
        if (operation.Skips(input.Shape, out var zeros))
        {
            return zeros;
        }

        var run = Count(input.Shape.AsSpan(axis));
        var scale = ExpandTo(operation[1], input.Shape[axis..]).ToFloats();
        var bias = operation.Optional(2) is { } given ? ExpandTo(given, input.Shape[axis..]).ToFloats() : null;
        var x = input.As<float>();
        var result = NewFloats(input.Shape, out var y);
        for (var start = 0; start < y.Length; start += run)
        {
            double mean = 0;
            double square = 0;
            for (var i = start; i < start + run; i++)
            {
                mean += x[i] / (double)run;
            }

            for (var i = start; i < start + run; i++)
            {
                square += (x[i] - mean) * (x[i] - mean) / run;
            }

            var factor = 1 / Math.Sqrt(square + epsilon);
            for (var i = 0; i < run; i++)
            {
                y[start + i] = (float)(((x[start + i] - mean) * factor * scale[i]) + (bias?[i] ?? 0));
            }
        }

        return result;
    }

    /// <summary>Each channel of each picture by its own mean and variance.</summary>
    private static Tensor InstanceNormalization(Operation operation)
    {
        var input = operation.Floats(0);
        if (operation.Skips(input.Shape, out var zeros))
        {
            return zeros;
        }

        double epsilon = operation.Node.Float("epsilon", 1e-5f);
        var area = Count(input.Shape.AsSpan(2));
        var scale = operation.Floats(1).As<float>();
        var bias = operation.Floats(2).As<float>();
        var x = input.As<float>();
        var result = NewFloats(input.Shape, out var y);
        for (var plane = 0; plane < input.Shape[0] * input.Shape[1]; plane++)
        {
            var from = x.Slice(plane * area, area);
            double mean = 0;
            double square = 0;
            foreach (var value in from)
            {
                mean += value / (double)area;
            }

            foreach (var value in from)
            {
                square += (value - mean) * (value - mean) / area;
            }

            var factor = scale[plane % input.Shape[1]] / Math.Sqrt(square + epsilon);
            for (var i = 0; i < area; i++)
            {
                y[(plane * area) + i] = (float)(((from[i] - mean) * factor) + bias[plane % input.Shape[1]]);
            }
        }

        return result;
    }
}
