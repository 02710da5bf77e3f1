using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>What a classifier offers: its scores, and where the network has them the pooled embedding, the last feature map and the weights between.</summary>
/// <param name="Kind">What the main output holds.</param>
/// <param name="Classes">How many there are.</param>
/// <param name="HasEmbedding">Whether the graph answers with <c>embedding</c>, [N, channels].</param>
/// <param name="HasFeatures">Whether the graph answers with <c>features</c>, [N, channels, height, width].</param>
/// <param name="ClassifierWeights">[classes, channels], where a single dense layer stands between the embedding and the scores.</param>
/// <param name="FromOriginal">What the main output answers where the network as it was read answers with these scores.</param>
/// <param name="Note">What was made of the scores, where that is not plain.</param>
public sealed record ClassifierDescription(OutputKind Kind, int Classes, bool HasEmbedding, bool HasFeatures, Tensor? ClassifierWeights,
    Func<float[], float[]> FromOriginal, string? Note);

/// <summary>
/// Names the outputs of a classifier and adds those that explain it. The network is walked from its scores backwards:
/// <code>
///   features ─► GlobalAveragePool ─► Flatten ─► embedding ─► Gemm (classifier weights) ─► Softmax ─► probabilities
/// </code>
/// </summary>
public static class ClassifierOutputs
{
    /// <summary>The output for the pooled features.</summary>
    public const string Embedding = "embedding";

    /// <summary>The output for the last feature map.</summary>
    public const string Features = "features";

    private const string Logits = "logits";
    private const string Probabilities = "probabilities";

    // Behind these the scores still are what they were, but for their shape, type and limits.
    private static readonly string[] Plain =
        ["Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast", "QuantizeLinear", "DequantizeLinear"];

    /// <summary>All operators must keep channels first already.</summary>
    /// <param name="graph">The graph; its first output is the classifier's.</param>
    /// <param name="addSoftmax">Ends a network that gives logits with a Softmax.</param>
    /// <param name="seen">
    /// Scores of the network for a few pictures: they tell probabilities however a file writes them (Exp ÷ ReduceSum, Softmax and Log, 1 − p beside p).
    /// </param>
    public static ClassifierDescription Apply(Graph graph, bool addSoftmax = false, IReadOnlyList<float[]>? seen = null)
    {
        FloatOutput(graph);
        FlatOutput(graph);

        // The values that get these names may have one of them already, and not their own.
        foreach (var name in (string[])[Logits, Probabilities, Embedding, Features])
        {
            MakeFree(graph, name);
        }

        (var kind, var fromOriginal, var note) = graph.Outputs[0].Shape[^1] == 1 ? TwoClasses(graph) : Classes(graph, addSoftmax, seen ?? []);
        var shapes = Shapes.Infer(graph);
        (var embedding, var features, var weights) = Find(graph, shapes);
        Rename(graph, 0, kind == OutputKind.Logits ? Logits : Probabilities);
        Add(graph, embedding, Embedding, shapes);
        Add(graph, features, Features, shapes);
        return new ClassifierDescription(kind, graph.Outputs[0].Shape[^1], embedding is not null, features is not null, features is null ? null : weights,
            fromOriginal, note);
    }

    /// <summary>
    /// Leaves one output, the scores: the one that is asked for, the one that ends as scores do, or the one that all others lead to.
    /// </summary>
    /// <exception cref="ModelFormatException">Several may be meant, or there is none of the name.</exception>
    public static void Choose(Graph graph, string? name, List<string> notes)
    {
        var names = string.Join(", ", graph.Outputs.Select(output => $"'{output.Name}'"));
        if (name is not null)
        {
            Keep(graph.Outputs.Find(output => output.Name == name) ?? throw new ModelFormatException($"The network has no output '{name}', only {names}."));
            return;
        }

        if (graph.Outputs.Count < 2)
        {
            return;
        }

        var wiring = new Wiring(graph);
        var shapes = Shapes.Infer(graph);
        GraphValue[] candidates =
        [
            .. graph.Outputs.Where(output => shapes.TryGetValue(output.Name, out var value) && value.Type is not (ElementType.Int64 or ElementType.Int32)
                && value.Shape.Count(side => side > 1) <= 1),
        ];
        GraphValue[] endings = [.. candidates.Where(output => Behind(wiring, output.Name, out _, [.. Plain, "Clip"]) is
            { Op: "Softmax" or "LogSoftmax" or "Sigmoid" or "HardSigmoid" } or { Op: "Div", Inputs.Count: 2 })];
        if (endings.Length == 0)
        {
            endings = [.. candidates.Where(output => !candidates.Any(other => other != output && LeadsTo(wiring, output.Name, other.Name)))];
        }

        if (endings is not [var scores])
        {
            throw new ModelFormatException($"The network has the outputs {names}; say with --output which one holds the scores.");
        }

        notes.Add($"Of the outputs {names}, '{scores.Name}' holds the scores.");
        Keep(scores);

        void Keep(GraphValue output)
        {
            graph.Outputs.Clear();
            graph.Outputs.Add(output);
            DeadCode.Apply(graph);
        }
    }

    /// <summary>
    /// A last softmax over the pictures of a batch (axis 0) is a slip that answers nothing about one picture: its numbers are meant to be the classes'.
    /// </summary>
    public static void AlongClasses(Graph graph, List<string> notes)
    {
        if (Behind(new Wiring(graph), graph.Outputs[0].Name, out _, [.. Plain, "Clip"]) is { Op: "Softmax" or "LogSoftmax" } last
            && last.Int("axis", -1) is 0 or -2 && Shapes.Infer(graph)[last.Inputs[0]].Shape is [_, > 1])
        {
            last.Attributes["axis"] = -1L;
            notes.Add($"Warning: the network's last step, '{last.Name}', adds up to 1 over the pictures of a batch instead of the classes; it is taken over " +
                $"the classes.");
        }
    }

    private static bool LeadsTo(Wiring wiring, string value, string target)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var pending = new Stack<string>([target]);
        while (pending.TryPop(out var next))
        {
            if (next == value)
            {
                return true;
            }

            foreach (var input in seen.Add(next) ? wiring.Producer(next)?.Inputs ?? [] : [])
            {
                pending.Push(input);
            }
        }

        return false;
    }

    /// <summary>Scores are numbers: a quantized last step is left out, or undone where it cannot be.</summary>
    private static void FloatOutput(Graph graph)
    {
        var output = graph.Outputs[0];
        if (output.Type == ElementType.Float32)
        {
            return;
        }

        var builder = new GraphBuilder(graph);
        var value = new Wiring(graph).Producer(output.Name) is { Op: "QuantizeLinear" } quantize ? quantize.Inputs[0]
            : output.Type is ElementType.Float16 or ElementType.Float64 ? builder.AddNode("Cast", "scores", [output.Name], ("to", (long)ElementType.Float32))
            : throw new ModelFormatException($"The output '{output.Name}' is {output.Type}; a classifier's scores are floats, or bytes with a scale.");
        graph.Outputs[0] = output with { Name = value, Type = ElementType.Float32 };
    }

    /// <summary>[N, 1, 1, classes] and its like become [N, classes].</summary>
    private static void FlatOutput(Graph graph)
    {
        var output = graph.Outputs[0];
        var shape = Shapes.Infer(graph)[output.Name].Shape;
        if (shape is [_] && output.Shape is [-1 or 1])
        {
            // One number for each picture, squeezed.
            var builder = new GraphBuilder(graph);
            output = output with
            {
                Name = builder.AddNode("Reshape", "scores_column", [output.Name, builder.AddInt64Constant("column", -1, 1)]),
                Shape = [output.Shape[0], 1],
            };
            graph.Outputs[0] = output;
            shape = [1, 1];
        }

        if (shape.Length < 2 || shape.Skip(1).Aggregate(1, (product, side) => product * side) != shape.Skip(1).Max())
        {
            throw new ModelFormatException($"The output '{output.Name}' has the shape [{string.Join(", ", shape)}]; a classifier answers [N, classes].");
        }

        var value = shape.Length == 2 ? output.Name : new GraphBuilder(graph).AddNode("Flatten", "scores_flat", [output.Name]);
        graph.Outputs[0] = new GraphValue(value, ElementType.Float32, [output.Shape[0], shape.Skip(1).Max()]);
    }

    /// <summary>What the last operators make of the scores of several classes, or else what the scores of a few pictures show.</summary>
    private static (OutputKind Kind, Func<float[], float[]> FromOriginal, string? Note) Classes(Graph graph, bool addSoftmax, IReadOnlyList<float[]> seen)
    {
        const float Exactness = 1e-3f;
        var last = Behind(new Wiring(graph), graph.Outputs[0].Name, out _, [.. Plain, "Clip"]);
        if (last?.Op is "Sigmoid" or "HardSigmoid")
        {
            return (OutputKind.MultiLabel, scores => scores, "Each class has a sigmoid of its own: several may be right at once, or none.");
        }

        if (last?.Op == "Softmax" || (seen.Count > 0 && seen.All(scores => Array.TrueForAll(scores, score => score >= 0) && IsOne(scores.Sum()))))
        {
            return (OutputKind.Probabilities, scores => scores, null);
        }

        if (last?.Op == "LogSoftmax"
            || (seen.Count > 0 && seen.All(scores => Array.TrueForAll(scores, score => score <= 0) && IsOne(scores.Sum(MathF.Exp)))))
        {
            End("Exp");
            return (OutputKind.Probabilities, scores => Array.ConvertAll(scores, MathF.Exp),
                "The network answers with logarithms of probabilities (log-softmax).");
        }

        if (!addSoftmax)
        {
            return (OutputKind.Logits, scores => scores, null);
        }

        End("Softmax", ("axis", -1L));
        return (OutputKind.Probabilities, Exponentiated, null);

        static bool IsOne(float sum) => Math.Abs(sum - 1) < Exactness;

        void End(string op, params ReadOnlySpan<(string, object)> attributes) => graph.Outputs[0] = graph.Outputs[0] with
        {
            Name = new GraphBuilder(graph).AddNode(op, op.ToLowerInvariant(), [graph.Outputs[0].Name], attributes),
        };

        static float[] Exponentiated(float[] scores)
        {
            float[] probabilities = [.. scores];
            Softmax.Apply(probabilities);
            return probabilities;
        }
    }

    /// <summary>A single number becomes the two classes that it stands for; the network's own answer remains beside them.</summary>
    private static (OutputKind Kind, Func<float[], float[]> FromOriginal, string? Note) TwoClasses(Graph graph)
    {
        var output = graph.Outputs[0];
        var wiring = new Wiring(graph);
        var last = Behind(wiring, output.Name, out _, Plain);
        var builder = new GraphBuilder(graph);
        (string Value, Func<float, float> Of, string? Note) second = last switch
        {
            { Op: "Softmax" or "LogSoftmax" } => throw new ModelFormatException(
                "The network ends in a softmax of a single number, which is 1 for every picture: it has learnt nothing that could be asked."),
            { Op: "Sigmoid" or "HardSigmoid" } => (output.Name, p => p, null),
            { Op: "Div" or "Reciprocal" } when IsLogistic(wiring, last) => (output.Name, p => p, null),
            { Op: "Tanh" or "Softsign" } => (builder.AddNode("Mul", "second_class",
                    [builder.AddNode("Add", "from_zero", [output.Name, builder.AddConstant("unit", [1f])]), builder.AddConstant("half", [0.5f])]),
                x => (x + 1) / 2, "One output from −1 to 1: the second class has the probability (x + 1) ÷ 2."),
            { Op: "Relu" or "Clip" or "Softplus" or "Exp" or "Abs" } => (
                builder.AddNode("Clip", "second_class", [output.Name, builder.AddConstant("least", [0f]), builder.AddConstant("most", [1f])]),
                x => Math.Clamp(x, 0, 1), "One output that is never negative: cut to 0…1, it is taken for the probability of the second class."),
            _ => (builder.AddNode("Sigmoid", "second_class", [output.Name]), x => 1 / (1 + MathF.Exp(-x)),
                "One output without a sigmoid: it is taken for a logit, whose sigmoid is the probability of the second class."),
        };
        var other = builder.AddNode("Sub", "first_class", [builder.AddConstant("one", [1f]), second.Value]);
        var both = builder.AddNode("Concat", "both_classes", [other, second.Value], ("axis", -1L));
        graph.Outputs[0] = output with { Name = both, Shape = [output.Shape[0], 2] };
        graph.Outputs.Add(output); // as the network itself answers
        return (OutputKind.Probabilities, scores => [1 - second.Of(scores[0]), second.Of(scores[0])], second.Note);
    }

    /// <summary>1 ÷ (1 + e⁻ˣ), written out.</summary>
    private static bool IsLogistic(Wiring wiring, Node last) =>
        wiring.Producer(last.Inputs[^1]) is { Op: "Add" } sum && sum.Inputs.Any(input => wiring.Producer(input)?.Op == "Exp");

    private static (string? Embedding, string? Features, Tensor? Weights) Find(Graph graph, IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes)
    {
        var wiring = new Wiring(graph);
        var dense = Behind(wiring, graph.Outputs[0].Name, out _, [.. Plain, "Softmax", "LogSoftmax", "Exp", "Sigmoid", "HardSigmoid", "Tanh", "Clip", "Concat",
            "Sub", "Add", "Mul"]);
        if (dense is { Op: "MatMulInteger" or "ConvInteger" })
        {
            dense = wiring.Producer(dense.Inputs[0]);
        }

        // A layer whose input becomes bytes while it runs: that input is the embedding.
        var weights = dense is { Op: "Gemm" or "MatMul" or "Conv" } ? WeightsOf(graph, wiring, dense) : null;
        if (dense is null || (weights is null && dense.Op != "DynamicQuantizeLinear"))
        {
            return default;
        }

        // Directly behind the classifier, or behind a few dense layers more: then the map has no single weight per channel.
        var value = dense.Inputs[0];
        var pool = Behind(wiring, value, out _, "Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "QuantizeLinear", "DequantizeLinear");
        if (pool?.Op != "GlobalAveragePool")
        {
            weights = null;
            pool = Behind(wiring, value, out value, "Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "QuantizeLinear", "DequantizeLinear",
                "Gemm", "MatMul", "Add", "Relu", "Clip", "HardSwish", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Conv");
        }

        if (pool?.Op != "GlobalAveragePool")
        {
            // No pooling: the last dense layer's input is the best embedding there is.
            var input = dense.Inputs[0];
            return (wiring.Producer(input) is not null && shapes[input] is { Type: ElementType.Float32, Shape.Length: 2 } ? input : null, null, null);
        }

        var pooled = pool.Outputs[0];
        var channels = shapes[pooled].Shape[1];
        var embedding = weights is not null && shapes[dense.Inputs[0]].Shape is [_, var length] && length == channels ? dense.Inputs[0] : pooled;
        var direct = weights is not null && weights.Shape[1] == channels && weights.Shape[0] == graph.Outputs[0].Shape[^1];
        return (embedding, wiring.Producer(pool.Inputs[0]) is not null && shapes[pool.Inputs[0]].Type == ElementType.Float32 ? pool.Inputs[0]
            : null, direct ? weights : null);
    }

    /// <summary>The classifier's weights as [classes, channels].</summary>
    private static Tensor? WeightsOf(Graph graph, Wiring wiring, Node dense)
    {
        var weights = wiring.Constant(dense, 1);
        if (weights is null && wiring.Producer(dense.Inputs[1]) is { Op: "DequantizeLinear" } dequantize && dequantize.Inputs.All(graph.Constants.ContainsKey))
        {
            weights = Operators.Run(dequantize, [.. dequantize.Inputs.Select(input => graph.Constants[input])])[0];
        }

        return weights switch
        {
            { Type: ElementType.Float32, Shape: [var classes, var channels, 1, 1] } when dense.Int("group", 1) == 1 =>
                weights with { Shape = [classes, channels] },
            { Type: ElementType.Float32, Shape: [_, _] } => dense.Int("transB", 0) == 1 ? weights : Operators.Permute(weights, [1, 0]),
            _ => null,
        };
    }

    /// <summary>Walks back over operators with one data input; answers the first of another kind, and the value that it writes.</summary>
    private static Node? Behind(Wiring wiring, string value, out string found, params ReadOnlySpan<string> passed)
    {
        found = value;
        for (var node = wiring.Producer(value); node is not null; node = wiring.Producer(found))
        {
            if (!passed.Contains(node.Op))
            {
                return node;
            }

            string[] data = [.. node.Inputs.Where(input => input.Length > 0 && wiring.Producer(input) is { } producer
                && !(producer.Op == "DequantizeLinear" && wiring.Constant(producer, 0) is not null))];
            if (data.Length == 0)
            {
                return null;
            }

            found = data[^1]; // of "1 - p" and p, joined, p
        }

        return null;
    }

    /// <summary>Gives an output a name that people know.</summary>
    private static void Rename(Graph graph, int output, string name)
    {
        var value = graph.Outputs[output];
        if (value.Name == name)
        {
            return;
        }

        MakeFree(graph, name);
        var old = value.Name;
        if (graph.Outputs.Count(other => other.Name == old) > 1 || graph.Nodes.SelectMany(node => node.Outputs).All(written => written != old))
        {
            Alias(graph, old, name);
        }
        else
        {
            RenameValue(graph, old, name);
        }

        graph.Outputs[output] = value with { Name = name };
    }

    private static void Add(Graph graph, string? value, string name, IReadOnlyDictionary<string, (ElementType Type, int[] Shape)> shapes)
    {
        if (value is null)
        {
            return;
        }

        int[] shape = [graph.Outputs[0].Shape[0], .. shapes[value].Shape[1..]];
        MakeFree(graph, name);
        if (name == Embedding && shape.Length == 4)
        {
            var builder = new GraphBuilder(graph);
            builder.AddNode("Flatten", name, [value], outputs: 1).Outputs[0] = name;
            shape = shape[..2];
        }
        else if (graph.Outputs.Any(output => output.Name == value))
        {
            Alias(graph, value, name);
        }
        else
        {
            RenameValue(graph, value, name);
        }

        graph.Outputs.Add(new GraphValue(name, ElementType.Float32, shape));
    }

    private static void Alias(Graph graph, string value, string name) =>
        new GraphBuilder(graph).AddNode("Identity", name, [value], outputs: 1).Outputs[0] = name;

    /// <summary>Gives whatever has a name another one.</summary>
    internal static void MakeFree(Graph graph, string name)
    {
        var builder = new GraphBuilder(graph);
        if (graph.Constants.Remove(name, out var constant))
        {
            var other = builder.AddConstant(name, constant);
            foreach (var node in graph.Nodes)
            {
                Replace(node.Inputs, name, other);
            }
        }
        else
        {
            RenameValue(graph, name, builder.Unique(name));
        }
    }

    private static void RenameValue(Graph graph, string old, string name)
    {
        foreach (var node in graph.Nodes)
        {
            Replace(node.Inputs, old, name);
            Replace(node.Outputs, old, name);
        }

        foreach (var values in new[] { graph.Inputs, graph.Outputs })
        {
            for (var index = 0; index < values.Count; index++)
            {
                values[index] = values[index].Name == old ? values[index] with { Name = name } : values[index];
            }
        }
    }

    private static void Replace(List<string> names, string old, string name)
    {
        for (var i = 0; i < names.Count; i++)
        {
            names[i] = names[i] == old ? name : names[i];
        }
    }
}
