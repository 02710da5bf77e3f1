using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>
/// Brings operators of older and newer opsets to the form of opset 17. What changed, operator by operator, is listed in
/// https://github.com/onnx/onnx/blob/main/docs/Changelog.md.
/// </summary>
internal static class OnnxUpgrade
{
    public static void Apply(Graph graph, long opset, List<string> notes)
    {
        var upgraded = new GraphBuilder(graph);
        List<Node> nodes = [.. graph.Nodes];
        graph.Nodes.Clear();
        foreach (var node in nodes)
        {
            switch (node.Op)
            {
                case "Constant":
                    // A weight like any other; its value is checked when it is read.
                    graph.Constants[node.Outputs.Count == 1 ? node.Outputs[0]
                        : throw new ModelFormatException($"{node} has {Counted.Of(node.Outputs.Count, "output")}.")] = Operators.Run(node, [])[0];
                    continue;
                case "Clip" when opset < 11:
                    MoveFloat(upgraded, node, "min", 1);
                    MoveFloat(upgraded, node, "max", 2);
                    break;
                case "Pad" when opset < 11:
                    MoveInts(upgraded, node, "pads", 1);
                    MoveFloat(upgraded, node, "value", 2);
                    break;
                case "Slice" when opset < 10:
                    MoveInts(upgraded, node, "starts", 1);
                    MoveInts(upgraded, node, "ends", 2);
                    MoveInts(upgraded, node, "axes", 3);
                    break;
                case "Squeeze" or "Unsqueeze" or "ReduceSum" when opset < 13:
                    MoveInts(upgraded, node, "axes", 1);
                    break;
                case "ReduceMean" or "ReduceMax" or "ReduceMin" or "ReduceProd" or "ReduceSumSquare" or "ReduceL1" or "ReduceL2" when opset >= 18:
                    MoveToAttribute(graph, node, "axes", 1);
                    break;
                case "Split" when opset < 13:
                    MoveInts(upgraded, node, "split", 1);
                    break;
                case "Dropout" or "Identity" or "BatchNormalization":
                    LeaveTraining(graph, node, opset, notes);
                    // The further outputs (mask, running statistics) are for training.
                    node.Op = node.Op == "Dropout" ? "Identity" : node.Op;
                    node.Inputs.RemoveRange(Math.Min(node.Inputs.Count, node.Op == "Identity" ? 1 : 5),
                        Math.Max(0, node.Inputs.Count - (node.Op == "Identity" ? 1 : 5)));
                    node.Outputs.RemoveRange(Math.Min(node.Outputs.Count, 1), Math.Max(0, node.Outputs.Count - 1));
                    if (node.Int("spatial", 1) == 0)
                    {
                        throw new ModelFormatException($"{node} with spatial = 0 is not supported.");
                    }

                    KeepAttributes(node, "epsilon", "training_mode");
                    break;
                case "Upsample":
                    node.Op = "Resize";
                    MoveFloats(upgraded, node, "scales", 1);
                    ResizeAsBefore11(node);
                    break;
                case "Resize" when opset < 11:
                    ResizeAsBefore11(node);
                    break;
                case "Softmax" or "LogSoftmax" when opset < 13:
                    SoftmaxAsBefore13(upgraded, node);
                    continue;
                case "Cast":
                    KeepAttributes(node, "to");
                    break;
            }

            graph.Nodes.Add(node);
        }
    }

    /// <summary>
    /// A network that was exported while it trained normalises by the pictures of its batch, which no single picture has. Its dropout is left out as ever.
    /// </summary>
    private static void LeaveTraining(Graph graph, Node node, long opset, List<string> notes)
    {
        if (node.Op == "BatchNormalization" && (node.Int("training_mode", 0) == 1 || (opset < 14 && node.Outputs.Skip(1).Any(output => output.Length > 0))))
        {
            throw new ModelFormatException($"{node} is in training mode, in which answers depend on the other pictures of a batch: call model.eval() before " +
                $"the export (torch.onnx.export), and import that.");
        }

        const string Note = "The file was exported in training mode, with dropout, which is left out as model.eval() does.";
        if (node.Op == "Dropout" && node.Inputs.Count > 2 && graph.Constants.GetValueOrDefault(node.Inputs[2])?.ToInts() is [not 0] && !notes.Contains(Note))
        {
            notes.Add(Note);
        }
    }

    /// <summary>Upsample, and Resize 10: scales stood in the second input, and coordinates were plain quotients.</summary>
    private static void ResizeAsBefore11(Node node)
    {
        node.Inputs.Insert(Math.Min(1, node.Inputs.Count), "");
        node.Attributes["coordinate_transformation_mode"] = "asymmetric";
        node.Attributes["nearest_mode"] = "floor";
    }

    /// <summary>Softmax ran over everything from its axis on, flattened; the default axis was 1.</summary>
    private static void SoftmaxAsBefore13(GraphBuilder builder, Node node)
    {
        var axis = node.Int("axis", 1);
        node.Attributes["axis"] = -1L;
        if (axis == -1)
        {
            builder.Graph.Nodes.Add(node);
            return;
        }

        if (node.Inputs.Count != 1 || node.Outputs.Count != 1)
        {
            throw new ModelFormatException($"{node} has {Counted.Of(node.Inputs.Count, "input")} and {Counted.Of(node.Outputs.Count, "output")}.");
        }

        var input = node.Inputs[0];
        var output = node.Outputs[0];
        node.Inputs[0] = builder.AddNode("Flatten", node.Name + "_flatten", [input], ("axis", axis));
        node.Outputs[0] = builder.Unique(output + "_flat");
        builder.Graph.Nodes.Add(node);
        var shape = builder.AddNode("Shape", node.Name + "_shape", [input]);
        var back = builder.AddNode("Reshape", node.Name + "_reshape", [node.Outputs[0], shape], outputs: 1);
        back.Outputs[0] = output;
    }

    private static void MoveInts(GraphBuilder builder, Node node, string attribute, int input)
    {
        if (node.Ints(attribute) is { } values)
        {
            Put(node, input, builder.AddInt64Constant($"{node.Name}_{attribute}", values));
        }

        node.Attributes.Remove(attribute);
    }

    private static void MoveFloats(GraphBuilder builder, Node node, string attribute, int input)
    {
        if (node.Attributes.Remove(attribute, out var value) && value is float[] values)
        {
            Put(node, input, builder.AddConstant($"{node.Name}_{attribute}", values, values.Length));
        }
    }

    private static void MoveFloat(GraphBuilder builder, Node node, string attribute, int input)
    {
        if (node.Attributes.ContainsKey(attribute))
        {
            Put(node, input, builder.AddConstant($"{node.Name}_{attribute}", [node.Float(attribute, 0)]));
        }

        node.Attributes.Remove(attribute);
    }

    private static void MoveToAttribute(Graph graph, Node node, string attribute, int input)
    {
        if (node.Inputs.Count > input && node.Inputs[input].Length > 0)
        {
            node.Attributes[attribute] = graph.Constants.TryGetValue(node.Inputs[input], out var value) ? value.ToInts()
                : throw new ModelFormatException($"{node} with computed {attribute} is not supported.");
            node.Inputs.RemoveRange(input, node.Inputs.Count - input);
        }
    }

    private static void Put(Node node, int input, string value)
    {
        while (node.Inputs.Count <= input)
        {
            node.Inputs.Add("");
        }

        node.Inputs[input] = value;
    }

    private static void KeepAttributes(Node node, params ReadOnlySpan<string> kept)
    {
        foreach (var attribute in node.Attributes.Keys.ToArray())
        {
            if (!kept.Contains(attribute))
            {
                node.Attributes.Remove(attribute);
            }
        }
    }
}
