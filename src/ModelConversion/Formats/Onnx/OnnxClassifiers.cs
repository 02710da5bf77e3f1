using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>
/// Operators of the domain <c>ai.onnx.ml</c> with which scikit-learn's and Custom Vision's classifiers begin and end
/// (https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md): scores that become maps from names to numbers, and names that are picked by the best of
/// them. The names become labels, the scores are the network's answer, and what is arithmetic is written as ONNX's plain operators.
/// </summary>
internal static class OnnxClassifiers
{
    public const string Domain = "ai.onnx.ml";

    private static readonly HashSet<string> Names = new(StringComparer.Ordinal)
    {
        "ZipMap", "ArrayFeatureExtractor", "LabelEncoder", "Normalizer", "Scaler", "LinearClassifier",
    };

    public static bool Knows(string op) => Names.Contains(op);

    /// <summary>
    /// Leaves a graph of numbers, in which new nodes stand last and some lead nowhere, and answers the names of the classes, where the file has them.
    /// </summary>
    /// <param name="graph">The graph as it was read; outputs that are no tensors of numbers have the type String.</param>
    /// <param name="texts">Constants that are text.</param>
    public static string[]? Apply(Graph graph, Dictionary<string, string[]> texts)
    {
        foreach (var node in graph.Nodes.Where(node => node.Op == "Constant" && node.Outputs.Count == 1).ToArray())
        {
            if (node.Attributes.Values.OfType<string[]>().FirstOrDefault() is { } text)
            {
                texts[node.Outputs[0]] = text;
                graph.Nodes.Remove(node);
            }
        }

        string[]? zipped = null;
        string[]? picked = null;
        var builder = new GraphBuilder(graph);
        foreach (var node in graph.Nodes.Where(node => Names.Contains(node.Op)).ToArray())
        {
            switch (node.Op)
            {
                case "ZipMap":
                    zipped ??= node.Attributes.GetValueOrDefault("classlabels_strings") as string[];
                    Answer(graph, node);
                    break;
                case "ArrayFeatureExtractor" when texts.TryGetValue(node.Inputs[0], out var names):
                    picked ??= names;
                    break;
                case "ArrayFeatureExtractor":
                    node.Op = "Gather";
                    node.Attributes["axis"] = -1L;
                    break;
                case "LabelEncoder":
                    picked ??= Encoded(node);
                    break;
                case "Scaler":
                    Replace(graph, node, Scale(builder, node));
                    break;
                case "Normalizer":
                    Replace(graph, node, Normalise(builder, node));
                    break;
                case "LinearClassifier":
                    picked ??= node.Attributes.GetValueOrDefault("classlabels_strings") is string[] { Length: > 0 } classes ? classes : null;
                    Replace(graph, node, Classify(builder, node));
                    break;
            }
        }

        if (graph.Outputs.Exists(output => output.Type != ElementType.String))
        {
            graph.Outputs.RemoveAll(output => output.Type == ElementType.String);
        }

        return graph.Outputs.Find(output => output.Type == ElementType.String) is { } none
            ? throw new ModelFormatException($"'{none.Name}' is not a tensor of numbers.")
            : zipped is { Length: > 0 } ? zipped : picked;
    }

    /// <summary>A map's scores in its place.</summary>
    private static void Answer(Graph graph, Node zip)
    {
        var at = graph.Outputs.FindIndex(output => output.Name == zip.Outputs[0]);
        var classes = (zip.Attributes.GetValueOrDefault("classlabels_strings") as string[])?.Length ?? zip.Ints("classlabels_int64s")?.Length ?? -1;
        if (at >= 0)
        {
            graph.Outputs.RemoveAt(at);
            if (!graph.Outputs.Exists(output => output.Name == zip.Inputs[0]))
            {
                graph.Outputs.Insert(at, new GraphValue(zip.Inputs[0], ElementType.Float32, [-1, classes]));
            }
        }

        graph.Nodes.Remove(zip);
    }

    // keys_int64s [0, 1, 2] to values_strings, in the order of the keys.
    private static string[]? Encoded(Node node)
    {
        if (node.Ints("keys_int64s") is not { } keys || node.Attributes.GetValueOrDefault("values_strings") is not string[] values
            || keys.Length != values.Length)
        {
            return null;
        }

        Array.Sort(keys, values);
        return keys.Where((key, place) => key != place).Any() ? null : values;
    }

    // (x - offset) · scale
    private static string Scale(GraphBuilder builder, Node node)
    {
        var x = node.Inputs[0];
        x = Floats(node, "offset") is { } offset
            ? builder.AddNode("Sub", node.Name, [x, builder.AddConstant($"{node.Name}_offset", offset, offset.Length)]) : x;
        return Floats(node, "scale") is { } scale ? builder.AddNode("Mul", node.Name, [x, builder.AddConstant($"{node.Name}_scale", scale, scale.Length)])
            : builder.AddNode("Identity", node.Name, [x]);
    }

    private static string Normalise(GraphBuilder builder, Node node)
    {
        var op = node.Text("norm", "MAX") switch
        {
            "L1" => "ReduceL1",
            "L2" => "ReduceL2",
            "MAX" => "ReduceMax",
            var other => throw new ModelFormatException($"{node} with the norm '{other}' is not supported."),
        };
        var norm = builder.AddNode(op, $"{node.Name}_norm", [node.Inputs[0]], ("axes", new long[] { -1 }), ("keepdims", 1L));
        return builder.AddNode("Div", node.Name, [node.Inputs[0], norm]);
    }

    private static string Classify(GraphBuilder builder, Node node)
    {
        var coefficients = Floats(node, "coefficients") ?? throw new ModelFormatException($"{node} has no coefficients.");
        var classes = (node.Attributes.GetValueOrDefault("classlabels_strings") as string[])?.Length ?? node.Ints("classlabels_ints")?.Length ?? 0;
        var rows = Floats(node, "intercepts")?.Length is > 0 and var intercepts ? intercepts : classes;
        if (rows < 1 || coefficients.Length % rows != 0 || rows != classes)
        {
            throw new ModelFormatException(
                $"{node} has {Counted.Of(coefficients.Length, "coefficient")} and {Counted.Of(rows, "intercept")} for {Counted.Of(classes, "class", "classes")}; as many are supported.");
        }

        var weights = builder.AddConstant($"{node.Name}_coefficients", coefficients, rows, coefficients.Length / rows);
        var bias = builder.AddConstant($"{node.Name}_intercepts", Floats(node, "intercepts") ?? new float[rows], rows);
        var scores = builder.AddNode("Gemm", $"{node.Name}_scores", [node.Inputs[0], weights, bias], ("transB", 1L));
        return node.Text("post_transform", "NONE") switch
        {
            "NONE" => builder.AddNode("Identity", node.Name, [scores]),
            "SOFTMAX" => builder.AddNode("Softmax", node.Name, [scores], ("axis", -1L)),
            "LOGISTIC" => builder.AddNode("Sigmoid", node.Name, [scores]),
            var other => throw new ModelFormatException($"{node} with the post_transform '{other}' is not supported."),
        };
    }

    private static float[]? Floats(Node node, string attribute) => node.Attributes.GetValueOrDefault(attribute) as float[];

    /// <summary>What was appended for a node becomes its result; <c>Sort</c> finds the new nodes their places.</summary>
    private static void Replace(Graph graph, Node node, string value)
    {
        graph.Nodes.FindLast(other => other.Outputs[0] == value)!.Outputs[0] = node.Outputs[^1];
        graph.Nodes.Remove(node);
        if (node.Outputs is [var best, _])
        {
            // The best class's name or number: every class's score says it, too.
            var gone = new HashSet<string>([best], StringComparer.Ordinal);
            for (var before = 0; before < gone.Count;)
            {
                before = gone.Count;
                gone.UnionWith(graph.Nodes.Where(other => other.Inputs.Any(gone.Contains)).SelectMany(other => other.Outputs).ToArray());
            }

            graph.Outputs.RemoveAll(output => gone.Contains(output.Name));
        }
    }
}
