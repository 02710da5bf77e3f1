using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>Computes once what depends on constants only.</summary>
public static class FoldConstants
{
    // Constants that grow when they are computed (Expand, Tile, ConstantOfShape) must not blow up the file.
    private const int MaxGrowth = 1 << 20;

    /// <summary>Replaces nodes by their results.</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="keepQuantized">Leaves weights quantized: a DequantizeLinear of a constant stays, for ONNX Runtime to fuse.</param>
    public static void Apply(Graph graph, bool keepQuantized = true)
    {
        var outputs = graph.Outputs.Select(output => output.Name).ToHashSet(StringComparer.Ordinal);
        for (var index = 0; index < graph.Nodes.Count; index++)
        {
            var node = graph.Nodes[index];
            if ((keepQuantized && node.Op is "DequantizeLinear" or "QuantizeLinear")
                || node.Outputs.Any(outputs.Contains)
                || !node.Inputs.All(input => input.Length == 0 || graph.Constants.ContainsKey(input)))
            {
                continue;
            }

            Tensor?[] inputs = [.. node.Inputs.Select(input => graph.Constants.GetValueOrDefault(input))];
            var results = Operators.Run(node, inputs);
            if (results.Sum(result => (long)result.Length) > inputs.Sum(input => (long)(input?.Length ?? 0)) + MaxGrowth)
            {
                continue;
            }

            for (var output = 0; output < results.Length; output++)
            {
                graph.Constants[node.Outputs[output]] = results[output];
            }

            graph.Nodes.RemoveAt(index--);
        }

        DeadCode.Apply(graph);
    }
}
