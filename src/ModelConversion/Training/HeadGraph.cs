using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Training;

/// <summary>Puts a new last layer on a network: everything up to its embedding stays as it is.</summary>
public static class HeadGraph
{
    private const string Logits = "logits";

    /// <summary>Replaces what follows the embedding.</summary>
    /// <param name="graph">A bundle's network; becomes the new one.</param>
    /// <param name="embedding">The output that the head reads, [N, features].</param>
    /// <param name="head">The head.</param>
    /// <returns>
    /// The new outputs, without the file of the classifier's weights; and these, [classes, features], where they make class activation maps.
    /// </returns>
    public static (OutputSpec Output, Tensor? ClassifierWeights) Apply(Graph graph, string embedding, DenseHead head)
    {
        var output = graph.Outputs.Find(value => value.Name == embedding)
            ?? throw new ModelFormatException($"The network has no output '{embedding}', only {string.Join(", ", graph.Outputs.Select(value => value.Name))}.");
        var producer = graph.Nodes.Find(node => node.Outputs.Contains(embedding))
            ?? throw new ModelFormatException($"The network's output '{embedding}' is its input; there is nothing to learn from.");
        var place = producer.Outputs.IndexOf(embedding);
        graph.Outputs.Clear();

        // The names go to the new outputs.
        foreach (var name in (string[])["probabilities", Logits, ClassifierOutputs.Embedding, ClassifierOutputs.Features])
        {
            ClassifierOutputs.MakeFree(graph, name);
        }

        var builder = new GraphBuilder(graph);
        var weights = builder.AddConstant("head_weights", head.Weights, head.Classes, head.Features);
        var bias = builder.AddConstant("head_bias", head.Bias, head.Classes);
        var logits = builder.AddNode("Gemm", "head", [producer.Outputs[place], weights, bias], ("transB", 1L));
        var softmax = builder.AddNode("Softmax", "head_softmax", [logits], ("axis", -1L));
        graph.Outputs.Add(new GraphValue(softmax, ElementType.Float32, [output.Shape[0], head.Classes]));
        DeadCode.Apply(graph);
        var classifier = ClassifierOutputs.Apply(graph);
        graph.Nodes.Find(node => node.Outputs.Contains(logits))!.Outputs[0] = Logits;
        graph.Nodes.Find(node => node.Inputs.Contains(logits))!.Inputs[0] = Logits;
        graph.Outputs.Add(new GraphValue(Logits, ElementType.Float32, [output.Shape[0], head.Classes]));
        return (
            new OutputSpec
            {
                Kind = classifier.Kind,
                Logits = Logits,
                Embedding = classifier.HasEmbedding ? ClassifierOutputs.Embedding : null,
                Features = classifier.HasFeatures ? ClassifierOutputs.Features : null,
            },
            classifier.ClassifierWeights);
    }

    /// <summary>The weights of the layer that gives the logits, [classes, features], as they are now.</summary>
    public static Tensor WeightsOf(Graph graph, string logits) => graph.Constants[HeadOf(graph, logits).Inputs[1]];

    /// <summary>Divides the logits by a temperature, in the weights: every output and every protocol then says the same.</summary>
    public static void Divide(Graph graph, string logits, double temperature)
    {
        var head = HeadOf(graph, logits);
        foreach (var name in head.Inputs.Skip(1))
        {
            var constant = graph.Constants[name];
            graph.Constants[name] = Tensor.Float32([.. constant.Shape], [.. constant.ToFloats().Select(value => (float)(value / temperature))]);
        }
    }

    private static Node HeadOf(Graph graph, string logits) =>
        graph.Nodes.Find(node => node.Outputs.Contains(logits) && node.Op == "Gemm" && node.Int("transB", 0) == 1)
            ?? throw new ModelFormatException($"The network's output '{logits}' is not written by a dense layer.");
}
