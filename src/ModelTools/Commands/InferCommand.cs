using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelConversion.Graphs;
using Whatsit.ModelConversion.Passes;

namespace Whatsit.ModelTools.Commands;

/// <summary>
/// <c>whatsit infer MODEL --input FILE</c>: one raw tensor through ONNX Runtime, the raw outputs out, in the model's own types. For looking at a
/// model, and for comparing it with its original.
/// </summary>
internal static class InferCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A bundle's name or folder, or a model file of any format." };
        var input = new Option<string>("--input") { Description = "A file of raw, little-endian, row-major numbers.", Required = true };
        var shape = new Option<string?>("--shape") { Description = "The tensor's shape, for example 1,224,224,3. The default is the model's own." };
        var type = new Option<string?>("--type") { Description = "float32 or uint8. The default is the type that fits the file's size." };
        var models = CommonOptions.Models();
        var variant = new Option<string?>("--variant") { Description = "Of a bundle: fp32, fp16, int8." };
        var dequantize = new Option<bool>("--dequantize") { Description = "Make a quantized model float first." };
        var json = new Option<bool>("--json") { Description = "{\"outputs\":{\"name\":[…]}} instead of a table." };
        var command = new Command("infer", "Run one raw tensor through a model.") { model, input, shape, type, models, variant, dequantize, json };
        command.SetAction(arguments =>
        {
            var bytes = ReadInput(arguments.GetValue(input)!);
            ElementType? given = arguments.GetValue(type) switch
            {
                null => null,
                "float32" => ElementType.Float32,
                "uint8" => ElementType.UInt8,
                var other => throw new ModelFormatException($"The type '{other}' is not supported: use float32 or uint8."),
            };
            var sides = arguments.GetValue(shape) is { } text ? ParseShape(text) : null;
            var source = ModelSource.Find(arguments.GetValue(model)!, arguments.GetValue(models)!, arguments.GetValue(dequantize));
            var outputs = Run(source, bytes, given, sides, arguments.GetValue(variant));
            if (arguments.GetValue(json))
            {
                Console.WriteLine(new JsonObject
                {
                    ["outputs"] =
                    new JsonObject(outputs.Select(output => KeyValuePair.Create<string, JsonNode?>(output.Key, ToJson(output.Value))))
                }.ToJsonString());
            }
            else
            {
                Show(outputs);
            }

            return 0;
        });
        return command;
    }

    /// <summary>Runs raw bytes; type and shape default to what fits the model.</summary>
    public static IReadOnlyDictionary<string,
        Tensor> Run(ModelSource source, byte[] bytes, ElementType? type = null, int[]? shape = null, string? variant = null) =>
        source.Manifest is not null ? RunBundle(source, variant, bytes, type, shape) : RunFile(source, bytes, type, shape);

    private static IReadOnlyDictionary<string, Tensor> RunFile(ModelSource source, byte[] bytes, ElementType? given, int[]? sides)
    {
        var model = source.Reader!.Read(source.Path);
        var graph = model.Graph;
        var input = InputShape.Only(graph);
        if (sides is not null && sides.Length == input.Shape.Length)
        {
            graph.Inputs[0] = input = input with { Shape = [.. input.Shape.Select((side, axis) => side < 0 && axis > 0 ? sides[axis] : side)] };
        }

        InputShape.Fix(graph, null, []);
        WidenHalf.Apply(graph);
        input = graph.Inputs[0];
        var picture = PictureInput.Of(graph);
        var tensor = ToTensor(bytes, given, sides, input, model.Preprocessing is { } preprocessing && picture is not null
            ? pixels => Proof.ToInput(pixels, picture, preprocessing) : null);
        PassOrder.Apply(graph);
        using var runner = new OnnxRunner(graph);
        return runner.Run(new Dictionary<string, Tensor> { [input.Name] = tensor });
    }

    private static IReadOnlyDictionary<string, Tensor> RunBundle(ModelSource source, string? variant, byte[] bytes, ElementType? given, int[]? sides)
    {
        var spec = source.Manifest!.Input;
        var floats = (given ?? (bytes.Length == spec.Width * spec.Height * 3 ? ElementType.UInt8 : ElementType.Float32)) == ElementType.Float32;
        if (variant is null && floats && spec.ElementType == InputElementType.UInt8 && source.Manifest.Files.ContainsKey(ModelConverter.FloatInput))
        {
            variant = ModelConverter.FloatInput;
        }

        var file = source.File(variant ?? "fp32");
        using var runner = new OnnxRunner(file, fewRuns: true);
        var input = runner.Inputs[0];
        if (input.Type != ElementType.UInt8 || !floats)
        {
            return runner.Run(new Dictionary<string, Tensor> { [input.Name] = ToTensor(bytes, given, sides, input, null) });
        }

        // As networks with channels first are fed.
        var normalised = input with { Type = ElementType.Float32 };
        var planes = sides is [_, 3, var height, var width] && (height, width) == (spec.Height, spec.Width);
        var tensor = ToTensor(bytes, ElementType.Float32, sides, planes ? normalised with { Shape = sides! } : normalised, null);
        tensor = planes ? Operators.Permute(tensor, [0, 2, 3, 1]) : tensor;
        var pixels = ToPixels(tensor, source.Manifest.Preprocessing);
        if (Array.TrueForAll(pixels, pixel => Math.Abs(pixel - MathF.Round(pixel)) < 0.01f && MathF.Round(pixel) is >= 0 and <= 255))
        {
            return runner.Run(new Dictionary<string,
                Tensor>
            { [input.Name] = new Tensor(ElementType.UInt8, tensor.Shape, Array.ConvertAll(pixels, pixel => (byte)MathF.Round(pixel))) });
        }

        // No picture has such pixels, but the network takes them: the same graph with a float input.
        var graph = new OnnxReader().Read(file).Graph;
        if (!CastsToFloat(graph, input.Name))
        {
            throw new ModelFormatException(
                $"The model '{source.Manifest.Name}' is quantized from its input on: it takes pixels (uint8), and not every float in the file is one of " +
                $"its normalised pixels.");
        }

        graph.Inputs[0] = graph.Inputs[0] with { Type = ElementType.Float32 };
        using var open = new OnnxRunner(graph);
        return open.Run(new Dictionary<string, Tensor> { [input.Name] = Tensor.Float32(tensor.Shape, pixels) });
    }

    private static bool CastsToFloat(Graph graph, string value) =>
        graph.Nodes.Where(node => node.Inputs.Contains(value))
            .All(node => node.Op == "Cast" || (node.Op == "Transpose" && CastsToFloat(graph, node.Outputs[0])));

    /// <summary>Floats for a bundle that takes pixels: what was normalised by its own numbers is turned back.</summary>
    private static float[] ToPixels(Tensor tensor, PreprocessingSpec preprocessing)
    {
        var values = tensor.As<float>();
        var pixels = new float[values.Length];
        for (var i = 0; i < pixels.Length; i++)
        {
            var channel = i % 3;
            var to = preprocessing.ChannelOrder == ChannelOrder.Bgr ? i - channel + 2 - channel : i;
            pixels[to] = (float)(((values[i] * preprocessing.ImageStd[channel]) + preprocessing.ImageMean[channel]) / preprocessing.RescaleFactor);
        }

        return pixels;
    }

    private static Tensor ToTensor(byte[] bytes, ElementType? given, int[]? sides, GraphValue input, Func<byte[], Tensor>? normalise)
    {
        var shape = sides ?? [.. input.Shape.Select(side => Math.Max(side, 1))];
        var elements = shape.Aggregate(1L, (product, side) => product * side);
        var type = given
            ?? (bytes.Length == elements * Tensor.SizeOf(input.Type) ? input.Type : bytes.Length == elements ? ElementType.UInt8 : ElementType.Float32);
        if (bytes.Length != elements * Tensor.SizeOf(type))
        {
            throw new ModelFormatException(
                $"The input file has {Counted.Of(bytes.Length, "byte")}; {type} [{string.Join(", ", shape)}] needs {elements * Tensor.SizeOf(type):N0}.");
        }

        if (sides is not null && (sides.Length != input.Shape.Length || sides.Zip(input.Shape).Any(side => side.Second >= 0 && side.First != side.Second)))
        {
            throw new ModelFormatException(
                $"The shape [{string.Join(", ", sides)}] does not fit the input '{input.Name}' of shape [{string.Join(", ", input.Shape)}].");
        }

        if (type == input.Type)
        {
            return new Tensor(type, shape, bytes);
        }

        return (type, input.Type) switch
        {
            (ElementType.UInt8, ElementType.Int8) => new Tensor(ElementType.Int8, shape, Array.ConvertAll(bytes, pixel => unchecked((byte)(pixel - 128)))),
            (ElementType.UInt8, ElementType.Float32) when normalise is not null && shape[0] == 1 => normalise(bytes),
            (ElementType.UInt8, ElementType.Float32) => Tensor.Float32(shape, Array.ConvertAll(bytes, pixel => (float)pixel)),
            _ => throw new ModelFormatException($"The input '{input.Name}' takes {input.Type}, not {type}."),
        };
    }

    private static byte[] ReadInput(string path) => File.Exists(path) ? File.ReadAllBytes(path)
        : throw new ModelFormatException($"There is no input file '{path}'.");

    private static int[] ParseShape(string text)
    {
        var sides = new int[text.Count(character => character == ',') + 1];
        var parts = text.Trim('[', ']').Split(',');
        for (var i = 0; i < sides.Length; i++)
        {
            sides[i] = int.TryParse(parts[i], NumberStyles.Integer, CultureInfo.InvariantCulture, out var side) && side > 0 ? side
                : throw new ModelFormatException($"The shape '{text}' is not a list of positive numbers such as 1,224,224,3.");
        }

        return sides;
    }

    private static JsonArray ToJson(Tensor tensor) => tensor.Type is ElementType.Float32 or ElementType.Float16 or ElementType.Float64
        ? [.. tensor.ToFloats()
            .Select(value => float.IsFinite(value) ? JsonValue.Create(value) : JsonValue.Create(value.ToString(CultureInfo.InvariantCulture)))]
        : [.. tensor.ToInts().Select(value => JsonValue.Create(value))];

    private static void Show(IReadOnlyDictionary<string, Tensor> outputs)
    {
        foreach ((var name, var tensor) in outputs)
        {
            var values = tensor.ToDoubles();
            var table = new Table().Border(TableBorder.Rounded).Title(Markup.Escape($"{name}: {tensor.Type} [{string.Join(", ", tensor.Shape)}]"))
                .AddColumn("Index").AddColumn(new TableColumn("Value").RightAligned());
            foreach ((var value, var index) in values.Select((value, index) => (value, index)).OrderByDescending(entry => entry.value).Take(10))
            {
                table.AddRow($"{index}", $"{value:0.#######}");
            }

            AnsiConsole.Write(table);
        }
    }
}
