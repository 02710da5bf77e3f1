using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Quantization;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.HuggingFace;

/// <summary>What lies in repositories: descriptions, and networks as exporters write them, with every side open and shapes that are computed.</summary>
internal static class HubFolders
{
    public const int Side = 24;

    public const string Transformers = """
        {"architectures": ["ViTForImageClassification"], "model_type": "vit", "image_size": 24, "num_channels": 3, "patch_size": 8,
         "id2label": {"0": "oak", "2": "ash", "1": "elm"}, "label2id": {"oak": 0, "elm": 1, "ash": 2}, "transformers_version": "4.38.2"}
        """;

    public const string Processor = """
        {"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "ViTImageProcessor",
         "image_std": [0.5, 0.5, 0.5], "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"height": 24, "width": 24}}
        """;

    private const int Width = 12;
    private const int Heads = 2;

    /// <summary>Writes a small ViT, and answers the file.</summary>
    public static byte[] Network(string path)
    {
        OnnxWriter.Write(Vit(), path);
        return File.ReadAllBytes(path);
    }

    /// <summary>The same with halved weights.</summary>
    public static byte[] Halved(string path)
    {
        var graph = Vit();
        HalfPrecision.Apply(graph);
        OnnxWriter.Write(graph, path);
        return File.ReadAllBytes(path);
    }

    /// <summary>
    /// The same with bytes for the weights of its dense layers, and values that become bytes while it runs, as ONNX Runtime's <c>quantize_dynamic</c> does it.
    /// </summary>
    /// <param name="path">Where to write it.</param>
    /// <param name="factor">What weights are multiplied with: 1 for the same network.</param>
    public static byte[] InBytes(string path, float factor = 1)
    {
        var graph = Vit();
        var builder = new GraphBuilder(graph);
        foreach (var node in graph.Nodes.Where(node => node.Op is "MatMul" or "Gemm" && graph.Constants.ContainsKey(node.Inputs[1])).ToArray())
        {
            var weights = graph.Constants[node.Inputs[1]];
            weights = node.Op == "Gemm" ? Operators.Permute(weights, [1, 0]) : weights;
            var scale = weights.ToDoubles().Max(Math.Abs) / 127;
            var quantized = Tensor.FromDoubles(ElementType.Int8, weights.Shape, [.. weights.ToDoubles().Select(weight => Math.Round(weight / scale))]);
            graph.Nodes.Remove(node);
            var bytes = builder.AddNode("DynamicQuantizeLinear", $"{node.Name}_bytes", [node.Inputs[0]], outputs: 3);
            var product = builder.AddNode("Cast", $"{node.Name}_cast", [builder.AddNode("MatMulInteger", $"{node.Name}_integers",
                [bytes.Outputs[0], builder.AddConstant($"{node.Name}_int8", quantized), bytes.Outputs[2],
                    builder.AddConstant($"{node.Name}_zero", Tensor.FromDoubles(ElementType.Int8, [], [0]))])], ("to", (long)ElementType.Float32));
            var scales = builder.AddNode("Mul", $"{node.Name}_scales", [bytes.Outputs[1], builder.AddConstant($"{node.Name}_scale", [(float)scale * factor])]);
            var last = builder.AddNode("Mul", $"{node.Name}_scaled", [product, scales], outputs: 1);
            last = node.Op == "Gemm" ? builder.AddNode("Add", $"{node.Name}_biased", [last.Outputs[0], node.Inputs[2]], outputs: 1) : last;
            last.Outputs[0] = node.Outputs[0];
        }

        OnnxWriter.Write(graph, path);
        return File.ReadAllBytes(path);
    }

    /// <summary>
    /// A vision transformer as torch.onnx.export writes it with dynamic axes: the batch is taken out of the picture's Shape, the class token is expanded to it,
    /// and layer normalisations and GELUs are made of plain operators.
    /// </summary>
    public static Graph Vit()
    {
        var builder = new GraphBuilder("vit");
        var pixels = builder.AddInput("pixel_values", ElementType.Float32, -1, -1, -1, -1);
        var patches = builder.AddNode("Conv", "patches", [pixels, builder.AddConstant("projection", Numbers.Random(1, Width, 3, 8, 8)),
            builder.AddConstant("projection_bias", Numbers.Random(2, Width))], ("kernel_shape", new long[] { 8, 8 }), ("strides", new long[] { 8, 8 }));
        var sides = builder.AddNode("Slice", "kept", [builder.AddNode("Shape", "patches_shape", [patches]), Ints("zero", 0), Ints("two", 2), Ints("along", 0)]);
        var rows = builder.AddNode("Transpose", "rows", [builder.AddNode("Reshape", "flat",
            [patches, builder.AddNode("Concat", "flat_shape", [sides, Ints("rest", -1)], ("axis", 0L))])], ("perm", new long[] { 0, 2, 1 }));
        var batch = builder.AddNode("Unsqueeze", "batch_row", [builder.AddNode("Gather", "batch",
            [builder.AddNode("Shape", "pixels_shape", [pixels]), builder.AddConstant("first", Tensor.Int64([], [0]))], ("axis", 0L)), Ints("at", 0)]);
        var wanted = builder.AddNode("Concat", "token_shape", [batch, Ints("minus_one", -1), Ints("minus_one_too", -1)], ("axis", 0L));
        var kept = builder.AddNode("Equal", "is_kept", [wanted, builder.AddInt64Constant("minus", -1, -1, -1)]);
        var shape = builder.AddNode("Where", "expanded_shape", [kept, builder.AddInt64Constant("ones", 1, 1, 1), wanted]);
        var token = builder.AddNode("Expand", "token", [builder.AddConstant("class_token", Numbers.Random(3, 1, 1, Width)), shape]);
        var x = builder.AddNode("Concat", "tokens", [token, rows], ("axis", 1L));
        x = builder.AddNode("Add", "embedded", [x, builder.AddConstant("positions", Numbers.Random(4, 1, 10, Width))]);
        for (var block = 0; block < 2; block++)
        {
            x = builder.AddNode("Add", $"attended{block}", [Attention(Norm(x, $"norm{block}a"), $"attention{block}"), x]);
            var hidden = Dense(Norm(x, $"norm{block}b"), $"up{block}", Width, 20);
            var erf = builder.AddNode("Erf", $"erf{block}", [builder.AddNode("Div", $"scaled{block}", [hidden, builder.AddConstant("root", [MathF.Sqrt(2)])])]);
            hidden = builder.AddNode("Mul", $"gelu{block}", [builder.AddNode("Mul", $"product{block}",
                [hidden, builder.AddNode("Add", $"plus{block}", [erf, builder.AddConstant("one", [1f])])]), builder.AddConstant("half", [0.5f])]);
            x = builder.AddNode("Add", $"out{block}", [Dense(hidden, $"down{block}", 20, Width), x]);
        }

        x = builder.AddNode("Gather", "class", [Norm(x, "norm"), builder.AddConstant("head", Tensor.Int64([], [0]))], ("axis", 1L));
        builder.AddOutput(builder.AddNode("Gemm", "logits", [x, builder.AddConstant("classifier", Numbers.Random(90, 3, Width)),
            builder.AddConstant("classifier_bias", Numbers.Random(91, 3))], ("transB", 1L)), ElementType.Float32, -1, 3);
        return builder.Graph;

        string Ints(string name, params ReadOnlySpan<long> values) => builder.AddInt64Constant(name, values);

        string Dense(string value, string name, int from, int to) => builder.AddNode("Add", name, [builder.AddConstant($"{name}_bias",
            Numbers.Random(name.Length + to, to)), builder.AddNode("MatMul", $"{name}_product", [value, builder.AddConstant($"{name}_weight",
            Numbers.Random(name[^1] + from + to, from, to))])]);

        string Norm(string value, string name)
        {
            var centred = builder.AddNode("Sub", $"{name}_centred", [value,
                builder.AddNode("ReduceMean", $"{name}_mean", [value], ("axes", new long[] { -1 }), ("keepdims", 1L))]);
            var variance = builder.AddNode("ReduceMean", $"{name}_variance", [builder.AddNode("Pow", $"{name}_square",
                [centred, builder.AddConstant($"{name}_two", [2f])])], ("axes", new long[] { -1 }), ("keepdims", 1L));
            var deviation = builder.AddNode("Sqrt", $"{name}_deviation", [builder.AddNode("Add", $"{name}_safe",
                [variance, builder.AddConstant($"{name}_epsilon", [1e-12f])])]);
            var normal = builder.AddNode("Div", $"{name}_normal", [centred, deviation]);
            return builder.AddNode("Add", name, [builder.AddNode("Mul", $"{name}_scaled",
                [normal, builder.AddConstant($"{name}_weight", Numbers.Random(7, 0.5f, 1.5f, [Width]))]),
                builder.AddConstant($"{name}_bias", Numbers.Random(8, Width))]);
        }

        string Attention(string value, string name)
        {
            string Part(string part, long[] order)
            {
                var dense = Dense(value, $"{name}_{part}", Width, Width);
                var head = builder.AddNode("Slice", $"{name}_{part}_sides", [builder.AddNode("Shape", $"{name}_{part}_shape", [dense]), Ints("from", 0),
                    Ints("to", 2), Ints("axis", 0)]);
                var split = builder.AddNode("Concat", $"{name}_{part}_split", [head, Ints("heads", Heads), Ints("each", Width / Heads)], ("axis", 0L));
                return builder.AddNode("Transpose", $"{name}_{part}_heads", [builder.AddNode("Reshape", $"{name}_{part}_rows", [dense, split])],
                    ("perm", order));
            }

            var scores = builder.AddNode("Div", $"{name}_scaled", [builder.AddNode("MatMul", $"{name}_scores",
                [Part("query", [0, 2, 1, 3]), Part("key", [0, 2, 3, 1])]), builder.AddConstant($"{name}_root", [MathF.Sqrt(Width / Heads)])]);
            var attended = builder.AddNode("MatMul", $"{name}_context", [builder.AddNode("Softmax", $"{name}_softmax", [scores], ("axis", -1L)),
                Part("value", [0, 2, 1, 3])]);
            attended = builder.AddNode("Transpose", $"{name}_back", [attended], ("perm", new long[] { 0, 2, 1, 3 }));
            var sides = builder.AddNode("Slice", $"{name}_sides", [builder.AddNode("Shape", $"{name}_shape", [attended]), Ints("begin", 0), Ints("end", 2),
                Ints("places", 0)]);
            attended = builder.AddNode("Reshape", $"{name}_joined",
                [attended, builder.AddNode("Concat", $"{name}_join", [sides, Ints("width", Width)], ("axis", 0L))]);
            return Dense(attended, $"{name}_out", Width, Width);
        }
    }
}
