using System.Runtime.InteropServices;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Folds what multiplies and shifts whole channels (batch normalisation, Mul, Div, Add, Sub by constants) into the weights and biases of the
/// convolution or dense layer before it, or after it where that is exact.
/// </summary>
public static class FoldBatchNorm
{
    /// <summary>Works on constant float weights; quantized ones are left alone.</summary>
    public static void Apply(Graph graph)
    {
        MatMulToGemm(graph);
        var builder = new GraphBuilder(graph);
        var wiring = new Wiring(graph);
        var garbage = new Garbage();
        foreach (var node in graph.Nodes.ToArray())
        {
            garbage.CollectIfMuch();
            while (Layer.Of(graph, wiring, node) is { } layer && wiring.OnlyConsumer(node.Outputs[0]) is { } next
                && Affine.Of(graph, next, node.Outputs[0], layer.OutputChannels, layer.Rank, layer.ChannelAxis) is { } after)
            {
                layer.FoldAfter(builder, wiring, after);
                if (!wiring.Bypass(next, node.Outputs[0]))
                {
                    break;
                }
            }
        }

        // Backwards, so that of a chain before a convolution the nearest is folded first.
        foreach (var node in Enumerable.Reverse(graph.Nodes).ToArray())
        {
            garbage.CollectIfMuch();
            if (node.Outputs.Count == 1 && wiring.OnlyConsumer(node.Outputs[0]) is { } next && next.Inputs[0] == node.Outputs[0]
                && Layer.Of(graph, wiring, next) is { } layer
                && DataInput(graph, node) is { } data && Affine.Of(graph, node, data, layer.InputChannels, layer.Rank, layer.ChannelAxis) is { } before
                && layer.CanFoldBefore(before))
            {
                layer.FoldBefore(builder, wiring, before);
                wiring.Bypass(node, data);
            }
        }

        DeadCode.Apply(graph);
    }

    private static string? DataInput(Graph graph, Node node) => node.Inputs.FirstOrDefault(input => input.Length > 0 && !graph.Constants.ContainsKey(input));

    /// <summary>A dense layer on rank 2 written as MatMul becomes Gemm, which has room for a bias.</summary>
    private static void MatMulToGemm(Graph graph)
    {
        if (!graph.Nodes.Any(node => node.Op == "MatMul"))
        {
            return;
        }

        var shapes = Shapes.Infer(graph);
        foreach (var node in graph.Nodes.Where(node => node.Op == "MatMul"))
        {
            if (shapes[node.Inputs[0]].Shape.Length == 2 && graph.Constants.TryGetValue(node.Inputs[1], out var weights)
                && weights is { Type: ElementType.Float32, Shape.Length: 2 })
            {
                node.Op = "Gemm";
            }
        }
    }

    /// <summary>x · scale + shift per channel.</summary>
    private sealed record Affine(double[] Scale, double[] Shift)
    {
        /// <summary>What a node does to <paramref name="data"/>, if it is such a thing.</summary>
        public static Affine? Of(Graph graph, Node node, string data, int channels, int rank, int channelAxis)
        {
            if (node.Op == "BatchNormalization")
            {
                double[]?[] parameters = [.. Enumerable.Range(1, 4)
                    .Select(input => input < node.Inputs.Count ? graph.Constants.GetValueOrDefault(node.Inputs[input])?.ToDoubles() : null)];
                if (node.Inputs[0] != data || node.Int("training_mode", 0) != 0 || (node.ChannelsLast ? rank - 1 : 1) != channelAxis
                    || parameters.Any(parameter => parameter?.Length != channels))
                {
                    return null;
                }

                double epsilon = node.Float("epsilon", 1e-5f);
                double[] scale = [.. parameters[0]!.Zip(parameters[3]!, (gamma, variance) => gamma / Math.Sqrt(variance + epsilon))];
                return new Affine(scale, [.. Enumerable.Range(0, channels).Select(i => parameters[1]![i] - (parameters[2]![i] * scale[i]))]);
            }

            if (node.Op is not ("Mul" or "Div" or "Add" or "Sub") || node.Inputs.Count != 2)
            {
                return null;
            }

            var constantFirst = node.Inputs[1] == data;
            if (!graph.Constants.TryGetValue(node.Inputs[constantFirst ? 0 : 1], out var constant)
                || PerChannel(constant, channels, rank, channelAxis) is not { } values)
            {
                return null;
            }

            double[] ones = [.. Enumerable.Repeat(1d, channels)];
            return node.Op switch
            {
                "Mul" => new Affine(values, new double[channels]),
                "Add" => new Affine(ones, values),
                "Sub" when constantFirst => new Affine(Array.ConvertAll(ones, one => -one), values),
                "Sub" => new Affine(ones, Array.ConvertAll(values, value => -value)),
                "Div" when !constantFirst => new Affine(Array.ConvertAll(values, value => 1 / value), new double[channels]),
                _ => null,
            };
        }

        /// <summary>The constant as one number per channel, if it broadcasts like that.</summary>
        private static double[]? PerChannel(Tensor constant, int channels, int rank, int channelAxis)
        {
            if (constant.Type != ElementType.Float32 || constant.Shape.Length > rank)
            {
                return null;
            }

            var values = constant.ToDoubles();
            if (values.Length == 1)
            {
                return [.. Enumerable.Repeat(values[0], channels)];
            }

            var ownAxis = channelAxis - (rank - constant.Shape.Length);
            return ownAxis >= 0 && values.Length == channels && constant.Shape[ownAxis] == channels ? values : null;
        }
    }

    /// <summary>A convolution or dense layer with constant weights, seen as a matrix from input channels to output channels.</summary>
    private sealed class Layer
    {
        private readonly Graph _graph;
        private readonly Node _node;
        private readonly Tensor _weights;
        private readonly Tensor? _bias;

        private Layer(Graph graph, Node node, Tensor weights, Tensor? bias)
        {
            (_graph, _node, _weights, _bias) = (graph, node, weights, bias);
            var groups = (int)node.Int("group", 1);
            (InputChannels, OutputChannels) = node.Op switch
            {
                "Conv" => (weights.Shape[1] * groups, weights.Shape[0]),
                "ConvTranspose" => (weights.Shape[0], weights.Shape[1] * groups),
                _ => node.Int("transB", 0) == 1 ? (weights.Shape[1], weights.Shape[0]) : (weights.Shape[0], weights.Shape[1]),
            };
        }

        public int InputChannels { get; }

        public int OutputChannels { get; }

        public int Rank => _node.Op == "Gemm" ? 2 : 4;

        public int ChannelAxis => _node.ChannelsLast ? 3 : 1;

        public static Layer? Of(Graph graph, Wiring wiring, Node node)
        {
            if (node.Op is not ("Conv" or "ConvTranspose" or "Gemm") || wiring.Constant(node, 1) is not { Type: ElementType.Float32 } weights
                || weights.Shape.Length != (node.Op == "Gemm" ? 2 : 4)
                || (node.Op == "Gemm" && (node.Float("alpha", 1) != 1 || node.Float("beta", 1) != 1 || node.Int("transA", 0) != 0)))
            {
                return null;
            }

            if (node.Inputs.Count <= 2 || node.Inputs[2].Length == 0)
            {
                return new Layer(graph, node, weights, null);
            }

            var layer = new Layer(graph, node, weights, wiring.Constant(node, 2));
            return layer._bias is { Type: ElementType.Float32 } bias && bias.Length == layer.OutputChannels && bias.Shape.Length <= 2
                && bias.Shape[^1] == bias.Length ? layer : null;
        }

        public void FoldAfter(GraphBuilder builder, Wiring wiring, Affine affine)
        {
            Replace(builder, wiring, (input, output) => affine.Scale[output], output => (BiasAt(output) * affine.Scale[output]) + affine.Shift[output]);
        }

        /// <summary>A shift before a padded convolution would not reach the padding.</summary>
        public bool CanFoldBefore(Affine affine) => _node.Op != "ConvTranspose"
            && (_node.Op == "Gemm" || affine.Shift.All(shift => shift == 0)
                || (_node.Text("auto_pad", "NOTSET") is "NOTSET" or "VALID" && (_node.Ints("pads") ?? []).All(pad => pad == 0)));

        public void FoldBefore(GraphBuilder builder, Wiring wiring, Affine affine)
        {
            var shift = new double[OutputChannels];
            ForEachWeight((input, output, value) => shift[output] += value * affine.Shift[input]);
            Replace(builder, wiring, (input, output) => affine.Scale[input], output => BiasAt(output) + shift[output]);
        }

        private double BiasAt(int output) => _bias?.As<float>()[output] ?? 0;

        private void Replace(GraphBuilder builder, Wiring wiring, Func<int, int, double> factor, Func<int, double> biasAt)
        {
            var scaled = new byte[_weights.Data.Length];
            var at = 0;
            ForEachWeight((input, output, value) => MemoryMarshal.Cast<byte, float>(scaled.AsSpan())[at++] = (float)(value * factor(input, output)));
            float[] bias = [.. Enumerable.Range(0, OutputChannels).Select(output => (float)biasAt(output))];

            var weightName = _node.Inputs[1];
            var shared = wiring.Consumers(weightName).Count > 1 || wiring.IsOutput(weightName);
            var weights = new Tensor(ElementType.Float32, _weights.Shape, scaled);
            if (shared)
            {
                wiring.SetInput(_node, 1, builder.AddConstant(weightName, weights));
            }
            else
            {
                _graph.Constants[weightName] = weights; // in place: a chain of folds must not leave copies of every weight behind
            }

            if (_bias is not null || Array.Exists(bias, value => value != 0))
            {
                wiring.SetInput(_node, 2, builder.AddConstant(_node.Name + "_bias", bias, bias.Length));
            }
        }

        /// <summary>Every weight in memory order, with the channels that it joins.</summary>
        private void ForEachWeight(Action<int, int, float> action)
        {
            var values = _weights.As<float>();
            var shape = _weights.Shape;
            var area = Rank == 4 ? shape[2] * shape[3] : 1;
            var groups = (int)_node.Int("group", 1);
            var groupInputs = InputChannels / groups;
            var groupOutputs = OutputChannels / groups;
            for (var i = 0; i < values.Length; i++)
            {
                (var first, var second) = (i / area / shape[1], i / area % shape[1]);
                (var input, var output) = _node.Op switch
                {
                    "Conv" => ((first / groupOutputs * groupInputs) + second, first),
                    "ConvTranspose" => (first, (first / groupInputs * groupOutputs) + second),
                    _ => _node.Int("transB", 0) == 1 ? (second, first) : (first, second),
                };
                action(input, output, values[i]);
            }
        }
    }
}
