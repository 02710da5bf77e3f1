using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Onnx;

public sealed class OnnxReaderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("onnx-reader").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_written_is_read()
    {
        var graph = Network();
        var path = Path.Combine(_folder, "model.onnx");
        OnnxWriter.Write(graph, path);

        Assert.True(new OnnxReader().CanRead(path));
        var read = new OnnxReader().Read(path);

        var input = Numbers.Random(1, 2, 3, 8, 8);
        Assert.Equal(0, Numbers.LargestDifference(new Interpreter(graph).Run(input).Values.Single(), new Interpreter(read.Graph).Run(input).Values.Single()));
        Assert.Equal([-1, 3, 8, 8], read.Graph.Inputs[0].Shape);
        Assert.Equal("ONNX opset 17, written by whatsit.", Assert.Single(read.Notes));
    }

    /// <summary>Operators in the forms of older and newer opsets; ONNX Runtime runs the file as it is, we what we read.</summary>
    public static TheoryData<string, int> OldForms => new()
    {
        { "Clip", 10 }, { "Pad", 10 }, { "Slice", 9 }, { "Squeeze", 12 }, { "Unsqueeze", 12 }, { "ReduceSum", 12 }, { "Split", 12 },
            { "Split evenly", 12 }, { "Dropout", 9 },
        { "Upsample", 8 }, { "Upsample by an input", 9 }, { "Resize", 10 }, { "Softmax", 12 }, { "Softmax along the last axis", 12 }, { "LogSoftmax", 11 },
            { "ReduceMean", 18 },
        { "ReduceMean", 21 }, { "Constant", 12 }, { "BatchNormalization", 13 },
    };

    [Theory]
    [MemberData(nameof(OldForms))]
    public void An_operator_of_another_opset_means_the_same(string operation, int opset)
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, 2, 1, 4, 6);
        var y = operation switch
        {
            "Clip" => builder.AddNode("Clip", "y", [x], ("min", -0.2f), ("max", 0.3f)),
            "Pad" => builder.AddNode("Pad", "y", [x], ("pads", new long[] { 0, 0, 1, 2, 0, 0, 0, 1 }), ("value", 3f)),
            "Slice" => builder.AddNode("Slice", "y", [x], ("starts", new long[] { 1, -3 }), ("ends", new long[] { 9, -1 }), ("axes", new long[] { 2, 3 })),
            "Squeeze" => builder.AddNode("Squeeze", "y", [x], ("axes", new long[] { 1 })),
            "Unsqueeze" => builder.AddNode("Unsqueeze", "y", [x], ("axes", new long[] { 0 })),
            "ReduceSum" => builder.AddNode("ReduceSum", "y", [x], ("axes", new long[] { 2 }), ("keepdims", 0L)),
            "Split" => builder.AddNode("Split", "y", [x], 2, ("axis", 3L), ("split", new long[] { 2, 4 })).Outputs[1],
            "Split evenly" => builder.AddNode("Split", "y", [x], 3, ("axis", 3L)).Outputs[2],
            "Dropout" => builder.AddNode("Dropout", "y", [x], 2, ("ratio", 0.3f)).Outputs[0],
            "Upsample" => builder.AddNode("Upsample", "y", [x], ("scales", new float[] { 1, 1, 2, 3 })),
            "Upsample by an input" => builder.AddNode("Upsample", "y", [x, builder.AddConstant("scales", [1, 1, 2, 2], 4)], ("mode", "linear")),
            "Resize" => builder.AddNode("Resize", "y", [x, builder.AddConstant("scales", [1, 1, 0.5f, 2], 4)]),
            "Softmax" => builder.AddNode("Softmax", "y", [x]),
            "Softmax along the last axis" => builder.AddNode("Softmax", "y", [x], ("axis", 3L)),
            "LogSoftmax" => builder.AddNode("LogSoftmax", "y", [x], ("axis", 2L)),
            "ReduceMean" => builder.AddNode("ReduceMean", "y", [x, builder.AddInt64Constant("axes", 2, 3)]),
            "Constant" => builder.AddNode("Add", "y", [x, builder.AddNode("Constant", "c", [], ("value_floats", new float[] { 1, 2, 3, 4, 5, 6 }))]),
            _ => builder.AddNode("BatchNormalization", "y", [x, .. Enumerable.Range(0, 4).Select(_ => builder.AddConstant("one", [1.5f], 1))],
                ("momentum", 0.9f)),
        };
        builder.Graph.Outputs.Add(new GraphValue(y, ElementType.Float32, [-1, -1, -1, -1]));
        var file = WithOpset(builder.Graph, opset);
        var path = Path.Combine(_folder, "old.onnx");
        File.WriteAllBytes(path, file);
        var input = new Dictionary<string, Tensor> { ["x"] = Numbers.Random(1, 2, 1, 4, 6) };

        using var runner = new OnnxRunner(path);
        var expected = runner.Run(input)[y];
        var read = OnnxReader.Read(file, _folder).Graph;

        Assert.InRange(Numbers.LargestDifference(expected, new Interpreter(read).Run(input)[y]), 0, 1e-5f);

        // What we write of it, in our own opset, means the same too.
        using var again = new OnnxRunner(read);
        Assert.InRange(Numbers.LargestDifference(expected, again.Run(input)[y]), 0, 1e-5f);
    }

    [Fact]
    public void Weights_stand_in_typed_fields_or_in_a_file_of_their_own()
    {
        File.WriteAllBytes(Path.Combine(_folder, "weights.bin"), [0, 0, 0, 0, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40]);
        var typed = new ProtobufMessage().Add(1, 2L).Add(2, 1L).Add(4, 1f).Add(4, 2f).Add(8, "typed");
        var half = new ProtobufMessage().Add(1, 2L).Add(2, 10L).Add(5, 0x3C00L).Add(5, 0x4000L).Add(8, "half");
        var external = new ProtobufMessage().Add(1, 2L).Add(2, 1L).Add(8, "external").Add(14, 1L)
            .Add(13, Entry("location", "weights.bin")).Add(13, Entry("offset", "4")).Add(13, Entry("length", "8"));

        var graph = OnnxReader.Read(Model(typed, half, external), _folder).Graph;

        Assert.Equal([1f, 2f], graph.Constants["typed"].ToFloats());
        Assert.Equal([1f, 2f], graph.Constants["half"].ToFloats());
        Assert.Equal([1f, 2f], graph.Constants["external"].ToFloats());
    }

    [Theory]
    [InlineData("../weights.bin")]
    [InlineData("/etc/passwd")]
    [InlineData("missing.bin")]
    public void Weights_outside_the_models_folder_are_refused(string location)
    {
        var external = new ProtobufMessage().Add(1, 2L).Add(2, 1L).Add(8, "w").Add(14, 1L).Add(13, Entry("location", location));

        var exception = Assert.Throws<ModelFormatException>(() => OnnxReader.Read(Model(external), _folder));

        Assert.Equal($"The constant 'w' lies in the file '{location}', which is not beside the model.", exception.Message);
    }

    [Fact]
    public void What_is_not_supported_is_refused_by_its_name()
    {
        var builder = new GraphBuilder("x");
        var x = builder.AddInput("x", ElementType.Float32, 1);
        builder.AddOutput(builder.AddNode("GRU", "gru_1", [x]), ElementType.Float32, 1);

        Assert.Equal("The operator 'GRU' (gru_1) is not supported.",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(Bytes(builder.Graph), _folder)).Message);
        Assert.Equal("The file uses opset 6; 7 and later are supported.",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(WithOpset(Network(), 6), _folder)).Message);
    }

    [Fact]
    public void A_cycle_is_refused()
    {
        var graph = new Graph();
        graph.Inputs.Add(new GraphValue("x", ElementType.Float32, [1]));
        graph.Outputs.Add(new GraphValue("a", ElementType.Float32, [1]));
        graph.Nodes.Add(new Node("Add", "first", ["x", "b"], ["a"]));
        graph.Nodes.Add(new Node("Relu", "second", ["a"], ["b"]));

        Assert.Equal("The operator 'Add' (first) depends on its own result.",
            Assert.Throws<ModelFormatException>(() => OnnxReader.Read(Bytes(graph), _folder)).Message);
    }

    [Fact]
    public void Other_files_are_not_taken_for_ONNX()
    {
        var path = Path.Combine(_folder, "other");
        foreach (var content in new byte[][] { [], [0x08], [.. "PK\u0003\u0004"u8], [.. "{\"modelTopology\":{}}"u8],
            [.. "\u0000\u0000\u0000\u0000TFL3"u8], new byte[5000] })
        {
            File.WriteAllBytes(path, content);
            Assert.False(new OnnxReader().CanRead(path));
        }
    }

    /// <summary>Whatever is done to a file: it is read, or refused with one sentence, in bounded memory.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_damaged_file_gives_one_sentence(int seed)
    {
        const int Rounds = 5000;
        var original = Bytes(Network());
        var random = new Random(seed);
        var refused = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var damaged = Damage(original, random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                OnnxReader.Read(damaged, _folder);
            }
            catch (ModelFormatException exception)
            {
                refused++;
                Assert.NotEmpty(exception.Message);
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200L * original.Length);
        }

        Assert.True(refused > Rounds / 4, $"Only {refused} of {Rounds} damaged files were refused: the damage is too small to test anything.");
    }

    private static byte[] Damage(byte[] original, Random random)
    {
        byte[] damaged = [.. original];
        switch (random.Next(5))
        {
            case 0:
                return damaged[..random.Next(damaged.Length)];
            case 1:
                damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
                return damaged;
            case 2: // a number, most often a length, that lies
                var at = random.Next(damaged.Length - 8);
                for (var i = 0; i < random.Next(1, 8); i++)
                {
                    damaged[at + i] = 0xFF;
                }

                return damaged;
            case 3:
                var from = random.Next(damaged.Length);
                var length = random.Next(Math.Min(100, damaged.Length - from));
                return [.. damaged[..from], .. damaged[(from + length)..]];
            default:
                for (var i = 0; i < 10; i++)
                {
                    damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
                }

                return damaged;
        }
    }

    private static Graph Network()
    {
        var builder = new GraphBuilder("network");
        var value = builder.AddInput("x", ElementType.Float32, -1, 3, 8, 8);
        value = builder.AddNode("Conv", "conv", [value, builder.AddConstant("w", Numbers.Random(1, 4, 3, 3, 3)),
            builder.AddConstant("b", Numbers.Random(2, 4))], ("strides", new long[] { 2, 2 }), ("auto_pad", "SAME_UPPER"));
        value = builder.AddNode("LeakyRelu", "relu", [value], ("alpha", 0.1f));
        value = builder.AddNode("Flatten", "flat", [builder.AddNode("GlobalAveragePool", "pool", [value])]);
        value = builder.AddNode("Gemm", "dense", [value, builder.AddConstant("dense_w", Numbers.Random(3, 4, 5))]);
        builder.AddOutput(builder.AddNode("Softmax", "softmax", [value], ("axis", -1L)), ElementType.Float32, -1, 5);
        return builder.Graph;
    }

    private static byte[] Bytes(Graph graph)
    {
        using var stream = new MemoryStream();
        OnnxWriter.Write(graph, stream);
        return stream.ToArray();
    }

    /// <summary>The same file, claiming another opset.</summary>
    private static byte[] WithOpset(Graph graph, int opset)
    {
        var message = new ProtobufMessage().Add(1, 8L);
        var reader = new ProtobufReader(Bytes(graph));
        while (reader.Next())
        {
            if (reader.Field == 7)
            {
                message.Add(7, reader.Bytes());
            }
        }

        message.Add(8, new ProtobufMessage().Add(1, "").Add(2, opset));
        using var stream = new MemoryStream();
        message.WriteTo(stream);
        return stream.ToArray();
    }

    /// <summary>A model that answers with its input, and holds constants.</summary>
    private static byte[] Model(params ProtobufMessage[] constants)
    {
        ProtobufMessage value(string name) => new ProtobufMessage().Add(1, name)
            .Add(2, new ProtobufMessage().Add(1, new ProtobufMessage().Add(1, 1L).Add(2, new ProtobufMessage().Add(1, new ProtobufMessage().Add(1, 2L)))));
        var graph = new ProtobufMessage().Add(1, new ProtobufMessage().Add(1, "x").Add(2, "y").Add(4, "Relu"));
        foreach (var constant in constants)
        {
            graph.Add(5, constant);
        }

        graph.Add(11, value("x")).Add(12, value("y"));
        using var stream = new MemoryStream();
        new ProtobufMessage().Add(1, 8L).Add(7, graph).Add(8, new ProtobufMessage().Add(2, 17L)).WriteTo(stream);
        return stream.ToArray();
    }

    private static ProtobufMessage Entry(string key, string value) => new ProtobufMessage().Add(1, key).Add(2, value);
}
