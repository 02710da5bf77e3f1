using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>Writes ONNX: opset 17, or the first later one that an operator of the graph demands.</summary>
public static class OnnxWriter
{
    private const int OldestOpset = 17;

    /// <summary>Writes a graph whose operators all keep channels first (see the pass <c>ChannelsFirst</c>).</summary>
    /// <param name="graph">The graph.</param>
    /// <param name="stream">Where to.</param>
    /// <param name="metadata">Texts for the file's <c>metadata_props</c>.</param>
    public static void Write(Graph graph, Stream stream, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var opset = graph.Nodes.Select(OpsetOf).Append(OldestOpset).Max();

        // ModelProto; the IR version is the one that came with the opset: https://github.com/onnx/onnx/blob/main/docs/Versioning.md
        var model = new ProtobufMessage()
            .Add(1, opset <= 18 ? 8 : opset <= 20 ? 9 : 10)
            .Add(2, "whatsit")
            .Add(3, typeof(OnnxWriter).Assembly.GetName().Version?.ToString(3) ?? "")
            .Add(7, GraphProto(graph))
            .Add(8, new ProtobufMessage().Add(1, "").Add(2, opset));
        foreach ((var key, var value) in metadata ?? new Dictionary<string, string>())
        {
            model.Add(14, new ProtobufMessage().Add(1, key).Add(2, value));
        }

        model.WriteTo(stream);
    }

    /// <summary>Writes a graph to a file.</summary>
    public static void Write(Graph graph, string path, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var stream = File.Create(path, bufferSize: 1 << 16);
        Write(graph, stream, metadata);
    }

    private static int OpsetOf(Node node) => node.Op switch
    {
        "Gelu" => 20,
        "AveragePool" when node.Attributes.ContainsKey("dilations") => 19,
        "Mish" => 18,
        "Resize" when node.Attributes.ContainsKey("axes") || node.Int("antialias", 0) == 1 => 18,
        "Resize" when node.Text("coordinate_transformation_mode", "") == "half_pixel_symmetric" => 19,
        "ScatterND" or "ScatterElements" when node.Text("reduction", "none") is "max" or "min" => 18,
        "Pad" when node.Inputs.Count > 3 => 18,
        "Pad" when node.Text("mode", "constant") == "wrap" => 19,
        _ => OldestOpset,
    };

    private static ProtobufMessage GraphProto(Graph graph)
    {
        var opset = graph.Nodes.Select(OpsetOf).Append(OldestOpset).Max();
        var message = new ProtobufMessage();
        foreach (var node in graph.Nodes)
        {
            message.Add(1, NodeProto(node, opset, message));
        }

        message.Add(2, graph.Name.Length > 0 ? graph.Name : "model");
        foreach ((var name, var tensor) in graph.Constants)
        {
            message.Add(5, TensorProto(name, tensor));
        }

        foreach (var input in graph.Inputs)
        {
            message.Add(11, ValueInfoProto(input));
        }

        foreach (var output in graph.Outputs)
        {
            message.Add(12, ValueInfoProto(output));
        }

        return message;
    }

    private static ProtobufMessage NodeProto(Node node, int opset, ProtobufMessage graph)
    {
        if (node.ChannelsLast)
        {
            throw new InvalidOperationException($"{node} keeps channels last; ONNX cannot say so.");
        }

        var message = new ProtobufMessage();
        List<string> inputs = [.. node.Inputs];
        Dictionary<string, object> attributes = new(node.Attributes);

        // Opset 18 moved the axes of every reduction to an input (ReduceSum was first) and made Split say how many parts it makes.
        if (opset >= 18 && node.Op.StartsWith("Reduce", StringComparison.Ordinal) && node.Op != "ReduceSum" && attributes.Remove("axes", out var axes))
        {
            var name = node.Name + "_axes";
            graph.Add(5, TensorProto(name, Tensor.Int64([((long[])axes).Length], (long[])axes)));
            inputs.Add(name);
        }
        else if (opset >= 18 && node.Op == "Split" && node.Inputs.Count == 1)
        {
            attributes["num_outputs"] = (long)node.Outputs.Count;
        }

        while (inputs is [.., ""])
        {
            inputs.RemoveAt(inputs.Count - 1);
        }

        inputs.ForEach(input => message.Add(1, input));
        node.Outputs.ForEach(output => message.Add(2, output));
        message.Add(3, node.Name).Add(4, node.Op);
        foreach ((var name, var value) in attributes)
        {
            message.Add(5, AttributeProto(name, value));
        }

        return message;
    }

    private static ProtobufMessage AttributeProto(string name, object value)
    {
        var message = new ProtobufMessage().Add(1, name);
        switch (value)
        {
            case float number: return message.Add(2, number).Add(20, 1);
            case long number: return message.Add(3, number).Add(20, 2);
            case string text: return message.Add(4, text).Add(20, 3);
            case Tensor tensor: return message.Add(5, TensorProto("", tensor)).Add(20, 4);
            case float[] numbers:
                foreach (var number in numbers)
                {
                    message.Add(7, number);
                }

                return message.Add(20, 6);
            case long[] numbers:
                foreach (var number in numbers)
                {
                    message.Add(8, number);
                }

                return message.Add(20, 7);
            default: throw new InvalidOperationException($"The attribute '{name}' is a {value.GetType().Name}; ONNX has no such kind.");
        }
    }

    private static ProtobufMessage TensorProto(string name, Tensor tensor)
    {
        var message = new ProtobufMessage();
        foreach (var side in tensor.Shape)
        {
            message.Add(1, side);
        }

        return message.Add(2, (int)tensor.Type).Add(8, name).Add(9, tensor.Data); // raw_data
    }

    private static ProtobufMessage ValueInfoProto(GraphValue value)
    {
        var shape = new ProtobufMessage();
        for (var axis = 0; axis < value.Shape.Length; axis++)
        {
            // dim_value (1), or dim_param (2): a free side has a name, and the first one is the batch
            shape.Add(1, value.Shape[axis] >= 0 ? new ProtobufMessage().Add(1, value.Shape[axis]) : new ProtobufMessage().Add(2, axis == 0 ? "N" : $"D{axis}"));
        }

        var tensorType = new ProtobufMessage().Add(1, (int)value.Type).Add(2, shape);
        return new ProtobufMessage().Add(1, value.Name).Add(2, new ProtobufMessage().Add(1, tensorType));
    }
}
