using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Whatsit.Inference.Catalog;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;
using Whatsit.ModelTools.Commands;

namespace Whatsit.ModelTools.Tests.Preparation;

/// <summary>
/// The bundled model as its trainer might have handed it out, in each format: floats in, probabilities out, and not a word on how pictures become these floats.
/// Beside it lie its labels.
/// </summary>
internal sealed class StrippedModel
{
    private readonly string _bundle;
    private readonly ModelManifest _manifest;

    // What remains, in order: convolutions with what follows them, sums, the mean, the dense layer, the softmax.
    private readonly Graph _graph;
    private readonly Wiring _wiring;

    public StrippedModel(string bundle)
    {
        (_bundle, _manifest) = (bundle, Bundle.ReadManifest(bundle));
        _graph = new OnnxReader().Read(Path.Combine(bundle, _manifest.Files["fp32"].File)).Graph;
        var first = _graph.Nodes.First(node => node.Op == "Conv");
        _graph.Nodes.RemoveRange(0, _graph.Nodes.IndexOf(first));
        _graph.Inputs.Clear();
        _graph.Inputs.Add(new GraphValue(first.Inputs[0], ElementType.Float32, [-1, 3, _manifest.Input.Height, _manifest.Input.Width]));
        _graph.Outputs.RemoveAll(output => output.Name != _manifest.Output.Name);
        DeadCode.Apply(_graph);
        _wiring = new Wiring(_graph);
    }

    /// <summary>Writes a copy, and its labels beside it.</summary>
    public string Write(string format, string folder)
    {
        Directory.CreateDirectory(folder);
        File.Copy(Path.Combine(_bundle, _manifest.Labels), Path.Combine(folder, "labels.txt"));
        switch (format)
        {
            case "onnx":
                OnnxWriter.Write(_graph, Path.Combine(folder, "model.onnx"));
                return Path.Combine(folder, "model.onnx");
            case "tfjs":
                ExportCommand.Export(_manifest, _bundle, Path.Combine(_bundle, _manifest.Files["fp32"].File), folder, half: false);
                File.Delete(Path.Combine(folder, "metadata.json"));
                File.Delete(Path.Combine(folder, "classes.json"));
                return Path.Combine(folder, "model.json");
            case "tflite":
                File.WriteAllBytes(Path.Combine(folder, "model.tflite"), Lite());
                return Path.Combine(folder, "model.tflite");
            default:
                WriteKeras(Path.Combine(folder, "model.keras"));
                return Path.Combine(folder, "model.keras");
        }
    }

    private bool IsRelu6(string value) =>
        _wiring.OnlyConsumer(value) is { Op: "Clip" } clip && _wiring.Constant(clip, 1)?.ToFloats() is [0] && _wiring.Constant(clip, 2)?.ToFloats() is [6];

    private float[] Floats(Node node, int input) => _wiring.Constant(node, input)!.ToFloats();

    /// <summary>[outputs, inputs, height, width] with the inputs last, or with outputs last, too.</summary>
    private static float[] Move(float[] weights, int[] shape, params int[] order)
    {
        int[] strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
        var moved = new float[weights.Length];
        var at = 0;
        for (var a = 0; a < shape[order[0]]; a++)
        {
            for (var b = 0; b < shape[order[1]]; b++)
            {
                for (var c = 0; c < shape[order[2]]; c++)
                {
                    for (var d = 0; d < shape[order[3]]; d++)
                    {
                        moved[at++] = weights[(a * strides[order[0]]) + (b * strides[order[1]]) + (c * strides[order[2]]) + (d * strides[order[3]])];
                    }
                }
            }
        }

        return moved;
    }

    /// <summary>[classes, features].</summary>
    private float[] Dense(Node node, bool outputsFirst)
    {
        var weights = _wiring.Constant(node, 1)!;
        var values = weights.ToFloats();
        if (node.Int("transB", 0) == 1 == outputsFirst)
        {
            return values;
        }

        (var rows, var columns) = (weights.Shape[0], weights.Shape[1]);
        return [.. Enumerable.Range(0, values.Length).Select(at => values[(at % rows * columns) + (at / rows)])];
    }

    private static int[] Sides(Node node) => node.Ints("pads") is { } pads ? [.. pads.Select(side => (int)side)] : [0, 0, 0, 0];

    private static int Stride(Node node) => (int)(node.Ints("strides")?[0] ?? 1);

    // Keras: an archive of the description and the weights, as Keras 3 writes it.

    private void WriteKeras(string path)
    {
        var layers = new JsonArray();
        var weights = new SortedDictionary<string, (int[] Shape, float[] Values)>(StringComparer.Ordinal);
        var names = new Dictionary<string, string>(StringComparer.Ordinal) { [_graph.Inputs[0].Name] = "image" };
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        layers.Add(new JsonObject
        {
            ["module"] = "keras.layers",
            ["class_name"] = "InputLayer",
            ["config"] = new JsonObject { ["batch_shape"] = new JsonArray(null, _manifest.Input.Height, _manifest.Input.Width, 3), ["name"] = "image" },
            ["name"] = "image",
            ["inbound_nodes"] = new JsonArray(),
        });
        foreach (var node in _graph.Nodes)
        {
            switch (node.Op)
            {
                case "Conv":
                    var pads = Sides(node);
                    var input = names[node.Inputs[0]];
                    if (pads.Any(side => side != 0))
                    {
                        input = Add("ZeroPadding2D", "zero_padding2d",
                            new JsonObject { ["padding"] = new JsonArray(new JsonArray(pads[0], pads[2]), new JsonArray(pads[1], pads[3])) }, input);
                    }

                    var shape = _wiring.Constant(node, 1)!.Shape;
                    var config = new JsonObject
                    {
                        ["kernel_size"] = new JsonArray(shape[2], shape[3]),
                        ["strides"] = new JsonArray(Stride(node), Stride(node)),
                        ["padding"] = "valid",
                    };
                    if (node.Int("group", 1) == 1)
                    {
                        config["filters"] = shape[0];
                        names[node.Outputs[0]] = Add("Conv2D", "conv2d", config, input);
                        Store("conv2d", 0, [shape[2], shape[3], shape[1], shape[0]], Move(Floats(node, 1), shape, 2, 3, 1, 0));
                        Store("conv2d", 1, [shape[0]], Floats(node, 2));
                    }
                    else
                    {
                        names[node.Outputs[0]] = Add("DepthwiseConv2D", "depthwise_conv2d", config, input);
                        Store("depthwise_conv2d", 0, [shape[2], shape[3], shape[0], 1], Move(Floats(node, 1), shape, 2, 3, 0, 1));
                        Store("depthwise_conv2d", 1, [shape[0]], Floats(node, 2));
                    }

                    break;
                case "Clip" when IsRelu6(node.Inputs[0]):
                    names[node.Outputs[0]] = Add("ReLU", "re_lu", new JsonObject { ["max_value"] = 6.0 }, names[node.Inputs[0]]);
                    break;
                case "Add":
                    names[node.Outputs[0]] = Add("Add", "add", [], names[node.Inputs[0]], names[node.Inputs[1]]);
                    break;
                case "ReduceMean":
                    names[node.Outputs[0]] = Add("GlobalAveragePooling2D", "global_average_pooling2d", [], names[node.Inputs[0]]);
                    break;
                case "Gemm":
                    var classes = _wiring.Constant(node, 2)!.Length;
                    var values = Dense(node, outputsFirst: false);
                    names[node.Outputs[0]] = Add("Dense", "dense", new JsonObject { ["units"] = classes }, names[node.Inputs[0]]);
                    Store("dense", 0, [values.Length / classes, classes], values);
                    Store("dense", 1, [classes], Floats(node, 2));
                    break;
                case "Softmax":
                    names[node.Outputs[0]] = Add("Softmax", "softmax", [], names[node.Inputs[0]]);
                    break;
                default:
                    throw new InvalidOperationException(node.ToString());
            }
        }

        using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
        Entry("metadata.json", Encoding.UTF8.GetBytes("""{"keras_version": "3.4.1", "date_saved": "2026-11-28@00:00:00"}"""));
        Entry("config.json", Encoding.UTF8.GetBytes(new JsonObject
        {
            ["module"] = "keras.src.models.functional",
            ["class_name"] = "Functional",
            ["config"] = new JsonObject
            {
                ["name"] = "stripped",
                ["layers"] = layers,
                ["input_layers"] = new JsonArray(new JsonArray("image", 0, 0)),
                ["output_layers"] = new JsonArray(new JsonArray(names[_graph.Outputs[0].Name], 0, 0)),
            },
        }.ToJsonString()));
        Entry("model.weights.h5", Hdf5(weights));

        string Add(string type, string name, JsonObject config, params string[] inputs)
        {
            var count = counts[name] = counts.GetValueOrDefault(name, -1) + 1;
            var own = count == 0 ? name : $"{name}_{count}";
            config["name"] = own;
            layers.Add(new JsonObject
            {
                ["module"] = "keras.layers",
                ["class_name"] = type,
                ["config"] = config,
                ["name"] = own,
                ["inbound_nodes"] = new JsonArray(new JsonObject
                {
                    ["args"] = inputs.Length == 1 ? new JsonArray(Tensor(inputs[0])) : new JsonArray(new JsonArray([.. inputs.Select(Tensor)])),
                    ["kwargs"] = new JsonObject(),
                }),
            });
            return own;
        }

        static JsonObject Tensor(string layer) => new()
        {
            ["class_name"] = "__keras_tensor__",
            ["config"] = new JsonObject { ["dtype"] = "float32", ["keras_history"] = new JsonArray(layer, 0, 0) },
        };

        void Store(string name, int index, int[] shape, float[] values) =>
            weights.Add($"layers/{(counts[name] == 0 ? name : $"{name}_{counts[name]}")}/vars/{index}", (shape, values));

        void Entry(string name, byte[] content)
        {
            using var stream = archive.CreateEntry(name, CompressionLevel.NoCompression).Open();
            stream.Write(content);
        }
    }

    /// <summary>HDF5 with groups of links (version 1 object headers) and contiguous arrays of floats.</summary>
    private static byte[] Hdf5(IReadOnlyDictionary<string, (int[] Shape, float[] Values)> arrays)
    {
        const int SuperblockLength = 96;
        using var file = new MemoryStream();
        using var writer = new BinaryWriter(file);
        writer.Write(new byte[SuperblockLength]);
        var root = Group("", [.. arrays.Keys]);
        file.Position = 0;
        writer.Write([0x89, (byte)'H', (byte)'D', (byte)'F', 0x0D, 0x0A, 0x1A, 0x0A]);
        writer.Write([0, 0, 0, 0, 0, 8, 8, 0]);
        writer.Write((short)4);
        writer.Write((short)16);
        writer.Write(0);
        writer.Write(0L);
        writer.Write(-1L);
        writer.Write(file.Length);
        writer.Write(-1L);
        writer.Write(0L);
        writer.Write(root);
        return file.ToArray();

        long Group(string path, string[] below)
        {
            var links = new List<(int Type, byte[] Data)>();
            foreach (var child in below.GroupBy(name => name.Split('/')[0]))
            {
                var full = path + child.Key;
                string[] inside = [.. child.Where(name => name.Contains('/', StringComparison.Ordinal)).Select(name => name[(child.Key.Length + 1)..])];
                var address = inside.Length == 0 ? Array(arrays[full].Shape, arrays[full].Values) : Group(full + "/", inside);
                links.Add((6, [1, 0, (byte)child.Key.Length, .. Encoding.ASCII.GetBytes(child.Key), .. BitConverter.GetBytes(address)]));
            }

            return Header(links);
        }

        long Array(int[] shape, float[] values)
        {
            var data = file.Position;
            foreach (var value in values)
            {
                writer.Write(value);
            }

            // A float's bit field: little-endian, the mantissa's first bit implied, the sign in bit 31.
            return Header(
            [
                (1, [1, (byte)shape.Length, 0, 0, 0, 0, 0, 0, .. shape.SelectMany(side => BitConverter.GetBytes((long)side))]),
                (3, [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]),
                (8, [3, 1, .. BitConverter.GetBytes(data), .. BitConverter.GetBytes(4L * values.Length)]),
            ]);
        }

        long Header(List<(int Type, byte[] Data)> messages)
        {
            writer.Write(new byte[(8 - (file.Position % 8)) % 8]);
            var address = file.Position;
            writer.Write((short)1);
            writer.Write((short)messages.Count);
            writer.Write(1);
            writer.Write(messages.Sum(message => 8 + Padded(message.Data.Length)));
            writer.Write(0);
            foreach ((var type, var data) in messages)
            {
                writer.Write((short)type);
                writer.Write((short)Padded(data.Length));
                writer.Write(0);
                writer.Write(data);
                writer.Write(new byte[Padded(data.Length) - data.Length]);
            }

            return address;
        }

        static int Padded(int length) => (length + 7) / 8 * 8;
    }

    // TensorFlow Lite: the numbers are those of tensorflow/lite/schema/schema.fbs.

    private byte[] Lite()
    {
        List<Table> buffers = [[]];
        List<Table> tensors = [];
        List<Table> operators = [];
        List<int> codes = [];
        var places = new Dictionary<string, int>(StringComparer.Ordinal) { [_graph.Inputs[0].Name] = Value("image") };
        foreach (var node in _graph.Nodes)
        {
            switch (node.Op)
            {
                case "Conv":
                    var pads = Sides(node);
                    var input = places[node.Inputs[0]];
                    if (pads.Any(side => side != 0))
                    {
                        var sides = (int[])tensors[input][0];
                        var padded = Value(node.Name + "/pad", [1, sides[1] + pads[0] + pads[2], sides[2] + pads[1] + pads[3], sides[3]]);
                        Operator(34, [input, Integers([4, 2], 0, 0, pads[0], pads[2], pads[1], pads[3], 0, 0)], padded, 22, []);
                        input = padded;
                    }

                    var shape = _wiring.Constant(node, 1)!.Shape;
                    var relu6 = IsRelu6(node.Outputs[0]) ? (byte)3 : (byte)0;
                    var output = places[node.Outputs[0]] = Value(node.Name);
                    if (relu6 != 0)
                    {
                        places[_wiring.OnlyConsumer(node.Outputs[0])!.Outputs[0]] = output;
                    }

                    var isDepthwise = node.Int("group", 1) != 1;
                    int[] weights = isDepthwise ? [1, shape[2], shape[3], shape[0]] : [shape[0], shape[2], shape[3], shape[1]];
                    Table options = new() { [0] = (byte)1, [1] = Stride(node), [2] = Stride(node) };
                    if (isDepthwise)
                    {
                        options[3] = 1;
                    }

                    options[isDepthwise ? 4 : 3] = relu6;
                    Operator(isDepthwise ? 4 : 3,
                        [
                            input, Floats4(weights, Move(Floats(node, 1), shape, isDepthwise ? [1, 2, 3, 0] : [0, 2, 3, 1])),
                            Floats4([shape[0]], Floats(node, 2)),
                        ],
                        output, isDepthwise ? 2 : 1, options);
                    break;
                case "Clip" when IsRelu6(node.Inputs[0]):
                    break;
                case "Add":
                    Operator(0, [places[node.Inputs[0]], places[node.Inputs[1]]], places[node.Outputs[0]] = Value(node.Name), 11, []);
                    break;
                case "ReduceMean":
                    Operator(40, [places[node.Inputs[0]], Integers([2], 1, 2)], places[node.Outputs[0]] = Value(node.Name), 27, []);
                    break;
                case "Gemm":
                    var classes = _wiring.Constant(node, 2)!.Length;
                    var values = Dense(node, outputsFirst: true);
                    Operator(9, [places[node.Inputs[0]], Floats4([classes, values.Length / classes], values), Floats4([classes], Floats(node, 2))],
                        places[node.Outputs[0]] = Value(node.Name), 8, []);
                    break;
                case "Softmax":
                    Operator(25, [places[node.Inputs[0]]], places[node.Outputs[0]] = Value(node.Name), 9, new() { [0] = 1f });
                    break;
                default:
                    throw new InvalidOperationException(node.ToString());
            }
        }

        return FlatBuffer(new Table
        {
            [0] = 3,
            [1] = codes.Select(code => new Table { [0] = (byte)code, [3] = code }).ToArray(),
            [2] = new Table[]
            {
                new()
                {
                    [0] = tensors.ToArray(),
                    [1] = new int[] { places[_graph.Inputs[0].Name] },
                    [2] = new int[] { places[_graph.Outputs[0].Name] },
                    [3] = operators.ToArray(),
                },
            },
            [4] = buffers.ToArray(),
        });

        int Value(string name, int[]? shape = null)
        {
            var shapes = _shapes ??= Shapes.Infer(_graph);
            shape ??= name == "image" ? [1, _manifest.Input.Height, _manifest.Input.Width, 3]
                : shapes[_graph.Nodes.First(node => node.Name == name).Outputs[0]].Shape is [var batch, var channels, var height, var width]
                    ? [batch, height, width, channels]
                    : shapes[_graph.Nodes.First(node => node.Name == name).Outputs[0]].Shape;
            tensors.Add(new() { [0] = shape, [3] = name });
            return tensors.Count - 1;
        }

        int Constant(int type, int[] shape, byte[] data)
        {
            buffers.Add(new() { [0] = data });
            tensors.Add(new() { [0] = shape, [1] = (byte)type, [2] = buffers.Count - 1, [3] = $"constant{tensors.Count}" });
            return tensors.Count - 1;
        }

        int Floats4(int[] shape, float[] values) => Constant(0, shape, [.. values.SelectMany(BitConverter.GetBytes)]);

        int Integers(int[] shape, params int[] values) => Constant(2, shape, [.. values.SelectMany(BitConverter.GetBytes)]);

        void Operator(int code, int[] inputs, int output, int type, Table options)
        {
            if (!codes.Contains(code))
            {
                codes.Add(code);
            }

            operators.Add(new() { [0] = codes.IndexOf(code), [1] = inputs, [2] = new int[] { output }, [3] = (byte)type, [4] = options });
        }
    }

    private IReadOnlyDictionary<string, (ElementType Type, int[] Shape)>? _shapes;

    /// <summary>A FlatBuffer's table: numbers, texts, vectors and tables by field number.</summary>
    private sealed class Table : SortedDictionary<int, object>;

    /// <summary>Lays tables out front to back: each before the parts that it leads to.</summary>
    private static byte[] FlatBuffer(Table root)
    {
        using var file = new MemoryStream();
        file.Write([0, 0, 0, 0, .. "TFL3"u8]);
        var pending = new Queue<(long At, object Part)>();
        pending.Enqueue((0, root));
        while (pending.TryDequeue(out var next))
        {
            var start = next.Part switch
            {
                Table table => Put(table),
                Table[] tables => Vector(tables.Length, () => Array.ForEach(tables, Later)),
                int[] numbers => Vector(numbers.Length, () => Array.ForEach(numbers, Number)),
                byte[] bytes => Vector(bytes.Length, () => file.Write(bytes), align: 16),
                string text => Vector(Encoding.UTF8.GetByteCount(text), () => file.Write([.. Encoding.UTF8.GetBytes(text), 0])),
                _ => throw new InvalidOperationException(next.Part.GetType().Name),
            };
            var end = file.Position;
            file.Position = next.At;
            Number((int)(start - next.At));
            file.Position = end;
        }

        return file.ToArray();

        long Put(Table table)
        {
            var fields = table.Count == 0 ? 0 : table.Keys.Max() + 1;
            var length = 4 + (2 * fields);
            Align(4, length);
            var places = table.Keys.Select((field, place) => (field, place)).ToDictionary(each => each.field, each => 4 + (4 * each.place));
            Span<byte> head = new byte[length];
            BinaryPrimitives.WriteUInt16LittleEndian(head, (ushort)length);
            BinaryPrimitives.WriteUInt16LittleEndian(head[2..], (ushort)(4 + (4 * table.Count)));
            foreach ((var field, var place) in places)
            {
                BinaryPrimitives.WriteUInt16LittleEndian(head[(4 + (2 * field))..], (ushort)place);
            }

            file.Write(head);
            var start = file.Position;
            Number(length);
            foreach (var value in table.Values)
            {
                switch (value)
                {
                    case byte small:
                        Number(small);
                        break;
                    case int number:
                        Number(number);
                        break;
                    case float real:
                        Number(BitConverter.SingleToInt32Bits(real));
                        break;
                    default:
                        Later(value);
                        break;
                }
            }

            return start;
        }

        long Vector(int count, Action content, int align = 4)
        {
            Align(align, 4);
            var start = file.Position;
            Number(count);
            content();
            return start;
        }

        void Later(object part)
        {
            pending.Enqueue((file.Position, part));
            Number(0);
        }

        void Number(int number) => file.Write(BitConverter.GetBytes(number));

        void Align(int size, int extra)
        {
            while ((file.Position + extra) % size != 0)
            {
                file.WriteByte(0);
            }
        }
    }
}
