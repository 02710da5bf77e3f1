using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Tests.Graphs;

namespace Whatsit.ModelTools.Tests.Passes;

/// <summary>The names that a classifier's outputs get.</summary>
public sealed class ClassifierNamesTests
{
    [Theory]
    [InlineData("features", "pool", "embedding", "logits")]
    [InlineData("embedding", "logits", "features", "probabilities")]
    [InlineData("logits", "probabilities", "embedding", "features")]
    public void Values_of_the_network_may_have_them_already(string map, string pool, string flat, string dense)
    {
        var graph = Network(map, pool, flat, dense);
        var picture = new Dictionary<string, Tensor> { ["x"] = Numbers.Random(9, 1, 3, 8, 8) };
        using var original = new OnnxRunner(Network(map, pool, flat, dense));
        var expected = original.Run(picture)[dense].ToFloats();

        ClassifierOutputs.Apply(graph);

        using var runner = new OnnxRunner(graph);
        var answers = runner.Run(picture);
        Assert.Equal(expected, answers["logits"].ToFloats());
        Assert.Equal([1, 5], answers["embedding"].Shape);
        Assert.Equal([1, 5, 6, 6], answers["features"].Shape);
    }

    private static Graph Network(string map, string pool, string flat, string dense)
    {
        var builder = new GraphBuilder("names");
        var x = builder.AddInput("x", ElementType.Float32, -1, 3, 8, 8);
        x = builder.AddNode("Conv", map, [x, builder.AddConstant("w", Numbers.Random(1, 5, 3, 3, 3))]);
        x = builder.AddNode("Flatten", flat, [builder.AddNode("GlobalAveragePool", pool, [x])]);
        x = builder.AddNode("Gemm", dense, [x, builder.AddConstant("v", Numbers.Random(2, 5, 4))]);
        builder.AddOutput(x, ElementType.Float32, -1, 4);
        return builder.Graph;
    }
}
