using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Whatsit.Inference;
using Whatsit.ModelConversion.Formats.Protobuf;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelConversion.Formats.Onnx;

/// <summary>
/// Reads ONNX. Field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Older opsets are brought to the form of opset 17
/// by <see cref="OnnxUpgrade"/>, so that everything behind the reader knows one form of each operator.
/// </summary>
public sealed class OnnxReader : IModelReader
{
    // Before opset 7, operators broadcast by an attribute of their own; no exporter of the last years writes that.
    private const long OldestOpset = 7;

    // The longest shape that an image classifier could want; a bound for lying files.
    private const int MaxRank = 16;

    /// <inheritdoc/>
    public string Format => "ONNX";

    /// <inheritdoc/>
    public bool CanRead(string path)
    {
        if (!ModelFile.Exists(path))
        {
            return false;
        }

        // ModelProto: ir_version (1) first, then a few short texts, then graph (7), which takes up nearly all of the file. No other format begins so.
        using var file = File.OpenRead(path);
        var start = new byte[(int)Math.Min(file.Length, 4096)];
        file.ReadExactly(start);
        if (start is not [0x08, > 0 and < 0x80, ..])
        {
            return false;
        }

        for (var at = 2; at < start.Length;)
        {
            var field = start[at] >> 3;
            var text = (start[at] & 7) == (int)WireType.LengthDelimited;
            ulong value = 0;
            var shift = 0;
            do
            {
                if (++at >= start.Length || shift > 63)
                {
                    return false;
                }

                value |= (ulong)(start[at] & 0x7F) << shift;
                shift += 7;
            }
            while (start[at] >= 0x80);
            at++;
            if (field == 7)
            {
                return text && value > 0;
            }

            if (field is not (2 or 3 or 4 or 5 or 6 or 8 or 14) || value > (ulong)(text ? start.Length : int.MaxValue))
            {
                return false;
            }

            at += text ? (int)value : 0;
        }

        return false;
    }

    /// <inheritdoc/>
    public ImportedModel Read(string path)
    {
        if (new FileInfo(path).Length > Array.MaxLength)
        {
            throw new ModelFormatException($"The file is larger than {Array.MaxLength:N0} bytes, which is more than protobuf allows for one message.");
        }

        return Read(File.ReadAllBytes(path), Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Reads a model from memory; weights in files of their own are looked for in <paramref name="folder"/>.</summary>
    internal static ImportedModel Read(ReadOnlyMemory<byte> file, string folder)
    {
        ReadOnlyMemory<byte>? graph = null;
        long opset = 0;
        var producer = "";
        var functions = new OnnxFunctions();
        var properties = new Dictionary<string, string>(StringComparer.Ordinal);
        var message = new ProtobufReader(file);
        while (message.Next())
        {
            switch (message.Field)
            {
                case 2: producer = message.Text(); break; // producer_name
                case 7: graph = message.Bytes(); break;
                case 8: ReadOpset(message.Message(), ref opset); break; // opset_import
                case 14: // metadata_props
                    (var key, var value) = ReadEntry(message.Message());
                    properties[key] = value;
                    break;
                case 25: functions.Add(message.Message()); break;
            }
        }

        if (graph is null || opset == 0)
        {
            throw new ModelFormatException("The file holds no ONNX model (no graph, or no opset).");
        }

        if (opset < OldestOpset)
        {
            throw new ModelFormatException($"The file uses opset {opset}; {OldestOpset} and later are supported.");
        }

        var texts = new Dictionary<string, string[]>(StringComparer.Ordinal);
        var read = ReadGraph(new ProtobufReader(graph.Value), folder, functions, texts);
        var hasTail = read.Nodes.Exists(node => OnnxClassifiers.Knows(node.Op));
        var labels = OnnxClassifiers.Apply(read, texts);
        Sort(read);
        if (hasTail)
        {
            DeadCode.Apply(read);
        }

        var notes = new List<string> { producer.Length == 0 ? $"ONNX opset {opset}." : $"ONNX opset {opset}, written by {producer}." };
        OnnxUpgrade.Apply(read, opset, notes);
        FusedOperators.Apply(read, opset);
        QuantizedOperators.Apply(read);
        Check(read);
        var model = OnnxMetadata.Apply(new ImportedModel(read) { Notes = notes }, properties);
        return labels is null || model.Labels is not null ? model
            : model with { Labels = labels, Notes = [.. model.Notes, $"{Counted.Of(labels.Length, "class name")} from the file's last operators."] };
    }

    private static void ReadOpset(ProtobufReader message, ref long opset)
    {
        var domain = "";
        long version = 0;
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: domain = message.Text(); break;
                case 2: version = message.Int64(); break;
            }
        }

        if (domain is "" or "ai.onnx")
        {
            opset = version;
        }
    }

    /// <summary>Nodes stand behind those whose results they read, as the specification wants and some exporters forget.</summary>
    private static void Sort(Graph graph)
    {
        var producers = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var index = 0; index < graph.Nodes.Count; index++)
        {
            foreach (var output in graph.Nodes[index].Outputs.Where(output => output.Length > 0))
            {
                producers.TryAdd(output, index);
            }
        }

        if (!graph.Nodes.Where((node, index) => node.Inputs.Any(input => producers.TryGetValue(input, out var producer) && producer >= index)).Any())
        {
            return;
        }

        Node[] nodes = [.. graph.Nodes];
        graph.Nodes.Clear();
        var state = new byte[nodes.Length]; // 1 is open, 2 has its place
        var pending = new Stack<int>(Enumerable.Range(0, nodes.Length).Reverse());
        while (pending.TryPop(out var index))
        {
            if (state[index] == 2)
            {
                continue;
            }

            int[] needed = [.. nodes[index].Inputs.Where(producers.ContainsKey).Select(input => producers[input]).Where(producer => state[producer] != 2)];
            if (needed.Length == 0)
            {
                graph.Nodes.Add(nodes[index]);
                state[index] = 2;
                continue;
            }

            if (state[index] == 1)
            {
                throw new ModelFormatException($"{nodes[index]} depends on its own result.");
            }

            state[index] = 1;
            pending.Push(index);
            foreach (var producer in needed.Reverse())
            {
                pending.Push(producer);
            }
        }
    }

    private static Graph ReadGraph(ProtobufReader message, string folder, OnnxFunctions functions, Dictionary<string, string[]> texts)
    {
        var graph = new Graph();
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: graph.Nodes.AddRange(ReadNodes(message.Message(), folder, graph.Nodes.Count, functions)); break;
                case 2: graph.Name = message.Text(); break;
                case 5: // initializer
                    (var name, var tensor, var text) = ReadTensor(message.Message(), folder);
                    if (text is null ? !graph.Constants.TryAdd(name, tensor) : !texts.TryAdd(name, text))
                    {
                        throw new ModelFormatException($"Two constants are called '{name}'.");
                    }

                    break;
                case 11: graph.Inputs.Add(ReadValue(message.Message())); break;
                case 12:
                    var output = message.Bytes();
                    graph.Outputs.Add(IsTensorOfNumbers(new ProtobufReader(output)) ? ReadValue(new ProtobufReader(output))
                        : new GraphValue(NameOf(new ProtobufReader(output)), ElementType.String, [])); // what becomes of it, OnnxClassifiers knows
                    break;
                case 15: throw new ModelFormatException("Sparse constants are not supported.");
            }
        }

        // Before IR version 4 every constant was an input, too.
        graph.Inputs.RemoveAll(input => graph.Constants.ContainsKey(input.Name) || texts.ContainsKey(input.Name));
        return graph;
    }

    private static IEnumerable<Node> ReadNodes(ProtobufReader message, string folder, int number, OnnxFunctions functions)
    {
        (var node, var domain) = ReadNode(message, folder, number, functions, null);
        return !functions.Knows(domain, node.Op) ? [node] : functions.Expand(node, domain,
            (inner, attributes) => ReadNode(inner, folder, number, functions, attributes), attribute => ReadAttribute(attribute, folder, null));
    }

    private static (Node Node, string Domain) ReadNode(ProtobufReader message, string folder, int number, OnnxFunctions functions,
        IReadOnlyDictionary<string, object>? given)
    {
        var inputs = new List<string>();
        var outputs = new List<string>();
        var attributes = new Dictionary<string, object>(StringComparer.Ordinal);
        (var name, var op, var domain) = ("", "", "");
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: inputs.Add(message.Text()); break;
                case 2: outputs.Add(message.Text()); break;
                case 3: name = message.Text(); break;
                case 4: op = message.Text(); break;
                case 5:
                    (var attribute, var value) = ReadAttribute(message.Message(), folder, given);
                    if (value is not null)
                    {
                        attributes[attribute] = value;
                    }

                    break;
                case 7: domain = message.Text(); break;
            }
        }

        // Exporters may leave the name out; an error message needs one.
        var node = new Node(op, name.Length > 0 ? name : outputs.FirstOrDefault(output => output.Length > 0) ?? $"node {number}", inputs, outputs);
        var own = domain == OnnxClassifiers.Domain && OnnxClassifiers.Knows(op);
        var contributed = domain == "com.microsoft" && (QuantizedOperators.Knows(op) || FusedOperators.Knows(op));
        if (domain is not ("" or "ai.onnx") && !functions.Knows(domain, op) && !own && !contributed)
        {
            throw new ModelFormatException($"The operator '{domain}.{op}' ({node.Name}) is not supported.");
        }

        foreach ((var key, var value) in attributes.Where(attribute => own || op == "Constant" || attribute.Value is not string[]))
        {
            node.Attributes.Add(key, value);
        }

        return (node, domain);
    }

    /// <param name="message">An AttributeProto.</param>
    /// <param name="folder">Where weights in files of their own are.</param>
    /// <param name="given">Within a function: the attributes of the call.</param>
    private static (string Name, object? Value) ReadAttribute(ProtobufReader message, string folder, IReadOnlyDictionary<string, object>? given)
    {
        var name = "";
        var reference = "";
        var type = 0;
        (float f, long i, var s) = (0, 0, "");
        Tensor? tensor = null;
        string[]? text = null;
        var texts = new List<string>();
        var floats = new List<float>();
        var ints = new List<long>();
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: name = message.Text(); break;
                case 2: f = message.Float(); break;
                case 3: i = message.Int64(); break;
                case 4: s = message.Text(); break;
                case 5: (_, tensor, text) = ReadTensor(message.Message(), folder); break;
                case 7: message.AddTo(floats); break;
                case 8: message.AddTo(ints); break;
                case 9: texts.Add(message.Text()); break;
                case 20: type = message.Int32(); break;
                case 21: reference = message.Text(); break;
            }
        }

        if (reference.Length > 0)
        {
            return (name, given?.GetValueOrDefault(reference));
        }

        // AttributeProto.AttributeType; graphs and the like belong to operators that are refused by their name.
        return (name, type switch
        {
            1 => f,
            2 => i,
            3 => s,
            4 when text is not null => text,
            4 => tensor,
            6 => floats.ToArray(),
            7 => ints.ToArray(),
            8 => texts.ToArray(),
            _ => null,
        });
    }

    private static string NameOf(ProtobufReader message)
    {
        var name = "";
        while (message.Next())
        {
            name = message.Field == 1 ? message.Text() : name;
        }

        return name;
    }

    // Maps, sequences and text are what the tails of scikit-learn's and Custom Vision's classifiers answer with.
    private static bool IsTensorOfNumbers(ProtobufReader message)
    {
        var known = false;
        while (message.Next())
        {
            if (message.Field != 2)
            {
                continue;
            }

            var type = message.Message();
            while (type.Next())
            {
                if (type.Field == 1)
                {
                    known = true;
                    var tensor = type.Message();
                    while (tensor.Next())
                    {
                        known &= tensor.Field != 1 || tensor.Int32() != (int)ElementType.String;
                    }
                }
            }
        }

        return known;
    }

    private static GraphValue ReadValue(ProtobufReader message)
    {
        var name = "";
        ReadOnlyMemory<byte>? tensor = null;
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: name = message.Text(); break;
                case 2: // TypeProto
                    var type = message.Message();
                    while (type.Next())
                    {
                        tensor = type.Field == 1 ? type.Bytes() : tensor; // tensor_type
                    }

                    break;
            }
        }

        var elementType = 0;
        var shape = new List<int>();
        var tensorType = new ProtobufReader(tensor ?? throw new ModelFormatException($"'{name}' is not a tensor."));
        while (tensorType.Next())
        {
            switch (tensorType.Field)
            {
                case 1: elementType = tensorType.Int32(); break;
                case 2:
                    var sides = tensorType.Message();
                    while (sides.Next() && shape.Count <= MaxRank)
                    {
                        shape.Add(ReadSide(sides.Message()));
                    }

                    break;
            }
        }

        return new GraphValue(name, TypeOf(elementType, name), [.. shape]);

        static int ReadSide(ProtobufReader side)
        {
            long value = -1; // without dim_value (1) it is free
            while (side.Next())
            {
                value = side.Field == 1 ? side.Int64() : value;
            }

            return value is > 0 and <= int.MaxValue ? (int)value : -1; // some exporters write a free side as 0
        }
    }

    private static (string Name, Tensor Tensor, string[]? Text) ReadTensor(ProtobufReader message, string folder)
    {
        var name = "";
        var type = 0;
        var sides = new List<long>();
        ReadOnlyMemory<byte>? raw = null;
        var floats = new List<float>();
        var ints = new List<long>();
        var doubles = new List<double>();
        var texts = new List<string>();
        var external = new Dictionary<string, string>(StringComparer.Ordinal);
        var isExternal = false;
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: message.AddTo(sides); break;
                case 2: type = message.Int32(); break;
                case 4: message.AddTo(floats); break;
                case 6: texts.Add(message.Text()); break;
                case 5 or 7: message.AddTo(ints); break; // int32_data holds every smaller type too, float16 as its bits
                case 8: name = message.Text(); break;
                case 9: raw = message.Bytes(); break;
                case 10: message.AddTo(doubles); break;
                case 13:
                    (var key, var value) = ReadEntry(message.Message());
                    external[key] = value;
                    break;
                case 14: isExternal = message.Int32() == 1; break;
            }
        }

        if (type == (int)ElementType.String)
        {
            return (name, new Tensor(ElementType.String, [texts.Count], default), [.. texts]);
        }

        var elementType = TypeOf(type, name);
        if (sides.Count > MaxRank || sides.Any(side => side is < 0 or > int.MaxValue))
        {
            throw new ModelFormatException($"The constant '{name}' has the shape [{string.Join(", ", sides.Take(MaxRank))}].");
        }

        int[] shape = [.. sides.Select(side => (int)side)];
        var bytes = (long)Tensor.ElementsOf(shape) * Tensor.SizeOf(elementType);
        var data = isExternal ? ReadExternal(name, external, folder, bytes)
            : raw ?? Pack(elementType, floats, ints, doubles);
        return data.Length == bytes ? (name, new Tensor(elementType, shape, data), null)
            : throw new ModelFormatException(
                $"The constant '{name}' of shape [{string.Join(", ", shape)}] needs {Counted.Of(bytes, "byte")} and has {data.Length:N0}.");
    }

    private static byte[] Pack(ElementType type, List<float> floats, List<long> ints, List<double> doubles)
    {
        if (type == ElementType.Float32)
        {
            return MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(floats)).ToArray();
        }

        if (type == ElementType.Float64)
        {
            return MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(doubles)).ToArray();
        }

        var size = Tensor.SizeOf(type);
        var data = new byte[checked(ints.Count * size)];
        Span<byte> number = stackalloc byte[sizeof(long)];
        for (var i = 0; i < ints.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(number, ints[i]);
            number[..size].CopyTo(data.AsSpan(i * size));
        }

        return data;
    }

    private static (string Key, string Value) ReadEntry(ProtobufReader message)
    {
        (var key, var value) = ("", "");
        while (message.Next())
        {
            switch (message.Field)
            {
                case 1: key = message.Text(); break;
                case 2: value = message.Text(); break;
            }
        }

        return (key, value);
    }

    /// <summary>Weights in a file beside the model. https://github.com/onnx/onnx/blob/main/docs/ExternalData.md</summary>
    private static ReadOnlyMemory<byte> ReadExternal(string name, Dictionary<string, string> external, string folder, long bytes)
    {
        var location = external.GetValueOrDefault("location", "");
        var path = location.Contains('\0') ? "" : Path.GetFullPath(Path.Combine(folder, location)); // no path has a null, and Path throws
        if (location.Length == 0 || !ModelFile.IsBeside(folder, path) || !ModelFile.Exists(path))
        {
            throw new ModelFormatException($"The constant '{name}' lies in the file '{location}', which is not beside the model.");
        }

        Placeholder.Refuse(path, weights: true);
        using var file = File.OpenRead(path);
        var offset = Number("offset", 0);
        if (Number("length", bytes) != bytes || offset < 0 || offset > file.Length - bytes)
        {
            throw new ModelFormatException(
                $"The constant '{name}' needs {Counted.Of(bytes, "byte")} at {offset} of the file '{location}', which has {file.Length:N0}.");
        }

        var data = new byte[bytes];
        file.Position = offset;
        file.ReadExactly(data);
        return data;

        long Number(string key, long otherwise) => !external.TryGetValue(key, out var text) ? otherwise
            : long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number
            : throw new ModelFormatException($"The constant '{name}' has the {key} '{text}'.");
    }

    private static ElementType TypeOf(int type, string name) => Enum.IsDefined((ElementType)type) && (ElementType)type != ElementType.String
        ? (ElementType)type
        : throw new ModelFormatException($"'{name}' has elements of the ONNX type {type}, which is not supported.");

    /// <summary>Every operator is known, and everything that is read was written before.</summary>
    private static void Check(Graph graph)
    {
        var values = new HashSet<string>(graph.Constants.Keys, StringComparer.Ordinal);
        foreach (var input in graph.Inputs)
        {
            if (!values.Add(input.Name))
            {
                throw new ModelFormatException($"Two inputs are called '{input.Name}'.");
            }
        }

        foreach (var node in graph.Nodes)
        {
            if (!Operators.Supports(node.Op))
            {
                throw new ModelFormatException($"{node} is not supported.");
            }

            if (node.Inputs.FirstOrDefault(input => input.Length > 0 && !values.Contains(input)) is { } missing)
            {
                throw new ModelFormatException($"{node} reads '{missing}', which nothing before it writes.");
            }

            if (node.Outputs.FirstOrDefault(output => output.Length > 0 && !values.Add(output)) is { } twice)
            {
                throw new ModelFormatException($"{node} writes '{twice}', which is written already.");
            }
        }

        if (graph.Outputs.FirstOrDefault(output => !values.Contains(output.Name)) is { } unwritten)
        {
            throw new ModelFormatException($"The output '{unwritten.Name}' is written by no node.");
        }

        if (graph.Inputs.Count == 0 || graph.Outputs.Count == 0)
        {
            throw new ModelFormatException("The model has no input or no output.");
        }
    }
}
