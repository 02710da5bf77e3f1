using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Onnx;

/// <summary>Files as Custom Vision and skl2onnx write them, with their operators of the domain ai.onnx.ml.</summary>
public sealed class OnnxClassifiersTests : IDisposable
{
    private static readonly Tensor Weights = Numbers.Random(1, 3, 64);
    private static readonly Tensor Bias = Numbers.Random(2, 3);
    private static readonly Tensor Row = Numbers.Random(3, 1, 64);

    private readonly string _folder = Directory.CreateTempSubdirectory("tails").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Custom_Vision_s_names_become_labels_and_its_loss_the_scores(bool constantNode)
    {
        var graph = new ProtobufMessage()
            .Add(1, Node("", "Gemm", ["x", "w", "b"], ["scores"], Int("transB", 1)))
            .Add(1, Node("", "Softmax", ["scores"], ["softmax"], Int("axis", 1)))
            .Add(1, Node("ai.onnx.ml", "ZipMap", ["softmax"], ["loss"], Texts("classlabels_strings", "oak", "elm", "ash")))
            .Add(1, Node("", "ArgMax", ["softmax"], ["best"], Int("axis", 1)));
        if (constantNode)
        {
            graph.Add(1, Node("", "Constant", [], ["names"], new ProtobufMessage().Add(1, "value").Add(5, Names("")).Add(20, 4L)));
        }
        else
        {
            graph.Add(5, Names("names"));
        }

        graph.Add(1, Node("ai.onnx.ml", "ArrayFeatureExtractor", ["names", "best"], ["classLabel"]))
            .Add(5, Floats("w", Weights)).Add(5, Floats("b", Bias)).Add(11, Value("x", 1, -1, 64)).Add(12, Value("classLabel", 8, -1, 1))
            .Add(12, new ProtobufMessage().Add(1, "loss").Add(2, new ProtobufMessage().Add(4, new ProtobufMessage()))); // a sequence of maps

        var model = OnnxReader.Read(Model(graph), _folder);

        Assert.Equal(["oak", "elm", "ash"], model.Labels!);
        Assert.Equal(["Gemm", "Softmax"], model.Graph.Nodes.Select(node => node.Op));
        Agrees(model.Graph, Softmax(Product(Row.ToFloats())));
        Assert.Equal(["oak", "elm", "ash"], Import(graph).Model.Labels);
    }

    [Theory]
    [InlineData("SOFTMAX")]
    [InlineData("LOGISTIC")]
    [InlineData("NONE")]
    public void A_regression_of_scikit_learn_s_becomes_plain_operators(string transform)
    {
        var graph = new ProtobufMessage()
            .Add(1, Node("ai.onnx.ml", "Scaler", ["x"], ["scaled"], FloatList("offset", [.. Enumerable.Repeat(0.25f, 64)]),
                FloatList("scale", [.. Enumerable.Repeat(2f, 64)])))
            .Add(1, Node("ai.onnx.ml", "LinearClassifier", ["scaled"], ["label", "raw"], FloatList("coefficients", Weights.ToFloats()),
                FloatList("intercepts", Bias.ToFloats()), Texts("classlabels_strings", "oak", "elm", "ash"), Text("post_transform", transform)))
            .Add(1, Node("ai.onnx.ml", "Normalizer", ["raw"], ["probabilities"], Text("norm", "L1")))
            .Add(1, Node("", "Identity", ["label"], ["output_label"]))
            .Add(1, Node("ai.onnx.ml", "ZipMap", ["probabilities"], ["output_probability"], Texts("classlabels_strings", "oak", "elm", "ash")))
            .Add(11, Value("x", 1, -1, 64)).Add(12, Value("output_label", 8, -1))
            .Add(12, new ProtobufMessage().Add(1, "output_probability").Add(2, new ProtobufMessage().Add(4, new ProtobufMessage())));

        var model = OnnxReader.Read(Model(graph), _folder);

        Assert.Equal(["oak", "elm", "ash"], model.Labels!);
        var scores = Product([.. Row.ToFloats().Select(value => (value - 0.25f) * 2)]);
        scores = transform switch { "SOFTMAX" => Softmax(scores), "LOGISTIC" => [.. scores.Select(score => 1 / (1 + Math.Exp(-score)))], _ => scores };
        Agrees(model.Graph, [.. scores.Select(score => score / scores.Sum(Math.Abs))]);
    }

    [Fact]
    public void Trees_are_refused_by_name()
    {
        var graph = new ProtobufMessage().Add(1, Node("ai.onnx.ml", "TreeEnsembleClassifier", ["x"], ["label", "p"])).Add(11, Value("x", 1, -1, 64))
            .Add(12, Value("p", 1, -1, 3));

        Assert.Equal("The operator 'ai.onnx.ml.TreeEnsembleClassifier' (label) is not supported.",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(Model(graph), _folder)).Message);
    }

    [Theory]
    [InlineData(17, true)]
    [InlineData(9, false)]
    public void A_network_in_training_mode_says_how_to_leave_it(int opset, bool attribute)
    {
        var norm = Node("", "BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "mean", "variance"], attribute ? [Int("training_mode", 1)] : []);
        var graph = new ProtobufMessage().Add(1, norm).Add(5, Floats("s", Numbers.Random(1, 64))).Add(11, Value("x", 1, -1, 64)).Add(12, Value("y", 1, -1, 64));

        Assert.Contains("call model.eval() before the export",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(Model(graph, opset), _folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Dropout_in_training_mode_is_left_out_and_said()
    {
        var graph = new ProtobufMessage().Add(1, Node("", "Dropout", ["x", "ratio", "training"], ["y"])).Add(5, Floats("ratio", Tensor.Float32([], [0.5f])))
            .Add(5, new ProtobufMessage().Add(2, 9L).Add(8, "training").Add(9, new byte[] { 1 })).Add(11, Value("x", 1, -1, 64)).Add(12, Value("y", 1, -1, 64));

        var model = OnnxReader.Read(Model(graph), _folder);

        Assert.Contains(model.Notes, note => note.Contains("model.eval()", StringComparison.Ordinal));
        Agrees(model.Graph, [.. Row.ToFloats().Select(value => (double)value)]);
    }

    private static double[] Product(float[] x) => [.. Enumerable.Range(0, 3)
        .Select(unit => Bias.ToFloats()[unit] + Enumerable.Range(0, 64).Sum(at => x[at] * (double)Weights.ToFloats()[(unit * 64) + at]))];

    private static double[] Softmax(double[] scores) => [.. scores.Select(score => Math.Exp(score) / scores.Sum(Math.Exp))];

    private static void Agrees(Graph graph, double[] expected)
    {
        var answer = new Interpreter(graph).Run(Row).Single().Value.ToFloats();
        Assert.Equal(expected.Length, answer.Length);
        Assert.All(expected.Zip(answer), pair => Assert.Equal(pair.First, pair.Second, 4));
    }

    private ImportReport Import(ProtobufMessage graph)
    {
        var path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, Model(graph));
        return ModelImporter.Import(new ImportRequest(path, "tails", Path.Combine(_folder, "models")), _ => { });
    }

    private static byte[] Model(ProtobufMessage graph, int opset = 17)
    {
        using var stream = new MemoryStream();
        new ProtobufMessage().Add(1, 8L).Add(7, graph).Add(8, new ProtobufMessage().Add(2, (long)opset))
            .Add(8, new ProtobufMessage().Add(1, "ai.onnx.ml").Add(2, 2L)).WriteTo(stream);
        return stream.ToArray();
    }

    private static ProtobufMessage Node(string domain, string op, string[] inputs, string[] outputs, params ProtobufMessage[] attributes)
    {
        var node = new ProtobufMessage();
        Array.ForEach(inputs, input => node.Add(1, input));
        Array.ForEach(outputs, output => node.Add(2, output));
        node.Add(4, op);
        Array.ForEach(attributes, attribute => node.Add(5, attribute));
        return node.Add(7, domain);
    }

    private static ProtobufMessage Int(string name, long value) => new ProtobufMessage().Add(1, name).Add(3, value).Add(20, 2L);

    private static ProtobufMessage Text(string name, string value) => new ProtobufMessage().Add(1, name).Add(4, value).Add(20, 3L);

    private static ProtobufMessage Texts(string name, params string[] values)
    {
        var attribute = new ProtobufMessage().Add(1, name);
        Array.ForEach(values, value => attribute.Add(9, value));
        return attribute.Add(20, 8L);
    }

    private static ProtobufMessage FloatList(string name, float[] values)
    {
        var attribute = new ProtobufMessage().Add(1, name);
        Array.ForEach(values, value => attribute.Add(7, value));
        return attribute.Add(20, 6L);
    }

    private static ProtobufMessage Names(string name) =>
        new ProtobufMessage().Add(1, 3L).Add(2, 8L).Add(6, "oak").Add(6, "elm").Add(6, "ash").Add(8, name);

    private static ProtobufMessage Floats(string name, Tensor tensor)
    {
        var message = new ProtobufMessage();
        Array.ForEach(tensor.Shape, side => message.Add(1, (long)side));
        return message.Add(2, 1L).Add(8, name).Add(9, tensor.Data);
    }

    private static ProtobufMessage Value(string name, int type, params int[] sides)
    {
        var shape = new ProtobufMessage();
        Array.ForEach(sides, side => shape.Add(1, side < 0 ? new ProtobufMessage().Add(2, "N") : new ProtobufMessage().Add(1, (long)side)));
        return new ProtobufMessage().Add(1, name)
            .Add(2, new ProtobufMessage().Add(1, new ProtobufMessage().Add(1, (long)type).Add(2, shape)));
    }
}
