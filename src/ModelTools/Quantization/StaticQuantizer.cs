using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.ModelTools.Formats;
using Whatsit.ModelTools.Formats.Onnx;
using Whatsit.ModelTools.Graphs;
using Whatsit.ModelTools.Passes;

namespace Whatsit.ModelTools.Quantization;

/// <summary>How near a way of quantizing comes to the float network on photos that it was not calibrated with.</summary>
/// <param name="Method">How ranges were chosen.</param>
/// <param name="DenseLayers">Whether dense layers compute with bytes, too.</param>
/// <param name="Divergence">The mean Kullback–Leibler divergence from the float network's probabilities, in nats; 0 is the same answer.</param>
/// <param name="Agreement">The share of photos with the same best label.</param>
internal sealed record Trial(RangeMethod Method, bool DenseLayers, double Divergence, double Agreement);

/// <summary>
/// Float network and photos in, network with bytes out:
/// <code>
///   photos ─► ranges and moments of every activation ─┬► min-max ─► bytes ─► corrected ─┐      
///                                                   ├► percentile ─► …                       ├► the nearest to the float network
///                                                   └► mean squared error ─► …               ┘
/// </code>
/// </summary>
internal sealed class StaticQuantizer
{
    // Dense layers become bytes only where that changes the answers by less than this beyond what the convolutions did.
    private const double AllowedForDenseLayers = 1.02;

    // One in so many photos judges what the others calibrated.
    private const int JudgeEvery = 5;

    private readonly Graph _graph;
    private readonly QuantizationPlan _plan;
    private readonly IReadOnlyList<Tensor> _photos;
    private readonly IReadOnlyList<Tensor> _judges;
    private readonly string _output;
    private readonly OutputKind _kind;
    private readonly Action<string> _progress;
    private readonly Dictionary<string, ActivationRange> _ranges = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ChannelMoments> _moments = new(StringComparer.Ordinal);
    private readonly List<float[]> _answers = [];

    private StaticQuantizer(Graph graph, OutputSpec output, IReadOnlyList<Tensor> photos, Action<string> progress)
    {
        if (graph.Nodes.Exists(node => node.Op is "QuantizeLinear" or "DequantizeLinear"))
        {
            throw new ModelFormatException("The model computes with bytes already.");
        }

        Prepare(graph);
        (_graph, _output, _kind, _progress) = (graph, output.Name, output.Kind, progress);

        // Ranges that hold everything seen look best on what was seen: the choice is made on others.
        bool enough = photos.Count >= 2 * JudgeEvery;
        _judges = enough ? [.. photos.Where((_, photo) => photo % JudgeEvery == 0)] : photos;
        _photos = enough ? [.. photos.Where((_, photo) => photo % JudgeEvery != 0)] : photos;
        _plan = new QuantizationPlan(graph);
    }

    /// <summary>Quantizes a network; its inputs and outputs stay what they are.</summary>
    /// <param name="graph">A float network as it stands in a bundle. It is rewritten where that makes it simpler.</param>
    /// <param name="output">Its main output.</param>
    /// <param name="photos">Calibration photos as input tensors of one picture each.</param>
    /// <param name="progress">Says what is going on.</param>
    public static (Graph Graph, IReadOnlyList<Trial> Trials) Quantize(Graph graph, OutputSpec output, IReadOnlyList<Tensor> photos, Action<string> progress)
    {
        var quantizer = new StaticQuantizer(graph, output, photos, progress);
        quantizer.Observe();
        var trials = new List<(Trial Trial, Graph Graph)>();
        foreach (RangeMethod method in Enum.GetValues<RangeMethod>())
        {
            trials.Add(quantizer.Try(method, denseLayers: false));
        }

        (Trial trial, Graph best) = trials.MinBy(candidate => candidate.Trial.Divergence);
        if (quantizer._plan.Classifiers.Any(layer => layer.Op == "Gemm"))
        {
            trials.Add(quantizer.Try(trial.Method, denseLayers: true));
            best = trials[^1].Trial.Divergence <= trial.Divergence * AllowedForDenseLayers ? trials[^1].Graph : best;
        }

        // The chosen one first.
        return (best, [.. trials.OrderByDescending(candidate => candidate.Graph == best).Select(candidate => candidate.Trial)]);
    }

    /// <summary>Folds what a training left between convolutions.</summary>
    private static void Prepare(Graph graph)
    {
        FoldConstants.Apply(graph);
        RemoveIdentity.Apply(graph);
        FoldBatchNorm.Apply(graph);
        FuseActivations.Apply(graph);
    }

    /// <summary>Runs the float network over the photos: extremes and moments first, then histograms; and what it answers.</summary>
    private void Observe()
    {
        string[] dense = [.. _plan.Classifiers.Where(layer => layer.Op == "Gemm").Select(layer => layer.Inputs[0])];
        string[] ranged = [.. _plan.Values.Where(value => _plan.Origin(value) == value).Concat(dense).Distinct()];
        Node[] layers = [.. _plan.Convolutions, .. _plan.Classifiers];
        foreach (string value in ranged)
        {
            _ranges[value] = new ActivationRange();
        }

        foreach (Node layer in layers)
        {
            _moments[layer.Outputs[0]] = new ChannelMoments(_plan.Shapes[layer.Outputs[0]].Shape[1]);
        }

        HashSet<string> given = [_graph.Inputs[0].Name];
        Graph watched = Subgraph.Of(_graph, _plan.Shapes, given, ranged.Concat(_moments.Keys).Where(value => !given.Contains(value)));
        using var runner = new OnnxRunner(watched);
        for (int photo = 0; photo < _photos.Count; photo++)
        {
            _progress($"Calibrating: photo {photo + 1} of {_photos.Count}");
            Dictionary<string, Tensor> seen = Watch(runner, photo);
            foreach (string value in ranged)
            {
                _ranges[value].Extend(seen[value].As<float>());
            }

            foreach ((string value, ChannelMoments moments) in _moments)
            {
                moments.Add(seen[value]);
            }
        }

        for (int photo = 0; photo < _photos.Count; photo++)
        {
            _progress($"Calibrating: histograms, photo {photo + 1} of {_photos.Count}");
            Dictionary<string, Tensor> seen = Watch(runner, photo);
            foreach (string value in ranged)
            {
                _ranges[value].Count(seen[value].As<float>());
            }
        }

        _answers.AddRange(Answers(_graph));
    }

    private Dictionary<string, Tensor> Watch(OnnxRunner runner, int photo)
    {
        string input = _graph.Inputs[0].Name;
        return new Dictionary<string, Tensor>(runner.Run(new Dictionary<string, Tensor> { [input] = _photos[photo] }), StringComparer.Ordinal) { [input] = _photos[photo] };
    }

    private (Trial Trial, Graph Graph) Try(RangeMethod method, bool denseLayers)
    {
        string name = $"{Name(method)}{(denseLayers ? ", dense layers too" : "")}";
        _progress($"Quantizing: {name}");
        Dictionary<string, (float Min, float Max)> ranges = _ranges.ToDictionary(range => range.Key, range => _plan.Limit(range.Key, range.Value.Choose(method)), StringComparer.Ordinal);
        var network = Int8Graph.Write(_graph, _plan, ranges, denseLayers);
        _progress($"Correcting: {name}");
        ChannelCorrection.Apply(network, _moments, _photos);

        _progress($"Comparing with the float network: {name}");
        float[][] answers = Answers(network.Graph);
        return (new Trial(
            method, denseLayers,
            answers.Zip(_answers, (actual, expected) => Divergence(expected, actual)).Average(),
            answers.Zip(_answers, (actual, expected) => Array.IndexOf(actual, actual.Max()) == Array.IndexOf(expected, expected.Max()) ? 1d : 0).Average()), network.Graph);
    }

    private float[][] Answers(Graph graph)
    {
        using var runner = new OnnxRunner(graph);
        return [.. _judges.Select(photo => Probabilities(runner.Run(new Dictionary<string, Tensor> { [graph.Inputs[0].Name] = photo }, _output)[_output]))];
    }

    /// <summary>The method as people call it.</summary>
    public static string Name(RangeMethod method) => method switch
    {
        RangeMethod.MinMax => "min-max",
        RangeMethod.Percentile => "percentile",
        _ => "mean squared error",
    };

    private float[] Probabilities(Tensor scores)
    {
        float[] probabilities = scores.ToFloats();
        if (_kind == OutputKind.Logits)
        {
            Softmax.Apply(probabilities);
        }

        return probabilities;
    }

    /// <summary>Σ p · ln(p ÷ q)</summary>
    private static double Divergence(float[] expected, float[] actual)
    {
        double sum = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            sum += expected[i] > 0 ? expected[i] * Math.Log(expected[i] / Math.Max(actual[i], 1e-9)) : 0;
        }

        return sum;
    }
}
