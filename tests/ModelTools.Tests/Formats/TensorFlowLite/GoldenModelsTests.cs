using Whatsit.ModelTools.Formats;
using Whatsit.ModelTools.Formats.TensorFlowLite;
using Whatsit.ModelTools.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.TensorFlowLite;

/// <summary>Real models: what we read answers as TensorFlow Lite does.</summary>
public class GoldenModelsTests
{
    [Theory]
    [InlineData("kivy/model.tflite")]
    [InlineData("teachable/bread-tflite/model_unquant.tflite")]
    public void A_float_model_answers_within_a_ten_thousandth(string model)
    {
        ImportedModel imported = new TensorFlowLiteReader().Read(Golden.Shared(model));
        foreach ((string input, string encoding, float[] output) in Golden.Cases(model))
        {
            Tensor tensor = Golden.Input(input, encoding, imported.Graph.Inputs[0]);
            Golden.Agrees(output, Assert.Single(new Interpreter(imported.Graph).Run(tensor)).Value.ToFloats());
        }
    }

    [Theory]
    [InlineData("imagenet/mobilenet_v2_1.0_224_quant.tflite")]
    [InlineData("imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite")]
    public void A_quantized_model_stays_quantized_and_agrees(string model)
    {
        ImportedModel imported = new TensorFlowLiteReader().Read(Golden.Shared(model));
        Assert.Equal(ElementType.UInt8, imported.Graph.Inputs[0].Type);
        Assert.Equal(ElementType.UInt8, imported.Graph.Outputs[0].Type);
        foreach ((string input, string encoding, float[] output) in Golden.Cases(model))
        {
            Tensor tensor = Golden.Input(input, encoding, imported.Graph.Inputs[0]);
            Golden.AgreesQuantized(output, Assert.Single(new Interpreter(imported.Graph).Run(tensor)).Value.ToFloats());
        }
    }

    [Theory]
    [InlineData("imagenet/mobilenet_v2_1.0_224_quant.tflite")]
    [InlineData("imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite")]
    public void A_dequantized_model_computes_in_floats_and_agrees(string model)
    {
        ImportedModel imported = new TensorFlowLiteReader(dequantize: true).Read(Golden.Shared(model));
        Assert.DoesNotContain(imported.Graph.Nodes, node => node.Op is "QuantizeLinear" or "DequantizeLinear");
        foreach ((string input, _, float[] output) in Golden.Cases(model))
        {
            byte[] pixels = File.ReadAllBytes(Golden.Shared(Path.Combine("golden", input)));
            float scale = (float)imported.Preprocessing!.RescaleFactor;
            float mean = (float)imported.Preprocessing.ImageMean[0];
            Tensor tensor = Tensor.Float32([1, 224, 224, 3], Array.ConvertAll(pixels, pixel => (pixel * scale) - mean));
            float[] answer = Assert.Single(new Interpreter(imported.Graph).Run(tensor)).Value.ToFloats();
            Golden.AgreesQuantized(output, Array.ConvertAll(answer, probability => probability * 256));
        }
    }

    [Fact]
    public void Numbered_labels_beside_a_model_lose_their_numbers()
    {
        ImportedModel imported = new TensorFlowLiteReader().Read(Golden.Shared("teachable/bread-tflite/model_unquant.tflite"));
        Assert.Equal("Binangkal", imported.Labels![0]);
        Assert.Equal(10, imported.Labels.Count);
    }
}
