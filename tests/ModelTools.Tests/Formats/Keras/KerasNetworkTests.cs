using System.Text.Json;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

public sealed class KerasNetworkTests
{
    [Theory]
    [InlineData("LSTM", "{}", "The layer 'LSTM' (it) is not supported.")]
    [InlineData("Conv3D", "{}", "The layer 'Conv3D' (it) is not supported.")]
    [InlineData("Custom>MyLayer", "{}", "The layer 'MyLayer' (it) is not supported.")]
    [InlineData("Dot", "{}", "The layer 'Dot' (it) is not supported.")]
    [InlineData("MaxPooling2D", """{"padding": "causal"}""", "The layer 'MaxPooling2D' (it) has the padding 'causal', which is not supported.")]
    [InlineData("Activation", """{"activation": "my_function"}""", "The layer 'Activation' (it) has the activation 'my_function', which is not supported.")]
    [InlineData("UpSampling2D", """{"interpolation": "lanczos3"}""", "The layer 'UpSampling2D' (it) has the interpolation 'lanczos3', which is not supported.")]
    [InlineData("Lambda", """{"function": ["4wEA", null, null]}""",
        "The layer 'Lambda' (it) holds Python code, which cannot be imported; if it only scales, say how: --lambda it=x/255.")]
    [InlineData("Conv2D", """{"filters": 4, "kernel_size": "large"}""", "The layer 'Conv2D' (it) needs whole numbers as its 'kernel_size'.")]
    [InlineData("Conv2D", """{"filters": 4, "kernel_size": [3, 3]}""", "The weight 'kernel' of the layer 'Conv2D' (it) is missing.")]
    [InlineData("MaxPooling2D", """{"pool_size": [9, 9]}""", "The layer 'MaxPooling2D' (it) reaches over 9 pixels of an input of [?, 8, 8, 3].")]
    [InlineData("Conv2D", """{"filters": 4, "kernel_size": [3, 3], "groups": 2}""", "The layer 'Conv2D' (it) has 4 filters in 2 groups over 3 channels.")]
    [InlineData("Reshape", """{"target_shape": [5, 5]}""", "The layer 'Reshape' (it) reshapes [?, 8, 8, 3] to [5, 5].")]
    [InlineData("Conv2D", """{"filters": 4, "kernel_size": 3, "data_format": "sideways"}""",
        "The layer 'Conv2D' (it) has the data format 'sideways', which is not supported.")]
    [InlineData("Cropping2D", """{"cropping": 4}""", "The layer 'Cropping2D' (it) cuts away all of an input of [?, 8, 8, 3].")]
    [InlineData("TFOpLambda", """{"function": "math.erfinv"}""", "The operation 'math.erfinv' (it) is not supported.")]
    public void What_is_not_supported_is_refused_by_its_name(string className, string settings, string message)
    {
        Assert.Equal(message, Refusal("""
            {"class_name": "Sequential", "config": {"name": "model", "layers": [
                {"class_name": "InputLayer", "config": {"name": "input", "batch_input_shape": [null, 8, 8, 3]}},
                {"class_name": "CLASS", "name": "it", "config": SETTINGS}]}}
            """.Replace("CLASS", className, StringComparison.Ordinal).Replace("SETTINGS", settings, StringComparison.Ordinal)));
    }

    [Fact]
    public void Models_with_several_inputs_are_refused()
    {
        Assert.Equal("The model 'm' has 2 inputs (a, b); models with one input are supported.", Refusal(Functional(
            """
            {"class_name": "InputLayer", "name": "a", "config": {"name": "a", "batch_input_shape": [null, 4]}, "inbound_nodes": []},
            {"class_name": "InputLayer", "name": "b", "config": {"name": "b", "batch_input_shape": [null, 4]}, "inbound_nodes": []},
            {"class_name": "Add", "name": "c", "config": {"name": "c"}, "inbound_nodes": [[["a", 0, 0, {}], ["b", 0, 0, {}]]]}
            """,
            """[["a", 0, 0], ["b", 0, 0]]""",
            """[["c", 0, 0]]""")));
    }

    [Fact]
    public void A_network_that_feeds_itself_is_refused()
    {
        Assert.Equal("The layer 'b' of the model 'm' depends on itself.", Refusal(Functional(
            """
            {"class_name": "InputLayer", "name": "a", "config": {"name": "a", "batch_input_shape": [null, 4]}, "inbound_nodes": []},
            {"class_name": "Add", "name": "b", "config": {"name": "b"}, "inbound_nodes": [[["a", 0, 0, {}], ["c", 0, 0, {}]]]},
            {"class_name": "Add", "name": "c", "config": {"name": "c"}, "inbound_nodes": [[["a", 0, 0, {}], ["b", 0, 0, {}]]]}
            """,
            """[["a", 0, 0]]""",
            """[["b", 0, 0]]""")));
    }

    [Theory]
    [InlineData("""[["nowhere", 0, 0]]""", "The model 'm' refers to call 0 of the layer 'nowhere', which does not exist.")]
    [InlineData("""[["a", 3, 0]]""", "The model 'm' refers to call 3 of the layer 'a', which does not exist.")]
    [InlineData("""[["a", 0, 1]]""", "The model 'm' has no output 1 of the layer 'a'.")]
    [InlineData("""[[0, 0, 0]]""", "'0' does not name a layer's output.")]
    [InlineData("""[["a", "b", "c"]]""", "The description of the model 'm' is malformed")]
    public void References_to_nothing_are_refused(string outputs, string message)
    {
        Assert.StartsWith(message, Refusal(Functional(
            """{"class_name": "InputLayer", "name": "a", "config": {"name": "a", "batch_input_shape": [null, 4]}, "inbound_nodes": []}""",
            """[["a", 0, 0]]""",
            outputs)), StringComparison.Ordinal);
    }

    [Fact]
    public void Networks_that_multiply_by_nesting_are_refused()
    {
        // Each level calls the one inside it ten times: ten million calls in a few kilobytes.
        var model = Functional("""{"class_name": "InputLayer", "name": "a", "config": {"name": "a", "batch_input_shape": [null, 4]}, "inbound_nodes": []}""",
            """[["a", 0, 0]]""", """[["a", 0, 0]]""");
        for (var level = 0; level < 7; level++)
        {
            var calls = string.Join(", ", Enumerable.Range(0, 10).Select(call => call == 0 ? """[["a", 0, 0, {}]]""" : $$"""[["n", {{call - 1}}, 0, {}]]"""));
            model = Functional(
                $$"""
                {"class_name": "InputLayer", "name": "a", "config": {"name": "a", "batch_input_shape": [null, 4]}, "inbound_nodes": []},
                {{model[..^1]}}, "name": "n", "inbound_nodes": [{{calls}}]},
                {"class_name": "Activation", "name": "r", "config": {"name": "r", "activation": "relu"}, "inbound_nodes": [[["n", 9, 0, {}]]]}
                """,
                """[["a", 0, 0]]""",
                """[["r", 0, 0]]""");
        }

        Assert.Equal("The model has more than 20000 layers.", Refusal(model));
    }

    [Fact]
    public void A_Python_class_of_its_own_is_refused()
    {
        Assert.Equal(
            "The model is a 'MyModel', written as a Python class of its own; only Sequential and Functional models describe their layers.",
            Refusal("""{"class_name": "Custom>MyModel", "config": {"name": "m", "units": 4}}"""));
    }

    [Fact]
    public void A_model_without_an_input_shape_is_refused()
    {
        Assert.Equal(
            "The model 'm' does not say what shape its input 'r_input' has.",
            Refusal("""{"class_name": "Sequential", "config": {"name": "m", "layers": [{"class_name": "ReLU", "config": {"name": "r"}}]}}"""));
    }

    [Fact]
    public void A_picture_of_any_size_is_padded_when_it_is_known()
    {
        var graph = Import("""
            {"class_name": "Sequential", "config": {"name": "m", "layers": [
                {"class_name": "MaxPooling2D", "config": {"name": "p", "batch_input_shape": [null, null, null, 3], "pool_size": [3, 3], "strides": [2, 2], "padding": "same"}},
                {"class_name": "GlobalAveragePooling2D", "config": {"name": "g"}}]}}
            """).Graph;

        Assert.Equal("SAME_UPPER", graph.Nodes[0].Attributes["auto_pad"]);
        Assert.Equal([-1, 3], graph.Outputs[0].Shape);
        Assert.Equal([1, 3], new Interpreter(graph).Run(Tensor.Float32([1, 5, 8, 3], new float[120])).Single().Value.Shape);
    }

    [Fact]
    public void Settings_in_camel_case_are_read()
    {
        var graph = Import("""
            {"className": "Sequential", "config": {"name": "m", "layers": [
                {"className": "MaxPooling2D", "config": {"name": "p", "batchInputShape": [null, 8, 8, 3], "poolSize": [4, 4], "padding": "valid"}}]}}
            """).Graph;

        Assert.Equal([-1, 2, 2, 3], graph.Outputs[0].Shape);
    }

    private static string Functional(string layers, string inputs, string outputs) =>
        $$$"""{"class_name": "Functional", "config": {"name": "m", "layers": [{{{layers}}}], "input_layers": {{{inputs}}}, "output_layers": {{{outputs}}}}}""";

    private static string Refusal(string model) => Assert.Throws<ModelFormatException>(() => Import(model)).Message;

    private static ImportedModel Import(string model)
    {
        using var document = JsonDocument.Parse(model);
        return KerasNetwork.Import(document.RootElement, new NoWeights());
    }

    private sealed class NoWeights : IKerasWeights
    {
        public Tensor? Find(IReadOnlyList<string> layer, string weight, int index) => null;
    }
}
