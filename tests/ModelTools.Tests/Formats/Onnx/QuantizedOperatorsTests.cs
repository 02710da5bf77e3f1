using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Commands.Import;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Onnx;

/// <summary>Models in operator form (QLinearConv and its kin): ONNX Runtime runs the file as it is, we what we read.</summary>
public sealed class QuantizedOperatorsTests : IDisposable
{
    private const float Scale = 0.02f;

    private readonly string _folder = Directory.CreateTempSubdirectory("quantized").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    public static TheoryData<string, ElementType> Operators()
    {
        var data = new TheoryData<string, ElementType>();
        foreach (var op in new[]
        {
            "QLinearConv", "QLinearConv per channel", "QLinearConv by depth", "QLinearMatMul", "QLinearMatMul per column", "QLinearAdd", "QLinearMul",
                "QLinearGlobalAveragePool",
            "QLinearGlobalAveragePool, channels last", "QLinearAveragePool", "QLinearConcat", "QLinearLeakyRelu", "QLinearSigmoid", "QGemm",
                "QGemm transposed, per column", "QGemm in floats", "MaxPool",
        })
        {
            data.Add(op, ElementType.UInt8);
            data.Add(op, ElementType.Int8);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Operators))]
    public void An_operator_on_bytes_answers_what_ONNX_Runtime_answers(string op, ElementType type)
    {
        var file = new Model(type);
        var matrix = op.Contains("MatMul", StringComparison.Ordinal) || op.Contains("Gemm", StringComparison.Ordinal);
        var x = file.Quantized(file.Builder.AddInput("x", ElementType.Float32, matrix ? [4, 6] : [2, 6, 8, 8]));
        (string name, object value)[] pool = [("kernel_shape", new long[] { 3, 3 }), ("strides", new long[] { 2, 2 }), ("pads", new long[] { 1, 1, 1, 1 })];
        var y = op switch
        {
            "QLinearConv" => file.Conv(x, filters: 5, channels: 6, perChannel: false),
            "QLinearConv per channel" => file.Conv(x, filters: 5, channels: 6, perChannel: true),
            "QLinearConv by depth" =>
                file.Conv(x, filters: 6, channels: 1, perChannel: true, ("group", 6L), ("pads", new long[] { 1, 1, 1, 1 }), ("strides", new long[] { 2, 2 })),
            "QLinearMatMul" => file.Node("QLinearMatMul", [.. file.Parameters(x), .. file.Weights(perChannel: false, 1, 6, 3), .. file.Result(0.05f)]),
            "QLinearMatMul per column" =>
                file.Node("QLinearMatMul", [.. file.Parameters(x), .. file.Weights(perChannel: true, 1, 6, 3), .. file.Result(0.05f)]),
            "QLinearAdd" => file.Node("QLinearAdd", [.. file.Parameters(x), .. file.Parameters(x), .. file.Result(0.04f)]),
            "QLinearMul" => file.Node("QLinearMul", [.. file.Parameters(x), .. file.Parameters(x), .. file.Result(0.01f)]),
            "QLinearGlobalAveragePool" => file.Node("QLinearGlobalAveragePool", [.. file.Parameters(x), .. file.Result(0.005f)]),
            "QLinearGlobalAveragePool, channels last" =>
                file.Node("QLinearGlobalAveragePool", [.. file.Parameters(x), .. file.Result(0.005f)], ("channels_last", 1L)),
            "QLinearAveragePool" => file.Node("QLinearAveragePool", [.. file.Parameters(x), .. file.Result(0.01f)], pool),
            "QLinearConcat" => file.Node("QLinearConcat", [.. file.Result(0.03f), .. file.Parameters(x), .. file.Parameters(x)], ("axis", 1L)),
            "QLinearLeakyRelu" => file.Node("QLinearLeakyRelu", [.. file.Parameters(x), .. file.Result(0.015f)], ("alpha", 0.2f)),
            "QLinearSigmoid" => file.Node("QLinearSigmoid", [.. file.Parameters(x), .. file.Result(0.004f)]),
            "QGemm" => file.Gemm(x, 6, 3, perColumn: false, transposed: false, result: true),
            "QGemm transposed, per column" => file.Gemm(x, 6, 3, perColumn: true, transposed: true, result: true),
            "QGemm in floats" => file.Gemm(x, 6, 3, perColumn: false, transposed: false, result: false),
            _ => file.Builder.AddNode("MaxPool", "MaxPool", [file.Conv(x, filters: 5, channels: 6, perChannel: false)], pool),
        };
        var floats = op == "QGemm in floats";
        file.Builder.AddOutput(y, floats ? ElementType.Float32 : type, matrix ? [4, 3] : [-1, -1, -1, -1]);
        var path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, file.ToBytes());
        var input = Numbers.Random(7, matrix ? [4, 6] : [2, 6, 8, 8]);
        using var original = new OnnxRunner(path);
        var expected = original.Run(new Dictionary<string, Tensor> { ["x"] = input })[y].ToDoubles();

        var read = new OnnxReader().Read(path).Graph;
        var interpreted = new Interpreter(read).Run(input)[y];
        ChannelsFirst.Apply(read);
        using var rewritten = new OnnxRunner(read);
        foreach (var answer in new[] { interpreted, rewritten.Run(new Dictionary<string, Tensor> { ["x"] = input })[y] })
        {
            Assert.Equal(floats ? ElementType.Float32 : type, answer.Type);
            var actual = answer.ToDoubles();
            Assert.Equal(expected.Length, actual.Length);
            Assert.InRange(expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max(), 0, floats ? 1e-5 : 1);
            // Bytes that are all the same, or all at an end, would agree with anything.
            Assert.InRange(expected.Distinct().Count(), 4, int.MaxValue);
        }
    }

    [Theory]
    [InlineData(ElementType.UInt8)]
    [InlineData(ElementType.Int8)]
    public void A_network_in_operator_form_becomes_a_bundle(ElementType type)
    {
        var file = new Model(type);
        var x = file.Quantized(file.Builder.AddInput("x", ElementType.Float32, 1, 3, 16, 16));
        x = file.Conv(x, filters: 8, channels: 3, perChannel: true, ("strides", new long[] { 2, 2 }));
        x = file.Builder.AddNode("MaxPool", "pool", [x], ("kernel_shape", new long[] { 2, 2 }));
        var branch = file.Node("QLinearLeakyRelu", [.. file.Parameters(x), .. file.Result()], ("alpha", 0.1f));
        x = file.Node("QLinearAdd", [.. file.Parameters(x), .. file.Parameters(branch), .. file.Result()]);
        x = file.Node("QLinearGlobalAveragePool", [.. file.Parameters(x), .. file.Result()]);
        x = file.Gemm(file.Builder.AddNode("Flatten", "flat", [x]), 8, 5, perColumn: true, transposed: true, result: true);
        x = file.Builder.AddNode("DequantizeLinear", "logits", file.Parameters(x));
        file.Builder.AddOutput(x, ElementType.Float32, 1, 5);
        var path = Path.Combine(_folder, "model.onnx");
        File.WriteAllBytes(path, file.ToBytes());

        var report = ModelImporter.Import(new ImportRequest(path, "bytes", Path.Combine(_folder, "models")) { Preset = "minus-one-to-one" }, _ => { });

        var input = Numbers.Random(9, 1, 3, 16, 16);
        var pixels = Array.ConvertAll(input.ToFloats(), value => (byte)Math.Round((value + 1) * 127.5f));
        using var original = new OnnxRunner(path);
        var exact = Array.ConvertAll(pixels, pixel => (pixel / 127.5f) - 1);
        var expected = original.Run(new Dictionary<string, Tensor> { ["x"] = Tensor.Float32([1, 3, 16, 16], exact) })[x].ToFloats();
        byte[] interleaved = [.. Enumerable.Range(0, 16 * 16).SelectMany(pixel => Enumerable.Range(0, 3).Select(channel => pixels[(channel * 256) + pixel]))];
        using var bundle = new OnnxRunner(Path.Combine(report.Folder, "model.onnx"));
        var actual = bundle.Run(new Dictionary<string, Tensor> { ["image"] = new Tensor(ElementType.UInt8, [1, 16, 16, 3], interleaved) })["logits"].ToFloats();
        Assert.Equal(Array.IndexOf(expected, expected.Max()), Array.IndexOf(actual, actual.Max()));
        Assert.InRange(expected.Zip(actual, (a, b) => Math.Abs(a - b)).Max(), 0, Scale * 1.01f);
        Assert.InRange(expected.Distinct().Count(), 3, 5);
    }

    [Fact]
    public void Scales_that_are_computed_at_run_time_are_refused()
    {
        var file = new Model(ElementType.UInt8);
        var x = file.Quantized(file.Builder.AddInput("x", ElementType.Float32, 1, 3));
        var scale = file.Builder.AddInput("scale", ElementType.Float32);
        file.Builder.AddOutput(file.Node("QLinearSigmoid", [x, scale, file.Zero, .. file.Result()]), ElementType.UInt8, 1, 3);

        Assert.Equal(
            "The operator 'QLinearSigmoid' (QLinearSigmoid) computes its scale or zero point (input 1) while it runs, which is not supported.",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(file.ToBytes(), _folder)).Message);
    }

    [Theory]
    [InlineData("MatMulInteger", ElementType.UInt8, false)]
    [InlineData("MatMulInteger", ElementType.Int8, false)]
    [InlineData("MatMulInteger", ElementType.Int8, true)]
    [InlineData("ConvInteger", ElementType.UInt8, false)]
    public void What_becomes_bytes_while_it_runs_answers_what_ONNX_Runtime_answers(string op, ElementType type, bool perColumn)
    {
        var isMatrix = op == "MatMulInteger";
        int[] shape = isMatrix ? [2, 7, 6] : [2, 6, 9, 9];
        var builder = new GraphBuilder("dynamic");
        var x = builder.AddInput("x", ElementType.Float32, shape);
        var bytes = builder.AddNode("DynamicQuantizeLinear", "bytes", [x], outputs: 3);
        var weights = Numbers.Random(3, type == ElementType.UInt8 ? 0 : -128, type == ElementType.UInt8 ? 255 : 127, isMatrix ? [6, 5] : [4, 3, 3, 3]);
        double[] zeroPoints = perColumn ? [3, -4, 0, 9, -1] : [type == ElementType.UInt8 ? 121 : -7];
        (string, object)[] attributes = isMatrix ? [] : [("group", 2L), ("pads", new long[] { 1, 1, 1, 1 }), ("strides", new long[] { 2, 2 })];
        var product = builder.AddNode(op, "product", [bytes.Outputs[0], builder.AddConstant("weights", Tensor.FromDoubles(type, weights.Shape,
            weights.ToDoubles())), bytes.Outputs[2], builder.AddConstant("zero", Tensor.FromDoubles(type, perColumn ? [5] : [], zeroPoints))],
            attributes);
        builder.AddOutput(product, ElementType.Int32, isMatrix ? [2, 7, 5] : [2, 4, 5, 5]);
        builder.AddOutput(bytes.Outputs[1], ElementType.Float32);
        var path = Path.Combine(_folder, "model.onnx");
        OnnxWriter.Write(builder.Graph, path);
        var input = Numbers.Random(7, -0.3f, 2, shape);
        using var original = new OnnxRunner(path);
        var expected = original.Run(new Dictionary<string, Tensor> { ["x"] = input });

        var actual = new Interpreter(new OnnxReader().Read(path).Graph).Run(input);

        Assert.Equal(expected[product].ToDoubles(), actual[product].ToDoubles());
        Assert.Equal(expected[bytes.Outputs[1]].ToFloats()[0], actual[bytes.Outputs[1]].ToFloats()[0], 1e-7f);
        Assert.InRange(expected[product].ToDoubles().Distinct().Count(), 20, int.MaxValue);
    }

    [Theory]
    [InlineData("QAttention", "The operator 'com.microsoft.QAttention' (QAttention) is not supported.")]
    public void What_has_no_exact_form_is_refused_by_its_name(string op, string message)
    {
        var file = new Model(ElementType.UInt8);
        file.Builder.AddOutput(file.Node(op, [file.Builder.AddInput("x", ElementType.Float32, 1, 3)]), ElementType.Float32, 1, 3);

        Assert.Equal(message, Assert.Throws<ModelFormatException>(() => OnnxReader.Read(file.ToBytes(), _folder)).Message);
    }

    /// <summary>A file in the making; scales and zero points are one-element vectors, as some exporters write them, or scalars.</summary>
    private sealed class Model
    {
        private static readonly HashSet<string> OfOnnx = ["QLinearConv", "QLinearMatMul"];

        private readonly ElementType _type;

        public Model(ElementType type)
        {
            _type = type;
            Zero = Builder.AddConstant("zero", Tensor.FromDoubles(type, [1], [type == ElementType.UInt8 ? 121 : -7]));
        }

        public GraphBuilder Builder { get; } = new("quantized");

        public string Zero { get; }

        public string Quantized(string value) => Builder.AddNode("QuantizeLinear", "bytes",
            [value, ScaleOf(Scale), Builder.AddConstant("scalar_zero", Builder.Graph.Constants[Zero] with { Shape = [] })]);

        public string Node(string op, IEnumerable<string> inputs, params ReadOnlySpan<(string Name, object Value)> attributes) =>
            Builder.AddNode(op, op, inputs, attributes);

        public string[] Parameters(string value) => [value, .. Result()];

        public string[] Result(float scale = Scale) => [ScaleOf(scale), Builder.AddConstant("scalar_zero", Builder.Graph.Constants[Zero] with { Shape = [] })];

        /// <summary>Symmetric, along the first axis or, of a matrix, the last.</summary>
        public string[] Weights(bool perChannel, int channelAxis, params int[] shape)
        {
            var channels = perChannel ? shape[channelAxis] : 1;
            var values = Array.ConvertAll(Numbers.Random(3, shape).ToDoubles(), value => Math.Round(value * 100));
            return
            [
                Builder.AddConstant("weights", Tensor.FromDoubles(ElementType.Int8, shape, values)),
                Builder.AddConstant("weights_scale",
                    Tensor.Float32(perChannel ? [channels] : [], [.. Enumerable.Range(0, channels).Select(channel => 0.004f + (0.001f * channel))])),
                Builder.AddConstant("weights_zero", Tensor.FromDoubles(ElementType.Int8, perChannel ? [channels] : [], new double[channels])),
            ];
        }

        public string Conv(string x, int filters, int channels, bool perChannel, params ReadOnlySpan<(string Name, object Value)> attributes) =>
            Node("QLinearConv", [.. Parameters(x), .. Weights(perChannel, 0, filters, channels, 3, 3), .. Result(), Bias(filters)], attributes);

        public string Gemm(string x, int depth, int columns, bool perColumn, bool transposed, bool result) =>
            Node(
                "QGemm",
                [.. Parameters(x), .. Weights(perColumn, transposed ? 0 : 1, transposed ? [columns, depth] : [depth, columns]), Bias(columns), .. result
                    ? Result() : []],
                ("transB", transposed ? 1L : 0L), ("alpha", 0.8f));

        public byte[] ToBytes() => OnnxFiles.ToBytes(Builder.Graph, 17, op => op.StartsWith('Q') && op != "QuantizeLinear" && !OfOnnx.Contains(op));

        private string Bias(int channels) =>
            Builder.AddConstant("bias",
                Tensor.FromDoubles(ElementType.Int32, [channels], [.. Enumerable.Range(0, channels).Select(channel => (channel * 1500d) - 2000)]));

        private string ScaleOf(float scale) => Builder.AddConstant("scale", Tensor.Float32([], [scale]));
    }
}
