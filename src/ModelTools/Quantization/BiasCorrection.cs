using Whatsit.ModelTools.Formats.Onnx;
using Whatsit.ModelTools.Graphs;

namespace Whatsit.ModelTools.Quantization;

/// <summary>
/// Rounding weights moves the mean of what a layer computes, and layer upon layer the error grows. For each layer in order, the mean of every channel is
/// compared with the float network's on the same photos, and the difference goes into the bias; the next layer is measured with that done.
/// Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (https://arxiv.org/abs/1906.04721), section 4.2, with photos.
/// </summary>
internal static class BiasCorrection
{
    /// <summary>Moves the biases of all layers.</summary>
    /// <param name="network">The network with bytes.</param>
    /// <param name="means">The float network's means per channel, by the name of the layer's value.</param>
    /// <param name="inputs">The photos.</param>
    public static void Apply(Int8Graph network, IReadOnlyDictionary<string, double[]> means, IReadOnlyList<Tensor> inputs)
    {
        Graph graph = network.Graph;
        IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes = Shapes.Infer(graph);
        Dictionary<string, int> waiting = graph.Nodes.SelectMany(node => node.Inputs).CountBy(value => value).ToDictionary(StringComparer.Ordinal);

        // What is computed with corrected biases already, per photo: bytes only, which are a quarter of the floats. Each layer is run on its own from there.
        var known = new Dictionary<string, Tensor[]>(StringComparer.Ordinal) { [graph.Inputs[0].Name] = [.. inputs] };
        var done = new HashSet<Node>();
        foreach (Int8Graph.Layer layer in network.Layers)
        {
            HashSet<string> given = [.. known.Keys];
            Graph upTo = Subgraph.Of(graph, shapes, given, [layer.Output]);
            string[] bytes = [.. upTo.Nodes.Where(node => node.Op == "QuantizeLinear").Select(node => node.Outputs[0])];
            Graph part = Subgraph.Of(graph, shapes, given, [layer.Output, .. bytes]);
            var mean = new ChannelMean(layer.Bias.Length);
            Tensor[][] computed = [.. bytes.Select(_ => new Tensor[inputs.Count])];
            using (var runner = new OnnxRunner(part))
            {
                for (int photo = 0; photo < inputs.Count; photo++)
                {
                    IReadOnlyDictionary<string, Tensor> results = runner.Run(part.Inputs.ToDictionary(input => input.Name, input => known[input.Name][photo]));
                    mean.Add(results[layer.Output]);
                    for (int value = 0; value < bytes.Length; value++)
                    {
                        computed[value][photo] = results[bytes[value]];
                    }
                }
            }

            double[] wanted = means[layer.Source];
            layer.Move([.. mean.Values.Select((value, channel) => wanted[channel] - value)]);

            // Keep the bytes that later layers read, let go of those that only this part did. The layer itself runs again, with its new bias, in the next.
            for (int value = 0; value < bytes.Length; value++)
            {
                known[bytes[value]] = computed[value];
            }

            foreach (Node node in Subgraph.Of(graph, shapes, given, bytes).Nodes.Where(done.Add))
            {
                foreach (string input in node.Inputs)
                {
                    if (--waiting[input] == 0 && input != graph.Inputs[0].Name)
                    {
                        known.Remove(input);
                    }
                }
            }
        }
    }
}

/// <summary>The mean of each channel of [N, C, …] over everything else.</summary>
internal sealed class ChannelMean(int channels)
{
    private readonly double[] _sums = new double[channels];
    private long _count;

    /// <summary>The means.</summary>
    public double[] Values => [.. _sums.Select(sum => sum / Math.Max(1, _count))];

    /// <summary>Takes a tensor in.</summary>
    public void Add(Tensor tensor)
    {
        ReadOnlySpan<float> values = tensor.As<float>();
        int area = values.Length / channels / tensor.Shape[0];
        for (int start = 0, plane = 0; start < values.Length; start += area, plane++)
        {
            double sum = 0;
            foreach (float value in values.Slice(start, area))
            {
                sum += value;
            }

            _sums[plane % channels] += sum;
        }

        _count += (long)area * tensor.Shape[0];
    }
}
