using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Writes what averages (or takes the largest of) a whole feature map as the one operator for it: a mean over height and width, or a pooling whose
/// window is the map. ONNX Runtime runs that fastest, and the embedding is found behind it.
/// </summary>
public static class GlobalPooling
{
    /// <summary>All sides but the batch must be known.</summary>
    public static void Apply(Graph graph)
    {
        var shapes = Shapes.Infer(graph);
        var channelsLast = graph.Nodes.Any(node => node.ChannelsLast);
        var builder = new GraphBuilder(graph);
        Node[] nodes = [.. graph.Nodes];
        graph.Nodes.Clear();
        foreach (var node in nodes)
        {
            graph.Nodes.Add(node);
            if (node.Inputs.Count == 0 || !shapes.TryGetValue(node.Inputs[0], out var input) || input.Shape.Length != 4 || input.Type != ElementType.Float32)
            {
                continue;
            }

            if (node.Op is "AveragePool" or "MaxPool")
            {
                var spatial = node.ChannelsLast ? 1 : 2;
                if (node.Ints("kernel_shape") is [var height, var width] && height == input.Shape[spatial] && width == input.Shape[spatial + 1]
                    && (node.Ints("pads") ?? []).All(pad => pad == 0) && (node.Ints("dilations") ?? []).All(dilation => dilation == 1)
                    && shapes[node.Outputs[0]].Shape[spatial] * shapes[node.Outputs[0]].Shape[spatial + 1] == 1
                        && node.Text("auto_pad", "NOTSET") is "NOTSET" or "VALID")
                {
                    node.Op = "Global" + node.Op;
                    node.Attributes.Clear();
                }
            }
            else if (node.Op is "ReduceMean" or "ReduceMax")
            {
                long[] axes = [.. ((node.Inputs.Count > 1 ? graph.Constants.GetValueOrDefault(node.Inputs[1])?.ToInts() : node.Ints("axes")) ?? [])
                    .Select(axis => axis < 0 ? axis + 4 : axis).Order()];
                if (axes is [1, 2] && channelsLast)
                {
                    node.ChannelsLast = true;
                }
                else if (axes is not [2, 3])
                {
                    continue;
                }

                var keep = node.Int("keepdims", 1) == 1;
                node.Op = node.Op == "ReduceMean" ? "GlobalAveragePool" : "GlobalMaxPool";
                node.Attributes.Clear();
                node.Inputs.RemoveRange(1, node.Inputs.Count - 1);
                if (!keep)
                {
                    var output = node.Outputs[0];
                    node.Outputs[0] = builder.Unique(output + "_pooled");
                    builder.AddNode("Flatten", node.Name + "_flatten", [node.Outputs[0]], outputs: 1).Outputs[0] = output;
                }
            }
        }
    }
}
