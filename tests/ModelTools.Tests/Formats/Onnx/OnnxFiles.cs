using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Formats.Onnx;

/// <summary>ONNX files as others write them: of any opset, with operators of other domains and functions of their own.</summary>
internal static class OnnxFiles
{
    /// <summary>The domain of functions.</summary>
    public const string Functions = "pkg.functions";

    /// <summary>A graph as a file.</summary>
    /// <param name="graph">The graph, whose operators are written as they are.</param>
    /// <param name="opset">What they are said to be of.</param>
    /// <param name="contributed">Which of them are ONNX Runtime's own.</param>
    /// <param name="functions">Functions by name: inputs, outputs and nodes are those of a graph, constants excepted.</param>
    public static byte[] ToBytes(Graph graph, long opset, Func<string, bool>? contributed = null,
        params (string Name, Graph Body, string[] Attributes)[] functions)
    {
        var model = new ProtobufMessage().Add(1, opset > 20 ? 10L : 8L);
        model.Add(7, WithDomains(GraphOf(graph), DomainOf));
        foreach ((var name, var body, var attributes) in functions)
        {
            var function = new ProtobufMessage().Add(1, name);
            body.Inputs.ForEach(input => function.Add(4, input.Name));
            body.Outputs.ForEach(output => function.Add(5, output.Name));
            Array.ForEach(attributes, attribute => function.Add(6, attribute));
            var written = new ProtobufReader(GraphOf(body));
            while (written.Next())
            {
                if (written.Field == 1)
                {
                    function.Add(7, References(WithDomain(written.Bytes(), DomainOf)));
                }
            }

            model.Add(25, function.Add(9, new ProtobufMessage().Add(1, "").Add(2, opset)).Add(9, new ProtobufMessage().Add(1, Functions).Add(2, 1L))
                .Add(10, Functions));
        }

        model.Add(8, new ProtobufMessage().Add(1, "").Add(2, opset)).Add(8, new ProtobufMessage().Add(1, "com.microsoft").Add(2, 1L))
            .Add(8, new ProtobufMessage().Add(1, Functions).Add(2, 1L));
        using var bytes = new MemoryStream();
        model.WriteTo(bytes);
        return bytes.ToArray();

        string DomainOf(string op) => contributed?.Invoke(op) == true ? "com.microsoft"
            : Array.Exists(functions, function => function.Name == op) ? Functions : "";
    }

    private static ReadOnlyMemory<byte> GraphOf(Graph graph)
    {
        using var stream = new MemoryStream();
        OnnxWriter.Write(graph, stream);
        var file = new ProtobufReader(stream.ToArray());
        while (file.Next())
        {
            if (file.Field == 7)
            {
                return file.Bytes();
            }
        }

        throw new InvalidOperationException("The writer wrote no graph.");
    }

    private static ProtobufMessage WithDomains(ReadOnlyMemory<byte> graph, Func<string, string> domainOf)
    {
        var message = new ProtobufMessage();
        var reader = new ProtobufReader(graph);
        while (reader.Next())
        {
            message.Add(reader.Field, reader.Field == 1 ? (ReadOnlyMemory<byte>)WithDomain(reader.Bytes(), domainOf) : reader.Bytes());
        }

        return message;
    }

    /// <summary>A node with <c>NodeProto.domain</c> (7).</summary>
    private static byte[] WithDomain(ReadOnlyMemory<byte> bytes, Func<string, string> domainOf)
    {
        var op = "";
        var node = new ProtobufReader(bytes);
        while (node.Next())
        {
            op = node.Field == 4 ? node.Text() : op;
        }

        var domain = System.Text.Encoding.ASCII.GetBytes(domainOf(op));
        return domain.Length == 0 ? bytes.ToArray() : [.. bytes.Span, 7 << 3 | 2, (byte)domain.Length, .. domain];
    }

    /// <summary>Attributes whose text is "@name" are references to the function's attribute <c>name</c> (<c>AttributeProto.ref_attr_name</c>, 21).</summary>
    private static byte[] References(byte[] bytes)
    {
        var message = new ProtobufMessage();
        var node = new ProtobufReader(bytes);
        while (node.Next())
        {
            var part = node.Bytes();
            (var name, var text) = ("", "");
            var attribute = new ProtobufReader(part);
            while (node.Field == 5 && attribute.Next())
            {
                name = attribute.Field == 1 ? attribute.Text() : name;
                text = attribute.Field == 4 ? attribute.Text() : text;
            }

            // "@alpha:1" is of the type FLOAT.
            message.Add(node.Field, text.StartsWith('@')
                ? (ReadOnlyMemory<byte>)Bytes(new ProtobufMessage().Add(1, name).Add(21, text[1..^2]).Add(20, (long)(text[^1] - '0'))) : part);
        }

        return Bytes(message);
    }

    private static byte[] Bytes(ProtobufMessage message)
    {
        using var stream = new MemoryStream();
        message.WriteTo(stream);
        return stream.ToArray();
    }
}
