using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Preparation;

/// <summary>The beginning of a network up to its first layer, cut off, and what training recorded of that layer's results.</summary>
internal sealed class StemNetwork
{
    private readonly Graph _graph;
    private readonly PictureInput _input;
    private readonly (double[] Mean, double[] Variance) _recorded;
    private readonly double[] _shift;
    private readonly bool _rectified;
    private readonly int _channelAxis;

    private StemNetwork(Graph graph, PictureInput input, Stem stem, double[] shift)
    {
        (_graph, _input, _recorded, _shift, _rectified) = (graph, input, stem.Recorded!.Value, shift, stem.Rectified);
        _channelAxis = stem.First!.ChannelsLast ? 3 : 1;
    }

    /// <summary>Cuts it off, where there are records; the whole network may be changed afterwards.</summary>
    public static StemNetwork? Of(Graph graph, PictureInput input)
    {
        var stem = Stem.Of(graph, input);
        if (stem is not { Recorded: not null, First: { } first, Weights: not null } || input.Type != ElementType.Float32)
        {
            return null;
        }

        var part = new Graph { Name = "stem" };
        var needed = new HashSet<string>(StringComparer.Ordinal) { first.Outputs[0] };
        foreach (var node in Enumerable.Reverse(graph.Nodes).Where(node => node.Outputs.Exists(needed.Contains)))
        {
            needed.UnionWith(node.Inputs);
            var copy = new Node(node.Op, node.Name, node.Inputs, node.Outputs) { ChannelsLast = node.ChannelsLast };
            foreach ((var name, var value) in node.Attributes)
            {
                copy.Attributes.Add(name, value);
            }

            part.Nodes.Insert(0, copy);
        }

        foreach (var name in needed.Where(graph.Constants.ContainsKey))
        {
            part.Constants.Add(name, graph.Constants[name]);
        }

        part.Inputs.AddRange(graph.Inputs);
        part.Outputs.Add(new GraphValue(first.Outputs[0], ElementType.Float32, [-1, -1, -1, -1]));

        // A bias behind the layer belongs to what was recorded.
        var own = first.Inputs.Count > 2 ? graph.Constants[first.Inputs[2]].ToDoubles() : new double[stem.Bias.Length];
        return new StemNetwork(part, input, stem, [.. stem.Bias.Zip(own, (whole, inside) => whole - inside)]);
    }

    /// <summary>How many channels the network looks at.</summary>
    public int Channels => Math.Max(1, _input.Channels);

    /// <summary>How far from the records the results for photos are under each scaling.</summary>
    /// <param name="photos">Each as pixels, [height, width, 3], in the size of the network's input.</param>
    /// <param name="scalings">The scalings.</param>
    public double[] Distances(IReadOnlyList<byte[]> photos, IReadOnlyList<Scaling> scalings)
    {
        PassOrder.Apply(_graph);
        using var runner = new OnnxRunner(_graph);
        var distances = new double[scalings.Count];
        for (var scaling = 0; scaling < scalings.Count; scaling++)
        {
            var spec = scalings[scaling].With(new PreprocessingSpec());
            var channels = _shift.Length;
            var (sums, squares, counted) = (new double[channels], new double[channels], 0L);
            foreach (var pixels in photos)
            {
                var results = runner.Run(new Dictionary<string, Tensor> { [_input.Name] = Proof.ToInput(pixels, _input, spec) }).Values.Single();
                Add(results, sums, squares);
                counted += results.Length / channels;
            }

            double[] means = [.. sums.Select(sum => sum / counted)];
            distances[scaling] = StemEvidence.Distance(_recorded, means,
                [.. squares.Select((square, channel) => Math.Max(0, (square / counted) - (means[channel] * means[channel])))], isNormal: false);
        }

        return distances;
    }

    private void Add(Tensor results, double[] sums, double[] squares)
    {
        var values = results.As<float>();
        var area = values.Length / sums.Length;
        for (var channel = 0; channel < sums.Length; channel++)
        {
            (var first, var step) = _channelAxis == 3 ? (channel, sums.Length) : (channel * area, 1);
            (double sum, double square) = (0, 0);
            for (var pixel = 0; pixel < area; pixel++)
            {
                var value = values[first + (pixel * step)] + _shift[channel];
                value = _rectified ? Math.Max(0, value) : value;
                sum += value;
                square += value * value;
            }

            sums[channel] += sum;
            squares[channel] += square;
        }
    }
}
