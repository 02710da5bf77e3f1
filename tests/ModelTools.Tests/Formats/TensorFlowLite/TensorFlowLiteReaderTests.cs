using System.Text.Json;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.TensorFlowLite;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

/// <summary>Small models made by <c>tests/data/tflite/make.py</c>; TensorFlow Lite itself said what they answer.</summary>
public class TensorFlowLiteReaderTests
{
    [Theory]
    [InlineData("convolutions")]
    [InlineData("transposed-convolutions")]
    [InlineData("products")]
    [InlineData("pooling")]
    [InlineData("activations")]
    [InlineData("arithmetic")]
    [InlineData("shapes")]
    [InlineData("slices")]
    [InlineData("resizing")]
    [InlineData("free-batch")]
    [InlineData("half-precision")]
    [InlineData("described")]
    public void A_float_model_answers_as_TensorFlow_Lite_does(string name)
    {
        var graph = Read(name).Graph;
        (var inputs, var expected) = Case(name);
        Assert.Equal(expected.Count, graph.Outputs.Count);
        foreach (var answers in new[] { new Interpreter(graph).Run(inputs), Golden.OnnxRuntime(graph, inputs.Values.Single()) })
        {
            foreach ((var output, (var original, var value)) in graph.Outputs.Zip(expected))
            {
                Assert.True(answers[output.Name].Length == value.Length, $"{original} has {answers[output.Name].Length} values, not {value.Length}.");
                foreach ((var actual, var right) in answers[output.Name].ToDoubles().Zip(value.ToDoubles()))
                {
                    Assert.True(Math.Abs(actual - right) <= 1e-5 * Math.Max(1, Math.Abs(right)), $"{original} has {actual} for {right}.");
                }
            }
        }
    }

    [Theory]
    [InlineData("quantized-uint8")]
    [InlineData("quantized-int8")]
    [InlineData("quantized-int8-clamped")]
    public void A_quantized_model_answers_within_a_step(string name)
    {
        var graph = Read(name).Graph;
        (var inputs, var expected) = Case(name);
        foreach (var answers in new[] { new Interpreter(graph).Run(inputs), Golden.OnnxRuntime(graph, inputs.Values.Single()) })
        {
            foreach ((var output, (var original, var value)) in graph.Outputs.Zip(expected))
            {
                Assert.Equal(value.Type, output.Type);
                foreach ((var actual, var right) in answers[output.Name].ToDoubles().Zip(value.ToDoubles()))
                {
                    Assert.True(Math.Abs(actual - right) <= 1, $"{original} has {actual} for {right}.");
                }
            }
        }
    }

    [Theory]
    [InlineData("eight-bit-weights")]
    [InlineData("quantized-uint8")]
    [InlineData("quantized-int8")]
    [InlineData("quantized-int8-clamped")]
    public void A_dequantized_model_answers_as_its_twin_of_floats_does(string name)
    {
        var graph = Read(name, dequantize: true).Graph;
        Assert.DoesNotContain(graph.Nodes, node => node.Op is "QuantizeLinear" or "DequantizeLinear");
        Assert.All(graph.Inputs.Concat(graph.Outputs), value => Assert.Equal(ElementType.Float32, value.Type));
        (var inputs, var expected) = Case(name, "dequantized");
        var input = inputs["input"];
        if (input.Type != ElementType.Float32)
        {
            var zeroPoint = input.Type == ElementType.Int8 ? -1 : 127;
            input = Tensor.Float32(input.Shape, Array.ConvertAll(input.ToFloats(), value => (value - zeroPoint) / 127.5f));
        }

        var answers = new Interpreter(graph).Run(input);
        foreach ((var output, (var _, var value)) in graph.Outputs.Zip(expected))
        {
            Golden.Agrees(value.ToFloats(), answers[output.Name].ToFloats());
        }
    }

    [Fact]
    public void Scales_of_a_quantized_model_are_scalars_where_the_file_has_one()
    {
        var graph = Read("quantized-int8").Graph;
        var activation = graph.Nodes.First(node => node.Op == "QuantizeLinear");
        Assert.Empty(graph.Constants[activation.Inputs[1]].Shape);
        Assert.Empty(graph.Constants[activation.Inputs[2]].Shape);

        // Depthwise weights have their scales on the last axis in the file, on the first in ONNX.
        var weights = graph.Nodes.First(node => node.Op == "DequantizeLinear" && graph.Constants.TryGetValue(node.Inputs[0], out var constant)
            && constant.Shape is [6, 1, 3, 3]);
        Assert.Equal([6], graph.Constants[weights.Inputs[1]].Shape);
        Assert.Equal(0L, weights.Attributes["axis"]);
    }

    [Fact]
    public void Floats_at_the_edges_of_a_quantized_model_stay_floats()
    {
        var graph = Read("quantized-edges").Graph;
        Assert.Equal(ElementType.Float32, graph.Inputs[0].Type);
        Assert.Equal(ElementType.Float32, graph.Outputs[0].Type);
        (var inputs, var expected) = Case("quantized-edges");
        var answer = Assert.Single(new Interpreter(graph).Run(inputs)).Value.ToFloats();
        Golden.Agrees(expected[0].Value.ToFloats(), answer, tolerance: 1 / 200f);
    }

    [Fact]
    public void A_fused_activation_is_left_to_the_quantized_range_only_where_that_range_does_it()
    {
        Assert.DoesNotContain(Read("quantized-uint8").Graph.Nodes, node => node.Op == "Clip");
        Assert.Contains(Read("quantized-int8-clamped").Graph.Nodes, node => node.Op == "Relu");
    }

    [Fact]
    public void A_free_batch_takes_any_number_of_pictures()
    {
        var graph = Read("free-batch").Graph;
        Assert.Equal([-1, 3, 4, 2], graph.Inputs[0].Shape);
        (var inputs, var expected) = Case("free-batch");
        var one = inputs["input"].ToFloats();
        var answer = new Interpreter(graph).Run(Tensor.Float32([2, 3, 4, 2], [.. one, .. one])).Values.Single().ToFloats();
        Golden.Agrees([.. expected[0].Value.ToFloats(), .. expected[0].Value.ToFloats()], answer);
    }

    [Fact]
    public void Eight_bit_weights_of_a_float_model_become_floats()
    {
        var graph = Read("eight-bit-weights").Graph;
        Assert.DoesNotContain(graph.Nodes, node => node.Op == "DequantizeLinear");
        Assert.All(graph.Nodes.Where(node => node.Op == "Conv"), node => Assert.Equal(ElementType.Float32, graph.Constants[node.Inputs[1]].Type));
    }

    [Fact]
    public void Metadata_tells_normalisation_and_labels()
    {
        var imported = Read("described");
        Assert.Equal(["apple", "pear", "plum"], imported.Labels!);
        Assert.Equal([123.5, 116, 104], imported.Preprocessing!.ImageMean);
        Assert.Equal([58.5, 57, 57.5], imported.Preprocessing.ImageStd);
        Assert.Equal(1, imported.Preprocessing.RescaleFactor);
    }

    [Fact]
    public void The_scale_of_a_quantized_input_tells_normalisation()
    {
        var imported = Read("quantized-int8-clamped");
        Assert.Equal(1 / 127.5, imported.Preprocessing!.RescaleFactor, 1e-6);
        Assert.Equal(127 / 127.5, imported.Preprocessing.ImageMean[0], 1e-6);
    }

    [Fact]
    public void Random_augmentation_is_cut_out_behind_the_scaling()
    {
        var model = new TensorFlowLiteReader().Read(Golden.Data("tflite/augmented.tflite"));
        var pixels = Numbers.Random(1, 0, 255, [1, 8, 8, 3]);

        var answer = new Interpreter(model.Graph).Run(pixels).Single().Value.ToFloats();

        double[] means = [.. Enumerable.Range(0, 3).Select(channel => pixels.ToFloats().Where((_, at) => at % 3 == channel).Average(value => value / 255d))];
        Assert.All(means.Zip(answer), pair => Assert.Equal(Math.Exp(pair.First) / means.Sum(Math.Exp), pair.Second, 5));
        Assert.Contains("The file augments pictures at random, as training does; that is left out, behind 'mul_3'.", model.Notes);
    }

    [Theory]
    [InlineData("refused-lstm", "The operator 'LSTM' (lstm_0) is not supported.")]
    [InlineData("refused-control-flow", "The operator 'IF' (if_0) is not supported.")]
    [InlineData("refused-custom", "The operator 'FlexErf' (custom_0) is not one of TensorFlow Lite's own and is not supported.")]
    public void What_is_not_supported_is_refused_by_name_and_place(string name, string message)
    {
        Assert.Equal(message, Assert.Throws<ModelFormatException>(() => Read(name)).Message);
    }

    [Fact]
    public void A_model_is_recognised_by_its_content()
    {
        var reader = new TensorFlowLiteReader();
        Assert.True(reader.CanRead(Golden.Data("tflite/pooling.tflite")));
        Assert.False(reader.CanRead(Golden.Data("tflite/golden.json")));
        Assert.False(reader.CanRead(Golden.Data("tflite")));
        Assert.False(reader.CanRead(Golden.Data("tflite/absent.tflite")));
    }

    private static ImportedModel Read(string name, bool dequantize = false) => new TensorFlowLiteReader(dequantize).Read(Golden.Data($"tflite/{name}.tflite"));

    private static (Dictionary<string, Tensor> Inputs, List<(string Name, Tensor Value)> Outputs) Case(string name, string outputs = "outputs")
    {
        using var golden = JsonDocument.Parse(File.ReadAllText(Golden.Data("tflite/golden.json")));
        var sample = golden.RootElement.GetProperty(name);
        return (sample.GetProperty("inputs").EnumerateObject().ToDictionary(input => input.Name,
            input => Value(input.Value, [.. input.Value.GetProperty("shape").EnumerateArray().Select(side => side.GetInt32())])),
            [.. sample.GetProperty(outputs).EnumerateArray()
                .Select(output => (output.GetProperty("name").GetString()!, Value(output, [output.GetProperty("data").GetArrayLength()])))]);

        static Tensor Value(JsonElement value, int[] shape) => Tensor.FromDoubles(
            Enum.Parse<ElementType>(value.GetProperty("type").GetString()!, ignoreCase: true), shape,
                [.. value.GetProperty("data").EnumerateArray().Select(item => item.GetDouble())]);
    }
}
