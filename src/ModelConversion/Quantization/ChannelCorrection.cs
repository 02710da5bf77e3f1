using System.Numerics.Tensors;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Tensor = Whatsit.ModelConversion.Graphs.Tensor;

namespace Whatsit.ModelConversion.Quantization;

/// <summary>
/// Rounding moves the mean of what a layer computes and narrows its spread, and layer upon layer the error grows: uncorrected, a network of fifty layers
/// is a sixth less sure of everything. For each layer in order, mean and standard deviation of every channel are compared with the float network's on the
/// same photos; the differences go into the bias and into the scale of the weights, and the next layer is measured with that done.
/// Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (https://arxiv.org/abs/1906.04721), section 4.2, with photos, and
/// with the spread as well.
/// </summary>
internal static class ChannelCorrection
{
    // A channel that rounding changed by more than this is better left alone than blown up.
    private const double LargestGain = 1.25;

    /// <summary>Corrects all layers.</summary>
    /// <param name="network">The network with bytes.</param>
    /// <param name="wanted">What the float network's channels are like, by the name of the layer's value, on the same photos.</param>
    /// <param name="inputs">The photos.</param>
    public static void Apply(Int8Graph network, IReadOnlyDictionary<string, ChannelMoments> wanted, IReadOnlyList<Tensor> inputs)
    {
        var graph = network.Graph;
        var shapes = Shapes.Infer(graph);
        var waiting = graph.Nodes.SelectMany(node => node.Inputs).CountBy(value => value).ToDictionary(StringComparer.Ordinal);

        // What is computed with corrected biases already, per photo: bytes only, which are a quarter of the floats. Each layer is run on its own from there.
        var known = new Dictionary<string, Tensor[]>(StringComparer.Ordinal) { [graph.Inputs[0].Name] = [.. inputs] };
        var done = new HashSet<Node>();
        foreach (var layer in network.Layers)
        {
            HashSet<string> given = [.. known.Keys];
            var upTo = Subgraph.Of(graph, shapes, given, [layer.Output]);
            string[] bytes = [.. upTo.Nodes.Where(node => node.Op == "QuantizeLinear").Select(node => node.Outputs[0])];
            var part = Subgraph.Of(graph, shapes, given, [layer.Output, .. bytes]);
            var moments = new ChannelMoments(layer.Bias.Length);
            Tensor[][] computed = [.. bytes.Select(_ => new Tensor[inputs.Count])];
            using (var runner = new OnnxRunner(part))
            {
                for (var photo = 0; photo < inputs.Count; photo++)
                {
                    var results = runner.Run(part.Inputs.ToDictionary(input => input.Name, input => known[input.Name][photo]));
                    moments.Add(results[layer.Output]);
                    for (var value = 0; value < bytes.Length; value++)
                    {
                        computed[value][photo] = results[bytes[value]];
                    }
                }
            }

            Correct(layer, wanted[layer.Source], moments);

            // Keep the bytes that later layers read, let go of those that only this part did. The layer itself runs again, with its new bias, in the next.
            for (var value = 0; value < bytes.Length; value++)
            {
                known[bytes[value]] = computed[value];
            }

            foreach (var node in Subgraph.Of(graph, shapes, given, bytes).Nodes.Where(done.Add))
            {
                foreach (var input in node.Inputs)
                {
                    if (--waiting[input] == 0 && input != graph.Inputs[0].Name)
                    {
                        known.Remove(input);
                    }
                }
            }
        }
    }

    /// <summary>y becomes gain · (y − bias) + new bias, with the wanted mean and standard deviation.</summary>
    private static void Correct(Int8Graph.Layer layer, ChannelMoments wanted, ChannelMoments actual)
    {
        var gains = new double[layer.Bias.Length];
        var biases = new double[layer.Bias.Length];
        for (var channel = 0; channel < gains.Length; channel++)
        {
            var gain = wanted.Deviation(channel) / actual.Deviation(channel);
            gains[channel] = gain is >= 1 / LargestGain and <= LargestGain ? gain : 1; // not a number where a channel is dead
            biases[channel] = wanted.Mean(channel) - (gains[channel] * (actual.Mean(channel) - layer.Bias[channel]));
        }

        layer.Set(gains, biases);
    }
}

/// <summary>Mean and spread of each channel of [N, C, …] over everything else.</summary>
internal sealed class ChannelMoments(int channels)
{
    private readonly double[] _sums = new double[channels];
    private readonly double[] _squares = new double[channels];
    private long _count;

    /// <summary>The mean of a channel.</summary>
    public double Mean(int channel) => _sums[channel] / Math.Max(1, _count);

    /// <summary>The standard deviation of a channel.</summary>
    public double Deviation(int channel) => Math.Sqrt(Math.Max(0, (_squares[channel] / Math.Max(1, _count)) - (Mean(channel) * Mean(channel))));

    /// <summary>Takes a tensor in.</summary>
    public void Add(Tensor tensor)
    {
        var values = tensor.As<float>();
        var area = values.Length / channels / tensor.Shape[0];
        for (int start = 0, plane = 0; start < values.Length; start += area, plane++)
        {
            var channel = values.Slice(start, area);
            _sums[plane % channels] += TensorPrimitives.Sum(channel);
            _squares[plane % channels] += TensorPrimitives.SumOfSquares(channel);
        }

        _count += (long)area * tensor.Shape[0];
    }
}
