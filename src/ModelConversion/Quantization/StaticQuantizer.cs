using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Quantization;

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
    // Dense layers become bytes only where that adds less than this share to what the convolutions changed.
    private const double AllowedForDenseLayers = 1.15;

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
        var enough = photos.Count >= 2 * JudgeEvery;
        _judges = enough ? [.. photos.Where((_, photo) => photo % JudgeEvery == 0)] : photos;
        _photos = enough ? [.. photos.Where((_, photo) => photo % JudgeEvery != 0)] : photos;
        _plan = new QuantizationPlan(graph);
        if (MakeDense(graph, _plan))
        {
            _plan = new QuantizationPlan(graph);
        }

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
        foreach (var method in Enum.GetValues<RangeMethod>())
        {
            trials.Add(quantizer.Try(method, denseLayers: false));
        }

        (var trial, var best) = trials.MinBy(candidate => candidate.Trial.Divergence);
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

    /// <summary>
    /// A classifier written as a convolution over one pixel, as MobileNet's is, becomes the dense layer that it is: of bytes and with scores in float, which
    /// ONNX Runtime has for dense layers only.
    /// </summary>
    private static bool MakeDense(Graph graph, QuantizationPlan plan)
    {
        var changed = false;
        var builder = new GraphBuilder(graph);
        foreach (var node in plan.Classifiers.Where(layer => layer.Op == "Conv" && layer.Int("group", 1) == 1))
        {
            var weights = graph.Constants[node.Inputs[1]];
            if (weights.Shape is not [var outputs, var inputs, 1, 1] || plan.Shapes[node.Inputs[0]].Shape is not [_, _, 1, 1]
                || plan.Shapes[node.Outputs[0]].Shape is not [_, _, 1, 1])
            {
                continue;
            }

            var flat = builder.Unique(node.Name + "_flat");
            var scores = builder.Unique(node.Name + "_scores");
            var matrix = builder.AddConstant(node.Name + "_matrix", weights with { Shape = [outputs, inputs] });
            var dense = new Node("Gemm", node.Name, [flat, matrix, .. node.Inputs.Skip(2)], [scores]);
            dense.Attributes["transB"] = 1L;
            var at = graph.Nodes.IndexOf(node);
            graph.Nodes.RemoveAt(at);
            graph.Nodes.InsertRange(at,
            [
                new Node("Flatten", node.Name + "_flatten", [node.Inputs[0]], [flat]),
                dense,
                new Node("Reshape", node.Name + "_reshape", [scores, builder.AddInt64Constant(node.Name + "_sides", -1, outputs, 1, 1)], node.Outputs),
            ]);
            changed = true;
        }

        DeadCode.Apply(graph);
        return changed;
    }

    /// <summary>Runs the float network over the photos: extremes and moments first, then histograms; and what it answers.</summary>
    private void Observe()
    {
        string[] dense = [.. _plan.Classifiers.Where(layer => layer.Op == "Gemm").Select(layer => layer.Inputs[0])];
        string[] ranged = [.. _plan.Values.Where(value => _plan.Origin(value) == value).Concat(dense).Distinct()];
        Node[] layers = [.. _plan.Convolutions, .. _plan.Classifiers];
        foreach (var value in ranged)
        {
            _ranges[value] = new ActivationRange();
        }

        foreach (var layer in layers)
        {
            _moments[layer.Outputs[0]] = new ChannelMoments(_plan.Shapes[layer.Outputs[0]].Shape[1]);
        }

        HashSet<string> given = [_graph.Inputs[0].Name];
        var watched = Subgraph.Of(_graph, _plan.Shapes, given, ranged.Concat(_moments.Keys).Where(value => !given.Contains(value)));
        using var runner = new OnnxRunner(watched);
        for (var photo = 0; photo < _photos.Count; photo++)
        {
            _progress($"Calibrating: photo {photo + 1} of {_photos.Count}");
            var seen = Watch(runner, photo);
            foreach (var value in ranged)
            {
                _ranges[value].Extend(seen[value].As<float>());
            }

            foreach ((var value, var moments) in _moments)
            {
                moments.Add(seen[value]);
            }
        }

        for (var photo = 0; photo < _photos.Count; photo++)
        {
            _progress($"Calibrating: histograms, photo {photo + 1} of {_photos.Count}");
            var seen = Watch(runner, photo);
            foreach (var value in ranged)
            {
                _ranges[value].Count(seen[value].As<float>());
            }
        }

        _answers.AddRange(Answers(_graph));
    }

    private Dictionary<string, Tensor> Watch(OnnxRunner runner, int photo)
    {
        var input = _graph.Inputs[0].Name;
        return new Dictionary<string,
            Tensor>(runner.Run(new Dictionary<string, Tensor> { [input] = _photos[photo] }), StringComparer.Ordinal)
        { [input] = _photos[photo] };
    }

    private (Trial Trial, Graph Graph) Try(RangeMethod method, bool denseLayers)
    {
        var name = $"{Name(method)}{(denseLayers ? ", dense layers too" : "")}";
        _progress($"Quantizing: {name}");
        var ranges = _ranges.ToDictionary(range => range.Key, range => _plan.Limit(range.Key, range.Value.Choose(method)), StringComparer.Ordinal);
        var network = Int8Graph.Write(_graph, _plan, ranges, denseLayers);
        _progress($"Correcting: {name}");
        ChannelCorrection.Apply(network, _moments, _photos);

        _progress($"Comparing with the float network: {name}");
        var answers = Answers(network.Graph);
        return (new Trial(
            method, denseLayers,
            answers.Zip(_answers, (actual, expected) => Divergence(expected, actual)).Average(),
            answers.Zip(_answers, (actual, expected) => Array.IndexOf(actual, actual.Max()) == Array.IndexOf(expected, expected.Max()) ? 1d : 0)
                .Average()), network.Graph);
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
        var probabilities = scores.ToFloats();
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
        for (var i = 0; i < expected.Length; i++)
        {
            sum += expected[i] > 0 ? expected[i] * Math.Log(expected[i] / Math.Max(actual[i], 1e-9)) : 0;
        }

        return sum;
    }
}
